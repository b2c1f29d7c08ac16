"""Build a data set: pick the builder a recipe names, run it over processes, write the file."""

__all__ = ["Builder", "build"]

import abc
import functools
import multiprocessing
import time

import galsim
from galsim import GalSimConfigError
from tqdm import tqdm

from ..recipe import DATA_PARTS, parse
from ..registry import Registered
from .dataset import DatasetWriter

_workers_make = None


class Builder(Registered, abc.ABC):
    """Makes examples, one by one, from some kind of survey data.

    A subclass registers itself by the name used in recipes::

        class Transplant(Builder, name="transplant"):
            class Settings(recipe.Settings):
                ...

    An example depends on the recipe's seed and its own number only, never on the process that
    made it.
    """

    clipping = None
    """Where stamps are zero but for what is significant: (threshold, peak), see
    `galsim_deep.clipping`."""

    def __init__(self, settings, recipe):
        self.settings = settings
        self.recipe = recipe

    @abc.abstractmethod
    def __len__(self):
        """How many examples the builder makes."""

    @abc.abstractmethod
    def psfs(self):
        """The PSF images, shape [K, P, P], unit sum."""

    @abc.abstractmethod
    def noise_correlations(self):
        """The correlation functions of the noise, shape [M, C, C], 1 in the middle; or None, white.
        """

    @abc.abstractmethod
    def example(self, number):
        """Make `Example` ``number``, or return None where that galaxy cannot be used."""

    def new_example(self, number, sources):
        """Make `Example` ``number`` of a file for validation: none of them is in the data set.

        ``sources`` says of what: of galaxies that are ``held-out`` from training, or of those used
        in ``training``.  All are marked as test examples.
        """
        raise GalSimConfigError(
            f"The data builder of {self.recipe.path} takes each galaxy as it was observed, it "
            "cannot make new examples. Its test split serves for validation.")

    def locate(self, path):
        """A path of the recipe; relative ones start at the folder of the recipe file."""
        return (self.recipe.path.parent / path).resolve()


def make_builder(recipe):
    """The builder a recipe names, with its settings checked."""
    cls = Builder.named(recipe.data.builder, recipe, "data.builder")
    settings = parse(cls.Settings, recipe.data.settings, f"recipe {recipe.path}, data.settings,")
    return cls(settings, recipe)


def _one(number):
    return _workers_make(number)


def build(recipe, path, processes=2, progress=True, new=None):
    """Build the data set of a recipe, or a file of new examples for validation.

    Parameters:
        recipe:     A `Recipe`.
        path:       The HDF5 file to write.
        processes:  How many processes make examples; the file does not depend on it.
        progress:   Whether to show a progress bar.
        new:        (count, sources): make so many new examples, see `Builder.new_example`.
                    [default: the data set itself]

    Returns:
        (examples written, galaxies passed over).
    """
    global _workers_make
    start = time.time()
    builder = make_builder(recipe)
    count, make = len(builder), builder.example
    if new is not None:
        count, sources = new
        make = functools.partial(builder.new_example, sources=sources)
    columns = [column.name for column in recipe.columns]
    _workers_make = make  # inherited by the forked workers: sources are read once
    written = skipped = 0
    with (
        DatasetWriter(path, recipe.stamp, columns, builder.psfs(), recipe.digest(*DATA_PARTS),
                      recipe.seed, builder.noise_correlations(), builder.clipping) as writer,
        # One thread in each: OpenMP hangs in a forked process if GalSim used threads before it.
        multiprocessing.get_context("fork").Pool(
            processes, galsim.utilities.set_omp_threads, (1,)) as pool,
        tqdm(total=count, unit="stamp", disable=not progress) as bar,
    ):
        for example in pool.imap(_one, range(count), chunksize=16):
            if example is None:
                skipped += 1
            else:
                writer.add(example)
                written += 1
            bar.update()
    if progress:
        print(f"{written} examples ({skipped} galaxies passed over) in {time.time() - start:.0f} s "
              f"-> {path}")
    return written, skipped
