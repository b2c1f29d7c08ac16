"""What is measured on a galaxy at its natural size, besides the statistics of all stamps."""

__all__ = ["SURVEYS", "natural_numbers"]

import zlib
from typing import Any

import numpy as np

from ..measure.detections import KERNEL, sources_within
from ..measure.moments import adaptive_moments
from ..measure.outer_light import outer_light
from ..measure.parametric import ParametricFit, fit_sersic
from ..measure.shear_bias import ring_shapes
from ..measure.structure import EDGES, distances_from_centre, observed_power
from ..measure.structure_map import ANGLES, RADII, structure_map
from ..measure.surveys import EUCLID, RUBIN, observed_by
from ..observations.observation import Observation

SURVEYS = (EUCLID, RUBIN)
"""The surveys that observe the galaxies again."""
_FWHM = 2.355
"""Full width at half maximum of a Gaussian, over its standard deviation."""


def natural_numbers(observation: Observation, stamp: np.ndarray, seed: int,
                    fit: ParametricFit | None = None) -> dict[str, Any]:
    """Measure what a galaxy at its natural size shows.

    Parameters:
        observation:    The `Observation` whose PSF, noise and pixels the stamp has.
        stamp:          Real, generated or parametric, shape [S, S].
        seed:           The seed of the noise of the surveys that observe the galaxy again; it is
                        the same for all samples of a galaxy.
        fit:            The best Sersic fit, if it is known.  [default: None, it is made]

    Returns:
        a dict of ``signal``, the mean signal-to-noise ratio of pixels within the half-light radius;
        ``sersic_n``, ``sersic_q``, ``sersic_radius`` [arcsec] (NaN if the fit failed);
        ``power`` [4] (`structure.observed_power`); ``half_light``, ``ring`` and ``wings``
        (`outer_light`); for each survey, and ``hst`` for the stamp itself, ``found_NAME`` and
        ``shredded_NAME`` (`detections`); for each survey ``slope_NAME`` and ``square_NAME``
        (`shear_bias.ring_shapes`); ``map`` [R A] and ``map_noise`` (`structure_map`).
    """
    numbers: dict[str, Any] = dict.fromkeys(("sersic_n", "sersic_q", "sersic_radius"), np.nan)
    numbers |= dict(power=np.full(len(EDGES) - 1, np.nan),
                    map=np.full(len(RADII) * ANGLES, np.nan), map_noise=np.nan)
    if not np.isfinite(stamp).all():
        names = ["signal", "half_light", "ring", "wings", "found_hst", "shredded_hst"]
        names += [f"{name}_{survey.name}" for survey in SURVEYS
                  for name in ("found", "shredded", "slope", "square")]
        return numbers | dict.fromkeys(names, np.nan)
    if fit is None:
        fit = fit_sersic(observation.known(stamp), observation.pixel_scale, observation.psf,
                         observation.noise_sigma)
    if fit.success:
        component = fit.components[0]
        numbers |= dict(sersic_n=component.n, sersic_q=component.q,
                        sersic_radius=component.half_light_radius,
                        power=observed_power(stamp, fit.stamp, observation))
        structure = structure_map(stamp, fit, observation)
        if structure is not None:
            numbers |= dict(map=structure.values.ravel(), map_noise=structure.noise_share)
    numbers |= outer_light(stamp, observation)
    within = distances_from_centre(observation) < numbers["half_light"]
    numbers["signal"] = np.nan
    if within.any():
        numbers["signal"] = float(stamp[within].mean() / observation.noise_sigma)
    numbers |= _detections(observation, stamp, seed)
    for survey in SURVEYS:
        slope, square = np.nan, np.nan
        if observation.zero_point is not None:
            slope, square = ring_shapes(
                stamp, observation, survey, _noise_seed(seed, observation.number, survey.name))
        numbers |= {f"slope_{survey.name}": slope, f"square_{survey.name}": square}
    return numbers


def _detections(observation: Observation, stamp: np.ndarray, seed: int) -> dict[str, float]:
    """Sources within the galaxy as it was observed, and as surveys would see it."""
    extent = observation.extent or 0.375 * min(stamp.shape)
    moments = adaptive_moments(observation.psf)
    width = 1.0 if moments is None else moments.moments_sigma
    smoothed = observation.smoothed_sigma(KERNEL)
    share = (smoothed / observation.noise_sigma)**2
    found = dict(hst=float(sources_within(
        stamp, smoothed, _centre(stamp, observation, 1), extent, _FWHM * width,
        None if observation.usable is None else ~observation.usable,
        observation.photon_variance * share)))
    for survey in SURVEYS:
        image = None
        if observation.zero_point is not None:
            image = observed_by(survey, stamp, observation)
        if image is None:
            found[survey.name] = np.nan
            continue
        assert observation.zero_point is not None
        sigma = survey.noise_sigma(observation.zero_point)
        rng = np.random.default_rng(_noise_seed(seed, observation.number, survey.name))
        ratio = observation.pixel_scale / survey.pixel_scale
        found[survey.name] = float(sources_within(
            image + rng.normal(0.0, sigma, image.shape), sigma * float(np.sqrt((KERNEL**2).sum())),
            _centre(image, observation, ratio), max(extent * ratio, 2.0),
            survey.psf_fwhm / survey.pixel_scale))
    numbers = {f"found_{name}": number for name, number in found.items()}
    return numbers | {f"shredded_{name}": np.nan if np.isnan(number) else float(number > 1)
                      for name, number in found.items()}


def _centre(image: np.ndarray, observation: Observation, ratio: float) -> tuple[float, float]:
    """The position (x, y) of the galaxy in an image with pixels that are smaller by a ratio."""
    rows, columns = image.shape
    return (0.5 * (columns - 1) + ratio * observation.offset[0],
            0.5 * (rows - 1) + ratio * observation.offset[1])


def _noise_seed(seed: int, number: int, name: str) -> int:
    """A seed for the noise of a survey on a galaxy."""
    return zlib.crc32(f"{seed} {number} {name}".encode())
