"""The phase in which generator, prior, discriminator and encoder learn from each other."""

__all__ = ["Adversarial"]

import collections

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ..losses import (
    class_surprise,
    deceive,
    latent_surprise,
    prior_regulariser,
    tell_apart,
    unevenness,
)
from ..networks.jitter import SIZE, jittered
from ..networks.spectral import accounts, settle
from ..networks.standing_norm import take_statistics
from ..optimisation import make_optimizer
from .base import Phase, uses_float16
from .descent import Descent
from .making import Making

BETAS = dict(beta_1=0.0, beta_2=0.999)
"""Of Adam, for all players (Astorga 2021, section 8.1.4)."""
WATCHED = 5
"""How many evaluations in a row a mode has to be dead."""
ENOUGH = 10
"""Of how many stamps of a class none may be found before that says anything."""
STEP = 0.5
"""How far latents are apart whose images should differ evenly: root mean square over the latents
[deviations of their class]."""
UNSEEN = 1e-4
"""Relative changes of images that count as none, squared: a class that comes to life is not held
back."""
# Streams of random numbers besides those of what is generated, see `Phase.normal`.
JITTER, STATISTICS, MIXTURE, NEIGHBOURS = 10000, 500, 501, 502


class Adversarial(Phase):
    """Algorithm 1 of Astorga 2021.

    In each step the discriminator is moved several times, each with real stamps of its own; then
    generator and prior once; then the encoder several times, on generated images alone, and with
    the first of these the prior, so that classes stay apart and wide.  What is generated has the
    columns, the PSFs and the noise of real stamps.
    """

    name = "adversarial"
    independent_of = ("model.class_names", "model.flow", "model.class_share",
                      "model.least_diversity", "model.least_usage")

    def __init__(self, family, fit):
        super().__init__(fit, family.recipe.seed)
        self.family = family
        settings = family.settings
        if fit.optimizer != "adam":
            raise GalSimConfigError(
                f"The recipe {family.recipe.path}, fit.adversarial.optimizer, asks for "
                f"'{fit.optimizer}'; a GAN is fitted with adam.")
        critics = dict(trunk=family.trunk, discriminator=family.discriminator)
        self.networks = dict(family.networks, **critics)
        halves = uses_float16(self.networks)

        def player(networks, updates=1, base=None, average=False):
            variables = {id(v): v for network in networks for v in network.trainable_variables}
            optimizer = make_optimizer(fit, base, updates, use_ema=average, **BETAS)
            return Descent(list(variables.values()), optimizer, fit.clip, halves)

        self.players = dict(
            discriminator=player(critics.values(), settings.discriminator_steps),
            generator=player([family.generator, family.prior], average=True),
            encoder=player([family.own_trunk, family.encoder], settings.encoder_steps))
        if settings.classes > 1:
            self.players["prior"] = player([family.prior], base=settings.prior_learning_rate)
        self.making = Making(family, self.normal)
        self._rows, self._watched = None, collections.deque(maxlen=WATCHED)

    def batches(self, dataset, start):
        # For the statistics of the generator, at the end.
        self._rows = {name: values[dataset.train_indices]
                      for name, values in dict(dataset.columns, label=dataset.label).items()}
        return dataset.batches(
            self.fit.batch_size * self.family.settings.discriminator_steps, self.seed, start,
            augmented=self.family.canvas.any_way_up)

    def step(self, batch, number):
        settings, scalars = self.family.settings, {}
        steps = settings.discriminator_steps
        parts = [{name: value[k::steps] for name, value in batch.items()} for k in range(steps)]
        # Drawn each from a stream of its own.  The encoder sees what the discriminator has seen,
        # and more if it makes more steps: what is generated takes longer to make than to look at.
        made = [tf.nest.map_structure(tf.stop_gradient, self.making.views(
                    parts[k % steps], number, 1 + k, training=True))
                for k in range(max(steps, settings.encoder_steps))]
        for k, part in enumerate(parts):
            loss, judged, _ = self.players["discriminator"].step(
                lambda: self._tell_apart(made[k], part, number, k))  # noqa: B023 - called at once
            scalars.update(judged, loss=loss)
        _, seen, norm = self.players["generator"].step(lambda: self._deceive(parts[0], number))
        scalars.update(seen, generator_norm=norm)
        for k in range(settings.encoder_steps):
            missed, _, _ = self.players["encoder"].step(
                lambda: self._missed(made[k], parts[k % steps]))  # noqa: B023
            if k == 0 and "prior" in self.players:
                _, mixed, _ = self.players["prior"].step(lambda: self._mixed(parts[0], number))
                scalars.update(mixed)
        return dict(scalars, missed=missed)

    # The losses of the players.

    def _judge(self, views, classes, batch, number, stream):
        """What the discriminator says of views, [N], which are moved a little if that is wanted."""
        jitter, count = self.family.settings.jitter, tf.shape(views[0])[0]
        if jitter.shift or jitter.turn or jitter.stretch:
            normal = self.normal(number, count, SIZE, JITTER + stream)
            views = jittered(views, normal, jitter.shift, jitter.turn, jitter.stretch)
        return self.family.judge(views, classes, self.family.given(batch, count), training=True)

    def _tell_apart(self, made, batch, number, stream):
        views, _, classes = made
        known = self.family.one_hot(tf.cast(batch["label"], tf.int32))
        # Both in one batch: the networks run once.
        both = [tf.concat(pair, axis=0) for pair in zip(
            self.making.look(batch["stamp"], batch), views, strict=True)]
        beside = [known, classes]
        weight = self.family.settings.mismatched
        if weight:
            # Real images once more, beside the class of the next one.
            both = [tf.concat([view, view[:tf.shape(known)[0]]], axis=0) for view in both]
            others = tf.roll(known, 1, axis=0)
            beside.append(others)
        columns = {column.name: tf.tile(batch[column.name], [len(beside)])
                   for column in self.family.recipe.columns}
        judged = tf.split(self._judge(
            both, tf.concat(beside, axis=0), columns, number, 1 + stream), len(beside))
        real, made = judged[:2]
        loss, scalars = tell_apart(real, made), dict(
            real=tf.reduce_mean(real), made=tf.reduce_mean(made))
        if weight:
            # Where that is another one.
            wrong = 1.0 - tf.reduce_sum(known * others, axis=-1)
            loss += weight * tf.reduce_mean(wrong * tf.nn.relu(1.0 + judged[2]))
            scalars.update(mismatched=tf.math.divide_no_nan(
                tf.reduce_sum(wrong * judged[2]), tf.reduce_sum(wrong)))
        return loss, scalars

    def _deceive(self, batch, number):
        views, _, classes = self.making.views(batch, number, 0, training=True)
        loss = deceive(self._judge(views, classes, batch, number, 0))
        weight = self.family.settings.evenness
        if not weight:
            return loss, {}
        uneven = self._unevenness(batch, number)
        return loss + weight * uneven, dict(uneven=uneven)

    def _unevenness(self, batch, number):
        """How unevenly images change with the latent, see `losses.unevenness`.

        Relative to their own light: they are of sources bright and faint.
        """
        first, second = self.making.neighbours(batch, number, NEIGHBOURS, STEP, training=True)
        changed, light = (tf.reduce_sum(part, axis=[1, 2]) for part in (
            tf.square(first - second), 0.5 * (tf.square(first) + tf.square(second))))
        # Without light, nothing has changed.
        return unevenness(tf.math.divide_no_nan(changed, light) + UNSEEN)

    def _missed(self, made, batch):
        """What the encoder misses of the latents, per pixel (eq. 7.13, section 8.1.4)."""
        views, latent, _ = made
        mean, scale = self.family.infer(
            views, self.family.given(batch, tf.shape(latent)[0]), training=True)
        pixels = batch["stamp"].shape[1] * batch["stamp"].shape[2]
        return tf.reduce_mean(latent_surprise(latent, mean, scale)) / pixels, {}

    def _mixed(self, batch, number):
        """How much the classes overlap (eq. 7.14), and how narrow they are (eq. 7.16)."""
        prior, shares = self.family.prior, tf.constant(self.family.fit_shares)
        latent, classes = self.making.latents(batch, number, MIXTURE)
        context = self.family.given(batch, tf.shape(latent)[0])
        overlap = tf.reduce_mean(class_surprise(
            classes, prior.log_membership(latent, tf.math.log(shares), context)))
        narrow = prior_regulariser(shares, prior.components(context)[1])
        return (overlap + self.family.settings.prior_weight * narrow,
                dict(overlap=overlap, narrow=narrow))

    # What is watched.

    def evaluate(self, batch):
        """How the players stand, how many classes are found, and whether any has died.

        ``found`` is the share of generated images whose class the encoder recovers; ``usage_K`` the
        share of class K that it finds among real stamps, in units of what is there by the labels
        or, without them, of that in the fit, and ``usage`` the least.  It is 1 for a class of which
        fewer than `ENOUGH` of these stamps are to be expected: that it is not found says little.
        ``explained`` the share of the latents' variance that the encoder recovers; ``diversity``
        by how much images of the poorest class differ where columns, PSF and position angle are
        the same and there is no noise, over the variance of real images.
        """
        family = self.family
        views, latent, classes = self.making.views(batch, tf.constant(-1), 0, batchwise=True)
        real, count = self.making.look(batch["stamp"], batch), tf.shape(latent)[0]
        context = family.given(batch, count)
        known = family.one_hot(tf.cast(batch["label"], tf.int32))
        mean, _ = family.infer(views, context)
        of_real, _ = family.infer(real, context)
        assigned = family.one_hot(tf.argmax(family.membership(mean, batch), axis=-1))
        found = tf.reduce_sum(family.one_hot(
            tf.argmax(family.membership(of_real, batch), axis=-1)), axis=0)
        expected = (tf.reduce_sum(known, axis=0) if family.settings.supervised
                    else tf.cast(count, tf.float32) * family.fit_shares[0])
        usage = tf.where(expected < ENOUGH, 1.0, tf.math.divide_no_nan(found, expected))
        missed = tf.reduce_mean(tf.square(mean - latent))
        each = diversity(*self.making.twice(batch, tf.constant(-1), 1, batchwise=True))
        return dict(
            {f"usage_{number}": one for number, one in enumerate(tf.unstack(usage))},
            real=tf.reduce_mean(family.judge(real, known, context)),
            made=tf.reduce_mean(family.judge(views, classes, context)),
            found=tf.reduce_mean(tf.reduce_sum(assigned * classes, axis=-1)),
            usage=tf.reduce_min(usage),
            explained=1.0 - missed / tf.math.reduce_variance(latent),
            diversity=tf.reduce_min(each) / variance(real))

    def fault(self, number, scalars):
        settings = self.family.settings
        # What happens once may pass. And a generator begins with one image: classes come to life
        # one by one.
        self._watched.append(scalars)
        if number <= self.fit.steps // 3 or len(self._watched) < self._watched.maxlen:
            return None
        diversity = max(seen["diversity"] for seen in self._watched)
        usage = [np.mean([seen[f"usage_{one}"] for seen in self._watched])
                 for one in range(settings.classes)]
        if diversity < settings.least_diversity:
            died = (f"what one of the classes makes is always the same (its images differ by "
                    f"{diversity:.3f} of what real ones differ by at most; model.least_diversity "
                    f"is {settings.least_diversity:g})")
        elif min(usage) < settings.least_usage:
            died = (f"class {np.argmin(usage)} is not found in real stamps any more "
                    f"({min(usage):.3f} of its share in the fit; model.least_usage is "
                    f"{settings.least_usage:g})")
        else:
            return None
        return (f"{died}. The mode has died. Lower the learning rates or raise "
                "model.discriminator_steps, take fewer classes, or another seed; remove the "
                "checkpoints, which go on from here.")

    def state(self):
        found = {}
        for name, player in self.players.items():
            found.update({f"{name}_{key}": value for key, value in player.state().items()})
        return dict(self.networks, accounts=accounts(self.networks), **found)

    def finish(self):
        """Keep the averages, and what the layers of the generator need to work on their own.

        Statistics are of the mix of classes and latents that the weights were fitted with; what the
        phases ``classes`` and ``flow`` change of it is little.
        """
        generator = self.players["generator"]
        generator.optimizer.finalize_variable_values(generator.variables)
        settle(self.family.generator)
        take_statistics(self.family.generator, self._generate)

    def _generate(self, number):
        """Run the generator once for columns as in the training set and classes as in the fit."""
        rng = np.random.default_rng([self.seed, 9, number])
        rows = rng.integers(len(self._rows["label"]), size=4 * self.fit.batch_size)
        batch = {name: tf.constant(values[rows]) for name, values in self._rows.items()}
        latents = self.making.latents(batch, tf.constant(number), STATISTICS)
        self.family.generator(*latents, self.family.given(batch, len(rows)))


def diversity(first, second, classes):
    """By how much pairs of images of a class differ: half their mean squared difference, [K].

    Parameters:
        first, second:  Views, a list of [N, C, C, K'] each.
        classes:        One-hot, [N, K].  A class without images is as diverse as all are together.
    """
    square = 0.5 * tf.reduce_mean(tf.square(_flat(first) - _flat(second)), axis=-1)
    count = tf.reduce_sum(classes, axis=0)
    each = tf.linalg.matvec(classes, square, transpose_a=True) / tf.maximum(count, 1.0)
    return tf.where(count > 0, each, tf.reduce_mean(square))


def variance(views):
    """Of pixels among images, a list of [N, C, C, K]: a scalar."""
    return tf.reduce_mean(tf.math.reduce_variance(_flat(views), axis=0))


def _flat(views):
    return tf.concat([tf.reshape(view, [tf.shape(view)[0], -1]) for view in views], axis=-1)
