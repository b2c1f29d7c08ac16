"""One galaxy: draw the three samples alike and measure everything on them.

This is the unit of work of a validation; it needs no TensorFlow and runs in worker processes.
"""

__all__ = ["Task", "draw_generated", "examine", "examine_generated", "single_threaded"]

import dataclasses

import galsim
import numpy as np

from ..card import Card
from ..profiles import make_profile
from . import conditioning, profile_checks, shear
from .cache import Cache
from .examined import SAMPLES, Examined, chi2, light, measured, rng
from .observation import Observation
from .observed import observed
from .statistics import FLAGS, STATISTICS


@dataclasses.dataclass(frozen=True)
class Task:
    """What is needed to examine one galaxy.

    Attributes:
        observation:    The real galaxy.
        generated:      A profile generated for its columns, float32 [S, S] as the module made it.
        reconstructed:  The module's best profile for the real stamp, likewise, or None.
        card:           The card of the module.
        gain:           Flux of the survey's stamps over flux of the module, for one galaxy.
        seed:           Seed of the noise.
        keep:           Whether to hand back the stamps.
        cache:          A `cache.Cache` of what does not depend on the module, or None.
    """

    observation: Observation
    generated: np.ndarray
    reconstructed: np.ndarray | None
    card: Card
    gain: float
    seed: int
    keep: bool
    cache: Cache | None = None


def examine(task):
    """Examine one galaxy.

    Parameters:
        task:   A `Task`.

    Returns:
        an `Examined`, without stamps if they are not to be kept.  Depends on nothing but the task,
        and not on its cache.  Where noise level or PSF of the real galaxy make no sense, nothing is
        measured, and the flag ``not_usable`` says so.
    """
    seen = task.observation
    try:
        parts = (observed(seen if _comparable(task) else dataclasses.replace(seen, truth=None),
                          task.seed, task.gain, task.cache),
                 examine_generated(task))
    except galsim.GalSimError:
        return _not_usable(task)
    values, flags, numbers, stamps = ({}, {}, {}, _given(task))
    for part in parts:
        values |= part.values
        flags |= part.flags
        numbers |= part.numbers
        stamps |= part.stamps
    return Examined(values=values, flags=flags, numbers=numbers,
                    stamps=stamps if task.keep else {})


def _not_usable(task):
    blank = {statistic.name: np.nan for statistic in STATISTICS}
    flags = dict.fromkeys(FLAGS, False) | dict(not_usable=True)
    stamps = {}
    if task.keep:
        empty = np.full(task.observation.stamp.shape, np.nan, np.float32)
        stamps = dict.fromkeys((*SAMPLES, "model_parametric", "profile"), empty)
    return Examined(values=dict.fromkeys(SAMPLES, blank), flags=dict.fromkeys(SAMPLES, flags),
                    numbers={}, stamps=stamps)


def _given(task):
    """The stamps that were there before anything was drawn."""
    found = dict(real=task.observation.stamp)
    if task.observation.truth is not None:
        found["truth"] = task.observation.truth
    return {name: np.asarray(stamp, np.float32) for name, stamp in found.items()}


def examine_generated(task):
    """The generated galaxy and the reconstruction of the real one.

    Parameters:
        task:   A `Task`.

    Returns:
        an `Examined` of the sample generated; stamps are the ``profile`` on the pixels of the
        survey, before PSF, ``generated``, and ``model_reconstructed`` if there is one.

    Raises a `galsim.GalSimError` where noise level or PSF of the real galaxy make no sense.
    """
    seen = task.observation
    profile, convolved, stamps = _drawn(task)
    numbers = _of_profile(profile, convolved, task)
    if task.reconstructed is not None:
        reconstructed = _through(_profile(task.reconstructed, task), seen)
        numbers["chi2_reconstructed"] = chi2(reconstructed, seen)
        stamps["model_reconstructed"] = reconstructed
        if seen.truth is not None:
            # What one would have who knew the galaxy: fits adapt to the noise as well.
            true = _through(_wrapped(seen.truth, seen.pixel_scale), seen)
            numbers["chi2_truth"] = chi2(true, seen)
    if _comparable(task):
        numbers.update(light(np.asarray(task.generated, float), seen.pixel_scale, "generated"))
    return measured(seen, dict(generated=stamps["generated"]), numbers, stamps)


def draw_generated(task):
    """The generated galaxy of `examine_generated`, drawn and not measured.

    Parameters:
        task:   A `Task`.

    Returns:
        {``generated``: as it would have been observed, ``profile``: before PSF, on the pixels of
        the survey}, float64 [S, S] each.

    Raises a `galsim.GalSimError` where noise level or PSF of the real galaxy make no sense.
    """
    return _drawn(task)[2]


def _drawn(task):
    """The generated galaxy: its profile, that through the PSF, and the stamps of both."""
    seen = task.observation
    profile = _profile(task.generated, task)
    convolved = _through(profile, seen)
    generated = seen.drawn_like(convolved, rng("generated", seen, task.seed))
    return profile, convolved, dict(generated=generated, profile=_on_grid(profile, task))


def _profile(stamp, task):
    """A module's stamp as a GSObject with flux in units of the survey; None if it cannot be one."""
    return _wrapped(stamp * task.gain, task.card.pixel_scale)


def _wrapped(stamp, pixel_scale):
    """A stamp as a GSObject; None if it cannot be one."""
    if not np.isfinite(stamp).all() or stamp.sum() <= 0:
        return None
    return make_profile(stamp, pixel_scale)


def _through(profile, seen):
    """A profile through the PSF of the observation; NaN if there is none."""
    return np.full(seen.stamp.shape, np.nan) if profile is None else seen.convolved(profile)


def _on_grid(profile, task):
    """The generated profile before PSF, on the pixels of the survey."""
    seen = task.observation
    if profile is None:
        return np.full(seen.stamp.shape, np.nan)
    if task.generated.shape == seen.stamp.shape and _same(seen, task.card):
        return task.generated * task.gain
    return profile.drawImage(nx=seen.stamp.shape[1], ny=seen.stamp.shape[0],
                             scale=seen.pixel_scale, method="no_pixel", dtype=float).array


def _same(seen, card):
    """Whether survey and module have the same pixels."""
    return np.isclose(seen.pixel_scale, card.pixel_scale, rtol=1e-5)


def _comparable(task):
    """Whether there is a true profile on the same pixels as the generated one."""
    seen = task.observation
    return (seen.truth is not None and task.generated.shape == seen.truth.shape
            and _same(seen, task.card))


def _of_profile(profile, convolved, task):
    """What is looked at on the generated profile itself."""
    seen = task.observation
    numbers = profile_checks.check_profile(task.generated)
    measured = conditioning.measured_conditions(
        np.asarray(task.generated, float), convolved, task.card, seen.pixel_scale)
    numbers.update({f"measured_{name}": value for name, value in measured.items()})
    names = ("size", "flux", "g")
    subpixel, response = dict.fromkeys(names, np.nan), np.nan
    if profile is not None:
        subpixel = profile_checks.subpixel_changes(profile, seen)
        response = np.mean(shear.profile_response(profile, seen))
    numbers.update({f"subpixel_{name}": subpixel[name] for name in names})
    return dict(numbers, response_profile=response)


def single_threaded():
    """Make this process use one thread, as worker processes do: several round differently.

    Returns:
        a function that brings back what was before.
    """
    from threadpoolctl import threadpool_limits

    limits, threads = threadpool_limits(1), galsim.utilities.get_omp_threads()
    galsim.utilities.set_omp_threads(1)

    def undo():
        limits.restore_original_limits()
        galsim.utilities.set_omp_threads(threads)

    return undo
