"""surveys.hudf: which galaxies, and their PSF."""

import galsim
import numpy as np
import pytest
from surveys import hudf


def test_galaxies(reference_data):
    galaxies = list(hudf.galaxies(reference_data))
    names = [galaxy.name for galaxy in galaxies]
    assert all(f"hudf-{row:03d}" not in names for row in hudf.LEAVE_OUT)
    assert len(names) == 86 - len(hudf.LEAVE_OUT)
    psf = galaxies[0].psf
    assert psf.sum() == pytest.approx(1.0)
    fwhm = galsim.InterpolatedImage(galsim.Image(psf, scale=0.03)).calculateFWHM()
    assert fwhm == pytest.approx(0.1, abs=0.01)


def test_both_folders_give_the_same_magnitude(reference_data):
    """Rows 5 and 66 show one galaxy; their fluxes differ by a factor of 370."""
    flux = {galaxy.name: galaxy.zero_point - 2.5 * np.log10(galaxy.image.sum())
            for galaxy in hudf.galaxies(reference_data)}
    assert flux["hudf-005"] == pytest.approx(flux["hudf-066"], abs=0.1)
