"""steps.prepared: from an observed stamp to a galaxy of the collection."""

import galsim
import numpy as np
import pytest
from steps.distance import moved_redshift
from steps.observed import Observed
from steps.prepared import cleaned, prepared
from steps.sky import correlation_of

PSF = galsim.Gaussian(fwhm=0.1)
FLUX, RADIUS = 2000.0, 0.24


def observed(noise=0.05, sky=3.0, side=151, neighbour=True, **changes):
    """A disc of magnitude 25 - 2.5 log10(2000), with a sky, noise, and a neighbour."""
    scale = changes.pop("scale", 0.03)
    galaxy = galsim.Exponential(half_light_radius=RADIUS, flux=FLUX).shear(
        q=0.7, beta=40 * galsim.degrees).shift(0.06, -0.03)
    if neighbour:
        galaxy += galsim.Gaussian(sigma=0.06, flux=100.0).shift(1.5, 0.9)
    image = galsim.Convolve(galaxy, PSF).drawImage(
        nx=side, ny=side, scale=scale, method="no_pixel", dtype=float).array
    psf = PSF.drawImage(nx=33, ny=33, scale=0.02, method="no_pixel", dtype=float).array
    image += sky + np.random.default_rng(1).normal(0.0, noise, image.shape)
    values = dict(name="one", survey="made", band="V", wavelength=550.0, image=image,
                  psf=psf / psf.sum(), psf_scale=0.02, pixel_scale=scale, zero_point=25.0,
                  redshift=0.1)
    return Observed(**(values | changes))


def measured(seen):
    clean = cleaned(seen)
    return prepared(clean, None if clean.sums is None else correlation_of(*clean.sums))


def test_a_galaxy_with_sky():
    galaxy = measured(observed())
    assert galaxy.magnitude == pytest.approx(25 - 2.5 * np.log10(FLUX), abs=0.03)
    assert galaxy.half_light_radius == pytest.approx(RADIUS, rel=0.03)
    assert galaxy.flux_radius == pytest.approx(0.247, rel=0.05)
    assert galaxy.sersic_n == pytest.approx(1.0, abs=0.1)
    assert galaxy.axis_ratio == pytest.approx(0.7, abs=0.03)
    assert galaxy.position_angle == pytest.approx(40, abs=3)
    assert galaxy.noise_sigma == galaxy.noise_inside == pytest.approx(0.05, rel=0.05)
    assert galaxy.rest_wavelength == pytest.approx(500.0)
    middle = len(galaxy.image) // 2
    assert (galaxy.x, galaxy.y) == pytest.approx((middle, middle), abs=0.6)
    assert galaxy.image[:5].mean() == pytest.approx(0.0, abs=0.01)


def test_the_neighbour_is_marked_and_does_not_count():
    galaxy, alone = measured(observed()), measured(observed(neighbour=False))
    x, y = int(galaxy.x + 48), int(galaxy.y + 31)
    assert not galaxy.usable[y, x] and galaxy.usable[int(galaxy.y), int(galaxy.x)]
    assert galaxy.magnitude == pytest.approx(alone.magnitude, abs=0.01)
    assert 0 < galaxy.lost_light < 0.02


def test_the_sky_does_not_matter():
    low, high = measured(observed(sky=0.0)), measured(observed(sky=200.0))
    assert low.magnitude == pytest.approx(high.magnitude, abs=1e-4)
    np.testing.assert_allclose(low.image, high.image, atol=1e-3)


def test_a_nearby_galaxy_is_moved():
    near = measured(observed(scale=0.06))
    moved = measured(observed(scale=0.06, nearby=True))
    redshift = moved_redshift(0.1, 0.06)
    assert (moved.pixel_scale, moved.psf_scale) == pytest.approx((0.03, 0.01))
    assert moved.original_pixel_scale == 0.06 and moved.original_redshift == 0.1
    assert moved.redshift == redshift > 0.2
    assert moved.half_light_radius == pytest.approx(near.half_light_radius / 2)
    assert moved.magnitude - near.magnitude == pytest.approx(
        5 * np.log10(2) + 10 * np.log10((1 + redshift) / 1.1), abs=0.01)
    assert moved.magnitude == pytest.approx(
        moved.zero_point - 2.5 * np.log10(10 ** (0.4 * (25.0 - near.magnitude))), abs=0.01)


def test_without_a_redshift_a_likely_one_gives_the_magnitude():
    known = measured(observed(scale=0.06, nearby=True))
    unknown = measured(observed(scale=0.06, nearby=True, redshift=np.nan, likely_redshift=0.1))
    assert np.isnan(unknown.redshift) and np.isnan(unknown.rest_wavelength)
    assert unknown.magnitude == known.magnitude


def test_a_galaxy_cut_at_a_segment():
    seen = observed(noise=0.02, sky=0.0, neighbour=False)
    segment = seen.image > 0.3
    segment[70:73, 78:80] = False  # a hole
    segment[5, 5] = True  # a speck
    galaxy = measured(observed(noise=0.02, sky=0.0, cut=True, neighbour=False,
                               image=np.where(segment, seen.image.clip(0.01), 0.0)))
    assert galaxy.cut and galaxy.noise_sigma == 0 and galaxy.noise_correlation is None
    assert galaxy.noise_inside == pytest.approx(0.02, rel=0.3)
    assert 6 <= (~galaxy.usable).sum() < 12  # noise makes holes at the edge
    assert (galaxy.image[~galaxy.usable] == 0).all()
    assert galaxy.image[0, 0] == 0 and galaxy.usable[0, 0]
    assert len(galaxy.image) < 90
    assert galaxy.half_light_radius == pytest.approx(RADIUS, rel=0.1)


def test_what_is_known_is_not_measured():
    seen = observed(sky=0.0, noise_sigma=0.07, magnitude=16.5)
    seen.sky = 0.5
    clean = cleaned(seen)
    assert clean.sky == "known" and clean.sigma == 0.07
    assert prepared(clean, None).magnitude == 16.5


def test_a_galaxy_at_the_edge_is_padded_with_pixels_that_cannot_be_used():
    seen = observed(neighbour=False)
    seen.image = seen.image[:, 50:]
    galaxy = measured(seen)
    assert galaxy.image.shape[0] == galaxy.image.shape[1]
    assert not galaxy.usable[:, 0].any()
    assert galaxy.usable.sum() == seen.image.size
    assert (galaxy.image[~galaxy.usable] == 0).all()


def test_photon_noise_follows_from_the_flux_of_the_sky():
    galaxy = measured(observed(sky_flux=0.5))
    assert galaxy.photon_variance == pytest.approx(galaxy.noise_sigma**2 / 0.5)
    assert galaxy.signal_to_noise < measured(observed()).signal_to_noise
