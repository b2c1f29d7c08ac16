"""Stamps of COSMOS and AEGIS as modules are validated with, and what COSMOS observes with."""

from collections.abc import Iterator
from pathlib import Path

import galsim
import numpy as np
from astropy.io import fits
from astropy.table import Table
from steps.observed import Observed
from steps.psfs import centred_psf_image

from galsim_deep.observations.collection import Conditions, Survey
from galsim_deep.observations.noise import read_correlation
from galsim_deep.observations.real_catalog import RealCatalog

_TERMS = "HST images are public data of NASA/ESA (STScI); "
SURVEYS = {
    "cosmos": Survey(
        title="COSMOS galaxies in F814W, for validation",
        origin="HST/ACS, COSMOS, as galsim.RealGalaxyCatalog; from "
               "github.com/LSSTDESC/BlendingToolKit, commit 6901e8ce, "
               "github.com/swagnercarena/paltas, commit "
               "3cebbd49b001f089a07634c488ea360fee9dda83, "
               "github.com/LSST-strong-lensing/slsim, commit "
               "47f9dd765228ef52d43bab6df41d60c300ed9fd5, "
               "github.com/GalSim-developers/GalSim, commit "
               "ee177aa50424dbbc5cec4a71cadd6297109c2aa1 and github.com/dr-guangtou/hs_galphot, "
               "commit 3e1e376f",
        citation="Scoville et al. 2007, ApJS 172, 38; Koekemoer et al. 2007, ApJS 172, 196; "
                 "Mandelbaum et al. 2014, ApJS 212, 5 (GREAT3)",
        terms=_TERMS + "the repositories state the MIT and BSD licences",
        notes="As observed: sky, noise and PSF are real. Never used for training."),
    "aegis": Survey(
        title="AEGIS galaxies in F606W and F814W, for validation",
        origin="HST/ACS, AEGIS, as galsim.RealGalaxyCatalog; from "
               "github.com/GalSim-developers/GalSim, commit "
               "ee177aa50424dbbc5cec4a71cadd6297109c2aa1",
        citation="Davis et al. 2007, ApJ 660, L1; Rowe et al. 2015, Astronomy and Computing 10, "
                 "121 (GalSim)",
        terms=_TERMS + "the repository states a BSD licence",
        notes="As observed: sky, noise and PSF are real. Never used for training."),
}

ZERO_POINT = 25.94
PIXEL_SCALE = 0.03
PSF_SIZE = 65
EXPOSURE_TIMES = {("cosmos", "F814W"): 2028.0, ("aegis", "F606W"): 2260.0,
                  ("aegis", "F814W"): 2100.0}
"""Of each survey and band [s]; images are in e-/s (Koekemoer et al. 2007; Davis et al. 2007)."""
_RATIO = 0.8 / 0.6
NOISE_RATIO = _RATIO / (1 - 1 / (3 * _RATIO))
"""By how much drizzling with drops of 0.8 to pixels of 0.6 reduces the noise of a pixel, part of
which becomes noise that is correlated (Fruchter & Hook 2002, PASP 114, 144, eq. 9)."""
_CATALOGUES = (("cosmos_f814w_50/real_galaxy_catalog.fits", PSF_SIZE),
               ("cosmos_misc/galsim_example_catalog/real_galaxy_catalog_23.5_example.fits",
                PSF_SIZE))


def conditions(data: Path) -> Conditions:
    """What COSMOS observes with in F814W: distinct PSFs, and the noise."""
    psfs: dict[bytes, np.ndarray] = {}
    variances: dict[bytes, float] = {}
    for name, size in _CATALOGUES:
        catalog = RealCatalog(data / name)
        for row in range(len(catalog)):
            psf = catalog.psf_image(row, size, PIXEL_SCALE)
            key = psf.astype(np.float32).tobytes()
            psfs.setdefault(key, psf)
            variances.setdefault(key, float(catalog.noise_sigma[row]) ** 2)
    correlation = read_correlation(data / "cosmos_f814w_50" / "acs_I_unrot_sci_20_cf.fits")
    return Conditions(psf=np.array(list(psfs.values())),
                      noise_variance=np.array(list(variances.values())),
                      noise_correlation=correlation, zero_point=ZERO_POINT,
                      pixel_scale=PIXEL_SCALE)


def mean_psf(data: Path) -> np.ndarray:
    """The mean effective PSF of COSMOS in F814W, [65, 65]."""
    mean = galsim.Image(conditions(data).psf.mean(0), scale=PIXEL_SCALE)
    return centred_psf_image(galsim.InterpolatedImage(mean, flux=1.0), PSF_SIZE, PIXEL_SCALE)


def galaxies(data: Path) -> Iterator[Observed]:
    """The stamps for validation, from the folder of data."""
    mean = mean_psf(data)
    correlation = read_correlation(data / "cosmos_f814w_50" / "acs_I_unrot_sci_20_cf.fits", 21)
    no_psf = "its own PSF is not known: the mean of COSMOS"
    catalog = RealCatalog(data / "cosmos_f814w_50" / "real_galaxy_catalog.fits")
    redshifts = catalog.column("ZPHOT")
    magnitudes = catalog.column("MAG")
    ra, dec = catalog.column("RA"), catalog.column("DEC")
    for row in range(len(catalog)):
        yield _stamp(f"cosmos-{row:02d}", "cosmos", "F814W", catalog.stamp(row),
                     centred_psf_image(catalog.galaxies.getPSF(row), PSF_SIZE, PIXEL_SCALE),
                     redshift=redshifts[row], magnitude=magnitudes[row], ra=ra[row], dec=dec[row],
                     sky=0.0, correlation=correlation,
                     noise_sigma=float(catalog.noise_sigma[row]))
    for folder, catalogue in (("paltas_10", "real_galaxy_catalog_23.5"),
                              ("slsim_2", "real_galaxy_catalog_23.5")):
        path = data / "cosmos_misc" / folder
        rows = Table.read(path / f"{catalogue}.fits")
        zphot = dict(Table.read(path / f"{catalogue}_fits.fits")["IDENT", "zphot"].iterrows())
        for row in rows:
            hdu = int(row["GAL_HDU"])
            if folder == "slsim_2":
                # The file holds its galaxies from the second HDU on, in the catalogue's order.
                hdu = 1 + list(rows["IDENT"]).index(row["IDENT"])
            image = fits.getdata(path / str(row["GAL_FILENAME"]).strip(), hdu)
            yield _stamp(f"cosmos-{row['IDENT']}", "cosmos", "F814W", image, mean, notes=no_psf,
                         redshift=float(zphot[row["IDENT"]]), **_known(row, correlation))
    tests = data / "cosmos_misc" / "galsim_tests"
    for band, name in (("F606W", "AEGIS_F606w_catalog"), ("F814W", "AEGIS_F814w_catalog")):
        for row in Table.read(tests / f"{name}.fits"):
            image = fits.getdata(tests / str(row["GAL_FILENAME"]).strip(), int(row["GAL_HDU"]))
            psf = fits.getdata(tests / str(row["PSF_FILENAME"]).strip(), int(row["PSF_HDU"]))
            star = galsim.InterpolatedImage(
                galsim.Image(psf.astype(float), scale=PIXEL_SCALE), flux=1.0)
            yield _stamp(f"aegis-{row['IDENT']}-{band.lower()}", "aegis", band, image,
                         centred_psf_image(star, 33, PIXEL_SCALE), **_known(row, correlation))
    with np.load(data / "misc_linear_resolved" / "misc_linear.npz") as content:
        image, psf = content["cosmos_1_f814w"], content["cosmos_1_f814w_psf"].astype(float)
    star = galsim.InterpolatedImage(galsim.Image(psf, scale=PIXEL_SCALE), flux=1.0)
    yield _stamp("cosmos-photometry-1", "cosmos", "F814W", image,
                 centred_psf_image(star, PSF_SIZE, PIXEL_SCALE))


def _known(row: Table.Row, correlation: np.ndarray) -> dict:
    """What a catalogue says about a stamp, whose sky was taken off when it was made."""
    return dict(magnitude=float(row["MAG"]), ra=float(row["RA"]), dec=float(row["DEC"]), sky=0.0,
                correlation=correlation,
                noise_sigma=float(np.sqrt(row["NOISE_VARIANCE"])))


def _stamp(name: str, survey: str, band: str, image: np.ndarray, psf: np.ndarray,
           **known) -> Observed:
    zero_point = {("cosmos", "F814W"): 25.94, ("aegis", "F814W"): 25.94,
                  ("aegis", "F606W"): 26.49}[survey, band]
    return Observed(
        name=name, survey=survey, band=band, wavelength=804.0 if band == "F814W" else 592.0,
        image=image, psf=psf, psf_scale=PIXEL_SCALE, pixel_scale=PIXEL_SCALE,
        zero_point=zero_point, judge_only=True,
        photons=1 / (EXPOSURE_TIMES[survey, band] * NOISE_RATIO**2), **known)
