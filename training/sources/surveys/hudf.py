"""86 isolated galaxies of the Hubble Ultra Deep Field."""

from collections.abc import Iterator
from pathlib import Path

import galsim
import numpy as np
from steps.observed import Observed
from steps.psfs import centred_psf_image

from galsim_deep.observations.collection import Survey

from . import acs

SURVEYS = {"hudf": Survey(
    title="Isolated galaxies of the Hubble Ultra Deep Field",
    origin="HST/ACS, images of the STScI archive, drizzled to 0.03 arcsec; stamps of "
           "github.com/bpRsh/a4e_jedisim_original, commit a4b1512607c41401c7930931af7e3a0c4f32efe1",
    citation="Beckwith et al. 2006, AJ 132, 1729",
    terms="HST images are public data of NASA/ESA (STScI); the repository states no licence",
    notes="Zero beyond a segment, without noise of the sky. The band is not stated; structure and "
          "fluxes of the galaxies that are also in 'hst' agree with F606W. Fluxes of the two "
          "folders of the repository had been scaled; the zero points undo that.")}

# Cut out along blocks, with pieces of sky, with holes or without parts of the galaxy; 23, 25, 26
# and 60 contain parts of another galaxy.
LEAVE_OUT = {0, 23, 25, 26, 29, 33, 40, *range(54, 66), *range(68, 80), *range(81, 86)}
ZERO_POINTS = {"doneall2": 33.19, "ivydoneall3": 26.75}
"""By the folder of the repository: 30, plus the median of the F606W magnitude minus that of the
stamp of the galaxies that are also in 'hst' (11 with a scatter of 0.04, and 9 with 0.06)."""
NOTES = {80: "cut along blocks at its corners"}
PIXEL_SCALE = 0.03
PSF_SIZE = 65


def galaxies(data: Path) -> Iterator[Observed]:
    """The galaxies of the set, from the folder of data."""
    psf = _psf(data)
    with np.load(data / "hudf_86" / "hudf_86.npz") as content:
        images, files = content["images"], content["source_file"]
    for row, image in enumerate(images):
        if row not in LEAVE_OUT:
            yield Observed(
                name=f"hudf-{row:03d}", survey="hudf", band="F606W", wavelength=592.0,
                image=image, psf=psf, psf_scale=PIXEL_SCALE, pixel_scale=PIXEL_SCALE, cut=True,
                notes=NOTES.get(row, ""),
                zero_point=ZERO_POINTS[str(files[row]).split("/")[0]])


def _psf(data: Path) -> np.ndarray:
    """The effective PSF of the stamps.

    The smallest FWHM seen is 0.100 arcsec, that of the COSMOS images in F814W is 0.115 arcsec.  The
    PSF is therefore the mean of the latter with the Gaussian taken out that makes the difference.
    """
    mean = galsim.InterpolatedImage(
        galsim.Image(acs.mean_psf(data), scale=PIXEL_SCALE), flux=1.0)
    broader = galsim.Gaussian(fwhm=np.sqrt(0.115**2 - 0.100**2))
    psf = galsim.Convolve(mean, galsim.Deconvolve(broader))
    return centred_psf_image(psf, PSF_SIZE, PIXEL_SCALE)
