"""Measurements of a generated galaxy, and of the reconstruction of the real one."""

__all__ = ["Task", "draw_generated", "measure_generated"]

import dataclasses
from typing import Any

import galsim
import numpy as np

from ..measure import shear
from ..modules.card import Card
from ..observations.flux_units import FluxUnits
from ..observations.observation import Observation
from ..profiles.make import make_profile
from .cache import Cache
from .galaxy import (
    SAMPLES,
    GalaxyMeasurements,
    chi_square_per_pixel,
    light_statistics,
    measure_samples,
)
from .measured_columns import measured_columns
from .profile_checks import check_profile, subpixel_changes
from .random_streams import RandomStreams


@dataclasses.dataclass(frozen=True)
class Task:
    """Everything that is needed to measure one galaxy, in any process.

    Attributes:
        observation:    The real galaxy.
        generated:      The profile generated for its columns, in the flux unit and pixels of the
                        module, float32 [S, S].
        reconstructed:  The module's best profile for the real stamp, likewise; None for a module
                        that does not encode.
        card:           The card of the module.
        pixel_scale:    Size of a pixel of the generated profile [arcsec].
        units:          The flux units of the real stamps and of the module.
        streams:        The random numbers.
        keep_stamps:    Whether the result should hold the stamps.
        cache:          Keeps what does not depend on the module; None for no cache.
        natural:        Whether the real galaxy is at its natural size, so that
                        `galsim_deep.validation.natural_numbers` are measured too.

    Example, for the first galaxy of a ``comparison``:

        >>> galaxy = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae").images(
        ...     dict(hlr=0.2, mag_auto=22.0, zphot=0.5), seeds=[7])[0, ..., 0]
        >>> task = Task(comparison.galaxies.observation(0), galaxy, None, comparison.card,
        ...             0.03, comparison.units, comparison.streams, keep_stamps=False)
        >>> draw_generated(task)["generated"].shape
        (32, 32)
    """

    observation: Observation
    generated: np.ndarray
    reconstructed: np.ndarray | None
    card: Card
    pixel_scale: float
    units: FluxUnits
    streams: RandomStreams
    keep_stamps: bool
    cache: Cache | None = None
    natural: bool = False

    @property
    def same_pixels(self) -> bool:
        """Whether the real stamps and the module have pixels of the same size."""
        return bool(np.isclose(
            self.observation.pixel_scale, self.pixel_scale, rtol=1e-5))


def measure_generated(task: Task) -> GalaxyMeasurements:
    """Measure the generated galaxy and the reconstruction of the real one.

    Parameters:
        task:   The galaxy.

    Returns:
        the `GalaxyMeasurements` of the sample generated; its stamps are those of `draw_generated`,
        and the reconstruction through the PSF, ``model_reconstructed``, if there is one.

    Raises:
        galsim.GalSimError: if the noise level of the real galaxy is not positive, or its PSF is not
                            finite or not of odd size.
    """
    observation = task.observation
    profile, convolved, stamps = _drawn(task)
    numbers = _profile_numbers(profile, convolved, task)
    if task.reconstructed is not None:
        reconstructed = _convolved(_in_stamp_units(
            task.reconstructed, task.card.pixel_scale, task), observation)
        numbers["chi2_reconstructed"] = chi_square_per_pixel(reconstructed, observation)
        stamps["model_reconstructed"] = reconstructed
        if observation.noiseless is not None:
            # The chi-square of a perfect model.  Fits have a lower one: they follow the noise too.
            numbers["chi2_noiseless"] = chi_square_per_pixel(observation.noiseless, observation)
    if observation.noiseless is not None:
        numbers.update(light_statistics(
            task.units.image_to_module(convolved), observation.pixel_scale, observation.psf,
            "generated"))
    return measure_samples(observation, dict(generated=stamps["generated"]), numbers, stamps,
                           natural=task.natural, seed=task.streams.seed)


def draw_generated(task: Task) -> dict[str, np.ndarray]:
    """Draw the generated galaxy without measuring it.

    Parameters:
        task:   The galaxy.

    Returns:
        {``generated``: as it would have been observed, ``profile``: before PSF, on the pixels of
        the real stamps}, float64 [S, S] each, in the flux unit of the real stamps.

    Raises:
        galsim.GalSimError: if the noise level of the real galaxy is not positive, or its PSF is not
                            finite or not of odd size.
    """
    return _drawn(task)[2]


def _drawn(task: Task) -> tuple[galsim.GSObject | None, np.ndarray, dict[str, np.ndarray]]:
    """The generated galaxy: its profile, its image through the PSF, and its stamps."""
    observation = task.observation
    profile = _in_stamp_units(task.generated, task.pixel_scale, task)
    convolved = _convolved(profile, observation)
    noise = task.streams.noise(observation.number, SAMPLES.index("generated"))
    return profile, convolved, dict(generated=observation.drawn_like(convolved, noise),
                                    profile=_on_stamp_pixels(profile, task))


def _in_stamp_units(image: np.ndarray, pixel_scale: float, task: Task) -> galsim.GSObject | None:
    """An image of the module as a GSObject in the flux unit of the real stamps."""
    return _profile_or_none(task.units.image_to_stamps(image), pixel_scale)


def _profile_or_none(image: np.ndarray, pixel_scale: float) -> galsim.GSObject | None:
    """An image as a GSObject; None if it is not finite or has no positive flux."""
    if not np.isfinite(image).all() or image.sum() <= 0:
        return None
    return make_profile(image, pixel_scale)


def _convolved(profile: galsim.GSObject | None, observation: Observation) -> np.ndarray:
    """A profile through the PSF of an observation, float64 [S, S]; NaN if there is no profile."""
    if profile is None:
        return np.full(observation.stamp.shape, np.nan)
    return observation.convolved(profile)


def _on_stamp_pixels(profile: galsim.GSObject | None, task: Task) -> np.ndarray:
    """The generated profile before PSF on the pixels of the real stamps, shape [S, S]."""
    shape, scale = task.observation.stamp.shape, task.observation.pixel_scale
    if profile is None:
        return np.full(shape, np.nan)
    if task.generated.shape == shape and task.same_pixels:
        return task.units.image_to_stamps(task.generated)
    return profile.drawImage(
        nx=shape[1], ny=shape[0], scale=scale, method="no_pixel", dtype=float,
        offset=task.observation.offset).array


def _profile_numbers(profile: galsim.GSObject | None, convolved: np.ndarray, task: Task
                     ) -> dict[str, Any]:
    """Numbers that describe the generated profile itself, without noise."""
    observation = task.observation
    numbers: dict[str, Any] = dict(check_profile(task.generated))
    measured = measured_columns(
        np.asarray(task.generated, float), convolved, task.card,
        observation.pixel_scale, task.pixel_scale)
    numbers.update({f"measured_{name}": value for name, value in measured.items()})
    names = ("size", "flux", "g")
    subpixel, response = dict.fromkeys(names, np.nan), np.nan
    if profile is not None:
        subpixel = subpixel_changes(profile, observation)
        response = np.mean(shear.profile_response(profile, observation))
    numbers.update({f"subpixel_{name}": subpixel[name] for name in names})
    return dict(numbers, response_profile=response)
