"""184 nearby spirals of the SDSS, r band, from Galaxy Builder."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy import ndimage
from steps.observed import Observed

from galsim_deep.observations.collection import Survey

SURVEYS = {"sdss": Survey(
    title="Nearby spirals of the SDSS, r band",
    origin="Sloan Digital Sky Survey, DR13 frames; stamps of "
           "github.com/tingard/gzbuilder_data_prep, commit "
           "fbdf24ec7ff671ba94876661d84721496627220a",
    citation="SDSS DR13 (Albareti et al. 2017, ApJS 233, 25); Lingard et al. 2020, ApJ 900, 178 "
             "(Galaxy Builder); Hart et al. 2017, MNRAS 472, 2263; Willett et al. 2013, MNRAS 435, "
             "2835 (Galaxy Zoo 2)",
    terms="SDSS images are public data that may be used with the acknowledgement of the SDSS; the "
          "repository states no licence",
    notes="Moved to where a pixel of 0.396 arcsec spans the size that 0.03 arcsec span, at most to "
          "redshift 1.6.")}

# Images with a wrong sky, stars in the segment or a bad mask, by eye; 21: dark around the galaxy,
# which fills the stamp; 64: two galaxies.
LEAVE_OUT = {21, 64, 105, 198, 212, 217}
PIXEL_SCALE = 0.396
SKY_FLUX = 0.7
"""Sky of the SDSS in a pixel in r [nanomaggies]: 20.9 magnitudes per square arcsec."""


def galaxies(data: Path) -> Iterator[Observed]:
    """The galaxies of the set, from the folder of data."""
    folder = data / "sdss_gzbuilder_spirals_184"
    table = Table.read(folder / "table.csv")
    with np.load(folder / "sdss_r_spirals_184.npz") as content:
        for row in table:
            number = int(row["i"])
            if not row["good"] or number in LEAVE_OUT:
                continue
            # The mask of other objects, where the image is zero, leaves a rim of their light.
            masked = ndimage.binary_dilation(content[f"mask_{number:03d}"], iterations=1)
            image = content[f"image_{number:03d}"]
            yield Observed(
                name=f"sdss-{number:03d}", survey="sdss", band="r", wavelength=616.5, image=image,
                usable=~masked & np.isfinite(image),
                psf=with_wings(content[f"psf_{number:03d}"].astype(float)), psf_scale=PIXEL_SCALE,
                pixel_scale=PIXEL_SCALE, zero_point=22.5, redshift=float(row["z"]), nearby=True,
                sky_flux=SKY_FLUX, own_correlation=True, ra=float(row["ra"]), dec=float(row["dec"]),
                p_bar=_number(row["p_bar"]), pitch_angle=_number(row["psi_gz2"]))


def _number(value: float) -> float:
    """A number of a table; NaN where the table has none."""
    return float(np.ma.filled(value, np.nan))


def with_wings(psf: np.ndarray, size: int = 37) -> np.ndarray:
    """Continue an image of a PSF that was cut at its fifth pixel.

    From its edge, where it falls off as the third power of the distance, to its corners, it goes on
    in that way.  The light out to 7.4 arcsec, the aperture that the SDSS normalises its PSFs in, is
    then 1.  The wings hold about a tenth of it.

    Parameters:
        psf:    Shape [11, 11].
        size:   Pixels on a side of the result, odd.

    Returns:
        float64, shape [size, size], unit sum.
    """
    pad = (size - len(psf)) // 2
    y, x = np.indices((size, size)) - size // 2
    distance = np.hypot(x, y)
    inside = np.maximum(np.abs(x), np.abs(y)) <= len(psf) // 2
    padded = np.pad(psf, pad)
    ring = inside & (distance > len(psf) // 2 - 0.5)
    amplitude = max((padded[ring] * distance[ring] ** 3).mean(), 0.0)
    wings = np.where(distance <= 7.4 / PIXEL_SCALE, amplitude / distance.clip(1) ** 3, 0.0)
    extended = np.where(inside, padded, wings)
    return extended / extended.sum()
