"""Simulated stamps: generated galaxies with the PSFs and noise of the stamps of a batch."""

__all__ = ["Simulator", "displaced"]

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ...physics.observation import clipped_if, observe
from .model import MPCCModel
from .networks.mixture_prior import class_of, uniform_of

Batch = Mapping[str, tf.Tensor]
"""A batch of a `Dataset`: ``stamp``, ``psf``, ``noise_sigma``, ``noise_power``, ``label`` and the
columns."""


class Simulator:
    """Draws classes and latents, generates galaxies, and observes them.

    A simulated galaxy has the columns, the PSF and the noise level of a galaxy of a batch.  In the
    shapes below, N is the number of these, S the size of a stamp, J that of a latent, and K the
    number of classes.

    Parameters:
        family:     The model.
        normal:     `Phase.normal` of the phase: standard normal numbers by step and stream.

    Example::

        >>> from galsim_deep_training.families import make_family
        >>> from galsim_deep_training.families.mpcc.phases.inference import Inference
        >>> from galsim_deep_training.recipe import read_recipe
        >>> family = make_family(read_recipe("training/recipes/digits_mpcc.yaml"))
        >>> phase = Inference(family, family.fit["inference"])
        >>> simulator = Simulator(family, phase.normal)
        >>> batch = dict(label=tf.fill([5], -1.0))  # not known
        >>> latent, classes = simulator.latents(batch, tf.constant(0), stream=0)
        >>> latent.shape, classes.shape
        (TensorShape([5, 12]), TensorShape([5, 10]))
    """

    def __init__(self, family: MPCCModel, normal: Callable[..., tf.Tensor]) -> None:
        self.family, self.settings, self._normal = family, family.settings, normal

    def latents(self, batch: Batch, step: tf.Tensor, stream: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw latents and classes for the rows of a batch.

        Parameters:
            batch:      The columns and labels; labels are used if they are the classes.
            step:       Index of the step.
            stream:     Differs between the draws of one step, which are then independent.

        Returns:
            (latents [N, J]; classes, one-hot [N, K]).
        """
        family, count = self.family, tf.shape(batch["label"])[0]
        normal = self._normal(step, count, self.settings.latent_size + 1, 2 * stream)
        if self.settings.classes.supervised:
            numbers = tf.cast(batch["label"], tf.int32)
        else:
            numbers = class_of(uniform_of(normal[:, -1]), family.training_set.class_shares)
        classes = family.one_hot(numbers)
        return self._latents_of(classes, normal[:, :-1], batch), classes

    def _latents_of(self, classes: tf.Tensor, normal: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Latents [N, J] of one-hot classes [N, K], from standard normal numbers [N, J]."""
        conditions = self.family.network_conditions(batch, tf.shape(classes)[0])
        return self.family.prior.draw(normal, classes, conditions)

    def views(self, batch: Batch, step: tf.Tensor, stream: int,
              **mode: Any) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Simulate stamps, and convert them to views, the input of networks.

        Parameters:
            batch:      The columns, PSFs, noise and labels to use.
            step:       Index of the step.
            stream:     Differs between the draws of one step, which are then independent.
            **mode:     ``training`` or ``batchwise`` of the generator.

        Returns:
            (views, a list of [N, G, G, V]; latents [N, J]; classes, one-hot [N, K]).
        """
        latent, classes = self.latents(batch, step, stream)
        return self._views(latent, classes, batch, step, stream, **mode), latent, classes

    def same_class_pairs(self, batch: Batch, step: tf.Tensor, stream: int, **mode: Any
                         ) -> tuple[list[tf.Tensor], list[tf.Tensor], tf.Tensor]:
        """Pairs of noiseless images of the same class that differ only in the latent.

        Parameters:
            As for `views`.

        Returns:
            (views of the first; views of the second; classes, one-hot [N, K]).
        """
        latent, classes = self.latents(batch, step, stream)
        other = self._latents_of(classes, self._second_normal(batch, step, stream), batch)
        first, second = (self._views(each, classes, batch, step, stream, noisy=False, **mode)
                         for each in (latent, other))
        return first, second, classes

    def neighbours(self, batch: Batch, step: tf.Tensor, stream: int, distance: float,
                   **mode: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Pairs of noiseless stamps, through the PSF, whose latents are close to each other.

        Everything else is the same: class, position angle, displacement.  The results are stamps
        instead of views, since the two measured orientations may differ.

        Parameters:
            batch, step, stream, mode:    As for `views`.
            distance:   Root mean square difference of the components of the latents, in units of
                        the standard deviations of their class; its direction is random.

        Returns:
            (first, second), [N, S, S] each.
        """
        latent, classes = self.latents(batch, step, stream)
        direction = tf.math.l2_normalize(self._second_normal(batch, step, stream), axis=-1)
        latent_step = distance * np.float32(np.sqrt(self.settings.latent_size)) * direction
        difference = (self._latents_of(classes, latent_step, batch)
                      - self._latents_of(classes, tf.zeros_like(latent_step), batch))
        # In one batch: with batch normalisation, two batches would differ by their statistics too.
        stamps, _ = self._observed(
            tf.concat([latent, latent + difference], axis=0),
            tf.concat([classes, classes], axis=0),
            {name: tf.concat([value, value], axis=0) for name, value in batch.items()},
            step, stream, copies=2, noisy=False, **mode)
        first, second = tf.split(stamps, 2)
        return first, second

    def _second_normal(self, batch: Batch, step: tf.Tensor, stream: int) -> tf.Tensor:
        """Standard normal numbers for a second latent of each row, [N, J]."""
        return self._normal(
            step, tf.shape(batch["label"])[0], self.settings.latent_size, 2 * stream + 2)

    def _views(self, latent: tf.Tensor, classes: tf.Tensor, batch: Batch, step: tf.Tensor,
               stream: int, **mode: Any) -> list[tf.Tensor]:
        """Generate galaxies from latents, observe them and convert them to views."""
        stamps, position_angle_latents = self._observed(
            latent, classes, batch, step, stream, **mode)
        return self.view(stamps, batch, position_angle_latents)

    def _observed(self, latent: tf.Tensor, classes: tf.Tensor, batch: Batch, step: tf.Tensor,
                  stream: int, copies: int = 1, noisy: bool = True,
                  **mode: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Generate galaxies from latents and observe them.

        Parameters:
            latent, classes:    [N, J] and one-hot [N, K].
            batch, step, stream, mode:    As for `views`.
            copies:             Number of copies of the same rows, one after the other; all copies
                                have the same position angle, displacement and noise, also that of
                                the generator.
            noisy:              Whether to add noise.

        Returns:
            (stamps [N, S, S]; position-angle latents [N, position_angle_size]).
        """
        family, offset, size = self.family, self.settings.offset, batch["stamp"].shape[1]
        sizes = [family.canvas.position_angle_size, 2, size**2, family.generator.noise_size]
        normal = self._normal(
            step, tf.shape(latent)[0] // copies, sum(sizes), 2 * stream + 1)
        position_angle_latents, displacement, noise, generator_noise = tf.split(
            tf.tile(normal, [copies, 1]), sizes, axis=-1)
        profiles = family.generate(
            latent, classes, position_angle_latents, batch, generator_noise, **mode)
        if offset:
            profiles = displaced(profiles, offset * (2.0 * uniform_of(displacement) - 1.0))
        noise = tf.reshape(noise, [-1, size, size]) if noisy else tf.zeros_like(profiles)
        stamps = observe(
            profiles, batch["psf"], batch["noise_sigma"], batch["noise_power"], noise)
        threshold, peak = tf.unstack(tf.convert_to_tensor(family.training_set.clipping))
        return clipped_if(stamps, batch["noise_sigma"], threshold, peak), position_angle_latents

    def view(self, stamps: tf.Tensor, batch: Batch,
             position_angle_latents: tf.Tensor | None = None) -> list[tf.Tensor]:
        """Stamps [N, S, S], with PSFs and noise of a batch, as views for the networks."""
        return self.family.view(stamps, batch["psf"], batch["noise_sigma"], batch,
                                position_angle_latents)


def displaced(profiles: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Shift images by less than a few pixels, in Fourier space.

    Parameters:
        profiles:   [N, S, S].
        shift:      Along x and y [pixels], [N, 2].

    Returns:
        [N, S, S].
    """
    size = profiles.shape[1]
    rows, columns = (frequencies.astype(np.float32) for frequencies in (
        np.fft.fftfreq(size), np.fft.rfftfreq(size)))
    phase = -2 * np.float32(np.pi) * (shift[:, 1, None, None] * rows[:, None]
                                      + shift[:, 0, None, None] * columns)
    factor = tf.complex(tf.cos(phase), tf.sin(phase))
    return tf.signal.irfft2d(tf.signal.rfft2d(profiles) * factor, fft_length=[size, size])
