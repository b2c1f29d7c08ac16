"""Observed stamps as networks see them: in the galaxy's own frame, its orientation undone."""

__all__ = ["look"]

import tensorflow as tf

from .orientation import Orientation, measure, with_ends


def look(frames, stamps, psfs, noise_sigma, scale, flux, rounded=True):
    """See stamps in units of a galaxy's size, turned along its major axis.

    Parameters:
        frames:         `GalaxyFrame`s, the first of which the orientation is measured in.
        stamps, psfs:   [N, S, S] and [N, P, P].
        noise_sigma:    Of a pixel, [N].
        scale:          Pixels in the unit of length of the frames, [N].
        flux:           Of the galaxies, as asked for, [N].
        rounded:        Whether galaxies are also stretched until they are round.

    Returns:
        (views, a list of [N, C, C, 3]; the `Orientation` that was found, with its elongation).
        There is no gradient through the angle and the ends that were found.
    """
    wide, *closer = frames
    seen = [wide.from_stamp(images, scale) for images in (stamps, psfs)]
    found = measure(wide, *seen, noise_sigma, scale)
    undone = found
    if rounded:
        scale *= found.lengthening
        seen = [wide.from_stamp(images, scale) for images in (stamps, psfs)]
    else:
        undone = Orientation(found.cosine, found.sine)
    undone = with_ends(wide, wide.resample(seen[0], undone.to_sky), undone)
    seen = [seen, *([frame.from_stamp(images, scale) for images in (stamps, psfs)]
                    for frame in closer)]
    views = [_channels(frame.resample(tf.stack(both, axis=-1), undone.to_sky),
                       noise_sigma, scale, flux)
             for frame, both in zip(frames, seen, strict=True)]
    return views, Orientation(undone.cosine, undone.sine, undone.parity, found.elongation)


def _channels(both, noise_sigma, scale, flux):
    """Stamp and PSF [N, C, C, 2], and [N] each -> [N, C, C, 3]."""
    stamps, psfs = tf.unstack(both, axis=-1)
    area, flux = tf.square(scale)[:, None, None], flux[:, None, None]
    # The galaxy in units of the noise (what can be seen) and of its own mean brightness (what it
    # looks like), and the PSF, without which nothing could be deconvolved (Lanusse et al. 2021,
    # section 4.2.1).
    return tf.stack([0.3 * tf.asinh(stamps / noise_sigma[:, None, None]),
                     0.5 * tf.asinh(20.0 * stamps * area / flux),
                     tf.asinh(psfs * area)], axis=-1)
