"""100 galaxies of CEERS, JWST/NIRCam, each in the band nearest to 500 nm in its frame."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage
from steps.observed import Observed
from steps.segments import no_data

from galsim_deep.observations.collection import Survey

SURVEYS = {"ceers": Survey(
    title="CEERS galaxies at redshift 1 to 4.4, NIRCam",
    origin="JWST/NIRCam, programme ERS 1345; stamps of "
           "github.com/itzliquauhtli/finding_disk_galaxies_research, commit "
           "c664a689685b4f94d85b818189024babed3a0d51; PSFs of "
           "github.com/zezhong233/GALFITS_examples, commit "
           "24808bba27ce47f3543995865fe6aad060a3660b; visual classes of CEERS-EPOCHS (Ferreira et "
           "al. 2023)",
    citation="Finkelstein et al. 2023, ApJ 946, L13 (CEERS); Ferreira et al. 2023, ApJ 955, 94",
    terms="JWST images are public data of NASA/ESA/CSA (STScI); the repositories state no licence",
    notes="The sky column of the set was too high and is not used. The band is the one of F115W, "
          "F150W, F200W and F277W nearest to 500 nm in the galaxy's frame.")}

# Filled or cut over more than 8 to 10 % of their area, or seen to be bad; 6 and 44: bright columns,
# 92: a neighbour covers its edge.
LEAVE_OUT = {6, 44, 92, 9, 16, 18, 25, 29, 32, 43, 45, 53, 54, 59, 63, 64, 66, 75, 81, 86}
WAVELENGTHS = {"f115w": 1154.0, "f150w": 1501.0, "f200w": 1990.0, "f277w": 2786.0}
REST_FRAME = 500.0
"""Wavelength that F814W images of galaxies at the redshifts of most training galaxies show [nm]."""


def galaxies(data: Path) -> Iterator[Observed]:
    """The galaxies of the set, from the folder of data."""
    with np.load(data / "jwst_ceers_100" / "jwst_ceers_7band_100.npz") as file:
        content = dict(file)
    psfs = _psfs(data / "jwst_egs_galfits_9" / "psf_hybrid_nircam_7band.npz")
    bands, lengths = list(WAVELENGTHS), np.array(list(WAVELENGTHS.values()))
    for row in np.flatnonzero(content["good"]):
        if row in LEAVE_OUT:
            continue
        redshift = float(content["redshift"][row])
        band = bands[int(np.abs(lengths / (1 + redshift) - REST_FRAME).argmin())]
        psf, psf_scale = psfs[band]
        others = ndimage.binary_dilation(content["neighbour_mask"][row], iterations=2)
        image = content["images"][row, list(content["bands"]).index(band)]
        yield Observed(
            name=f"ceers-{row:03d}", survey="ceers", band=band.upper(),
            wavelength=WAVELENGTHS[band], image=image,
            usable=~others & ~no_data(image),
            segment=ndimage.binary_fill_holes(content["galaxy_mask"][row]), psf=psf,
            psf_scale=psf_scale, pixel_scale=0.03, zero_point=float(content["zeropoint_ab"]),
            redshift=redshift, ra=float(content["ra"][row]), dec=float(content["dec"][row]),
            visual_class=str(content["visual_class"][row]))


def same(data: Path) -> list[tuple[str, ...]]:
    """Names of galaxies whose stamps share pixels: they are kept on one side of any split."""
    with np.load(data / "jwst_ceers_100" / "jwst_ceers_7band_100.npz") as content:
        groups = content["group"]
    return [tuple(f"ceers-{row:03d}" for row in np.flatnonzero(groups == group))
            for group in np.unique(groups)]


def _psfs(path: Path) -> dict[str, tuple[np.ndarray, float]]:
    """The effective PSF of each band, and the size of its pixels [arcsec].

    It is the mean of those of four pointings.
    """
    psfs = {}
    with np.load(path) as content:
        for band in WAVELENGTHS:
            mean = np.mean([content[f"psf_{band.upper()}_{pointing}"] for pointing in range(4)], 0,
                           dtype=float)
            psfs[band] = mean / mean.sum(), 0.04 if band == "f277w" else 0.02
    return psfs
