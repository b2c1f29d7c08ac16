"""What the generator paints on, and what discriminator and encoder look at.

A canvas knows the physics of a kind of image: how the numbers of a network become a light profile,
and in which form an observed stamp is shown to networks.  It has no weights to learn.
"""

__all__ = ["Canvas"]

import abc

from ..registry import Registered


class Canvas(Registered, abc.ABC):
    """A kind of canvas; subclasses register themselves by the name used in recipes::

        class Plain(Canvas, name="plain"):
            ...

    Attributes that subclasses set:
        drawn:          Grids that the generator fills, a list of (cells, fineness), see
                        `networks.ladder.Ladder`.
        seen:           Grids that stamps are shown on, likewise, see `networks.critic.laid`.
        scalars:        Numbers that the generator gives besides.
        turn_size:      How many standard normal numbers decide how a source lies on the sky.
        layers:         A dict of layers that are saved in checkpoints.
        any_way_up:     Whether images may be turned and mirrored, and are the same kind of image.
    """

    scalars = 0
    turn_size = 0
    any_way_up = True

    def __init__(self, settings, recipe):
        self.settings = settings
        self.recipe = recipe
        self.layers = {}

    def prepare(self, dataset):  # noqa: B027 - most need nothing
        """Take from the training data what is needed before the first step."""

    @abc.abstractmethod
    def paint(self, numbers, scalars, turn, columns):
        """Light profiles before PSF and pixel.

        Parameters:
            numbers:    On the grids that are drawn, a list of [N, C, C].
            scalars:    [N, scalars].
            turn:       Standard normal numbers, [N, turn_size].
            columns:    A dict, [N] each.

        Returns:
            [N, S, S].
        """

    @abc.abstractmethod
    def look(self, stamps, psfs, noise_sigma, columns, turn=None):
        """Stamps [N, S, S], their PSFs [N, P, P] and noise [N] as networks see them.

        ``turn`` is how the sources were painted, [N, turn_size], where that is known.

        Returns:
            (a list of [N, C, C, K], on the grids that are ``seen``; how the sources lie, as
            ``paint`` would take it, [N, turn_size]).
        """
