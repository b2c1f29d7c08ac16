"""Sources on a patch of sky, such as those of a radio survey: in units of their size, lengthwise.

A source is painted along the x axis of a frame that is a little larger than it, and laid on the sky
at a random position angle.  What is observed is seen in such a frame as well, turned back along its
own major axis; so networks learn what sources look like, and need not learn that they come in all
sizes and lie any way around.  A source is seen through the beam and painted before it: its frame is
smaller then by what the beam makes of a point, so that of an unresolved source hardly more than a
point is left.  And it has the flux that is seen above the contour of clipped images, so it has more
light than that.  Generated sources are turned back as they were painted.  If they were
measured, one painted along the y axis would look the same as one along the x axis: a generator goes
from one to the other, and its average draws both.
"""

__all__ = ["Sky"]

from typing import Annotated

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ..bounds import Cells, Fineness, Multiple, Reach, Text, Weight, Within
from ..networks.blocks import softplus
from ..networks.drawing import edge_window
from ..networks.frame import GalaxyFrame
from ..networks.orientation import Orientation, of_latents
from ..recipe import Settings
from .base import Canvas

LEAST_SEEN, LEAST_PAINTED = 2.0, 0.75
"""No frame is smaller than that of a source of twice as many pixels."""
MOST_UNSEEN = 1.5
"""No source is given more light than so many times what should be seen of it."""
HALO = (0.25, 0.5)
"""Light is left out where what is seen is fainter than the first of these times the contour, and
left as it is from the second on: a halo below the contour no image tells from none."""
KEPT = 0.1
"""What is left out is not all, or light could not come back."""


class SkySettings(Settings):
    """Settings of the ``sky`` canvas.  Its unit of length is half the size of a source."""

    flux_column: Text = "flux_density"
    """The column that holds the flux, in the unit of the stamps summed over pixels; with a beam, of
    what is above the contour."""
    size_column: Text = "size"
    """The column that holds the largest angular size [arcsec], as it is observed: the largest
    distance between two pixels with light, and one pixel more."""
    beam: Annotated[float, Within(0, 3600)] = 0.0
    """FWHM of the Gaussian beam that is in these sizes [arcsec]."""
    faintest: Annotated[float, Within(0, 1e30)] = 0.0
    """Flux of a point source whose peak is as bright as the contour that sizes are measured at, and
    below which images are clipped."""
    cells: Cells = 24
    """Cells on a side of the grid that the networks work in."""
    fineness: Fineness = 3
    """Finer cells along each side of one of these: those of light and of images."""
    reach: Reach = 1.3
    """Half the width of the frame, in units of length."""
    scale_length: Multiple = 0.25
    """Of the exponential source that is painted where the networks say nothing."""
    focus: Multiple = 0.7
    """Scale of the Gaussian window in which it is seen how a source lies."""
    least_signal: Weight = 1.0
    """Light below so many times the noise of a pixel does not decide it."""


class Sky(Canvas, name="sky"):
    """See the module's docstring."""

    Settings = SkySettings
    format = 8
    turn_size = 3

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        names = [column.name for column in recipe.columns]
        for key in ("flux_column", "size_column"):
            if getattr(settings, key) not in names:
                raise GalSimConfigError(
                    f"The recipe {recipe.path}, model.canvas.{key}, asks for the column "
                    f"'{getattr(settings, key)}', which it does not have.")
        if settings.beam and not settings.faintest:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.canvas, gives a beam of {settings.beam:g} arcsec "
                "and not 'faintest', the flux of a point source that just reaches the contour at "
                "which sizes are measured.")
        if settings.faintest and not settings.beam:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.canvas, gives 'faintest' and not 'beam', the "
                "FWHM in arcsec of the beam that says how bright the contour is.")
        self.drawn = self.seen = [(settings.cells, settings.fineness)]
        count = settings.cells * settings.fineness
        self.frame = GalaxyFrame(recipe.stamp.size, count, settings.reach)
        square = self.frame.x**2 + self.frame.y**2
        self.envelope = (-np.sqrt(square) / settings.scale_length).astype(np.float32)
        self.window = edge_window(count, count // 8)
        self.edge = edge_window(recipe.stamp.size)
        if settings.beam:
            pixels, sigma = np.arange(recipe.stamp.size), settings.beam / recipe.stamp.pixel_scale
            sigma /= 2 * np.sqrt(2 * np.log(2))
            kernel = np.exp(-0.5 * ((pixels - pixels[:, None]) / sigma) ** 2)
            # Along one axis; through both, a point of unit flux has a peak of blur[0, 0]^2.
            self.blur = (kernel / (np.sqrt(2 * np.pi) * sigma)).astype(np.float32)
            self.contour = np.float32(settings.faintest * self.blur[0, 0] ** 2)
        # Neighbours at the edge have long levers.
        self.focus = np.exp(-0.5 * square / settings.focus**2).astype(np.float32)

    def _scale_seen(self, columns):
        """Half the size of sources as they are observed [pixels], [N]."""
        return tf.maximum(0.5 * columns[self.settings.size_column] / self.recipe.stamp.pixel_scale,
                          LEAST_SEEN)

    def _scale_painted(self, columns):
        """Half the size of sources before the beam [pixels], [N]."""
        settings, size = self.settings, columns[self.settings.size_column]
        if settings.beam:
            contrast = columns[settings.flux_column] / settings.faintest
            longer = tf.nn.relu(size - self._width_of_point(contrast))
            # The light of a longer source is spread over more beams, which are less wide each.
            size -= self._width_of_point(contrast / (1.0 + longer / settings.beam))
        return tf.maximum(0.5 * size / self.recipe.stamp.pixel_scale, LEAST_PAINTED)

    def _width_of_point(self, contrast):
        """How wide the beam is at the contour, from edge to edge of pixels [arcsec], [N].

        ``contrast`` [N] is its peak in units of the contour.
        """
        contrast = tf.maximum(contrast, 1.0)
        return (self.settings.beam * tf.sqrt(tf.math.log(contrast) / np.log(2.0))
                + self.recipe.stamp.pixel_scale)

    def paint(self, numbers, scalars, turn, columns):
        # Squared: from one end of a source to the other light varies a thousandfold.
        light = tf.square(softplus(numbers[0] + self.envelope))
        light *= tf.constant(self.window)[:, None] * self.window
        light = self.frame.to_stamp(
            self.frame.lay(light, of_latents(turn).upright), self._scale_painted(columns))
        # The kernel has negative lobes.
        light = tf.nn.relu(light) * (tf.constant(self.edge)[:, None] * self.edge)
        flux = columns[self.settings.flux_column][:, None, None]
        light *= flux / tf.reduce_sum(light, axis=[1, 2], keepdims=True)
        return self._as_seen(light, flux) if self.settings.beam else light

    def _as_seen(self, light, flux):
        """Light [N, S, S] without halos, of which that above the contour has the flux [N, 1, 1]."""
        bright = self._blurred(light) / self.contour
        light *= tf.clip_by_value((bright - HALO[0]) / (HALO[1] - HALO[0]), KEPT, 1.0)
        light *= flux / tf.reduce_sum(light, axis=[1, 2], keepdims=True)
        seen, factor = self._blurred(light), tf.ones_like(flux)
        for _ in range(6):
            bright = factor * seen
            above = tf.reduce_sum(
                tf.where(bright > self.contour, bright, 0.0), axis=[1, 2], keepdims=True)
            # Half the way: where much is about as bright as the contour, the whole overshoots.
            factor = tf.clip_by_value(
                factor * tf.sqrt(flux / tf.maximum(above, 1e-3 * flux)), 1.0, MOST_UNSEEN)
        return light * factor

    def _blurred(self, light):
        """Light through the beam; it has no derivative."""
        blur = tf.constant(self.blur)
        return tf.matmul(tf.matmul(blur, tf.stop_gradient(light)), blur)

    def look(self, stamps, psfs, noise_sigma, columns, turn=None):
        seen = self.frame.from_stamp(stamps, self._scale_seen(columns))
        sigma = noise_sigma[:, None, None]
        if turn is None:
            orientation = self._lies(
                tf.where(seen > self.settings.least_signal * sigma, seen, 0.0))
        else:
            orientation = of_latents(turn)
        seen = self.frame.resample(seen, orientation.to_sky)
        peak = tf.reduce_max(seen, axis=[1, 2], keepdims=True)
        # In units of the noise (what can be seen), and of its own peak (what it looks like).
        views = tf.stack([0.3 * tf.asinh(seen / sigma), seen / tf.maximum(peak, sigma)], axis=-1)
        return [views], orientation.latents

    def _lies(self, light):
        """The `Orientation` of sources by their moments about the middle."""
        light, x, y = self.focus * light, self.frame.x, self.frame.y
        angle = 0.5 * tf.atan2(2 * tf.reduce_sum(light * (x * y), axis=[1, 2]),
                               tf.reduce_sum(light * (x**2 - y**2), axis=[1, 2]))
        cosine, sine = (part[:, None, None] for part in (tf.cos(angle), tf.sin(angle)))
        along, across = cosine * x + sine * y, cosine * y - sine * x
        # The longer tail lies to the right, and upwards.
        end, side = (tf.where(lopsided < 0, -1.0, 1.0) for lopsided in (
            tf.reduce_sum(light * axis * tf.abs(axis), axis=[1, 2]) for axis in (along, across)))
        return Orientation(tf.cos(angle) * end, tf.sin(angle) * end, side * end)
