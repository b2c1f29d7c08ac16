"""Fields of COSMOS-Web around bright galaxies, JWST/NIRCam: 20 in F115W, 105 in F444W."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage
from steps.observed import Observed
from steps.segments import no_data

from galsim_deep.observations.collection import Survey

SURVEYS = {"cosmosweb": Survey(
    title="Galaxies of COSMOS-Web, NIRCam F115W and F444W",
    origin="JWST/NIRCam, programme GO 1727; stamps of "
           "github.com/Jammy2211/BSc_Galaxies_Project, commit "
           "72d54208f32918790ad058ac7dbb08101985dbe2",
    citation="Casey et al. 2023, ApJ 954, 31 (COSMOS-Web); Nightingale et al. 2021, JOSS 6, 2825 "
             "(PyAutoLens)",
    terms="JWST images are public data of NASA/ESA/CSA (STScI); the repository states no licence",
    notes="The files do not name the survey; format and PSFs are those of COSMOS-Web. Their unit "
          "is taken to be MJy/sr. F444W is smooth: it serves for small and smooth galaxies only.")}

# Bad sizes, large halos; in F444W, neighbours that touch the galaxy, and 58, not resolved.
LEAVE_OUT_F115W = {7, 8, 10, 14}
LEAVE_OUT_F444W = {39, 40, 41, 49, 52, 58}
ZERO_POINTS = {"F115W": 28.0865, "F444W": 26.5813}
"""Of MJy/sr in pixels of 0.03 and 0.06 arcsec."""


def galaxies(data: Path) -> Iterator[Observed]:
    """The galaxies of the set, from the folder of data."""
    folder = data / "jwst_cosmosweb_f444w_105"
    with np.load(folder / "jwst_f115w_20.npz") as content:
        images, psfs = content["f115w"], content["psf_f115w"].astype(float)
        fields = content["index_in_f444w"]
    for row, image in enumerate(images):
        if row not in LEAVE_OUT_F115W:
            yield Observed(
                name=f"cosmosweb-f115w-{row:02d}", survey="cosmosweb", band="F115W",
                wavelength=1154.0, image=image, usable=~no_data(image),
                psf=psfs[row] / psfs[row].sum(), psf_scale=0.03, pixel_scale=0.03,
                zero_point=ZERO_POINTS["F115W"], contrast=0.02,
                notes=f"also cosmosweb-f444w-{fields[row]:03d}")
    with np.load(folder / "jwst_f444w_105.npz") as content:
        images, psfs = content["f444w"], content["psf_f444w"].astype(float)
        bad, galaxy, others = (
            np.unpackbits(content[name], axis=-1)[..., :images.shape[-1]].astype(bool)
            for name in ("bad", "galaxy_mask", "neighbour_mask"))
    for row, image in enumerate(images):
        if row not in LEAVE_OUT_F444W:
            yield Observed(
                name=f"cosmosweb-f444w-{row:03d}", survey="cosmosweb", band="F444W",
                wavelength=4421.0, image=image,
                usable=~(bad[row] | ndimage.binary_dilation(others[row], iterations=2)),
                segment=ndimage.binary_fill_holes(galaxy[row]), psf=psfs[row] / psfs[row].sum(),
                psf_scale=0.06, pixel_scale=0.06, zero_point=ZERO_POINTS["F444W"])


def same(data: Path) -> list[tuple[str, ...]]:
    """Names of the images of each galaxy that was observed in both bands."""
    with np.load(data / "jwst_cosmosweb_f444w_105" / "jwst_f115w_20.npz") as content:
        fields = content["index_in_f444w"]
    return [(f"cosmosweb-f115w-{row:02d}", f"cosmosweb-f444w-{field:03d}")
            for row, field in enumerate(fields)]
