"""Galaxies of surveys whose images are zero but for what is significant."""

__all__ = ["ClippedObservation"]

import dataclasses

from ..clipping import clipped
from .observation import Observation


@dataclasses.dataclass(frozen=True)
class ClippedObservation(Observation):
    """An `Observation` that was clipped, and clips what is drawn like it.

    Attributes:
        clipping:   (threshold, peak) of `galsim_deep.clipping`.
    """

    clipping: tuple = ()

    def drawn_like(self, model, rng):
        return clipped(super().drawn_like(model, rng), self.noise_sigma, *self.clipping)
