"""The builder of images without PSF and noise, such as pictures or a machine learning benchmark."""

__all__ = ["Images"]

from pathlib import Path
from typing import Annotated

import numpy as np
from galsim import GalSimConfigError

from ...recipe import Recipe
from ...settings import Positive, Settings, Text, Within
from ..example import Example
from .base import Builder


class ImagesSettings(Settings):
    """Settings of the ``images`` builder."""

    file_name: Text
    """An ``.npz`` file."""
    images: Text = "images"
    """Key of the images, shape [n, S, S], of the size of the recipe's stamp; [n, S, S, B] if the
    recipe has B > 1 bands."""
    labels: Text | None = None
    """Key of the classes, whole numbers from 0, shape [n]; -1 if the class of an image is not
    known.  [default: not known]"""
    full_scale: Positive = 1.0
    """The value that is mapped to 1: that of the brightest pixels, or a little more."""
    test_share: Annotated[float, Within(0, 1, above=True, below=True)] = 0.1
    """Fraction of the images in the test split, which are drawn at random; see ``test``."""
    test: Text | None = None
    """Key of an array [n] that is true for the images of the test split.  [default: None; they are
    drawn at random]"""


class Images(Builder, kind="images"):
    """Images as they are, with values from 0 to 1, a point as the PSF and no noise.

    Each column of the recipe is the array of that name in the file, shape [n].  See `Builder` for
    the parameters.

    Raises:
        galsim.GalSimConfigError: if the file cannot be read or lacks a column, or its images,
            labels or columns do not have the right shape or range.

    Example::

        >>> import tempfile
        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/digits_mpcc.yaml")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/squares.npz", images=np.ones([20, 8, 8]), kinds=20 * [3])
        ...     builder = Images(Images.Settings(file_name=f"{folder}/squares.npz", labels="kinds"),
        ...                      recipe)
        >>> len(builder), builder.example(0).stamp.shape, builder.example(0).label
        (20, (8, 8), 3)
    """

    Settings = ImagesSettings
    settings: ImagesSettings
    several_bands = True

    def __init__(self, settings: ImagesSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        path, size, bands = self.locate(settings.file_name), recipe.stamp.size, len(recipe.bands)
        try:
            with np.load(path) as content:
                self._images = content[settings.images].astype(np.float32) / settings.full_scale
                self._labels = (np.full(len(self._images), -1) if settings.labels is None
                                else content[settings.labels])
                self._columns = {column.name: content[column.name] for column in recipe.columns}
                test = None if settings.test is None else content[settings.test]
        except (OSError, KeyError, ValueError) as err:
            raise GalSimConfigError(f"The images {path} cannot be read: {err}") from err
        shape = (size, size) if bands == 1 else (size, size, bands)
        if self._images.shape[1:] != shape:
            raise GalSimConfigError(
                f"The images {path} have the shape {self._images.shape[1:]}, the stamps of the "
                f"recipe {recipe.path} have {shape}.")
        if not len(self._images):
            raise GalSimConfigError(f"The file {path} has no images.")
        brightest = self._images.max()
        if self._images.min() < 0 or not 0.5 <= brightest <= 1:
            raise GalSimConfigError(
                f"The images {path}, divided by full_scale ({settings.full_scale:g}) of the recipe "
                f"{recipe.path}, have pixel values from {self._images.min():.4g} to "
                f"{brightest:.4g}. The smallest must be at least 0, and the largest between 0.5 "
                "and 1.")
        self._check_labels(path)
        self._check_columns(path)
        if test is not None:
            if test.shape != self._images.shape[:1]:
                raise GalSimConfigError(f"The array '{settings.test}' of {path} has the shape "
                                        f"{test.shape}; one value is needed for each of the "
                                        f"{len(self._images)} images.")
            self._test = test.astype(bool)
            return
        permutation = np.random.default_rng([recipe.seed, 1]).permutation(len(self._images))
        self._test = np.zeros(len(permutation), bool)
        self._test[permutation[:round(settings.test_share * len(permutation))]] = True

    def _check_columns(self, path: Path) -> None:
        for name, values in self._columns.items():
            if (values.shape != self._images.shape[:1] or values.dtype.kind not in "iuf"
                    or not np.isfinite(values).all()):
                raise GalSimConfigError(
                    f"The column '{name}' of {path} has the shape {values.shape} and the type "
                    f"{values.dtype}; one finite number is needed for each of the "
                    f"{len(self._images)} images.")

    def _check_labels(self, path: Path) -> None:
        labels, where = self._labels, f"The labels '{self.settings.labels}' of {path}"
        if labels.shape != self._images.shape[:1]:
            raise GalSimConfigError(f"{where} have the shape {labels.shape}; one label "
                                    f"is needed for each of the {len(self._images)} images.")
        if labels.dtype.kind not in "iuf" or not np.equal(np.mod(labels, 1), 0).all():
            raise GalSimConfigError(f"{where}, of type {labels.dtype}, are not all whole numbers. "
                                    "Number the classes from 0, and use -1 for unknown.")

    def __len__(self) -> int:
        return len(self._images)

    def psfs(self) -> np.ndarray:
        size = self.recipe.stamp.psf_size
        point = np.zeros((1, size, size))
        point[0, size // 2, size // 2] = 1.0
        return point

    def noise_correlations(self) -> None:
        return None

    def example(self, number: int) -> Example:
        columns = {name: float(values[number]) for name, values in self._columns.items()}
        return Example(stamp=self._images[number], psf_index=0, noise_sigma=0.0, columns=columns,
                       source=number, test=bool(self._test[number]),
                       label=int(self._labels[number]))
