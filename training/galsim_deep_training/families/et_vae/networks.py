"""The networks of the equivariant transformer VAE, on the polar grid of `PolarGrid`."""

__all__ = ["CanonicalEncoder", "MapDecoder", "PoseNetwork"]

import keras
import numpy as np
import tensorflow as tf

from ...networks.blocks import bounded_scale
from ...networks.wrapping import PolarConv2D
from .settings import ETVAESettings

ACTIVATION = "gelu"
"""A smooth activation makes few high harmonics, so that results between two angles of the grid are
as at these angles."""
LEAST_AMPLITUDE = 0.05
"""Below this amplitude of its second harmonic, a galaxy has less and less influence on the fit of
the position angle, since it is round."""


class PoseNetwork(keras.Model):
    """The position angle of galaxies, from their maps.

    Convolutions along the circle turn with the galaxy.  The last of them makes one number for each
    angle, whose second harmonic is the position angle: it is the same after half a turn.

    >>> network = PoseNetwork(ETVAESettings(radii=8, angles=16))
    >>> angle = network(tf.random.stateless_normal([2, 8, 16, 1], [1, 2]))
    >>> turned = network(tf.roll(tf.random.stateless_normal([2, 8, 16, 1], [1, 2]), 3, axis=2))
    >>> bool(np.allclose((turned - angle) % np.pi, 2 * np.pi * 3 / 16, atol=1e-4))
    True
    """

    def __init__(self, settings: ETVAESettings) -> None:
        super().__init__(name="pose")
        self.convolutions = [PolarConv2D(channels, 3, activation=ACTIVATION)
                             for channels in settings.pose_channels]
        # Over all radii at once; where the light is, is a good beginning.
        self.profile = keras.layers.Dense(1, use_bias=False)
        self.light = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        phase = 2 * 2 * np.pi * np.arange(settings.angles) / settings.angles
        self._harmonic = np.stack([np.cos(phase), np.sin(phase)]).astype(np.float32)

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        """Maps [N, R, A, B] -> position angles [rad], between -pi/2 and pi/2, [N]."""
        x = maps
        for convolution in self.convolutions:
            x = convolution(x)
        number = self.profile(self._rows(x)) + self.light(self._rows(maps))
        cosine, sine = tf.unstack(
            tf.cast(number[..., 0], tf.float32) @ self._harmonic.T, axis=-1)
        twice = tf.stop_gradient(tf.math.atan2(sine, cosine + 1e-12))
        amplitude = tf.stop_gradient(tf.sqrt(tf.square(cosine) + tf.square(sine)))
        # Zero, with the gradient of the angle, which would be infinite for round galaxies.
        change = (sine * tf.cos(twice) - cosine * tf.sin(twice)) / (amplitude + LEAST_AMPLITUDE)
        return 0.5 * (twice + change - tf.stop_gradient(change))

    @staticmethod
    def _rows(x: tf.Tensor) -> tf.Tensor:
        """[N, R, A, C] -> [N, A, R C]."""
        x = tf.transpose(x, [0, 2, 1, 3])
        return tf.reshape(x, [-1, x.shape[1], x.shape[2] * x.shape[3]])


class CanonicalEncoder(keras.Model):
    """Mean and scale of the latents of maps whose position angle is zero.

    The second harmonic leaves two orientations, half a turn apart: the mean of both is taken.

    >>> settings = ETVAESettings(radii=8, angles=16, latent_size=5)
    >>> mean, scale = CanonicalEncoder(settings)(tf.ones([2, 8, 16, 3]))
    >>> mean.shape, bool(tf.reduce_all(scale > 0))
    (TensorShape([2, 5]), True)
    """

    def __init__(self, settings: ETVAESettings) -> None:
        super().__init__(name="encoder")
        self.convolutions = [PolarConv2D(channels, 3, activation=ACTIVATION)
                             for channels in settings.channels]
        self.pooling = keras.layers.AveragePooling2D(2)
        self.hidden = keras.layers.Dense(settings.hidden, activation=ACTIVATION)
        self.exit = keras.layers.Dense(2 * settings.latent_size, dtype="float32")

    def call(self, maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps [N, R, A, B] -> (mean, scale), [N, K] each."""
        half = maps.shape[2] // 2
        x = tf.concat([maps, tf.roll(maps, half, axis=2)], axis=0)
        for convolution in self.convolutions:
            x = self.pooling(convolution(x))
        hidden = self.hidden(tf.reshape(x, [-1, int(np.prod(x.shape[1:]))]))
        mean, raw = tf.split(self.exit(0.5 * tf.add_n(tf.split(hidden, 2, axis=0))), 2, axis=-1)
        return mean, bounded_scale(raw)


class MapDecoder(keras.Model):
    """Maps at the position angle zero of latents.

    Parameters:
        settings:   `ETVAESettings`.
        bands:      Number B of bands.

    >>> settings = ETVAESettings(radii=8, angles=16, latent_size=5)
    >>> MapDecoder(settings, bands=3)(tf.ones([2, 5])).shape
    TensorShape([2, 8, 16, 3])
    """

    def __init__(self, settings: ETVAESettings, bands: int) -> None:
        super().__init__(name="decoder")
        factor, channels = 2**len(settings.channels), settings.channels[::-1]
        self.start = (settings.radii // factor, settings.angles // factor, channels[0])
        self.hidden = keras.layers.Dense(settings.hidden, activation=ACTIVATION)
        self.dense = keras.layers.Dense(int(np.prod(self.start)), activation=ACTIVATION)
        self.upsampling = keras.layers.UpSampling2D(2)
        self.convolutions = [PolarConv2D(c, 3, activation=ACTIVATION)
                             for c in (*channels[1:], channels[-1])]
        self.exit = PolarConv2D(bands, 3, dtype="float32")

    def call(self, latent: tf.Tensor) -> tf.Tensor:
        """Latents [N, K] -> maps [N, R, A, B]."""
        x = tf.reshape(self.dense(self.hidden(latent)), [-1, *self.start])
        for convolution in self.convolutions:
            x = convolution(self.upsampling(x))
        return self.exit(x)
