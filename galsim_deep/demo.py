"""A first scene: generated galaxies as a ground-based survey would see them."""

__all__ = ["draw_scene", "run"]

from pathlib import Path

import galsim
import numpy as np

from .model import GenerativeGalaxyModel
from .picture import render, write_png

PIXEL_SCALE = 0.1  # arcsec
SIZE = 512
NOISE = 0.01


def catalogue(count, rng):
    """Columns that follow the COSMOS field: number counts, sizes and redshifts by magnitude.

    Returns:
        a dict of ``flux_radius`` [pixels of 0.03 arcsec], ``mag_auto`` and ``zphot``, each [N].
    """
    uniform, normal = galsim.UniformDeviate(rng), galsim.GaussianDeviate(rng)

    def draw(deviate):
        numbers = np.empty(count)
        deviate.generate(numbers)
        return numbers

    magnitude = 20.0 + np.log1p(draw(uniform) * np.expm1(0.45 * 5.0)) / 0.45
    faintness = magnitude - 24.0
    return dict(
        flux_radius=np.clip(np.exp(2.2 - 0.244 * faintness + 0.3 * draw(normal)), 3.0, 20.0),
        mag_auto=magnitude,
        zphot=np.clip(np.exp(-0.1 + 0.27 * faintness + 0.5 * draw(normal)), 0.05, 4.0))


def draw_scene(handle="hub:acs_flow_vae", count=120, seed=7, cluster=None):
    """Draw a noisy, PSF-convolved scene.

    Parameters:
        handle:     The module.
        count:      How many galaxies.
        seed:       Decides everything; the same seed makes the same scene.
        cluster:    The class of all galaxies, by id or name.  [default: None, as they come]

    Returns:
        a `galsim.Image` of 512 x 512 pixels of 0.1 arcsec, in e-/s of HST/ACS F814W.
    """
    rng = galsim.BaseDeviate(seed)
    model = GenerativeGalaxyModel(handle)
    galaxies = model.sample(catalogue(count, rng), seeds=np.arange(count) + seed * count,
                            cluster=cluster)
    psf = galsim.Moffat(beta=3.5, fwhm=0.25)
    scene = galsim.ImageF(SIZE, SIZE, scale=PIXEL_SCALE)
    place = galsim.UniformDeviate(rng)
    for galaxy in galaxies:
        position = galsim.PositionD(1 + SIZE * place(), 1 + SIZE * place())
        stamp = galsim.Convolve(galaxy, psf).drawImage(
            nx=96, ny=96, scale=PIXEL_SCALE, center=position)
        overlap = stamp.bounds & scene.bounds
        if overlap.isDefined():
            scene[overlap] += stamp[overlap]
    scene.addNoise(galsim.GaussianNoise(rng, sigma=NOISE))
    return scene


def run(folder=".", handle="hub:acs_flow_vae", seed=7, cluster=None):
    """Draw the scene to ``galsim_deep_demo.fits`` and ``.png`` in a folder.

    Returns:
        the two paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scene = draw_scene(handle, seed=seed, cluster=cluster)
    fits, png = folder / "galsim_deep_demo.fits", folder / "galsim_deep_demo.png"
    scene.write(str(fits))
    picture = render(scene.array, softening=2 * NOISE, peak=300 * NOISE, floor=-NOISE)
    write_png(png, picture)
    return fits, png
