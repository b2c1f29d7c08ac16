"""The compact graph that an export writes beside the SavedModel."""

import gzip

import numpy as np
import pytest

from galsim_deep.modules.module import Module
from galsim_deep.modules.runners.litert import COMPACT_GRAPH_PATH, ROWS, LiteRTRunner

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def module(module_folder):
    return Module(module_folder)


@pytest.fixture(scope="module")
def inputs(module):
    rng = np.random.default_rng(2)
    columns = {column.name: rng.uniform(*column.valid_range, 11).astype(np.float32)
               for column in module.card.columns}
    columns["mag_auto"][::3] = np.nan
    return dict(columns, random_normal=rng.standard_normal(
        (11, module.card.latent.size), np.float32))


def test_the_card_vouches_for_it(module):
    assert COMPACT_GRAPH_PATH in module.card.files and module.compact is not None


def test_it_makes_what_the_saved_model_makes(module, inputs):
    images, expected = (runner.call("sample", inputs)["image"]
                        for runner in (module.compact, module.tensorflow))
    peak = expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(images / peak, expected / peak, atol=1e-5)
    assert module.probe()["sample (compact graph)"] < 1e-5


@pytest.mark.parametrize("count", [1, ROWS[-1]])
def test_any_number_of_rows(module, inputs, count):
    every_row = module.compact.call("sample", inputs)["image"]
    some_rows = LiteRTRunner(module.folder).call(
        "sample", {name: values[:count] for name, values in inputs.items()})["image"]
    np.testing.assert_array_equal(some_rows, every_row[:count])


def test_written_again_it_is_the_same(module_folder):
    """No time of writing in the archive."""
    content = (module_folder / COMPACT_GRAPH_PATH).read_bytes()
    assert gzip.compress(gzip.decompress(content), mtime=0) == content
