"""Observed stamps as input of networks: in the frame of the galaxy, with its orientation undone."""

__all__ = ["view_in_galaxy_frame"]

from collections.abc import Sequence

import tensorflow as tf

from .grid import GalaxyGrid
from .orientation import Orientation, measure_orientation, with_parity


def view_in_galaxy_frame(grids: Sequence[GalaxyGrid], stamps: tf.Tensor, psfs: tf.Tensor,
                         noise_sigma: tf.Tensor, scale: tf.Tensor, flux: tf.Tensor,
                         rounded: bool = True) -> tuple[list[tf.Tensor], Orientation]:
    """Resample stamps to the frames of their galaxies.

    Parameters:
        grids:          `GalaxyGrid`s; the orientation is measured on the first one.
        stamps:         Observed stamps, [N, S, S].
        psfs:           Their PSFs, [N, P, P].
        noise_sigma:    Standard deviation of the noise in a pixel, [N].
        scale:          Pixels in the unit of length of the grids, [N].
        flux:           Flux of the galaxies according to the catalogue, [N].
        rounded:        Whether the ellipticity is undone as well.

    Returns:
        (views, one for each grid, [N, C, C, 3] each; the measured `Orientation`, with ellipticity
        and parity). The gradient with respect to the position angle and the parity is zero.

    >>> grid = GalaxyGrid(stamp_size=32, cells=16)
    >>> stamp = tf.reshape(tf.range(32.0 * 32.0), [1, 32, 32])
    >>> views, orientation = view_in_galaxy_frame(
    ...     [grid], stamp, stamp, tf.ones([1]), scale=tf.constant([4.0]), flux=tf.ones([1]))
    >>> views[0].shape
    TensorShape([1, 16, 16, 3])
    """
    widest, *inner = grids
    images = [widest.from_stamp(pixels, scale) for pixels in (stamps, psfs)]
    measured = measure_orientation(widest, images[0], images[1], noise_sigma, scale)
    undone = measured
    if rounded:
        scale *= measured.major_axis_factor
        images = [widest.from_stamp(pixels, scale) for pixels in (stamps, psfs)]
    else:
        undone = Orientation(measured.cosine, measured.sine)
    undone = with_parity(widest, widest.resample(images[0], undone.to_sky), undone)
    on_grids = [images, *([grid.from_stamp(pixels, scale) for pixels in (stamps, psfs)]
                          for grid in inner)]
    views = [_channels(grid.resample(tf.stack(pair, axis=-1), undone.to_sky),
                       noise_sigma, scale, flux)
             for grid, pair in zip(grids, on_grids, strict=True)]
    return views, Orientation(undone.cosine, undone.sine, undone.parity, measured.ellipticity)


def _channels(stamps_and_psfs: tf.Tensor, noise_sigma: tf.Tensor, scale: tf.Tensor,
              flux: tf.Tensor) -> tf.Tensor:
    """Channels that a network sees of stamps and PSFs [N, C, C, 2]: [N, C, C, 3].

    They are the stamp in units of the noise (how significant each pixel is), the stamp in units of
    the mean surface brightness of the galaxy (its morphology) and the PSF, without which a network
    cannot deconvolve (Lanusse et al. 2021, arXiv:2008.03833, section 4.2.1).  All are compressed by
    arcsinh; the factors bring them to values of order one, and were chosen by trial.
    """
    stamps, psfs = tf.unstack(stamps_and_psfs, axis=-1)
    area, flux = tf.square(scale)[:, None, None], flux[:, None, None]
    return tf.stack([0.3 * tf.asinh(stamps / noise_sigma[:, None, None]),
                     0.5 * tf.asinh(20.0 * stamps * area / flux),
                     tf.asinh(psfs * area)], axis=-1)
