"""The card of a module: from the recipe, the family and the data set."""

import hashlib

import numpy as np
import pytest

import galsim_deep

pytestmark = pytest.mark.long


def test_card(module, recipe, dataset, family):
    card = module.card
    assert (card.format_version, card.name, card.version) == (2, "tiny", "0.0.1")
    assert (card.kind, card.family, card.summary) == (
        "generator", "flow_vae", "A module for tests.")
    assert (card.stamp.sizes, card.stamp_size, card.pixel_scale) == ((32,), 32, 0.03)
    (band,) = card.bands
    assert (band.name, band.zero_point, band.exposure_time) == ("F814W", 25.94, 1.0)
    assert band.area is None and band.effective_wavelength is None
    train = dataset.train_indices
    assert band.psf == "9 PSFs"
    assert f"{np.median(dataset.noise_sigma[train]):.4g} per pixel" in band.noise
    assert (card.latent.name, card.latent.size) == ("random_normal", family.latent_size)
    assert card.signatures == ("sample", "decode", "encode", "log_prob")
    assert card.training_data.licence == "CC0"
    assert card.recipe.name == "recipe.yaml"
    assert card.recipe.sha256 == hashlib.sha256(recipe.path.read_bytes()).hexdigest()
    assert card.code_version == galsim_deep.__version__
    assert card.training_data.sources == len(set(dataset.source[train]))
    assert card.column_of("half_light_radius").name == "flux_radius"
    assert not card.column_of("half_light_radius").as_observed
    assert len(card.columns) == 3
    assert all(column.optional for column in card.columns)
    assert [column.above for column in card.columns] == [
        0.0 - column.offset if column.scale == "log" else None for column in recipe.columns]
    assert {column.scale for column in recipe.columns} == {"linear", "log"}
    assert max(column.offset for column in recipe.columns) > 0
    for column, wanted in zip(card.columns, recipe.columns, strict=True):
        for name in ("name", "unit", "meaning", "quantity", "band", "as_observed", "valid_range"):
            assert getattr(column, name) == getattr(wanted, name)
        values = dataset.columns[column.name][dataset.train_indices]
        assert column.quantiles["0.0"] == pytest.approx(values.min(), abs=1e-4)
        assert column.quantiles["0.5"] == pytest.approx(np.median(values), abs=1e-4)
        assert column.quantiles["1.0"] == pytest.approx(values.max(), abs=1e-4)
