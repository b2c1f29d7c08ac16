"""The bias of a measured shear, end to end: galaxies are sheared, observed again, and measured.

The shape is measured by re-Gaussianization (Hirata & Seljak 2003, arXiv:astro-ph/0301054).  A
galaxy is sheared by plus and minus 0.02 in each component, which is the same as a ring of four
galaxies that are turned by 0, 45, 90 and 135 degrees: the shape of the galaxy cancels (Nakajima &
Bernstein 2007, arXiv:astro-ph/0607062).  All of them have the same noise, so that it cancels too
(Pujol, Kilbinger, Sureau & Bobin 2019, arXiv:1806.10537).
"""

__all__ = ["ring_shapes", "shear_bias"]

import dataclasses

import galsim
import numpy as np

from ..observations.observation import Observation
from .surveys import Survey, observed_by

SHEAR = 0.02
"""Size of the applied shear."""
SAMPLING = 1.5
"""Smallest standard deviation of the PSF [pixels]: re-Gaussianization fails for narrower ones, so a
survey with larger pixels is taken to combine dithered exposures onto smaller ones."""


def ring_shapes(stamp: np.ndarray, observation: Observation, survey: Survey, noise_seed: int
                ) -> tuple[float, float]:
    """How the measured shape of a galaxy follows a shear.

    Parameters:
        stamp:          As observed, shape [S, S].
        observation:    The `Observation` with the PSF and zero point of the stamp.
        survey:         The `Survey` that observes the sheared galaxy.
        noise_seed:     Seed of the noise of the survey, the same for all shears.

    Returns:
        (slope, square): half of the change of the measured distortion per shear, mean of both
        components; and the mean of the squared distortion.  NaN if a shape cannot be measured.
    """
    assert observation.zero_point is not None
    survey = dataclasses.replace(
        survey, pixel_scale=min(survey.pixel_scale, survey.sigma / SAMPLING))
    sigma = survey.noise_sigma(observation.zero_point)
    psf, noise = survey.psf_image(), None
    slopes, squares = [], []
    for component in ("g1", "g2"):
        shapes = []
        for sign in (1, -1):
            image = observed_by(
                survey, stamp, observation, galsim.Shear(**{component: sign * SHEAR}))
            if image is None:
                return np.nan, np.nan
            if noise is None:
                noise = np.random.default_rng(noise_seed).normal(0.0, sigma, image.shape)
            measured = galsim.hsm.EstimateShear(
                galsim.Image(image + noise, scale=1.0), psf, shear_est="REGAUSS",
                sky_var=sigma**2, strict=False)
            shape = np.array([measured.corrected_e1, measured.corrected_e2])
            if measured.error_message or not (np.hypot(*shape) < 1):
                return np.nan, np.nan
            shapes.append(shape)
        number = int(component == "g2")
        slopes.append((shapes[0] - shapes[1])[number] / (4 * SHEAR))
        squares += [float((shape**2).sum()) for shape in shapes]
    return float(np.mean(slopes)), float(np.mean(squares))


def shear_bias(slopes: np.ndarray, squares: np.ndarray, weights: np.ndarray | None = None
               ) -> np.ndarray:
    """The multiplicative bias m of the mean shear of galaxies.

    The mean distortion of galaxies with isotropic orientations is 2 (1 - <e^2> / 2) times the
    shear (Bernstein & Jarvis 2002, arXiv:astro-ph/0107431); m is by how much that of the measured
    distortions deviates.

    Parameters:
        slopes, squares:    Of N galaxies, as `ring_shapes` gives them.
        weights:            Bootstrap weights, shape [B, N].  [default: ones, B = 1]

    Returns:
        m, float64 [B].

    Example:

        >>> shear_bias(np.array([0.95]), np.array([0.1])).round(3)
        array([0.])
    """
    weights = np.ones((1, len(slopes))) if weights is None else weights
    with np.errstate(invalid="ignore"):
        total = weights.sum(axis=1)
        return (weights @ slopes / total) / (1 - 0.5 * (weights @ squares / total)) - 1
