"""Prepared galaxies: flux, size, position, noise, for sky and for segments."""

import dataclasses

import galsim
import numpy as np
import pytest

from galsim_deep.observations.psf import psf_image
from galsim_deep_training.data.sources import prepared

SCALE, SIZE, PSF = 0.05, 100, galsim.Moffat(beta=3.5, fwhm=0.14)
NOISE = 2e-4


@pytest.fixture(scope="module")
def observed(collected):
    """``observed(q=0.7, noise=..., cut=False)``: a disc of flux 2, observed."""

    def make(q=0.7, noise=NOISE, cut=False, seed=1, **changes):
        galaxy = galsim.Exponential(half_light_radius=0.4, flux=2.0).shear(
            q=q, beta=25 * galsim.degrees)
        image = galsim.Convolve(galaxy, PSF).drawImage(
            nx=SIZE, ny=SIZE, scale=SCALE, offset=(2.3, -1.2), method="no_pixel", dtype=float).array
        image = (np.where(image > 0.005 * image.max(), image, 0.0) if cut
                 else image + np.random.default_rng(seed).normal(0, noise, image.shape))
        return collected("disc", **dict(dict(
            image=image, usable=np.ones(image.shape, bool), psf=psf_image(PSF, 41, SCALE),
            psf_scale=SCALE, noise_correlation=None, pixel_scale=SCALE, noise_sigma=noise,
            noise_inside=noise, cut=cut, x=51.8, y=48.3, half_light_radius=0.4, sersic_n=1.0,
            axis_ratio=q, position_angle=25.0), **changes))

    return make


@pytest.mark.parametrize("cut", [False, True])
def test_flux_size_and_position(observed, cut):
    source = prepared(observed(cut=cut), weight=0.5)
    assert (source.name, source.survey, source.weight, source.redshift) == (
        "disc", "made", 0.5, 0.5)
    assert source.sharp.image.sum() == pytest.approx(1, abs=1e-6)
    assert source.profile.flux == pytest.approx(1)
    assert abs(source.profile.centroid.x) < 1e-9 and abs(source.profile.centroid.y) < 1e-9
    # The circle with half of the light, which GalSim measures as well.
    truth = galsim.Exponential(half_light_radius=0.4).shear(q=0.7, beta=25 * galsim.degrees)
    assert source.radius == pytest.approx(truth.calculateHLR(), rel=0.03)
    assert source.circularised == pytest.approx(0.4, rel=0.03)


def test_an_inclined_disc_has_a_larger_circle(observed):
    source = prepared(observed(q=0.3), 1.0)
    assert source.circularised == pytest.approx(0.4, rel=0.05)
    assert source.radius > 1.15 * source.circularised


def test_there_is_no_light_beyond_its_extent(observed):
    source = prepared(observed(noise=1e-6), 1.0)
    image = source.sharp.image
    y, x = (np.indices(image.shape) - 0.5 * (len(image) - 1)) * source.sharp.pixel_scale
    assert np.abs(image[np.hypot(x, y) > source.extent]).max() < 1e-4 * image.max()
    assert source.extent < 10 * 0.4 / np.sqrt(0.7)


def test_the_noise_of_a_galaxy_on_sky(observed):
    source = prepared(observed(), 1.0)
    assert source.noise.sigma == pytest.approx(0.5 * NOISE, rel=0.05)
    assert source.noise.pixel_scale == SCALE
    np.testing.assert_allclose(source.noise.power_at(np.array([0.0, 3.0, 10.0])), 1.0)
    share = source.noise.share
    assert share.max() == pytest.approx(1, abs=0.05) and share[0].max() == share[:, 0].max() == 0


def test_photon_noise_is_added(observed):
    without = prepared(observed(), 1.0).noise
    galaxy = observed(photon_variance=1e-4)
    noise = prepared(galaxy, 1.0).noise
    core = galaxy.image.max()
    assert without.sigma < noise.sigma < 0.5 * np.sqrt(NOISE**2 + 1e-4 * core)
    # It is less where the galaxy is faint.
    outside = (without.share > 0.9) & (noise.share < 0.5)
    assert outside.sum() > 100


def test_correlated_noise(observed):
    correlation = np.zeros((3, 3))
    correlation[1] = 0.25, 1.0, 0.25
    correlation[:, 1] = 0.25, 1.0, 0.25
    power = prepared(observed(noise_correlation=correlation), 1.0).noise.power_at(
        np.array([0.0, 9.9]))
    assert power[0] == pytest.approx(2.0, rel=0.05) and power[1] < 0.9


def test_a_galaxy_cut_at_a_segment_has_noise_within(observed):
    galaxy = observed(cut=True)
    noise = prepared(galaxy, 1.0).noise
    assert noise.sigma == pytest.approx(0.5 * NOISE, rel=0.1)
    assert set(np.unique(noise.share)) <= {0.0, 1.0}


def test_the_angle_of_a_galaxy_does_not_matter(observed):
    """A galaxy and its mirror image are prepared alike."""
    galaxy = observed(noise=1e-6)
    mirrored = dataclasses.replace(
        galaxy, image=galaxy.image[:, ::-1], x=SIZE - 1 - galaxy.x, position_angle=155.0)
    one, other = prepared(galaxy, 1.0), prepared(mirrored, 1.0)
    assert one.radius == pytest.approx(other.radius, rel=1e-3)
    assert one.extent == pytest.approx(other.extent, rel=0.05)


def test_a_stamp_without_a_galaxy(observed):
    galaxy = observed()
    with pytest.raises(galsim.GalSimError, match="'disc' .*exceed the noise.*leave_out"):
        prepared(dataclasses.replace(galaxy, image=0 * galaxy.image), 1.0)
