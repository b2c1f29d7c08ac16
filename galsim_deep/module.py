"""A module on disk: its card, and whether its files are those the card vouches for."""

__all__ = ["Module", "load"]

import collections
import functools
from pathlib import Path

import numpy as np
from galsim import GalSimError

from .card import CARD_PATH, file_digests, read_card
from .engine import Engine

PROBE_PATH = "assets/probe.npz"


class Module:
    """The reader of the module format.  Nothing here needs TensorFlow until `engine` is called.

    Parameters:
        folder:     The folder of the module.

    Attributes:
        folder:     The folder, a `pathlib.Path`.
        card:       The `card.Card`.
        engine:     An `engine.Engine`, which runs the module's signatures.

    Raises a `galsim.GalSimError` where the folder is not a module, or is damaged.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.card = read_card(self.folder)
        self.verify()
        self.engine = Engine(self.folder)
        self._checked = False

    def verify(self):
        """Compare every file with the card; raises a `galsim.GalSimError` naming those at fault."""
        wanted, found = self.card.files, file_digests(self.folder)
        faults = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
        faults += [f"{name} has changed" for name in sorted(wanted.keys() & found.keys())
                   if wanted[name] != found[name]]
        if faults:
            raise GalSimError(
                f"The module {self.folder} is not what its card vouches for: {', '.join(faults)}. "
                "Get the module again.")

    def sample(self, columns, normal):
        """Run the signature ``sample``, after checking once that it is what the card says.

        Parameters:
            columns:    A dict of the columns, float32 [N] each.
            normal:     Standard normal numbers, float32 [N, L].

        Returns:
            float32, shape [N, S, S].
        """
        if not self._checked:
            self._check_sample()
            self._checked = True
        inputs = {**columns, self.card.latent.name: normal}
        return self.engine.call("sample", **inputs)["image"]

    def _check_sample(self):
        card = self.card
        wanted = {column.name: (None,) for column in card.columns}
        wanted[card.latent.name] = (None, card.latent.size)
        found = self.engine.signature_inputs("sample")
        if wanted != found:
            raise GalSimError(f"The module {self.folder} does not agree with its card: sample "
                              f"takes {found}, the card says {wanted}. Get the module again.")
        rows = {name: np.ones((1, *shape[1:]), np.float32) for name, shape in wanted.items()}
        shape = self.engine.call("sample", **rows)["image"].shape[1:]
        if shape != (card.stamp_size, card.stamp_size):
            raise GalSimError(f"The module {self.folder} does not agree with its card: it makes "
                              f"stamps of shape {shape}, the card says {card.stamp_size}. Get the "
                              "module again.")

    def probe(self):
        """How far the signatures are from the networks they were exported from.

        A module keeps a few inputs and what the networks themselves, outside of any graph, made of
        them.

        Returns:
            {signature: the largest difference}: in units of each image's peak, and of other numbers
            in units of the largest of their kind.
        """
        inputs, expected = collections.defaultdict(dict), collections.defaultdict(dict)
        with np.load(self.folder / PROBE_PATH) as probe:
            for path in probe:
                signature, kind, name = path.split("/")
                parts = inputs if kind == "inputs" else expected
                parts[signature][name] = probe[path]
        return {signature: self._difference(signature, inputs[signature], outputs)
                for signature, outputs in expected.items()}

    def _difference(self, signature, inputs, expected):
        found, largest = self.engine.call(signature, **inputs), []
        for name, value in expected.items():
            axes = (1, 2) if value.ndim > 2 else None
            scale = np.max(np.abs(value), axis=axes, keepdims=True)
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
