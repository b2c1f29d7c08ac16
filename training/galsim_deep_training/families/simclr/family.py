"""SimCLR: two views of an image are alike, those of different images are not.

Chen et al. 2020 (arXiv:2002.05709); Andrianomena 2023, section 3.2.
"""

__all__ = ["SimCLR", "nt_xent"]

import tensorflow as tf

from ...settings import Positive
from ..shared.self_supervised import SelfSupervised, TwoViews, TwoViewsSettings, unit


def nt_xent(first: tf.Tensor, second: tf.Tensor, temperature: float) -> tf.Tensor:
    """The normalised temperature-scaled cross entropy (Andrianomena 2023, eq. 3.4).

    Parameters:
        first, second:  Projections of two views of each image, [N, D] each.
        temperature:    Tau.

    Returns:
        the mean over all 2 N views, a scalar.

    >>> z = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    >>> float(nt_xent(z, z, 0.5)) < float(nt_xent(z, z[::-1], 0.5))
    True
    """
    vectors = unit(tf.concat([first, second], axis=0))
    count = tf.shape(first)[0]
    similarity = tf.matmul(vectors, vectors, transpose_b=True) / temperature
    # A view is not compared with itself.
    similarity -= 1e9 * tf.eye(2 * count)
    partner = tf.concat([tf.range(count, 2 * count), tf.range(count)], axis=0)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(partner, similarity))


class ContrastiveSettings(TwoViewsSettings):
    """Settings of the phase ``views`` of the family ``simclr``.

    >>> ContrastiveSettings(steps=100).temperature
    0.5
    """

    temperature: Positive = 0.5
    """Tau of eq. 3.4."""


class Contrastive(TwoViews):
    """Fit encoder and projector on `nt_xent`; see `TwoViews`.

    >>> Contrastive.name
    'views'
    """

    Settings = ContrastiveSettings

    def compare(self, first: tf.Tensor, second: tf.Tensor, training: bool) -> tf.Tensor:
        family = self.family
        both = family.encoder(tf.concat([first, second], axis=0), training=training)
        one, other = tf.split(family.projector(both, training=training), 2, axis=0)
        return nt_xent(one, other, self.settings.temperature)


class SimCLR(SelfSupervised, kind="simclr"):
    """The model family ``simclr``; see the module's docstring, and `SelfSupervised`.

    >>> from galsim_deep_training.families import make_family
    >>> from galsim_deep_training.recipe import read_recipe
    >>> family = make_family(read_recipe("training/recipes/first_encoder.yaml"))
    >>> family.embed(tf.ones([2, 64, 64]), tf.ones([2])).shape
    TensorShape([2, 128])
    """

    phase_types = (Contrastive,)
