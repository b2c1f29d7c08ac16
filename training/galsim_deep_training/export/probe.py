"""The probe of a module: inputs of each signature, and the outputs of the networks.

Anybody can check with it whether the exported graphs compute what the networks did; see
`galsim_deep.modules.module.Module.probe`.
"""

__all__ = ["check", "write_probe"]

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from galsim import GalSimError

from galsim_deep.modules.module import PROBE_PATH, Module
from galsim_deep.modules.stamp_choice import LATENTS, drawing_signatures

from ..data.dataset import Dataset
from ..families import ModelFamily
from ..families.base import Signature

PROBES = 3
"""Galaxies in the probe."""
MAX_PIXELS = 128**2
"""Largest number of pixels of the images of a signature.  There are fewer galaxies if necessary;
of those that draw on stamps of several sizes, large ones are left out, since the probe would be the
largest file."""


def write_probe(family: ModelFamily, dataset: Dataset, folder: Path) -> None:
    """Save inputs of each signature for test galaxies, and the outputs of the networks.

    Parameters:
        family:     The fitted family.
        dataset:    The `Dataset`.
        folder:     The folder of the module.
    """
    rows = dataset.read(dataset.test_indices[:PROBES])
    count = len(rows["stamp"])
    # Inputs besides the columns, with a band axis.
    bands = len(family.recipe.bands)
    image = rows["stamp"] if bands > 1 else rows["stamp"][..., None]
    available = dict(rows, image=image, psf=np.repeat(rows["psf"][..., None], bands, axis=-1),
                     noise_sigma=np.repeat(rows["noise_sigma"][:, None], bands, axis=-1),
                     galaxy_class=np.arange(count, dtype=np.int32) % max(
                         1, len(family.classes(dataset))))
    if family.module_kind == "density" and dataset.embedding is not None:
        available["latent"] = rows["embedding"]
    rng = np.random.default_rng(family.recipe.seed)
    arrays: dict[str, Any] = {}
    # If there is an encoder, latents are those of the galaxies of the probe.
    signatures = sorted(family.signatures().items(), key=lambda item: (
        item[0] != "encode", item[0] != LATENTS))
    drawing = drawing_signatures(family.recipe.stamp.sizes)
    described: dict[str, np.ndarray] = {}
    for name, signature in signatures:
        inputs = _inputs(name, signature, family,
                         available | described if name in drawing else available, count, rng)
        outputs = signature.call(**{key: tf.constant(value) for key, value in inputs.items()})
        pixels = max(int(np.prod(value.shape[1:])) for value in outputs.values())
        kept = min(count, max(MAX_PIXELS // pixels, 0 if name in drawing else 1))
        if name == "encode":
            available["latent"] = outputs["mean"].numpy()
        if name == LATENTS:
            described["latent"] = outputs["latent"].numpy()
        if not kept:
            continue
        arrays.update({f"{name}/inputs/{key}": value[:kept] for key, value in inputs.items()})
        arrays.update({
            f"{name}/outputs/{key}": value[:kept].numpy() for key, value in outputs.items()})
    np.savez_compressed(folder / PROBE_PATH, **arrays)


def _inputs(name: str, signature: Signature, family: ModelFamily,
            available: dict[str, np.ndarray], count: int,
            rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The inputs of one signature; normal numbers for those that are not available."""
    inputs = {
        key: available[key] if key in available
        else rng.standard_normal((count, *spec.shape[1:]), np.float32)
        for key, spec in signature.inputs.items()}
    if name == "sample" and "galaxy_class" in inputs:
        inputs["galaxy_class"] = np.where(np.arange(count) == 0, np.int32(-1),
                                          inputs["galaxy_class"])
    if "pixel_scale" in inputs:
        inputs["pixel_scale"] = np.full(count, family.recipe.stamp.pixel_scale, np.float32)
    if family.optional_columns:
        # The last row omits its last column.
        last = family.recipe.columns[-1].name
        if last in inputs:
            inputs[last] = np.where(np.arange(count) == count - 1, np.float32(np.nan), inputs[last])
    return inputs


def check(module: Module, family: ModelFamily) -> None:
    """Compare the exported graphs with the networks on the probe.

    Parameters:
        module:     The exported module.
        family:     The family, whose signatures state how much may differ.

    Raises a `galsim.GalSimError` if they differ by more than is allowed.
    """
    signatures = family.signatures()
    for graph, difference in module.probe().items():
        # "sample (compact graph)" is held to the same tolerance as "sample".
        allowed = signatures[graph.split(" ")[0]].tolerance
        if not difference <= allowed:
            raise GalSimError(
                f"The exported graph '{graph}' differs from the network by {difference:.2e} "
                f"of the largest value; {allowed:.0e} is allowed. TensorFlow's graph optimiser may "
                "have fused an operation wrongly: see whether the networks use other activations "
                "than relu, elu, gelu or silu.")
