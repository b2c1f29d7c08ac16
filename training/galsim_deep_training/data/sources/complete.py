"""Galaxies on real sky, completed: neighbours are filled in, and noise ends where the light does.

A stamp with sky shows a galaxy only as far as its light exceeds the noise.  To observe the galaxy
again, its whole light is needed, and as little of the noise as possible:

* Pixels that show another object, or nothing, are filled from the opposite side of the galaxy, or
  else from its mean profile.
* Beyond the radius at which the mean profile meets its error, an exponential with the profile's own
  scale length there replaces the pixels.  The few outermost rings determine that length badly, so
  that the length of the galaxy's Sersic profile at that radius counts as a measurement as well.
* In between, pixels that are hardly above the noise are smoothed.

Radii are measured along the major axis, in ellipses about the centre of the galaxy.
"""

__all__ = ["Completed", "Smooth", "completed"]

import dataclasses
from collections.abc import Callable

import numpy as np
from galsim import GalSimError
from scipy import ndimage

from galsim_deep.observations.filling import opposite

SIGNIFICANT = 3.0
"""The profile ends at the last ring whose mean exceeds this many times its own error."""
FAINT = 1.5
"""Pixels in which the smoothed light is below this [standard deviations of the noise] are smoothed.
"""
SMOOTHING = 1.5
"""Sigma of that smoothing [pixels]."""
BLEND = 0.25
"""Width of the zone in which the image changes into the profile [radii at which that ends]."""
OUTER = 0.5
"""The scale length is fitted to the profile beyond this fraction of the radius at which it ends."""
SHORTEST, LONGEST = 0.06, 0.5
"""Limits of the scale length, in units of the radius at which the profile ends."""
EXPECTED_SCATTER = 0.3
"""Relative error of the scale length that the Sersic profile predicts."""
LEFT_OUT = 1e-3
"""Share of the flux beyond the radius at which the completed galaxy ends."""
FURTHEST = 3.0
"""Largest such radius, in units of that at which the profile ends."""
SMALLEST_RING = 1.0
"""Width of a ring near the centre [pixels]."""
RING = 0.08
"""Width of a ring further out, in units of its radius."""


@dataclasses.dataclass(frozen=True)
class Smooth:
    """A smooth galaxy: the Sersic profile that fits best, and its ellipses.

    Attributes:
        x, y:           Centre [pixels]; the centre of the first pixel is zero.
        half_light_radius:  Along the major axis [pixels].
        sersic_n:       Sersic index.
        axis_ratio:     Minor over major axis.
        position_angle: Of the major axis [degrees], from the x axis towards the y axis.

    Example::

        >>> smooth = Smooth(x=4.0, y=4.0, half_light_radius=3.0, sersic_n=1.0, axis_ratio=0.5,
        ...                 position_angle=90.0)
        >>> float(smooth.radius((9, 9))[0, 4]), float(smooth.radius((9, 9))[4, 6])
        (4.0, 4.0)
        >>> round(smooth.scale_length(20.0), 2)  # that of an exponential disc at all radii
        1.79
    """

    x: float
    y: float
    half_light_radius: float
    sersic_n: float
    axis_ratio: float
    position_angle: float

    def radius(self, shape: tuple[int, ...]) -> np.ndarray:
        """Radius of each pixel of an image along the major axis [pixels], float64 [h, w]."""
        y, x = np.indices(shape)
        angle = np.deg2rad(self.position_angle)
        along = np.cos(angle) * (x - self.x) + np.sin(angle) * (y - self.y)
        across = -np.sin(angle) * (x - self.x) + np.cos(angle) * (y - self.y)
        return np.hypot(along, across / self.axis_ratio)

    def scale_length(self, radius: float) -> float:
        """Length over which the profile falls by a factor of e at a radius [pixels]."""
        n = self.sersic_n
        b = 2 * n - 1 / 3 + 0.009876 / n  # Prugniel & Simien 1997, A&A 321, 111
        return float(n / b * self.half_light_radius
                     * (radius / self.half_light_radius)**(1 - 1 / n))


@dataclasses.dataclass(frozen=True)
class Completed:
    """A galaxy that ends within its image, with the noise that is left in it.

    Attributes:
        image:      Flux per pixel, float64 [s, s], s even; the centre of the galaxy lies within
                    half a pixel of the middle of the image.
        noise:      Share of the noise of the stamp that each pixel of the image still has, float64
                    [s, s]: 1 in the galaxy, less where the image was smoothed, 0 beyond it.
        end:        Radius beyond which the image is the extrapolated profile [pixels along the
                    major axis].
        scale_length:   Of the extrapolated profile [pixels along the major axis].

    Example::

        >>> whole = Completed(np.ones((8, 8)), np.ones((8, 8)), end=3.0, scale_length=1.2)
        >>> whole.image.shape
        (8, 8)
    """

    image: np.ndarray
    noise: np.ndarray
    end: float
    scale_length: float


def completed(image: np.ndarray, usable: np.ndarray, noise_sigma: float,
              smooth: Smooth, correlated_pixels: float = 1.0) -> Completed:
    """Complete a galaxy that was observed on real sky.

    Parameters:
        image:              Flux per pixel without sky, shape [h, w].
        usable:             Pixels that show the galaxy or empty sky, bool [h, w].
        noise_sigma:        Standard deviation of the noise in a pixel, positive.
        smooth:             The Sersic profile of the galaxy.
        correlated_pixels:  Sum of the correlation function of the noise: the variance of the mean
                            of n pixels is this times that of white noise.  [default: 1]

    Returns:
        a `Completed`.

    Raises:
        galsim.GalSimError: if no light is found about the centre.

    Example::

        >>> galaxy = galsim.Exponential(half_light_radius=6.0, flux=1000.0)
        >>> truth = galaxy.drawImage(nx=128, ny=128, scale=1.0, method="no_pixel").array
        >>> stamp = truth[24:-24, 24:-24] + np.random.default_rng(1).normal(0.0, 0.1, (80, 80))
        >>> fit = Smooth(39.5, 39.5, 6.0, 1.0, 1.0, 0.0)
        >>> whole = completed(stamp, np.ones((80, 80), bool), 0.1, fit)
        >>> bool(abs(whole.image.sum() / 1000.0 - 1) < 0.02)
        True
    """
    radius = smooth.radius(image.shape)
    profile = _Profile(image, usable, radius, noise_sigma * np.sqrt(correlated_pixels),
                       smooth.scale_length)
    values, known = opposite(image, usable, (smooth.y, smooth.x))
    filled = np.where(usable, image, np.where(known, values, profile(radius)))
    reach = profile.reach()
    side = 2 * int(np.ceil(reach)) + 4
    # Whole pixels are moved, so that the noise stays as it is.
    corner = [int(np.floor(centre + 0.5)) - side // 2 for centre in (smooth.y, smooth.x)]
    filled, shown = _window(filled, corner, side), _window(np.ones(image.shape), corner, side)
    moved = dataclasses.replace(smooth, x=smooth.x - corner[1], y=smooth.y - corner[0])
    radius = moved.radius((side, side))
    mean = profile(radius)
    # Pixels close to the edge of the stamp are not smoothed across it.
    filled = np.where(shown > 0, filled, mean)
    smoothed = ndimage.gaussian_filter(filled, SMOOTHING)
    faint = 1 - _step(smoothed / (FAINT * noise_sigma), 1.0, 0.0)
    inner = _step(radius / profile.end, 1 - BLEND / 2, 1 + BLEND / 2)
    inner = inner * (shown > 0)
    result = inner * ((1 - faint) * filled + faint * smoothed) + (1 - inner) * mean
    # White noise keeps this share of its standard deviation after the smoothing.
    kept = 1 / (2 * np.sqrt(np.pi) * SMOOTHING)
    noise = inner * np.hypot(1 - faint, kept * faint)
    inside = _step(radius / reach, 0.9, 1.0)
    return Completed(image=result * inside, noise=noise * inside, end=profile.end,
                     scale_length=profile.scale_length)


class _Profile:
    """The mean surface brightness in ellipses, continued by an exponential.

    Parameters:
        image, usable:  As for `completed`.
        radius:         Of each pixel [pixels along the major axis], shape [h, w].
        sigma:          Error of the mean of n pixels, times the root of n.
        expected_scale: The scale length that is expected at a radius [pixels].
    """

    def __init__(self, image: np.ndarray, usable: np.ndarray, radius: np.ndarray, sigma: float,
                 expected_scale: Callable[[float], float]) -> None:
        edges = [0.0]
        while edges[-1] < radius.max():
            edges.append(edges[-1] + max(SMALLEST_RING, RING * edges[-1]))
        ring = np.digitize(radius, edges) - 1
        total = np.bincount(ring.ravel(), minlength=len(edges))
        count = np.bincount(ring[usable], minlength=len(edges))

        def mean(values: np.ndarray) -> np.ndarray:
            sums = np.bincount(ring[usable], values[usable], minlength=len(edges))
            return sums / np.maximum(count, 1)

        # A ring that is mostly covered, or outside of the stamp, has no mean.
        known = (count >= 0.3 * total) & (count > 0)
        values, error = mean(image), sigma / np.sqrt(np.maximum(count, 1))
        significant = known & (values > SIGNIFICANT * error)
        # The last ring of those that are connected to the centre, with up to one exception.
        last = 0
        for number in range(1, len(edges)):
            if significant[number] and (significant[number - 1] or significant[number - 2]):
                last = number
            elif number > last + 2:
                break
        self._radii, self._values = mean(radius)[:last + 1], values[:last + 1]
        if last == 0:
            raise GalSimError("the rings about its centre do not exceed the noise")
        self.end = float(self._radii[-1])
        weight = (np.square(self._values / error[:last + 1])
                  * known[:last + 1] * (self._values > 0))
        self.scale_length = self._fitted_scale(weight, expected_scale(self.end))
        outer = self._radii >= OUTER * self.end
        model = np.exp(-self._radii / self.scale_length)
        fitted = weight[outer] / np.square(np.maximum(self._values[outer], 1e-300))
        self._amplitude = float(
            (fitted * self._values[outer] * model[outer]).sum()
            / (fitted * model[outer]**2).sum()) if fitted.sum() > 0 else 0.0
        self._usable = known[:last + 1]

    def _fitted_scale(self, weight: np.ndarray, expected: float) -> float:
        """Scale length of the outer part; ``weight`` is the inverse variance of ln(values)."""
        outer = (self._radii >= OUTER * self.end) & (weight > 0)
        low, high = SHORTEST * self.end, LONGEST * self.end
        radii, slope, information = self._radii[outer], -1 / expected, 0.0
        if outer.sum() >= 3:
            # Beyond some hundred, the error of a ring is that of the ellipse, not of the noise.
            weight = np.minimum(weight[outer], 400.0)
            log_values = np.log(self._values[outer])
            offsets = radii - np.average(radii, weights=weight)
            information = float((weight * offsets**2).sum())
            slope = float((weight * offsets * log_values).sum() / information)
        prior = (expected / EXPECTED_SCATTER)**2
        slope = (information * slope - prior / expected) / (information + prior)
        return float(np.clip(-1 / slope if slope < 0 else high, low, high))

    def __call__(self, radius: np.ndarray) -> np.ndarray:
        """Surface brightness at radii [pixels along the major axis]."""
        known = self._usable & (self._values > 0)
        tail = self._amplitude * np.exp(-radius / self.scale_length)
        if known.sum() < 2:
            return tail
        inside = np.exp(np.interp(radius, self._radii[known], np.log(self._values[known])))
        return np.where(radius <= self.end, inside, tail)

    def reach(self) -> float:
        """Radius at which the galaxy ends: `LEFT_OUT` of the flux would lie beyond it."""
        radii = np.arange(0.0, 40 * self.end, 0.25)
        light = np.cumsum(radii * self(radii))
        return float(np.clip(radii[np.searchsorted(light, (1 - LEFT_OUT) * light[-1])] / 0.95,
                             (1 + BLEND) * self.end, FURTHEST * self.end))


def _window(image: np.ndarray, corner: list[int], side: int) -> np.ndarray:
    """The square of an image that begins at ``corner`` (row, column), zero beyond the image."""
    window = np.zeros((side, side))
    to, part = [], []
    for start, size in zip(corner, image.shape, strict=True):
        low, high = max(start, 0), min(start + side, size)
        to.append(slice(low - start, max(high, low) - start))
        part.append(slice(low, max(high, low)))
    window[tuple(to)] = image[tuple(part)]
    return window


def _step(values: np.ndarray, one: float, zero: float) -> np.ndarray:
    """A smooth step: 1 at ``one``, 0 at ``zero``, with slope zero at both."""
    fraction = np.clip((values - zero) / (one - zero), 0, 1)
    return fraction * fraction * (3 - 2 * fraction)
