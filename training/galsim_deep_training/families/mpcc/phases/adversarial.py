"""The phase in which generator, prior, discriminator and encoder are trained together."""

__all__ = ["Adversarial", "AdversarialSettings", "Jitter", "NETWORKS", "diversity", "likeness"]

import collections
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ....data.dataset import Dataset
from ....fitting.optimiser_step import OptimiserStep
from ....fitting.optimisers import make_optimizer
from ....fitting.phase import Batch, Phase, uses_float16
from ....networks.conditional_batch_norm import collect_statistics
from ....networks.spectral import fold_spectral_norm
from ....recipe import PhaseSettings, Recipe
from ....settings import Jitter as JitterSize
from ....settings import LearningRate, PositiveShare, Repeats, Settings, Share, Weight
from ...shared.deepest_stamps import deepest_stamps
from ...shared.relativistic_pairs import gradient_penalty, pair_loss
from ..elbo import Elbo
from ..jitter import SIZE, jittered
from ..losses import (
    class_negative_log_likelihood,
    discriminator_loss,
    generator_loss,
    latent_negative_log_likelihood,
    prior_regulariser,
    unevenness,
)
from ..model import MPCCModel
from ..simulator import Simulator

NETWORKS = ("model.canvas", "model.classes", "model.latent_size", "model.conditional",
            "model.offset", "model.prior", "model.generator", "model.discriminator",
            "model.encoder")
"""The networks of this phase, and what it simulates: all of the model except the flow."""

BETAS: dict[str, Any] = dict(beta_1=0.0, beta_2=0.999)
"""Parameters of Adam for all networks (Astorga 2021, section 8.1.4)."""
WATCHED = 5
"""Number of successive evaluations whose averages determine whether a class has collapsed."""
MIN_EXPECTED = 10
"""Smallest expected number of test stamps of a class for which its usage is evaluated."""
NEIGHBOUR_DISTANCE = 0.5
"""Distance of the latents whose images should differ evenly: root mean square over the components,
in units of the standard deviations of their class."""
MIN_CHANGE = 1e-4
"""Relative squared change of an image that counts as none, so that a class that begins to vary is
not suppressed."""
# Streams of random numbers besides those of simulated stamps, see `Phase.normal`.
JITTER, STATISTICS, MIXTURE, NEIGHBOURS, GENERATOR_NOISE, POSTERIOR, PERTURBATION = (
    10000, 500, 501, 502, 2000, 2001, 20000)

Views = list[tf.Tensor]
Scalars = dict[str, tf.Tensor]
Simulated = tuple[Views, tf.Tensor, tf.Tensor]
"""Views, latents and classes, see `Simulator.views`."""


class Jitter(Settings):
    """Random movements of images before the discriminator sees them, see `families.mpcc.jitter`.

    Example::

        >>> Jitter(turn=0.1)
        Jitter(shift=0.0, turn=0.1, stretch=0.0)
    """

    shift: Share = 0.0
    """Standard deviation of shifts along each axis, in units of the image width."""
    turn: JitterSize = 0.0
    """Standard deviation of rotations [rad]."""
    stretch: JitterSize = 0.0
    """Standard deviation of the logarithm of the magnification."""


class AdversarialSettings(PhaseSettings):
    """Settings of the phase ``adversarial``.

    Example::

        >>> settings = AdversarialSettings(steps=3000, jitter=dict(turn=0.1))
        >>> settings.discriminator_steps, settings.jitter.turn
        (4, 0.1)
    """

    not_hashed: ClassVar[frozenset[str]] = frozenset({"least_diversity", "least_usage"})

    discriminator_steps: Repeats = 4
    """Updates of the discriminator in each step, each with a batch of its own."""
    encoder_steps: Repeats = 4
    """Updates of the encoder in each step."""
    prior_learning_rate: LearningRate = 6e-4
    """eta_p: learning rate of the update of the prior that separates the classes."""
    prior_weight: Weight = 0.01
    """lambda_p: weight of the regulariser of the prior (eq. 7.16)."""
    mismatched: Weight = 0.0
    """Weight of real images paired with the class of another image, which the discriminator learns
    to reject (Reed et al. 2016, arXiv:1605.05396); for classes that are labels."""
    evenness: Weight = 0.0
    """Weight of `losses.unevenness`, the variation of the image change with the latent, in the loss
    of generator and prior: images should change with the latent equally everywhere.  A class that
    contains two kinds of images, with a sudden change from one to the other, then tends to give one
    of them up; this is useful for classes that are found without labels."""
    elbo: Weight = 0.0
    """Weight of the negative evidence lower bound per pixel (`families.mpcc.elbo`) in the loss of
    generator, prior and encoder, so that training stamps are still reproduced after a phase
    ``autoencoder``; its ``free_bits`` and ``model_error`` are those of that phase, and its
    ``balance`` does not apply."""
    latent_weight: Weight = 0.0
    """Weight of loss II per latent (eq. 7.13), in the loss of generator and prior: the generator
    then keeps latents apart that the encoder can tell from each other."""
    class_weight: Weight = 0.0
    """Weight of the negative log-likelihood of the class that the encoder infers from a generated
    image, in the loss of generator and prior: classes then look different (Chen et al. 2016,
    arXiv:1606.03657).  The loss II of a class (eq. 7.14) separates their latents only."""
    penalty: Weight = 2.0
    """Weight of the penalty of the gradient of a discriminator of the kind ``patches``, at real and
    generated images (R1 and R2; Huang et al. 2024, arXiv:2501.05441)."""
    perturbation: PositiveShare = 0.1
    """Size of the perturbation with which that gradient is estimated."""
    deepest_share: PositiveShare = 1.0
    """Fraction of the training stamps that are used: those with the least noise."""
    jitter: Jitter = Jitter()
    """Random movements of the images, which prevent the discriminator from memorising a small
    training set."""
    least_diversity: Share = 0.002
    """The fit is stopped if the variance of the images of one class is less than this fraction of
    the variance of real images."""
    least_usage: Share = 0.01
    """The fit is stopped if a class is inferred for real images less often than this fraction of
    its frequency in the fit."""


class Adversarial(Phase):
    """Algorithm 1 of the thesis (Astorga 2021, section 7.2; learning rates and losses: 8.1.4).

    In each step the discriminator is updated several times, each with a batch of real stamps of its
    own.  Then generator and prior are updated once.  Then the encoder is updated several times, on
    generated images only; with the first of these updates, the prior is updated with a loss that
    keeps its classes separate and wide.  Generated galaxies have the columns, PSFs and noise of
    real stamps.  With the setting ``elbo``, generator, prior and encoder are also fitted on the
    likelihood of real stamps, in the step of the generator.

    Parameters:
        family:     The model.
        settings:   `AdversarialSettings`.

    Example::

        >>> from galsim_deep_training.families import make_family
        >>> from galsim_deep_training.recipe import read_recipe
        >>> family = make_family(read_recipe("training/recipes/digits_mpcc.yaml"))
        >>> sorted(Adversarial(family, family.fit["adversarial"]).optimiser_steps)
        ['discriminator', 'encoder', 'generator', 'prior']
    """

    name = "adversarial"
    Settings = AdversarialSettings
    builds_on = ("autoencoder",)
    uses = NETWORKS

    settings: AdversarialSettings

    def __init__(self, family: MPCCModel, settings: AdversarialSettings) -> None:
        super().__init__(settings, family.recipe.seed)
        self.family = family
        self.networks = dict(
            generator=family.generator, prior=family.prior,
            discriminator=family.discriminator, encoder_trunk=family.encoder_trunk,
            encoder=family.encoder)
        if not family.judges_patches:
            self.networks["trunk"] = family.trunk
        float16 = uses_float16(self.networks)

        def optimiser_step(networks: list[keras.layers.Layer], updates: int = 1,
                           learning_rate: float | None = None,
                           average: bool = False) -> OptimiserStep:
            # By id: shared layers are listed by each network that contains them.
            variables = {id(variable): variable for network in networks
                         for variable in network.trainable_variables}
            optimizer = make_optimizer(settings, learning_rate, updates, use_ema=average, **BETAS)
            return OptimiserStep(list(variables.values()), optimizer, settings.clip, float16)

        self.optimiser_steps = dict(
            discriminator=optimiser_step(
                [family.discriminator, *([] if family.judges_patches else [family.trunk])],
                settings.discriminator_steps),
            generator=optimiser_step(
                [family.generator, family.prior,
                 *([family.encoder_trunk, family.encoder] if settings.elbo else [])],
                average=True),
            encoder=optimiser_step([family.encoder_trunk, family.encoder], settings.encoder_steps))
        if family.settings.classes.number > 1:
            self.optimiser_steps["prior"] = optimiser_step(
                [family.prior], learning_rate=settings.prior_learning_rate)
        self.simulator = Simulator(family, self.normal)
        if settings.elbo:
            before = family.fit["autoencoder"]
            self.elbo = Elbo(family, before.free_bits, before.model_error)
        self._watched: collections.deque[Mapping[str, float]] = collections.deque(maxlen=WATCHED)

    @classmethod
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        optimizer = fit[cls.name].optimizer
        if optimizer != "adam":
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.adversarial.optimizer, is '{optimizer}'; a GAN is "
                "fitted with adam.")
        if fit[cls.name].elbo and "autoencoder" not in fit:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.adversarial.elbo, needs a phase 'autoencoder'.")

    @classmethod
    def rows(cls, settings: AdversarialSettings) -> int:
        return settings.batch_size * settings.discriminator_steps

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.rows(self.settings), self.seed, start,
                               augmented=self.family.canvas.may_be_rotated,
                               among=dataset.deepest(self.settings.deepest_share))

    def step(self, batch: Batch, step: tf.Tensor) -> Scalars:
        scalars: Scalars = {}
        updates, encoder_updates = self.settings.discriminator_steps, self.settings.encoder_steps
        parts = [{name: value[k::updates] for name, value in batch.items()}
                 for k in range(updates)]
        # Each is drawn from a stream of its own.  The encoder gets the images that the
        # discriminator has got, and more if it has more updates: to generate an image takes longer
        # than to encode it.
        simulated = [tf.nest.map_structure(tf.stop_gradient, self.simulator.views(
                         parts[k % updates], step, 1 + k, training=True))
                     for k in range(max(updates, encoder_updates))]
        for k, part in enumerate(parts):
            loss, outputs, _ = self.optimiser_steps["discriminator"].step(
                lambda: self._discriminator_loss(
                    simulated[k], part, step, k))  # noqa: B023 - called at once
            scalars.update(outputs, loss=loss)
        _, losses, norm = self.optimiser_steps["generator"].step(
            lambda: self._generator_loss(parts[0], step))
        scalars.update(losses, generator_norm=norm)
        for k in range(encoder_updates):
            missed, _, _ = self.optimiser_steps["encoder"].step(
                lambda: self._encoder_loss(simulated[k], parts[k % updates]))  # noqa: B023
            if k == 0 and "prior" in self.optimiser_steps:
                _, losses, _ = self.optimiser_steps["prior"].step(
                    lambda: self._prior_loss(parts[0], step))
                scalars.update(losses)
        return dict(scalars, latent_negative_log_likelihood=missed)

    # ---- losses ------------------------------------------------------------------------------

    def _discriminate(self, views: Views, classes: tf.Tensor, batch: Batch, step: tf.Tensor,
                      stream: int) -> tf.Tensor:
        """The output of the discriminator for views, after random movements if any, [N]."""
        jitter, count = self.settings.jitter, tf.shape(views[0])[0]
        if jitter.shift or jitter.turn or jitter.stretch:
            normal = self.normal(step, count, SIZE, JITTER + stream)
            views = jittered(views, normal, jitter.shift, jitter.turn, jitter.stretch)
        return self.family.discriminate(
            views, classes, self.family.network_conditions(batch, count), training=True)

    def _discriminator_loss(self, simulated: Simulated, batch: Batch, step: tf.Tensor,
                            stream: int) -> tuple[tf.Tensor, Scalars]:
        """The hinge loss (eq. 7.12), and that of real images paired with another class."""
        generated_views, _, generated_classes = simulated
        if self.family.judges_patches:
            return self._relativistic_discriminator_loss(generated_views, batch, step, stream)
        labels = self.family.one_hot(tf.cast(batch["label"], tf.int32))
        # All images in one batch, so that the networks run once.
        views = [tf.concat(pair, axis=0) for pair in zip(
            self.simulator.view(batch["stamp"], batch), generated_views, strict=True)]
        classes = [labels, generated_classes]
        weight = self.settings.mismatched
        if weight:
            # The real images again, each with the class of another image.
            views = [tf.concat([view, view[:tf.shape(labels)[0]]], axis=0) for view in views]
            other_labels = tf.roll(labels, 1, axis=0)
            classes.append(other_labels)
        columns = {column.name: tf.tile(batch[column.name], [len(classes)])
                   for column in self.family.recipe.columns}
        real, generated, *mismatched = tf.split(self._discriminate(
            views, tf.concat(classes, axis=0), columns, step, 1 + stream), len(classes))
        loss, scalars = discriminator_loss(real, generated), dict(
            real=tf.reduce_mean(real), generated=tf.reduce_mean(generated))
        if weight:
            # Only if the other class is a different one.
            differs = 1.0 - tf.reduce_sum(labels * other_labels, axis=-1)
            loss += weight * tf.reduce_mean(differs * tf.nn.relu(1.0 + mismatched[0]))
            scalars.update(mismatched=tf.math.divide_no_nan(
                tf.reduce_sum(differs * mismatched[0]), tf.reduce_sum(differs)))
        return loss, scalars

    def _relativistic_discriminator_loss(self, generated: Views, batch: Batch, step: tf.Tensor,
                                         stream: int) -> tuple[tf.Tensor, Scalars]:
        """The loss of pairs, and the penalty of the gradient, estimated from a perturbation."""
        count = tf.shape(batch["stamp"])[0]
        both = tf.concat([self.simulator.view(batch["stamp"], batch)[0], generated[0]], axis=0)
        conditions = tf.tile(self.family.network_conditions(batch, count), [4, 1])
        penalty, scores = gradient_penalty(
            lambda images: self.family.discriminate(
                [images], tf.zeros([4 * count, 0]), conditions, training=True),
            both, self.normal(step, 2 * count, int(np.prod(both.shape[1:])),
                              PERTURBATION + stream),
            self.settings.perturbation)
        real, fake = tf.split(scores, 2)
        loss = pair_loss(real, fake)
        return loss + 0.5 * self.settings.penalty * penalty, dict(
            real=tf.reduce_mean(real), generated=tf.reduce_mean(fake), pairs=loss,
            penalty=penalty)

    def _generator_loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, Scalars]:
        """The loss of generator and prior (eq. 7.12), with the losses that settings add: of latents
        and classes that the encoder does not find, the unevenness, and the bound."""
        views, latent, classes = self.simulator.views(batch, step, 0, training=True)
        scores = self._discriminate(views, classes, batch, step, 0)
        if self.family.judges_patches:
            real = self._discriminate(
                self.simulator.view(batch["stamp"], batch), classes, batch, step, 0)
            loss = pair_loss(scores, tf.stop_gradient(real))
        else:
            loss = generator_loss(scores)
        scalars: Scalars = dict(generator=loss)
        if self.settings.latent_weight or self.settings.class_weight:
            conditions = self.family.network_conditions(batch, tf.shape(latent)[0])
            mean, scale = self.family.encode_views(views, conditions)
            missed = latent_negative_log_likelihood(latent, mean, scale)
            unclear = tf.reduce_mean(class_negative_log_likelihood(
                classes, self.family.prior.log_class_probability(
                    mean, self._log_shares(), conditions)))
            loss += (self.settings.latent_weight * tf.reduce_mean(missed) / latent.shape[1]
                     + self.settings.class_weight * unclear)
            scalars.update(unclear_class=unclear)
        if self.settings.evenness:
            uneven = self._unevenness(batch, step)
            loss += self.settings.evenness * uneven
            scalars.update(unevenness=uneven)
        if self.settings.elbo:
            bound, parts = self._elbo(batch, step)
            loss += self.settings.elbo * bound
            scalars.update(parts)
        return loss, scalars

    def _elbo(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, Scalars]:
        """The negative evidence lower bound per pixel."""
        pixels = batch["stamp"].shape[1] * batch["stamp"].shape[2]
        normal = self.normal(
            step, tf.shape(batch["stamp"])[0], self.family.settings.latent_size, POSTERIOR)
        bound, scalars = self.elbo(batch, normal, training=True)
        return bound / pixels, scalars

    def _unevenness(self, batch: Batch, step: tf.Tensor) -> tf.Tensor:
        """How unevenly images change with the latent, see `losses.unevenness`.

        Changes are relative to the light of an image, since sources are bright and faint.
        """
        first, second = self.simulator.neighbours(
            batch, step, NEIGHBOURS, NEIGHBOUR_DISTANCE, training=True)
        change, light = (tf.reduce_sum(image, axis=[1, 2]) for image in (
            tf.square(first - second), 0.5 * (tf.square(first) + tf.square(second))))
        # An image without light has not changed.
        return unevenness(tf.math.divide_no_nan(change, light) + MIN_CHANGE)

    def _encoder_loss(self, simulated: Simulated, batch: Batch) -> tuple[tf.Tensor, Scalars]:
        """The negative log-likelihood of the latents (eq. 7.13) per pixel (section 8.1.4)."""
        views, latent, _ = simulated
        mean, scale = self.family.encode_views(
            views, self.family.network_conditions(batch, tf.shape(latent)[0]), training=True)
        pixels = batch["stamp"].shape[1] * batch["stamp"].shape[2]
        return tf.reduce_mean(latent_negative_log_likelihood(latent, mean, scale)) / pixels, {}

    def _prior_loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, Scalars]:
        """The overlap of the classes (eq. 7.14), and the regulariser of their widths (eq. 7.16)."""
        prior = self.family.prior
        latent, classes = self.simulator.latents(batch, step, MIXTURE)
        conditions = self.family.network_conditions(batch, tf.shape(latent)[0])
        overlap = tf.reduce_mean(class_negative_log_likelihood(
            classes, prior.log_class_probability(latent, self._log_shares(), conditions)))
        regulariser = prior_regulariser(tf.exp(self._log_shares()), prior.components(conditions)[1])
        return (overlap + self.settings.prior_weight * regulariser,
                dict(class_negative_log_likelihood=overlap, prior_regulariser=regulariser))

    def _log_shares(self) -> tf.Tensor:
        """The logarithms of the frequencies of the classes in the fit, [1, K]."""
        return tf.math.log(tf.convert_to_tensor(self.family.training_set.class_shares))

    # ---- evaluation --------------------------------------------------------------------------

    def evaluate(self, batch: Batch) -> Scalars:
        """Compare generated with real images, and check whether a class has collapsed.

        Returns:
            * ``real``, ``generated``: mean output of the discriminator;
            * ``class_accuracy``: fraction of generated images whose class is inferred correctly;
            * ``usage_k``: frequency of class k as inferred for real stamps, over that of its labels
              or, without labels, over that in the fit; ``usage``: the smallest.  It is 1 for a
              class of which fewer than `MIN_EXPECTED` of these stamps are expected;
            * ``explained_variance``: fraction of the variance of the latents that is inferred;
            * ``likeness``, ``likeness_of_real``: how alike generated and real images are, see
              `likeness`: the first is larger if the generator repeats itself;
            * ``diversity``: variance of noiseless images of the same class, columns, PSF, position
              angle and noise of the generator, of the class with the smallest one, over the
              variance of real images.

            If the fit uses the stamps with the least noise only, so does this.
        """
        family, evaluation = self.family, tf.constant(-1)
        # The test stamps are of all depths.
        batch = deepest_stamps(batch, self.settings.deepest_share)
        views, latent, classes = self.simulator.views(batch, evaluation, 0, batchwise=True)
        real_views, count = self.simulator.view(batch["stamp"], batch), tf.shape(latent)[0]
        conditions = family.network_conditions(batch, count)
        labels = family.one_hot(tf.cast(batch["label"], tf.int32))
        mean, _ = family.encode_views(views, conditions)
        real_mean, _ = family.encode_views(real_views, conditions)
        inferred = family.one_hot(tf.argmax(family.log_class_probability(mean, batch), axis=-1))
        frequency = tf.reduce_sum(family.one_hot(
            tf.argmax(family.log_class_probability(real_mean, batch), axis=-1)), axis=0)
        shares = tf.convert_to_tensor(family.training_set.class_shares)[0]
        expected = (tf.reduce_sum(labels, axis=0) if family.settings.classes.supervised
                    else tf.cast(count, tf.float32) * shares)
        usage = tf.where(expected < MIN_EXPECTED, 1.0,
                         tf.math.divide_no_nan(frequency, expected))
        missed = tf.reduce_mean(tf.square(mean - latent))
        by_class = diversity(
            *self.simulator.same_class_pairs(batch, evaluation, 1, batchwise=True))
        return dict(
            {f"usage_{k}": value for k, value in enumerate(tf.unstack(usage))},
            real=tf.reduce_mean(family.discriminate(real_views, labels, conditions)),
            generated=tf.reduce_mean(family.discriminate(views, classes, conditions)),
            class_accuracy=tf.reduce_mean(tf.reduce_sum(inferred * classes, axis=-1)),
            usage=tf.reduce_min(usage),
            explained_variance=1.0 - missed / tf.math.reduce_variance(latent),
            likeness=likeness(self._structure(views)),
            likeness_of_real=likeness(self._structure(real_views)),
            diversity=tf.reduce_min(by_class) / variance(real_views))

    def _structure(self, views: Views) -> Views:
        return [view[..., self.family.canvas.structure_channels] for view in views]

    def fault(self, steps_done: int, scalars: Mapping[str, float]) -> str | None:
        settings = self.settings
        # A single evaluation may be an outlier.  At the beginning of a fit, all images of a class
        # are equal, and the classes start to vary one after the other.
        self._watched.append(scalars)
        if steps_done <= settings.steps // 3 or len(self._watched) < WATCHED:
            return None
        largest_diversity = max(watched["diversity"] for watched in self._watched)
        usage = [np.mean([watched[f"usage_{k}"] for watched in self._watched])
                 for k in range(self.family.settings.classes.number)]
        if largest_diversity < settings.least_diversity:
            collapse = (
                "the images of one of the classes are always the same (their variance is at most "
                f"{largest_diversity:.3f} of that of real images; fit.adversarial.least_diversity "
                f"is {settings.least_diversity:g})")
        elif min(usage) < settings.least_usage:
            collapse = (
                f"class {np.argmin(usage)} is not inferred for real stamps any more (its frequency "
                f"is {min(usage):.3f} of that in the fit; fit.adversarial.least_usage is "
                f"{settings.least_usage:g})")
        else:
            return None
        return (f"{collapse}. The mode has collapsed. Lower the learning rates or raise "
                "fit.adversarial.discriminator_steps, take fewer classes, or another seed, and "
                "remove the checkpoints; otherwise the fit continues from here.")

    def state(self) -> dict[str, Any]:
        optimiser_states = {f"{name}_{key}": value
                            for name, optimiser_step in self.optimiser_steps.items()
                            for key, value in optimiser_step.state().items()}
        return dict(self.networks, **optimiser_states)

    def finish(self, dataset: Dataset) -> None:
        """Keep the averaged weights, and prepare the generator for single galaxies.

        The statistics of its normalisation layers are those of columns of the training set, with
        the classes and latents of this phase.  The phases ``class_weights`` and ``flow`` change
        their distribution only slightly.
        """
        generator = self.optimiser_steps["generator"]
        generator.optimizer.finalize_variable_values(generator.variables)
        fold_spectral_norm(self.family.generator)
        used = dataset.deepest(self.settings.deepest_share)
        rows = {name: values[used]
                for name, values in dict(dataset.columns, label=dataset.label).items()}
        collect_statistics(self.family.generator, lambda index: self._generate(rows, index))

    def _generate(self, rows: Mapping[str, np.ndarray], index: int) -> None:
        """Run the generator for a batch of columns and labels drawn from the training set."""
        rng = np.random.default_rng([self.seed, 9, index])
        chosen = rng.integers(len(rows["label"]), size=4 * self.settings.batch_size)
        batch = {name: tf.constant(values[chosen]) for name, values in rows.items()}
        latents = self.simulator.latents(batch, tf.constant(index), STATISTICS)
        noise = self.normal(
            tf.constant(index), len(chosen), self.family.generator.noise_size, GENERATOR_NOISE)
        self.family.generator(
            *latents, self.family.network_conditions(batch, len(chosen)), noise)


def diversity(first: Views, second: Views, classes: tf.Tensor) -> tf.Tensor:
    """Mean variance of the pixels of images of the same class, [K].

    It is half the mean squared difference of pairs of images.

    Parameters:
        first, second:  Views of the two images of each pair, [N, G, G, V] each.
        classes:        One-hot, [N, K].  A class without images gets the mean of all pairs.
    """
    square = 0.5 * tf.reduce_mean(tf.square(_flat(first) - _flat(second)), axis=-1)
    count = tf.reduce_sum(classes, axis=0)
    mean = tf.linalg.matvec(classes, square, transpose_a=True) / tf.maximum(count, 1.0)
    return tf.where(count > 0, mean, tf.reduce_mean(square))


def likeness(views: Views) -> tf.Tensor:
    """How alike images are: the mean over images of the largest correlation with another image.

    The mean of all images is subtracted first, so that what they have in common does not count.

    Parameters:
        views:  Views of N images, [N, G, G, V] each.

    Returns:
        a scalar, at most 1.

    >>> different = tf.reshape(tf.eye(3), [3, 1, 3, 1])
    >>> round(float(likeness([different])), 3)
    -0.5
    >>> round(float(likeness([tf.repeat(different, 2, axis=0)])), 3)
    1.0
    """
    flat = _flat(views)
    flat = tf.math.l2_normalize(flat - tf.reduce_mean(flat, axis=0), axis=1)
    correlation = tf.matmul(flat, flat, transpose_b=True)
    others = tf.linalg.set_diag(correlation, -tf.ones_like(flat[:, 0]))
    return tf.reduce_mean(tf.reduce_max(others, axis=1))


def variance(views: Views) -> tf.Tensor:
    """Mean variance of the pixels of views [N, G, G, V] among images: a scalar."""
    return tf.reduce_mean(tf.math.reduce_variance(_flat(views), axis=0))


def _flat(views: Views) -> tf.Tensor:
    return tf.concat([tf.reshape(view, [tf.shape(view)[0], -1]) for view in views], axis=-1)
