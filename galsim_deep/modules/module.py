"""A module on disk: its card, whether its files are those that the card lists, and its graphs."""

__all__ = ["PROBE_PATH", "Module", "load"]

import collections
import functools
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from galsim import GalSimError
from numpy.typing import ArrayLike, NDArray

from .archive import MAX_MODULE_BYTES
from .card import CARD_PATH, Card, file_digests, read_card
from .runners.base import GraphOutputs, Runner
from .runners.litert import COMPACT_GRAPH_PATH, LiteRTRunner
from .runners.tensorflow import TensorFlowRunner, is_gpu_available
from .signatures import faults_of_graph
from .stamp_choice import LATENTS, Drawn, choose_stamps, draw_signature_name, joined

PROBE_PATH = "assets/probe.npz"

GPU_ROWS = 64
"""Smallest batch for which a GPU is faster than the CPU, transfers included."""


class Module:
    """A module on disk.  Only `call` and `probe` always need TensorFlow.

    Parameters:
        folder:         The folder of the module.

    Attributes:
        folder:         The folder, a `pathlib.Path`.
        card:           The `Card`.
        tensorflow:     A `TensorFlowRunner` for all signatures.
        compact:        A `LiteRTRunner` for the signatures that draw galaxies; None for a module
                        without a compact graph.

    Raises a `galsim.GalSimError` if the folder is not a module, or is damaged.

    >>> from galsim_deep.modules.resolve import resolve
    >>> module = Module(resolve("hub:acs_flow_vae"))
    >>> module.card.trained_size
    128
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        self.card: Card = read_card(self.folder)
        self.verify()
        self.tensorflow = TensorFlowRunner(self.folder)
        self.compact = LiteRTRunner(self.folder) if COMPACT_GRAPH_PATH in self.card.files else None
        self._checked: set[Runner] = set()

    def verify(self) -> None:
        """Compare the files that the card lists with their checksums.

        Raises a `galsim.GalSimError` that names the files at fault.
        """
        listed = self.card.files
        present = [path for path in sorted(listed) if os.path.isfile(self.folder / path)]
        size = sum(os.path.getsize(self.folder / path) for path in present)
        if size > MAX_MODULE_BYTES:
            raise GalSimError(
                f"The files of the module {self.folder} have {size} bytes, and a module has no "
                f"more than {MAX_MODULE_BYTES}. Get the module again.")
        digests = file_digests(self.folder, present)
        faults = [f"{path} is missing" for path in sorted(listed.keys() - digests.keys())]
        faults += [f"{path} has changed" for path, digest in digests.items()
                   if digest != listed[path]]
        if faults:
            raise GalSimError(f"The files of the module {self.folder} are not those that its card "
                              f"lists: {', '.join(faults)}. Get the module again.")

    # ---- signatures --------------------------------------------------------------------------

    def call(self, signature: str, **inputs: ArrayLike) -> GraphOutputs:
        """Run a signature in TensorFlow.

        Parameters:
            signature:  Its name.
            **inputs:   Its inputs, arrays with N rows each; converted to the types of the graph.

        Returns:
            its outputs by name, arrays with N rows each.

        Raises a `galsim.GalSimError` if the module has no such signature, cannot be run with
        these inputs, or does not agree with its card.

        >>> from galsim_deep.modules.resolve import resolve
        >>> module = Module(resolve("hub:acs_mpcc"))
        >>> row = dict(hlr=[0.3], mag_auto=[22.0], zphot=[0.4], sersic_n=[1.0],
        ...            axis_ratio=[0.5], galaxy_class=[0])
        >>> sorted(module.call("prior", **row))
        ['log_class_probability', 'mean', 'scale']
        """
        return self._compared(self.tensorflow).call(
            signature, {name: np.asarray(values) for name, values in inputs.items()})

    def sample(self, columns: Mapping[str, NDArray[np.float32]], normal: NDArray[np.float32],
               galaxy_class: NDArray[np.int32] | None = None) -> GraphOutputs:
        """Draw galaxies, by the compact graph or in TensorFlow, on stamps of one size.

        If the module chooses a stamp for each galaxy, smaller ones are surrounded by zeros; see
        `draw`.  The graph is compared with the card before it is run for the first time.

        Parameters:
            columns:        The columns, [N] each.
            normal:         Standard normal numbers, [N, L].
            galaxy_class:   The class of each galaxy, [N], -1 if it is to be drawn; for a module
                            with classes.  [default: all are drawn]

        Returns:
            a dict of ``image``, float32 [N, S, S, B], light before PSF and pixel; for a module with
            classes, ``galaxy_class``, int32 [N]; and for a module with a pixel scale for each
            galaxy, ``pixel_scale``, [N] [arcsec].

        Raises a `galsim.GalSimError` if graph and card do not agree, also in the classes that the
        graph gives.
        """
        return joined(self.draw(columns, normal, galaxy_class))

    def draw(self, columns: Mapping[str, NDArray[np.float32]], normal: NDArray[np.float32],
             galaxy_class: NDArray[np.int32] | None = None) -> list[Drawn]:
        """Draw galaxies, each on the stamp that fits it if the module chooses stamps.

        Parameters:
            columns, normal, galaxy_class:  As in `sample`.

        Returns:
            a list of pairs, one for each size of stamps that is used: the numbers of the rows [n],
            in ascending order, and what `sample` returns for these rows alone.

        Raises what `sample` does.
        """
        runner = self._runner(len(normal))
        inputs = self._sample_inputs(columns, normal, galaxy_class)
        if self.card.chooses_stamps and runner is self.compact:
            groups = self._draw_on_chosen(runner, inputs)
        else:
            groups = [(np.arange(len(normal)), runner.call("sample", inputs))]
        if self.card.classes:
            for _, outputs in groups:
                self._check_classes(outputs["galaxy_class"])
        return groups

    def _draw_on_chosen(self, runner: Runner, inputs: Mapping[str, np.ndarray]) -> list[Drawn]:
        described = runner.call(LATENTS, inputs)
        latent, extent = described.pop("latent"), described.pop("extent")
        sizes, scales = choose_stamps(extent, self.card.stamp.sizes, self.card.pixel_scale)
        groups = []
        for size in np.unique(sizes):
            rows = np.flatnonzero(sizes == size)
            outputs = runner.call(draw_signature_name(size), dict(
                latent=latent[rows], pixel_scale=scales[rows]))
            others = {name: values[rows] for name, values in described.items()}
            groups.append((rows, dict(outputs, **others, pixel_scale=scales[rows])))
        return groups

    def check(self, count: int) -> None:
        """Check that the graph used for ``count`` galaxies agrees with the card.

        Each graph is checked once.  To be called before random numbers are drawn, since the card
        says how many are needed.

        Raises a `galsim.GalSimError` if they do not agree.
        """
        self._runner(count)

    def _runner(self, count: int) -> Runner:
        """The runner for a batch of ``count`` galaxies."""
        self.card.check_generator()
        runner: Runner
        if self.compact is None or (
                # Only the compact graph chooses stamps.
                not self.card.chooses_stamps and count >= GPU_ROWS and is_gpu_available()):
            runner = self.tensorflow
        else:
            runner = self.compact
        return self._compared(runner)

    def compare_with_card(self) -> None:
        """Compare all graphs with the card: the SavedModel and, if there is one, the compact graph.

        A graph is also compared when it is first used: the compact graph when the first galaxy is
        sampled, the SavedModel when TensorFlow first runs one of its signatures.

        Raises a `galsim.GalSimError` that names the signatures, inputs and outputs at fault.

        >>> from galsim_deep.modules.resolve import resolve
        >>> Module(resolve("hub:acs_flow_vae")).compare_with_card()
        """
        self._compared(self.tensorflow)
        if self.compact is not None:
            self._compared(self.compact)

    def _compared(self, runner: Runner) -> Runner:
        """The runner, after its graph has been compared with the card once."""
        if runner not in self._checked:
            faults = faults_of_graph(self.card, runner)
            if faults:
                raise GalSimError(
                    f"The module {self.folder} does not agree with its card: {'; '.join(faults)}. "
                    "Get the module again; if you made it, correct the card so that it lists the "
                    "inputs and outputs of the graph.")
            self._checked.add(runner)
        return runner

    def _sample_inputs(
            self, columns: Mapping[str, NDArray[np.float32]], normal: NDArray[np.float32],
            galaxy_class: NDArray[np.int32] | None = None) -> dict[str, np.ndarray]:
        """The inputs of the signature ``sample`` by name."""
        inputs: dict[str, np.ndarray] = {**columns, "random_normal": normal}
        if self.card.classes:
            if galaxy_class is None:
                galaxy_class = np.full(len(normal), -1, np.int32)
            inputs["galaxy_class"] = galaxy_class
        return inputs

    def _check_classes(self, classes: np.ndarray) -> None:
        """Raise an error if a class, [N], is not on the card."""
        number = len(self.card.classes)
        if not ((0 <= classes) & (classes < number)).all():  # NaN is not on the card either
            raise GalSimError(
                f"The module {self.card.name} gives classes from {classes.min():g} to "
                f"{classes.max():g}; those on its card are 0 to {number - 1}. Get the module "
                "again.")

    # ---- the probe ---------------------------------------------------------------------------

    def probe(self) -> dict[str, float]:
        """How far the signatures are from the networks that they were exported from.

        A module keeps a few inputs of each signature, and the outputs of the networks for them
        outside of any graph.

        Returns:
            the largest difference by signature, and for those of the compact graph by names such as
            ``"sample (compact graph)"``.  Differences of images are divided by the peak of each
            image, those of other floating-point outputs by their largest absolute value.  Integers,
            such as classes, have to be the same, so their difference is not scaled.

        Raises a `galsim.GalSimError` if the module has no such file, or cannot be run.
        """
        if not os.path.isfile(self.folder / PROBE_PATH):
            raise GalSimError(f"The module {self.folder} has no {PROBE_PATH}, so it cannot be "
                              "compared with the networks that it was exported from.")
        inputs: dict[str, dict[str, np.ndarray]] = collections.defaultdict(dict)
        outputs: dict[str, dict[str, np.ndarray]] = collections.defaultdict(dict)
        with np.load(self.folder / PROBE_PATH) as probe:
            for path in probe:
                signature, kind, name = path.split("/")
                (inputs if kind == "inputs" else outputs)[signature][name] = probe[path]
        differences = {
            signature: _largest_difference(
                self._compared(self.tensorflow).call(signature, inputs[signature]), expected)
            for signature, expected in outputs.items() if signature in self.card.signatures}
        if self.compact is not None:
            compact = self._compared(self.compact)
            differences |= {
                f"{signature} (compact graph)": _largest_difference(
                    compact.call(signature, inputs[signature]), outputs[signature])
                for signature in compact.signatures() if signature in inputs}
        return differences


def _largest_difference(outputs: GraphOutputs, expected: GraphOutputs) -> float:
    """The largest difference of some arrays by name, in the units of `Module.probe`."""
    largest = []
    for name, value in expected.items():
        scale: np.ndarray | float = 1.0
        if value.dtype.kind == "f":
            axes = tuple(range(1, value.ndim)) if value.ndim > 2 else None
            scale = np.max(np.abs(value), axis=axes, keepdims=True)
            # An array that should be zero throughout has no scale of its own.
            scale = np.where(scale == 0, 1.0, scale)
        largest.append(np.max(np.abs(outputs[name] - value) / scale))
    return float(np.max(largest))


def load(folder: str | os.PathLike) -> Module:
    """The `Module` in a folder; the same object for every caller in this process.

    >>> from galsim_deep.modules.resolve import resolve
    >>> load(resolve("hub:acs_flow_vae")) is load(resolve("hub:acs_flow_vae"))
    True
    """
    folder = Path(folder)
    try:
        changed = (folder / CARD_PATH).stat().st_mtime_ns
    except OSError:
        changed = None
    return _load(folder, changed)


@functools.lru_cache(maxsize=16)
def _load(folder: Path, changed: int | None) -> Module:
    # A module that was exported again to the same folder is another one: its card is newer.
    return Module(folder)
