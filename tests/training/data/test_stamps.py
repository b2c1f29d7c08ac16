"""Drawn profiles compared with analytic results and with GalSim."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.data.stamps import band_limited


def fourier(image):
    """Transform about the true centre, with the frequencies [cycles / pixel]."""
    k = np.fft.fftfreq(len(image))
    phase = np.exp(2j * np.pi * k * 0.5 * (len(image) - 1))
    return np.fft.fft2(image) * np.outer(phase, phase), k


@pytest.mark.parametrize("size", [63, 64])
@pytest.mark.parametrize("oversampling", [2, 4])
def test_band_limited_is_the_profile_below_the_taper(size, oversampling):
    """The transform of a galaxy smaller than a pixel is known; it must not be aliased."""
    sigma, scale = 0.5, 0.03
    profile = galsim.Gaussian(sigma=sigma * scale, flux=3.0).shift(0.4 * scale, -0.3 * scale)
    image = band_limited(profile, size, scale, oversampling)
    assert image.shape == (size, size) and image.dtype == float
    assert image.sum() == pytest.approx(3.0, rel=1e-6)
    spectrum, k = fourier(image)
    ky, kx = np.meshgrid(k, k, indexing="ij")
    expected = 3.0 * np.exp(-2 * (np.pi * sigma)**2 * (kx**2 + ky**2)
                            - 2j * np.pi * (0.4 * kx - 0.3 * ky))
    below = (np.abs(kx) < 0.42) & (np.abs(ky) < 0.42)
    np.testing.assert_allclose(spectrum[below], expected[below],
                               atol=0.02 if oversampling == 2 else 1e-4)
    # Nothing is left at the Nyquist frequency; sampling at pixel centres would leave a lot.
    beyond = np.maximum(np.abs(kx), np.abs(ky)) > 0.498
    if beyond.any():
        assert np.abs(spectrum[beyond]).max() < 1e-6


def test_band_limited_does_not_depend_on_where_the_pixels_lie():
    profile = galsim.Gaussian(sigma=0.4)
    still = band_limited(profile, 48, 1.0)
    moved = band_limited(profile.shift(3.0, -2.0), 48, 1.0)
    np.testing.assert_allclose(moved, np.roll(still, (-2, 3), (0, 1)), atol=1e-9)
    half = band_limited(profile.shift(0.5, 0.0), 48, 1.0)
    assert half.sum() == pytest.approx(still.sum(), rel=1e-9)


def test_band_limited_leaves_smooth_profiles_alone():
    profile = galsim.Gaussian(sigma=3.0).shear(g1=0.2)
    expected = profile.drawImage(nx=64, ny=64, scale=1.0, method="no_pixel", dtype=float).array
    np.testing.assert_allclose(band_limited(profile, 64, 1.0, 2), expected, atol=1e-7)
