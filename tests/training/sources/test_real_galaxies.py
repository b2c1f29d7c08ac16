"""The collection in the repository: what those who read it rely on."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from galsim_deep.measure.moments import adaptive_moments
from galsim_deep.observations.collection import COLUMNS, Collection
from galsim_deep.observations.noise import periodic_power
from galsim_deep_training.data.collection_writer import ROUNDING

PATH = Path(__file__).resolve().parents[3] / "training" / "sources" / "real_galaxies.h5"


@pytest.fixture(scope="module")
def collection():
    return Collection(PATH)


@pytest.fixture(scope="module")
def galaxies(collection):
    return [collection.galaxy(row) for row in range(len(collection))]


def test_size_and_numbers(collection):
    assert PATH.stat().st_size < 30e6
    assert len(collection) > 600
    assert set(collection.table["survey"]) == set(collection.surveys)


def test_surveys_say_where_they_are_from(collection):
    for name, survey in collection.surveys.items():
        for field in ("title", "origin", "citation", "terms"):
            assert len(getattr(survey, field)) > 10, (name, field)
        assert "github.com/" in survey.origin


def test_values(collection):
    table = collection.table
    for name, column in COLUMNS.items():
        if column.kind is float and column.known:
            assert np.isfinite(table[name]).all(), name
    for name in ("pixel_scale", "noise_inside", "half_light_radius", "flux_radius", "radius_used",
                 "sersic_n", "signal_to_noise", "wavelength"):
        assert (table[name] > 0).all(), name
    assert ((table["axis_ratio"] > 0) & (table["axis_ratio"] <= 1)).all()
    assert ((table["noise_sigma"] > 0) == ~table["cut"]).all()
    assert ((table["magnitude"] > 15) & (table["magnitude"] < 29)).all()
    assert set(table["survey"][table["cut"]]) == {"hst", "hudf"}


def test_images(galaxies):
    for galaxy in galaxies:
        step = 2.0 ** np.floor(np.log2(galaxy.noise_inside / ROUNDING))
        np.testing.assert_array_equal(galaxy.image, np.rint(galaxy.image / step) * step)
        assert galaxy.usable.any() and (galaxy.image[galaxy.usable] != 0).any()
        # The centre is on the stamp, with light.
        x, y = round(galaxy.x), round(galaxy.y)
        middle = galaxy.image[y - 2:y + 3, x - 2:x + 3]
        assert middle.sum() > 5 * galaxy.noise_inside or galaxy.judge_only, galaxy.name


def test_psfs_and_noise(galaxies):
    for galaxy in galaxies:
        side = len(galaxy.psf)
        assert galaxy.psf.shape == (side, side) and side % 2 == 1
        assert galaxy.psf.sum() == pytest.approx(1.0, abs=1e-5)
        assert np.unravel_index(galaxy.psf.argmax(), galaxy.psf.shape) == (side // 2,) * 2
        moments = adaptive_moments(galaxy.psf)
        assert moments.moments_centroid.x == pytest.approx(side // 2, abs=0.15)
        assert moments.moments_centroid.y == pytest.approx(side // 2, abs=0.15)
        if galaxy.noise_correlation is not None:
            middle = len(galaxy.noise_correlation) // 2
            assert galaxy.noise_correlation[middle, middle] == 1
            assert galaxy.noise_correlation.max() == 1


def test_photon_noise_of_the_judges(galaxies):
    """Where the telescope passes no structure, below 0.066", bright galaxies have the noise of sky
    and photons, and more than that of the sky."""
    over_sky, over_both = [], []
    for galaxy in galaxies:
        if galaxy.survey != "cosmos" or galaxy.magnitude > 22.7 or not galaxy.noise_sigma:
            continue
        assert galaxy.photon_variance == pytest.approx(1 / (2028 * 3.16), rel=0.01)
        rows, columns = np.indices(galaxy.image.shape)
        inside = np.hypot(columns - galaxy.x, rows - galaxy.y) < 0.35 * galaxy.radius_used
        window = ndimage.gaussian_filter((inside & galaxy.usable).astype(float), 1.5)
        light = ndimage.gaussian_filter(galaxy.image, 2.0)
        power = np.abs(np.fft.rfft2(window * (galaxy.image - light)))**2
        rows, columns = galaxy.image.shape
        frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns))
        hidden = frequency * 0.066 > galaxy.pixel_scale
        spectrum = periodic_power(galaxy.noise_correlation, galaxy.image.shape)
        sky = galaxy.noise_sigma**2 * (window**2).sum()
        photons = galaxy.photon_variance * (window**2 * light.clip(0)).sum()
        found = power[hidden].sum() / spectrum[hidden].sum()
        over_sky.append(found / sky)
        over_both.append(found / (sky + photons))
    assert len(over_sky) >= 10
    assert np.median(over_sky) > 1.4
    assert 0.9 < np.median(over_both) < 1.25


def test_sky_is_zero_where_there_is_much_of_it(galaxies):
    """The median over stamps, of the mean beyond the light, in units of the noise."""
    means = []
    for galaxy in galaxies:
        y, x = np.indices(galaxy.image.shape)
        beyond = galaxy.usable & (np.hypot(x - galaxy.x, y - galaxy.y) > galaxy.radius_used + 3)
        filled = galaxy.cut or "fitted disc" in galaxy.notes
        if not filled and not galaxy.judge_only and beyond.sum() > 4000:
            means.append(galaxy.image[beyond].mean() / galaxy.noise_sigma)
    assert len(means) > 100
    assert abs(np.median(means)) < 0.03
    assert np.abs(means).max() < 0.3


def test_groups(collection):
    table = collection.table
    group = dict(zip(table["name"], table["group"], strict=True))
    for one, two in [("hst-080", "hst-131"), ("hst-007", "hudf-066"), ("hst-005", "hudf-043"),
                     ("hst-124", "hudf-022"), ("cosmosweb-f115w-00", "cosmosweb-f444w-001"),
                     ("aegis-14886-f606w", "aegis-14886-f814w")]:
        assert group[one] == group[two]
    assert len(set(group.values())) > 580


def test_held_out(collection):
    table = collection.table
    for number in set(table["group"]):
        assert len(set(table["held_out"][table["group"] == number])) == 1
    assert table["held_out"][table["judge_only"]].all()
    assert set(table["survey"][table["judge_only"]]) == {"cosmos", "aegis"}
    trained = ~table["judge_only"]
    held_out = set(table["group"][trained & table["held_out"]])
    assert len(held_out) >= 90
    for survey in ("hst", "hudf", "ceers", "sdss", "cosmosweb"):
        members = trained & (table["survey"] == survey)
        share = (members & table["held_out"]).sum() / members.sum()
        assert 0.12 < share < 0.28, survey


def test_nearby_galaxies_are_moved(collection):
    table = collection.table
    moved = np.isin(table["survey"], ["sdss", "sdss_dr7", "kids", "spitzer"])
    assert (table["pixel_scale"][moved] == 0.03).all()
    assert (table["original_pixel_scale"][moved] > 0.1).all()
    known = moved & np.isfinite(table["redshift"])
    assert (table["redshift"][known] > table["original_redshift"][known]).all()
    others = ~moved
    np.testing.assert_array_equal(table["pixel_scale"][others],
                                  table["original_pixel_scale"][others])


def test_conditions_of_cosmos(collection):
    conditions = collection.conditions("acs_f814w")
    assert conditions.psf.shape[1:] == (65, 65) and len(conditions.psf) > 100
    np.testing.assert_allclose(conditions.psf.sum((1, 2)), 1, atol=1e-5)
    assert len({psf.tobytes() for psf in conditions.psf}) == len(conditions.psf)
    assert ((conditions.noise_variance > 1e-6) & (conditions.noise_variance < 1e-4)).all()
    assert (conditions.zero_point, conditions.pixel_scale) == (25.94, 0.03)
    middle = len(conditions.noise_correlation) // 2
    assert conditions.noise_correlation[middle, middle] == 1
