"""Images as they are: pixels between 0 and 1, whatever they show."""

__all__ = ["Plain"]

import tensorflow as tf
from galsim import GalSimConfigError

from ..bounds import Fineness
from ..recipe import Settings
from .base import Canvas


class PlainSettings(Settings):
    """Settings of the ``plain`` canvas."""

    fineness: Fineness = 1
    """Pixels along each side of the finest cells that the networks work in."""


class Plain(Canvas, name="plain"):
    """Pixels between 0 and 1, painted with a sigmoid and seen between -1 and 1.

    What the thesis does (tanh on -1 to 1), in units of light, which is not negative.
    """

    Settings = PlainSettings
    any_way_up = False

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        cells, rest = divmod(recipe.stamp.size, settings.fineness)
        if rest:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.canvas.fineness, {settings.fineness}, does not "
                f"divide the stamp of {recipe.stamp.size} pixels.")
        self.drawn = self.seen = [(cells, settings.fineness)]

    def paint(self, numbers, scalars, turn, columns):
        return tf.sigmoid(numbers[0])

    def look(self, stamps, psfs, noise_sigma, columns, turn=None):
        return [2.0 * stamps[..., None] - 1.0], tf.zeros([tf.shape(stamps)[0], 0])
