"""Sizes and magnitudes of profiles that are known."""

import galsim
import numpy as np
import pytest

from galsim_deep.validation.measured_columns import measured_columns


def with_columns(card, *columns):
    """The card with columns of these (quantity, unit, as_observed)."""
    template = card.columns[0]
    return card.model_copy(update=dict(columns=tuple(
        template.model_copy(update=dict(
            name=quantity, quantity=quantity, unit=unit, as_observed=as_observed))
        for quantity, unit, as_observed in columns)))


def exponential(card, radius, magnitude=22.0, size=128):
    """A stamp of the module of this half-light radius [arcsec] and magnitude."""
    flux = 10 ** (-0.4 * (magnitude - card.band().zero_point))
    return galsim.Exponential(half_light_radius=radius, flux=flux).drawImage(
        nx=size, ny=size, scale=card.pixel_scale, dtype=float).array


def test_a_module_without_such_columns(card):
    bare = with_columns(card, ("redshift", "", False), ("largest_angular_size", "arcsec", False))
    stamp = exponential(card, 0.2)
    measured = measured_columns(stamp, stamp, bare, 0.03)
    assert set(measured) == {"size", "magnitude"}
    assert np.isnan(list(measured.values())).all()


@pytest.mark.parametrize("radius", [0.15, 0.3])
@pytest.mark.parametrize("magnitude", [20.0, 25.5])
@pytest.mark.parametrize("unit, per_arcsec", [
    ("pix", 1 / 0.03), ("arcsec", 1.0), ("mas", 1000.0)])
def test_intrinsic_sizes_are_of_the_profile(card, radius, magnitude, unit, per_arcsec):
    card = with_columns(card, ("half_light_radius", unit, False), ("magnitude", "mag", False))
    stamp = exponential(card, radius, magnitude)
    measured = measured_columns(stamp, np.full((128, 128), np.nan), card, 0.03)
    assert measured["size"] == pytest.approx(radius * per_arcsec, rel=0.01)
    # The profile has some light outside of its stamp.
    assert measured["magnitude"] == pytest.approx(magnitude, abs=0.01)


@pytest.mark.parametrize("convolved", [np.full((128, 128), np.nan), np.zeros((128, 128))])
def test_a_profile_without_an_image_has_no_observed_size(card, convolved):
    measured = measured_columns(exponential(card, 0.2), convolved, card, 0.03)
    assert np.isnan(measured["size"]) and np.isfinite(measured["magnitude"])


@pytest.mark.parametrize("pixel_scale", [0.03, 0.06])
@pytest.mark.parametrize("unit, per_arcsec", [("pix", 1 / 0.03), ("arcsec", 1.0)])
def test_observed_sizes_are_of_the_convolved_profile(card, pixel_scale, unit, per_arcsec):
    """In pixels of the module, whatever the pixels of the stamps."""
    card = with_columns(card, ("half_light_radius", unit, True), ("magnitude", "mag", False))
    galaxy, observed = galsim.Gaussian(sigma=0.2, flux=4.0), galsim.Gaussian(sigma=0.25, flux=4.0)
    stamp = galaxy.drawImage(nx=128, ny=128, scale=0.03, method="no_pixel", dtype=float).array
    convolved = observed.drawImage(
        nx=128, ny=128, scale=pixel_scale, method="no_pixel", dtype=float).array
    measured = measured_columns(stamp, convolved, card, pixel_scale)
    # The half-light radius of a Gaussian is 1.1774 sigma.
    assert measured["size"] == pytest.approx(1.17741 * 0.25 * per_arcsec, rel=0.01)
    assert measured["magnitude"] == pytest.approx(
        card.band().zero_point - 2.5 * np.log10(4.0), abs=1e-3)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.filterwarnings("error")
def test_a_stamp_without_light_has_no_size_or_magnitude(card, value):
    measured = measured_columns(
        np.full((128, 128), value), np.zeros((128, 128)), card, 0.03)
    assert np.isnan(measured["size"]) and np.isnan(measured["magnitude"])
