"""Test whether a module draws classes as frequently as its prior says."""

__all__ = ["DRAWS", "class_frequencies", "pearson_chi_square"]

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..modules.module import Module

DRAWS = 20_000
"""Galaxies whose class is drawn."""
BLOCK = 1000
"""Galaxies that are drawn at once."""
MIN_EXPECTED = 5
"""Classes with a smaller expected number are counted together (Cochran 1954, Biometrics 10, 417).
"""


def class_frequencies(module: Module, columns: Mapping[str, np.ndarray], rng: np.random.Generator,
                      draws: int = DRAWS) -> dict[str, Any]:
    """Draw classes for rows of a catalogue, and compare their frequencies with the module's prior.

    Rows are taken at random with replacement.  The numbers of galaxies in the classes are therefore
    multinomial, with the mean of p(class | columns) over all rows as their probabilities.

    Parameters:
        module:     A module with classes.
        columns:    Its columns, {name: shape [N]}.
        rng:        The random numbers.
        draws:      Number of galaxies to draw.

    Returns:
        a dict of ``draws``; ``drawn``, the number in each class, a list of C; ``expected``, the
        same by the signature ``prior`` (None without it); and ``chi_square``, ``degrees`` (of
        freedom) and ``p``, as in `pearson_chi_square`.

    Raises:
        galsim.GalSimError: if the module draws a class that is not on its card.
    """
    card = module.card
    columns = {name: np.asarray(values, np.float32) for name, values in columns.items()}
    count = len(next(iter(columns.values())))
    rows = rng.integers(count, size=draws)
    drawn = np.zeros(len(card.classes), int)
    for first in range(0, draws, BLOCK):
        part = rows[first:first + BLOCK]
        normal = rng.standard_normal((len(part), card.latent_size), np.float32)
        classes = module.sample({name: values[part] for name, values in columns.items()},
                                normal)["galaxy_class"]
        drawn += np.bincount(classes, minlength=len(drawn))
    shares = _prior_shares(module, columns, count)
    if shares is None:
        return dict(draws=draws, drawn=drawn.tolist(), expected=None,
                    chi_square=None, degrees=None, p=None)
    return dict(draws=draws, drawn=drawn.tolist(), expected=(draws * shares).tolist(),
                **pearson_chi_square(drawn, draws * shares))


def _prior_shares(module: Module, columns: Mapping[str, np.ndarray], count: int
                  ) -> np.ndarray | None:
    """The mean of p(class | columns) over the rows, [C]; None for a module without ``prior``."""
    if "prior" not in module.card.signatures:
        return None
    return np.array([
        np.exp(module.call("prior", galaxy_class=np.full(count, number, np.int32),
                           **columns)["log_class_probability"], dtype=float).mean()
        for number in range(len(module.card.classes))])


def pearson_chi_square(drawn: ArrayLike, expected: ArrayLike) -> dict[str, float]:
    """Pearson's chi-square test of numbers that should be multinomial.

    Parameters:
        drawn:      Number of galaxies in each class, [C].
        expected:   Its expectation, [C].  Classes with an expectation below `MIN_EXPECTED` are
                    counted together, with the next larger one if their sum is still below it.

    Returns:
        a dict of ``chi_square``, ``degrees`` (of freedom) and ``p``; NaN if fewer than two
        classes are left.

    Example::

        >>> round(pearson_chi_square([44, 31, 25], [50.0, 30.0, 20.0])["p"], 3)
        0.367
    """
    from scipy import stats

    order = np.argsort(expected, kind="stable")
    drawn = np.asarray(drawn, float)[order]
    expected = np.asarray(expected, float)[order]
    rare = int((expected < MIN_EXPECTED).sum())
    while 0 < rare < len(expected) and expected[:rare].sum() < MIN_EXPECTED:
        rare += 1
    if rare:
        drawn = np.append(drawn[:rare].sum(), drawn[rare:])
        expected = np.append(expected[:rare].sum(), expected[rare:])
    if len(expected) < 2:
        return dict(chi_square=float("nan"), degrees=0, p=float("nan"))
    statistic, degrees = float(((drawn - expected)**2 / expected).sum()), len(expected) - 1
    return dict(chi_square=statistic, degrees=degrees, p=float(stats.chi2.sf(statistic, degrees)))
