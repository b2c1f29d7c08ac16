"""The prepared collection of real galaxies: its layout and its reader.

One HDF5 file holds galaxies of several surveys, each with what is known about how it was observed.
``training/sources/prepare.py`` writes it.  The attributes of `CollectedGalaxy`
are the columns of its table.

============================  ====================================================================
``table``                     one row a galaxy
``images/NAME``               float32 [S, S], sky subtracted, flux per pixel
``usable/NAME``               bool [S, S]; False where another object or a defect is seen, or beyond
                              what was observed; absent if all pixels can be used
``psfs/NAME``                 effective PSF (pixel response included), [P, P], P odd, unit sum; its
                              attribute ``pixel_scale`` is the size of its pixels [arcsec as used]
``noise_correlations/NAME``   correlation function of the noise, [C, C], C odd, 1 in the middle
``surveys/NAME``              a group whose attributes say where the galaxies of a survey are from
``catalogues/NAME``           a table of a population of galaxies
``conditions/NAME``           what another survey observes with, see `Conditions`
============================  ====================================================================

The attribute ``format_version`` is `FORMAT_VERSION`.  Positions are in pixels from the centre of
the first pixel; x is the second index of an array.

**As used.**  Galaxies nearby are moved to the redshift at which their pixel spans the size that
0.03 arcsec span there; that pixel is then said to be 0.03 arcsec wide.  Lengths, magnitudes and
redshifts "as used" are those after this change; ``original_pixel_scale`` and
``original_redshift`` tell what was observed.
"""

__all__ = ["COLUMNS", "FORMAT_VERSION", "CollectedGalaxy", "Collection", "Column", "Conditions",
           "Survey"]

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
from galsim import GalSimError

from .hdf5 import open_hdf5

if TYPE_CHECKING:
    import h5py
    from astropy.table import Table

FORMAT_VERSION = 1


NOT_ALWAYS = "NaN if it is not known"
"""Marks columns whose value is not known for every galaxy."""


@dataclasses.dataclass(frozen=True)
class CollectedGalaxy:
    """A galaxy of the collection.

    The attributes after the first five are the columns of the table, in its order; what they mean
    is written beside them.  In the table, ``psf`` and ``noise_correlation`` are names.

    Attributes:
        image:              Sky subtracted, flux per pixel, float64 [S, S]; rows are y.
        usable:             False where the light is not the galaxy's own, or was not observed,
                            bool [S, S].
        psf:                Effective PSF (pixel response included), float64 [P, P], P odd, centred
                            on the middle pixel, unit sum.
        psf_scale:          Size of a pixel of the PSF [arcsec as used].
        noise_correlation:  Correlation function of the noise, float64 [C, C], C odd, 1 in the
                            middle; None if it is not known.

    Example, where ``collection_file`` is a collection of two galaxies:

        >>> galaxy = Collection(collection_file).galaxy(0)
        >>> galaxy.name, galaxy.image.shape, galaxy.psf_scale, galaxy.noise_correlation is None
        ('first', (24, 24), 0.03, True)
    """

    image: np.ndarray = dataclasses.field(repr=False)
    usable: np.ndarray = dataclasses.field(repr=False)
    psf: np.ndarray = dataclasses.field(repr=False)
    psf_scale: float
    noise_correlation: np.ndarray | None = dataclasses.field(repr=False)
    name: Annotated[str, "name of the image, such as ceers-017"]
    survey: Annotated[str, "the survey that the image is from"]
    band: Annotated[str, "photometric band"]
    group: Annotated[int, "images of the same galaxy have the same number"]
    held_out: Annotated[bool, "never used for training or for a choice, only for validation"]
    judge_only: Annotated[bool, "a stamp of the survey that modules are trained for, whose wings "
                                "and noise are real; always held out"]
    pixel_scale: Annotated[float, "size of a pixel [arcsec as used]"]
    noise_sigma: Annotated[float, "standard deviation of the noise of the sky in a pixel [flux]; 0 "
                                  "if the image is cut at a segment"]
    photon_variance: Annotated[float, "variance of the photon noise of the galaxy in a pixel per "
                                      "flux of that pixel; 0 if it is not known"]
    zero_point: Annotated[float, "magnitude as used of a flux of 1"]
    cut: Annotated[bool, "whether the image is zero beyond a segment, without sky"]
    x: Annotated[float, "centre [pixels from the middle of the first]"]
    y: Annotated[float, "centre [pixels from the middle of the first]"]
    radius_used: Annotated[float, "semi-major axis of the ellipse in which light is seen [pixels]"]
    ellipse_axis_ratio: Annotated[float, "axis ratio of that ellipse, at least 0.25"]
    ellipse_angle: Annotated[float, "position angle of that ellipse [degrees from x towards y]"]
    magnitude: Annotated[float, "total magnitude as used, without K-correction"]
    redshift: Annotated[float, "redshift as used", NOT_ALWAYS]
    half_light_radius: Annotated[float, "half-light radius of the Sersic fit before the PSF, "
                                        "sqrt(q) times its semi-major axis [arcsec as used]"]
    flux_radius: Annotated[float, "radius of the circle with half of the light, as observed "
                                  "[arcsec as used]"]
    lost_light: Annotated[float, "share of the light in pixels that cannot be used, by the "
                                 "elliptical profile"]
    sersic_n: Annotated[float, "Sersic index of the fit"]
    axis_ratio: Annotated[float, "minor over major axis of the fit, before the PSF"]
    position_angle: Annotated[float, "of the major axis of the fit [degrees from x towards y]"]
    signal_to_noise: Annotated[float, "flux over the error of the sum within radius_used"]
    wavelength: Annotated[float, "effective wavelength of the band [nm]"]
    rest_wavelength: Annotated[float, "the same in the galaxy's frame, by its original redshift "
                                      "[nm]", NOT_ALWAYS]
    ra: Annotated[float, "right ascension [degrees]", NOT_ALWAYS]
    dec: Annotated[float, "declination [degrees]", NOT_ALWAYS]
    original_pixel_scale: Annotated[float, "size of a pixel as it was observed [arcsec]"]
    original_redshift: Annotated[float, "redshift as it was observed", NOT_ALWAYS]
    visual_class: Annotated[str, "class by eye from the literature; empty if it is not known"]
    p_bar: Annotated[float, "share of votes for a bar", NOT_ALWAYS]
    pitch_angle: Annotated[float, "pitch angle of the spiral arms [degrees]", NOT_ALWAYS]
    notes: Annotated[str, "what else a user of the image should know"]
    noise_inside: Annotated[float, "standard deviation of the noise in a pixel of the galaxy "
                                   "[flux]; of an image cut at a segment, a guess from the "
                                   "differences of neighbouring pixels"]


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        kind:       `str`, `int`, `bool` or `float`.
        meaning:    What it says about a galaxy, with its unit.
        known:      Whether it is known for every galaxy; if not, it may be NaN.

    Example:

        >>> COLUMNS["axis_ratio"].kind.__name__, COLUMNS["redshift"].known
        ('float', False)
    """

    kind: type
    meaning: str
    known: bool


def _columns() -> dict[str, Column]:
    columns = {}
    for name, hint in get_type_hints(CollectedGalaxy, include_extras=True).items():
        if get_origin(hint) is Annotated:
            kind, meaning, *marks = get_args(hint)
            columns[name] = Column(kind, meaning, NOT_ALWAYS not in marks)
    return columns | {"psf": Column(str, "name of the PSF", True),
                      "noise_correlation": Column(str, "name of the correlation of the noise; "
                                                       "empty if it is not known", True)}


COLUMNS = _columns()
"""The columns of the table, {name: column}."""


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What a survey observes with.

    Attributes:
        psf:                Effective PSFs, float64 [K, P, P], P odd, unit sums.
        noise_variance:     Variance of the noise in a pixel, one for each PSF, float64 [K].
        noise_correlation:  Correlation function of the noise, float64 [C, C], 1 in the middle.
        zero_point:         Magnitude of a flux of 1.
        pixel_scale:        Size of a pixel of images and PSFs [arcsec].

    Example, where ``collection_file`` is a collection of two galaxies:

        >>> Collection(collection_file).conditions("acs_f814w").psf.shape
        (2, 9, 9)
    """

    psf: np.ndarray
    noise_variance: np.ndarray
    noise_correlation: np.ndarray
    zero_point: float
    pixel_scale: float


@dataclasses.dataclass(frozen=True)
class Survey:
    """Where the images of a survey are from, and how they may be used.

    Attributes:
        title:      Name of the set.
        origin:     Telescope, archive, and the public repository that the images are from.
        citation:   What to cite.
        terms:      Licence, or public domain.
        notes:      How the images were prepared.

    Example:

        >>> survey = Survey(title="A survey", origin="A telescope", citation="A paper",
        ...                 terms="public domain", notes="")
        >>> survey.terms
        'public domain'
    """

    title: str
    origin: str
    citation: str
    terms: str
    notes: str


class Collection:
    """The collection of real galaxies, open for reading.

    The table is read at once, images one by one.

    Parameters:
        path:       The HDF5 file.

    Attributes:
        path:       The file.
        table:      The table, an `astropy.table.Table` with the columns of `COLUMNS`.
        surveys:    {name: `Survey`}.

    Raises:
        galsim.GalSimError: if there is no such file, it is no collection of this version, or h5py
                            is not installed.

    Example, where ``collection_file`` is a collection of two galaxies:

        >>> collection = Collection(collection_file)
        >>> collection.table["name"].tolist()
        ['first', 'second']
        >>> galaxy = collection.galaxy("second")
        >>> galaxy.image.shape, galaxy.psf.shape, round(galaxy.magnitude, 1)
        ((24, 24), (9, 9), 21.0)
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        self.table = _read_table(self._file["table"])
        self.surveys = {
            name: Survey(**{field.name: str(group.attrs[field.name])
                            for field in dataclasses.fields(Survey)})
            for name, group in self._file["surveys"].items()}
        self._rows = {str(name): row for row, name in enumerate(self.table["name"])}

    def __len__(self) -> int:
        return len(self.table)

    def galaxy(self, which: str | int) -> CollectedGalaxy:
        """Read a galaxy.

        Parameters:
            which:  Its name, or its row of the table.

        Raises:
            galsim.GalSimError: if there is no such galaxy.
        """
        row = self._row(which)
        values = {name: column.kind(self.table[name][row]) for name, column in COLUMNS.items()}
        name, psf = values["name"], self._file["psfs"][values.pop("psf")]
        correlation = values.pop("noise_correlation")
        image = self._file["images"][name][:].astype(float)
        usable = (self._file["usable"][name][:] if name in self._file["usable"]
                  else np.ones(image.shape, bool))
        return CollectedGalaxy(
            image=image, usable=usable, psf=psf[:].astype(float),
            psf_scale=float(psf.attrs["pixel_scale"]), noise_correlation=None if not correlation
            else self._file["noise_correlations"][correlation][:].astype(float), **values)

    def conditions(self, name: str) -> Conditions:
        """What a survey observes with.

        Raises:
            galsim.GalSimError: if the collection does not hold the conditions of this name.
        """
        group = self._member("conditions", name)
        psf, variance, correlation = (
            group[key][:].astype(float) for key in ("psf", "noise_variance", "noise_correlation"))
        return Conditions(
            psf=psf, noise_variance=variance, noise_correlation=correlation,
            zero_point=float(group.attrs["zero_point"]),
            pixel_scale=float(group.attrs["pixel_scale"]))

    @property
    def catalogues(self) -> list[str]:
        """The names of the catalogues."""
        return sorted(self._file["catalogues"])

    def catalogue(self, name: str) -> "Table":
        """A table of a population of galaxies.

        Raises:
            galsim.GalSimError: if the collection has no such catalogue.
        """
        return _read_table(self._member("catalogues", name))

    def _row(self, which: str | int) -> int:
        if isinstance(which, str):
            if which not in self._rows:
                raise GalSimError(
                    f"The collection {self.path} has no galaxy '{which}'. Its names are the column "
                    f"'name' of its table, such as {', '.join(list(self._rows)[:3])}.")
            return self._rows[which]
        if not 0 <= which < len(self):
            raise GalSimError(f"The collection {self.path} has no row {which}: its {len(self)} "
                              "rows are counted from 0.")
        return int(which)

    def _member(self, part: str, name: str) -> Any:
        if name not in self._file[part]:
            names = ", ".join(sorted(self._file[part])) or "none"
            raise GalSimError(
                f"The collection {self.path} has no {part} '{name}'; it has: {names}.")
        return self._file[part][name]


PARTS = ("table", "images", "usable", "psfs", "noise_correlations", "surveys", "catalogues",
         "conditions")
"""What a collection must have."""


def _open(path: Path) -> "h5py.File":
    """Open and check a collection."""
    try:
        return open_hdf5(path, f"There is no collection of galaxies {path}. The repository of "
                               "galsim-deep has one, training/sources/real_galaxies.h5.", _check)
    except ImportError:
        raise GalSimError("Reading a collection of galaxies needs the package h5py. Install the "
                          "extra 'validate' or 'train' of galsim-deep (see README.md).") from None


def _check(path: Path, file: "h5py.File") -> None:
    missing = [part for part in PARTS if part not in file]
    if "format_version" not in file.attrs or missing:
        lacking = ", ".join(missing) or "a format version"
        raise GalSimError(f"{path} is not a collection of galaxies: it lacks {lacking}.")
    version = int(file.attrs["format_version"])
    if version != FORMAT_VERSION:
        raise GalSimError(f"{path} is a collection of format version {version}; this release of "
                          f"galsim-deep reads version {FORMAT_VERSION}.")
    absent = [name for name in COLUMNS if name not in file["table"].dtype.names]
    if absent:
        raise GalSimError(f"The table of the collection {path} lacks the columns "
                          f"{', '.join(absent)}.")


def _read_table(data: "h5py.Dataset") -> "Table":
    """A compound data set as a table, with text as text and the attributes as its meta data."""
    from astropy.table import Table

    rows = data[:]
    columns = {name: rows[name] for name in rows.dtype.names}
    for name, values in columns.items():
        if values.dtype.kind == "S":
            columns[name] = np.char.decode(values, "utf-8")
    return Table(columns, meta={key: value for key, value in data.attrs.items()})
