"""The phase that fits the encoder to the generator as it is in the end."""

__all__ = ["Inference"]

import tensorflow as tf

from ..losses import latent_surprise
from ..networks.spectral import accounts, settle
from .adversarial import Adversarial
from .base import GradientPhase
from .making import Making


class Inference(GradientPhase):
    """Go on with the encoder alone, on images of the averaged generator (eq. 7.13).

    While a GAN is trained, encoder and generator follow each other; the generator of a module is an
    average that no encoder has seen.
    """

    name = "inference"
    independent_of = Adversarial.independent_of

    def __init__(self, family, fit):
        self.family = family
        networks = dict(own_trunk=family.own_trunk, encoder=family.encoder)
        super().__init__(fit, family.recipe.seed, networks,
                         [v for one in networks.values() for v in one.trainable_variables])
        self.making = Making(family, self.normal)

    def batches(self, dataset, start):
        return dataset.batches(self.fit.batch_size, self.seed + 1, start,
                               augmented=self.family.canvas.any_way_up)

    def loss(self, batch, number):
        return self._surprise(batch, number, training=True), {}

    def _surprise(self, batch, number, training):
        views, latent, _ = tf.nest.map_structure(
            tf.stop_gradient, self.making.views(batch, number, 0))
        mean, scale = self.family.infer(
            views, self.family.given(batch, tf.shape(latent)[0]), training=training)
        return tf.reduce_mean(latent_surprise(latent, mean, scale))

    def evaluate(self, batch):
        return dict(loss=self._surprise(batch, tf.constant(-1), training=False))

    def state(self):
        return dict(super().state(), accounts=accounts(self.networks))

    def finish(self):
        super().finish()
        settle(self.family.own_trunk)
        settle(self.family.encoder)
