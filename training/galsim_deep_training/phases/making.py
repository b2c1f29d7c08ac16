"""Generated images as a survey would have observed them, for the phases that need some."""

__all__ = ["Making", "moved"]

import numpy as np
import tensorflow as tf

from ..networks.mixture import class_of, uniform_of
from ..physics.observation import clipped, observe


class Making:
    """Draws latents and classes, generates, and observes as the stamps of a batch were.

    Parameters:
        family:     A `families.mpcc.MPCC`.
        normal:     `phases.base.Phase.normal` of the phase: random numbers by step and stream.
    """

    def __init__(self, family, normal):
        self.family, self.settings, self._normal = family, family.settings, normal

    def latents(self, batch, number, stream):
        """Latents and classes for the rows of a batch: [N, J] and one-hot [N, K].

        With labels the classes are those of the batch.
        """
        family, count = self.family, tf.shape(batch["label"])[0]
        normal = self._normal(number, count, self.settings.latent_size + 1, 2 * stream)
        if self.settings.supervised:
            chosen = tf.cast(batch["label"], tf.int32)
        else:
            chosen = class_of(uniform_of(normal[:, -1]), family.fit_shares)
        classes = family.one_hot(chosen)
        return self._within(classes, normal[:, :-1], batch), classes

    def _within(self, classes, normal, batch):
        """Latents of classes, from normal numbers [N, J]."""
        given = self.family.given(batch, tf.shape(classes)[0])
        return self.family.prior.draw(normal, classes, given)

    def views(self, batch, number, stream, **how):
        """Images as networks see them, of latents that are drawn.

        Parameters:
            batch:      With the columns, PSFs and noise that are to be used.
            number:     Of the step.
            stream:     Keeps what is drawn several times in a step apart.
            how:        ``training`` or ``batchwise`` of the generator.

        Returns:
            (views, a list of [N, C, C, K']; latents [N, J]; classes, one-hot [N, K]).
        """
        latent, classes = self.latents(batch, number, stream)
        return self._seen(latent, classes, batch, number, stream, **how), latent, classes

    def twice(self, batch, number, stream, **how):
        """Pairs of images that differ in nothing but the latent within their class.

        Returns:
            (views of the first and of the second, both without noise; classes, one-hot [N, K]).
        """
        latent, classes = self.latents(batch, number, stream)
        other = self._within(classes, self._other_normal(batch, number, stream), batch)
        return (*(self._seen(one, classes, batch, number, stream, noisy=False, **how)
                  for one in (latent, other)), classes)

    def neighbours(self, batch, number, stream, apart, **how):
        """Pairs of stamps, through the PSF and without noise, of latents that are near each other.

        All else is the same: class, position angle, place.  They are stamps and not views, which
        may lie otherwise for the first than for the second.

        Parameters:
            apart:      How far, in any direction: root mean square over the latents, in units of
                        the deviations of their class.

        Returns:
            [N, S, S] each.
        """
        latent, classes = self.latents(batch, number, stream)
        direction = tf.math.l2_normalize(self._other_normal(batch, number, stream), axis=-1)
        step = apart * np.float32(np.sqrt(self.settings.latent_size)) * direction
        move = (self._within(classes, step, batch)
                - self._within(classes, tf.zeros_like(step), batch))
        # In one batch: by the mean and deviation of each they would differ as well.
        stamps, _ = self._observed(
            tf.concat([latent, latent + move], axis=0), tf.concat([classes, classes], axis=0),
            {name: tf.concat([value, value], axis=0) for name, value in batch.items()},
            number, stream, copies=2, noisy=False, **how)
        return tf.split(stamps, 2)

    def _other_normal(self, batch, number, stream):
        """Normal numbers for a second latent of each row, [N, J]."""
        return self._normal(
            number, tf.shape(batch["label"])[0], self.settings.latent_size, 2 * stream + 2)

    def _seen(self, latent, classes, batch, number, stream, **how):
        """What is made of latents, as networks see it."""
        stamps, turn = self._observed(latent, classes, batch, number, stream, **how)
        return self.look(stamps, batch, turn)

    def _observed(self, latent, classes, batch, number, stream, copies=1, noisy=True, **how):
        """What is made of latents, as a survey sees it, and the turns of position angles.

        Of several ``copies`` of the rows, one after the other, all lie and are observed alike.
        """
        family, settings, size = self.family, self.settings, batch["stamp"].shape[1]
        width = family.canvas.turn_size
        normal = self._normal(
            number, tf.shape(latent)[0] // copies, width + 2 + size**2, 2 * stream + 1)
        turn, move, noise = tf.split(
            tf.tile(normal, [copies, 1]), [width, 2, size**2], axis=-1)
        profiles = family.generate(latent, classes, turn, batch, **how)
        if settings.offset:
            profiles = moved(profiles, settings.offset * (2.0 * uniform_of(move) - 1.0))
        noise = tf.reshape(noise, [-1, size, size]) if noisy else tf.zeros_like(profiles)
        stamps = observe(
            profiles, batch["psf"], batch["noise_sigma"], batch["noise_power"], noise)
        if family.clipping is not None:
            stamps = clipped(stamps, batch["noise_sigma"], *family.clipping)
        return stamps, turn

    def look(self, stamps, batch, turn=None):
        """Stamps, observed as those of a batch, as networks see them."""
        return self.family.look(stamps, batch["psf"], batch["noise_sigma"], batch, turn)


def moved(profiles, shift):
    """Profiles [N, S, S] moved by less than a few pixels, along x and y [N, 2], in Fourier space.
    """
    size = profiles.shape[1]
    rows, columns = (frequencies.astype(np.float32) for frequencies in (
        np.fft.fftfreq(size), np.fft.rfftfreq(size)))
    phase = -2 * np.float32(np.pi) * (shift[:, 1, None, None] * rows[:, None]
                                      + shift[:, 0, None, None] * columns)
    turned = tf.complex(tf.cos(phase), tf.sin(phase))
    return tf.signal.irfft2d(tf.signal.rfft2d(profiles) * turned, fft_length=[size, size])
