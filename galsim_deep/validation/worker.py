"""The unit of work of a validation: draw the samples of one galaxy and measure them.

It needs no TensorFlow, and runs in worker processes.
"""

__all__ = ["measure_galaxy", "single_threaded"]

from collections.abc import Callable

import galsim
import numpy as np

from ..measure.statistics import FLAGS, STATISTICS
from .galaxy import SAMPLES, GalaxyMeasurements
from .measure_generated import Task, measure_generated
from .measure_observed import measure_observed_cached


def measure_galaxy(task: Task) -> GalaxyMeasurements:
    """Measure all samples of one galaxy.

    Parameters:
        task:   The galaxy.

    Returns:
        its `GalaxyMeasurements`, without stamps if they are not to be kept.  They depend only on
        the task, and not on its cache.  If the noise level of the real galaxy is not positive, or
        its PSF is not finite or not of odd size, nothing is measured, and the flag ``not_usable``
        is set.
    """
    observation = task.observation
    try:
        parts = (measure_observed_cached(observation, task.streams, task.units, task.cache,
                                         task.natural),
                 measure_generated(task))
    except galsim.GalSimError:
        return _not_usable(task)
    whole = GalaxyMeasurements(values={}, flags={}, numbers={}, stamps={})
    if task.keep_stamps:
        whole.stamps.update(_input_stamps(task))
    for part in parts:
        whole.values.update(part.values)
        whole.flags.update(part.flags)
        whole.numbers.update(part.numbers)
        if task.keep_stamps:
            whole.stamps.update(part.stamps)
    return whole


def _not_usable(task: Task) -> GalaxyMeasurements:
    """The `GalaxyMeasurements` of a galaxy of which nothing can be measured."""
    unknown = {statistic.name: np.nan for statistic in STATISTICS}
    flags = dict.fromkeys(FLAGS, False) | dict(not_usable=True)
    stamps = {}
    if task.keep_stamps:
        empty = np.full(task.observation.stamp.shape, np.nan, np.float32)
        stamps = dict.fromkeys((*SAMPLES, "model_parametric", "profile"), empty)
    return GalaxyMeasurements(
        values=dict.fromkeys(SAMPLES, unknown), flags=dict.fromkeys(SAMPLES, flags), numbers={},
        stamps=stamps)


def _input_stamps(task: Task) -> dict[str, np.ndarray]:
    """The stamps that are not drawn here: the real one, with and without noise."""
    stamps = dict(real=np.asarray(task.observation.stamp, np.float32))
    if task.observation.noiseless is not None:
        stamps["noiseless"] = np.asarray(task.observation.noiseless, np.float32)
    return stamps


def single_threaded() -> Callable[[], None]:
    """Make this process use one thread, as worker processes do.

    The result of some sums depends on the number of threads, by rounding.

    Returns:
        a function that restores the previous numbers of threads.
    """
    from threadpoolctl import threadpool_limits

    threads = galsim.utilities.get_omp_threads()  # before the limits, which change it
    limits = threadpool_limits(1)
    galsim.utilities.set_omp_threads(1)

    def restore() -> None:
        limits.restore_original_limits()
        galsim.utilities.set_omp_threads(threads)

    return restore
