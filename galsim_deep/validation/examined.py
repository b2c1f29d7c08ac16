"""What is found about one galaxy, and the measuring that all of its samples have in common."""

__all__ = ["SAMPLES", "Examined", "chi2", "light", "measured", "rng"]

import dataclasses

import numpy as np

from . import shear, structure
from .parametric import fit_sersic
from .statistics import measure

SAMPLES = ("real", "generated", "parametric")


@dataclasses.dataclass(frozen=True)
class Examined:
    """What was found about one galaxy.

    Attributes:
        values:     {sample: {statistic: number}}.
        flags:      {sample: {flag: bool}}.
        numbers:    {name: number or array}: what is not measured on all three samples.
        stamps:     {name: float32 [S, S]}.
    """

    values: dict
    flags: dict
    numbers: dict
    stamps: dict


def rng(sample, seen, seed):
    """A numpy Generator for one sample of one galaxy: no sample shares its noise with another."""
    return np.random.default_rng([seed, seen.number, SAMPLES.index(sample)])


def measured(seen, samples, numbers, stamps):
    """Measure the stamps of some samples of a galaxy.

    Parameters:
        seen:       The `Observation` that they were drawn like.
        samples:    {sample: [S, S]}.
        numbers:    What else was found: {name: number or array}.
        stamps:     What to hand on: {name: [S, S]}.

    Returns:
        an `Examined` of these samples.
    """
    found = {sample: measure(stamp, seen) for sample, stamp in samples.items()}
    responses = {f"response_{sample}": np.mean(shear.shear_response(seen, stamp))
                 for sample, stamp in samples.items()}
    return Examined(
        values={sample: values for sample, (values, _) in found.items()},
        flags={sample: flags for sample, (_, flags) in found.items()},
        numbers=numbers | responses,
        stamps={name: np.asarray(stamp, np.float32) for name, stamp in stamps.items()})


def chi2(model, seen):
    """Squared residual over noise, per pixel; pixels not observed or not finite do not count."""
    squares = seen.cut(((seen.stamp - model) / seen.noise_sigma) ** 2, np.nan)
    known = np.isfinite(squares)
    return float(squares[known].mean()) if known.any() else np.nan


def light(profile, pixel_scale, name):
    """What is compared between a generated profile and a true one, without noise, before PSF.

    Parameters:
        profile:        Float64, shape [S, S].
        pixel_scale:    Size of a pixel [arcsec].
        name:           What the profile is.

    Returns:
        a dict of ``peak_NAME`` (`structure.peak_surface_brightness`), ``power_NAME``
        (`structure.small_scale_power` of what the best Sersic profile leaves; NaN where there is
        none) and ``sersic_failed_NAME`` (1 there, otherwise 0).
    """
    fit = fit_sersic(profile, pixel_scale)
    power = np.full(len(structure.EDGES) - 1, np.nan)
    if fit.success:
        power = structure.small_scale_power(profile - fit.stamp, profile.sum(), pixel_scale)
    return {f"peak_{name}": structure.peak_surface_brightness(profile, pixel_scale),
            f"power_{name}": power, f"sersic_failed_{name}": float(not fit.success)}
