"""Recipes: the configuration file that makes a module.

A recipe is a YAML file that names everything a module depends on: its columns, the data set it is
trained on, the networks, the optimisation and the random seed.  Unknown keys are refused, so a
misspelt setting cannot be ignored in silence.
"""

__all__ = ["DATA_PARTS", "Column", "Fit", "Recipe", "Settings", "Stamp", "read_recipe"]

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from astropy.units import Unit
from galsim import GalSimConfigError

from galsim_deep.config import TAKEN

from .bounds import (
    Arcsec,
    Batch,
    Cells,
    Count,
    Finite,
    LearningRate,
    Magnitude,
    Positive,
    Range,
    Seed,
    ShareBelowOne,
    Steps,
    Text,
    Within,
)


class Settings(pydantic.BaseModel):
    """Base class of every group of settings: typed, immutable, no unknown keys."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Stamp(Settings):
    """The postage stamps a module is trained on and produces."""

    size: Annotated[int, Within(4, 4096)] = 128
    """Pixels on a side."""
    pixel_scale: Arcsec = 0.03
    """Size of a pixel [arcsec]."""
    band: Text
    """Name of the photometric band."""
    zero_point: Magnitude
    """AB magnitude of a source of unit flux."""
    exposure_time: Positive = 1.0
    """Exposure time that the zero point refers to [s]."""
    area: Positive | None = None
    """Collecting area of the telescope that the zero point refers to [cm^2], where known."""
    psf_size: Cells = 65
    """Pixels on a side of the stored PSF images; odd, the PSF is centred on the middle pixel."""

    @pydantic.field_validator("psf_size")
    @classmethod
    def _is_odd(cls, value):
        if value % 2 == 0:
            raise ValueError("should be odd, so that a PSF has a middle pixel")
        return value


NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

INPUTS = ("cluster", "image", "latent", "noise_sigma", "psf", "random_normal")
"""What signatures of modules take besides columns."""


class Column(Settings):
    """A catalogue quantity that the module is conditioned on."""

    name: str = pydantic.Field(pattern=NAME)
    unit: str
    """As astropy writes it; empty for a pure number."""
    meaning: str
    valid_range: Range
    scale: Literal["linear", "log"] = "linear"
    """Whether the networks see the value or its logarithm (before standardisation)."""
    offset: Finite = 0.0
    """Added before taking the logarithm, for quantities that may be close to zero."""

    @pydantic.field_validator("name")
    @classmethod
    def _not_taken(cls, value):
        if value in TAKEN:
            raise ValueError(f"{value!r} is what a GalSim configuration calls something else of a "
                             "galaxy; choose another name")
        if value in INPUTS:
            raise ValueError(f"{value!r} is what modules call another input; choose another name")
        return value

    @pydantic.field_validator("unit")
    @classmethod
    def _is_unit(cls, value):
        Unit(value)  # raises a ValueError that lists near matches
        return value

    @pydantic.model_validator(mode="after")
    def _has_logarithm(self):
        if self.scale == "log" and not self.valid_range[0] + self.offset > 0:
            raise ValueError(
                f"valid_range: it begins at {self.valid_range[0]:g}, where 'scale: log' has no "
                f"logarithm; with the offset ({self.offset:g}) it should be positive")
        return self


# What a data set depends on.  For checkpoints see `phases.base.Phase.depends_on`.
DATA_PARTS = ("seed", "stamp", "columns", "data")


class Data(Settings):
    """Which builder makes the data set, and its own settings."""

    builder: Text
    settings: dict[str, Any] = {}


class Fit(Settings):
    """The optimisation of one phase of the training."""

    steps: Steps
    batch_size: Batch = 64
    optimizer: Literal["adam", "adafactor"] = "adam"
    learning_rate: LearningRate = 1e-3
    """The learning rate at its highest."""
    schedule: Literal["cosine", "square_root", "constant"] = "cosine"
    """How the learning rate falls, see `optimisation.learning_rate`."""
    warm_up: Count = 200
    """Steps over which the learning rate rises from zero."""
    average: ShareBelowOne = 0.998
    """Momentum of the exponential moving average of the weights that is kept at the end."""
    clip: Annotated[float, Within(1, 1e6)] = 2.0
    """Gradients are clipped at this multiple of their running typical norm.  Below one each step
    would lower that norm, until nothing moves."""


class Licence(Settings):
    """Where the training data came from."""

    description: Text
    citation: Text
    licence: Text


class Recipe(Settings):
    """A whole recipe; see ``training/recipes`` for examples and docs/training.md for the keys."""

    name: str = pydantic.Field(pattern=NAME)
    run: str | None = pydantic.Field(None, pattern=NAME)
    """Name of the working folder where it is not that of the recipe: recipes that share it share
    the data set and those phases of the training whose settings they have in common."""
    version: Text
    summary: Text
    family: Text
    seed: Seed
    stamp: Stamp
    columns: Annotated[tuple[Column, ...], pydantic.Field(max_length=100)]
    training_data: Licence
    data: Data
    model: dict[str, Any] = {}
    """The settings of the family; see its ``Settings`` class."""
    fit: dict[str, Fit]
    """One entry for each phase of the family."""
    # How things are computed, not what: no checkpoint depends on these two.
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = "float32"
    """The number format of the networks while they are fitted, see `precision.policy`."""
    distribute: Literal["none", "mirrored", "multi_worker"] = "none"
    """How steps are shared by devices or machines, see `distribution.Distribution`."""

    @pydantic.field_validator("columns")
    @classmethod
    def _differ(cls, columns):
        names = [column.name for column in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two columns of the name {', '.join(twice)}")
        return columns

    _path: Path = pydantic.PrivateAttr()
    _sha256: str = pydantic.PrivateAttr()

    @property
    def path(self):
        """The file the recipe was read from."""
        return self._path

    @property
    def sha256(self):
        """The hash of that file, recorded in the card of the module."""
        return self._sha256

    def digest(self, *parts, without=()):
        """The hash of some parts of the recipe, but for prose.

        Parameters:
            parts:      Keys, dotted where they lie deeper: ``"stamp"``, ``"fit.flow"``.
            without:    Keys within these parts that do not count, likewise.
        """
        prose = {"columns": {"__all__": {"meaning", "unit", "valid_range"}}}
        text = self.model_dump_json(include=_nested(parts), exclude=prose | _nested(without))
        return hashlib.sha256(text.encode()).hexdigest()

    def run_folder(self, root=None):
        """Where data set, checkpoints and logs of this recipe live: ``runs/RUN`` or ``runs/NAME``.
        """
        return Path(root or "runs") / (self.run or self.name)


def _nested(keys):
    """Dotted keys as pydantic wants them: ``["a", "b.c"]`` is ``{"a": True, "b": {"c": True}}``."""
    tree = {}
    for key in keys:
        *path, last = key.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = True
    return tree


def read_recipe(path):
    """Read and check a recipe file.

    Parameters:
        path:       A YAML file.

    Returns:
        a `Recipe`.  Relative paths inside it are relative to the folder of the recipe file.

    Raises a `galsim.GalSimConfigError` that names the file, the key and the reason.
    """
    path = Path(path)
    try:
        text = path.read_bytes()
        content = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as err:
        raise GalSimConfigError(f"Cannot read the recipe {path}: {err}") from err
    recipe = parse(Recipe, content, f"recipe {path}")
    recipe._path = path.resolve()
    recipe._sha256 = hashlib.sha256(text).hexdigest()
    return recipe


def parse(cls, content, where):
    """Check a dict against a `Settings` class, naming every wrong key in the error."""
    try:
        return cls.model_validate(content)
    except pydantic.ValidationError as err:
        faults = "; ".join(map(_fault, err.errors()))
        raise GalSimConfigError(f"The {where} is not valid. {faults}") from err


def _fault(fault):
    """One fault that pydantic found: the key, what is allowed, and what the recipe has."""
    key = ".".join(map(str, fault["loc"])) or "top level"
    value = fault["input"]
    short = isinstance(value, (bool, int, float, str)) and len(repr(value)) < 80
    return f"{key}: {fault['msg']}" + (f" (the recipe has {value!r})" if short else "")
