"""Which galaxies are held out: never used for training or for a choice."""

from collections.abc import Sequence

import numpy as np

SHARE = 5
"""One galaxy of this number is held out, in each survey."""


def held_out_groups(surveys: Sequence[str], groups: Sequence[int], magnitudes: Sequence[float],
                    seed: int) -> set[int]:
    """Choose groups to hold out: one of five of each survey, at all magnitudes.

    The groups of a survey are sorted by magnitude, and one of each five in a row is drawn.  A group
    with images of several surveys belongs to the one whose name comes first.

    Parameters:
        surveys, groups, magnitudes:    Of each image.
        seed:       Seed of the draws.

    Returns:
        the numbers of the groups.
    """
    first: dict[int, tuple[str, float]] = {}
    for survey, group, magnitude in sorted(zip(surveys, groups, magnitudes, strict=True)):
        first.setdefault(group, (survey, magnitude))
    rng = np.random.default_rng(seed)
    chosen = set()
    for survey in sorted(set(surveys)):
        members = sorted((magnitude, group) for group, (name, magnitude) in first.items()
                         if name == survey)
        start = int(rng.integers(SHARE))
        # Blocks start at a random place, so that small surveys give one fifth on average.
        for block in range(-start, len(members), SHARE):
            pick = block + int(rng.integers(SHARE))
            if 0 <= pick < len(members):
                chosen.add(members[pick][1])
    return chosen
