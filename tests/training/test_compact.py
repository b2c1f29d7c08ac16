"""The compact graph that an export writes beside the SavedModel."""

import gzip

import numpy as np
import pytest

from galsim_deep.module import Module
from galsim_deep.sampler import COMPACT_PATH, ROWS, Sampler


@pytest.fixture(scope="module")
def module(module_folder):
    return Module(module_folder)


@pytest.fixture(scope="module")
def inputs(module):
    rng = np.random.default_rng(2)
    found = {column.name: rng.uniform(*column.valid_range, 11).astype(np.float32)
             for column in module.card.columns}
    found["mag_auto"][::3] = np.nan
    return dict(found, random_normal=rng.standard_normal(
        (11, module.card.latent.size), np.float32))


def test_the_card_vouches_for_it(module):
    assert COMPACT_PATH in module.card.files and module.sampler is not None


def test_it_makes_what_the_saved_model_makes(module, inputs):
    made, expected = module.sampler.sample(inputs), module.engine.sample(inputs)
    peak = expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(made / peak, expected / peak, atol=1e-5)
    assert module.probe()["compact sample"] < 1e-5


@pytest.mark.parametrize("count", [1, ROWS[-1]])
def test_any_number_of_rows(module, inputs, count):
    whole = module.sampler.sample(inputs)
    part = Sampler(module.folder).sample(
        {name: values[:count] for name, values in inputs.items()})
    np.testing.assert_array_equal(part, whole[:count])


def test_written_again_it_is_the_same(module_folder):
    """No time of writing in the archive."""
    content = (module_folder / COMPACT_PATH).read_bytes()
    assert gzip.compress(gzip.decompress(content), mtime=0) == content
