"""steps.psfs: PSFs are centred."""

import galsim
import numpy as np
import pytest
from steps.psfs import centred_psf_image


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.013, -0.02), (0.05, 0.04)])
def test_the_offset_is_taken_out(shift):
    psf = galsim.Moffat(beta=3.0, fwhm=0.11).shear(g1=0.02)
    image = centred_psf_image(psf.shift(*shift), 33, 0.03)
    expected = centred_psf_image(psf, 33, 0.03)
    assert image.sum() == pytest.approx(1.0)
    assert np.unravel_index(image.argmax(), image.shape) == (16, 16)
    np.testing.assert_allclose(image, expected, atol=0.01 * expected.max())
