"""The data set file: the training and test examples of a module in one HDF5 file.

The layout of the file is described in `galsim_deep.observations.stamps_file`, which reads it.  This
module writes it, and serves it in batches.
"""

__all__ = ["Dataset", "DatasetWriter", "with_symmetry"]

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from galsim import GalSimError
from numpy.typing import ArrayLike

from galsim_deep.observations.noise import relative_power, white_correlation
from galsim_deep.observations.stamps_file import FORMAT_VERSION, StampsFile
from galsim_deep.runtime.atomic_files import replace_file

from ..recipe import Recipe, Stamp
from .example import Example
from .identity import data_settings_hash

BUFFER = 256
"""Number of examples that are written at a time: enlarging an HDF5 data set takes longer than
filling it."""


class _Disk(io.FileIO):
    """The file that HDF5 writes to.  It keeps the first error instead of raising it.

    After a write that failed, HDF5 cannot close its file and crashes the process when that ends.
    Here every write seems to succeed.  After the first one that fails, nothing is written any
    more, and ``error`` holds the reason.
    """

    error: BaseException | None = None

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")

    def write(self, data: Any) -> int:
        self._try(self._write_all, memoryview(data).cast("B"))
        return memoryview(data).nbytes

    def _write_all(self, rest: memoryview) -> None:
        while len(rest):
            rest = rest[super().write(rest):]

    def truncate(self, size: int | None = None) -> int:
        self._try(super().truncate, size)
        return size or 0

    def sync(self) -> None:
        """Wait until everything is on the disk: some file systems report only then that they are
        full."""
        self._try(os.fsync, self.fileno())

    def _try(self, function: Any, *arguments: Any) -> None:
        if self.error is None:
            try:
                function(*arguments)
            # Interrupts too: an exception must not leave HDF5 in the middle of an operation.
            except BaseException as err:
                self.error = err


class DatasetWriter:
    """Writes a data set file, which appears under its name only when it is complete.

    Parameters:
        path:               The file.
        stamp:              The stamps of the recipe.
        columns:            Names of the columns.
        psfs:               Shape [K, P, P].
        recipe_sha256:      Hash of the parts of the recipe that the data set depends on.
        seed:               Seed of the recipe.
        noise_correlation:  Shape [M, C, C].  [default: white noise]
        clipping:           (threshold, peak) of `galsim_deep.observations.clipping`, in units of
                            the noise.  [default: not clipped]
        bands:              Number of bands B of the stamps.
        embedder:           ``name``, ``version`` and ``weights_sha256`` of the module that made the
                            embeddings.  [default: not known]

    Raises:
        galsim_deep.runtime.atomic_files.WriteError: if the file cannot be written, such as on a
            full disk, or another process is writing it.
        galsim.GalSimError: at the end, if there is no example.  In neither case is a file left
            behind.

    Example::

        >>> import tempfile
        >>> example = Example(stamp=np.zeros([32, 32]), psf_index=0, noise_sigma=0.1,
        ...                   columns=dict(mag_auto=22.5), source=7, test=False)
        >>> psfs = np.full([1, 9, 9], 1 / 81)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     stamp = Stamp(size=32, psf_size=9)
        ...     with DatasetWriter(f"{folder}/data.h5", stamp, ["mag_auto"], psfs) as writer:
        ...         writer.add(example)
        ...     dataset = Dataset(f"{folder}/data.h5")
        >>> len(dataset), dataset.columns["mag_auto"].tolist()
        (1, [22.5])
    """

    def __init__(self, path: str | os.PathLike, stamp: Stamp, columns: Sequence[str],
                 psfs: np.ndarray, recipe_sha256: str = "", seed: int = 0,
                 noise_correlation: np.ndarray | None = None,
                 clipping: tuple[float, float] | None = None, bands: int = 1,
                 embedder: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self._shape: tuple[int, ...] = (stamp.size, stamp.size)
        if bands > 1:
            self._shape += (bands,)
        self.columns = tuple(columns)
        self._pixel_scale = stamp.pixel_scale
        self._written = 0
        self._waiting: list[Example] = []
        self._embedding_shape: tuple[int, ...] | None = None
        with contextlib.ExitStack() as stack:
            unfinished = stack.enter_context(replace_file(self.path, exclusive=True))
            self._disk = stack.enter_context(_Disk(unfinished))
            with self._disk_errors():
                self._file = stack.enter_context(h5py.File(self._disk, "w"))
                self._begin(stamp, psfs, recipe_sha256, seed, noise_correlation, clipping)
                if embedder is not None:
                    self._file.attrs["embedder"] = json.dumps(dict(embedder))
            # These contexts stay open until this object is closed.
            self._stack = stack.pop_all()

    def _begin(self, stamp: Stamp, psfs: np.ndarray, recipe_sha256: str, seed: int,
               noise_correlation: np.ndarray | None,
               clipping: tuple[float, float] | None) -> None:
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
            noise_correlation = white_correlation()[None]
        self._file.create_dataset(
            "noise_correlation", data=np.asarray(noise_correlation, np.float32))
        self._create("stamp", self._shape, np.float32)
        self._create("noiseless", self._shape, np.float32)
        for name, dtype in [("psf_index", np.int32), ("noise_sigma", np.float32),
                            ("noise_index", np.int32), ("source", np.int32), ("test", bool),
                            ("label", np.int32), ("pixel_scale", float),
                            ("noiseless_index", np.int32)]:
            self._create(name, (), dtype)
        self._file.create_group("columns")
        for name in self.columns:
            self._create(f"columns/{name}", (), np.float32)

    def _create(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        """Create a data set that can be appended to, of values of a shape."""
        # One stamp per chunk: training reads single examples at random.
        chunk = (1, *shape) if shape else (4096,)
        self._file.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=chunk)

    def _append(self, name: str, values: Any) -> None:
        data = self._file[name]
        data.resize(len(data) + len(values), axis=0)
        data[len(data) - len(values):] = values

    def add(self, example: Example) -> None:
        """Append one example.

        Raises:
            galsim.GalSimError: if it lacks a column, or a value is not finite, or its embedding has
                another length than that of the first example, or the file cannot be written.
        """
        self._check(example)
        self._waiting.append(example)
        if len(self._waiting) == BUFFER:
            self._flush()

    def _check(self, example: Example) -> None:
        where = f"The example of the source {example.source}, for the data set {self.path},"
        missing = [name for name in self.columns if name not in example.columns]
        if missing:
            raise GalSimError(f"{where} lacks the column {', '.join(missing)}. Remove the column "
                              "from the recipe, or let the builder make it.")
        if np.shape(example.stamp) != self._shape:
            raise GalSimError(f"{where} has a stamp of the shape {np.shape(example.stamp)}; the "
                              f"recipe has {self._shape}. Correct the builder.")
        values: dict[str, Any] = {name: example.columns[name] for name in self.columns}
        values.update(stamp=example.stamp, noise_sigma=example.noise_sigma)
        self._check_embedding(example, where)
        if example.embedding is not None:
            values.update(embedding=example.embedding)
        for name, value in values.items():
            if not np.isfinite(value).all():
                raise GalSimError(f"{where} has a value of '{name}' that is not finite. Leave this "
                                  "galaxy out, or correct the survey data.")

    def _check_embedding(self, example: Example, where: str) -> None:
        """Raise an error if the embedding is not like that of the first example."""
        shape = None if example.embedding is None else example.embedding.shape
        if not self._written and not self._waiting:
            self._embedding_shape = shape
        if shape != self._embedding_shape or (shape is not None and len(shape) != 1):
            raise GalSimError(f"{where} has an embedding of the shape {shape}, and the first "
                              f"example one of {self._embedding_shape}. Each needs an embedding of "
                              "the same length, [K], or none of them.")

    def _flush(self) -> None:
        if not self._waiting:
            return
        with self._disk_errors():
            self._write_waiting()
        self._written += len(self._waiting)
        self._waiting.clear()

    def _write_waiting(self) -> None:
        noiseless = {self._written + index: example.noiseless
                     for index, example in enumerate(self._waiting)
                     if example.noiseless is not None}
        if noiseless:
            self._append("noiseless_index", list(noiseless))
            self._append("noiseless", np.stack(list(noiseless.values())))
        self._append("pixel_scale", [example.pixel_scale or self._pixel_scale
                                     for example in self._waiting])
        for name in ("stamp", "psf_index", "noise_sigma", "noise_index", "source", "test",
                     "label"):
            self._append(name, np.stack([getattr(example, name) for example in self._waiting]))
        for name in self.columns:
            self._append(f"columns/{name}", [example.columns[name] for example in self._waiting])
        if self._embedding_shape is not None:
            if "embedding" not in self._file:
                self._create("embedding", self._embedding_shape, np.float32)
            self._append("embedding", [example.embedding for example in self._waiting])

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            if not self._written and not self._waiting:
                raise GalSimError(f"The data set {self.path} would be empty: none of the galaxies "
                                  "can be used. Choose wider ranges, larger stamps, or other "
                                  "galaxies in the settings of the builder.")
            self._flush()
            with self._disk_errors():
                self._file.close()
                self._disk.sync()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Raise the error of the disk, if there was one, instead of the error of HDF5."""
        try:
            yield
        except Exception:
            if self._disk.error is None:
                raise
        if self._disk.error is not None:
            raise self._disk.error


class Dataset:
    """Reads a data set file and serves batches from it.

    Batches are a pure function of the seed and the step, so that an interrupted fit continues with
    the batches that an uninterrupted one would have.

    Parameters:
        path:   The HDF5 file.

    Attributes:
        path, pixel_scale, pixel_scales, stamp_size, bands, recipe_sha256, clipping, psfs,
        psf_index, noise_sigma, noise_correlation, noise_index, source, label, columns,
        embedding, embedder:
                            As of a `galsim_deep.observations.stamps_file.StampsFile`.
        train_indices:      Indices of the training examples.
        test_indices:       Indices of the test examples.

    Raises:
        galsim.GalSimError: if there is no such file, or it is not a data set of this version.

    Example::

        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path, stamp, psfs = f"{folder.name}/data.h5", Stamp(size=32), np.ones([1, 65, 65])
        >>> with DatasetWriter(path, stamp, ["mag_auto"], psfs) as writer:
        ...     for number in range(10):
        ...         writer.add(Example(np.zeros([32, 32]), psf_index=0, noise_sigma=0.1,
        ...                            columns=dict(mag_auto=22.5), source=number, test=number > 7))
        >>> dataset = Dataset(path)
        >>> batch = next(dataset.batches(batch_size=4, seed=1))
        >>> batch["stamp"].shape, batch["psf"].shape, batch["mag_auto"].shape
        ((4, 32, 32), (4, 65, 65), (4,))
        >>> dataset.test_indices
        array([8, 9])
        >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._file = StampsFile(path)
        self.pixel_scale = self._file.pixel_scale
        self.pixel_scales = self._file.pixel_scales
        self.stamp_size = self._file.stamp_size
        self.bands = self._file.bands
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
        self.embedding = self._file.embedding
        self.embedder = self._file.embedder
        self.train_indices = np.flatnonzero(~self._file.test)
        self.test_indices = np.flatnonzero(self._file.test)
        self._powers: dict[tuple[int, int], np.ndarray] = {}
        self._permutations: dict[tuple[int, int, int], np.ndarray] = {}

    @classmethod
    def of(cls, recipe: Recipe, path: str | os.PathLike) -> "Dataset":
        """Open the data set of a recipe.

        Raises:
            galsim.GalSimError: if it was made with other settings, or cannot be read.
        """
        dataset = cls(path)
        if dataset.recipe_sha256 != data_settings_hash(recipe):
            raise GalSimError(
                f"The data set {path} was made with other settings than those of {recipe.path}: "
                "its seed, stamp, columns or data have changed. Make it again with "
                f"'galsim-deep-train data {recipe.path}', or use another --run folder.")
        return dataset

    def __len__(self) -> int:
        return len(self.psf_index)

    def mean_psf(self) -> np.ndarray:
        """The mean of the PSFs of the training examples, float64, shape [P, P]."""
        used = np.unique(self.psf_index[self.train_indices])
        return np.mean(self.psfs[used], axis=0, dtype=float)

    def deepest(self, fraction: float) -> np.ndarray:
        """Indices of the training examples with the least noise, in increasing order.

        Parameters:
            fraction:   Fraction of the training examples to return.
        """
        rows = self.train_indices
        count = max(1, round(fraction * len(rows)))
        return np.sort(rows[np.argsort(self.noise_sigma[rows], kind="stable")[:count]])

    def read(self, indices: ArrayLike,
             augment: np.random.Generator | None = None) -> dict[str, np.ndarray]:
        """Read examples.

        Parameters:
            indices:    Indices of the examples, shape [n].
            augment:    Random numbers that choose one of the eight symmetries of the square for
                        each example.  Stamp, PSF and noise are rotated and mirrored accordingly.
                        [default: as stored]

        Returns:
            a dict of ``stamp`` [n, S, S] ([n, S, S, B] if there are B > 1 bands), ``psf``
            [n, P, P], ``noise_sigma`` [n], ``noise_power`` [n, S, S//2+1], ``pixel_scale`` [n]
            (arcsec), ``label`` [n] and one entry [n] for each column, all float32.  The noise power
            is relative to white noise of the same sigma (`relative_power`).  The label is -1 if the
            class is not known.  If the file has embeddings, also ``embedding`` [n, K], that of the
            stamp as it is in the file, whatever its symmetry.
        """
        rows = np.asarray(indices)
        stamps = np.stack([self._file.stamp(row) for row in rows])
        psfs = self.psfs[self.psf_index[rows]]
        symmetries = np.zeros(len(rows), int)
        if augment is not None:
            symmetries = augment.integers(8, size=len(rows))
            for row, symmetry in enumerate(symmetries.tolist()):
                stamps[row] = with_symmetry(stamps[row], symmetry)
                psfs[row] = with_symmetry(psfs[row], symmetry)
        power = np.stack([self._noise_power(int(index), int(symmetry)) for index, symmetry in
                          zip(self.noise_index[rows], symmetries, strict=True)])
        batch = dict(stamp=stamps, psf=psfs, noise_sigma=self.noise_sigma[rows],
                     noise_power=power, pixel_scale=np.float32(self.pixel_scales[rows]),
                     label=self.label[rows].astype(np.float32))
        if self.embedding is not None:
            batch.update(embedding=self.embedding[rows])
        batch.update({name: values[rows] for name, values in self.columns.items()})
        return batch

    def _noise_power(self, index: int, symmetry: int) -> np.ndarray:
        """`relative_power` of a noise correlation after a symmetry; computed once for each."""
        if (index, symmetry) not in self._powers:
            self._powers[index, symmetry] = relative_power(
                with_symmetry(self.noise_correlation[index], symmetry), self.stamp_size)
        return self._powers[index, symmetry]

    def noiseless(self) -> tuple[np.ndarray, np.ndarray]:
        """The examples whose stamp is known without noise.

        Returns:
            (indices of these examples, int [T]; stamps without noise, float32 [T, S, S], or
            [T, S, S, B]).
        """
        indices = self._file.noiseless_index
        shape = (self.stamp_size, self.stamp_size, *([self.bands] if self.bands > 1 else []))
        stamps = np.empty((len(indices), *shape), np.float32)
        for row in range(len(indices)):
            stamps[row] = self._file.noiseless(row)
        return indices, stamps

    def batch_indices(self, step: int, batch_size: int, seed: int,
                      among: np.ndarray | None = None) -> np.ndarray:
        """The training examples of one step.

        Each epoch visits all training examples once, in an order drawn from the seed.

        Parameters:
            step:           Index of the step.
            batch_size:     Number of examples in a batch.
            seed:           Determines the order.
            among:          Indices of the examples to use.  [default: all training examples]

        Returns:
            indices of examples, int [batch_size].
        """
        among = self.train_indices if among is None else among
        n = len(among)
        positions = np.arange(step * batch_size, (step + 1) * batch_size)
        chosen = np.empty(batch_size, int)
        for epoch in np.unique(positions // n):
            permutation = self._permutation(seed, int(epoch), n)
            in_epoch = positions // n == epoch
            chosen[in_epoch] = permutation[positions[in_epoch] % n]
        return among[chosen]

    def _permutation(self, seed: int, epoch: int, count: int) -> np.ndarray:
        """The order of the examples in an epoch; the last two are kept in memory."""
        key = seed, epoch, count
        if key not in self._permutations:
            if len(self._permutations) > 1:
                self._permutations.pop(next(iter(self._permutations)))
            self._permutations[key] = np.random.default_rng([seed, epoch]).permutation(count)
        return self._permutations[key]

    def batches(self, batch_size: int, seed: int, start: int = 0, stop: int | None = None,
                augmented: bool = True, among: np.ndarray | None = None
                ) -> Iterator[dict[str, np.ndarray]]:
        """Yield training batches, as `read` returns them.

        Parameters:
            batch_size:     Number of examples in a batch.
            seed:           Determines the order of the examples, and their augmentation.
            start:          The first step.
            stop:           The step before which to stop.  [default: never]
            augmented:      Whether to rotate and mirror the examples at random.
            among:          Indices of the examples to use.  [default: all training examples]
        """
        step = start
        while stop is None or step < stop:
            yield self.read(self.batch_indices(step, batch_size, seed, among),
                            np.random.default_rng([seed, step, 1]) if augmented else None)
            step += 1


def with_symmetry(array: np.ndarray, symmetry: int) -> np.ndarray:
    """Apply one of the eight symmetries of the square to an array.

    Parameters:
        array:      Shape [n, n], or with further axes, which are left as they are.
        symmetry:   From 0 to 7: ``symmetry % 4`` rotations by 90 degrees; from 4 on, the array is
                    mirrored after them.
    """
    array = np.rot90(array, symmetry % 4)
    return array[:, ::-1] if symmetry >= 4 else array
