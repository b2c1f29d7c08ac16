"""The fields of the card of an exported module, from the recipe, the family and the data set."""

__all__ = ["QUANTILES", "card_fields"]

from typing import Any

import numpy as np

from galsim_deep import __version__
from galsim_deep.modules.stamp_choice import drawing_signatures

from ..data.dataset import Dataset
from ..families import ModelFamily
from ..recipe import Band, Column, Recipe

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Levels of the quantiles of the training sample that a card gives for each column."""


def card_fields(recipe: Recipe, family: ModelFamily, dataset: Dataset) -> dict[str, Any]:
    """The fields of the `galsim_deep.modules.card.Card`, except for ``files``.

    Parameters:
        recipe:     The `Recipe`.
        family:     The fitted family.
        dataset:    The `Dataset` that it was fitted on.
    """
    train, stamp = dataset.train_indices, recipe.stamp
    # Those that draw on stamps of several sizes are in the compact graph only.
    signatures = [name for name in family.signatures()
                  if name not in drawing_signatures(stamp.sizes)]
    # An encoder or a density takes only the columns that it needs.
    inputs = {key for signature in family.signatures().values() for key in signature.inputs}
    columns = [column for column in recipe.columns
               if family.module_kind == "generator" or column.name in inputs]
    return dict(
        kind=family.module_kind, name=recipe.name, version=recipe.version, family=family.kind,
        summary=recipe.summary,
        stamp=dict(sizes=stamp.sizes or [stamp.size], pixel_scale=stamp.pixel_scale,
                   trained_size=stamp.size if stamp.sizes else None,
                   value_range=family.value_range),
        bands=[_band(band, dataset) for band in recipe.bands],
        columns=[_column(column, family, dataset) for column in columns],
        latent=(dict(name="random_normal", size=family.latent_size,
                     position_angle=family.draws_position_angle)
                if "sample" in signatures else None),
        signatures=signatures, classes=family.classes(dataset),
        training_data=dict(recipe.training_data.model_dump(),
                           sources=len(np.unique(dataset.source[train]))),
        embedder=dataset.embedder if family.module_kind == "density" else None,
        recipe=dict(name=recipe.path.name, sha256=recipe.sha256), code_version=__version__)


def _band(band: Band, dataset: Dataset) -> dict[str, Any]:
    train = dataset.train_indices
    count = len(np.unique(dataset.psf_index[train]))
    least, median, most = np.quantile(dataset.noise_sigma[train], [0, 0.5, 1])
    spread = f" ({least:.4g} to {most:.4g})" if least < most else ""
    return dict(band.model_dump(), psf=f"{count} PSF{'s' if count > 1 else ''}",
                noise=f"standard deviation of the noise {median:.4g} per pixel{spread}")


def _column(column: Column, family: ModelFamily, dataset: Dataset) -> dict[str, Any]:
    values = dataset.columns[column.name][dataset.train_indices]
    return dict(
        column.model_dump(exclude={"scale", "offset", "may_be_absent"}),
        optional=family.optional_columns,
        may_be_absent=column.may_be_absent and family.optional_columns,
        # The argument of the logarithm has to be positive.  0.0 - 0.0 is 0, whereas -0.0 would be
        # written as -0.0.
        above=0.0 - column.offset if column.scale == "log" else None,
        quantiles={str(level): round(float(np.quantile(values, level)), 4)
                   for level in QUANTILES})
