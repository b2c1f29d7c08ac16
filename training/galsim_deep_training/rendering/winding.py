"""The winding of the arms of a galaxy, measured on a polar grid.

The winding is d(angle) / d(ln radius) along an arm: the inverse tangent of its pitch angle.
"""

__all__ = ["measured_winding"]

import numpy as np
import tensorflow as tf

from .polar import PolarGrid

LARGEST = 3.0
"""Largest winding that is measured: a pitch angle of 18 degrees."""
_WINDINGS = np.linspace(-LARGEST, LARGEST, 61).astype(np.float32)
_INNER, _OUTER = 0.5, 2.4
"""Radii between which it is measured."""
_ORDERS = np.arange(1, 7)


def measured_winding(grid: PolarGrid, maps: tf.Tensor, weight: tf.Tensor
                     ) -> tuple[tf.Tensor, tf.Tensor]:
    """Measure winding and handedness.

    For each winding w, ``P(w) = sum over m |sum over radii a_m exp(i m w ln r)|^2`` with the
    Fourier coefficients a_m of each ring, m = 1 to 6.  What matters is P(w) - P(-w): bars, and
    rings with a wrong axis ratio, are the same for both.

    Parameters:
        grid:       The grid, without winding.
        maps:       Relative difference from the mean of each ring, [N, R, A].
        weight:     Weight of each ring, such as its signal-to-noise ratio, [N, R].

    Returns:
        (winding, [N], positive or negative; its confidence, from 0 to 1, [N]).
    """
    inside = (grid.log_radius > np.log(_INNER)) & (grid.log_radius < np.log(_OUTER))
    rows = np.flatnonzero(inside)
    spectrum = tf.signal.rfft(tf.gather(maps, rows, axis=1))[:, :, 1:_ORDERS[-1] + 1]
    spectrum *= tf.cast(tf.gather(weight, rows, axis=1)[..., None], tf.complex64)
    phase = np.exp(1j * _WINDINGS[:, None, None] * grid.log_radius[rows, None] * _ORDERS)
    total = tf.einsum("nrm,wrm->nwm", spectrum, tf.constant(phase, tf.complex64))
    power = tf.reduce_sum(tf.square(tf.abs(total)), axis=-1)
    contrast = power - power[:, ::-1]
    best = tf.argmax(contrast, axis=1)
    all_power = tf.reduce_sum(tf.square(tf.abs(spectrum)), axis=[1, 2]) * len(rows)
    confidence = tf.reduce_max(contrast, axis=1) / tf.maximum(all_power, 1e-12)
    return tf.gather(tf.constant(_WINDINGS), best), confidence
