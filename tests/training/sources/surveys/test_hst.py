"""surveys.hst: which galaxies, and their PSF."""

import galsim
import pytest
from surveys import hst


def test_galaxies(reference_data):
    galaxies = list(hst.galaxies(reference_data))
    names = [galaxy.name for galaxy in galaxies]
    assert len(set(names)) == len(names) > 140
    assert all(f"hst-{row:03d}" not in names for row in hst.LEAVE_OUT)
    psf = galaxies[0].psf
    assert psf.shape == (65, 65) and psf.sum() == pytest.approx(1.0)
    fwhm = galsim.InterpolatedImage(galsim.Image(psf, scale=galaxies[0].psf_scale)).calculateFWHM()
    # TinyTim alone has 0.07 arcsec; the stamps have 0.10 to 0.12 arcsec.
    assert 0.105 < fwhm < 0.125
