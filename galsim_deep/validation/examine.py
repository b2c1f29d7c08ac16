"""One galaxy: draw the three samples alike and measure everything on them.

This is the unit of work of a validation; it needs no TensorFlow and runs in worker processes.
"""

__all__ = ["SAMPLES", "Examined", "Task", "examine", "single_threaded"]

import dataclasses

import galsim
import numpy as np

from ..card import Card
from ..profiles import make_profile
from . import conditioning, profile_checks, shear, structure
from .observation import Observation
from .parametric import fit_parametric, fit_sersic
from .statistics import FLAGS, STATISTICS, measure

SAMPLES = ("real", "generated", "parametric")


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
    """

    observation: Observation
    generated: np.ndarray
    reconstructed: np.ndarray | None
    card: Card
    gain: float
    seed: int
    keep: bool


@dataclasses.dataclass(frozen=True)
class Examined:
    """All that was found about one galaxy.

    Attributes:
        values:     {sample: {statistic: number}}.
        flags:      {sample: {flag: bool}}.
        numbers:    {name: number or array}: what is not measured on all three samples.
        stamps:     {name: float32 [S, S]}, if they were to be kept.
    """

    values: dict
    flags: dict
    numbers: dict
    stamps: dict


def examine(task):
    """Examine one galaxy.

    Parameters:
        task:   A `Task`.

    Returns:
        an `Examined`.  Depends on nothing but the task.  Where noise level or PSF of the real
        galaxy make no sense, nothing is measured, and the flag ``not_usable`` says so.
    """
    try:
        return _examined(task)
    except galsim.GalSimError:
        return _not_usable(task)


def _not_usable(task):
    blank = {statistic.name: np.nan for statistic in STATISTICS}
    flags = dict.fromkeys(FLAGS, False) | dict(not_usable=True)
    stamps = {}
    if task.keep:
        empty = np.full(task.observation.stamp.shape, np.nan, np.float32)
        stamps = dict.fromkeys((*SAMPLES, "model_parametric", "profile"), empty)
    return Examined(values=dict.fromkeys(SAMPLES, blank), flags=dict.fromkeys(SAMPLES, flags),
                    numbers={}, stamps=stamps)


def _examined(task):
    seen = task.observation
    rng = {sample: np.random.default_rng([task.seed, seen.number, n])
           for n, sample in enumerate(SAMPLES)}
    # Pixels that are not finite do not count in the fit.
    fit = fit_parametric(dataclasses.replace(seen, stamp=seen.cut(seen.stamp, np.nan)))
    generated = _through(task.generated, task)
    stamps = dict(
        real=seen.stamp,
        generated=seen.drawn_like(generated, rng["generated"]),
        parametric=seen.drawn_like(fit.stamp, rng["parametric"]))
    found = {sample: measure(stamp, seen) for sample, stamp in stamps.items()}
    numbers = dict(
        bulge_and_disk=float(fit.kind == "bulge+disk"), fit_failed=float(not fit.success),
        chi2_parametric=_chi2(fit.stamp, seen))
    for sample, stamp in stamps.items():
        numbers[f"response_{sample}"] = np.mean(shear.shear_response(seen, stamp))
    numbers.update(_of_profile(task, generated))
    if task.reconstructed is not None:
        reconstructed = _through(task.reconstructed, task)
        numbers["chi2_reconstructed"] = _chi2(reconstructed, seen)
    if seen.truth is not None:
        numbers.update(_against_truth(task))
    kept = {}
    if task.keep:
        kept = dict(stamps, model_parametric=fit.stamp, profile=_on_grid(task))
        if task.reconstructed is not None:
            kept["model_reconstructed"] = reconstructed
        if seen.truth is not None:
            kept["truth"] = seen.truth
        kept = {name: np.asarray(stamp, np.float32) for name, stamp in kept.items()}
    return Examined(values={sample: found[sample][0] for sample in SAMPLES},
                    flags={sample: found[sample][1] for sample in SAMPLES},
                    numbers=numbers, stamps=kept)


def _profile(stamp, task):
    """A module's stamp as a GSObject with flux in units of the survey; None if it cannot be one."""
    if not np.isfinite(stamp).all() or stamp.sum() <= 0:
        return None
    return make_profile(stamp * task.gain, task.card.pixel_scale)


def _through(stamp, task):
    """A module's stamp through the PSF of the observation; NaN if that cannot be drawn."""
    profile = _profile(stamp, task)
    if profile is None:
        return np.full(task.observation.stamp.shape, np.nan)
    return task.observation.convolved(profile)


def _chi2(model, seen):
    """Squared residual over noise, per pixel; pixels not observed or not finite do not count."""
    squares = seen.cut(((seen.stamp - model) / seen.noise_sigma) ** 2, np.nan)
    known = np.isfinite(squares)
    return float(squares[known].mean()) if known.any() else np.nan


def _on_grid(task):
    """The generated profile before PSF, on the pixels of the survey."""
    seen = task.observation
    profile = _profile(task.generated, task)
    if profile is None:
        return np.full(seen.stamp.shape, np.nan)
    if task.generated.shape == seen.stamp.shape and _same(seen, task.card):
        return task.generated * task.gain
    return profile.drawImage(nx=seen.stamp.shape[1], ny=seen.stamp.shape[0],
                             scale=seen.pixel_scale, method="no_pixel", dtype=float).array


def _same(seen, card):
    """Whether survey and module have the same pixels."""
    return np.isclose(seen.pixel_scale, card.pixel_scale, rtol=1e-5)


def _of_profile(task, convolved):
    """What is looked at on the generated profile itself."""
    seen = task.observation
    numbers = profile_checks.check_profile(task.generated)
    measured = conditioning.measured_conditions(
        np.asarray(task.generated, float), convolved, task.card, seen.pixel_scale)
    numbers.update({f"measured_{name}": value for name, value in measured.items()})
    profile = _profile(task.generated, task)
    names = ("size", "flux", "g")
    subpixel, response = dict.fromkeys(names, np.nan), np.nan
    if profile is not None:
        subpixel = profile_checks.subpixel_changes(profile, seen)
        response = np.mean(shear.profile_response(profile, seen))
    numbers.update({f"subpixel_{name}": subpixel[name] for name in names})
    return dict(numbers, response_profile=response)


def _against_truth(task):
    """Peak and small-scale power of the generated profile and of the true one."""
    scale = task.observation.pixel_scale
    truth = task.observation.truth / task.gain
    if task.generated.shape != truth.shape or not _same(task.observation, task.card):
        return {}
    numbers = {}
    for name, profile in [("generated", np.asarray(task.generated, float)), ("truth", truth)]:
        numbers[f"peak_{name}"] = structure.peak_surface_brightness(profile, scale)
        fit = fit_sersic(profile, scale)
        power = np.full(len(structure.EDGES) - 1, np.nan)
        if fit.success:
            power = structure.small_scale_power(profile - fit.stamp, profile.sum(), scale)
        numbers[f"power_{name}"] = power
    return numbers


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
