"""BYOL: an online network predicts what a slowly following target network makes of another view.

Grill et al. 2020 (arXiv:2006.07733); Andrianomena 2023, section 3.3.
"""

__all__ = ["BYOL"]

from typing import Any

import keras
import tensorflow as tf

from ...fitting.phase import Batch
from ...settings import ShareBelowOne
from ..shared.self_supervised import (
    SelfSupervised,
    TwoViews,
    TwoViewsSettings,
    cosine_similarity,
    perceptron,
)


class BootstrapSettings(TwoViewsSettings):
    """Settings of the phase ``views`` of the family ``byol``.

    >>> BootstrapSettings(steps=100).decay
    0.99
    """

    decay: ShareBelowOne = 0.99
    """Kappa of eq. 3.5: how slowly the target network follows the online network."""


class Bootstrap(TwoViews):
    """Fit encoder, projector and predictor so that they predict the target (eqs. 3.5 and 3.6).

    The vectors have unit length, as in Grill et al. 2020, eq. 2.  See `TwoViews`.

    >>> Bootstrap.name
    'views'
    """

    Settings = BootstrapSettings

    def __init__(self, family: SelfSupervised, settings: Any) -> None:
        self.predictor = perceptron(family.settings.hidden, family.settings.projection)
        self.predictor(tf.zeros([1, family.settings.projection]))
        self.target = dict(zip(("encoder", "projector"), family.new_networks(), strict=True))
        super().__init__(family, settings)
        for name, network in self.target.items():
            network.set_weights(self.networks[name].get_weights())

    def fitted_networks(self) -> dict[str, keras.layers.Layer]:
        return dict(super().fitted_networks(), predictor=self.predictor)

    def compare(self, first: tf.Tensor, second: tf.Tensor, training: bool) -> tf.Tensor:
        views = tf.concat([first, second], axis=0)
        predicted = self.predictor(
            self.family.projector(self.family.encoder(views, training=training), training=training),
            training=training)
        target = tf.stop_gradient(self.target["projector"](
            self.target["encoder"](views, training=training), training=training))
        # The squared distance of vectors of unit length is 2 - 2 cos; each view predicts the other.
        other = tf.concat(tf.split(target, 2, axis=0)[::-1], axis=0)
        return tf.reduce_mean(2.0 - 2.0 * cosine_similarity(predicted, other))

    def step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        scalars = super().step(batch, step)
        decay = self.settings.decay
        for name, network in self.target.items():
            for mine, online in zip(network.trainable_variables,
                                    self.networks[name].trainable_variables, strict=True):
                mine.assign(decay * mine + (1.0 - decay) * online)
        return scalars

    def state(self) -> dict[str, Any]:
        return dict(super().state(), **{f"target_{name}": network
                                        for name, network in self.target.items()})


class BYOL(SelfSupervised, kind="byol"):
    """The model family ``byol``; see the module's docstring, and `SelfSupervised`.

    >>> from galsim_deep_training.families import make_family
    >>> from galsim_deep_training.recipe import read_recipe
    >>> family = make_family(read_recipe("training/recipes/first_byol.yaml"))
    >>> sorted(family.signatures())
    ['embed']
    """

    phase_types = (Bootstrap,)
