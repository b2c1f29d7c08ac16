"""The base class of canvases, which convert network outputs to light profiles, and stamps to views.
"""

__all__ = ["AnySizeCanvas", "Canvas"]

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from ....networks.conditions import Columns
from ....networks.nested_grids import Grids
from ....recipe import Recipe
from ....registry import Registered

if TYPE_CHECKING:
    from ....data.dataset import Dataset


class Canvas(Registered, abc.ABC, label="canvas"):
    """Renders light profiles from network outputs, and shows observed stamps to networks.

    A canvas contains the physics of a kind of image.  It has no trainable weights.  A subclass
    registers itself by the kind that recipes use::

        class Plain(Canvas, kind="plain"):
            Settings = PlainSettings

    Parameters:
        settings:   The ``Settings`` of the subclass.
        recipe:     The recipe.

    Attributes that subclasses set:
        render_grids:           Grids of the generator's outputs, the widest first, see
                                `networks.nested_grids`.
        view_grids:             Grids of the views that networks see, the widest first.
        scalars:                Number of further outputs of the generator.
        position_angle_size:    Number of standard normal latents that determine the orientation of
                                a source.
        layers:                 Layers that are saved in checkpoints, by name.
        may_be_rotated:         Whether images that are rotated or mirrored are as probable as the
                                original, so that training stamps are augmented with them.
        wraps:                  Whether the grids are polar: with twice as many columns as rows, and
                                the last column next to the first.
        structure_channels:     The channels of a view that show the structure of a source.

    Example::

        >>> {'galaxy_frame', 'plain', 'polar_frame', 'sky'} <= Canvas.kinds().keys()
        True
    """

    render_grids: Grids
    view_grids: Grids
    scalars: ClassVar[int] = 0
    position_angle_size: ClassVar[int] = 0
    may_be_rotated: ClassVar[bool] = True
    wraps: ClassVar[bool] = False
    structure_channels: ClassVar[slice] = slice(None)

    def __init__(self, settings: Any, recipe: Recipe) -> None:
        self.settings = settings
        self.recipe = recipe
        self.layers: dict[str, keras.layers.Layer] = {}

    def prepare(self, dataset: "Dataset") -> None:  # noqa: B027 - most need nothing
        """Adapt layers to the training data before the first step."""

    @abc.abstractmethod
    def render(self, outputs: Sequence[tf.Tensor], scalars: tf.Tensor | None,
               position_angle_latents: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Render light profiles.

        Parameters:
            outputs:                    Outputs of the generator on the ``render_grids``, [N, G, G]
                                        each, or [N, G, 2 G] if it ``wraps``.
            scalars:                    Its further outputs, [N, scalars]; None without any.
            position_angle_latents:     Standard normal numbers, [N, position_angle_size].
            columns:                    Catalogue columns.

        Returns:
            light profiles before PSF and pixel, [N, S, S], flux per pixel.
        """

    @abc.abstractmethod
    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor, columns: Columns,
             position_angle_latents: tf.Tensor | None = None
             ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Show observed stamps as the discriminator and the encoder see them.

        Parameters:
            stamps:                     Observed stamps, [N, S, S], flux per pixel.
            psfs:                       Their PSF images, [N, P, P], unit sum.
            noise_sigma:                Standard deviation of the noise in a pixel, [N].
            columns:                    Catalogue columns.
            position_angle_latents:     Those that the sources were rendered with,
                                        [N, position_angle_size].  [default: measured on the stamps]

        Returns:
            (views on the ``view_grids``, [N, G, G, V] each, or [N, G, 2 G, V]; position-angle
            latents of the sources, [N, position_angle_size]).
        """


class AnySizeCanvas(Canvas):
    """A canvas that renders on stamps of any size, so that each galaxy has one that fits.

    >>> issubclass(Canvas.named("polar_frame"), AnySizeCanvas)
    True
    """

    @abc.abstractmethod
    def render_on(self, size: int, outputs: Sequence[tf.Tensor], scalars: tf.Tensor | None,
                  position_angle_latents: tf.Tensor, columns: Columns) -> tf.Tensor:
        """As `render`, on stamps of another size, at whose edge the light is zero.

        Parameters:
            size:                   Pixels Z on a side of the stamps.
            outputs, scalars, position_angle_latents:   As in `render`.
            columns:                As in `render`, and ``pixel_scale`` [arcsec], [N].

        Returns:
            [N, Z, Z], whose sums are the fluxes.
        """

    @abc.abstractmethod
    def extent(self, scalars: tf.Tensor | None, position_angle_latents: tf.Tensor,
               columns: Columns) -> tf.Tensor:
        """Half the side of the stamps that galaxies need [pixels of the recipe], [N]."""
