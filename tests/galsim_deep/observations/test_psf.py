"""Images of PSFs: normalisation and centre."""

import galsim
import numpy as np
import pytest

from galsim_deep.observations.psf import half_light_radius, psf_image, radius_before_psf


def test_psf_image():
    psf = galsim.Moffat(beta=3.0, fwhm=0.1, flux=7.0)
    image = psf_image(psf, 33, 0.03)
    assert image.shape == (33, 33)
    assert image.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.unravel_index(image.argmax(), image.shape) == (16, 16)
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1e-6 * image.max())
    # A PSF that is not centred keeps its centroid.
    moved = psf_image(psf.shift(0.06, 0.0), 33, 0.03)
    assert np.unravel_index(moved.argmax(), moved.shape) == (16, 18)


@pytest.mark.parametrize("scale", [0.02, 0.05])
def test_half_light_radius(scale):
    psf = psf_image(galsim.Moffat(beta=4.0, half_light_radius=0.08), 101, scale)
    assert half_light_radius(psf, scale) == pytest.approx(0.08, rel=0.02)


def test_radius_before_psf():
    """Exact for Gaussians."""
    galaxy, psf = galsim.Gaussian(half_light_radius=0.3), galsim.Gaussian(half_light_radius=0.1)
    observed = galsim.Convolve(galaxy, psf).drawImage(scale=0.02).calculateHLR()
    assert radius_before_psf(np.array([observed]), 0.1)[0] == pytest.approx(0.3, rel=0.02)
    # What is smaller than the PSF has a small radius, but not none.
    np.testing.assert_allclose(radius_before_psf(np.array([0.05]), 0.1), 0.005)
