"""Sources of any size on a patch of sky, such as those of a radio survey: turned lengthwise.

A source is painted along the x axis of its patch and laid on the sky at a random position angle.
What is observed is turned back along its own major axis before networks see it; so they learn what
sources look like, and need not learn that they lie any way around.  Generated sources are turned
back as they were painted.  If they were measured, one painted along the y axis would look the same
as one along the x axis: a generator goes from one to the other, and its average draws both.
"""

__all__ = ["Sky"]

import numpy as np
import pydantic
import tensorflow as tf
from galsim import GalSimConfigError

from ..networks.blocks import softplus
from ..networks.drawing import edge_window
from ..networks.frame import GalaxyFrame
from ..networks.orientation import Orientation, of_latents
from ..recipe import Settings
from .base import Canvas


class SkySettings(Settings):
    """Settings of the ``sky`` canvas."""

    flux_column: str = "flux"
    """The column that holds the flux, in the unit of the stamps summed over pixels."""
    fineness: int = pydantic.Field(2, gt=0)
    """Pixels along each side of the finest cells that the networks work in."""
    scale_length: float = pydantic.Field(4.0, gt=0)
    """Of the exponential source that is painted where the networks say nothing [pixels]."""
    focus: float = pydantic.Field(20.0, gt=0)
    """Scale of the Gaussian window in which it is seen how a source lies [pixels]."""
    least_signal: float = 1.0
    """Pixels below so many times the noise do not decide it."""


class Sky(Canvas, name="sky"):
    """See the module's docstring."""

    Settings = SkySettings
    format = 2
    turn_size = 3
    scalars = 1
    # Unit of the number that tells how much more light there is than is seen.
    unseen_unit = 0.2

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        size = recipe.stamp.size
        cells, rest = divmod(size, settings.fineness)
        if rest:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.canvas.fineness, {settings.fineness}, does not "
                f"divide the stamp of {size} pixels.")
        if settings.flux_column not in [column.name for column in recipe.columns]:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.canvas.flux_column, asks for the column "
                f"'{settings.flux_column}', which it does not have.")
        self.drawn = self.seen = [(cells, settings.fineness)]
        # Its unit of length is the pixel.
        self.frame = GalaxyFrame(size, size, 0.5 * size)
        self.envelope = (-np.hypot(self.frame.x, self.frame.y)
                         / settings.scale_length).astype(np.float32)
        self.window = edge_window(size)
        # Neighbours at the edge have long levers.
        self.focus = np.exp(-0.5 * (self.frame.x**2 + self.frame.y**2)
                            / settings.focus**2).astype(np.float32)

    def paint(self, numbers, scalars, turn, columns):
        # Squared: from one end of a source to the other light varies a thousandfold.
        light = tf.square(softplus(numbers[0] + self.envelope))
        light = self.frame.lay(light, of_latents(turn).upright)
        light *= tf.constant(self.window)[:, None] * self.window
        flux = columns[self.settings.flux_column]
        # Where images are clipped, the flux is of what was left.
        flux *= tf.exp(self.unseen_unit * scalars[:, 0])
        return light * (flux / tf.reduce_sum(light, axis=[1, 2]))[:, None, None]

    def look(self, stamps, psfs, noise_sigma, columns, turn=None):
        signal = stamps / noise_sigma[:, None, None]
        light = self.focus * tf.where(signal > self.settings.least_signal, stamps, 0.0)
        orientation = self._lies(light) if turn is None else of_latents(turn)
        stamps, signal = tf.unstack(self.frame.resample(
            tf.stack([stamps, signal], axis=-1), orientation.to_sky), axis=-1)
        peak = tf.reduce_max(stamps, axis=[1, 2], keepdims=True)
        # In units of the noise (what can be seen), and of its own peak (what it looks like).
        seen = tf.stack([0.3 * tf.asinh(signal), stamps / tf.maximum(peak, 1e-12)], axis=-1)
        return [seen], orientation.latents

    def _lies(self, light):
        """The `Orientation` of sources by their moments about the middle."""
        x, y = self.frame.x, self.frame.y
        angle = 0.5 * tf.atan2(2 * tf.reduce_sum(light * (x * y), axis=[1, 2]),
                               tf.reduce_sum(light * (x**2 - y**2), axis=[1, 2]))
        cosine, sine = (part[:, None, None] for part in (tf.cos(angle), tf.sin(angle)))
        along, across = cosine * x + sine * y, cosine * y - sine * x
        # The longer tail lies to the right, and upwards.
        end, side = (tf.where(lopsided < 0, -1.0, 1.0) for lopsided in (
            tf.reduce_sum(light * axis * tf.abs(axis), axis=[1, 2]) for axis in (along, across)))
        return Orientation(tf.cos(angle) * end, tf.sin(angle) * end, side * end)

