"""The base class of the builders of data sets."""

__all__ = ["Builder", "make_builder"]

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from galsim import GalSimConfigError, GalSimError

from ...recipe import Recipe
from ...registry import Registered
from ..example import Example
from ..external import PREFIX, external


class Builder(Registered, abc.ABC, label="builder"):
    """Makes training and test examples, one by one, from some kind of survey data.

    A subclass registers itself by the kind that recipes use::

        class Transplant(Builder, kind="transplant"):
            Settings = TransplantSettings

    An example depends on the seed of the recipe and on its own number, not on the process that
    makes it.

    Parameters:
        settings:   The ``Settings`` of the subclass.
        recipe:     The recipe that the data set is for.

    Raises:
        galsim.GalSimError: if survey data cannot be read, or do not fit the recipe, or the recipe
            has several bands and the builder makes stamps of one.

    Example::

        >>> {'images', 'real_galaxies', 'transplant'} <= Builder.kinds().keys()
        True
        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/digits_mpcc.yaml")
        >>> Builder.choose(recipe.data, recipe, "data").cls.__name__
        'Images'
    """

    clipping: tuple[float, float] | None = None
    """(threshold, peak) of `galsim_deep.observations.clipping`, in units of the noise, if the
    stamps are set to zero wherever there is no significant emission."""

    embedder: dict[str, str] | None = None
    """``name``, ``version`` and ``weights_sha256`` of the module that embeds the stamps, if one
    does."""

    several_bands = False
    """Whether it makes stamps of several bands, [S, S, B]."""

    def __init__(self, settings: Any, recipe: Recipe) -> None:
        if len(recipe.bands) > 1 and not self.several_bands:
            raise GalSimConfigError(
                f"The recipe {recipe.path} has {len(recipe.bands)} bands, and the builder "
                f"'{self.kind}' makes stamps of one. Make a recipe for each band.")
        self.settings = settings
        self.recipe = recipe

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of examples that the builder tries to make."""

    @abc.abstractmethod
    def psfs(self) -> np.ndarray:
        """The effective PSF images, shape [K, P, P], unit sum."""

    @abc.abstractmethod
    def noise_correlations(self) -> np.ndarray | None:
        """The correlation functions of the noise, shape [M, C, C], 1 in the middle pixel.

        None if the noise is white.
        """

    @abc.abstractmethod
    def example(self, number: int) -> "Example | None":
        """Make one example.

        Parameters:
            number:     Its number, from 0 to the length of the builder, exclusive.

        Returns:
            the example; None if this galaxy cannot be used.
        """

    def new_example(self, number: int, sources: str) -> "Example | None":
        """Make an example for validation that is not part of the data set.

        Parameters:
            number:     Its number, from 0.
            sources:    ``held-out``: of galaxies that training does not use; ``training``: of those
                        that it uses.

        Returns:
            an example that is marked as a test example; None if this galaxy cannot be used.

        Raises:
            galsim.GalSimConfigError: if the builder cannot make new examples.
        """
        raise GalSimConfigError(
            f"The data builder of {self.recipe.path} uses each galaxy only as it was observed and "
            "cannot make new examples. Use its test split for validation.")

    def complete(self, examples: Sequence[Example]) -> list[Example]:
        """Add to examples what is computed for several at once, such as embeddings of the stamps.

        The main process calls it with the examples that were made, in the order of their numbers;
        how many there are in a call does not depend on the number of processes.

        Parameters:
            examples:   Results of `example` or `new_example`; may be empty.

        Returns:
            the examples that are written, as many as there are.  [default: as they are]
        """
        return list(examples)

    def locate(self, path: str) -> Path:
        """The absolute path of a file.

        Parameters:
            path:       A path, which starts at the folder of the recipe if it is relative, or
                        ``fetched:NAME`` for `external data <galsim_deep_training.data.external>`.

        Raises:
            galsim.GalSimConfigError: if there are no such external data, or they are not on this
                machine.
        """
        if path.startswith(PREFIX):
            try:
                return external(path.removeprefix(PREFIX)).find()
            except GalSimError as err:
                raise GalSimConfigError(f"The recipe {self.recipe.path}, data: {err}") from err
        return (self.recipe.path.parent / path).resolve()


def make_builder(recipe: Recipe) -> Builder:
    """The builder that a recipe chooses, with its settings checked.

    Raises:
        galsim.GalSimError: if there is no such kind, a setting is wrong, or the survey data cannot
            be used.
    """
    return Builder.choose(recipe.data, recipe, "data").make(recipe)
