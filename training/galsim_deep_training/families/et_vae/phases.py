"""The phases that fit the equivariant transformer VAE, with and without labels."""

__all__ = ["ImagesAlone", "Votes"]

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError, GalSimError

from ...data.dataset import Dataset
from ...fitting.optimiser_step import OptimiserStep
from ...fitting.optimisers import make_optimizer
from ...fitting.phase import Batch, GradientPhase
from ...recipe import PhaseSettings, Recipe
from ...settings import Weight, Within

if TYPE_CHECKING:
    from .family import ETVAE

TURNS = 1
"""Stream of random numbers, see `Phase.normal`."""


class ImagesAloneSettings(PhaseSettings):
    """Settings of the phase ``autoencoder`` of the family ``et_vae``."""

    beta: Weight = 1.0
    """Weight of the KL divergence in the loss."""
    consistency: Weight = 10.0
    """Weight of the self-consistency of the position angle (Nishikawa-Toomey 2020, eq. 3): if an
    image is turned, its position angle has to change by that angle."""


class ImagesAlone(GradientPhase):
    """Fit encoder and decoder on images without labels: the ELBO (eq. 4), and the self-consistency
    of the position angle (eq. 3).

    >>> ImagesAlone.name, ImagesAlone.Settings(steps=10).consistency
    ('autoencoder', 10.0)
    """

    name = "autoencoder"
    Settings: ClassVar[type[PhaseSettings]] = ImagesAloneSettings
    family: "ETVAE"

    def __init__(self, family: "ETVAE", settings: Any) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed, family.trained_by(self.name))

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed, start)

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        count = tf.shape(batch["stamp"])[0]
        return elbo_loss(self.family, self.settings, batch["stamp"],
                         self.normal(step, count, self.family.settings.latent_size),
                         self.normal(step, count, 2, TURNS))

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        count = tf.shape(batch["stamp"])[0]
        loss, scalars = elbo_loss(
            self.family, self.settings, batch["stamp"],
            tf.zeros([count, self.family.settings.latent_size]), tf.ones([count, 2]))
        return dict(scalars, loss=loss)


def elbo_loss(family: "ETVAE", settings: Any, stamps: tf.Tensor, normal: tf.Tensor,
              turn: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The negative ELBO for each image, with the self-consistency, and scalars to log.

    Parameters:
        family:     The family.
        settings:   Settings with ``beta`` and ``consistency``.
        stamps:     [N, S, S] or [N, S, S, B].
        normal:     Standard normal numbers for the latents, [N, K].
        turn:       Two of them for the angle of the self-consistency, [N, 2].
    """
    series = family.series(stamps)
    angle = family.angle(series)
    mean, scale = family.encoder(family.grid.maps(family.grid.turned(series, -angle)))
    made = family.grid.turned(family.decoded(mean + scale * normal), angle)
    misfit = 0.5 * family.grid.square_difference(series, made) / family.settings.pixel_error**2
    kl = tf.reduce_sum(
        0.5 * (tf.square(mean) + tf.square(scale) - 1.0) - tf.math.log(scale), axis=-1)
    by = tf.math.atan2(turn[:, 0], turn[:, 1])
    moved = family.angle(family.grid.turned(series, by)) - angle
    inconsistency = tf.reduce_mean(1.0 - tf.cos(2.0 * (moved - by)))
    loss = tf.reduce_mean(misfit + settings.beta * kl) + settings.consistency * inconsistency
    return loss, dict(misfit=tf.reduce_mean(misfit), kl=tf.reduce_mean(kl),
                      inconsistency=inconsistency)


class VotesSettings(ImagesAloneSettings):
    """Settings of the phase ``votes`` of the family ``et_vae``."""

    labels: Annotated[int, Within(1, 10**9)] | None = None
    """Number of training images whose votes are used, chosen at random.  [default: all that have
    votes]"""
    alternate: bool = False
    """Whether each step begins with an update of encoder and decoder on as many images without
    labels, as in the phase ``autoencoder``."""


class Votes(GradientPhase):
    """Fit classifier and encoder on the multinomial likelihood of votes (eqs. 1 and 2).

    Alone, it is the supervised fit; after the phase ``autoencoder`` the fit in two steps; and with
    ``alternate`` the alternating one of Nishikawa-Toomey 2020.

    >>> Votes.name, Votes.Settings(steps=10, labels=300, alternate=True).labels
    ('votes', 300)
    """

    name = "votes"
    format = 2
    Settings: ClassVar[type[PhaseSettings]] = VotesSettings
    family: "ETVAE"

    def __init__(self, family: "ETVAE", settings: Any) -> None:
        self.family = family
        networks = family.trained_by(self.name)
        super().__init__(settings, family.recipe.seed, networks, [
            variable for name, network in networks.items() if name != "decoder"
            for variable in network.trainable_variables])
        # With an optimiser of its own: the gradients of the ELBO are many times larger than those
        # of the votes, whose steps would become tiny if they shared one.
        self.images_step = None
        if settings.alternate:
            self.images_step = OptimiserStep(
                [variable for network in family.trained_by(ImagesAlone.name).values()
                 for variable in network.trainable_variables],
                make_optimizer(settings), settings.clip)

    @classmethod
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        if not getattr(recipe.model, "answers", ()):
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit, has the phase '{cls.name}', which needs the names "
                "of the columns of votes under model.answers.")

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Images with votes; with ``alternate`` also any images, ``any_stamp``."""
        known, step = self.labelled(dataset), start
        while True:
            rng = np.random.default_rng([self.seed, 5, step])
            size = self.settings.batch_size
            batch = dataset.read(rng.choice(known, size), augment=rng)
            if self.settings.alternate:
                batch["any_stamp"] = dataset.read(
                    rng.choice(dataset.train_indices, size), augment=rng)["stamp"]
            yield batch
            step += 1

    def labelled(self, dataset: Dataset) -> np.ndarray:
        """The rows of the training images whose votes are used.

        Raises a `galsim.GalSimError` if there are fewer than the settings ask for.
        """
        votes = sum(dataset.columns[name] for name in self.family.settings.answers)
        rows = dataset.train_indices[votes[dataset.train_indices] > 0]
        wanted = self.settings.labels or len(rows)
        if not len(rows) or wanted > len(rows):
            raise GalSimError(
                f"The data set has {len(rows)} training images with votes; fit.{self.name} of the "
                f"recipe {self.family.recipe.path} needs {max(wanted, 1)}.")
        return np.sort(np.random.default_rng([self.seed, 6]).permutation(rows)[:wanted])

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self.votes_loss(batch)

    def step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        images: dict[str, tf.Tensor] = {}
        if self.images_step is not None:
            count = tf.shape(batch["any_stamp"])[0]
            normal = self.normal(step, count, self.family.settings.latent_size)
            turn = self.normal(step, count, 2, TURNS)
            _, images, _ = self.images_step.step(lambda: elbo_loss(
                self.family, self.settings, batch["any_stamp"], normal, turn))
        return dict(super().step(batch, step), **images)

    def state(self) -> dict[str, Any]:
        images = {} if self.images_step is None else {
            f"images_{name}": part for name, part in self.images_step.state().items()}
        return dict(super().state(), **images)

    def finish(self, dataset: Dataset) -> None:
        if self.images_step is not None:
            self.images_step.optimizer.finalize_variable_values(self.images_step.variables)
        super().finish(dataset)

    def votes_loss(self, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The negative log-likelihood of the votes for each image, without its constant, and the
        RMS error of their fractions."""
        votes = tf.stack([batch[name] for name in self.family.settings.answers], axis=-1)
        log_fractions = self.family.log_fractions(self.family.latents(batch["stamp"])[0])
        total = tf.reduce_sum(votes, axis=-1, keepdims=True)
        known = tf.cast(total > 0, tf.float32)
        count = tf.maximum(tf.reduce_sum(known), 1.0)
        error = tf.square(tf.exp(log_fractions) - votes / tf.maximum(total, 1e-6))
        return (-tf.reduce_sum(votes * log_fractions) / count,
                dict(error=tf.sqrt(tf.reduce_sum(known * error) / count / votes.shape[1])))

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        loss, scalars = self.votes_loss(batch)
        return dict(scalars, loss=loss)
