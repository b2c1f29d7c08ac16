"""The builder of embeddings: the examples of another builder, embedded by a module.

An example is one of the other builder, or of a data set file, with its stamp, PSF, noise and
columns, and in addition the embedding of its stamp.  Families that model embeddings, such as
``maf``, are fitted on it.
"""

__all__ = ["Embeddings"]

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pydantic
from galsim import GalSimConfigError

from galsim_deep.modules.card import Card, read_card
from galsim_deep.modules.download import is_url
from galsim_deep.modules.resolve import resolve
from galsim_deep.observations.stamps_file import StampsFile

from ...recipe import Recipe
from ...registry import Choice
from ...settings import Settings, Text
from ..example import Example
from .base import Builder

if TYPE_CHECKING:
    from galsim_deep.embeddings import Embedder


class EmbeddingsSettings(Settings):
    """Settings of the ``embeddings`` builder."""

    module: Text
    """The module that embeds the stamps: ``hub:NAME``, the URL of an archive with its sha256, or a
    folder or archive; relative paths start at the folder of the recipe."""
    stamps: Choice[Builder] | None = None
    """The builder of the stamps: its ``kind`` and its settings."""
    file_name: Text | None = None
    """Instead: a data set file with the stamps, as ``galsim-deep-train data`` writes it."""

    @pydantic.model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.stamps is None) == (self.file_name is None):
            raise ValueError("give either 'stamps', the builder of the stamps, or 'file_name', a "
                             "data set that has them")
        return self


class _StampsOfFile(Builder):
    """The examples of a data set file, as they are."""

    settings: EmbeddingsSettings
    several_bands = True

    def __init__(self, settings: EmbeddingsSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        assert settings.file_name is not None
        self._path = self.locate(settings.file_name)
        self._file, self._process = StampsFile(self._path), os.getpid()
        self.clipping = self._file.clipping
        self._noiseless = {int(row): index for index, row in enumerate(self._file.noiseless_index)}
        self._check_recipe()

    def _check_recipe(self) -> None:
        where = f"The data set {self._path} of the recipe {self.recipe.path}"
        stamp, file = self.recipe.stamp, self._file
        if file.stamp_size != stamp.size or file.psfs.shape[-1] != stamp.psf_size:
            raise GalSimConfigError(
                f"{where} has stamps of {file.stamp_size} and PSF images of {file.psfs.shape[-1]} "
                f"pixels; stamp.size is {stamp.size}, and stamp.psf_size {stamp.psf_size}.")
        if abs(file.pixel_scale / stamp.pixel_scale - 1) > 1e-6:
            raise GalSimConfigError(f"{where} has pixels of {file.pixel_scale:g} arcsec; "
                                    f"stamp.pixel_scale is {stamp.pixel_scale:g}.")
        if file.bands != len(self.recipe.bands):
            raise GalSimConfigError(f"{where} has stamps of {file.bands} bands; the recipe has "
                                    f"{len(self.recipe.bands)}.")
        missing = [column.name for column in self.recipe.columns if column.name not in file.columns]
        if missing:
            raise GalSimConfigError(f"{where} lacks the columns {', '.join(missing)}; it has "
                                    f"{', '.join(file.columns) or 'none'}.")

    def __len__(self) -> int:
        return len(self._file)

    def psfs(self) -> np.ndarray:
        return self._file.psfs

    def noise_correlations(self) -> np.ndarray:
        return self._file.noise_correlation

    def example(self, number: int) -> Example:
        if self._process != os.getpid():
            # A file of HDF5 must not be read by a process that was forked after it was opened.
            self._file, self._process = StampsFile(self._path), os.getpid()
        file = self._file
        return Example(
            stamp=file.stamp(number), psf_index=int(file.psf_index[number]),
            noise_sigma=float(file.noise_sigma[number]),
            columns={column.name: float(file.columns[column.name][number])
                     for column in self.recipe.columns},
            source=int(file.source[number]), test=bool(file.test[number]),
            pixel_scale=float(file.pixel_scales[number]),
            noiseless=(file.noiseless(self._noiseless[number]) if number in self._noiseless
                       else None),
            noise_index=int(file.noise_index[number]),
            label=int(file.label[number]))


class Embeddings(Builder, kind="embeddings"):
    """Examples of another builder with their embeddings; see `Builder` for the parameters.

    The stamps are made in several processes, and embedded by the main process.

    Raises:
        galsim.GalSimError: if the module cannot be had or does not embed stamps like those of the
            recipe, or the other builder raises it.

    Example::

        >>> import tempfile
        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/first_mpcc.yaml")
        >>> image = np.zeros([100, 100], np.uint8)
        >>> image[48:53, 45:56], image[50, 50] = 100, 255
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/first.npz", images=[image], label=[1], split=["test"], ra=[150],
        ...              dec=[2])
        ...     stamps = dict(kind="first_sources", file_name=f"{folder}/first.npz")
        ...     builder = Embeddings(
        ...         Embeddings.Settings(module="hub:first_mpcc", stamps=stamps), recipe)
        ...     (example,) = builder.complete([builder.example(0)])
        >>> example.stamp.shape, example.embedding.shape
        ((96, 96), (35,))
    """

    Settings = EmbeddingsSettings
    settings: EmbeddingsSettings
    several_bands = True

    def __init__(self, settings: EmbeddingsSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self._stamps: Builder | _StampsOfFile = (
            settings.stamps.make(recipe) if settings.stamps is not None
            else _StampsOfFile(settings, recipe))
        self.clipping = self._stamps.clipping
        handle: Any = settings.module
        if not (handle.startswith("hub:") or is_url(handle)):
            handle = self.locate(handle)
        self._module = resolve(handle)
        card = read_card(self._module)
        self._check_module(card)
        self.embedder = dict(name=card.name, version=card.version,
                             weights_sha256=card.weights_sha256)
        self._psfs = self._stamps.psfs()

    @functools.cached_property
    def _embedder(self) -> "Embedder":
        # Made when it is first used, in the main process: it loads TensorFlow, which the processes
        # that make the stamps do not need.
        from galsim_deep.embeddings import Embedder

        return Embedder(self._module)

    def _check_module(self, card: Card) -> None:
        stamp = self.recipe.stamp
        where = f"The module {card.name} of the recipe {self.recipe.path}, data.module,"
        if stamp.size != card.trained_size:
            raise GalSimConfigError(f"{where} takes stamps of {card.trained_size} pixels on a side;"
                                    f" stamp.size is {stamp.size}. Set it to this size.")
        if abs(stamp.pixel_scale / card.pixel_scale - 1) > 1e-6:
            raise GalSimConfigError(f"{where} takes pixels of {card.pixel_scale:g} arcsec; "
                                    f"stamp.pixel_scale is {stamp.pixel_scale:g}.")
        if len(self.recipe.bands) != len(card.bands):
            raise GalSimConfigError(f"{where} takes stamps of {len(card.bands)} bands; the recipe "
                                    f"has {len(self.recipe.bands)}.")
        own = {column.name: column for column in self.recipe.columns}
        for column in card.columns:
            # Encoders take only those that they need; `Embedder` says which.
            if column.name not in own and card.kind == "generator":
                raise GalSimConfigError(f"{where} takes the column '{column.name}', which the "
                                        "recipe has not. Add it to the columns.")
            if column.name in own and own[column.name].unit != column.unit:
                raise GalSimConfigError(
                    f"{where} takes the column '{column.name}' in the unit '{column.unit}'; that "
                    f"of the recipe has the unit '{own[column.name].unit}'.")

    def __len__(self) -> int:
        return len(self._stamps)

    def psfs(self) -> np.ndarray:
        return self._psfs

    def noise_correlations(self) -> np.ndarray | None:
        return self._stamps.noise_correlations()

    def example(self, number: int) -> Example | None:
        """One example, which `complete` gives its embedding."""
        return self._stamps.example(number)

    def new_example(self, number: int, sources: str) -> Example | None:
        return self._stamps.new_example(number, sources)

    def complete(self, examples: Sequence[Example]) -> list[Example]:
        if not examples:
            return []
        sigma = np.array([example.noise_sigma for example in examples])
        embeddings = self._embedder.embed(
            np.stack([example.stamp for example in examples]),
            psf=self._psfs[[example.psf_index for example in examples]],
            # Images without noise: an encoder that needs its level gets the default.
            noise_sigma=sigma if sigma.any() else None,
            columns={column.name: np.array([example.columns[column.name] for example in examples])
                     for column in self.recipe.columns})
        return [dataclasses.replace(example, embedding=embedding)
                for example, embedding in zip(examples, embeddings, strict=True)]
