"""Are the classes that a module draws as frequent as it says they are?"""

__all__ = ["DRAWS", "chi_square", "class_frequencies"]

import numpy as np
from galsim import GalSimError

DRAWS = 20_000
BLOCK = 1000
"""Galaxies that are drawn at once."""
FEWEST = 5
"""Classes of which fewer are expected count as one (Cochran 1954)."""


def class_frequencies(module, columns, seed, draws=DRAWS):
    """Draw classes for rows of a catalogue, and compare with the module's own prior.

    Rows are taken at random, with replacement; so the numbers of galaxies in each class are
    multinomial, with the mean of p(class | columns) over all rows as their probabilities.

    Parameters:
        module:     A `galsim_deep.module.Module` with classes.
        columns:    Its columns, a dict of arrays [N].
        seed:       Random seed.
        draws:      How many galaxies to draw.

    Returns:
        a dict of ``draws``; ``drawn``, how many of each class, a list of C; ``expected``, the same
        by the signature ``prior`` (None without it); and ``chi_square``, ``degrees`` (of freedom)
        and ``p``, as `chi_square` gives them.

    Raises a `galsim.GalSimError` where the module draws a class that is not on its card.
    """
    card = module.card
    columns = {name: np.asarray(values, np.float32) for name, values in columns.items()}
    count = len(next(iter(columns.values())))
    rng = np.random.default_rng([seed, 20])
    rows = rng.integers(count, size=draws)
    drawn = np.zeros(len(card.clusters), int)
    for first in range(0, draws, BLOCK):
        part = rows[first:first + BLOCK]
        ids = module.draw_clusters(
            {name: values[part] for name, values in columns.items()},
            rng.standard_normal((len(part), card.latent.size), np.float32))
        if ids.min() < 0 or ids.max() >= len(drawn):
            raise GalSimError(f"The module {card.name} draws classes from {ids.min()} to "
                              f"{ids.max()}; its card has {len(drawn)}. Get the module again.")
        drawn += np.bincount(ids, minlength=len(drawn))
    shares = _prior_shares(module, columns, count)
    if shares is None:
        return dict(draws=draws, drawn=drawn.tolist(), expected=None,
                    chi_square=None, degrees=None, p=None)
    return dict(draws=draws, drawn=drawn.tolist(), expected=(draws * shares).tolist(),
                **chi_square(drawn, draws * shares))


def _prior_shares(module, columns, count):
    """The mean of p(class | columns) over the rows, [C]; None if the module does not say."""
    if "prior" not in module.card.signatures:
        return None
    return np.array([
        np.exp(module.engine.call(
            "prior", cluster=np.full(count, number, np.int32), **columns)["log_weight"],
            dtype=float).mean()
        for number in range(len(module.card.clusters))])


def chi_square(found, expected):
    """Pearson's test of numbers that should be multinomial.

    Parameters:
        found:      How many there are of each kind, [C].
        expected:   How many there should be, [C].  Kinds of which there should be fewer than
                    `FEWEST` are counted together, with the next rarest where these are too few.

    Returns:
        a dict of ``chi_square``, ``degrees`` (of freedom) and ``p``; NaN where fewer than two kinds
        are left.
    """
    from scipy import stats

    order = np.argsort(expected, kind="stable")
    found = np.asarray(found, float)[order]
    expected = np.asarray(expected, float)[order]
    # From the rarest on: as many as are needed to make one of them.
    rare = int((expected < FEWEST).sum())
    while 0 < rare < len(expected) and expected[:rare].sum() < FEWEST:
        rare += 1
    if rare:
        found = np.append(found[:rare].sum(), found[rare:])
        expected = np.append(expected[:rare].sum(), expected[rare:])
    if len(expected) < 2:
        return dict(chi_square=float("nan"), degrees=0, p=float("nan"))
    statistic, degrees = float(((found - expected)**2 / expected).sum()), len(expected) - 1
    return dict(chi_square=statistic, degrees=degrees, p=float(stats.chi2.sf(statistic, degrees)))
