"""surveys.sdss: the wings of its PSFs."""

import galsim
import numpy as np
import pytest
from surveys.sdss import with_wings


def test_a_psf_that_was_cut_goes_on():
    """A Moffat profile of beta 1.5 falls off as the third power of the distance."""
    whole = galsim.Moffat(beta=1.5, fwhm=2.8, trunc=18.7).drawImage(
        nx=37, ny=37, scale=1.0, method="no_pixel", dtype=float).array
    whole /= whole.sum()
    cut = whole[13:24, 13:24]
    result = with_wings(cut / cut.sum())
    assert result.shape == (37, 37)
    assert result.sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(result, result[::-1, ::-1])
    np.testing.assert_allclose(result[13:24, 13:24], whole[13:24, 13:24], rtol=0.03)
    assert result[18, 26] == pytest.approx(whole[18, 26], rel=0.15)
    assert result[0, 0] == 0


def test_a_psf_without_wings_stays_as_it_is():
    psf = galsim.Gaussian(sigma=1.2).drawImage(
        nx=11, ny=11, scale=1.0, method="no_pixel", dtype=float).array
    psf /= psf.sum()
    np.testing.assert_allclose(with_wings(psf)[13:24, 13:24], psf, rtol=0.02)
