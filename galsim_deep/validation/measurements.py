"""All galaxies examined, as arrays: the parallel loop over `examine`."""

__all__ = ["BLOCK", "Measurements", "generated_inputs", "measure_survey"]

import collections
import concurrent.futures
import contextlib
import dataclasses
import multiprocessing

import numpy as np
from galsim import GalSimError

from .. import latents
from .examine import Task, examine, single_threaded
from .examined import SAMPLES
from .statistics import FLAGS, STATISTICS

BLOCK = 48
"""Galaxies that are generated and encoded at once."""


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What was measured on all galaxies.

    Attributes:
        columns:    {column of the module: float64 [N]}.
        source:     The galaxy each stamp was made from, int [N].
        values:     {sample: {statistic: float64 [N]}}, NaN where it could not be measured.
        flags:      {sample: {flag: bool [N]}}.
        numbers:    {name: float64 [N] or [N, b]}: see `examine`.
        stamps:     {name: float32 [K, S, S]}: of the first K galaxies.
    """

    columns: dict
    source: np.ndarray
    values: dict
    flags: dict
    numbers: dict
    stamps: dict

    def __len__(self):
        return len(self.source)

    def measured(self, statistic):
        """Rows where a statistic is known in all samples: bool [N]."""
        return np.all([np.isfinite(self.values[sample][statistic]) for sample in SAMPLES], axis=0)


def measure_survey(survey, module, reconstructor=None, *, gain=1.0, seed=1, processes=1, keep=0,
                   progress=False, cache=None):
    """Draw and measure the three samples for every galaxy of a survey.

    Parameters:
        survey:         A `Survey`.
        module:         The `galsim_deep.module.Module`.
        reconstructor:  A `Reconstructor`, or None for modules that cannot encode.
        gain:           Flux of the survey's stamps over flux of the module, for one galaxy.
        seed:           Decides the generated galaxies and all noise.
        processes:      Worker processes.  The result does not depend on it.
        keep:           Of how many galaxies to keep the stamps.
        progress:       Whether to show a progress bar.
        cache:          A `cache.Cache` of what does not depend on the module, or None.  The result
                        does not depend on it.

    Returns:
        a `Measurements`.

    Raises a `galsim.GalSimError` where no galaxy at all can be measured.
    """
    from tqdm import tqdm

    tasks = _tasks(survey, module, reconstructor, gain, seed, keep, cache)
    with _mapper(processes) as mapped:
        found = list(tqdm(mapped(tasks), total=len(survey), unit="galaxy", disable=not progress,
                          desc="measuring"))
    if not any(one.numbers for one in found):
        raise GalSimError(f"None of the {len(found)} galaxies of {survey.name} can be measured: "
                          f"{FLAGS['not_usable'].split(';')[0]}. The variance of the noise must be "
                          "positive, and the PSF an image of a star.")
    numbers = collections.defaultdict(lambda: [np.nan] * len(found))
    for n, one in enumerate(found):
        for name, value in one.numbers.items():
            numbers[name][n] = value
    kept = found[:keep]
    names = dict.fromkeys(name for one in kept for name in one.stamps)
    blank = np.full((survey.stamp_size, survey.stamp_size), np.nan, np.float32)
    stamps = {name: np.stack([one.stamps.get(name, blank) for one in kept]) for name in names}
    return Measurements(
        columns=survey.columns, source=survey.source,
        values={sample: {s.name: np.array([one.values[sample][s.name] for one in found])
                         for s in STATISTICS} for sample in SAMPLES},
        flags={sample: {flag: np.array([one.flags[sample][flag] for one in found])
                        for flag in FLAGS} for sample in SAMPLES},
        numbers={name: _stacked(values) for name, values in numbers.items()}, stamps=stamps)


def _stacked(values):
    """Numbers of all galaxies as one array; where one is missing, NaN of the others' shape."""
    shape = max((np.shape(value) for value in values), key=len)
    return np.array([np.broadcast_to(value, shape) for value in values], float)


def generated_inputs(survey, module, seed, numbers):
    """What the galaxies are generated from.

    Parameters:
        survey:     A `Survey`.
        module:     The `galsim_deep.module.Module`.
        seed:       Decides the galaxies.
        numbers:    Their places in the survey, n integers.

    Returns:
        (columns, normal): a dict of float32 [n], and standard normal numbers, float32 [n, L].
    """
    numbers = np.asarray(numbers)
    rngs = latents.deviates(len(numbers), seeds=[(seed << 32) + int(one) for one in numbers])
    columns = {name: values[numbers].astype(np.float32) for name, values in survey.columns.items()}
    return columns, latents.draw(rngs, module.card.latent.size)


def _tasks(survey, module, reconstructor, gain, seed, keep, cache):
    """Generate and encode in blocks, one task a galaxy."""
    for first in range(0, len(survey), BLOCK):
        numbers = range(first, min(first + BLOCK, len(survey)))
        seen = [survey.observation(number) for number in numbers]
        # Straight from the module: what is wrong with a stamp is for the report to say.
        generated = module.sample(*generated_inputs(survey, module, seed, numbers))
        reconstructed = [None] * len(seen)
        if reconstructor is not None:
            in_module_units = [dataclasses.replace(one, noise_sigma=one.noise_sigma / gain)
                               for one in seen]
            reconstructed = reconstructor.reconstruct(
                [one.stamp / gain for one in seen], in_module_units)
        for n, number in enumerate(numbers):
            yield Task(observation=seen[n], generated=generated[n],
                       reconstructed=reconstructed[n], card=module.card, gain=gain, seed=seed,
                       keep=number < keep, cache=cache)


@contextlib.contextmanager
def _mapper(processes):
    """A function that examines tasks in order, in this process or in several."""
    if processes == 1:
        undo = single_threaded()
        try:
            yield lambda tasks: map(examine, tasks)
        finally:
            undo()
        return
    # Not forked: TensorFlow, which makes the tasks, does not survive that.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
            processes, mp_context=context, initializer=single_threaded) as pool:

        def mapped(tasks):
            waiting = collections.deque()
            try:
                for task in tasks:
                    waiting.append(pool.submit(examine, task))
                    if len(waiting) >= 2 * BLOCK:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

        yield mapped
