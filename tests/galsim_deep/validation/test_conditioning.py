"""Sizes and magnitudes of profiles that are known, and medians with errors."""

import types

import galsim
import numpy as np
import pytest

from galsim_deep.validation.conditioning import (
    binned,
    differences,
    magnitude_column,
    measured_conditions,
    size_column,
)
from galsim_deep.validation.two_sample import bootstrap_weights


@pytest.fixture
def card(model):
    return model.card


def with_columns(card, *columns):
    """The card with columns of these (name, unit)."""
    template = card.columns[0]
    return card.model_copy(update=dict(columns=tuple(
        template.model_copy(update=dict(name=name, unit=unit)) for name, unit in columns)))


def exponential(card, radius, magnitude=22.0, size=128):
    """A stamp of the module of this half-light radius [arcsec] and magnitude."""
    flux = 10 ** (-0.4 * (magnitude - card.flux.zero_point))
    return galsim.Exponential(half_light_radius=radius, flux=flux).drawImage(
        nx=size, ny=size, scale=card.pixel_scale, dtype=float).array


def test_the_columns_of_the_module(card):
    assert size_column(card).name == "flux_radius"
    assert magnitude_column(card).name == "mag_auto"


def test_a_module_without_such_columns(card):
    bare = with_columns(card, ("zphot", ""), ("sersic_index", ""))
    assert size_column(bare) is None and magnitude_column(bare) is None
    stamp = exponential(card, 0.2)
    found = measured_conditions(stamp, stamp, bare, 0.03)
    assert set(found) == {"size", "magnitude"}
    assert np.isnan(list(found.values())).all()


def test_not_every_length_is_a_half_light_radius(card):
    column = card.columns[0].model_copy(update=dict(
        name="size", unit="arcsec", meaning="largest angular size"))
    assert size_column(card.model_copy(update=dict(columns=(column,)))) is None
    assert size_column(card.model_copy(update=dict(columns=(column, card.columns[0])))) \
        == card.columns[0]


@pytest.mark.parametrize("radius", [0.15, 0.3])
@pytest.mark.parametrize("magnitude", [20.0, 25.5])
@pytest.mark.parametrize("unit, per_arcsec", [("pix", 1 / 0.03), ("arcsec", 1.0)])
def test_intrinsic_sizes_are_of_the_profile(card, radius, magnitude, unit, per_arcsec):
    card = with_columns(card, ("half_light_radius", unit), ("mag", "mag"))
    stamp = exponential(card, radius, magnitude)
    found = measured_conditions(stamp, np.full((128, 128), np.nan), card, 0.03)
    assert found["size"] == pytest.approx(radius * per_arcsec, rel=0.01)
    # The profile has some light outside of its stamp.
    assert found["magnitude"] == pytest.approx(magnitude, abs=0.01)


@pytest.mark.parametrize("convolved", [np.full((128, 128), np.nan), np.zeros((128, 128))])
def test_a_profile_without_an_image_has_no_observed_size(card, convolved):
    found = measured_conditions(exponential(card, 0.2), convolved, card, 0.03)
    assert np.isnan(found["size"]) and np.isfinite(found["magnitude"])


@pytest.mark.parametrize("pixel_scale", [0.03, 0.06])
@pytest.mark.parametrize("unit, per_arcsec", [("pix", 1 / 0.03), ("arcsec", 1.0)])
def test_observed_sizes_are_of_the_convolved_profile(card, pixel_scale, unit, per_arcsec):
    """In pixels of the module, whatever the pixels of the survey; Gaussians add in quadrature."""
    card = with_columns(card, ("flux_radius", unit), ("mag_auto", "mag"))
    # The half-light radius of a Gaussian is 1.1774 sigma.
    galaxy, seen = galsim.Gaussian(sigma=0.2, flux=4.0), galsim.Gaussian(sigma=0.25, flux=4.0)
    stamp = galaxy.drawImage(nx=128, ny=128, scale=0.03, method="no_pixel", dtype=float).array
    convolved = seen.drawImage(
        nx=128, ny=128, scale=pixel_scale, method="no_pixel", dtype=float).array
    found = measured_conditions(stamp, convolved, card, pixel_scale)
    assert found["size"] == pytest.approx(1.17741 * 0.25 * per_arcsec, rel=0.01)
    assert found["magnitude"] == pytest.approx(card.flux.zero_point - 2.5 * np.log10(4.0), abs=1e-3)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.filterwarnings("error")
def test_a_stamp_without_light_has_no_conditions(card, value):
    found = measured_conditions(np.full((128, 128), value), np.zeros((128, 128)), card, 0.03)
    assert np.isnan(found["size"]) and np.isnan(found["magnitude"])


# ---- bins -----------------------------------------------------------------------------------


def sample(n, seed=0, scatter=0.3):
    """Asked values, and differences that grow with them by 0.1 a unit."""
    rng = np.random.default_rng(seed)
    asked = rng.uniform(20, 26, n)
    return asked, 0.1 * (asked - 23) + scatter * rng.standard_normal(n)


def test_bins_give_the_median_and_the_scatter():
    n, bins = 6000, 6
    asked, difference = sample(n)
    rows = binned(asked, difference, bootstrap_weights(np.arange(n), 200, 0), count=bins)
    assert len(rows) == 1 + bins
    assert [row["n"] for row in rows] == [n] + [n // bins] * bins
    assert (rows[0]["low"], rows[0]["high"]) == (asked.min(), asked.max())
    for number, row in enumerate(rows[1:]):
        assert row["low"] == pytest.approx(20 + number, abs=0.1)
        assert row["high"] == pytest.approx(21 + number, abs=0.1)
        # The error of a median is 1.2533 sigma / sqrt(n).
        error = 1.2533 * 0.3 / np.sqrt(n / bins)
        assert row["median"] == pytest.approx(0.1 * (number - 2.5), abs=4 * error)
        assert row["median_error"] == pytest.approx(error, rel=0.35)
        assert row["scatter"] == pytest.approx(0.3 * 0.9945, rel=0.1)
        assert 0 < row["scatter_error"] < 2 * error
    assert np.mean([row["median_error"] for row in rows[1:]]) == pytest.approx(error, rel=0.15)


def test_the_first_row_is_of_all():
    n = 4000
    rng = np.random.default_rng(1)
    rows = binned(rng.uniform(0, 1, n), rng.normal(0.7, 2.0, n),
                  bootstrap_weights(np.arange(n), 300, 0))
    error = 1.2533 * 2 / np.sqrt(n)
    assert rows[0]["median"] == pytest.approx(0.7, abs=3.5 * error)
    assert rows[0]["median_error"] == pytest.approx(error, rel=0.2)
    # One error of a quantile at 16 % is 1.52 sigma / sqrt(n), and the two hardly correlate.
    assert rows[0]["scatter"] == pytest.approx(2 * 0.9945, abs=0.15)


def test_errors_are_over_groups():
    """Rows of one group say the same, so that only groups count."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(200), 10)
    difference = rng.standard_normal(200)[groups]
    row = binned(rng.uniform(0, 1, 2000), difference, bootstrap_weights(groups, 300, 0))[0]
    assert row["median_error"] == pytest.approx(1.2533 / np.sqrt(200), rel=0.35)


@pytest.mark.filterwarnings("error")
def test_what_could_not_be_measured_is_left_out():
    asked, difference = sample(600, seed=3)
    weights = bootstrap_weights(np.arange(600), 50, 0)
    expected = binned(asked[:500], difference[:500], weights[:, :500])
    difference[500:550] = np.nan
    asked[550:575] = np.nan
    difference[575:] = np.inf
    assert binned(asked, difference, weights) == expected
    assert expected[0]["n"] == 500


@pytest.mark.filterwarnings("error")
def test_nothing_measured_gives_no_rows():
    asked = np.arange(10.0)
    assert binned(asked, np.full(10, np.nan), np.ones((5, 10))) == []
    assert binned(np.array([]), np.array([]), np.ones((5, 0))) == []


def test_fewer_galaxies_than_bins():
    rows = binned(np.array([1.0, 2.0]), np.array([0.5, 0.5]), np.ones((4, 2)), count=6)
    assert rows[0]["n"] == 2
    assert sum(row["n"] for row in rows[1:]) == 2
    assert all(row["median"] == 0.5 and row["scatter"] == 0 for row in rows)


def test_equal_values_asked():
    rows = binned(np.full(50, 3.0), np.arange(50.0), np.ones((4, 50)))
    assert sum(row["n"] for row in rows[1:]) == 50
    assert rows[0]["median"] == pytest.approx(24.5, abs=0.6)


def test_the_median_of_a_few():
    """Of an odd number the middle one, as numpy has it."""
    row = binned(np.arange(5.0), np.array([7.0, 1.0, 3.0, 100.0, 5.0]), np.ones((4, 5)), count=1)
    assert row[0]["median"] == 5.0


def test_differences_of_size_and_magnitude(card):
    data = types.SimpleNamespace(
        columns=dict(flux_radius=np.array([5.0, 10.0]), mag_auto=np.array([22.0, 23.0])),
        values=dict(real=dict(size=np.array([0.2, 0.3]), amplitude=np.array([1.0, 2.0])),
                    generated=dict(size=np.array([0.4, np.nan]), amplitude=np.array([1.4, 2.0])),
                    parametric=dict(size=np.array([0.1, 0.3]), amplitude=np.array([0.6, 2.0]))),
        numbers=dict(measured_size=np.array([5.5, 10.0]),
                     measured_magnitude=np.array([22.5, 23.0])))
    found = differences(data, card)
    column, size = found["size"]
    assert column.name == "flux_radius"
    np.testing.assert_allclose(size["noiseless"], [np.log(1.1), 0])
    np.testing.assert_allclose(size["observed"], [np.log(2), np.nan])
    np.testing.assert_allclose(size["parametric"], [-np.log(2), 0])
    column, magnitude = found["magnitude"]
    assert column.name == "mag_auto"
    np.testing.assert_allclose(magnitude["noiseless"], [0.5, 0])
    # Ten times the amplitude is 2.5 magnitudes brighter.
    np.testing.assert_allclose(magnitude["observed"], [-1.0, 0], atol=1e-12)
    np.testing.assert_allclose(magnitude["parametric"], [1.0, 0], atol=1e-12)
    assert differences(data, with_columns(card, ("zphot", ""))) == {}
