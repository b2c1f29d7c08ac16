"""The card of a module: everything about it that is not weights (module format, version 1).

The card is ``assets/galsim_module.json`` in the folder of the module.  It is read and written here,
without TensorFlow; ``docs/module_format.md`` describes every field.
"""

__all__ = ["CARD_PATH", "FORMAT_VERSION", "Card", "ClassName", "Cluster", "Column", "read_card",
           "rewrite", "write_card"]

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from galsim import GalSimError, GalSimValueError

from .handles import stays_inside

FORMAT_VERSION = 1
CARD_PATH = "assets/galsim_module.json"

# Sizes on a card decide how much memory is taken, so that a damaged card must not choose them.
MAX_CARD_BYTES = 2**24
"""Largest size of the card. Those of the shipped modules have 4 to 9 kB."""
MAX_STAMP_SIZE = 4096
"""Most pixels on a side of a stamp: 2 arcmin at 0.03 arcsec, and 64 MB for each galaxy."""
MAX_LATENT_SIZE = 2**20
"""Most random numbers for each galaxy: 4 MB."""
MAX_ITEMS = 1000
"""Most columns, classes, bands, signatures and files. Shipped modules have a dozen at most."""


class _Part(pydantic.BaseModel):
    # Fields that this version does not know are kept out of the way: a later release may add some
    # without changing the format version.
    model_config = pydantic.ConfigDict(extra="ignore", frozen=True)


class Column(_Part):
    """A catalogue quantity that the module is conditioned on."""

    name: str
    unit: str
    """As astropy writes it; empty for a pure number."""
    meaning: str
    valid_range: tuple[pydantic.FiniteFloat, pydantic.FiniteFloat]
    optional: bool = False
    """Whether a row may leave it out, as NaN: the module then draws it given the others."""
    above: pydantic.FiniteFloat | None = None
    """Values are greater than this, where the module takes their logarithm."""
    quantiles: dict[str, float] = {}
    """Quantiles of the training sample, by their level written as text ("0.5")."""

    @pydantic.model_validator(mode="after")
    def _usable(self):
        from astropy.units import Unit

        if not self.valid_range[0] < self.valid_range[1]:
            raise ValueError(f"the valid range {self.valid_range} is empty")
        Unit(self.unit)  # raises a ValueError that lists near matches
        return self


def _is_name(name):
    # Tables give a class by its name or its id; text from files comes with blanks around it.
    try:
        float(name)
    except ValueError:
        if name and name == name.strip():
            return name
    raise ValueError(f"{name!r} is no name of a class: it is empty, begins or ends with a blank, "
                     "or reads as a number")


def _is_path(path):
    if stays_inside(path):
        return path
    raise ValueError(f"{path!r} is no path of a file in the folder of the module")


FilePath = Annotated[str, pydantic.AfterValidator(_is_path)]
"""The path of a file in the folder of the module, with "/" between its parts."""

ClassName = Annotated[str, pydantic.AfterValidator(_is_name)]
"""What a class may be called."""


class Cluster(_Part):
    """A class of galaxies that the module tells apart.  Its id is its place on the card."""

    name: ClassName
    description: str
    share: float = pydantic.Field(ge=0, le=1)
    """How frequent it is among galaxies that the module draws for the training sample."""


class Flux(_Part):
    """What a pixel value means."""

    zero_point: float
    """AB magnitude of a source whose image sums to one."""
    exposure_time: float
    """Exposure that the zero point refers to [s]."""
    area: float | None = None
    """Collecting area that the zero point refers to [cm^2], where stated."""


class Latent(_Part):
    """The random input of the module."""

    name: str = "random_normal"
    size: int = pydantic.Field(gt=0, le=MAX_LATENT_SIZE)


class TrainingData(_Part):
    """What the module learned from."""

    description: str
    citation: str
    licence: str


class RecipeStamp(_Part):
    """The recipe that made the module."""

    name: str
    sha256: str


class Card(_Part):
    """All metadata of a module."""

    format_version: Literal[1] = FORMAT_VERSION
    name: str
    version: str
    family: str
    summary: str
    stamp_size: int = pydantic.Field(gt=0, le=MAX_STAMP_SIZE)
    """Pixels on a side."""
    pixel_scale: float = pydantic.Field(ge=1e-6, le=1e4)
    """Size of a pixel [arcsec], from a microarcsecond to three degrees."""
    bands: tuple[str, ...] = pydantic.Field(min_length=1, max_length=MAX_ITEMS)
    centre: Literal["true_centre"] = "true_centre"
    """Where the origin of the profile is: at the true centre of the stamp, which for an even size
    is the corner between the four middle pixels (GalSim's ``use_true_center=True``)."""
    flux: Flux
    columns: tuple[Column, ...] = pydantic.Field(min_length=1, max_length=MAX_ITEMS)
    latent: Latent
    signatures: tuple[str, ...] = pydantic.Field(max_length=MAX_ITEMS)
    clusters: tuple[Cluster, ...] = pydantic.Field((), max_length=MAX_ITEMS)
    """The classes that the signature ``cluster`` takes, in the order of their ids; empty for a
    module that has none."""
    training_data: TrainingData
    trained_through: str
    """The PSFs and the noise of the training data."""
    recipe: RecipeStamp
    quality: dict[str, dict[str, float]] = {}
    """Figures from validation, by the name of the real galaxies and their own."""
    code_version: str
    files: dict[FilePath, str] = pydantic.Field(max_length=MAX_ITEMS)
    """The sha256 of every other file of the module, by its path in the folder."""

    @pydantic.model_validator(mode="after")
    def _whole(self):
        names = [column.name for column in self.columns] + [self.latent.name]
        if self.clusters:
            names.append("cluster")
        if len({*names}) != len(names):
            raise ValueError("two inputs have the same name")
        for name in ["sample", "cluster"] if self.clusters else ["sample"]:
            if name not in self.signatures:
                raise ValueError(f"the signature '{name}' is missing")
        if len({cluster.name for cluster in self.clusters}) != len(self.clusters):
            raise ValueError("two classes have the same name")
        shares = sum(cluster.share for cluster in self.clusters)
        if self.clusters and abs(shares - 1) > 1e-3:
            raise ValueError(f"the shares of the classes sum to {shares:g}, not to 1")
        if "saved_model.pb" not in self.files:
            raise ValueError("files: saved_model.pb is missing, so nothing vouches for it")
        return self


def read_card(folder):
    """Read the card of a module.

    Parameters:
        folder:     The folder of the module.

    Returns:
        a `Card`.

    Raises:
        GalSimError:        There is no card that can be read.
        GalSimValueError:   The card is damaged, or of a later format version.
    """
    path = Path(folder) / CARD_PATH
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
        if len(text) > MAX_CARD_BYTES:
            raise GalSimValueError(
                f"The card of the module is damaged, it has more than {MAX_CARD_BYTES} bytes. Get "
                "the module again.", str(path))
        content = json.loads(text.decode("utf-8"))
    except OSError as err:
        raise GalSimError(f"{folder} is not the folder of a module: its card {CARD_PATH} cannot "
                          f"be read ({err}).") from err
    except (ValueError, RecursionError) as err:
        raise GalSimValueError(
            f"The card of the module is damaged, it is not JSON ({err}). Get the module again.",
            str(path)) from err
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is not int or version < 1:
        raise GalSimValueError("The card of the module is damaged: its format_version is not a "
                               "number from 1 up. Get the module again.", version)
    if version > FORMAT_VERSION:
        raise GalSimValueError(
            f"The module {folder} is of format version {version}; this release of galsim-deep "
            f"reads versions up to {FORMAT_VERSION}. Upgrade with 'pip install -U galsim-deep'.",
            version, [FORMAT_VERSION])
    try:
        return Card.model_validate(content)
    except pydantic.ValidationError as err:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'top level'}: {fault['msg']}"
            for fault in err.errors())
        raise GalSimValueError(
            f"The card of the module is damaged. {faults}. Get the module again.",
            str(path)) from err


def write_card(folder, card):
    """Write a card into the folder of a module, with the sha256 of every file that is there.

    Parameters:
        folder:     The folder, with all other files in their final state.
        card:       A dict of the fields of `Card`, without ``files``.

    Returns:
        the `Card` that was written.
    """
    card = Card.model_validate(dict(card, files=file_digests(folder)))
    path = Path(folder) / CARD_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return card


def rewrite(folder, **changes):
    """Write the card of a module again with some fields changed, and its page with it.

    Parameters:
        folder:     The folder of the module.
        changes:    Fields of `Card`.

    Returns:
        the `Card` that was written.
    """
    from .page import PAGE_PATH, render_page

    fields = read_card(folder).model_dump()
    del fields["files"]
    card = write_card(folder, {**fields, **changes})
    (Path(folder) / PAGE_PATH).write_text(render_page(card), encoding="utf-8")
    return write_card(folder, {**fields, **changes})


def file_digests(folder: str | Path, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Compute the sha256 of files of a module.

    Parameters:
        folder:     The folder of the module.
        paths:      Paths of files in it.  [default: every file in it but the card]

    Returns:
        {path: digest}.
    """
    folder = Path(folder)
    if paths is None:
        files = (path for path in folder.rglob("*")
                 if path.is_file() and "__pycache__" not in path.parts)
        paths = sorted({path.relative_to(folder).as_posix() for path in files} - {CARD_PATH})
    digests = {}
    for path in paths:
        with (folder / path).open("rb") as file:
            digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
