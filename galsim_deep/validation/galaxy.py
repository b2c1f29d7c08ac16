"""The measurements of one galaxy, and the measuring that all of its samples have in common."""

__all__ = ["SAMPLES", "GalaxyMeasurements", "chi_square_per_pixel", "light_statistics",
           "measure_samples"]

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..measure import shear, structure
from ..measure.parametric import ParametricFit, fit_sersic
from ..measure.statistics import measure
from ..observations.observation import Observation
from .natural_numbers import natural_numbers

SAMPLES = ("real", "generated", "parametric")
"""The three samples of a validation, in the order of their numbers."""


@dataclasses.dataclass(frozen=True)
class GalaxyMeasurements:
    """The measurements of the stamps of one galaxy.

    Attributes:
        values:     {sample: {statistic: number}}, of some of the `SAMPLES`.
        flags:      {sample: {flag: whether it applies}}.
        numbers:    {name: number or array}: the quantities that are not measured on all samples.
        stamps:     {name: float32 [S, S]}.

    Example, for the first galaxy of a ``comparison``:

        >>> observation = comparison.galaxies.observation(0)
        >>> galaxy = measure_samples(observation, dict(real=observation.stamp), {}, {})
        >>> galaxy.flags["real"]["not_detected"], 0.05 < galaxy.values["real"]["size"] < 0.5
        (False, True)
    """

    values: dict[str, dict[str, float]]
    flags: dict[str, dict[str, bool]]
    numbers: dict[str, Any]
    stamps: dict[str, np.ndarray]


def measure_samples(observation: Observation, samples: Mapping[str, np.ndarray],
                    numbers: Mapping[str, Any], stamps: Mapping[str, np.ndarray], *,
                    natural: bool = False, seed: int = 1,
                    fits: Mapping[str, ParametricFit] | None = None) -> GalaxyMeasurements:
    """Measure the stamps of some samples of a galaxy.

    Parameters:
        observation:    The `Observation` whose PSF, noise and pixels the stamps have.
        samples:        {sample: [S, S]}.
        numbers:        Other numbers of the result: {name: number or array}.
        stamps:         Stamps of the result: {name: [S, S]}.
        natural:        Whether to measure the `natural_numbers` too.
        seed:           The seed of the noise that these add.
        fits:           Sersic fits that are known already, {sample: fit}.

    Returns:
        the `GalaxyMeasurements` of these samples; its numbers also have ``response_SAMPLE``, the
        shear response.

    Raises:
        galsim.GalSimError: if the noise level is not positive, or the PSF is not finite or not of
                            odd size.
    """
    measured = {sample: measure(stamp, observation) for sample, stamp in samples.items()}
    responses = {f"response_{sample}": np.mean(shear.shear_response(observation, stamp))
                 for sample, stamp in samples.items()}
    more: dict[str, Any] = {}
    if natural:
        for sample, stamp in samples.items():
            fit = (fits or {}).get(sample)
            more.update({f"{name}_{sample}": value for name, value in natural_numbers(
                observation, stamp, seed, fit).items()})
    return GalaxyMeasurements(
        values={sample: values for sample, (values, _) in measured.items()},
        flags={sample: flags for sample, (_, flags) in measured.items()},
        numbers={**numbers, **responses, **more},
        stamps={name: np.asarray(stamp, np.float32) for name, stamp in stamps.items()})


def chi_square_per_pixel(model: np.ndarray, observation: Observation) -> float:
    """Squared residual over the noise variance, per pixel.

    Parameters:
        model:          The noiseless image through the PSF, shape [S, S].
        observation:    The `Observation`.  Pixels outside of its footprint, and those that are not
                        finite, are left out.

    Returns:
        the mean over the pixels; NaN if none is left.
    """
    squares = observation.cut(
        ((observation.stamp - model) / observation.noise_sigma) ** 2, np.nan)
    finite = np.isfinite(squares)
    return float(squares[finite].mean()) if finite.any() else np.nan


def light_statistics(stamp: np.ndarray, pixel_scale: float, psf: np.ndarray,
                     name: str) -> dict[str, Any]:
    """Statistics of a stamp without noise, of a real or a generated galaxy.

    Parameters:
        stamp:          Float64, shape [S, S].
        pixel_scale:    Size of a pixel [arcsec].
        psf:            Its effective PSF, shape [P, P], P odd.
        name:           ``generated`` or ``noiseless``.

    Returns:
        a dict of ``peak_NAME`` (`structure.peak_surface_brightness`), ``power_NAME``
        (`structure.small_scale_power` of the residual of the best Sersic profile; NaN if that fit
        failed) and ``sersic_failed_NAME`` (1 if it failed, otherwise 0).
    """
    fit = fit_sersic(stamp, pixel_scale, psf)
    power = np.full(len(structure.EDGES) - 1, np.nan)
    if fit.success:
        power = structure.small_scale_power(stamp - fit.stamp, stamp.sum(), pixel_scale)
    return {f"peak_{name}": structure.peak_surface_brightness(stamp, pixel_scale),
            f"power_{name}": power, f"sersic_failed_{name}": float(not fit.success)}
