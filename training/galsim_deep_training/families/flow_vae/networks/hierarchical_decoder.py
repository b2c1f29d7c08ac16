"""Hierarchical decoder: a latent vector and maps of latents at increasing resolution.

A latent vector cannot encode where each knot of a galaxy lies, and a decoder without this
information returns the average over all possibilities: a smooth galaxy. Here the vector describes
the galaxy as a whole, and maps of latents with a standard normal prior add the details, as in
ladder VAEs (Sonderby et al. 2016, arXiv:1602.02282; Child 2021, arXiv:2011.10650). The posterior
of the maps is computed top-down: that of each resolution depends on the maps decoded before and on
the features of the encoder.
"""

__all__ = ["DecoderLevel", "HierarchicalDecoder"]

from collections.abc import Sequence

import keras
import tensorflow as tf

from ....networks.blocks import ResidualBlock, Shape, bounded_scale, mlp
from ....networks.nested_grids import Grids, check_grids
from ....networks.upsampling import BSplineUpsampling, depth_to_space, upsample_to_grids


class HierarchicalDecoder(keras.Model):
    """Decodes a latent vector and maps of latents, given conditions, to images on nested grids.

    Parameters:
        base:           Cells B on a side of the lowest resolution.
        channels:       Channels at B, 2 B, 4 B, ... cells.
        maps:           Number of latent maps at each of these resolutions; 0 for none.
        hidden:         Units of the hidden layer from which the network starts.
        start:          Channels of the first feature map, at B cells.
        grids:          ``(cells, subcells)`` of each output, see `nested_grids`. The cells of the
                        first one are the highest resolution of the network.

    Attributes:
        map_shapes:     (height, width, maps) at each resolution.

    Raises a `ValueError` for grids that are not concentric with the highest resolution.

    >>> decoder = HierarchicalDecoder(2, channels=(8, 6), maps=(2, 1), hidden=8, start=4,
    ...                               grids=[(4, 3)])
    >>> decoder.map_shapes
    [(2, 2, 2), (4, 4, 1)]
    >>> maps = [tf.zeros([1, *shape]) for shape in decoder.map_shapes]
    >>> decoder(tf.ones([1, 5]), tf.ones([1, 2]), maps)[0].shape
    TensorShape([1, 12, 12])
    """

    def __init__(self, base: int, channels: Sequence[int], maps: Sequence[int], hidden: int = 192,
                 start: int = 32, grids: Grids = ((24, 2), (10, 8))) -> None:
        super().__init__(name="decoder", dtype="float32")
        self.base, self.start, self.grids = base, start, grids
        finest = base * 2 ** (len(channels) - 1)
        check_grids(grids, finest)
        self.entry = mlp(self.base**2 * start, (hidden,))
        self.levels = [DecoderLevel(count, level_maps, doubles=level > 0)
                       for level, (count, level_maps) in enumerate(
                           zip(channels, maps, strict=True))]
        self.upsampling = [BSplineUpsampling(subcells, "same" if cells == finest else "valid")
                           for cells, subcells in grids]
        self.map_shapes = [(self.base * 2**level, self.base * 2**level, count)
                           for level, count in enumerate(maps)]

    def call(self, vector: tf.Tensor, conditions: tf.Tensor,
             maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Decode latents.

        Parameters:
            vector:         Latent vectors, [N, L].
            conditions:     Standardised columns, [N, C].
            maps:           Latent maps, [N, h, w, m] each, the lowest resolution first.

        Returns:
            a real-valued image on each grid, [N, cells * subcells, cells * subcells] each.
        """
        x = self._first_features(vector, conditions)
        for level, latent in zip(self.levels, maps, strict=True):
            x = level(level.upsample(x), latent)
        return self._to_grids(x)

    def infer(self, vector: tf.Tensor, conditions: tf.Tensor, features: Sequence[tf.Tensor],
              noise: Sequence[tf.Tensor],
              ) -> tuple[list[tf.Tensor], list[tuple[tf.Tensor, tf.Tensor]]]:
        """Decode with latent maps drawn from their posterior, given the features of an encoder.

        Parameters:
            vector:         Latent vectors, [N, L].
            conditions:     Standardised columns, [N, C].
            features:       Feature maps of the encoder at the resolutions of the maps,
                            [N, h, w, c] each, the lowest resolution first.
            noise:          Standard normal numbers of the maps' shapes; zeros give the posterior
                            means.

        Returns:
            (images as for `call`; posterior (mean, scale) of the maps at each resolution).
        """
        x = self._first_features(vector, conditions)
        posteriors = []
        for level, encoder_features, normal in zip(self.levels, features, noise, strict=True):
            x = level.upsample(x)
            mean, scale = level.posterior(x, encoder_features)
            posteriors.append((mean, scale))
            x = level(x, mean + scale * normal)
        return self._to_grids(x), posteriors

    def _first_features(self, vector: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        x = self.entry(tf.concat([vector, conditions], axis=-1))
        return tf.reshape(x, [-1, self.base, self.base, self.start])

    def _to_grids(self, x: tf.Tensor) -> list[tf.Tensor]:
        return upsample_to_grids(tf.nn.relu(x), self.upsampling, self.grids)


class DecoderLevel(keras.layers.Layer):
    """One resolution of a `HierarchicalDecoder`: upsampling, latent maps and a residual block.

    The maps are multiplied by a gate, a linear function of the features, and added to the features.

    Parameters:
        channels:       Channels of the features.
        maps:           Number of latent maps; 0 for none.
        doubles:        Whether the resolution is twice that of the input.

    >>> level = DecoderLevel(channels=8, maps=2, doubles=True)
    >>> x = level.upsample(tf.ones([1, 4, 4, 6]))
    >>> level(x, tf.ones([1, 8, 8, 2])).shape
    TensorShape([1, 8, 8, 8])
    """

    def __init__(self, channels: int, maps: int, doubles: bool) -> None:
        super().__init__()
        self.doubles, self.maps = doubles, maps
        self.change_channels = keras.layers.Conv2D(4 * channels if doubles else channels, 1)
        self.block = ResidualBlock(channels)
        if maps:
            half = max(channels // 2, 16)
            self.gate = keras.layers.Conv2D(maps, 1)
            self.inject = keras.layers.Conv2D(channels, 1)
            self.posterior_head = keras.Sequential([
                keras.layers.Conv2D(half, 1), keras.layers.Activation("relu"),
                keras.layers.Conv2D(half, 3, padding="same"), keras.layers.Activation("relu"),
                keras.layers.Conv2D(2 * maps, 3, padding="same", kernel_initializer="zeros",
                                    dtype="float32")])

    def build(self, *_: Shape) -> None:
        """Nothing to do: the layers within are built when they are called first."""

    def upsample(self, x: tf.Tensor) -> tf.Tensor:
        """Change channels and resolution: [N, h, w, c] -> [N, 2 h, 2 w, channels] if it doubles."""
        x = self.change_channels(x)
        return depth_to_space(x, 2) if self.doubles else x

    def posterior(self, x: tf.Tensor, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Posterior of the maps, given upsampled features and those of the encoder.

        Parameters:
            x:          The result of `upsample`, [N, h, w, channels].
            features:   Features of the encoder, [N, h, w, c].

        Returns:
            (mean, scale), [N, h, w, maps] each.
        """
        if not self.maps:
            empty = tf.zeros_like(features[..., :0])
            return empty, empty
        both = tf.concat([tf.cast(x, tf.float32), features], axis=-1)
        mean, raw_scale = tf.split(self.posterior_head(tf.nn.relu(both)), 2, axis=-1)
        return mean, bounded_scale(raw_scale)

    def call(self, x: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
        """Add latent maps [N, h, w, maps] to upsampled features [N, h, w, channels]."""
        if self.maps:
            x += self.inject(maps * self.gate(tf.nn.relu(x)))
        return self.block(x)
