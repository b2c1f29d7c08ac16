"""Measurements of a real galaxy, its parametric fit and its true profile.

None of it depends on the module, and it takes two thirds of the time of a validation, so that it
can be cached: `measure_observed_cached`.
"""

__all__ = ["measure_observed", "measure_observed_cached"]

import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.resources
from typing import Any

import numpy as np

from ..measure.parametric import fit_parametric, fit_sersic
from ..observations.flux_units import FluxUnits
from ..observations.observation import Observation
from .cache import Cache, key_of
from .galaxy import (
    SAMPLES,
    GalaxyMeasurements,
    chi_square_per_pixel,
    light_statistics,
    measure_samples,
)
from .random_streams import RandomStreams

_CODE = ("measure", "observations", "runtime/atomic_files.py", "validation/cache.py",
         "validation/galaxy.py", "validation/measure_observed.py", "validation/natural_numbers.py",
         "validation/random_streams.py")
"""The folders and files of galsim_deep with the code that `measure_observed` runs."""
_LIBRARIES = ("galsim", "numpy", "scipy", "statmorph", "astropy", "photutils", "scikit-image",
              "sep")
"""The libraries that it uses."""
_UNUSED = ("columns", "source")
"""Attributes of an `Observation` that `measure_observed` does not use."""


def measure_observed(observation: Observation, streams: RandomStreams, units: FluxUnits,
                     natural: bool = False) -> GalaxyMeasurements:
    """Measure a real galaxy, its parametric fit and its true profile.

    Parameters:
        observation:    The real galaxy, with its true profile if that is to be measured.
        streams:        The random numbers of the noise.
        units:          Converts the true profile to the flux unit of the module.
        natural:        Whether the galaxy is at its natural size.  The fit is then a Sersic
                        profile, never a bulge with a disc: what it leaves over is measured.

    Returns:
        the `GalaxyMeasurements` of the samples real and parametric; its stamps are the parametric
        fit without noise, ``model_parametric``, and with noise, ``parametric``.

    Raises:
        galsim.GalSimError: if the noise level is not positive, or the PSF is not finite or not of
                            odd size.
    """
    # The fit leaves out pixels that are NaN.
    known = observation.known(observation.stamp)
    if natural:
        fit = fit_sersic(known, observation.pixel_scale, observation.psf, observation.noise_sigma)
    else:
        fit = fit_parametric(dataclasses.replace(observation, stamp=known))
    noise = streams.noise(observation.number, SAMPLES.index("parametric"))
    samples = dict(real=observation.stamp, parametric=observation.drawn_like(fit.stamp, noise))
    numbers: dict[str, Any] = dict(
        bulge_and_disc=float(fit.kind == "bulge+disc"), fit_failed=float(not fit.success),
        chi2_parametric=chi_square_per_pixel(fit.stamp, observation))
    if observation.noiseless is not None:
        numbers.update(light_statistics(
            units.image_to_module(observation.noiseless), observation.pixel_scale,
            observation.psf, "noiseless"))
    return measure_samples(
        observation, samples, numbers,
        dict(parametric=samples["parametric"], model_parametric=fit.stamp),
        natural=natural, seed=streams.seed, fits=dict(real=fit))


def measure_observed_cached(observation: Observation, streams: RandomStreams, units: FluxUnits,
                            cache: Cache | None, natural: bool = False) -> GalaxyMeasurements:
    """`measure_observed`, from a cache if it has been done before.

    Parameters are those of `measure_observed`, and the `Cache`; None for no cache.
    """
    if cache is None:
        return measure_observed(observation, streams, units, natural)
    key = key_of(dict(_ingredients(observation, streams, units), natural=natural))
    arrays = cache.get(key)
    if arrays is not None:
        return _from_arrays(arrays)
    measurements = measure_observed(observation, streams, units, natural)
    cache.put(key, _as_arrays(measurements))
    return measurements


def _ingredients(observation: Observation, streams: RandomStreams, units: FluxUnits
                 ) -> dict[str, Any]:
    """Everything that the result of `measure_observed` depends on."""
    ingredients = {field.name: getattr(observation, field.name)
                   for field in dataclasses.fields(observation) if field.name not in _UNUSED}
    return dict(ingredients, seed=streams.seed,
                gain=None if observation.noiseless is None else float(units.gain),
                code=_code(), libraries=_libraries())


@functools.cache
def _code() -> str:
    """A hash of the code that measures.  A version number might not be changed with the code."""
    digest = hashlib.sha256()
    root = importlib.resources.files("galsim_deep")
    for name in _CODE:
        path = root / name
        files = [path] if path.is_file() else sorted(
            (file for file in path.iterdir() if file.name.endswith(".py")),
            key=lambda file: file.name)
        for file in files:
            source = file.read_bytes()
            digest.update(f"{name} {file.name} {len(source)}\n".encode() + source)
    return digest.hexdigest()


@functools.cache
def _libraries() -> str:
    """The versions of the libraries that measure: another version may round differently."""
    return " ".join(f"{name}={_version(name)}" for name in _LIBRARIES)


def _version(name: str) -> str | None:
    """The version of the installation that is imported, if there are several."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _as_arrays(measurements: GalaxyMeasurements) -> dict[str, Any]:
    """`GalaxyMeasurements` as a flat dict: {"values/real/size": number, ...}."""
    arrays = {f"{part}/{sample}/{name}": value for part in ("values", "flags")
              for sample, entries in getattr(measurements, part).items()
              for name, value in entries.items()}
    return arrays | {f"{part}/{name}": value for part in ("numbers", "stamps")
                     for name, value in getattr(measurements, part).items()}


def _from_arrays(arrays: dict[str, np.ndarray]) -> GalaxyMeasurements:
    """The inverse of `_as_arrays`."""
    measurements = GalaxyMeasurements({}, {}, {}, {})
    for path, value in arrays.items():
        part, *samples, name = path.split("/")
        entries = getattr(measurements, part)
        for sample in samples:
            entries = entries.setdefault(sample, {})
        entries[name] = value if value.ndim else value.item()
    return measurements
