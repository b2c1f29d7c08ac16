"""A PSF replaced by a narrower Gaussian: what is drawn with that Gaussian instead."""

import galsim
import numpy as np
import pytest

from galsim_deep.observations.psf import psf_image
from galsim_deep_training.data.sources.sharpened import (
    LOWEST_TRANSFER,
    NARROWER,
    sharpened,
    transfer_function,
)

SCALE = 0.05
GALAXY = galsim.Exponential(half_light_radius=0.3, flux=3.0).shear(g1=0.2).shift(0.01, -0.02)
PSFS = {"moffat": galsim.Moffat(beta=3.5, fwhm=0.16).shear(g2=0.05),
        "gaussian": galsim.Gaussian(fwhm=0.16)}


def through(psf, size=96, scale=SCALE):
    return galsim.Convolve(GALAXY, psf).drawImage(
        nx=size, ny=size, scale=scale, method="no_pixel", dtype=float).array


@pytest.mark.parametrize("name", PSFS)
@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_the_galaxy_through_the_gaussian(name, ratio):
    """Whatever the size of the pixels in which the PSF is known."""
    psf = PSFS[name]
    image = psf_image(psf, 2 * int(48 / ratio) + 1, ratio * SCALE)
    sharp = sharpened(through(psf), SCALE, image, ratio * SCALE)
    assert sharp.image.shape == (192, 192) and sharp.pixel_scale == 0.5 * SCALE
    assert sharp.image.dtype == np.float32
    expected = through(galsim.Gaussian(sigma=sharp.sigma), 192, 0.5 * SCALE)
    assert np.abs(sharp.image - expected).max() < 0.01 * expected.max()
    assert sharp.image.sum() == pytest.approx(3.0, rel=0.01)


def test_the_gaussian_is_narrower():
    sharp = sharpened(through(PSFS["gaussian"]), SCALE, psf_image(PSFS["gaussian"], 33, SCALE),
                      SCALE)
    assert sharp.sigma == pytest.approx(NARROWER * 0.16 / 2.3548, rel=0.02)


def test_a_sharp_psf():
    """One that passes more than half at the Nyquist frequency is not mistaken for a wide one."""
    psf = galsim.Gaussian(sigma=0.35 * SCALE)
    sharp = sharpened(through(galsim.Gaussian(fwhm=0.16)), SCALE, psf_image(psf, 65, 0.25 * SCALE),
                      0.25 * SCALE)
    assert sharp.sigma == pytest.approx(NARROWER * 0.35 * SCALE, rel=0.1)


def test_transfer_and_amplification():
    sharp = sharpened(through(PSFS["gaussian"]), SCALE, psf_image(PSFS["gaussian"], 65, SCALE),
                      SCALE)
    k = np.linspace(0, 9, 10)
    np.testing.assert_allclose(sharp.transfer_at(k), np.exp(-2 * (np.pi * 0.16 / 2.3548 * k)**2),
                               atol=5e-3)
    expected = np.exp(2 * (1 - NARROWER**2) * (np.pi * 0.16 / 2.3548 * k)**2)
    kept = sharp.transfer_at(k) > 0.05
    np.testing.assert_allclose(sharp.amplification(k)[kept], expected[kept], rtol=0.1)
    # Beyond the Nyquist frequency of the stamp nothing is known, and nothing is amplified.
    assert sharp.transfer_at(np.array([10.5]))[0] == sharp.amplification(np.array([10.5]))[0] == 0


def test_modes_that_the_psf_does_not_pass_are_left_out():
    wide = galsim.Gaussian(fwhm=0.5)
    noise = np.random.default_rng(1).normal(size=(96, 96))
    sharp = sharpened(noise, SCALE, psf_image(wide, 65, SCALE), SCALE)
    power = np.abs(np.fft.fft2(sharp.image))
    k = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(192, sharp.pixel_scale)]))
    beyond = np.exp(-2 * (np.pi * 0.5 / 2.3548 * k)**2) < 0.5 * LOWEST_TRANSFER
    assert power[beyond].max() < 1e-4 * power.max()


def test_the_transfer_function_of_a_shifted_psf():
    psf = galsim.Gaussian(sigma=0.1).shift(0.05, -0.02).drawImage(
        nx=41, ny=41, scale=SCALE, method="no_pixel", dtype=float).array
    ky, kx = np.array([0.0, 1.0, -2.0]), np.array([0.0, 1.5])
    expected = [[np.exp(-2 * (np.pi * 0.1)**2 * (y**2 + x**2)
                        - 2j * np.pi * (0.05 * x - 0.02 * y)) for x in kx] for y in ky]
    np.testing.assert_allclose(transfer_function(psf, SCALE, ky, kx), expected, atol=1e-3)
