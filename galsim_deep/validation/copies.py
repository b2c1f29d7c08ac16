"""The search for copies of training galaxies among the samples of a validation."""

__all__ = ["memory_results", "search_copies"]

import numpy as np

from . import memory
from .conditioning import magnitude_column
from .examined import SAMPLES

BRIGHT = 22.5
"""Copies are searched for among galaxies up to this magnitude, where noise hides little."""
TRAINING = 4000
"""Training galaxies that are searched at most."""


def search_copies(survey, trained, measurements, card, seed):
    """Distances to the nearest training galaxy; or why they are not known.

    The parametric sample is looked at as well: it has memorised nothing, but is as smooth as can
    be, and smooth galaxies are near to any other.

    Parameters:
        survey:         The real galaxies, a `Survey`.
        trained:        The galaxies that the module was trained on, a `Survey`, or None.
        measurements:   A `Measurements`; its stamps are looked at.
        card:           The card of the module.
        seed:           Random seed.

    Returns:
        the dict of `memory_results`, or one of ``skipped``, the reason.
    """
    column = magnitude_column(card)
    if column is None:
        return dict(skipped="the module has no magnitude among its columns")
    if trained is None:
        return dict(skipped="no training galaxies were given")
    if survey.recipe_sha256 and survey.recipe_sha256 == trained.recipe_sha256 and np.isin(
            survey.source, trained.source).any():
        return dict(skipped="the real galaxies are training galaxies themselves")
    among = np.flatnonzero(trained.columns[column.name] < BRIGHT)
    among = np.random.default_rng([seed, 4]).permutation(among)[:TRAINING]
    kept = len(measurements.stamps["real"])
    bright = np.flatnonzero(measurements.columns[column.name][:kept] < BRIGHT)
    seen = [survey.observation(int(n)) for n in bright]
    stamps = {sample: measurements.stamps[sample][bright] for sample in SAMPLES}
    images = {sample: _canonical(seen, stamps[sample], [seed, 5, number])
              for number, sample in enumerate(SAMPLES)}
    known = {sample: np.flatnonzero([image is not None for image in found])
             for sample, found in images.items()}
    images = {sample: [found[n] for n in known[sample]] for sample, found in images.items()}
    old = [trained.observation(int(n)) for n in among]
    old_images = _canonical(old, [one.stamp for one in old], [seed, 6])
    old_known = [n for n, image in enumerate(old_images) if image is not None]
    if not old_known or not len(known["real"]) or not len(known["generated"]):
        return dict(skipped="too few galaxies are bright and large enough")
    old_images = [old_images[n] for n in old_known]
    old_sources = trained.source[among[old_known]]
    held_out_sources = measurements.source[bright[known["real"]]]
    found = {sample: memory.memorisation(images[sample], images["real"], old_images, old_sources,
                                         held_out_sources, seed=seed)
             for sample in SAMPLES[1:]}
    return memory_results(found)


def memory_results(found):
    """What `memory.memorisation` found on the generated and on the parametric sample, as one dict.

    Parameters:
        found:      {sample: the dict of `memory.memorisation`}.

    Returns:
        a dict of ``copies``, ``strangers``, ``held_out`` and one entry a sample, each a dict of
        ``n``, ``median`` and, for the last, the shares; and ``n_training``.
    """
    def number(one, name):
        return dict(value=one[name], error=one[f"{name}_error"])

    common = found["generated"]
    results = dict(
        n_training=common["n_training"],
        copies=dict(n=common["n_copies"], median=number(common, "copies_median")),
        strangers=dict(n=common["n_copies"], median=number(common, "strangers_median")),
        held_out=dict(n=common["n_held_out"], median=number(common, "held_out_median"),
                      share_copies=number(common, "held_out_share_copies")))
    for sample, one in found.items():
        results[sample] = dict(
            n=one["n_generated"], median=number(one, "generated_median"),
            share_copies=number(one, "share_copies"), share_nearer=number(one, "share_nearer"))
    return results


def _canonical(observations, stamps, seed):
    rng = np.random.default_rng(seed)
    return [memory.canonical(seen, stamp, rng)
            for seen, stamp in zip(observations, stamps, strict=True)]
