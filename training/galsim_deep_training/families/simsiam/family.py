"""SimSiam: one view predicts the other, whose projection counts as a constant.

Chen & He 2020 (arXiv:2011.10566); Andrianomena 2023, section 3.4.
"""

__all__ = ["SimSiam"]

from typing import Any

import keras
import tensorflow as tf

from ..shared.self_supervised import SelfSupervised, TwoViews, cosine_similarity, perceptron


class StopGradient(TwoViews):
    """Fit encoder, projector and predictor on the negative cosine similarity (eqs. 3.7 and 3.8).

    See `TwoViews`.

    >>> StopGradient.name
    'views'
    """

    def __init__(self, family: SelfSupervised, settings: Any) -> None:
        self.predictor = perceptron(family.settings.hidden // 2, family.settings.projection)
        self.predictor(tf.zeros([1, family.settings.projection]))
        super().__init__(family, settings)

    def fitted_networks(self) -> dict[str, keras.layers.Layer]:
        return dict(super().fitted_networks(), predictor=self.predictor)

    def compare(self, first: tf.Tensor, second: tf.Tensor, training: bool) -> tf.Tensor:
        views = tf.concat([first, second], axis=0)
        projected = self.family.projector(
            self.family.encoder(views, training=training), training=training)
        predicted = self.predictor(projected, training=training)
        other = tf.concat(tf.split(tf.stop_gradient(projected), 2, axis=0)[::-1], axis=0)
        return -tf.reduce_mean(cosine_similarity(predicted, other))


class SimSiam(SelfSupervised, kind="simsiam"):
    """The model family ``simsiam``; see the module's docstring, and `SelfSupervised`.

    >>> from galsim_deep_training.families import make_family
    >>> from galsim_deep_training.recipe import read_recipe
    >>> family = make_family(read_recipe("training/recipes/first_simsiam.yaml"))
    >>> sorted(family.signatures())
    ['embed']
    """

    phase_types = (StopGradient,)
