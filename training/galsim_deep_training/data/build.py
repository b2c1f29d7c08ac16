"""Build the data set of a recipe: make its examples in several processes and write the file."""

__all__ = ["build"]

import functools
import multiprocessing
import os
import time
from collections.abc import Callable

import galsim
from tqdm import tqdm

from ..recipe import Recipe
from .builders import make_builder
from .dataset import DatasetWriter
from .example import Example
from .identity import data_settings_hash

# Set before the worker processes are forked, which inherit it: the builder reads its sources once.
_make_example: Callable[[int], Example | None] | None = None


def _example(number: int) -> Example | None:
    assert _make_example is not None
    return _make_example(number)


def build(recipe: Recipe, path: str | os.PathLike, processes: int = 2, progress: bool = True,
          new: tuple[int, str] | None = None) -> tuple[int, int]:
    """Build the data set of a recipe, or a file of new examples for validation.

    Parameters:
        recipe:     The recipe.
        path:       The HDF5 file to write.
        processes:  Number of processes that make examples; the file does not depend on it.
        progress:   Whether to show a progress bar and to print the number of examples.
        new:        (count, sources): make this many new examples, see `Builder.new_example`.
                    [default: the data set itself]

    Returns:
        (number of examples written, number of galaxies that could not be used).

    Raises:
        galsim.GalSimError: if the recipe or its survey data cannot be used, or the file cannot be
            written.  Then no file is left behind.
    """
    global _make_example
    start = time.time()
    builder = make_builder(recipe)
    count = len(builder)
    _make_example = builder.example
    if new is not None:
        count, sources = new
        _make_example = functools.partial(builder.new_example, sources=sources)
    columns = [column.name for column in recipe.columns]
    written = skipped = 0
    with (
        DatasetWriter(path, recipe.stamp, columns, builder.psfs(), data_settings_hash(recipe),
                      recipe.seed, builder.noise_correlations(), builder.clipping) as writer,
        # One thread per process: OpenMP hangs in a forked process if GalSim used threads before.
        multiprocessing.get_context("fork").Pool(
            processes, galsim.utilities.set_omp_threads, (1,)) as pool,
        tqdm(total=count, unit="stamp", disable=not progress) as bar,
    ):
        for example in pool.imap(_example, range(count), chunksize=16):
            if example is None:
                skipped += 1
            else:
                writer.add(example)
                written += 1
            bar.update()
    if progress:
        print(f"{written} examples ({skipped} galaxies could not be used) in "
              f"{time.time() - start:.0f} s -> {path}")
    return written, skipped
