"""The writer of the collection of real galaxies (see `galsim_deep.observations.collection`).

The same galaxies give the same bytes.
"""

__all__ = ["ROUNDING", "add_catalogue", "rounded", "write_collection"]

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from galsim import GalSimError

from galsim_deep.observations.collection import (
    COLUMNS,
    FORMAT_VERSION,
    CollectedGalaxy,
    Conditions,
    Survey,
)
from galsim_deep.runtime.atomic_files import replace_file

if TYPE_CHECKING:
    from astropy.table import Table

ROUNDING = 16
"""Fluxes are rounded to a multiple of the largest power of two that is at most the noise over this
number.  That adds less than 0.02 % to the variance of the noise and makes the file a third as
large."""



def rounded(image: np.ndarray, noise: float) -> np.ndarray:
    """Round an image to what its noise lets one know, so that it can be compressed.

    Parameters:
        image:      Shape [S, S].
        noise:      Standard deviation of the noise in a pixel, positive.

    Returns:
        float32, shape [S, S].

    Example::

        >>> rounded(np.array([[0.3, 1.03]]), noise=1.0)
        array([[0.3125, 1.    ]], dtype=float32)
    """
    step = 2.0 ** np.floor(np.log2(noise / ROUNDING))
    return (np.rint(np.asarray(image, float) / step) * step).astype(np.float32)


def write_collection(path: str | os.PathLike, galaxies: Sequence[CollectedGalaxy],
                     surveys: Mapping[str, Survey],
                     conditions: Mapping[str, Conditions] | None = None,
                     catalogues: Mapping[str, "Table"] | None = None) -> None:
    """Write a collection of galaxies.

    PSFs and noise correlations that several galaxies share are written once.

    Parameters:
        path:           The HDF5 file, replaced if it exists.
        galaxies:       The galaxies, in the order of the table.
        surveys:        Where the galaxies of each survey are from, {survey: `Survey`}.
        conditions:     What other surveys observe with, {name: `Conditions`}.
        catalogues:     Tables of populations, {name: table}.

    Raises:
        galsim.GalSimError: if a galaxy cannot be used by those who read the file: a value or a
                            pixel that is not finite, a PSF without a middle pixel or unit sum, two
                            galaxies of one name, a galaxy held out of which another image is not.
                            Nothing is written then.

    Example, where ``galaxies`` is a list of `CollectedGalaxy`::

        write_collection("galaxies.h5", galaxies, {"ceers": survey})
    """
    _check(galaxies, surveys)
    for name, condition in (conditions or {}).items():
        _check_conditions(name, condition)
    with replace_file(path) as unfinished, h5py.File(
            unfinished, "w", libver="latest") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        for part in ("images", "usable", "psfs", "noise_correlations", "surveys", "catalogues",
                     "conditions"):
            file.create_group(part)
        for galaxy in galaxies:
            image = rounded(galaxy.image, galaxy.noise_inside)
            _compressed(file["images"], galaxy.name, image)
            if not galaxy.usable.all():
                _compressed(file["usable"], galaxy.name, galaxy.usable)
        psf_names = _write_shared(
            file["psfs"], galaxies, [(galaxy.psf, galaxy.psf_scale) for galaxy in galaxies])
        correlation_names = _write_shared(
            file["noise_correlations"], galaxies,
            [None if galaxy.noise_correlation is None else (galaxy.noise_correlation, None)
             for galaxy in galaxies])
        rows = [dict(galaxy.__dict__, psf=psf, noise_correlation=correlation)
                for galaxy, psf, correlation in zip(galaxies, psf_names, correlation_names,
                                                    strict=True)]
        table = _compressed(file, "table", _structured(
            {name: [column.kind(row[name]) for row in rows] for name, column in COLUMNS.items()}))
        table.attrs.update({name: column.meaning for name, column in COLUMNS.items()})
        for name, survey in surveys.items():
            file["surveys"].create_group(name).attrs.update(asdict(survey))
        for name, condition in (conditions or {}).items():
            _write_conditions(file["conditions"].create_group(name), condition)
        for name, catalogue in (catalogues or {}).items():
            _write_catalogue(file["catalogues"], name, catalogue)


def add_catalogue(path: str | os.PathLike, name: str, catalogue: "Table") -> None:
    """Add a table of a population of galaxies to a collection, or replace it.

    Parameters:
        path:       The collection.
        name:       Name of the catalogue.
        catalogue:  The table.  Its meta data that are numbers or text are kept.

    Raises:
        galsim.GalSimError: if there is no such file.

    Example, where ``collection_file`` is a collection:

        >>> from astropy.table import Table
        >>> from galsim_deep.observations.collection import Collection
        >>> add_catalogue(collection_file, "faint", Table({"magnitude": [25.5, 26.0]}))
        >>> len(Collection(collection_file).catalogue("faint"))
        2
    """
    if not Path(path).is_file():
        raise GalSimError(f"There is no collection of galaxies {path} to add a catalogue to.")
    with replace_file(path) as unfinished:
        shutil.copyfile(path, unfinished)
        with h5py.File(unfinished, "r+") as file:
            if name in file["catalogues"]:
                del file["catalogues"][name]
            _write_catalogue(file["catalogues"], name, catalogue)


def _check(galaxies: Sequence[CollectedGalaxy], surveys: Mapping[str, Survey]) -> None:
    if not galaxies:
        raise GalSimError("A collection needs at least one galaxy.")
    names = [galaxy.name for galaxy in galaxies]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise GalSimError(f"Several galaxies have the name {', '.join(twice)}.")
    held_out: dict[int, CollectedGalaxy] = {}
    for galaxy in galaxies:
        problem = _problem(galaxy)
        if problem:
            raise GalSimError(f"The galaxy '{galaxy.name}' cannot be written: {problem}.")
        if galaxy.survey not in surveys:
            raise GalSimError(f"The galaxy '{galaxy.name}' is from the survey '{galaxy.survey}', "
                              f"of which nothing is said; there is: {', '.join(surveys)}.")
        other = held_out.setdefault(galaxy.group, galaxy)
        if other.held_out != galaxy.held_out:
            raise GalSimError(f"'{galaxy.name}' and '{other.name}' show the same galaxy, group "
                              f"{galaxy.group}, but only one of them is held out.")


def _problem(galaxy: CollectedGalaxy) -> str:
    """What is wrong with a galaxy; empty if nothing is."""
    for name, column in COLUMNS.items():
        value = getattr(galaxy, name)
        if column.kind is float and not np.isfinite(value) and (column.known or np.isinf(value)):
            return f"its {name} is {value}"
    shape = galaxy.image.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        return f"its image has the shape {shape}, not [S, S]"
    if galaxy.usable.shape != shape:
        return f"'usable' has the shape {galaxy.usable.shape}, its image {shape}"
    if not np.isfinite(galaxy.image).all():
        return "its image has pixels that are not finite"
    if not (0 <= galaxy.x <= shape[1] - 1 and 0 <= galaxy.y <= shape[0] - 1):
        return f"its centre ({galaxy.x}, {galaxy.y}) is outside of the image"
    for name in ("pixel_scale", "psf_scale", "noise_inside", "radius_used", "half_light_radius"):
        if not getattr(galaxy, name) > 0:
            return f"its {name} is not positive"
    if galaxy.judge_only and not galaxy.held_out:
        return "it serves for validation only, but is not held out"
    correlation = galaxy.noise_correlation
    if correlation is not None and (_even(correlation) or not np.isclose(
            correlation[len(correlation) // 2, len(correlation) // 2], 1.0)):
        return "the correlation of its noise is not 1 in a middle pixel"
    return _psf_problem(galaxy.psf)


def _even(image: np.ndarray) -> bool:
    """Whether an image is not square with a middle pixel."""
    return image.ndim != 2 or image.shape[0] != image.shape[1] or len(image) % 2 == 0


def _psf_problem(psf: np.ndarray) -> str:
    if _even(psf):
        return f"the PSF has the shape {psf.shape}, not [P, P] with an odd P"
    if not np.isclose(psf.sum(), 1.0, atol=1e-5):
        return f"the sum of the PSF is {psf.sum():.6g}, not 1"
    return ""


def _check_conditions(name: str, conditions: Conditions) -> None:
    problem = next(filter(None, map(_psf_problem, conditions.psf)), "")
    if conditions.noise_variance.shape != conditions.psf.shape[:1]:
        problem = "there is not one variance of the noise for each PSF"
    if problem:
        raise GalSimError(f"The conditions '{name}' cannot be written: {problem}.")


def _write_shared(group: h5py.Group, galaxies: Sequence[CollectedGalaxy],
                  arrays: Sequence[tuple[np.ndarray, float | None] | None]) -> list[str]:
    """Write the distinct ones of images of PSFs or noise correlations.

    Parameters:
        arrays:     The image of each galaxy with the size of its pixels; None if it has none.

    Returns:
        the name of each galaxy's image: that of the first galaxy that has it; empty if it has none.
    """
    names: dict[tuple, str] = {}
    written = []
    for galaxy, entry in zip(galaxies, arrays, strict=True):
        if entry is None:
            written.append("")
            continue
        array, scale = np.asarray(entry[0], np.float32), entry[1]
        key = array.tobytes(), scale
        if key not in names:
            names[key] = galaxy.name
            data = _compressed(group, galaxy.name, array)
            if scale is not None:
                data.attrs["pixel_scale"] = scale
        written.append(names[key])
    return written


def _write_conditions(group: h5py.Group, conditions: Conditions) -> None:
    for name in ("psf", "noise_variance", "noise_correlation"):
        _compressed(group, name, np.asarray(getattr(conditions, name), np.float32))
    group.attrs.update(zero_point=conditions.zero_point, pixel_scale=conditions.pixel_scale)


def _write_catalogue(group: h5py.Group, name: str, catalogue: "Table") -> None:
    columns = {key: np.ma.filled(np.ma.asarray(catalogue[key])) for key in catalogue.colnames}
    data = _compressed(group, name, _structured(columns))
    data.attrs.update({key: value for key, value in catalogue.meta.items()
                       if isinstance(value, str | int | float)})


def _structured(columns: Mapping[str, Any]) -> np.ndarray:
    """Columns as a structured array, with text in UTF-8, as HDF5 stores it."""
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    arrays = {name: np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values
              for name, values in arrays.items()}
    rows = np.empty(len(next(iter(arrays.values()))),
                    [(name, values.dtype if values.dtype.itemsize else "S1")
                     for name, values in arrays.items()])
    for name, values in arrays.items():
        rows[name] = values
    return rows


def _compressed(group: h5py.Group, name: str, data: np.ndarray) -> h5py.Dataset:
    """Write a compressed data set in one piece: the index of many pieces would take more space."""
    return group.create_dataset(name, data=data, chunks=data.shape, compression="gzip",
                                compression_opts=9, shuffle=True)
