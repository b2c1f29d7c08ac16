"""A first scene: generated galaxies with a PSF and noise, as a survey would observe them."""

__all__ = ["catalogue", "draw_scene", "run"]

import os
from pathlib import Path
from typing import TYPE_CHECKING

import galsim
import numpy as np
from galsim import GalSimError
from numpy.typing import NDArray

from .model import GenerativeGalaxyModel
from .observations.units import arcsec_of
from .picture import render, write_png
from .runtime.atomic_files import replace_file

if TYPE_CHECKING:
    from .modules.card import Card

COSMOS_PIXEL = 0.03
"""Size of the pixels of COSMOS, in which sizes are drawn [arcsec]."""
PIXEL_SCALE = 0.1
"""Size of a pixel of the scene [arcsec]."""
SIZE = 512
"""Pixels on a side of the scene."""
NOISE = 0.01
"""Standard deviation of the noise in a pixel [e-/s]."""
STAMP = 96
"""Pixels on a side of the part of the scene in which a galaxy is drawn."""


def catalogue(card: "Card", count: int, rng: galsim.BaseDeviate) -> dict[str, NDArray[np.float64]]:
    """Draw columns that follow the COSMOS field: number counts, sizes and redshifts by magnitude.

    Parameters:
        card:       The card of a module, whose columns measure half-light radius, magnitude or
                    redshift, or are optional.
        count:      Number of galaxies, N.
        rng:        The random numbers.

    Returns:
        a dict of the columns of the card, each [N], in their units; NaN in optional columns that
        measure another quantity.

    Raises:
        GalSimError:    Another column measures another quantity.

    >>> card = GenerativeGalaxyModel("hub:acs_flow_vae").card
    >>> table = catalogue(card, 3, galsim.BaseDeviate(1))
    >>> table["mag_auto"].round(2)
    array([22.25, 24.44, 23.56])
    """
    uniform, normal = galsim.UniformDeviate(rng), galsim.GaussianDeviate(rng)

    def draw(deviate: galsim.BaseDeviate) -> NDArray[np.float64]:
        numbers = np.empty(count)
        deviate.generate(numbers)
        return numbers

    # Counts grow by a factor of exp(0.45) = 1.57 per magnitude, from magnitude 20 to 25.
    magnitude = 20.0 + np.log1p(draw(uniform) * np.expm1(0.45 * 5.0)) / 0.45
    faintness = magnitude - 24.0
    values = dict(
        half_light_radius=np.clip(np.exp(2.2 - 0.244 * faintness + 0.3 * draw(normal)), 3.0, 20.0),
        magnitude=magnitude,
        redshift=np.clip(np.exp(-0.1 + 0.27 * faintness + 0.5 * draw(normal)), 0.05, 4.0))
    table = {}
    for column in card.columns:
        if column.quantity in values:
            unit = 1.0
            if column.quantity == "half_light_radius":
                unit = COSMOS_PIXEL / arcsec_of(column.unit, card.pixel_scale)
            table[column.name] = unit * values[column.quantity]
        elif column.optional:
            table[column.name] = np.full(count, np.nan)
        else:
            raise GalSimError(
                f"The scene needs a module whose columns measure {', '.join(values)}. The column "
                f"'{column.name}' of {card.name} measures '{column.quantity}'.")
    return table


def draw_scene(handle: str = "hub:acs_flow_vae", count: int = 120, seed: int = 7,
               galaxy_class: int | str | None = None) -> galsim.Image:
    """Draw a scene with a PSF and noise.

    Parameters:
        handle:         The handle of the module.
        count:          Number of galaxies.
        seed:           Random seed; the same seed makes the same scene.
        galaxy_class:   The class of all galaxies, by number or name.  [default: None, which means
                        that the module draws the class of each]

    Returns:
        a `galsim.Image` of 512 x 512 pixels of 0.1 arcsec, in e-/s of HST/ACS F814W.

    >>> draw_scene(count=2, seed=1).array.shape
    (512, 512)
    """
    rng = galsim.BaseDeviate(seed)
    model = GenerativeGalaxyModel(handle)
    galaxies = model.sample(catalogue(model.card, count, rng),
                            seeds=np.arange(count) + seed * count, galaxy_class=galaxy_class)
    psf = galsim.Moffat(beta=3.5, fwhm=0.25)
    scene = galsim.ImageF(SIZE, SIZE, scale=PIXEL_SCALE)
    uniform = galsim.UniformDeviate(rng)
    for galaxy in galaxies:
        position = galsim.PositionD(1 + SIZE * uniform(), 1 + SIZE * uniform())
        stamp = galsim.Convolve(galaxy, psf).drawImage(
            nx=STAMP, ny=STAMP, scale=PIXEL_SCALE, center=position)
        overlap = stamp.bounds & scene.bounds
        if overlap.isDefined():
            scene[overlap] += stamp[overlap]
    scene.addNoise(galsim.GaussianNoise(rng, sigma=NOISE))
    return scene


def run(folder: str | os.PathLike = ".", handle: str = "hub:acs_flow_vae", seed: int = 7,
        galaxy_class: int | str | None = None) -> tuple[Path, Path]:
    """Draw the scene and write it to ``galsim_deep_demo.fits`` and ``.png``.

    Parameters:
        folder:         The folder of the two files.
        handle, seed, galaxy_class:     As in `draw_scene`.

    Returns:
        the two paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scene = draw_scene(handle, seed=seed, galaxy_class=galaxy_class)
    fits, png = folder / "galsim_deep_demo.fits", folder / "galsim_deep_demo.png"
    with replace_file(fits) as fresh:
        scene.write(str(fresh))
    picture = render(scene.array, softening=2 * NOISE, peak=300 * NOISE, floor=-NOISE)
    write_png(png, picture)
    return fits, png
