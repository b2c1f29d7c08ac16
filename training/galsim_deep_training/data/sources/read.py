"""The sources of a recipe: which galaxies of the collection it uses, and with which weight."""

__all__ = ["SourcesSettings", "read_sources"]

from collections.abc import Callable
from pathlib import Path

import numpy as np
from galsim import GalSimConfigError

from galsim_deep.observations.collection import Collection

from ...settings import Settings, Text, Weight
from .source import Source, prepared


class SourcesSettings(Settings):
    """The source galaxies of a recipe.

    Example::

        >>> SourcesSettings(collection="real_galaxies.h5", weights=dict(sdss=0.25)).leave_out
        ()
    """

    collection: Text
    """A collection of real galaxies, see `galsim_deep.observations.collection`."""
    weights: dict[str, Weight] = {}
    """Weight of a galaxy among the sources, by the name of its survey; zero for a survey that is
    not used.  [default: 1 for each]"""
    leave_out: tuple[Text, ...] = ()
    """Names of galaxies that are not used."""


def read_sources(settings: SourcesSettings, locate: Callable[[str], Path],
                 where: str) -> list[Source]:
    """Read and prepare the sources of a recipe.

    Galaxies that the collection holds out are never sources.

    Parameters:
        settings:   The sources.
        locate:     A function that makes a path of the recipe absolute.
        where:      The name of the recipe, for errors.

    Returns:
        the sources, in the order of the collection.

    Raises:
        galsim.GalSimError: if the collection cannot be read, lacks a survey or galaxy that the
            settings name, or no galaxy remains.
    """
    collection = Collection(locate(settings.collection))
    table = collection.table
    names, surveys = (np.asarray(table[name], str) for name in ("name", "survey"))
    for label, given, known in (("surveys", settings.weights, surveys),
                                ("galaxies", settings.leave_out, names)):
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise GalSimConfigError(
                f"The {where} names {label} under data.sources that the collection "
                f"{collection.path} does not have: {', '.join(unknown)}."
                + (f" Its surveys are: {', '.join(sorted(set(surveys)))}."
                   if label == "surveys" else ""))
    weights = np.array([settings.weights.get(survey, 1.0) for survey in surveys.tolist()])
    used = (~np.asarray(table["held_out"], bool) & ~np.asarray(table["judge_only"], bool)
            & (weights > 0) & ~np.isin(names, settings.leave_out))
    if not used.any():
        raise GalSimConfigError(f"The {where} leaves no galaxy of the collection "
                                f"{collection.path} to use as a source.")
    # The stamps of one galaxy share its weight.
    groups = np.asarray(table["group"])
    _, inverse, members = np.unique(groups[used], return_inverse=True, return_counts=True)
    return [prepared(collection.galaxy(names[row]), float(weights[row] / members[galaxy]))
            for row, galaxy in zip(np.flatnonzero(used).tolist(), inverse.tolist(), strict=True)]
