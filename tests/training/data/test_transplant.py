"""The transplant builder: light, sizes, noise and the split of what it makes."""

import shutil
from pathlib import Path

import galsim
import numpy as np
import pytest
import yaml
from astropy.table import Table

from galsim_deep_training.data.build import build, make_builder
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.data.stamps import flux_radius
from galsim_deep_training.recipe import read_recipe

SAME = [{0, 5}, {2, 8, 11}]
FAINT = {4, 9}


@pytest.fixture(scope="module")
def builder(recipe):
    return make_builder(recipe)


@pytest.fixture(scope="module")
def quiet(make_recipe, survey, tmp_path_factory):
    """The same builder for a survey whose noise is nothing."""
    folder = tmp_path_factory.mktemp("quiet") / "survey"
    shutil.copytree(survey, folder)
    table = Table.read(folder / "real_galaxy_catalog.fits")
    table["NOISE_VARIANCE"] = 0.0
    table.write(folder / "real_galaxy_catalog.fits", overwrite=True)

    def change(content):
        content["data"]["settings"]["psf_catalog"] = str(folder / "real_galaxy_catalog.fits")

    return make_builder(make_recipe(change))


def made(builder, numbers):
    return [example for example in map(builder.example, numbers) if example is not None]


def test_columns_describe_the_stamp(quiet):
    examples = made(quiet, range(0, 52, 3))
    assert len(examples) > 12
    for example in examples:
        assert example.columns.keys() == {"flux_radius", "mag_auto", "zphot"}
        assert example.columns["flux_radius"] == pytest.approx(flux_radius(example.stamp))
        flux = 10 ** (-0.4 * (example.columns["mag_auto"] - 25.94))
        assert example.stamp.sum() == pytest.approx(flux, rel=0.03)
        assert 20.0 <= example.columns["mag_auto"] <= 24.0
        assert 3.2 <= example.columns["flux_radius"] <= 5.3
        assert 0.03 <= example.columns["zphot"] <= 5.0


def test_the_truth_has_the_asked_flux(quiet):
    for example in made(quiet, range(40, 52)):
        flux = 10 ** (-0.4 * (example.columns["mag_auto"] - 25.94))
        assert example.truth.sum() == pytest.approx(flux, rel=0.01)


def test_the_stamp_is_the_truth_through_the_psf(quiet):
    """The truth, drawn by GalSim through the PSF stored with it, is the noiseless stamp."""
    for example in made(quiet, range(40, 44)):
        psf = galsim.InterpolatedImage(galsim.Image(quiet.psfs()[example.psf_index], scale=0.03))
        truth = galsim.InterpolatedImage(galsim.Image(example.truth, scale=0.03))
        image = galsim.Convolve(truth, psf).drawImage(
            nx=32, ny=32, scale=0.03, method="no_pixel", dtype=float).array
        np.testing.assert_allclose(image, example.stamp, atol=0.02 * image.max())


def test_noise(builder, quiet):
    variance = Table.read(builder.locate(builder.settings.psf_catalog))["NOISE_VARIANCE"]
    scaled = []
    for number in range(0, 52, 4):
        noisy, noiseless = builder.example(number), quiet.example(number)
        if noisy is None:
            assert noiseless is None
            continue
        assert noisy.noise_sigma == pytest.approx(np.sqrt(variance[noisy.psf_index]))
        scaled.append((noisy.stamp - noiseless.stamp) / noisy.noise_sigma)
        assert noisy.columns == noiseless.columns
    scaled = np.array(scaled)
    sigma = 1 / np.sqrt(scaled.size)
    assert abs(scaled.mean()) < 5 * sigma
    assert abs(scaled.std() - 1) < 5 * sigma
    # White: no correlation from pixel to pixel.
    assert abs((scaled[:, 1:] * scaled[:, :-1]).mean()) < 5 * sigma
    assert abs((scaled[:, :, 1:] * scaled[:, :, :-1]).mean()) < 5 * sigma


def test_the_corners_hold_noise_only(dataset):
    stamps = dataset.read(np.arange(len(dataset)))
    corners = np.concatenate([stamps["stamp"][:, rows, columns].reshape(len(dataset), -1)
                              for rows in (slice(3), slice(-3, None))
                              for columns in (slice(3), slice(-3, None))], axis=1)
    scaled = corners / stamps["noise_sigma"][:, None]
    # The wings of the PSF reach the corners of so small a stamp.
    assert np.median(np.abs(scaled)) == pytest.approx(0.6745, rel=0.1)


def test_split(dataset):
    train = set(dataset.source[dataset.train_indices])
    test = set(dataset.source[dataset.test_indices])
    assert train and test and not train & test
    used = train | test
    assert not used & FAINT
    for group in SAME:
        assert not (group & train and group & test)
    indices, truth = dataset.truth()
    np.testing.assert_array_equal(indices, dataset.test_indices)
    assert len(truth) == len(indices)


@pytest.mark.parametrize("seed", range(6))
def test_groups_stay_on_one_side_for_every_seed(seed, make_recipe):
    def change(content):
        content["seed"] = seed
        content["data"]["settings"]["test_sources"] = 0.5

    builder = make_builder(make_recipe(change))
    sides = [{builder.example(n).source for n in numbers if builder.example(n) is not None}
             for numbers in (range(0, 24), range(40, 52))]
    assert sides[0] and sides[1] and not sides[0] & sides[1]
    for group in SAME:
        assert not (group & sides[0] and group & sides[1])


def test_test_examples_come_last(builder):
    assert len(builder) == 52
    for number, test in [(0, False), (39, False), (40, True), (51, True)]:
        example = builder.example(number)
        if example is not None:
            assert example.test is test and (example.truth is not None) is test


def test_galaxies_are_moved_and_turned(quiet):
    """No two examples of a source show it alike."""
    seen = {}
    for example in made(quiet, range(40)):
        y, x = np.indices(example.stamp.shape) - 15.5
        centroid = [(axis * example.stamp).sum() / example.stamp.sum() for axis in (x, y)]
        seen.setdefault(example.source, []).append(centroid)
    centroids = np.array(max(seen.values(), key=len))
    assert len(centroids) > 3
    assert len(np.unique(centroids.round(6), axis=0)) == len(centroids)


def test_an_example_depends_on_its_number_only(builder, recipe):
    backwards = {number: builder.example(number) for number in (45, 7, 3)}
    afresh = make_builder(recipe)
    for number in (3, 7, 45):
        one, other = backwards[number], afresh.example(number)
        np.testing.assert_array_equal(one.stamp, other.stamp)
        assert one.columns == other.columns and one.source == other.source


def test_shares_of_magnitudes(builder):
    """Counts rise as exp(slope * magnitude) between the limits."""
    rng = np.random.default_rng(2)
    drawn = np.array([builder.settings.magnitudes.draw(rng) for _ in range(4000)])
    assert drawn.min() >= 20.0 and drawn.max() <= 24.0
    slope, width = 0.35, 4.0
    brighter = np.expm1(slope * width / 2) / np.expm1(slope * width)
    assert np.mean(drawn < 22.0) == pytest.approx(brighter, abs=5 * 0.5 / np.sqrt(4000))


def test_columns_that_it_cannot_make(make_recipe):
    def change(content):
        content["columns"][2]["name"] = "bulge_to_total"

    with pytest.raises(galsim.GalSimConfigError,
                       match="'bulge_to_total'.*flux_radius, mag_auto, zphot"):
        make_builder(make_recipe(change))


@pytest.mark.parametrize("setting, path", [
    (["stamps", "file_name"], "absent.npz"), (["psf_catalog"], "absent.fits")])
def test_missing_sources(setting, path, make_recipe):
    def change(content):
        settings = content["data"]["settings"]
        for key in setting[:-1]:
            settings = settings[key]
        settings[setting[-1]] = path

    with pytest.raises(OSError, match=path):
        make_builder(make_recipe(change))


# ---- with real galaxies ---------------------------------------------------------------------


def test_the_shipped_recipe(reference_data, write_recipe, tmp_path):
    """hub:acs_flow_vae's own data, a handful of them, of galaxies and PSFs that are real."""
    shipped = Path(__file__).parents[3] / "training" / "recipes" / "acs_flow_vae.yaml"
    content = yaml.safe_load(shipped.read_text())
    settings = content["data"]["settings"]
    settings.update(examples=8, test_examples=4)
    settings["stamps"]["file_name"] = str(
        reference_data / "hst_stamps_3band_201" / "hst_stamps_f606w_f814w_f125w_201.npz")
    settings["psf_catalog"] = str(
        reference_data / "cosmos_f814w_50" / "real_galaxy_catalog.fits")
    written, skipped = build(read_recipe(write_recipe(content)), tmp_path / "data.h5",
                             progress=False)
    assert written + skipped == 12 and written >= 8
    dataset = Dataset(tmp_path / "data.h5")
    assert dataset.stamp_size == 128 and dataset.psfs.shape == (50, 65, 65)
    np.testing.assert_allclose(dataset.psfs.sum(axis=(1, 2)), 1.0, rtol=1e-5)
    batch = dataset.read(np.arange(len(dataset)))
    assert all(np.isfinite(values).all() for values in batch.values())
    # The noise of COSMOS.
    assert np.all((batch["noise_sigma"] > 1e-3) & (batch["noise_sigma"] < 4e-3))
    borders = batch["stamp"][:, [0, -1]].reshape(len(dataset), -1)
    sigma = 1.4826 * np.median(np.abs(borders), axis=1)
    np.testing.assert_allclose(sigma, batch["noise_sigma"], rtol=0.35)
    indices, truth = dataset.truth()
    flux = 10 ** (-0.4 * (dataset.columns["mag_auto"][indices] - 25.94))
    np.testing.assert_allclose(truth.sum(axis=(1, 2)), flux, rtol=0.01)


def test_uniform_magnitudes():
    from galsim_deep_training.data.transplant import Magnitudes

    rng = np.random.default_rng(1)
    drawn = [Magnitudes(range=(20.0, 24.0), slope=0.0).draw(rng) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(22.0, abs=0.1)
    assert np.std(drawn) == pytest.approx(4 / np.sqrt(12), abs=0.05)


def test_a_relation_that_does_not_reach_its_range():
    from galsim_deep_training.data.transplant import Relation

    relation = Relation(intercept=0.0, slope=0.0, scatter=0.1, range=(50.0, 60.0))
    with pytest.raises(galsim.GalSimConfigError, match="does not reach"):
        relation.draw(22.0, np.random.default_rng(1))
