"""The card of a module: all of its metadata (module format, version 2).

The card is ``assets/galsim_module.json`` in the folder of a module.  It is read and written here,
without TensorFlow; ``docs/module_format.md`` describes every field.

    >>> from galsim_deep.modules.card import read_card
    >>> from galsim_deep.modules.resolve import resolve
    >>> card = read_card(resolve("hub:acs_flow_vae"))
    >>> card.column_of("magnitude").name
    'mag_auto'
"""

__all__ = ["CARD_PATH", "FORMAT_VERSION", "NAME_PATTERN", "Band", "Card", "ClassName", "Column",
           "EmbedderReference", "GalaxyClass", "Kind", "Latent", "Quantity", "RecipeReference",
           "StampGeometry", "Text", "TrainingData", "card_text", "described_faults",
           "file_digests", "read_card", "write_card"]

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from galsim import GalSimError, GalSimValueError

from ..observations.units import is_pixel
from ..runtime.atomic_files import PREFIX, replace_file
from .archive import CARD_PATH, NAME_PATTERN, is_safe_path

FORMAT_VERSION: Literal[2] = 2

Kind = Literal["generator", "encoder", "density"]
"""The kinds of modules: they make stamps, embed stamps, or give log-probabilities."""

Quantity = Literal[
    "half_light_radius", "largest_angular_size", "magnitude", "flux", "redshift", "axis_ratio",
    "ellipticity", "sersic_index", "position_angle", "colour", "stellar_mass",
    "star_formation_rate", "other"]
"""The quantities that a column may measure."""

WEIGHTS_PATH = "variables/variables.data-00000-of-00001"
"""The file with the weights of a module."""

REQUIRED_SIGNATURES: dict[str, str] = {
    "generator": "sample", "encoder": "embed", "density": "log_prob"}
"""The signature that a module of each kind must have."""

# Sizes on a card determine how much memory is allocated, so they are limited: a damaged card must
# not exhaust the memory.
MAX_CARD_BYTES = 2**24
"""Largest size of the card.  Those of the shipped modules have 4 to 9 kB."""
MAX_STAMP_SIZE = 4096
"""Largest number of pixels on a side of a stamp: 2 arcmin at 0.03 arcsec, and 64 MB per galaxy."""
MAX_LATENT_SIZE = 2**20
"""Largest number of random numbers for each galaxy: 4 MB."""
MAX_ITEMS = 1000
"""Largest number of columns, classes, bands, signatures, files, quantiles of a column, validations,
and figures of a validation.  Shipped modules have about a hundred of these figures, and up to a
dozen of the others."""
PIXEL_SCALE_LIMITS = (1e-6, 1e4)
"""Smallest and largest size of a pixel [arcsec]: from a microarcsecond to three degrees."""
MAX_FAULTS = 5
"""Largest number of faults of a damaged card that an error message lists."""


class _Part(pydantic.BaseModel):
    # Unknown fields are ignored: a later release may add some without changing the format version.
    model_config = pydantic.ConfigDict(extra="ignore", frozen=True)


Range = tuple[pydantic.FiniteFloat, pydantic.FiniteFloat]


def without_control_characters(text: str) -> str:
    """Return a text; raise a `ValueError` if it contains control characters.

    Control and format characters can change what a terminal or a web page shows.

    >>> without_control_characters("half-light radius")
    'half-light radius'
    """
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in text.replace("\n", "")):
        raise ValueError(f"{ascii(text)} holds characters that cannot be printed")
    return text


Text = Annotated[str, pydantic.AfterValidator(without_control_characters)]
"""Text that can be shown: without control characters other than line breaks."""


def _checked_level(text: str) -> str:
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    if 0 <= level <= 1:
        return text
    raise ValueError(f"{text!r} is not the level of a quantile, a number from 0 to 1")


Level = Annotated[Text, pydantic.AfterValidator(_checked_level)]
"""The level of a quantile, written as text ("0.5")."""


class Band(_Part):
    """A photometric band of the module's stamps.

    >>> Band(name="F814W", zero_point=25.94, effective_wavelength=805.0).exposure_time
    1.0
    """

    name: Text = pydantic.Field(min_length=1)
    zero_point: pydantic.FiniteFloat
    """AB magnitude of a source whose image in this band sums to one."""
    exposure_time: float = pydantic.Field(1.0, gt=0, allow_inf_nan=False)
    """Exposure time that the zero point refers to [s]."""
    area: float | None = pydantic.Field(None, gt=0, allow_inf_nan=False)
    """Collecting area that the zero point refers to [cm^2], if stated."""
    effective_wavelength: float | None = pydantic.Field(None, gt=0, allow_inf_nan=False)
    """Effective wavelength of the bandpass [nm], if stated."""
    psf: Text = ""
    """The PSFs that the module was trained through."""
    noise: Text = ""
    """The noise that the module was trained through."""


class Column(_Part):
    """A catalogue quantity that the module is conditioned on.

    >>> column = Column(name="mag_auto", unit="mag", meaning="total magnitude",
    ...                 quantity="magnitude", band="F814W", valid_range=(19.5, 26.2))
    >>> column.usable_range
    (19.5, 26.2)
    """

    name: Text = pydantic.Field(min_length=1)
    unit: Text
    """As astropy writes it; empty for a pure number."""
    meaning: Text
    """How exactly the quantity is defined and measured, for people; no program reads it."""
    quantity: Quantity
    """The quantity that the column measures, for programs."""
    band: str | None = None
    """The band in which the quantity is measured, if it depends on the band."""
    as_observed: bool = False
    """Whether the value includes the PSF, as a size measured on an image does."""
    optional: bool = False
    """Whether a row may omit the value (NaN): the module then draws it given the others."""
    may_be_absent: bool = False
    """Whether a table may lack the column, so that all rows omit the value."""
    valid_range: Range
    """The range in which the module may be used.  Some training galaxies may lie outside of it."""
    extrapolated_range: Range | None = None
    """A wider range in which the module was found to extrapolate well, if there is one."""
    above: pydantic.FiniteFloat | None = None
    """Values must exceed this, because the module takes the logarithm of their distance to it."""
    quantiles: dict[Level, pydantic.FiniteFloat] = pydantic.Field({}, max_length=MAX_ITEMS)
    """Quantiles of the training sample, by their level written as text ("0.5")."""

    @property
    def usable_range(self) -> tuple[float, float]:
        """The range outside of which a value is warned of, or refused if ``strict``."""
        return self.extrapolated_range or self.valid_range

    @pydantic.model_validator(mode="after")
    def _check(self) -> "Column":
        from astropy.units import Unit

        for name in ("valid_range", "extrapolated_range"):
            limits = getattr(self, name)
            if limits is not None and not limits[0] < limits[1]:
                raise ValueError(f"the {name} {limits} is empty")
        low, high = self.valid_range
        if not (self.usable_range[0] <= low and high <= self.usable_range[1]):
            raise ValueError(f"the extrapolated_range {self.extrapolated_range} does not contain "
                             f"the valid_range {self.valid_range}")
        Unit(self.unit)  # raises a ValueError that lists near matches
        if self.quantity == "magnitude" and self.unit != "mag":
            raise ValueError(f"a magnitude has the unit 'mag', not {self.unit!r}")
        if self.quantity in ("half_light_radius", "largest_angular_size") and not (
                is_pixel(self.unit) or Unit(self.unit).is_equivalent("arcsec")):
            raise ValueError(f"the unit of a {self.quantity} is an angle or 'pix', not "
                             f"{self.unit!r}")
        return self


def _checked_class_name(name: str) -> str:
    # Users choose a class by its name or its number, and text from files is padded with blanks.
    try:
        float(name)
    except ValueError:
        if name and name == name.strip():
            return name
    raise ValueError(f"{name!r} is not a valid class name; a name must not be empty, start or end "
                     "with a blank, or be a number")


ClassName = Annotated[Text, pydantic.AfterValidator(_checked_class_name)]
"""The name of a class of galaxies."""


def _checked_path(path: str) -> str:
    if is_safe_path(path):
        return path
    raise ValueError(f"{path!r} is not a path of a file in the folder of the module")


FilePath = Annotated[str, pydantic.AfterValidator(_checked_path)]
"""The path of a file in the folder of the module, with "/" between its parts."""


class GalaxyClass(_Part):
    """A class of galaxies that the module distinguishes; its number is its index on the card.

    >>> from galsim_deep.modules.resolve import resolve
    >>> [galaxy_class.name for galaxy_class in read_card(resolve("hub:acs_mpcc")).classes]
    ['disc', 'lopsided', 'peculiar', 'clumpy', 'spiral', 'bulge']
    """

    name: ClassName
    description: Text
    share: float = pydantic.Field(ge=0, le=1)
    """Its frequency among galaxies that the module draws for the training sample."""


class StampGeometry(_Part):
    """The stamps that the module makes or takes.

    >>> StampGeometry(sizes=(64, 128), pixel_scale=0.03).centre
    'true_centre'
    """

    sizes: tuple[Annotated[int, pydantic.Field(gt=0, le=MAX_STAMP_SIZE)], ...] = pydantic.Field(
        min_length=1, max_length=MAX_ITEMS)
    """Pixels on a side, of each size that the module draws on."""
    trained_size: int | None = pydantic.Field(None, gt=0, le=MAX_STAMP_SIZE)
    """Pixels on a side of the stamps that the module was trained on, which ``encode`` takes, and
    ``sample`` and ``decode`` give, if the compact graph chooses stamps of other sizes."""
    pixel_scale: float = pydantic.Field(ge=PIXEL_SCALE_LIMITS[0], le=PIXEL_SCALE_LIMITS[1])
    """Size of a pixel [arcsec]."""
    value_range: Range | None = None
    """Smallest and largest pixel value of the stamps that the module takes; null if all values are
    possible."""
    centre: Literal["true_centre"] = "true_centre"
    """The origin of the profile: at the true centre of the stamp, which for an even size
    is the corner between the four middle pixels (GalSim's ``use_true_center=True``)."""


class Latent(_Part):
    """The random input of the module.

    >>> Latent(size=16).name
    'random_normal'
    """

    name: Literal["random_normal"] = "random_normal"
    size: int = pydantic.Field(gt=0, le=MAX_LATENT_SIZE)
    """How many standard normal numbers a galaxy takes."""
    position_angle: bool = False
    """Whether the first two of them are proportional to cosine and sine of the position angle of
    its major axis, from the x axis towards y, so that this angle can be chosen."""


class TrainingData(_Part):
    """The data that the module was trained on.

    >>> data = TrainingData(description="Simulated galaxies", licence="CC0", citation="none")
    >>> data.sources is None
    True
    """

    description: Text
    origin: Text = ""
    """Surveys and archives that the data come from."""
    licence: Text
    """Licence or terms of use of the training data."""
    citation: Text
    sources: int | None = pydantic.Field(None, gt=0)
    """Number of distinct galaxies, if known; several stamps may show the same one."""


class RecipeReference(_Part):
    """The recipe that the module was trained by.

    >>> from galsim_deep.modules.resolve import resolve
    >>> read_card(resolve("hub:acs_flow_vae")).recipe.name
    'acs_flow_vae.yaml'
    """

    name: Text
    sha256: Text


class EmbedderReference(_Part):
    """The module whose embeddings a density describes.

    >>> from galsim_deep.modules.resolve import resolve
    >>> read_card(resolve("hub:first_maf")).embedder.name
    'first_encoder'
    """

    name: Text
    version: Text
    weights_sha256: Text
    """The sha256 of its weights, as on its card."""


Figures = Annotated[dict[Text, pydantic.FiniteFloat], pydantic.Field(max_length=MAX_ITEMS)]
"""The figures of one validation by their name."""


class Card(_Part):
    """All metadata of a module.

    Cards are read by `read_card` and written by `write_card`.

    >>> from galsim_deep.modules.resolve import resolve
    >>> card = read_card(resolve("hub:acs_flow_vae"))
    >>> card.kind, card.stamp_size, card.pixel_scale
    ('generator', 384, 0.03)
    >>> [(column.name, column.quantity) for column in card.columns][:2]
    [('hlr', 'half_light_radius'), ('mag_auto', 'magnitude')]
    """

    format_version: Literal[2] = FORMAT_VERSION
    kind: Kind
    name: str = pydantic.Field(pattern=f"^{NAME_PATTERN}$")
    version: Text
    family: Text
    summary: Text
    stamp: StampGeometry
    bands: tuple[Band, ...] = pydantic.Field(min_length=1, max_length=MAX_ITEMS)
    columns: tuple[Column, ...] = pydantic.Field(max_length=MAX_ITEMS)
    latent: Latent | None = None
    """The random input of the signature ``sample``, if there is one."""
    classes: tuple[GalaxyClass, ...] = pydantic.Field((), max_length=MAX_ITEMS)
    """The classes that ``galaxy_class`` numbers, in the order of their numbers."""
    signatures: tuple[Text, ...] = pydantic.Field(max_length=MAX_ITEMS)
    training_data: TrainingData
    embedder: EmbedderReference | None = None
    """The module whose embeddings a density describes, if it is one of embeddings."""
    recipe: RecipeReference
    validation: dict[Text, Figures] = pydantic.Field({}, max_length=MAX_ITEMS)
    """Figures from validation, by the name of the set of real galaxies and of the figure, in the
    order in which they were added."""
    code_version: Text
    files: dict[FilePath, Text] = pydantic.Field(max_length=MAX_ITEMS)
    """The sha256 of every other file of the module, by its path in the folder."""

    @property
    def weights_sha256(self) -> str:
        """The sha256 of the weights, by which the module is recognised."""
        return self.files[WEIGHTS_PATH]

    @property
    def stamp_size(self) -> int:
        """Pixels on a side of the largest stamp that the module draws on."""
        return max(self.stamp.sizes)

    @property
    def trained_size(self) -> int:
        """Pixels on a side of the stamps that the module was trained on."""
        return self.stamp.trained_size or self.stamp_size

    @property
    def chooses_stamps(self) -> bool:
        """Whether the compact graph draws each galaxy on a stamp that fits it, see `stamp_choice`.
        """
        return self.stamp.trained_size is not None

    @property
    def pixel_scale(self) -> float:
        """Size of a pixel [arcsec]."""
        return self.stamp.pixel_scale

    @property
    def zero_point(self) -> float:
        """AB magnitude of a source whose image sums to one, for a module of one band.

        Raises a `galsim.GalSimValueError` if there are several bands.
        """
        if len(self.bands) > 1:
            raise GalSimValueError(f"The module {self.name} has a zero point for each band. Use "
                                   "card.band(name).zero_point.",
                                   None, [band.name for band in self.bands])
        return self.bands[0].zero_point

    @property
    def latent_size(self) -> int:
        """Number of standard normal numbers that a galaxy of a generator takes, L.

        Raises what `check_generator` does.
        """
        self.check_generator()
        assert self.latent is not None  # or the card would have been refused
        return self.latent.size

    def check_generator(self) -> None:
        """Raise a `galsim.GalSimValueError` if the module is not a generator."""
        if self.kind != "generator":
            raise GalSimValueError(
                f"The module {self.name} makes no galaxies: it is not a generator. Run its "
                f"signatures ({', '.join(self.signatures)}) with "
                "galsim_deep.modules.Module(folder).call.", self.kind, ["generator"])

    def band(self, name: str | None = None) -> Band:
        """A band by its name, or the first band.

        Raises a `galsim.GalSimValueError` if there is no band of that name.
        """
        for band in self.bands:
            if name in (None, band.name):
                return band
        raise GalSimValueError(f"The module {self.name} has no band of this name.", name,
                               [band.name for band in self.bands])

    def column_of(self, quantity: Quantity, band: str | None = None) -> Column | None:
        """The column that measures a quantity, or None.

        Parameters:
            quantity:   One of `Quantity`.
            band:       The band it should be measured in.  [default: any; of several columns the
                        first]
        """
        for column in self.columns:
            if column.quantity == quantity and (band is None or column.band in (None, band)):
                return column
        return None

    @pydantic.model_validator(mode="after")
    def _check(self) -> "Card":
        required = REQUIRED_SIGNATURES[self.kind]
        if required not in self.signatures:
            raise ValueError(f"the signature '{required}', which each {self.kind} has, is missing")
        if "sample" in self.signatures and self.latent is None:
            raise ValueError("latent is missing: the signature 'sample' has a random input")
        if self.kind == "generator" and not self.columns:
            raise ValueError("columns is empty: a generator needs at least one column (its "
                             "length sets the number of galaxies)")
        inputs = [column.name for column in self.columns]
        inputs += [self.latent.name] if self.latent else []
        inputs += ["galaxy_class"] if self.classes else []
        _check_distinct(inputs, "inputs")
        _check_distinct((band.name for band in self.bands), "bands")
        _check_distinct((galaxy_class.name for galaxy_class in self.classes), "classes")
        names = {band.name for band in self.bands}
        for column in self.columns:
            if column.band is not None and column.band not in names:
                raise ValueError(f"the column {column.name!r} is measured in the band "
                                 f"{column.band!r}, which is not among the bands")
        total = sum(galaxy_class.share for galaxy_class in self.classes)
        if self.classes and abs(total - 1) > 1e-3:
            raise ValueError(f"the shares of the classes sum to {total:g}, not to 1")
        if "saved_model.pb" not in self.files:
            raise ValueError("files does not list saved_model.pb, so its checksum is unknown")
        return self


def _check_distinct(names: Iterable[str], what: str) -> None:
    names = list(names)
    if len(set(names)) < len(names):
        raise ValueError(f"two {what} have the same name")


def read_card(folder: str | os.PathLike) -> Card:
    """Read the card of a module.

    Parameters:
        folder:     The folder of the module.

    Raises:
        GalSimError:        There is no card that can be read.
        GalSimValueError:   The card is damaged, or of another format version.
    """
    path = Path(folder) / CARD_PATH
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
    except OSError as err:
        raise GalSimError(f"{folder} is not the folder of a module: its card {CARD_PATH} cannot "
                          f"be read ({err}).") from err
    if len(text) > MAX_CARD_BYTES:
        raise GalSimValueError(f"The card of the module is damaged: it has more than "
                               f"{MAX_CARD_BYTES} bytes. Get the module again.", str(path))
    try:
        content = json.loads(text.decode("utf-8"))
        # JSON may hold half of a surrogate pair, with which text cannot be printed or written.
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as err:
        raise GalSimValueError(f"The card of the module is damaged: it is not JSON ({err}). Get "
                               "the module again.", str(path)) from err
    _check_version(content, folder)
    try:
        return Card.model_validate(content)
    except pydantic.ValidationError as err:
        raise GalSimValueError(
            f"The card of the module is damaged. {described_faults(err)}. Get the module again.",
            str(path)) from err


def described_faults(err: pydantic.ValidationError) -> str:
    """The first faults of a card with their paths, in printable letters.

    >>> try:
    ...     Latent(size=0)
    ... except pydantic.ValidationError as err:
    ...     print(described_faults(err))
    size: Input should be greater than 0
    """
    faults = [f"{'.'.join(map(str, fault['loc'])) or 'top level'}: {fault['msg']}"
              for fault in err.errors()[:MAX_FAULTS]]
    if err.error_count() > MAX_FAULTS:
        faults.append(f"and {err.error_count() - MAX_FAULTS} further faults")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1]
                   for letter in "; ".join(faults))


def _check_version(content: Any, folder: str | os.PathLike) -> None:
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is not int or version < 1:
        raise GalSimValueError("The card of the module is damaged: its format_version is not a "
                               "whole number from 1 up. Get the module again.", str(folder))
    if version > FORMAT_VERSION:
        raise GalSimValueError(
            f"The module {folder} is of format version {version}; this release of galsim-deep "
            f"reads version {FORMAT_VERSION}. Install a later release of galsim-deep.",
            version, [FORMAT_VERSION])
    if version < FORMAT_VERSION:
        raise GalSimValueError(
            f"The module {folder} is of format version {version}, which this release of "
            f"galsim-deep no longer reads; it reads version {FORMAT_VERSION}. Get the current "
            "version of the module, or export it again with 'galsim-deep-train export RECIPE'.",
            version, [FORMAT_VERSION])


def write_card(folder: str | os.PathLike, card: Mapping[str, Any]) -> Card:
    """Write a card into the folder of a module, with the sha256 of every file that is there.

    Parameters:
        folder:     The folder, with all other files in their final state.
        card:       The fields of `Card`, without ``files``.

    Returns:
        the `Card` that was written.

    Raises a `pydantic.ValidationError` if a field is missing or has an invalid value, and a
    `galsim_deep.runtime.atomic_files.WriteError` where the card cannot be written.  Unknown fields
    are ignored.
    """
    checked = Card.model_validate(dict(card, files=file_digests(folder)))
    with replace_file(Path(folder) / CARD_PATH) as fresh:
        fresh.write_text(card_text(checked), encoding="utf-8")
    return checked


def card_text(card: Card) -> str:
    """The content of the file of a card, JSON."""
    return card.model_dump_json(indent=2) + "\n"


def file_digests(folder: str | os.PathLike, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Compute the sha256 of files of a module.

    Parameters:
        folder:     The folder of the module.
        paths:      Paths of files in it.  [default: all files except the card, those in
                    ``__pycache__``, and unfinished files of other processes]

    Returns:
        the sha256 of each file by its path, 64 hexadecimal digits.

    >>> from galsim_deep.modules.resolve import resolve
    >>> folder = resolve("hub:acs_flow_vae")
    >>> file_digests(folder, ["saved_model.pb"])["saved_model.pb"] == (
    ...     read_card(folder).files["saved_model.pb"])
    True
    """
    folder = Path(folder)
    if paths is None:
        files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        paths = sorted({path.as_posix() for path in files
                        if not any(part == "__pycache__" or part.startswith(PREFIX)
                                   for part in path.parts)} - {CARD_PATH})
    digests = {}
    for path in paths:
        with (folder / path).open("rb") as file:
            digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
