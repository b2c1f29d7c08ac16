"""The discriminator of polar views: real galaxies, or sampled ones?"""

__all__ = ["PolarDiscriminator"]

from collections.abc import Sequence

import tensorflow as tf

from ....networks.patch_discriminator import PatchDiscriminator
from ....networks.wrapping import wrapped


class PolarDiscriminator(PatchDiscriminator):
    """A `PatchDiscriminator` of polar views, which also sees the detail of their first map.

    Parameters:
        channels:   As for `PatchDiscriminator`.
        hidden:     Units of the hidden layers for the whole galaxy.

    >>> discriminator = PolarDiscriminator(channels=(4, 4, 4), hidden=8)
    >>> discriminator(tf.ones([2, 16, 32, 3]), tf.ones([2, 4]), tf.ones([2, 32])).shape
    TensorShape([2])
    """

    def __init__(self, channels: Sequence[int] = (12, 24, 40, 56), hidden: int = 96) -> None:
        super().__init__(channels, hidden)

    def call(self, images: tf.Tensor, conditions: tf.Tensor, rings: tf.Tensor | None = None
             ) -> tf.Tensor:
        """Judge the maps of views; parameters as for `PatchDiscriminator.call`."""
        significance = images[..., :1]
        smooth = tf.nn.avg_pool2d(wrapped(significance), 3, 1, "VALID")
        return super().call(
            tf.concat([images, 4.0 * (significance - smooth)], axis=-1), conditions, rings)
