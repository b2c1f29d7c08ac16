"""What a comparison is made of: samples, units, bins, and galaxies to show."""

import dataclasses

import numpy as np
import pytest

from galsim_deep.validation.comparison import RealSample, compare
from galsim_deep.validation.settings import Settings


@pytest.fixture
def comparison(random_measurements, card, make_comparison):
    """20 galaxies, the first 12 with stamps, of which one is empty; bright ones come last."""
    measurements = random_measurements(20)
    measurements.columns["mag_auto"][:] = np.linspace(25, 20, 20)
    measurements.source[:] = np.arange(20) // 2
    measurements.stamps["real"] = np.ones((12, 4, 4), np.float32)
    measurements.stamps["real"][3] = np.nan
    return make_comparison(card, measurements)


def test_galaxies_to_show(comparison):
    assert comparison.bright_to_faint(30).tolist() == [11, 10, 9, 8, 7, 6, 5, 4, 2, 1, 0]
    shown = comparison.bright_to_faint(3)
    assert shown[0] == 11 and shown[-1] == 0 and len(shown) == 3
    assert comparison.bright_to_faint(3, 0.5).min() >= 6


def test_bins_and_magnitudes(comparison):
    np.testing.assert_array_equal(
        comparison.magnitudes, comparison.measurements.columns["mag_auto"])
    assert comparison.bins[0].name == "all" and len(comparison.bins) > 3


def test_without_magnitudes(comparison, without_magnitude, make_comparison):
    bare = make_comparison(without_magnitude, comparison.measurements)
    assert bare.magnitudes is None and len(bare.bins) == 1
    assert bare.bright_to_faint(30).tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]


def test_bootstrap_weights_are_of_sources(comparison):
    weights = comparison.weights
    assert weights.shape == (Settings().bootstraps, 20)
    np.testing.assert_array_equal(weights[:, ::2], weights[:, 1::2])


def test_a_path_is_a_sample_of_all_galaxies():
    assert RealSample("folder") == RealSample("folder", None, {}, "test", None)


@pytest.mark.long
def test_another_zero_point(tiny_folder, shapes_file):
    """Generated galaxies are drawn in the units of the stamps."""
    columns = dict(zphot="kind")
    ours, theirs = (
        compare(tiny_folder, RealSample(shapes_file, count=2, zero_point=zero_point,
                                        columns=columns), processes=1)
        for zero_point in (None, 25.94 + 2.5))
    assert theirs.units.gain == pytest.approx(10.0)
    np.testing.assert_allclose(theirs.measurements.stamps["profile"],
                               10 * ours.measurements.stamps["profile"], rtol=1e-5)
    np.testing.assert_array_equal(theirs.measurements.stamps["real"],
                                  ours.measurements.stamps["real"])
    assert "encode" in ours.no_reconstruction and ours.reconstructor is None


@pytest.mark.long
def test_training_galaxies_are_those_of_the_same_file(shapes_file, tiny_folder, tmp_path):
    """If the file has any; ``training`` names another one."""
    import shutil

    import h5py

    sample = RealSample(shapes_file, count=1, columns=dict(zphot="kind"))
    assert compare(tiny_folder, sample, processes=1).training is None
    path = shutil.copy(shapes_file, tmp_path / "data.h5")
    with h5py.File(path, "a") as file:
        file["test"][4:] = False
    split = dataclasses.replace(sample, path=path)
    assert len(compare(tiny_folder, split, processes=1).training) == 44
    other = compare(tiny_folder, sample, training=path, processes=1)
    assert len(other.training) == 44 and len(other.galaxies) == 1
