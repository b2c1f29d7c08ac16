"""The layer that standardises catalogue columns."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.networks.conditions import Conditions
from galsim_deep_training.recipe import Column


def column(name, **kwargs):
    return Column(name=name, unit="", meaning="", quantity="other", valid_range=(0.1, 1), **kwargs)


def test_conditions():
    rng = np.random.default_rng(4)
    values = dict(a=rng.uniform(10, 30, 500), b=rng.lognormal(1.0, 0.5, 500),
                  c=rng.lognormal(0.0, 1.0, 500) - 0.1)
    values = {name: value.astype(np.float32) for name, value in values.items()}
    conditions = Conditions(
        [column("b", scale="log"), column("a"), column("c", scale="log", offset=0.1)])
    conditions.adapt(values)
    found = conditions(values).numpy()
    assert found.shape == (500, 3)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0), 1.0, atol=1e-4)
    # In the order of the recipe, and scaled as it says.
    for index, scaled in enumerate([np.log(values["b"]), values["a"], np.log(values["c"] + 0.1)]):
        expected = (scaled - scaled.mean()) / scaled.std()
        np.testing.assert_allclose(found[:, index], expected, atol=1e-3)
    np.testing.assert_array_equal(conditions.lowest, [values[name].min() for name in "bac"])
    np.testing.assert_array_equal(conditions.highest, [values[name].max() for name in "bac"])
    assert conditions.trainable_variables == []


@pytest.mark.parametrize("values, word", [
    ([0.5, 0.5, 0.5], "all the same"), ([0.5, -99.0, 1.0], "not all finite"),
    ([0.5, float("nan"), 1.0], "not all finite")])
def test_columns_that_cannot_be_standardised(values, word, recipe):
    columns = {column.name: np.array([3.0, 4.0, 5.0], np.float32) for column in recipe.columns}
    columns["zphot"] = np.array(values, np.float32)
    with pytest.raises(galsim.GalSimError, match=f"zphot.*{word}"):
        Conditions(recipe.columns).adapt(columns)
