"""What is measured on a real galaxy, its parametric fit and its true profile.

No module has a part in it, and it takes two thirds of the time of a validation: `observed` looks
into a cache first.
"""

__all__ = ["examine_observed", "observed"]

import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.resources

import numpy as np

from .cache import key_of
from .examined import Examined, chi2, light, measured, rng
from .parametric import fit_parametric

_CODE = ("cache", "examined", "moments", "observation", "observed", "parametric", "segmentation",
         "sersic", "shear", "statistics", "structure")
"""The files of this package that `examine_observed` runs through."""
_LIBRARIES = ("galsim", "numpy", "scipy", "statmorph", "astropy", "photutils", "scikit-image")
_NO_PART = ("columns", "source")
"""Attributes of an `Observation` that `examine_observed` does not look at."""


def examine_observed(observation, seed, gain=1.0):
    """The real galaxy, its parametric fit and its true profile.

    Parameters:
        observation:    An `Observation`; its true profile is looked at if it has one.
        seed:           Seed of the noise.
        gain:           What to divide the true profile by, so that it is in units of a module.

    Returns:
        an `Examined` of the samples real and parametric; stamps are the fit without noise,
        ``model_parametric``, and with it, ``parametric``.

    Raises a `galsim.GalSimError` where noise level or PSF make no sense.
    """
    # Pixels that are not finite do not count in the fit.
    fit = fit_parametric(
        dataclasses.replace(observation, stamp=observation.cut(observation.stamp, np.nan)))
    stamps = dict(real=observation.stamp,
                  parametric=observation.drawn_like(
                      fit.stamp, rng("parametric", observation, seed)))
    numbers = dict(
        bulge_and_disk=float(fit.kind == "bulge+disk"), fit_failed=float(not fit.success),
        chi2_parametric=chi2(fit.stamp, observation))
    if observation.truth is not None:
        numbers.update(light(observation.truth / gain, observation.pixel_scale, "truth"))
    return measured(observation, stamps, numbers,
                     dict(parametric=stamps["parametric"], model_parametric=fit.stamp))


def observed(observation, seed, gain, cache):
    """`examine_observed`, from the cache where it has been done before.

    Parameters:
        observation, seed, gain:    Those of `examine_observed`.
        cache:                      A `cache.Cache`, or None.
    """
    if cache is None:
        return examine_observed(observation, seed, gain)
    key = key_of(_ingredients(observation, seed, gain))
    arrays = cache.get(key)
    if arrays is not None:
        return _from_arrays(arrays)
    found = examine_observed(observation, seed, gain)
    cache.put(key, _as_arrays(found))
    return found


def _ingredients(observation, seed, gain):
    """All that the result of `examine_observed` depends on."""
    found = {field.name: getattr(observation, field.name)
             for field in dataclasses.fields(observation) if field.name not in _NO_PART}
    return dict(found, seed=seed, gain=None if observation.truth is None else float(gain),
                code=_code(), libraries=_libraries())


@functools.cache
def _code():
    """The hash of all that does the measuring here: a number of its version could be forgotten."""
    digest = hashlib.sha256()
    for name in _CODE:
        source = importlib.resources.files(__package__).joinpath(f"{name}.py").read_bytes()
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()


@functools.cache
def _libraries():
    """The versions of the libraries that do the measuring: others may round differently."""
    return " ".join(f"{name}={_version(name)}" for name in _LIBRARIES)


def _version(name):
    """The version that is imported, where an environment hides another one behind it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _as_arrays(examined):
    """An `Examined` as a flat dict: {"values/real/size": number, ...}."""
    arrays = {f"{part}/{sample}/{name}": value for part in ("values", "flags")
              for sample, one in getattr(examined, part).items() for name, value in one.items()}
    return arrays | {f"{part}/{name}": value for part in ("numbers", "stamps")
                     for name, value in getattr(examined, part).items()}


def _from_arrays(arrays):
    """What `_as_arrays` was made of."""
    found = Examined({}, {}, {}, {})
    for path, value in arrays.items():
        part, *between, name = path.split("/")
        inside = getattr(found, part)
        for sample in between:
            inside = inside.setdefault(sample, {})
        inside[name] = value if value.ndim else value.item()
    return found
