"""Images of PSFs: normalisation and centre."""

import galsim
import numpy as np
import pytest

from galsim_deep.observations.psf import psf_image


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
