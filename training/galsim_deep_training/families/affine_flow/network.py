"""A normalizing flow of images with affine couplings and a multiscale architecture.

Dinh et al. 2016 (arXiv:1605.08803), Kingma & Dhariwal 2018 (arXiv:1807.03039).  At each level, each
two by two pixels become channels of one pixel; affine layers follow; then half of the channels
leave the flow, and the others go on to the next level.
"""

__all__ = ["MultiscaleFlow"]

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ...networks.blocks import ACTIVATION, bounded

LARGEST_LOG_SCALE = 2.0
"""Bound of the logarithm of the scale of a coupling."""


class AffineLayer(keras.layers.Layer):
    """A normalisation of each channel, a fixed rotation of the channels, and a coupling.

    The coupling changes one half of the channels by a shift and a scale that depend on the other
    half.  Its network starts at zero: the layer is then linear.

    Parameters:
        channels:   Number of channels C of the maps, even.
        hidden:     Channels of the network.
        seed:       Seed of the rotation.

    >>> layer = AffineLayer(4, hidden=8, seed=1)
    >>> x = tf.random.stateless_normal([2, 3, 3, 4], [1, 2])
    >>> y, log_det = layer(x)
    >>> bool(tf.reduce_max(tf.abs(layer.inverse(y) - x)) < 1e-5), log_det.shape
    (True, TensorShape([2]))
    """

    def __init__(self, channels: int, hidden: int, seed: int) -> None:
        super().__init__()
        self.scale = self.add_weight(shape=(channels,), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(channels,), initializer="zeros", name="shift")
        rng = np.random.default_rng(seed)
        self._rotation = np.linalg.qr(rng.standard_normal((channels, channels)))[0].astype(
            np.float32)
        self.half = channels // 2
        self.network = keras.Sequential([
            keras.layers.Conv2D(hidden, 3, padding="same", activation=ACTIVATION),
            keras.layers.Conv2D(hidden, 1, activation=ACTIVATION),
            keras.layers.Conv2D(2 * (channels - self.half), 3, padding="same",
                                kernel_initializer="zeros", dtype="float32")])
        self.network.build((None, None, None, self.half))

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps [N, H, W, C] -> maps of the same shape, and ln|det| of the Jacobian, [N]."""
        x = tf.matmul((x - self.shift) * self.scale, self._rotation)
        first, second = x[..., :self.half], x[..., self.half:]
        shift, log_scale = self._coupling(first)
        y = tf.concat([first, second * tf.exp(log_scale) + shift], axis=-1)
        pixels = x.shape[1] * x.shape[2]
        return y, (tf.reduce_sum(log_scale, axis=[1, 2, 3])
                   + pixels * tf.reduce_sum(tf.math.log(tf.abs(self.scale))))

    def inverse(self, y: tf.Tensor) -> tf.Tensor:
        """The maps of which `call` makes these."""
        first, second = y[..., :self.half], y[..., self.half:]
        shift, log_scale = self._coupling(first)
        x = tf.concat([first, (second - shift) * tf.exp(-log_scale)], axis=-1)
        return tf.matmul(x, self._rotation.T) / self.scale + self.shift

    def adapt(self, x: tf.Tensor) -> None:
        """Normalise these maps to zero mean and unit variance in each channel."""
        mean, variance = tf.nn.moments(x, axes=[0, 1, 2])
        self.shift.assign(mean)
        self.scale.assign(1.0 / tf.maximum(tf.sqrt(variance), 1e-3))

    def _coupling(self, first: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shift, raw = tf.split(self.network(first), 2, axis=-1)
        return shift, bounded(raw, LARGEST_LOG_SCALE)


class Leaving(keras.layers.Layer):
    """The Gaussian of the channels that leave the flow, given those that go on.

    Parameters:
        going:      Number of channels that go on.
        leaving:    Number of channels that leave.
    """

    def __init__(self, going: int, leaving: int) -> None:
        super().__init__()
        self.network = keras.layers.Conv2D(2 * leaving, 3, padding="same",
                                           kernel_initializer="zeros", dtype="float32")
        self.network.build((None, None, None, going))

    def call(self, going: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and logarithm of the scale, of the shape of the maps that leave."""
        mean, raw = tf.split(self.network(going), 2, axis=-1)
        return mean, bounded(raw, LARGEST_LOG_SCALE)


class MultiscaleFlow(keras.Model):
    """An invertible network from images to standard normal numbers.

    Parameters:
        size:       Pixels S on a side of an image.
        bands:      Number of bands B.
        levels:     Number of levels.
        layers:     Affine layers in each level.
        hidden:     Channels of the networks of the couplings.
        seed:       Seed of the rotations of the channels.

    Raises a `galsim.GalSimConfigError` if the image cannot be halved so often.

    >>> flow = MultiscaleFlow(8, 1, levels=2, layers=1, hidden=4, seed=1)
    >>> x = tf.random.stateless_normal([3, 8, 8, 1], [1, 2])
    >>> z, log_det = flow(x)
    >>> z.shape, bool(tf.reduce_max(tf.abs(flow.inverse(z) - x)) < 1e-4)
    (TensorShape([3, 64]), True)
    """

    def __init__(self, size: int, bands: int, levels: int, layers: int, hidden: int,
                 seed: int) -> None:
        super().__init__(name="flow", dtype="float32")
        if size % 2**levels:
            raise GalSimConfigError(f"stamp.size is {size}, and model.levels {levels}: the size "
                                    f"must be a multiple of {2**levels}.")
        self._shapes: list[tuple[int, int, int]] = []
        self.levels, self.leaving = [], []
        channels = bands
        for level in range(levels):
            size, channels = size // 2, 4 * channels
            self.levels.append([AffineLayer(channels, hidden, seed + 100 * level + number)
                                for number in range(layers)])
            if level < levels - 1:
                kept = channels // 2
                self.leaving.append(Leaving(kept, channels - kept))
                self._shapes.append((size, size, channels - kept))
                channels = kept
        self._shapes.append((size, size, channels))

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Images [N, S, S, B] -> (numbers [N, S S B], ln|det| of the Jacobian [N])."""
        parts, log_det = [], tf.zeros([tf.shape(x)[0]])
        for level, layers in enumerate(self.levels):
            x = tf.nn.space_to_depth(x, 2)
            for layer in layers:
                x, change = layer(x)
                log_det += change
            if level < len(self.leaving):
                x, leaving = self._divided(x, level)
                mean, log_scale = self.leaving[level](x)
                parts.append(_flat((leaving - mean) * tf.exp(-log_scale)))
                log_det -= tf.reduce_sum(log_scale, axis=[1, 2, 3])
        return tf.concat([*parts, _flat(x)], axis=-1), log_det

    def inverse(self, z: tf.Tensor) -> tf.Tensor:
        """Numbers [N, S S B] -> images [N, S, S, B]."""
        parts = [tf.reshape(part, [-1, *shape]) for part, shape in zip(
            tf.split(z, [int(np.prod(shape)) for shape in self._shapes], axis=-1), self._shapes,
            strict=True)]
        x = parts.pop()
        for level in reversed(range(len(self.levels))):
            if level < len(self.leaving):
                mean, log_scale = self.leaving[level](x)
                x = tf.concat([x, mean + tf.exp(log_scale) * parts.pop()], axis=-1)
            for layer in reversed(self.levels[level]):
                x = layer.inverse(x)
            x = tf.nn.depth_to_space(x, 2)
        return x

    def adapt(self, x: tf.Tensor) -> None:
        """Normalise the channels of all layers for these images, one layer after the other."""
        for level, layers in enumerate(self.levels):
            x = tf.nn.space_to_depth(x, 2)
            for layer in layers:
                layer.adapt(x)
                x, _ = layer(x)
            if level < len(self.leaving):
                x, _ = self._divided(x, level)

    def _divided(self, x: tf.Tensor, level: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The channels that go on, and those that leave."""
        going = x.shape[-1] - self._shapes[level][2]
        return x[..., :going], x[..., going:]


def _flat(maps: tf.Tensor) -> tf.Tensor:
    return tf.reshape(maps, [tf.shape(maps)[0], int(np.prod(maps.shape[1:]))])
