"""A fitted model family becomes a module: SavedModel, probe, card and pages for people."""

__all__ = ["card_fields", "check", "export", "save"]

import shutil
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from galsim import GalSimError

from galsim_deep import __version__
from galsim_deep.card import write_card
from galsim_deep.module import PROBE_PATH, load
from galsim_deep.sampler import COMPACT_PATH

from .compact import write_compact
from .data.dataset import Dataset
from .fit import restore
from .graphs import as_graph
from .half_precision import Halved
from .module_page import write_page
from .short_names import shorten_names

# Largest difference between exported graph and eager network, see `Module.probe`.
TOLERANCE = 1e-5
# A signature that climbs to a maximum carries on, step by step, what was rounded.
TOLERANCES = dict(encode=1e-2)
PROBES = 4
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def export(recipe, run, folder):
    """Write the fitted model of a recipe as a module, and check it.

    Parameters:
        recipe:     A `Recipe` whose phases are all complete.
        run:        Its working folder.
        folder:     Where the module goes; replaced only when the new one is whole and right.

    Returns:
        the folder.

    Raises a `galsim.GalSimError` where the exported graph does not equal the eager network, or the
    recipe has no columns.
    """
    if not recipe.columns:
        raise GalSimError(f"The recipe {recipe.path} has no columns; a module is conditioned on "
                          "one at least, which says how many galaxies a table asks for.")
    family = restore(recipe, run)
    dataset = Dataset.of(recipe, run / "data.h5")
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as scratch:
        fresh = Path(scratch).absolute() / "module"
        save(family, fresh)
        _write_probe(family, dataset, fresh)
        fields = card_fields(recipe, family, dataset)
        write_card(fresh, fields)
        module = load(fresh)  # which the page samples from too
        check(module)
        write_page(module, dataset)
        write_card(fresh, fields)
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
    return folder


def save(family, folder):
    """Write SavedModel and compact graph of a family, whose kernels are rounded to 16 bits."""
    weights, root = Halved(family.networks), tf.Module()
    # Variables alone: the networks themselves would bring Keras's own functions along.
    root.weights = weights.variables
    signatures = {
        name: as_graph(weights.call(signature.call)).get_concrete_function(**{
            key: tf.TensorSpec(spec.shape, spec.dtype, key)
            for key, spec in signature.inputs.items()})
        for name, signature in family.signatures().items()}
    tf.saved_model.save(root, str(folder),
                        signatures=dict(signatures, serving_default=signatures["sample"]))
    shorten_names(folder)
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # that of the graph with long names
    (folder / COMPACT_PATH).parent.mkdir(exist_ok=True)
    # Where there are classes, one graph serves both: -1 stands for none.
    offered = family.signatures()
    sample = offered.get("cluster", offered["sample"])
    write_compact(weights.call(sample.call), sample.inputs, weights.variables, folder)


def _write_probe(family, dataset, folder):
    """Keep some inputs of each signature, and what the eager networks make of them."""
    rows = dataset.read(dataset.test_indices[:PROBES])
    rng, kept, made = np.random.default_rng(family.recipe.seed), {}, {}
    classes = max(1, len(family.classes(dataset)))
    for name, signature in family.signatures().items():
        given = {}
        for key, spec in signature.inputs.items():
            known = dict(rows, image=rows["stamp"], **made)
            if key == "cluster":
                given[key] = np.arange(PROBES, dtype=np.int32) % classes
            else:
                given[key] = known[key] if key in known else rng.standard_normal(
                    (PROBES, *spec.shape[1:]), np.float32)
        if name == "cluster":
            given[name][0] = -1
        if family.optional_columns:
            # The last row lacks its last column.
            last = family.recipe.columns[-1].name
            given[last] = np.where(np.arange(PROBES) == PROBES - 1, np.float32(np.nan), given[last])
        found = signature.call(**{key: tf.constant(value) for key, value in given.items()})
        if "mean" in found:
            made["latent"] = found["mean"].numpy()
        kept.update({f"{name}/inputs/{key}": value for key, value in given.items()})
        kept.update({f"{name}/outputs/{key}": value.numpy() for key, value in found.items()})
    np.savez_compressed(folder / PROBE_PATH, **kept)


def check(module):
    """Raise unless the exported graphs equal the eager networks on the stored probe."""
    for signature, difference in module.probe().items():
        allowed = TOLERANCES.get(signature, TOLERANCE)
        if not difference <= allowed:
            raise GalSimError(
                f"The exported graph '{signature}' differs from the network by {difference:.2e} "
                f"of the largest value; {allowed:.0e} is allowed. TensorFlow's graph optimiser may "
                "have fused an operation wrongly: see whether the networks use other activations "
                "than relu, elu, gelu or silu.")


def card_fields(recipe, family, dataset):
    """The fields of the card, as a dict."""
    stamp = recipe.stamp

    def quantiles(name):
        values = dataset.columns[name][dataset.train_indices]
        return {str(q): round(float(np.quantile(values, q)), 4) for q in QUANTILES}

    train = dataset.train_indices
    least, median, most = np.quantile(dataset.noise_sigma[train], [0, 0.5, 1])
    spread = f" ({least:.4g} to {most:.4g})" if least < most else ""
    psfs = len(np.unique(dataset.psf_index[train]))
    return dict(
        name=recipe.name, version=recipe.version, family=recipe.family, summary=recipe.summary,
        stamp_size=stamp.size, pixel_scale=stamp.pixel_scale, bands=[stamp.band],
        flux=dict(zero_point=stamp.zero_point, exposure_time=stamp.exposure_time, area=stamp.area),
        columns=[dict(name=c.name, unit=c.unit, meaning=c.meaning, valid_range=c.valid_range,
                      optional=family.optional_columns, quantiles=quantiles(c.name),
                      above=0.0 - c.offset if c.scale == "log" else None)
                 for c in recipe.columns],
        latent=dict(name="random_normal", size=family.latent_size),
        signatures=[*family.signatures()], clusters=family.classes(dataset),
        training_data=recipe.training_data.model_dump(),
        trained_through=(
            f"{psfs} PSF{'s' if psfs > 1 else ''}; noise of {median:.4g} a pixel{spread}; "
            f"{len(train)} stamps."),
        recipe=dict(name=recipe.path.name, sha256=recipe.sha256),
        code_version=__version__,
    )


