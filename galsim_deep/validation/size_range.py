"""Sizes and edges of the galaxies of a module, over all sizes that surveys have."""

__all__ = ["MAGNITUDES", "SIZES", "edge_light", "measure_sizes"]

from typing import Any

import numpy as np

from .. import latents
from ..measure.half_light import measured_radius
from ..modules.card import Card
from ..modules.module import Module
from ..observations.observation import Observation
from ..observations.units import arcsec_of
from ..profiles.make import make_profile

SIZES = tuple(float(size) for size in np.geomspace(0.05, 5.0, 11))
"""The half-light radii that are asked for [arcsec]."""
MAGNITUDES = (18.0, 20.0, 22.0, 24.0, 26.0)
"""The magnitudes that are asked for."""
FAINT = 0.1
"""Light at the edge above this share of the noise of COSMOS is visible."""
COUNT = 6
"""Galaxies of each size and magnitude."""
EDGE = 4
"""Width of the edge of a stamp [pixels].  Modules make their light vanish in the outermost ones; a
galaxy that is cut there is bright a few pixels further in."""


def measure_sizes(module: Module, cosmos: Observation, seed: int) -> dict[str, Any]:
    """Measured over asked half-light radius, and light at the edge, from 0.05 to 5 arcsec.

    Redshifts are those that are typical of the training sample; columns that the module can draw
    are left to it.

    Parameters:
        module:     The module; it must have a half-light radius among its columns.
        cosmos:     How COSMOS observes (`NaturalSize`).
        seed:       Seed of the galaxies.

    Returns:
        a dict of ``sizes``, a list of dicts of ``asked`` [arcsec], ``in_range`` (whether the module
        says that it can be used there), ``ratio`` (median over magnitudes and galaxies, with the
        scatter of a galaxy as its error; NaN where the asked size is smaller than the PSF and
        defined through it) and ``at_edge`` (share of galaxies with visible light at the edge of
        their stamp); and ``at_edge``, the share over all sizes and magnitudes in range.
    """
    card = module.card
    column = card.column_of("half_light_radius")
    assert column is not None
    unit = arcsec_of(column.unit, card.pixel_scale)
    smallest = measured_radius(cosmos.psf) * cosmos.pixel_scale if column.as_observed else 0.0
    low, high = column.usable_range
    number, rows, edges = 0, [], []
    for size in SIZES:
        in_range = bool(low * unit <= size <= high * unit)
        ratios, at_edge = [], []
        for magnitude in _magnitudes(card):
            columns = _columns(card, size / unit, magnitude)
            keys = latents.keys_from_seeds([(seed << 32) + number + n for n in range(COUNT)])
            number += COUNT
            outputs = module.sample(columns, latents.draw_latents(keys, card.latent_size))
            scales = np.broadcast_to(outputs.get("pixel_scale", card.pixel_scale), COUNT)
            for image, scale in zip(outputs["image"][..., 0].astype(float), scales, strict=True):
                if not (np.isfinite(image).all() and image.sum() > 0):
                    continue
                at_edge.append(edge_light(image, float(scale), cosmos) > FAINT)
                if size > smallest:
                    ratios.append(_radius(image, float(scale), cosmos, column.as_observed) / size)
        edges += at_edge if in_range else []
        rows.append(dict(
            asked=size, in_range=in_range, at_edge=float(np.mean(at_edge)) if at_edge else np.nan,
            ratio=dict(value=float(np.median(ratios)) if ratios else np.nan,
                       error=float(np.std(ratios)) if ratios else np.nan)))
    return dict(sizes=rows, at_edge=float(np.mean(edges)) if edges else np.nan)


def edge_light(image: np.ndarray, pixel_scale: float, cosmos: Observation) -> float:
    """The brightest light at the edge of a profile.

    Parameters:
        image:          Light before the PSF, shape [S, S].
        pixel_scale:    Size of a pixel [arcsec].
        cosmos:         How COSMOS observes.

    Returns:
        the surface brightness in units of the noise in a pixel of COSMOS.

    Example, for a flat profile of pixels of the same size:

        >>> nothing = Observation(number=0, stamp=np.zeros((8, 8)), psf=np.ones((1, 1)),
        ...                       pixel_scale=0.03, noise_sigma=2.0, columns={})
        >>> edge_light(np.ones((16, 16)), 0.03, nothing)
        0.5
    """
    edge = np.array(image, float)
    edge[EDGE:-EDGE, EDGE:-EDGE] = 0
    return float(np.abs(edge).max() * (cosmos.pixel_scale / pixel_scale)**2 / cosmos.noise_sigma)


def _radius(image: np.ndarray, pixel_scale: float, cosmos: Observation, as_observed: bool) -> float:
    """The half-light radius of a profile, through the PSF or before it [arcsec]."""
    if not as_observed:
        return measured_radius(image) * pixel_scale
    size = int(np.ceil(len(image) * pixel_scale / cosmos.pixel_scale)) + len(cosmos.psf)
    blank = Observation(number=0, stamp=np.zeros((size, size)), psf=cosmos.psf, columns={},
                        pixel_scale=cosmos.pixel_scale, noise_sigma=cosmos.noise_sigma)
    drawn = blank.convolved(make_profile(image.astype(np.float32), pixel_scale))
    return measured_radius(drawn) * cosmos.pixel_scale


def _magnitudes(card: Card) -> list[float]:
    """The magnitudes that the module can be asked for; NaN if it has none."""
    column = card.column_of("magnitude")
    if column is None:
        return [np.nan]
    low, high = column.usable_range
    inside = [magnitude for magnitude in MAGNITUDES if low <= magnitude <= high]
    return inside or [0.5 * (low + high)]


def _columns(card: Card, size: float, magnitude: float) -> dict[str, np.ndarray]:
    """The columns of `COUNT` galaxies."""
    columns = {}
    for column in card.columns:
        if column.quantity == "half_light_radius":
            value = size
        elif column.quantity == "magnitude":
            value = magnitude
        elif column.optional and column.quantity != "redshift":
            value = np.nan
        else:
            value = column.quantiles.get("0.5", 0.5 * sum(column.usable_range))
        columns[column.name] = np.full(COUNT, value, np.float32)
    return columns
