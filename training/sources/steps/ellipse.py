"""The ellipse that a galaxy's annuli have, and the mean brightness in them."""

import dataclasses

import numpy as np
from scipy import ndimage

FLATTEST = 0.25
"""Least axis ratio of the annuli: those of thinner galaxies would miss their bulge and halo."""


@dataclasses.dataclass(frozen=True)
class Ellipse:
    """Centre (x, y) [pixels], axis ratio and position angle [radians from x towards y]."""

    x: float
    y: float
    q: float
    angle: float

    def radius(self, shape: tuple[int, int]) -> np.ndarray:
        """Semi-major axis of the ellipse through each pixel [pixels], float64 [h, w]."""
        y, x = np.indices(shape, dtype=float)
        x, y = x - self.x, y - self.y
        along = x * np.cos(self.angle) + y * np.sin(self.angle)
        across = y * np.cos(self.angle) - x * np.sin(self.angle)
        return np.hypot(along, across / self.q)


def ellipse_of(image: np.ndarray, segment: np.ndarray,
               centre: tuple[float, float] | None = None) -> Ellipse:
    """The ellipse of the light of a segment, by its moments; sky must be near zero.

    The shape is that of the square root of the smoothed light, so that neither the bulge nor the
    faint outskirts alone decide.

    Parameters:
        image:      Shape [h, w].
        segment:    bool [h, w].
        centre:     (x, y) [pixels].  [default: that of the light above half of its peak, if it is
                    near that of all light: an asymmetric disc does not move it off the nucleus]
    """
    smooth = ndimage.gaussian_filter(np.where(segment, image, 0.0), 1.5).clip(0)
    y, x = np.indices(image.shape)
    rim = np.ones(image.shape, bool)
    rim[2:-2, 2:-2] = False
    if (rim & segment).any():
        # Isophotes that the frame cuts would make it the frame's shape.
        closed = segment & (smooth > np.percentile(smooth[rim & segment], 90))
        segment = closed if closed.sum() > 30 else segment
    light = np.where(segment, smooth, 0.0)
    if centre is None:
        whole = _centroid(light)
        centre = _centroid(np.where(light > 0.5 * light.max(), light, 0.0))
        if np.hypot(*np.subtract(whole, centre)) > 0.25 * np.sqrt(segment.sum() / np.pi):
            centre = whole
    root = np.sqrt(light)
    dx, dy = x - centre[0], y - centre[1]
    xx, yy, xy = ((root * term).sum() / root.sum() for term in (dx * dx, dy * dy, dx * dy))
    e1, e2 = (xx - yy) / (xx + yy), 2 * xy / (xx + yy)
    e = min(np.hypot(e1, e2), 0.999)
    q = np.sqrt((1 - e) / (1 + e))
    return Ellipse(centre[0], centre[1], max(q, FLATTEST), 0.5 * np.arctan2(e2, e1))


def _centroid(light: np.ndarray) -> tuple[float, float]:
    y, x = np.indices(light.shape)
    return float((light * x).sum() / light.sum()), float((light * y).sum() / light.sum())


@dataclasses.dataclass(frozen=True)
class Profile:
    """Mean brightness in elliptical annuli.

    Attributes:
        edges:      Semi-major axes of their edges [pixels], [n + 1].
        radius:     Mean semi-major axes of their pixels, [n].
        mean:       Mean of the pixels used, [n]; NaN if there are none.
        count:      Number of pixels used, [n].
        share:      Share of the annulus that was used, [n].
    """

    edges: np.ndarray
    radius: np.ndarray
    mean: np.ndarray
    count: np.ndarray
    share: np.ndarray

    def at(self, radius: np.ndarray) -> np.ndarray:
        """The profile at any semi-major axis, by interpolation; 0 beyond the last annulus."""
        known = np.isfinite(self.mean)
        values = np.interp(radius, self.radius[known], self.mean[known])
        return np.where(radius <= self.edges[-1], values, 0.0)


def profile_of(image: np.ndarray, usable: np.ndarray, ellipse: Ellipse) -> Profile:
    """The profile of an image; annuli are a pixel wide, and a tenth of their radius further out."""
    radius = ellipse.radius(image.shape)
    edges = [0.0]
    while edges[-1] < radius.max():
        edges.append(edges[-1] + max(1.0, 0.1 * edges[-1]))
    number = np.digitize(radius, edges) - 1
    n = len(edges) - 1
    count = np.bincount(number[usable], minlength=n)[:n]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(number[usable], image[usable], minlength=n)[:n] / count
        middle = np.bincount(number[usable], radius[usable], minlength=n)[:n] / count
    edges_array = np.array(edges)
    area = np.pi * ellipse.q * np.diff(edges_array**2)
    middle = np.where(count > 0, middle, 0.5 * (edges_array[1:] + edges_array[:-1]))
    return Profile(edges_array, middle, mean, count, count / area)
