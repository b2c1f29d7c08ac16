"""Export of a fitted model family as a module: SavedModel, compact graph, probe, card, README."""

__all__ = ["export", "save"]

import dataclasses
import os
from pathlib import Path
from typing import Any

import pydantic
import tensorflow as tf
from galsim import GalSimError

from galsim_deep.modules.card import (
    CARD_PATH,
    REQUIRED_SIGNATURES,
    described_faults,
    write_card,
)
from galsim_deep.modules.module import load
from galsim_deep.modules.runners.litert import COMPACT_GRAPH_PATH
from galsim_deep.modules.stamp_choice import drawing_signatures
from galsim_deep.runtime.atomic_files import replace_folder

from ..data.dataset import Dataset
from ..families import ModelFamily
from ..fit import restore
from ..fitting.graphs import as_graph
from ..recipe import Recipe
from .card import card_fields
from .compact_graph import write_compact
from .float16_weights import Float16Weights
from .page import write_page
from .probe import check, write_probe
from .smaller_saved_model import make_smaller


def export(recipe: Recipe, run: str | os.PathLike, folder: str | os.PathLike) -> Path:
    """Write the fitted model of a recipe as a module, and check it.

    Parameters:
        recipe:     A `Recipe` whose phases are all complete.
        run:        Its working folder.
        folder:     The folder of the module; replaced only when the new module is complete and has
                    passed its check.

    Returns:
        the folder.

    Raises a `galsim.GalSimError` if a phase is not complete, the outputs of the exported graphs
    differ from those of the networks, the graphs do not agree with the card and the module format,
    the family lacks a signature that modules of its kind must have, a field of the card is not
    valid, or the folder exists and is not a module.
    """
    folder = Path(folder)
    _check_replaceable(folder)
    family = restore(recipe, run)
    _check_kind(recipe, family)
    dataset = Dataset.of(recipe, Path(run) / "data.h5")
    with replace_folder(folder) as fresh:
        save(family, fresh)
        write_probe(family, dataset, fresh)
        fields = card_fields(recipe, family, dataset)
        _write_card(fresh, fields, recipe)
        module = load(fresh)  # the pictures of README.md are sampled from this module
        module.compare_with_card()
        check(module, family)
        write_page(module, dataset)
        _write_card(fresh, fields, recipe)
    return folder


def _check_replaceable(folder: Path) -> None:
    """Raise an error if the folder exists and is neither a module nor empty."""
    is_module = (folder / CARD_PATH).is_file()
    is_empty = folder.is_dir() and not any(folder.iterdir())
    if os.path.lexists(folder) and not (is_module or is_empty):
        raise GalSimError(f"{folder} exists and is not a module, so it is not replaced. Move it "
                          "away, or give another folder with --output.")


def _check_kind(recipe: Recipe, family: ModelFamily) -> None:
    """Raise an error if the family lacks a signature that modules of its kind must have."""
    required, offered = REQUIRED_SIGNATURES[family.module_kind], family.signatures()
    if required not in offered:
        raise GalSimError(
            f"The model family '{family.kind}' makes modules of the kind {family.module_kind}, "
            f"which have the signature '{required}'; it offers {', '.join(offered) or 'none'}.")
    if family.module_kind == "generator" and not recipe.columns:
        raise GalSimError(f"The recipe {recipe.path}: columns is empty; a generator needs at least "
                          "one column (its length sets the number of galaxies).")


def _write_card(folder: Path, fields: dict[str, Any], recipe: Recipe) -> None:
    """Write the card; raise an error of GalSim if a field is missing or has an invalid value.

    The texts of the recipe were checked when it was read.  Other fields come from the family, which
    may be one of the user.
    """
    try:
        write_card(folder, fields)
    except pydantic.ValidationError as err:
        raise GalSimError(
            f"The module of {recipe.path} cannot be written, because its card would not be valid. "
            f"{described_faults(err)}. Correct the recipe or the model family; a completed fit is "
            "kept.") from err


def save(family: ModelFamily, folder: Path) -> None:
    """Write the SavedModel of a family, and the compact graph of a generator.

    The kernels of its networks are rounded to 16 bits.
    """
    weights, root = Float16Weights(
        family.networks, family.significant_bits), tf.Module()
    offered = family.signatures()
    drawing = drawing_signatures(family.recipe.stamp.sizes)
    signatures = {
        name: as_graph(weights.call(signature.call)).get_concrete_function(**{
            key: tf.TensorSpec(spec.shape, spec.dtype, key)
            for key, spec in signature.inputs.items()})
        for name, signature in offered.items() if name not in drawing}
    # Only the variables that signatures use, some of which are needed for the fit alone; with the
    # networks, functions of Keras would be saved too.
    used = {variable.ref() for signature in signatures.values()
            for variable in signature.graph.variables}
    root.weights = [variable for variable in weights.variables if variable.ref() in used]
    default = signatures[REQUIRED_SIGNATURES[family.module_kind]]
    tf.saved_model.save(root, str(folder), signatures=dict(signatures, serving_default=default))
    make_smaller(folder)
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # that of the graph with long names
    (folder / COMPACT_GRAPH_PATH).parent.mkdir(exist_ok=True)
    if family.module_kind == "generator":
        write_compact({name: dataclasses.replace(
                           offered[name], call=weights.call(offered[name].call))
                       for name in drawing or ["sample"]}, weights.variables, folder)
