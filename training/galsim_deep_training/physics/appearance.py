"""What galaxies look like, in a few numbers with gradients: by these two samples can be compared.

They follow the statistics that validations look at (`galsim_deep.validation`), but are taken on
light profiles without PSF and noise, and under weights of the asked size instead of a fitted one.
"""

__all__ = ["NAMES", "appearance"]

import numpy as np
import tensorflow as tf

BANDS = tuple(np.geomspace(10 / 3, 50 / 3, 5))
"""Wavelengths that bound the bands of small-scale power [pixels]: 0.1" to 0.5" at 0.03"."""
WIDTHS = 0.7, 1.5
"""Of the Gaussian weights of moments, in asked half-light radii."""
CIRCLES = 0.35, 0.7, 1.5, 2.5
"""Radii of circles, in asked half-light radii."""
_BLUR = 1.7
"""Before moments are taken images are blurred as by a PSF, a Gaussian of this width [pixels]."""

NAMES = ("peak", *(f"power_{n}" for n in range(4)), *(f"asymmetry_{n}" for n in range(4)),
         *(f"{what}_{width:g}" for width in WIDTHS for what in ("size", "elongation")),
         *(f"inside_{radius:g}" for radius in CIRCLES))


def appearance(profiles, size):
    """Measure light profiles.

    Parameters:
        profiles:   In the middle of the stamp, before PSF and pixel, [N, S, S], S even.
        size:       Asked half-light radius [pixels], [N].

    Returns:
        [N, 17], in the order of `NAMES`: the logarithm of the peak over the mean surface
        brightness; of the power in each of the `BANDS`, of the light and of what is not symmetric
        about the middle; of the size, and the elongation, by second moments; the logit of the
        share of the light inside of circles.
    """
    profiles /= tf.reduce_sum(profiles, axis=[1, 2], keepdims=True)
    spectrum = tf.signal.rfft2d(profiles)
    uneven = tf.signal.rfft2d(0.5 * (profiles - tf.reverse(profiles, axis=[1, 2])))
    blurred = _blurred(spectrum, profiles.shape[1])
    distance, x, y = _coordinates(profiles.shape[1])
    size = size[:, None, None]
    found = [_peak(profiles) + 2 * tf.math.log(size[:, 0, 0]),
             *_band_powers(spectrum), *_band_powers(uneven)]
    for width in WIDTHS:
        weighted = blurred * tf.exp(-0.5 * tf.square(distance / (width * size)))
        total, xx, yy, xy = (
            tf.reduce_sum(weighted * factor, axis=[1, 2]) for factor in (1.0, x * x, y * y, x * y))
        trace = xx + yy
        found += [tf.math.log(trace / total) - 2 * tf.math.log(size[:, 0, 0]),
                  # The small number keeps the gradient finite for what is round.
                  tf.sqrt(tf.square((xx - yy) / trace) + tf.square(2 * xy / trace) + 1e-4)]
    for radius in CIRCLES:
        inside = tf.reduce_sum(
            profiles * tf.sigmoid(2 * (radius * size - distance)), axis=[1, 2])
        inside = tf.clip_by_value(inside, 1e-3, 1 - 1e-3)
        found.append(tf.math.log(inside / (1 - inside)))
    return tf.stack(found, axis=-1)


def _peak(profiles):
    """Logarithm of the largest mean over two by two pixels, [N]."""
    return tf.math.log(tf.reduce_max(tf.nn.avg_pool2d(
        profiles[..., None], 2, 1, "VALID"), axis=[1, 2, 3]))


def _band_powers(spectrum):
    """Logarithm of the mean power in each of the bands, a list of [N]."""
    size = spectrum.shape[1]
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    # All but the first and last column stand for their negative as well.
    count = np.where(np.arange(size // 2 + 1) % (size // 2) == 0, 1.0, 2.0)
    power, found = tf.square(tf.abs(spectrum)), []
    for longest, shortest in zip(BANDS[1:], BANDS, strict=False):
        weight = count * ((frequency > 1 / longest) & (frequency <= 1 / shortest))
        mean = tf.einsum("nij,ij->n", power, (weight / weight.sum()).astype(np.float32))
        found.append(tf.math.log(mean + 1e-9))
    return found


def _blurred(spectrum, size):
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    transfer = np.exp(-2 * (np.pi * _BLUR * frequency) ** 2)
    return tf.signal.irfft2d(spectrum * transfer.astype(np.complex64), fft_length=[size, size])


def _coordinates(size):
    """Distance from the middle [S, S], x [1, S] and y [S, 1]."""
    place = (np.arange(size) - 0.5 * (size - 1)).astype(np.float32)
    return np.hypot(place[:, None], place), place[None, :], place[:, None]
