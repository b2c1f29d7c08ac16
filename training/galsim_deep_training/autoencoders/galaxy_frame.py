"""Our autoencoder: it works in the galaxy's own frame, with a ladder of latents.

The stamp is seen in units of the asked half-light radius and turned along the major axis that is
measured on it; what is decoded is turned back, enlarged to the asked size and given the asked flux.
So the networks learn morphology alone, and position angles are isotropic by construction.
"""

__all__ = ["GalaxyFrameAutoencoder"]

import numpy as np
import tensorflow as tf

from ..networks.drawing import Drawing, Pose
from ..networks.encoder import Encoder
from ..networks.frame import GalaxyFrame
from ..networks.ladder import Ladder
from ..recipe import Settings
from .base import Autoencoder, Inference, divergence


class GalaxyFrameSettings(Settings):
    """Settings of the ``galaxy_frame`` autoencoder."""

    size_column: str = "flux_radius"
    """The column that holds the observed half-light radius [pixels]."""
    magnitude_column: str = "mag_auto"
    psf_radius: float = 2.5
    """Half-light radius of the survey's PSF [pixels]."""
    cells: int = 96
    """Cells on a side of the galaxy's frame as the encoder sees it; a multiple of 16."""
    fineness: int = 5
    """The decoder draws so many cells where the encoder sees four."""
    reach: float = 4.0
    """Half the width of the frame, in half-light radii."""
    latent_size: int = 32
    """Length of the latent vector that the flow learns."""
    channels: tuple[int, int, int] = (128, 72, 40)
    """Of the decoder, at C/16, C/8 and C/4 cells on a side."""
    maps: tuple[int, int, int] = (8, 3, 4)
    """Maps of detail latents at the same resolutions."""
    encoder_channels: tuple[int, int, int] = (40, 64, 80)
    """Of the encoder, at C/4, C/8 and C/16 cells on a side."""
    hidden: int = 192
    """Units of the dense layers of the encoder."""
    start: int = 32
    """Channels that the vector is made into at C/16 cells."""
    shift_scale: float = 0.4
    """Scale of the offset of the centroid [pixels]."""
    pose_scale: float = 0.05
    """Scale of ln(size) and ln(flux) about the asked ones."""


class GalaxyFrameAutoencoder(Autoencoder, name="galaxy_frame"):
    """See the module's docstring.

    The pose is (cos, sin of the position angle; shift along and across that direction; ln size;
    ln flux), the latter four in units of their scales.
    """

    Settings = GalaxyFrameSettings
    pose_size = 6
    turn_size = 2

    def __init__(self, settings, recipe, context):
        super().__init__(settings, recipe, context)
        self.view = GalaxyFrame(recipe.stamp.size, settings.cells, settings.reach)
        drawn = settings.cells // 4 * settings.fineness
        self.drawing = Drawing(GalaxyFrame(recipe.stamp.size, drawn, settings.reach),
                               settings.psf_radius)
        self.encoder = Encoder(settings.latent_size + 4, settings.encoder_channels, settings.hidden)
        self.ladder = Ladder(settings.cells // 16, settings.channels, settings.maps,
                             settings.hidden, settings.start, settings.fineness)
        self.networks = dict(encoder=self.encoder, ladder=self.ladder, drawing=self.drawing)
        self.vector_size = settings.latent_size
        self.detail_shapes = self.ladder.map_shapes
        self._focus = np.exp(-0.5 * (self.view.x**2 + self.view.y**2) / 1.5**2).astype(np.float32)

    def prepare(self, dataset):
        self.drawing.half_light.adapt(np.mean(dataset.psfs, axis=0, dtype=float))

    def infer(self, batch, normal, progress):
        seen, cosine, sine = self._look(
            batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        context = self.context(batch)
        mean, scale, features = self.encoder(seen, context)
        # The position angle is measured, not drawn.
        _, normal, details = tf.split(
            normal, [self.turn_size, mean.shape[-1], self.detail_size], axis=-1)
        latent = mean + scale * normal
        numbers, found = self.ladder.infer(
            latent[:, 4:], context, self._by_rung(features), self._maps(details))
        profiles = self._draw(
            numbers, tf.concat([cosine[:, None], sine[:, None], latent[:, :4]], axis=-1), batch)
        divergences = dict(pose=divergence(mean[:, :4], scale[:, :4]),
                           vector=divergence(mean[:, 4:], scale[:, 4:]))
        if self.detail_size:
            divergences["detail"] = tf.add_n(
                [divergence(*pair) for pair in found if pair[0].shape[-1]])
        return Inference(profiles, divergences, {})

    def encode(self, stamps, psfs, noise_sigma, columns):
        seen, cosine, sine = self._look(stamps, psfs, noise_sigma, columns)
        context = self.context(columns)
        mean, scale, features = self.encoder(seen, context)
        count = tf.shape(mean)[0]
        _, found = self.ladder.infer(mean[:, 4:], context, self._by_rung(features),
                                     self._maps(tf.zeros([count, self.detail_size])))
        # Not -1 for the count: the last maps may be empty.
        maps = [[tf.reshape(tensor, [count, int(np.prod(shape))]) for tensor in pair]
                for pair, shape in zip(found, self.ladder.map_shapes, strict=True)]
        certain = tf.fill(tf.shape(mean[:, :2]), 1e-3)
        return (tf.concat([cosine[:, None], sine[:, None], mean, *(m for m, _ in maps)], axis=-1),
                tf.concat([certain, scale, *(s for _, s in maps)], axis=-1))

    def decode(self, latent, columns):
        pose, vector, details = tf.split(
            latent, [self.pose_size, self.vector_size, self.detail_size], axis=-1)
        numbers = self.ladder(vector, self.context(columns), self._maps(details))
        return self._draw(numbers, pose, columns)

    def pose(self, turn):
        return tf.pad(turn, [[0, 0], [0, self.pose_size - self.turn_size]])

    def _look(self, stamps, psfs, noise_sigma, columns):
        """Stamps as the encoder sees them, [N, C, C, 3], and the position angle found."""
        size = columns[self.settings.size_column]
        scale = self.drawing.scale(size)
        area = tf.square(scale)[:, None, None]
        stamps = self.view.from_stamp(stamps, scale)
        cosine, sine = self._major_axis(stamps)
        stamps = self.view.turn(stamps, cosine, sine)
        psfs = self.view.turn(self.view.from_stamp(psfs, scale), cosine, sine)
        flux = self.flux(columns)[:, None, None]
        # The galaxy in units of the noise (what can be seen) and of its own mean brightness (what
        # it looks like), and the PSF, without which nothing could be deconvolved (section 4.2.1).
        return tf.stack([0.3 * tf.asinh(stamps / noise_sigma[:, None, None]),
                         0.5 * tf.asinh(20.0 * stamps * area / flux),
                         tf.asinh(psfs * area)], axis=-1), cosine, sine

    def _major_axis(self, images):
        """Cosine and sine of the position angle, from weighted second moments, [N] each."""
        focused = images * self._focus
        xx, yy, xy = (tf.reduce_sum(focused * product, axis=[1, 2]) for product in (
            self.view.x**2, self.view.y**2, self.view.x * self.view.y))
        angle = 0.5 * tf.atan2(2 * xy, xx - yy)
        return tf.cos(angle), tf.sin(angle)

    def _draw(self, numbers, pose, columns):
        norm = tf.math.rsqrt(tf.maximum(tf.reduce_sum(tf.square(pose[:, :2]), axis=-1), 1e-12))
        cosine, sine = pose[:, 0] * norm, pose[:, 1] * norm
        along, across = tf.unstack(self.settings.shift_scale * pose[:, 2:4], axis=-1)
        shift = tf.stack([cosine * along - sine * across, sine * along + cosine * across], axis=-1)
        sizes = self.settings.pose_scale * pose[:, 4:6]
        return self.drawing.draw(
            self.drawing.shape(numbers), Pose(cosine, sine, shift, sizes[:, 0], sizes[:, 1]),
            columns[self.settings.size_column], self.flux(columns))

    def _by_rung(self, features):
        """The encoder's features in the order of the ladder, coarse first."""
        return features[::-1]

    def _maps(self, details):
        """Cut the detail latents [N, D] into maps."""
        sizes = [int(np.prod(shape)) for shape in self.ladder.map_shapes]
        count = tf.shape(details)[0]
        return [tf.reshape(part, [count, *shape]) for part, shape in zip(
            tf.split(details, sizes, axis=-1), self.ladder.map_shapes, strict=True)]
