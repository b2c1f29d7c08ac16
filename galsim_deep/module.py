"""A module on disk: its card, and whether its files are those the card vouches for."""

__all__ = ["Module", "load"]

import collections
import functools
import os
from pathlib import Path

import numpy as np
from galsim import GalSimError

from .card import CARD_PATH, file_digests, read_card
from .engine import Engine, gpu_here
from .handles import MAX_MODULE_BYTES
from .sampler import COMPACT_PATH, Sampler

PROBE_PATH = "assets/probe.npz"

GPU_ROWS = 64
"""From how many rows on it is worth the way to a GPU and back."""


class Module:
    """The reader of the module format.  Nothing here needs TensorFlow until `engine` is called.

    Parameters:
        folder:     The folder of the module.

    Attributes:
        folder:     The folder, a `pathlib.Path`.
        card:       The `card.Card`.
        engine:     An `engine.Engine`, which runs the module's signatures, in TensorFlow.
        sampler:    A `sampler.Sampler`, which samples without; None for a module that has no
                    compact graph.

    Raises a `galsim.GalSimError` where the folder is not a module, or is damaged.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.card = read_card(self.folder)
        self.verify()
        # ``cluster`` is ``sample`` with one input and one output more.
        self.engine = Engine(self.folder, "cluster" if self.card.clusters else "sample")
        self.sampler = Sampler(self.folder) if COMPACT_PATH in self.card.files else None
        self._checked = set()

    def verify(self):
        """Compare the files that the card lists with it.

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
            raise GalSimError(
                f"The module {self.folder} is not what its card vouches for: {', '.join(faults)}. "
                "Get the module again.")

    def sample(self, columns, normal, cluster=None):
        """Light profiles from columns, by the compact graph or by TensorFlow.

        What runs is checked once against the card.

        Parameters:
            columns:    A dict of the columns, float32 [N] each.
            normal:     Standard normal numbers, float32 [N, L].
            cluster:    The class of each, int32 [N], -1 where it is to be drawn; for a module with
                        classes.  [default: None, all are drawn]

        Returns:
            float32, shape [N, S, S].
        """
        return self._runner(len(normal)).sample(self._inputs(columns, normal, cluster))

    def draw_clusters(self, columns, normal, cluster=None):
        """The classes of the galaxies that `sample` makes of the same arguments.

        Takes as long as `sample`: one graph says both.  For a module with classes.

        Parameters:
            columns, normal, cluster:   As `sample` takes them.

        Returns:
            int32, shape [N]: what was asked for, and elsewhere what was drawn.
        """
        return self._runner(len(normal)).clusters(self._inputs(columns, normal, cluster))

    def check(self, count: int) -> None:
        """Compare what samples so many galaxies with the card, if that has not been done yet.

        To be called before random numbers are drawn, as many as the card says.  Raises a
        `galsim.GalSimError` where they disagree.
        """
        self._runner(count)

    def _runner(self, count):
        """What samples so many galaxies; checked once."""
        if self.sampler is None or (count >= GPU_ROWS and gpu_here()):
            runner = self.engine
        else:
            runner = self.sampler
        if runner not in self._checked:
            self._check_sample(runner)
            self._checked.add(runner)
        return runner

    def _inputs(self, columns, normal, cluster=None):
        """The inputs of what samples, by name."""
        inputs = {**columns, self.card.latent.name: normal}
        if not self.card.clusters:
            return inputs
        if cluster is None:
            cluster = np.full(len(normal), -1, np.int32)
        return dict(inputs, cluster=cluster)

    def _check_sample(self, runner):
        card = self.card
        wanted = {column.name: (None,) for column in card.columns}
        columns = {name: np.ones(1, np.float32) for name in wanted}
        wanted[card.latent.name] = (None, card.latent.size)
        if card.clusters:
            wanted["cluster"] = (None,)
        found = runner.sample_inputs()
        if wanted != found:
            raise GalSimError(f"The module {self.folder} does not agree with its card: sample "
                              f"takes {found}, the card says {wanted}. Get the module again.")
        outputs = {"image": (None, card.stamp_size, card.stamp_size)}
        if card.clusters:
            outputs["cluster"] = (None,)
        found = runner.sample_outputs()
        if not all(name in found and _fits(found[name], outputs[name]) for name in outputs):
            raise GalSimError(f"The module {self.folder} does not agree with its card: it gives "
                              f"{found}, the card says {outputs}. Get the module again.")
        rows = self._inputs(columns, np.ones((1, card.latent.size), np.float32))
        shape = runner.sample(rows).shape[1:]
        if shape != (card.stamp_size, card.stamp_size):
            raise GalSimError(f"The module {self.folder} does not agree with its card: it makes "
                              f"stamps of shape {shape}, the card says {card.stamp_size}. Get the "
                              "module again.")

    def probe(self):
        """How far the signatures are from the networks they were exported from.

        A module keeps a few inputs and what the networks themselves, outside of any graph, made of
        them.

        Returns:
            {signature, or "compact sample", "compact cluster": the largest difference}: in units
            of each image's peak, and of other numbers in units of the largest of their kind.  Of
            whole numbers, such as classes, as it is: they have to be the same.
        """
        inputs, expected = collections.defaultdict(dict), collections.defaultdict(dict)
        with np.load(self.folder / PROBE_PATH) as probe:
            for path in probe:
                signature, kind, name = path.split("/")
                parts = inputs if kind == "inputs" else expected
                parts[signature][name] = probe[path]
        found = {signature: _difference(
                     self.engine.call(signature, **inputs[signature]), outputs)
                 for signature, outputs in expected.items()}
        if self.sampler is not None:
            for signature in ("sample", "cluster") if self.card.clusters else ("sample",):
                given = inputs[signature]
                columns = {column.name: given[column.name] for column in self.card.columns}
                rows = self._inputs(columns, given[self.card.latent.name], given.get("cluster"))
                made = dict(image=self.sampler.sample(rows))
                if signature == "cluster":
                    made["cluster"] = self.sampler.clusters(rows)
                found[f"compact {signature}"] = _difference(made, expected[signature])
        return found


def _fits(shape, expected):
    """Whether the shape of an output, as far as it is known beforehand, is the one expected."""
    return shape is None or len(shape) == len(expected) and all(
        size is None or size == wanted for size, wanted in zip(shape, expected, strict=True))


def _difference(found, expected):
    """The largest difference of some arrays by name, as `Module.probe` gives it."""
    largest = []
    for name, value in expected.items():
        scale = 1.0
        if value.dtype.kind == "f":
            axes = (1, 2) if value.ndim > 2 else None
            scale = np.max(np.abs(value), axis=axes, keepdims=True)
            scale = np.where(scale == 0, 1.0, scale)  # of what should be nothing, all counts
        largest.append(np.max(np.abs(found[name] - value) / scale))
    return float(np.max(largest))


def load(folder):
    """The `Module` in a folder; the same object for every caller in this process."""
    try:
        changed = (Path(folder) / CARD_PATH).stat().st_mtime_ns
    except OSError:
        changed = None
    return _load(Path(folder), changed)


@functools.lru_cache(maxsize=16)
def _load(folder, changed):
    # A module that was exported again under the same name is another one: its card is newer.
    return Module(folder)
