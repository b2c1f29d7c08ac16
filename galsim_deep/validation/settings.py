"""Options of a validation: bins, seed, number of bootstrap samples."""

__all__ = ["MIN_GALAXIES", "MIN_SOURCES", "Settings"]

import dataclasses

MIN_GALAXIES = 30
"""A sample or bin with fewer galaxies is not judged."""
MIN_SOURCES = 10
"""A sample or bin with fewer sources is not judged."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Options of a validation: bins, seed, number of bootstrap samples.

    Attributes:
        bins:       Edges of the magnitude bins, in the first magnitude among the columns.
        bright:     Galaxies brighter than this magnitude are a bin of their own.
        seed:       Determines the choice of galaxies, the generated galaxies and all noise.
        bootstraps: Number of bootstrap samples.
        goal:       Ratio of distances (generated to real over parametric to real) up to which a
                    statistic passes.
        encoder:    Handle of a module that encodes, in whose embeddings real and generated galaxies
                    are compared.  None: they are not.

    Example::

        >>> Settings(seed=2).bins
        (21.5, 22.5, 23.5, 24.5, 25.5)
    """

    bins: tuple[float, ...] = (21.5, 22.5, 23.5, 24.5, 25.5)
    bright: float = 23.0
    seed: int = 1
    bootstraps: int = 200
    goal: float = 0.5
    encoder: str | None = None
