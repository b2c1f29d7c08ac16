"""Which images show the same galaxy."""

from collections.abc import Sequence

from galsim_deep.observations.collection import CollectedGalaxy


def same_galaxies(galaxies: Sequence[CollectedGalaxy]) -> list[int]:
    return list(range(len(galaxies)))
