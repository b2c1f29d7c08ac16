"""Large galaxies from examples and tests of public programs: SDSS, KiDS, Spitzer."""

from collections.abc import Iterator
from pathlib import Path

import galsim
import numpy as np
from astropy.table import Table
from steps.observed import Observed
from steps.segments import find_segments

from galsim_deep.observations.collection import Survey
from galsim_deep.observations.psf import psf_image

_MOVED = "Moved to where a pixel spans the size that 0.03 arcsec span, at most to redshift 1.6. "
SURVEYS = {
    "sdss_dr7": Survey(
        title="Spirals of the SDSS, r band, test images of SpArcFiRe",
        origin="Sloan Digital Sky Survey, DR7 and DR8 frames; from "
               "github.com/waynebhayes/SpArcFiRe, commit e33d43e0",
        citation="SDSS DR7 (Abazajian et al. 2009, ApJS 182, 543); Davis & Hayes 2014, ApJ 790, 87 "
                 "(SpArcFiRe)",
        terms="SDSS images are public data that may be used with the acknowledgement of the SDSS; "
              "the repository states no licence",
        notes=_MOVED + "The PSF is a guess, a Moffat profile of 3.1 pixels. Redshifts are not "
                       "known; for magnitudes, 0.03 is assumed."),
    "kids": Survey(
        title="GAMA galaxies in KiDS, r band",
        origin="ESO VLT Survey Telescope, Kilo-Degree Survey; from github.com/ICRAR/ProFit, "
               "commit 4973b532",
        citation="de Jong et al. 2015, A&A 582, A62 (KiDS); Robotham et al. 2017, MNRAS 466, 1513 "
                 "(ProFit)",
        terms="KiDS images are public data of an ESO survey; the repository is under LGPL-3",
        notes=_MOVED + "Redshifts are not known; for magnitudes, 0.1 is assumed."),
    "spitzer": Survey(
        title="NGC 5033 at 3.6 micrometres",
        origin="Spitzer Space Telescope, IRAC; from "
               "github.com/J-Spitzak/spiral-galaxy-2DFFT-experiments, commit f783fd34",
        citation="Fazio et al. 2004, ApJS 154, 10 (IRAC); Kennicutt et al. 2003, PASP 115, 928 "
                 "(SINGS)",
        terms="Spitzer images are public data of NASA (IRSA); the repository states no licence",
        notes=_MOVED + "The PSF is a guess, a Gaussian of 1.7 arcsec. The unit is taken to be "
                       "MJy/sr."),
}

# Blends, stars in the segment, or faint.  An interacting spiral of HSC is not used either: too much
# sky had been taken off around it.
LEAVE_OUT = {"1237667735062577326", "1237671124293910779", "1237655128770347419",
             "1237657776084222119"}

UNIT = 1e10
"""What the fluxes of KiDS, with a zero point of 0, are multiplied by."""


def galaxies(data: Path) -> Iterator[Observed]:
    """The galaxies of the sets, from the folder of data."""
    folder = data / "misc_linear_resolved"
    table = Table.read(folder / "table.csv")
    with np.load(folder / "misc_linear.npz") as content:
        for row in table:
            key = str(row["key"])
            if key.startswith("sdss_") and key.removeprefix("sdss_") not in LEAVE_OUT:
                yield _sdss(key, content[key], float(row["sky"]))
            elif key.startswith("kids_"):
                yield _kids(key, content)
        image = content["ngc5033_irac1"]
        # It fills the frame: what is not connected with its segment is its arms.
        segment, _ = find_segments(image, np.isfinite(image), 1.0)
        yield Observed(
            name="spitzer-ngc5033", survey="spitzer", band="IRAC 3.6", wavelength=3550.0,
            image=image, segment=segment, psf=_gaussian(1.7, 0.3662), psf_scale=0.3662,
            pixel_scale=0.3662, zero_point=22.654, nearby=True, redshift=0.0029)


def _sdss(key: str, image: np.ndarray, sky: float) -> Observed:
    # Raw frames count in steps of 0.00506 nanomaggies, by the noise of the sky in both units.
    raw = sky > 10
    return Observed(
        name=f"sdss-dr7-{key.removeprefix('sdss_')}", survey="sdss_dr7", band="r",
        wavelength=616.5, image=image, psf=_moffat(3.1 * 0.396, 0.396), psf_scale=0.396,
        pixel_scale=0.396, zero_point=28.24 if raw else 22.5, nearby=True, likely_redshift=0.03,
        sky_flux=0.7 / 0.00506 if raw else 0.7, contrast=0.02, notes="the PSF is a guess")


def _kids(key: str, content: np.lib.npyio.NpzFile) -> Observed:
    image, sigma = content[key], content[f"{key}_sigma"]
    masked = content[f"{key}_mskim"]
    psf = content[f"{key}_psfim"].astype(float)
    image, sigma = UNIT * image.astype(float), UNIT * sigma.astype(float)
    # The segment of the file has parts of other objects.
    segment, others = find_segments(image, ~masked, 0.01)
    # The maps of the noise contain the photons of the galaxy.
    inside = segment & ~masked & np.isfinite(sigma)
    photons = np.polyfit(image[inside], sigma[inside] ** 2, 1)[0]
    return Observed(
        name=f"kids-{key.removeprefix('kids_').lower()}", survey="kids", band="r", wavelength=625.0,
        image=image, usable=~(masked | others), segment=segment, psf=psf / psf.sum(), psf_scale=0.2,
        pixel_scale=0.2, zero_point=25.0, nearby=True, likely_redshift=0.1,
        photons=max(float(photons), 0.0))


def _moffat(fwhm: float, scale: float) -> np.ndarray:
    return psf_image(galsim.Moffat(beta=3.5, fwhm=fwhm), 37, scale)


def _gaussian(fwhm: float, scale: float) -> np.ndarray:
    return psf_image(galsim.Gaussian(fwhm=fwhm), 37, scale)
