"""The measurements of all galaxies as arrays, and the parallel loop that makes them."""

__all__ = ["Measurements", "measure_galaxies"]

import collections
import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from galsim import GalSimError

from ..measure.statistics import FLAGS, STATISTICS
from ..modules.module import Module
from ..observations.flux_units import FluxUnits
from ..observations.real_galaxies import RealGalaxies
from .cache import Cache
from .galaxy import SAMPLES, GalaxyMeasurements
from .generate import BLOCK, generate
from .measure_generated import Task
from .random_streams import RandomStreams
from .reconstructor import Reconstructor
from .worker import measure_galaxy, single_threaded


@dataclasses.dataclass(frozen=True)
class Measurements:
    """The measurements of all galaxies.

    Attributes:
        columns:    {column of the module: float64 [N]}.
        source:     The galaxy that each stamp was made from, int [N].
        values:     {sample: {statistic: float64 [N]}}, NaN if it could not be measured.
        flags:      {sample: {flag: bool [N]}}.
        numbers:    {name: float64 [N] or [N, b]}: numbers that are not measured on all samples,
                    such as those of the generated profiles; NaN if they are not known.
        stamps:     {name: the stamps of the first K galaxies}: float32 [K, S, S]; if they differ
                    in size, an array [K] of objects, each float32 [S, S].

    Example, where the generated galaxies of a ``comparison`` are larger by a tenth than the real:

        >>> measurements = comparison.measurements
        >>> known = measurements.measured("size")
        >>> sizes = {sample: measurements.values[sample]["size"][known] for sample in SAMPLES}
        >>> round(float(sizes["generated"].mean() / sizes["real"].mean()), 6)
        1.1
    """

    columns: dict[str, np.ndarray]
    source: np.ndarray
    values: dict[str, dict[str, np.ndarray]]
    flags: dict[str, dict[str, np.ndarray]]
    numbers: dict[str, np.ndarray]
    stamps: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.source)

    def measured(self, *statistics: str) -> np.ndarray:
        """Galaxies for which all of these statistics are known in all samples, bool [N]."""
        finite = [np.isfinite(self.values[sample][statistic])
                 for statistic in statistics for sample in SAMPLES]
        return np.all(finite, axis=0)


def measure_galaxies(galaxies: RealGalaxies, module: Module, reconstructor: Reconstructor | None,
                     units: FluxUnits, streams: RandomStreams, *, processes: int = 1,
                     keep: int = 0, progress: bool = False, cache: Cache | None = None
                     ) -> Measurements:
    """Draw and measure the three samples for every galaxy.

    Parameters:
        galaxies:       The real galaxies.
        module:         The module that generates.
        reconstructor:  Encodes and decodes real galaxies; None for modules that cannot.
        units:          The flux units of the real stamps and of the module.
        streams:        Determines the generated galaxies and all noise.
        processes:      Number of worker processes.  The result does not depend on it.
        keep:           Number of galaxies K whose stamps are kept.
        progress:       Whether to show a progress bar.
        cache:          Keeps what does not depend on the module; None for no cache.  The result
                        does not depend on it.

    Returns:
        the `Measurements`.

    Raises:
        galsim.GalSimError: if none of the galaxies can be measured, or the module generates a class
                            that is not on its card.
    """
    from tqdm import tqdm

    tasks = _tasks(galaxies, module, reconstructor, units, streams, keep, cache)
    with _mapper(processes) as mapper:
        measured = list(tqdm(mapper(tasks), total=len(galaxies), unit="galaxy",
                             disable=not progress, desc="measuring"))
    if not any(galaxy.numbers for galaxy in measured):
        raise GalSimError(f"None of the {len(measured)} galaxies of {galaxies.name} can be "
                          f"measured: {FLAGS['not_usable'].split(';')[0]}. Give galaxies with a "
                          "positive noise level, and with PSF images of finite pixels that have an "
                          "odd number of rows and of columns.")
    names = dict.fromkeys(name for galaxy in measured for name in galaxy.numbers)
    kept = measured[:keep]
    stamp_names = dict.fromkeys(name for galaxy in kept for name in galaxy.stamps)
    return Measurements(
        columns=galaxies.columns, source=galaxies.source,
        values={sample: {statistic.name: np.array([galaxy.values[sample][statistic.name]
                                                   for galaxy in measured])
                         for statistic in STATISTICS} for sample in SAMPLES},
        flags={sample: {flag: np.array([galaxy.flags[sample][flag] for galaxy in measured])
                        for flag in FLAGS} for sample in SAMPLES},
        numbers={name: _stacked([galaxy.numbers.get(name, np.nan) for galaxy in measured])
                 for name in names},
        stamps={name: _stacked_stamps([
                    galaxy.stamps.get(name, np.full((size, size), np.nan, np.float32))
                    for galaxy, size in zip(kept, galaxies.stamp_sizes[:keep], strict=True)])
                for name in stamp_names})


def _stacked_stamps(stamps: Sequence[np.ndarray]) -> np.ndarray:
    """Stamps as one array [K, S, S]; of objects [K] if they have different sizes."""
    if len({stamp.shape for stamp in stamps}) == 1:
        return np.stack(stamps)
    stacked = np.empty(len(stamps), object)
    for number, stamp in enumerate(stamps):
        stacked[number] = stamp
    return stacked


def _stacked(values: list) -> np.ndarray:
    """Numbers or arrays of all galaxies as one array; a single NaN stands for an unknown array."""
    shape = max((np.shape(value) for value in values), key=len)
    return np.array([np.broadcast_to(value, shape) for value in values], float)


def _tasks(galaxies: RealGalaxies, module: Module, reconstructor: Reconstructor | None,
           units: FluxUnits, streams: RandomStreams, keep: int, cache: Cache | None
           ) -> Iterator[Task]:
    """Generate and reconstruct galaxies in blocks; one task for each."""
    for first in range(0, len(galaxies), BLOCK):
        numbers = range(first, min(first + BLOCK, len(galaxies)))
        observations = [galaxies.observation(number) for number in numbers]
        generated = generate(galaxies, module, streams, numbers)
        reconstructed: Sequence[np.ndarray | None] = [None] * len(observations)
        if reconstructor is not None:
            reconstructed = list(reconstructor.reconstruct(
                [units.to_module(observation) for observation in observations]))
        for n, number in enumerate(numbers):
            yield Task(observation=observations[n], generated=generated.images[n],
                       reconstructed=reconstructed[n], card=module.card,
                       pixel_scale=float(generated.pixel_scales[n]), units=units, streams=streams,
                       keep_stamps=number < keep, cache=cache,
                       natural=galaxies.natural is not None)


_Mapper = Callable[[Iterable[Task]], Iterator[GalaxyMeasurements]]


@contextlib.contextmanager
def _mapper(processes: int) -> Iterator[_Mapper]:
    """A function that measures tasks in order, in this process or in several others."""
    if processes == 1:
        restore = single_threaded()
        try:
            yield lambda tasks: map(measure_galaxy, tasks)
        finally:
            restore()
        return
    # Spawned, since the tasks are made with TensorFlow, which would deadlock in forked children.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
            processes, mp_context=context, initializer=single_threaded) as pool:

        def mapper(tasks: Iterable[Task]) -> Iterator[GalaxyMeasurements]:
            waiting: collections.deque = collections.deque()
            try:
                for task in tasks:
                    waiting.append(pool.submit(measure_galaxy, task))
                    if len(waiting) >= 2 * BLOCK:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

        yield mapper
