"""A galaxy's own frame: in it networks see stamps, and from it shapes are drawn on stamps.

Lengths are in units of the half-light radius, the x axis is the major one; size and flux are those
of the catalogue.
"""

__all__ = ["Scene", "SceneSettings"]

import tensorflow as tf

from .bounds import PositivePixels, Text
from .networks.drawing import Drawing
from .networks.frame import GalaxyFrame
from .networks.orientation import of_latents
from .networks.views import look
from .recipe import Settings


class SceneSettings(Settings):
    """Settings of what works in the galaxy's own frame."""

    size_column: Text = "flux_radius"
    """The column that holds the observed half-light radius [pixels]."""
    magnitude_column: Text = "mag_auto"
    psf_radius: PositivePixels = 2.5
    """Half-light radius of the survey's PSF [pixels]."""


class Scene:
    """Nested grids in the galaxy's frame, and the way from stamps and to them.

    Parameters:
        settings:       `SceneSettings`, with ``reach``: half the width of the widest grid.
        recipe:         The `Recipe`.
        seen, drawn:    Grids, a list of (cells, how many of the frame each is cut into along a
                        side) each, the widest first.
    """

    # Elongation that a latent of it is counted from, and its unit.
    elongation_zero, elongation_unit = 0.25, 0.2

    def __init__(self, settings, recipe, seen, drawn):
        self.settings, self.recipe = settings, recipe
        self.views, frames = (
            [GalaxyFrame(recipe.stamp.size, cells * fineness, settings.reach * cells / grids[0][0])
             for cells, fineness in grids] for grids in (seen, drawn))
        self.drawing = Drawing(frames, settings.psf_radius)

    def prepare(self, dataset):
        """Learn how the survey's PSF changes sizes."""
        self.drawing.half_light.adapt(dataset.mean_psf())

    def orientation(self, angle, elongation):
        """Of latents: (cos, sin, parity) [N, 3] of the angle, and elongation [N]."""
        return of_latents(angle, self.elongation_zero + self.elongation_unit * elongation)

    def look(self, stamps, psfs, noise_sigma, columns, **how):
        """Stamps as `networks.views.look` shows them: (views, the `Orientation` found)."""
        scale = self.drawing.scale(columns[self.settings.size_column])
        return look(self.views, stamps, psfs, noise_sigma, scale, self.flux(columns), **how)

    def draw(self, numbers, pose, columns):
        """Light profiles [N, S, S] of what networks say on the drawn grids, and a `Pose`."""
        return self.drawing.draw(self.drawing.shape(numbers), pose,
                                 columns[self.settings.size_column], self.flux(columns))

    def flux(self, columns):
        """The flux of the asked magnitude, [N]."""
        magnitude = columns[self.settings.magnitude_column]
        return tf.pow(10.0, -0.4 * (magnitude - self.recipe.stamp.zero_point))
