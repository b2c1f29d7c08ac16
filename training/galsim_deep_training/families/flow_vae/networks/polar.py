"""Encoder and decoder on polar grids, whose last column is next to the first.

The decoder makes the logarithm of the structure of a galaxy: what its light is multiplied by,
relative to the mean of each ring.  Each resolution adds detail to that of the resolution before, so
that a small galaxy needs the first ones only.
"""

__all__ = ["PolarDecoder", "PolarEncoder"]

from collections.abc import Sequence

import keras
import tensorflow as tf

from ....networks.blocks import ResidualBlock, Shape, bounded_scale, mlp
from ....networks.upsampling import depth_to_space
from ....networks.wrapping import PolarConv2D


class PolarEncoder(keras.Model):
    """Residual network from polar views to a diagonal Gaussian q(z | views) and to feature maps.

    Parameters:
        latent_size:    Dimension L of the Gaussian.
        channels:       Channels at each resolution, the highest first.
        hidden:         Units of the two hidden layers before the output.

    >>> encoder = PolarEncoder(latent_size=5, channels=(4, 6), hidden=8)
    >>> mean, scale, features = encoder(tf.ones([2, 16, 32, 3]), tf.ones([2, 32]), tf.ones([2, 4]))
    >>> mean.shape, [feature.shape[1:] for feature in features]
    (TensorShape([2, 5]), [TensorShape([8, 16, 4]), TensorShape([4, 8, 6])])
    """

    def __init__(self, latent_size: int, channels: Sequence[int], hidden: int) -> None:
        super().__init__(name="encoder", dtype="float32")
        self.pool = keras.layers.AveragePooling2D(2)
        self.entry = PolarConv2D(channels[0], 3)
        self.change_channels = [keras.layers.Conv2D(count, 1) for count in channels]
        self.blocks = [ResidualBlock(count, PolarConv2D) for count in channels]
        self.flatten = keras.Sequential([keras.layers.Conv2D(12, 1), keras.layers.Flatten()])
        self.head = mlp(2 * latent_size, (hidden, hidden), output_initializer="zeros")

    def call(self, views: tf.Tensor, rings: tf.Tensor, conditions: tf.Tensor
             ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Encode views.

        Parameters:
            views:          [N, R, A, K].
            rings:          Numbers of each ring, such as its mean, [N, R * k].
            conditions:     [N, C].

        Returns:
            (mean [N, L], scale [N, L], feature maps [N, h, w, c], the highest resolution first).
        """
        x = self.pool(self.entry(views))
        features = []
        for level, (change_channels, block) in enumerate(
                zip(self.change_channels, self.blocks, strict=True)):
            x = block(change_channels(self.pool(x) if level else x))
            features.append(tf.cast(x, tf.float32))
        x = tf.cast(self.flatten(tf.nn.relu(x)), tf.float32)
        flat = tf.concat([x, rings, conditions], axis=-1)
        mean, raw_scale = tf.split(self.head(flat), 2, axis=-1)
        return mean, bounded_scale(raw_scale - 1.0), features


class PolarLevel(keras.layers.Layer):
    """One resolution of a `PolarDecoder`: upsampling, latent maps, a residual block and an output.

    Parameters:
        channels:       Channels of the features.
        maps:           Number of latent maps; 0 for none.
        doubles:        Whether the resolution is twice that of the input.
    """

    def __init__(self, channels: int, maps: int, doubles: bool) -> None:
        super().__init__()
        self.doubles, self.maps = doubles, maps
        self.change_channels = keras.layers.Conv2D(4 * channels if doubles else channels, 1)
        self.block = ResidualBlock(channels, PolarConv2D)
        self.output_layer = PolarConv2D(1, 3, dtype="float32", kernel_initializer="zeros")
        if maps:
            half = max(channels // 2, 12)
            self.gate = keras.layers.Conv2D(maps, 1)
            self.inject = keras.layers.Conv2D(channels, 1)
            self.posterior_head = keras.Sequential([
                PolarConv2D(half, 3), keras.layers.Activation("relu"),
                PolarConv2D(2 * maps, 3, kernel_initializer="zeros", dtype="float32")])

    def build(self, *_: Shape) -> None:
        """Nothing to do: the layers within are built when they are called first."""

    def upsample(self, x: tf.Tensor) -> tf.Tensor:
        """Change channels and resolution: [N, h, w, c] -> [N, 2 h, 2 w, channels] if it doubles."""
        x = self.change_channels(x)
        return depth_to_space(x, 2) if self.doubles else x

    def posterior(self, x: tf.Tensor, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Posterior (mean, scale) of the maps, [N, h, w, maps] each."""
        both = tf.concat([tf.cast(x, tf.float32), features], axis=-1)
        mean, raw_scale = tf.split(self.posterior_head(tf.nn.relu(both)), 2, axis=-1)
        return mean, bounded_scale(raw_scale)

    def is_posterior(self, variable: keras.Variable) -> bool:
        """Whether only `posterior` depends on a variable of this layer."""
        return bool(self.maps) and any(
            variable is other for other in self.posterior_head.variables)

    def call(self, x: tf.Tensor, maps: tf.Tensor | None) -> tf.Tensor:
        """Add latent maps [N, h, w, maps] to upsampled features [N, h, w, channels]."""
        if maps is not None:
            x += self.inject(maps * self.gate(tf.nn.relu(x)))
        return self.block(x)

    def structure(self, x: tf.Tensor, coarse: tf.Tensor | None) -> tf.Tensor:
        """The output at this resolution, [N, h, w], added to that of the one before."""
        detail = self.output_layer(tf.nn.relu(x))[..., 0]
        if coarse is None:
            return detail
        return detail + (doubled(coarse) if self.doubles else coarse)


def doubled(maps: tf.Tensor) -> tf.Tensor:
    """Interpolate maps [N, h, w] linearly to twice the resolution."""
    before = tf.concat([maps[:, :, -1:], maps[:, :, :-1]], axis=2)
    after = tf.concat([maps[:, :, 1:], maps[:, :, :1]], axis=2)
    maps = _interleaved(0.75 * maps + 0.25 * before, 0.75 * maps + 0.25 * after, 2)
    before = tf.concat([maps[:, :1], maps[:, :-1]], axis=1)
    after = tf.concat([maps[:, 1:], maps[:, -1:]], axis=1)
    return _interleaved(0.75 * maps + 0.25 * before, 0.75 * maps + 0.25 * after, 1)


def _interleaved(first: tf.Tensor, second: tf.Tensor, axis: int) -> tf.Tensor:
    shape = [-1, first.shape[1], first.shape[2]]
    shape[axis] *= 2
    return tf.reshape(tf.stack([first, second], axis=axis + 1), shape)


class PolarDecoder(keras.Model):
    """Decodes a latent vector and latent maps to an envelope and structure on a polar grid.

    Parameters:
        base:           (rows, columns) of the lowest resolution.
        channels:       Channels at each resolution, the lowest first.
        maps:           Number of latent maps at each; 0 for none.
        hidden:         Units of the hidden layers that make the envelope, and the first features.
        start:          Channels of the first feature map.
        envelope_size:  Number of numbers that describe the envelope, E.

    Attributes:
        map_shapes:     (rows, columns, maps) at each resolution.

    >>> decoder = PolarDecoder((2, 4), channels=(8, 6), maps=(2, 1), hidden=8, start=4,
    ...                        envelope_size=3)
    >>> decoder.map_shapes
    [(2, 4, 2), (4, 8, 1)]
    >>> maps = [tf.zeros([1, *shape]) for shape in decoder.map_shapes]
    >>> decoder.structure(tf.ones([1, 5]), tf.ones([1, 2]), maps).shape
    TensorShape([1, 4, 8])
    >>> decoder.structure(tf.ones([1, 5]), tf.ones([1, 2]), maps[:1]).shape  # of a small galaxy
    TensorShape([1, 2, 4])
    """

    def __init__(self, base: tuple[int, int], channels: Sequence[int], maps: Sequence[int],
                 hidden: int, start: int, envelope_size: int) -> None:
        super().__init__(name="decoder", dtype="float32")
        self.base, self.start = base, start
        self.envelope_head = mlp(envelope_size, (hidden, hidden), output_initializer="zeros")
        self.entry = mlp(base[0] * base[1] * start, (hidden,))
        self.levels = [PolarLevel(count, level_maps, doubles=level > 0)
                       for level, (count, level_maps) in enumerate(
                           zip(channels, maps, strict=True))]
        self.map_shapes = [(base[0] * 2**level, base[1] * 2**level, count)
                           for level, count in enumerate(maps)]

    @property
    def structure_variables(self) -> list[keras.Variable]:
        """The trainable variables that determine the structure of given latents.

        Those of the envelope and of the posterior are not among them.
        """
        return [variable for part in (self.entry, *self.levels)
                for variable in part.trainable_variables
                if part is self.entry or not part.is_posterior(variable)]

    def envelope(self, vector: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """The numbers of the envelope, [N, E]."""
        return self.envelope_head(tf.concat([vector, conditions], axis=-1))

    def structure(self, vector: tf.Tensor, conditions: tf.Tensor, maps: Sequence[tf.Tensor]
                  ) -> tf.Tensor:
        """The structure at the resolution of the last of ``maps`` that are given, [N, R, A]."""
        x, output = self._first_features(vector, conditions), None
        for level, latent in zip(self.levels, maps, strict=False):
            x = level(level.upsample(x), latent if level.maps else None)
            output = level.structure(x, output)
        return output

    def infer(self, vector: tf.Tensor, conditions: tf.Tensor, features: Sequence[tf.Tensor],
              noise: Sequence[tf.Tensor]
              ) -> tuple[tf.Tensor, list[tuple[tf.Tensor, tf.Tensor]]]:
        """As `structure`, with latent maps drawn from their posterior, given features."""
        x, output, posteriors = self._first_features(vector, conditions), None, []
        for level, encoder_features, normal in zip(self.levels, features, noise, strict=True):
            x, latent = level.upsample(x), None
            if level.maps:
                mean, scale = level.posterior(x, encoder_features)
                posteriors.append((mean, scale))
                latent = mean + scale * normal
            x = level(x, latent)
            output = level.structure(x, output)
        return output, posteriors

    def _first_features(self, vector: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        x = self.entry(tf.concat([vector, conditions], axis=-1))
        return tf.reshape(x, [-1, *self.base, self.start])
