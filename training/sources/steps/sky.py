"""The sky of a stamp, and the noise of its pixels."""

import numpy as np
from scipy import ndimage

from .ellipse import Ellipse, Profile, profile_of

BEYOND, FAR = 1.7, 2.5
"""Sky pixels lie beyond the first multiple of the radius of a segment; beyond the second one, or as
far out as possible, if there are `PLENTY` of them, since wings go on for long."""
ENOUGH, PLENTY = 800, 4000
"""Fewest sky pixels whose mean is of use, and enough for an error of 0.04 of the noise."""
BACKGROUND = 8.0
"""Structure of the sky that is wider than this is no noise [standard deviation of a Gaussian,
pixels]: faint wings of galaxies and seams of the background."""
DARKEST = 1.0
"""Most light that a fitted disc may have where the stamp is darkest [noise in a pixel]."""
LAGS = 3
"""Largest separation of the correlation of the noise [pixels]."""


def segment_radius(segment: np.ndarray, ellipse: Ellipse) -> float:
    """Semi-major axis [pixels] of the ellipse with the area of the segment."""
    return float(np.sqrt(segment.sum() / np.pi / ellipse.q))


def clipped(values: np.ndarray) -> np.ndarray:
    """Values within 3 standard deviations of their median."""
    for _ in range(10):
        middle = np.median(values)
        sigma = 1.4826 * np.median(np.abs(values - middle))
        kept = values[np.abs(values - middle) <= 3 * sigma]
        if len(kept) == len(values):
            break
        values = kept
    return values


def sky_pixels(usable: np.ndarray, segment: np.ndarray, ellipse: Ellipse) -> np.ndarray:
    """Pixels with neither the galaxy nor other objects, bool [h, w]."""
    radius = ellipse.radius(usable.shape)
    size = segment_radius(segment, ellipse)
    pixels = usable & ~ndimage.binary_dilation(segment, iterations=3) & (radius > BEYOND * size)
    if pixels.sum() <= PLENTY:
        return pixels
    farthest = np.partition(radius[pixels], -PLENTY)[-PLENTY]
    return pixels & (radius >= min(FAR * size, farthest))


def sky_of(image: np.ndarray, usable: np.ndarray, segment: np.ndarray, ellipse: Ellipse
           ) -> tuple[float, str]:
    """The sky under a galaxy.

    It is the clipped mean of sky pixels if there are plenty of them far out.  Otherwise the pixels
    that seem empty have light of the outer disc, and it is the constant under an exponential that
    is fitted to the outer profile, but no more than the mean of what sky pixels there are.

    Returns:
        (sky, how it was found: "pixels" or "disc").
    """
    pixels = sky_pixels(usable, segment, ellipse)
    number = pixels.sum()
    mean = float(clipped(image[pixels]).mean()) if number >= ENOUGH else np.inf
    nearest = ellipse.radius(image.shape)[pixels].min() if number else 0.0
    if number >= PLENTY and nearest >= FAR * segment_radius(segment, ellipse):
        return mean, "pixels"
    profile = profile_of(image, usable, ellipse)
    known = profile.mean[profile.count >= 40]
    darkest = (known if len(known) else profile.mean[profile.count > 0]).min()
    # An extrapolation over many scale lengths says nothing.
    lowest = darkest - DARKEST * noise_in_segment(image, usable)
    constant = _constant_under_disc(profile, segment_radius(segment, ellipse))
    return min(mean, max(constant, lowest)), "disc"


def _constant_under_disc(profile: Profile, size: float) -> float:
    """The constant under an exponential; ``size`` is the radius of the segment [pixels]."""
    chosen = (profile.radius > 0.5 * size) & (profile.count >= 12)
    if chosen.sum() < 5:
        chosen = (profile.radius > 0.25 * size) & (profile.count >= 8)
    radius, mean = profile.radius[chosen], profile.mean[chosen]
    weight = np.sqrt(profile.count[chosen])
    best = None
    for length in size * np.geomspace(0.12, 0.8, 50):
        basis = np.stack([np.ones_like(radius), np.exp(-(radius - radius[0]) / length)], 1)
        (constant, amplitude), *_ = np.linalg.lstsq(
            basis * weight[:, None], mean * weight, rcond=None)
        misfit = (((basis @ [constant, amplitude] - mean) * weight) ** 2).sum()
        if amplitude > 0 and (best is None or misfit < best[0]):
            best = misfit, constant
    return float(mean[-1]) if best is None else float(best[1])


def noise_of(image: np.ndarray, pixels: np.ndarray) -> float:
    """Standard deviation of the noise in a pixel, from sky pixels, without their outliers."""
    values = image[pixels]
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def covariance_sums(image: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the products of sky pixels at separations of up to `LAGS` pixels, and their numbers.

    The sums of several stamps are added before `correlation_of`.

    Parameters:
        image:      Sky subtracted, in units of the noise, [h, w].
        pixels:     Sky pixels, bool [h, w].

    Returns:
        two arrays, float64 [2 LAGS + 1, 2 LAGS + 1].
    """
    value = image - np.median(image[pixels])
    pixels = pixels & (np.abs(value) < 4)
    weight = ndimage.gaussian_filter(pixels.astype(float), BACKGROUND)
    background = ndimage.gaussian_filter(np.where(pixels, value, 0.0), BACKGROUND)
    value = np.where(pixels, value - background / np.maximum(weight, 1e-6), 0.0)
    size = 2 * LAGS + 1
    sums, numbers = np.zeros((size, size)), np.zeros((size, size))
    rows, columns = image.shape
    for dy in range(-LAGS, LAGS + 1):
        for dx in range(-LAGS, LAGS + 1):
            one = np.s_[max(dy, 0):rows + min(dy, 0), max(dx, 0):columns + min(dx, 0)]
            two = np.s_[max(-dy, 0):rows + min(-dy, 0), max(-dx, 0):columns + min(-dx, 0)]
            sums[dy + LAGS, dx + LAGS] = (value[one] * value[two]).sum()
            numbers[dy + LAGS, dx + LAGS] = (pixels[one] & pixels[two]).sum()
    return sums, numbers


def correlation_of(sums: np.ndarray, numbers: np.ndarray, reach: int = LAGS) -> np.ndarray:
    """The correlation function of the noise, float64 [2 LAGS + 1, 2 LAGS + 1], 1 in the middle.

    It is 0 at separations of more than ``reach`` pixels along either axis.
    """
    covariance = sums / np.maximum(numbers, 1)
    covariance = 0.5 * (covariance + covariance[::-1, ::-1])
    # The smooth background, G * noise, takes some of the noise with it: with G a Gaussian, all
    # covariances within its width are lowered by (2 G - G * G)(0) of their sum.
    taken = 3 / (4 * np.pi * BACKGROUND**2)
    covariance += taken * covariance.sum() / (1 - taken * covariance.size)
    lags = np.abs(np.arange(-LAGS, LAGS + 1)) <= reach
    return np.outer(lags, lags) * covariance / covariance[LAGS, LAGS]


def noise_in_segment(image: np.ndarray, segment: np.ndarray) -> float:
    """A guess of the noise in a segment without sky, from differences of neighbouring pixels.

    The second differences along both axes remove a smooth galaxy; only the fainter half of the
    segment is used.  Noise that is correlated between neighbours, as in drizzled images, is
    underestimated (Immerkaer 1996, Computer Vision and Image Understanding 64, 300).
    """
    kernel = np.outer([1, -2, 1], [1, -2, 1])
    inside = ndimage.binary_erosion(segment, np.ones((3, 3)))
    if inside.sum() < 30:
        inside = segment
    faint = inside & (image <= np.median(image[inside]))
    return float(1.4826 * np.median(np.abs(ndimage.convolve(image, kernel)[faint])) / 6)
