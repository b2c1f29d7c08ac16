"""Sources whose catalogue flux is that of the pixels brighter than a contour, seen through a beam.

Surveys that clip their images at a multiple of the noise, such as FIRST as the Radio Galaxy Dataset
publishes it, know the flux above that contour; the total flux is larger.
"""

__all__ = ["Contour"]

import numpy as np
import tensorflow as tf

MAX_FLUX_CORRECTION = 1.5
"""Largest ratio of the total flux to the flux above the contour."""
FLUX_ITERATIONS = 6
"""Iterations that find the total flux."""
HALO = (0.25, 0.5)
"""Surface brightness seen through the beam, in units of the contour, between which light is
suppressed: below the first, only the fraction `SUPPRESSED` of it remains; above the second, all of
it.  A halo below the contour has no effect on an image."""
SUPPRESSED = 0.1
"""Fraction of the light that is left in suppressed pixels; with none left, the generator would have
no gradient to bring it back."""


class Contour:
    """A contour of surface brightness, through a circular Gaussian beam.

    Parameters:
        size:       Pixels S on a side of a stamp.
        fwhm:       FWHM of the beam [pixels].
        point_flux: Flux of a point source whose peak is at the contour.

    >>> contour = Contour(size=8, fwhm=2.0, point_flux=0.1)
    >>> light = tf.ones([1, 8, 8]) / 64
    >>> contour.with_flux_above(light, tf.constant([[[3.0]]])).shape
    TensorShape([1, 8, 8])
    """

    def __init__(self, size: int, fwhm: float, point_flux: float) -> None:
        pixels = np.arange(size)
        sigma = fwhm / (2 * np.sqrt(2 * np.log(2)))
        kernel = np.exp(-0.5 * ((pixels - pixels[:, None]) / sigma) ** 2)
        # The convolution along one axis; a point of unit flux has the peak blur[0, 0]^2.
        self._blur = (kernel / (np.sqrt(2 * np.pi) * sigma)).astype(np.float32)
        self._brightness = np.float32(point_flux * self._blur[0, 0] ** 2)

    def with_flux_above(self, light: tf.Tensor, flux: tf.Tensor) -> tf.Tensor:
        """Suppress halos, and rescale light to a flux above the contour.

        Parameters:
            light:      Light before the beam, [N, S, S].
            flux:       Flux above the contour that it should have through the beam, [N, 1, 1].

        Returns:
            [N, S, S].
        """
        brightness = self._convolved(light) / self._brightness
        light *= tf.clip_by_value((brightness - HALO[0]) / (HALO[1] - HALO[0]), SUPPRESSED, 1.0)
        light *= flux / tf.reduce_sum(light, axis=[1, 2], keepdims=True)
        convolved, factor = self._convolved(light), tf.ones_like(flux)
        for _ in range(FLUX_ITERATIONS):
            brightness = factor * convolved
            above = tf.reduce_sum(tf.where(brightness > self._brightness, brightness, 0.0),
                                  axis=[1, 2], keepdims=True)
            # The square root damps the iteration, which would overshoot if much of the light is
            # close to the contour.
            factor = tf.clip_by_value(
                factor * tf.sqrt(flux / tf.maximum(above, 1e-3 * flux)), 1.0, MAX_FLUX_CORRECTION)
        return light * factor

    def _convolved(self, light: tf.Tensor) -> tf.Tensor:
        """Light [N, S, S] convolved with the beam; without a gradient."""
        blur = tf.constant(self._blur)
        return tf.matmul(tf.matmul(blur, tf.stop_gradient(light)), blur)
