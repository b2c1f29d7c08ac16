"""The validation reads what training writes: a data set file and an exported module."""

import json

import numpy as np
import pytest

from galsim_deep.cli import main
from galsim_deep.measure.structure import EDGES
from galsim_deep.validation import RealSample, validate

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def validation(module_folder, data_file, cache):
    return validate(module_folder, data_file, processes=1, cache=cache)


def test_the_test_split_is_used(validation, dataset):
    assert len(validation.galaxies) == len(dataset.test_indices)
    assert set(validation.measurements.source) == set(dataset.source[dataset.test_indices])
    np.testing.assert_array_equal(
        validation.measurements.columns["mag_auto"],
        dataset.columns["mag_auto"][dataset.test_indices])


def test_noiseless(validation, dataset):
    """The stamps without noise belong to their galaxies."""
    _, stamps = dataset.noiseless()
    np.testing.assert_array_equal(validation.measurements.stamps["noiseless"], stamps)
    noiseless = validation.results["noiseless"]["all"]
    assert noiseless["n"] == len(stamps)
    assert len(noiseless["power"]) == len(EDGES) - 1
    assert np.isfinite(noiseless["peak"]["value"])
    for name, failed in noiseless["fits_failed"].items():
        assert failed == validation.measurements.numbers[f"sersic_failed_{name}"].sum()
    assert (validation.measurements.numbers["power_noiseless"] > 0).all()


def test_from_the_cache(validation, module_folder, data_file, cache):
    """Noiseless and all: what was kept gives the same report."""
    again = validate(module_folder, data_file, processes=1, cache=cache)
    assert json.dumps(again.results) == json.dumps(validation.results)
    np.testing.assert_array_equal(again.measurements.numbers["power_noiseless"],
                                  validation.measurements.numbers["power_noiseless"])


def test_memorisation(validation):
    """The training galaxies are in the same file; few galaxies of small stamps are large enough."""
    memorisation = validation.results["memorisation"]
    assert "skipped" in memorisation or memorisation["n_training"] > 0


def test_stamps_of_training_galaxies(module_folder, data_file, dataset):
    validation = validate(
        module_folder, RealSample(data_file, split="train", count=2), processes=1)
    assert set(validation.measurements.source) <= set(dataset.source[dataset.train_indices])
    assert "noiseless" not in validation.results


def test_command(module_folder, data_file, tmp_path):
    assert main(["validate", str(module_folder), "--real", str(data_file), "--count", "3",
                 "--processes", "1", "--quiet", "--output", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "report.json").read_text())["real"]["name"] == "data (test)"
    assert (tmp_path / "noiseless.png").is_file()
