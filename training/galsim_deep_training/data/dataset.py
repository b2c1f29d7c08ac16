"""The data set file: what a module is trained and tested on, in one HDF5 file.

Its layout is described in `galsim_deep.stamps_file`, which reads it; here it is written, and served
in batches.
"""

__all__ = ["Dataset", "DatasetWriter", "Example"]

import contextlib
import dataclasses
import fcntl
import io
import os
from pathlib import Path

import h5py
import numpy as np
from galsim import GalSimError

from galsim_deep.stamps_file import FORMAT_VERSION, StampsFile

from ..recipe import DATA_PARTS
from .noise import relative_power, white

BUFFER = 256
"""Examples that are written at a time: growing a data set costs more than filling it."""


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
    noise_index: int = 0
    label: int = -1
    """The number of its class; -1 where that is not known."""


class _Disk(io.FileIO):
    """The file that HDF5 writes to.  It keeps an error of the disk instead of raising it.

    HDF5 cannot close a file of which a write has failed, and crashes the process at its end.  So
    every write seems to succeed; after the first that does not, nothing is written any more, and
    ``error`` says why.  HDF5 locks its own files; here it is done by hand.
    """

    error = None

    def __init__(self, path):
        super().__init__(path, "r+", opener=lambda name, _: os.open(
            name, os.O_RDWR | os.O_CREAT, 0o666))
        try:
            fcntl.flock(self, fcntl.LOCK_EX | fcntl.LOCK_NB)
            super().truncate(0)
        except BaseException:
            self.close()
            raise

    def write(self, data):
        self._try(self._write_all, memoryview(data).cast("B"))
        return memoryview(data).nbytes

    def _write_all(self, rest):
        while len(rest):
            rest = rest[super().write(rest):]

    def truncate(self, size=None):
        self._try(super().truncate, size)
        return size

    def sync(self):
        """Wait until everything is on the disk; some say only then that they are full."""
        self._try(os.fsync, self.fileno())

    def _try(self, function, *arguments):
        if self.error is None:
            try:
                function(*arguments)
            except BaseException as err:  # an interrupt too: HDF5 is in the middle of something
                self.error = err


class DatasetWriter:
    """Writes a data set file; the file appears under its name only when it is complete.

    Parameters:
        path:               The file.
        stamp:              The `galsim_deep_training.recipe.Stamp`.
        columns:            Names of the columns.
        psfs:               Shape [K, P, P].
        recipe_sha256:      Hash of the parts of the recipe that a data set depends on.
        seed:               Of the recipe.
        noise_correlation:  Shape [M, C, C].  [default: white noise only]
        clipping:           (threshold, peak) of `galsim_deep.clipping`.  [default: not clipped]

    Raises a `galsim.GalSimError` where the file cannot be written, such as on a full disk; nothing
    is left behind then.
    """

    def __init__(self, path, stamp, columns, psfs, recipe_sha256="", seed=0,
                 noise_correlation=None, clipping=None):
        self.path = Path(path)
        self.columns = tuple(columns)
        self._written, self._waiting = 0, []
        self._unfinished = self.path.with_suffix(".unfinished")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._disk = _Disk(self._unfinished)
        except BlockingIOError as err:
            raise GalSimError(f"The data set {self.path} cannot be written: another process is "
                              "writing it. Wait for that, or give another folder.") from err
        except OSError as err:
            raise self._not_written(err) from err
        self._file = None
        try:
            with self._on_disk():
                self._file = h5py.File(self._disk, "w")
                self._begin(stamp, psfs, recipe_sha256, seed, noise_correlation, clipping)
        except BaseException:
            self._close(complete=False)
            raise

    def _begin(self, stamp, psfs, recipe_sha256, seed, noise_correlation, clipping):
        size = stamp.size
        self._file.attrs.update(
            format_version=FORMAT_VERSION,
            pixel_scale=stamp.pixel_scale,
            recipe_sha256=recipe_sha256,
            seed=seed,
        )
        if clipping is not None:
            self._file.attrs["clipping"] = clipping
        self._file.create_dataset("psf", data=np.asarray(psfs, np.float32))
        if noise_correlation is None:
            noise_correlation = white()[None]
        self._file.create_dataset(
            "noise_correlation", data=np.asarray(noise_correlation, np.float32))
        self._grow("stamp", (size, size), np.float32)
        self._grow("truth", (size, size), np.float32)
        for name, kind in [("psf_index", np.int32), ("noise_sigma", np.float32),
                           ("noise_index", np.int32), ("source", np.int32), ("test", bool),
                           ("label", np.int32), ("truth_index", np.int32)]:
            self._grow(name, (), kind)
        self._file.create_group("columns")
        for name in self.columns:
            self._grow(f"columns/{name}", (), np.float32)

    def _grow(self, name, shape, kind):
        # One chunk a stamp: training reads random examples, never long runs of them.
        chunk = (1, *shape) if shape else (4096,)
        self._file.create_dataset(name, (0, *shape), kind, maxshape=(None, *shape), chunks=chunk)

    def _append(self, name, values):
        data = self._file[name]
        data.resize(len(data) + len(values), axis=0)
        data[len(data) - len(values):] = values

    def add(self, example):
        """Append one `Example`."""
        missing = [name for name in self.columns if name not in example.columns]
        if missing:
            raise KeyError(f"The example lacks the column {', '.join(missing)}.")
        self._waiting.append(example)
        if len(self._waiting) == BUFFER:
            self._flush()

    def _flush(self):
        if not self._waiting:
            return
        with self._on_disk():
            self._write_waiting()
        self._written += len(self._waiting)
        self._waiting.clear()

    def _write_waiting(self):
        known = [n for n, example in enumerate(self._waiting) if example.truth is not None]
        if known:
            self._append("truth_index", [self._written + n for n in known])
            self._append("truth", np.stack([self._waiting[n].truth for n in known]))
        for name in ("stamp", "psf_index", "noise_sigma", "noise_index", "source", "test",
                     "label"):
            self._append(name, np.stack([getattr(example, name) for example in self._waiting]))
        for name in self.columns:
            self._append(f"columns/{name}", [example.columns[name] for example in self._waiting])

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        complete = False
        try:
            if error is None:
                self._flush()
                with self._on_disk():
                    self._file.close()
                    self._disk.sync()
                complete = True
        finally:
            self._close(complete)

    @contextlib.contextmanager
    def _on_disk(self):
        """Raise what went wrong with the disk."""
        try:
            yield
        except Exception:
            if self._disk.error is None:  # or HDF5 stumbled over what was not written
                raise
        if isinstance(self._disk.error, OSError):
            raise self._not_written(self._disk.error) from self._disk.error
        if self._disk.error is not None:
            raise self._disk.error

    def _not_written(self, error):
        return GalSimError(
            f"The data set {self.path} cannot be written: {error}. Make room on its disk, or give "
            "a folder elsewhere, and make it again.")

    def _close(self, complete):
        replaced = False
        try:
            if self._file is not None:
                self._file.close()
            if complete:
                os.replace(self._unfinished, self.path)
                replaced = True
        except OSError as err:
            raise self._not_written(err) from err
        finally:
            if not replaced:
                self._unfinished.unlink(missing_ok=True)
            self._disk.close()  # and with it the lock


class Dataset:
    """Reads a data set file and serves batches from it.

    Batches are a pure function of (seed, step), so that an interrupted fit goes on with the very
    batches it would have seen.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._file = StampsFile(path)
        self.pixel_scale = self._file.pixel_scale
        self.stamp_size = self._file.stamp_size
        self.recipe_sha256 = self._file.recipe_sha256
        self.clipping = self._file.clipping
        self.psfs = self._file.psfs
        self.psf_index = self._file.psf_index
        self.noise_sigma = self._file.noise_sigma
        self.noise_correlation = self._file.noise_correlation
        self.noise_index = self._file.noise_index
        self.source = self._file.source
        self.label = self._file.label
        self.columns = self._file.columns
        self.train_indices = np.flatnonzero(~self._file.test)
        self.test_indices = np.flatnonzero(self._file.test)
        self._power = {}
        self._orders = {}

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

    def mean_psf(self):
        """The mean of the PSFs of the training examples, float64 [P, P]."""
        used = np.unique(self.psf_index[self.train_indices])
        return np.mean(self.psfs[used], axis=0, dtype=float)

    def deepest(self, share):
        """The training examples with the least noise, such a share of them: indices, in order."""
        rows = self.train_indices
        count = max(1, round(share * len(rows)))
        return np.sort(rows[np.argsort(self.noise_sigma[rows], kind="stable")[:count]])

    def read(self, indices, augment=None):
        """Read examples.

        Parameters:
            indices:    Which examples, shape [n].
            augment:    A numpy Generator: turn and mirror each stamp, its PSF and its noise alike
                        by one of the eight symmetries of the square.  [default: None, as stored]

        Returns:
            a dict of ``stamp`` [n, S, S], ``psf`` [n, P, P], ``noise_sigma`` [n], ``noise_power``
            [n, S, S//2+1], ``label`` [n] and one entry [n] for each column, all float32.  The
            noise power is relative to white noise of the same sigma, see `noise.relative_power`.
            The label is -1 where the class is not known.
        """
        indices = np.asarray(indices)
        stamps = np.stack([self._file.stamp(i) for i in indices])
        psfs = self.psfs[self.psf_index[indices]]
        symmetries = np.zeros(len(indices), int)
        if augment is not None:
            symmetries = augment.integers(8, size=len(indices))
            for n, symmetry in enumerate(symmetries):
                stamps[n] = turned(stamps[n], symmetry)
                psfs[n] = turned(psfs[n], symmetry)
        power = np.stack([self._noise_power(int(kind), int(symmetry)) for kind, symmetry in
                          zip(self.noise_index[indices], symmetries, strict=True)])
        batch = dict(stamp=stamps, psf=psfs, noise_sigma=self.noise_sigma[indices],
                     noise_power=power, label=self.label[indices].astype(np.float32))
        batch.update({name: values[indices] for name, values in self.columns.items()})
        return batch

    def _noise_power(self, kind, symmetry):
        """`noise.relative_power` of one kind of noise, turned; worked out once for each."""
        if (kind, symmetry) not in self._power:
            self._power[kind, symmetry] = relative_power(
                turned(self.noise_correlation[kind], symmetry), self.stamp_size)
        return self._power[kind, symmetry]

    def truth(self):
        """The examples whose profile is known: (indices [T], profiles [T, S, S])."""
        indices = self._file.truth_index
        profiles = np.empty((len(indices), self.stamp_size, self.stamp_size), np.float32)
        for place in range(len(indices)):
            profiles[place] = self._file.truth(place)
        return indices, profiles

    def batch_indices(self, step, batch_size, seed):
        """The training examples of one step: epochs are permutations drawn from the seed."""
        n = len(self.train_indices)
        wanted = np.arange(step * batch_size, (step + 1) * batch_size)
        chosen = np.empty(batch_size, int)
        for epoch in np.unique(wanted // n):
            order = self._order(seed, int(epoch))
            here = wanted // n == epoch
            chosen[here] = order[wanted[here] % n]
        return self.train_indices[chosen]

    def _order(self, seed, epoch):
        """A permutation of the training examples; kept, as each epoch has many steps."""
        if (seed, epoch) not in self._orders:
            if len(self._orders) > 1:
                self._orders.pop(next(iter(self._orders)))
            self._orders[seed, epoch] = np.random.default_rng([seed, epoch]).permutation(
                len(self.train_indices))
        return self._orders[seed, epoch]

    def batches(self, batch_size, seed, start=0, stop=None, augmented=True):
        """Yield training batches for the steps from ``start`` on, turned and mirrored or not."""
        step = start
        while stop is None or step < stop:
            yield self.read(self.batch_indices(step, batch_size, seed),
                            np.random.default_rng([seed, step, 1]) if augmented else None)
            step += 1


def turned(array, symmetry):
    """One of the eight symmetries of the square: ``symmetry`` in 0..7."""
    array = np.rot90(array, symmetry % 4)
    return array[:, ::-1] if symmetry >= 4 else array
