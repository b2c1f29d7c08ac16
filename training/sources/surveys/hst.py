"""201 isolated galaxies of HST/ACS, F814W."""

from collections.abc import Iterator
from pathlib import Path

import galsim
import numpy as np
from steps.observed import Observed
from steps.psfs import centred_psf_image

from galsim_deep.observations.collection import Survey

SURVEYS = {"hst": Survey(
    title="Isolated HST galaxies in F814W",
    origin="HST/ACS, images of the STScI archive; stamps of the Brown University group, from "
           "github.com/bpRsh/a1_data, commit 4f2d071c6b13c4dc6ea8b147ad05a487c269429f; TinyTim PSF "
           "from github.com/bpRsh/a2_devExp_galfit, commit ae807c6059d6",
    citation="NASA/ESA Hubble Space Telescope; part of the field is the Hubble Ultra Deep Field "
             "(Beckwith et al. 2006, AJ 132, 1729)",
    terms="HST images are public data of NASA/ESA (STScI); the repositories state the MIT licence",
    notes="Zero beyond a segment, without noise of the sky. Galaxies fainter than magnitude 24.6 "
          "are left out.")}

FAINTEST = 24.6
# 12: ragged; 1: pieces of neighbours; 83, 184: two galaxies; the others are not resolved.
LEAVE_OUT = {1, 12, 83, 184, 43, 93, 110, 152}
_SAME = [("hst-088", "hst-111"), ("hst-000", "hudf-080"), ("hst-005", "hudf-043"),
         ("hst-028", "hudf-037"), ("hst-040", "hudf-021"), ("hst-082", "hudf-027"),
         ("hst-124", "hudf-022")]
"""Images of one galaxy besides those that correlate: they agree in F606W magnitude, orientation
and, by eye, in structure."""
PIXEL_SCALE = 0.06
PSF_SCALE = 0.03
PSF_SIZE = 65


def galaxies(data: Path) -> Iterator[Observed]:
    """The galaxies of the set, from the folder of data."""
    folder = data / "hst_stamps_3band_201"
    psf = _psf(folder / "f814w_psf_tinytim_0.0231arcsec.fits")
    with np.load(folder / "hst_stamps_f606w_f814w_f125w_201.npz") as content:
        images, magnitudes = content["f814w"], content["f814w_mag"]
        zero_point = float(content["zeropoint_f814w"])
    for row, image in enumerate(images):
        if row not in LEAVE_OUT and magnitudes[row] < FAINTEST:
            yield Observed(
                name=f"hst-{row:03d}", survey="hst", band="F814W", wavelength=804.0, image=image,
                psf=psf, psf_scale=PSF_SCALE, pixel_scale=PIXEL_SCALE, zero_point=zero_point,
                cut=True)


def same(data: Path) -> list[tuple[str, ...]]:
    """Names of images that show the same galaxy."""
    return _SAME


def _psf(path: Path) -> np.ndarray:
    """The effective PSF of the stamps.

    TinyTim gives the optics alone.  To that are added the pixel of ACS (0.05 arcsec), the diffusion
    of charge between its pixels (sigma 0.02 arcsec), the drop of the drizzling (0.03 arcsec) and a
    Gaussian of sigma 0.0285 arcsec.  Without the last one, the twins of these galaxies in the HUDF,
    whose PSF is known, would have 25 to 30 % less structure at 0.12 to 0.22 arcsec than the HUDF
    shows; it stands for the drizzling onto pixels of 0.06 arcsec and errors of the registration.
    """
    optics = galsim.InterpolatedImage(galsim.fits.read(str(path)), scale=0.0231, flux=1.0)
    parts = [optics, galsim.Pixel(0.05), galsim.Gaussian(sigma=0.02), galsim.Pixel(0.03),
             galsim.Gaussian(sigma=0.0285)]
    return centred_psf_image(galsim.Convolve(parts), PSF_SIZE, PSF_SCALE)
