"""The data set file: what a module is trained and tested on, in one HDF5 file.

Layout (``N`` examples, ``K`` distinct PSFs, stamps ``S`` x ``S``, PSF images ``P`` x ``P``):

==================  ==========  ========================================================
``stamp``           [N, S, S]   observed stamp, with PSF and noise [flux units of the recipe]
``psf``             [K, P, P]   effective PSF images (pixel response included), unit sum
``psf_index``       [N]         which PSF an example was observed through
``noise_sigma``     [N]         standard deviation of the noise in a pixel
``source``          [N]         number of the galaxy the example was made from
``test``            [N]         True for the test split; a source is on one side only
``columns/NAME``    [N]         catalogue columns
``truth_index``     [T]         examples whose noiseless, PSF-free profile is known
``truth``           [T, S, S]   those profiles, sampled at pixel centres
==================  ==========  ========================================================

Attributes: ``format_version``, ``pixel_scale``, ``seed`` and ``recipe_sha256``, the hash of those
parts of the recipe that a data set depends on.
"""

__all__ = ["Dataset", "DatasetWriter", "Example"]

import dataclasses
import os
from pathlib import Path

import h5py
import numpy as np
from galsim import GalSimError

from ..recipe import DATA_PARTS

FORMAT_VERSION = 1


@dataclasses.dataclass
class Example:
    """One galaxy as a builder hands it over."""

    stamp: np.ndarray
    psf_index: int
    noise_sigma: float
    columns: dict
    source: int
    test: bool
    truth: np.ndarray | None = None


class DatasetWriter:
    """Writes a data set file; the file appears under its name only when it is complete."""

    def __init__(self, path, stamp, columns, psfs, recipe_sha256="", seed=0):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished = self.path.with_suffix(".unfinished")
        self._file = h5py.File(self._unfinished, "w")
        size = stamp.size
        self._file.attrs.update(
            format_version=FORMAT_VERSION,
            pixel_scale=stamp.pixel_scale,
            recipe_sha256=recipe_sha256,
            seed=seed,
        )
        self._file.create_dataset("psf", data=np.asarray(psfs, np.float32))
        self._grow("stamp", (size, size), np.float32)
        self._grow("truth", (size, size), np.float32)
        for name, kind in [("psf_index", np.int32), ("noise_sigma", np.float32),
                           ("source", np.int32), ("test", bool), ("truth_index", np.int32)]:
            self._grow(name, (), kind)
        for name in columns:
            self._grow(f"columns/{name}", (), np.float32)
        self.columns = tuple(columns)

    def _grow(self, name, shape, kind):
        # One chunk a stamp: training reads random examples, never long runs of them.
        chunk = (1, *shape) if shape else (4096,)
        self._file.create_dataset(name, (0, *shape), kind, maxshape=(None, *shape), chunks=chunk)

    def _append(self, name, value):
        data = self._file[name]
        data.resize(len(data) + 1, axis=0)
        data[-1] = value

    def add(self, example):
        """Append one `Example`."""
        if example.truth is not None:
            self._append("truth_index", len(self._file["stamp"]))
            self._append("truth", example.truth)
        for name in ("stamp", "psf_index", "noise_sigma", "source", "test"):
            self._append(name, getattr(example, name))
        for name in self.columns:
            self._append(f"columns/{name}", example.columns[name])

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        self._file.close()
        if error is None:
            os.replace(self._unfinished, self.path)
        else:
            self._unfinished.unlink()


class Dataset:
    """Reads a data set file and serves batches from it.

    Batches are a pure function of (seed, step), so that an interrupted fit goes on with the very
    batches it would have seen.
    """

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.is_file():
            raise GalSimError(
                f"There is no data set {self.path}. Make it with 'galsim-deep-train data RECIPE'.")
        self._file = h5py.File(self.path, "r")
        version = int(self._file.attrs.get("format_version", -1))
        if version != FORMAT_VERSION:
            raise GalSimError(
                f"The data set {self.path} has format version {version}; this code reads "
                f"{FORMAT_VERSION}. Make it again with 'galsim-deep-train data RECIPE'.")
        self.pixel_scale = float(self._file.attrs["pixel_scale"])
        self.recipe_sha256 = self._file.attrs["recipe_sha256"]
        self.psfs = self._file["psf"][:]
        self.psf_index = self._file["psf_index"][:]
        self.noise_sigma = self._file["noise_sigma"][:]
        self.source = self._file["source"][:]
        self.columns = {name: data[:] for name, data in self._file["columns"].items()}
        test = self._file["test"][:]
        self.train_indices = np.flatnonzero(~test)
        self.test_indices = np.flatnonzero(test)

    @classmethod
    def of(cls, recipe, path):
        """Open the data set of a recipe; refuses one that was made by other settings."""
        dataset = cls(path)
        if dataset.recipe_sha256 != recipe.digest(*DATA_PARTS):
            raise GalSimError(
                f"The data set {path} was not made by {recipe.path} as it is now: its seed, stamp, "
                f"columns or data have changed. Make it again with 'galsim-deep-train data "
                f"{recipe.path}', or use another --run folder.")
        return dataset

    def __len__(self):
        return len(self.psf_index)

    @property
    def stamp_size(self):
        """Pixels on a side of the stamps."""
        return self._file["stamp"].shape[1]

    def read(self, indices, augment=None):
        """Read examples.

        Parameters:
            indices:    Which examples, shape [n].
            augment:    A numpy Generator: turn and mirror each stamp and its PSF alike by one of
                        the eight symmetries of the square.  [default: None, as stored]

        Returns:
            a dict of ``stamp`` [n, S, S], ``psf`` [n, P, P], ``noise_sigma`` [n] and one entry [n]
            for each column, all float32.
        """
        indices = np.asarray(indices)
        stamps = np.stack([self._file["stamp"][i] for i in indices])
        psfs = self.psfs[self.psf_index[indices]]
        if augment is not None:
            for n, symmetry in enumerate(augment.integers(8, size=len(indices))):
                stamps[n] = turned(stamps[n], symmetry)
                psfs[n] = turned(psfs[n], symmetry)
        batch = dict(stamp=stamps, psf=psfs, noise_sigma=self.noise_sigma[indices])
        batch.update({name: values[indices] for name, values in self.columns.items()})
        return batch

    def truth(self):
        """The examples whose profile is known: (indices [T], profiles [T, S, S])."""
        return self._file["truth_index"][:], self._file["truth"][:]

    def batch_indices(self, step, batch_size, seed):
        """The training examples of one step: epochs are permutations drawn from the seed."""
        n = len(self.train_indices)
        wanted = np.arange(step * batch_size, (step + 1) * batch_size)
        chosen = np.empty(batch_size, int)
        for epoch in np.unique(wanted // n):
            order = np.random.default_rng([seed, int(epoch)]).permutation(n)
            here = wanted // n == epoch
            chosen[here] = order[wanted[here] % n]
        return self.train_indices[chosen]

    def batches(self, batch_size, seed, start=0, stop=None):
        """Yield augmented training batches for the steps from ``start`` on."""
        step = start
        while stop is None or step < stop:
            yield self.read(self.batch_indices(step, batch_size, seed),
                            augment=np.random.default_rng([seed, step, 1]))
            step += 1


def turned(array, symmetry):
    """One of the eight symmetries of the square: ``symmetry`` in 0..7."""
    array = np.rot90(array, symmetry % 4)
    return array[:, ::-1] if symmetry >= 4 else array
