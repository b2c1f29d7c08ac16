"""Measurements on stamps against profiles whose answer is known."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.data.stamps import flux_radius, psf_image, read_psfs


def drawn(profile, size=64, scale=1.0):
    return profile.drawImage(nx=size, ny=size, scale=scale, method="no_pixel", dtype=float).array


@pytest.mark.parametrize("profile, radius", [
    (galsim.Gaussian(sigma=3.0), 3.0 * np.sqrt(2 * np.log(2))),
    (galsim.Gaussian(half_light_radius=5.0), 5.0),
    (galsim.Exponential(half_light_radius=5.0), 5.0),
    (galsim.Moffat(beta=3.0, half_light_radius=4.0, trunc=30.0), 4.0),
], ids=str)
def test_flux_radius_of_known_profiles(profile, radius):
    # Pixels count whole, so a radius of a few of them comes in small steps.
    assert flux_radius(drawn(profile, 96)) == pytest.approx(radius, rel=0.06)


def test_flux_radius_is_about_the_centroid_and_for_any_flux():
    profile = galsim.Gaussian(half_light_radius=5.0)
    expected = flux_radius(drawn(profile))
    # A whole number of pixels: the same numbers elsewhere on the stamp.
    assert flux_radius(drawn(profile.shift(7, -4))) == pytest.approx(expected, rel=1e-3)
    assert flux_radius(1e-3 * drawn(profile)) == pytest.approx(expected, rel=1e-9)
    assert flux_radius(drawn(profile).astype(np.float32)) == pytest.approx(expected, rel=1e-4)


def test_flux_radius_scales_with_the_galaxy():
    radii = [flux_radius(drawn(galsim.Exponential(half_light_radius=r), 128)) for r in (4.0, 8.0)]
    assert radii[1] / radii[0] == pytest.approx(2.0, rel=0.06)


def test_psf_image():
    psf = galsim.Moffat(beta=3.0, fwhm=0.1, flux=7.0)
    image = psf_image(psf, 33, 0.03)
    assert image.shape == (33, 33)
    assert image.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.unravel_index(image.argmax(), image.shape) == (16, 16)
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1e-6 * image.max())
    # Off the middle it stays off the middle.
    moved = psf_image(psf.shift(0.06, 0.0), 33, 0.03)
    assert np.unravel_index(moved.argmax(), moved.shape) == (16, 18)


def test_read_psfs(survey):
    catalog = survey / "real_galaxy_catalog.fits"
    profiles, images = read_psfs(catalog, 17, 0.03)
    assert len(profiles) == 12 and images.shape == (12, 17, 17)
    np.testing.assert_allclose(images.sum(axis=(1, 2)), 1.0, atol=1e-12)
    original = galsim.RealGalaxyCatalog(str(catalog)).getPSFImage(4).array
    # 25 x 33 pixels of the same size: the 17 x 17 in the middle, but for the norm.
    middle = original[8:25, 4:21]
    np.testing.assert_allclose(images[4], middle / middle.sum(), atol=1e-4 * middle.max())
