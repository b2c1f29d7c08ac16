"""Recipes: the configuration file that makes a module.

A recipe is a YAML file that names everything a module depends on: its columns, the data set it is
trained on, the networks, the optimisation and the random seed.  Unknown keys are refused, so a
misspelt setting is never ignored.

The parts ``data``, ``model`` and ``fit`` are checked later, when the classes that they choose are
known: by `Registered.choose <registry.Registered.choose>` and `families.choose_family`.
"""

__all__ = ["Band", "Column", "PhaseSettings", "Recipe", "Selection", "Stamp", "TrainingData",
           "read_recipe"]

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
import yaml
from astropy.units import Unit
from galsim import GalSimConfigError

from galsim_deep.config import RESERVED_FIELDS
from galsim_deep.modules import card
from galsim_deep.modules.card import NAME_PATTERN, Quantity
from galsim_deep.observations.units import arcsec_of

from .settings import (
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
    Settings,
    ShareBelowOne,
    ShownText,
    Steps,
    Text,
    Weight,
    Within,
    parse,
    validation_error,
    without_defaults,
)

NAME = f"^{NAME_PATTERN}$"

INPUTS = ("galaxy_class", "image", "latent", "noise_sigma", "psf", "random_normal")
"""Names of the inputs of module signatures that are not columns."""


StampSize = Annotated[int, Within(4, 4096)]


class Stamp(Settings):
    """The postage stamps that a module is trained on and produces.

    >>> stamp = Stamp(size=64, pixel_scale=0.2)
    >>> stamp.size * stamp.pixel_scale, stamp.psf_size
    (12.8, 65)
    >>> parse(Stamp, dict(psf_size=64), "recipe my.yaml", "stamp")
    Traceback (most recent call last):
    galsim.errors.GalSimConfigError: The recipe my.yaml is not valid. stamp.psf_size: should be \
odd, so that a PSF has a middle pixel (the recipe has 64)
    """

    # Neither the data set nor the fit depends on what the module draws on.
    not_hashed = frozenset({"sizes"})

    size: StampSize = 128
    """Pixels on a side."""
    sizes: tuple[StampSize, ...] = ()
    """Pixels on a side of the stamps that the module draws on, if it chooses one that fits for each
    galaxy.  [default: those of ``size`` only]"""
    pixel_scale: Arcsec = 0.03
    """Size of a pixel [arcsec]."""
    psf_size: Cells = 65
    """Pixels on a side of the stored PSF images; odd, the PSF is centred on the middle pixel."""

    @pydantic.field_validator("sizes")
    @classmethod
    def _are_sorted(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted({*value}):
            raise ValueError("should grow from each to the next")
        return value

    @pydantic.field_validator("psf_size")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("should be odd, so that a PSF has a middle pixel")
        return value


class Band(Settings):
    """A photometric band of the stamps.

    >>> band = Band(name="F814W", zero_point=25.94)
    >>> band.exposure_time, band.area is None
    (1.0, True)
    """

    # For the card of the module; neither the data set nor the fit depends on them.
    not_hashed = frozenset({"exposure_time", "area", "effective_wavelength"})

    name: ShownText
    zero_point: Magnitude
    """AB magnitude of a source of unit flux."""
    exposure_time: Positive = 1.0
    """Exposure time that the zero point refers to [s]."""
    area: Positive | None = None
    """Collecting area of the telescope that the zero point refers to [cm^2], if known."""
    effective_wavelength: Positive | None = None
    """Effective wavelength of the bandpass [nm], if known."""


class Column(Settings):
    """A catalogue quantity that the module is conditioned on.

    >>> column = Column(name="zphot", unit="", meaning="photometric redshift", quantity="redshift",
    ...                 valid_range=(0, 5), scale="log", offset=0.1)
    >>> column.valid_range
    (0.0, 5.0)
    >>> parse(Column, dict(column, offset=0), "recipe my.yaml", "columns.0")
    Traceback (most recent call last):
    galsim.errors.GalSimConfigError: The recipe my.yaml is not valid. columns.0: valid_range: its \
lower limit 0 plus the offset 0 must be positive, because 'scale: log' takes the logarithm
    """

    not_hashed = frozenset({"meaning", "valid_range", "as_observed", "may_be_absent"})

    name: str = pydantic.Field(pattern=NAME)
    unit: str
    """The unit as astropy writes it; empty for a pure number."""
    meaning: str
    """The exact definition, and how it is measured, as text."""
    quantity: Quantity
    """The quantity that it measures, one of a list of names."""
    band: ShownText | None = None
    """The band in which it is measured, if it depends on the band."""
    as_observed: bool = False
    """Whether the value includes the PSF, as a size measured on an image does."""
    valid_range: Range
    """The range in which the module may be used.  Training galaxies may lie outside of it."""
    may_be_absent: bool = False
    """Whether tables of users may lack the column, if the model family can draw its values."""
    scale: Literal["linear", "log"] = "linear"
    """Whether the networks see the value or its logarithm (before standardisation)."""
    offset: Finite = 0.0
    """Added before taking the logarithm, for quantities that may be close to zero."""

    @pydantic.field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value in RESERVED_FIELDS:
            raise ValueError(f"{value!r} has another meaning for galaxies in GalSim config files; "
                             "choose another name")
        if value in INPUTS:
            raise ValueError(f"{value!r} is the name of an input of modules that is not a column; "
                             "choose another name")
        return value

    @pydantic.field_validator("unit")
    @classmethod
    def _is_unit(cls, value: str) -> str:
        Unit(value)  # raises a ValueError that lists near matches
        return value

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if self.scale == "log" and not self.valid_range[0] + self.offset > 0:
            raise ValueError(
                f"valid_range: its lower limit {self.valid_range[0]:g} plus the offset "
                f"{self.offset:g} must be positive, because 'scale: log' takes the logarithm")
        try:
            card.Column.model_validate(self.model_dump())
        except pydantic.ValidationError as err:
            raise ValueError(err.errors()[0]["msg"].removeprefix("Value error, ")) from None
        return self


class TrainingData(Settings):
    """What the module learns from, for its card.

    >>> data = TrainingData(description="1,797 digits", licence="CC BY 4.0",
    ...                     citation="Alpaydin & Kaynak 1998")
    >>> data.origin
    ''
    """

    description: ShownText
    origin: card.Text = ""
    """Surveys and archives that the data come from."""
    citation: ShownText
    licence: ShownText
    """Licence or terms of use."""


class Selection(Settings):
    """A ``kind`` and settings of that kind, which are checked by `registry.Registered.choose`.

    >>> selection = Selection(kind="images", file_name="digits.npz")
    >>> selection.kind, selection.settings
    ('images', {'file_name': 'digits.npz'})
    """

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    kind: Text

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as the recipe has them, unchecked."""
        return dict(self.model_extra or {})


class PhaseSettings(Settings):
    """The optimisation of one phase of a fit; a phase adds settings of its own to these.

    >>> settings = PhaseSettings(steps=1000, learning_rate=3e-4)
    >>> settings.optimizer, settings.batch_size
    ('adam', 64)
    """

    steps: Steps
    batch_size: Batch = 64
    optimizer: Literal["adam", "adafactor", "rmsprop", "lars"] = "adam"
    learning_rate: LearningRate = 1e-3
    """The highest learning rate."""
    schedule: Literal["cosine", "square_root", "constant", "plateau"] = "cosine"
    """How the learning rate decreases, see `fitting.optimisers.learning_rate`."""
    momentum: ShareBelowOne = 0.9
    """Momentum of the optimisers ``rmsprop`` and ``lars``; the others have their own."""
    weight_decay: Weight = 0.0
    """Weight decay.  ``lars`` adds it to the gradient; the other optimisers subtract this fraction
    of the weights, times the learning rate, in each step."""
    patience: Steps = 10
    """With the schedule ``plateau``: the number of evaluations on test examples, one every 200
    steps, without a smaller loss, after which the learning rate is multiplied by `factor`."""
    factor: ShareBelowOne = 0.5
    """With the schedule ``plateau``: see `patience`."""
    warm_up: Count = 200
    """Steps over which the learning rate rises from zero."""
    average: ShareBelowOne = 0.998
    """Momentum of the exponential moving average of the weights that is kept at the end."""
    clip: Annotated[float, Within(1, 1e6)] = 2.0
    """Gradients are clipped at this multiple of the running geometric mean of their norm.  A value
    below one would lower this mean in each step, and the steps would shrink to zero."""


class _PhaseEntry(PhaseSettings):
    # Further settings of a phase are checked later, by the class of its settings.
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)


class Recipe(Settings):
    """A whole recipe; see ``training/recipes`` for examples and docs/training.md for the keys.

    Recipes are read by `read_recipe`.

    >>> recipe = read_recipe("training/recipes/first_mpcc.yaml")
    >>> recipe.name, recipe.stamp.size, [column.name for column in recipe.columns]
    ('first_mpcc', 96, ['flux_density', 'size'])
    >>> recipe.column_of("flux").unit
    'mJy'
    """

    name: str = pydantic.Field(pattern=NAME)
    run: str | None = pydantic.Field(None, pattern=NAME)
    """Name of the working folder.  Recipes with the same ``run`` use the same data set, and the
    same checkpoints of all phases for which their settings agree.
    [default: the name of the recipe]"""
    version: ShownText
    summary: ShownText
    modules: tuple[Text, ...] = ()
    """Python modules, or ``.py`` files relative to the recipe, that are imported first: they
    register families, builders and other kinds that are not part of this package."""
    seed: Seed
    stamp: Stamp
    bands: tuple[Band, ...]
    columns: Annotated[tuple[Column, ...], pydantic.Field(max_length=100)]
    training_data: TrainingData
    data: Selection
    """The builder of the data set and its settings."""
    model: Selection
    """The model family and its settings."""
    fit: dict[str, _PhaseEntry]
    """One entry for each phase of the family."""
    # The settings hashes of checkpoints do not depend on these two.
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = "float32"
    """The number format of the networks while they are fitted, see `fitting.precision.policy`."""
    distribute: Literal["none", "mirrored", "multi_worker"] = "none"
    """How batches are divided among devices, see `fitting.distribution.Distribution`."""

    _path: Path = pydantic.PrivateAttr()
    _sha256: str = pydantic.PrivateAttr()

    @pydantic.field_validator("modules")
    @classmethod
    def _full_names(cls, modules: tuple[str, ...]) -> tuple[str, ...]:
        for name in modules:
            if name.startswith(".") and not name.endswith(".py"):
                raise ValueError(f"{name!r} is a relative name; give the full name of a Python "
                                 "module, or the path of a file that ends in .py")
        return modules

    @pydantic.field_validator("bands")
    @classmethod
    def _bands_differ(cls, bands: tuple[Band, ...]) -> tuple[Band, ...]:
        names = [band.name for band in bands]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not bands or twice:
            raise ValueError(f"there are two bands of the name {', '.join(twice)}" if twice
                             else "at least one band is needed")
        return bands

    @pydantic.field_validator("columns")
    @classmethod
    def _columns_differ(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        names = [column.name for column in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two columns of the name {', '.join(twice)}")
        return columns

    @pydantic.model_validator(mode="after")
    def _bands_of_columns(self) -> Self:
        bands = [band.name for band in self.bands]
        for index, column in enumerate(self.columns):
            if column.band is not None and column.band not in bands:
                raise validation_error(
                    ("columns", index, "band"),
                    f"should be one of the bands: {', '.join(bands)}", column.band)
        return self

    @property
    def path(self) -> Path:
        """The file the recipe was read from."""
        return self._path

    @property
    def sha256(self) -> str:
        """The hash of that file, recorded in the card of the module."""
        return self._sha256

    @property
    def band(self) -> Band:
        """The only band, or the first one of several."""
        return self.bands[0]

    def run_folder(self, root: str | os.PathLike | None = None) -> Path:
        """The folder of data set, checkpoints and logs: ``runs/RUN`` or ``runs/NAME``."""
        return Path(root or "runs") / (self.run or self.name)

    # ---- columns ------------------------------------------------------------------------------

    def column_of(self, quantity: Quantity) -> Column | None:
        """The first column that measures a quantity; None if there is none."""
        return next((column for column in self.columns if column.quantity == quantity), None)

    def required_column(self, quantity: Quantity, needed_by: str) -> Column:
        """The column that measures a quantity.

        Parameters:
            quantity:   The quantity.
            needed_by:  The part of the model that needs it, for the error message, such as
                        ``"the phase 'matching'"``.

        Raises a `galsim.GalSimConfigError` if there is none.
        """
        column = self.column_of(quantity)
        if column is None:
            columns = ", ".join(f"{c.name} ({c.quantity})" for c in self.columns) or "none"
            raise GalSimConfigError(
                f"The recipe {self.path}, columns, has no column of the quantity '{quantity}', "
                f"which {needed_by} needs; its columns are: {columns}.")
        return column

    def check_as_observed(self, column: Column, used_by: str) -> None:
        """Check that the values of a column include the PSF.

        Parameters:
            column:     The column.
            used_by:    The part of the recipe that measures or imposes the quantity through a PSF,
                        for the error message, such as ``"the transplant builder"``.

        Raises a `galsim.GalSimConfigError` if the recipe does not say that they do.
        """
        if not column.as_observed:
            raise GalSimConfigError(
                f"The recipe {self.path}, columns, has the column '{column.name}' without "
                f"'as_observed: true'. The values of a {column.quantity} that {used_by} uses "
                "include the PSF. Set 'as_observed: true', and make the catalogue agree with it.")

    def pixels(self, column: Column) -> float:
        """Number of stamp pixels per unit of a column that holds a length or an angle."""
        return arcsec_of(column.unit, self.stamp.pixel_scale) / self.stamp.pixel_scale

    def arcsec(self, column: Column) -> float:
        """Size of the unit of a column that holds a length or an angle [arcsec]."""
        return arcsec_of(column.unit, self.stamp.pixel_scale)

    def half_light_radius(self, columns: Mapping[str, Any]) -> Any:
        """The half-light radius [pixels] of galaxies with these columns, [N] each.

        Pixels are those of the recipe, or of ``pixel_scale`` [arcsec] if that is among the columns.
        """
        column = self.required_column(
            "half_light_radius", "the conversion to half-light radii")
        values, pixels = columns[column.name], self.pixels(column)
        if "pixel_scale" in columns:
            return self.arcsec(column) * values / columns["pixel_scale"]
        return values if pixels == 1 else pixels * values

    def flux(self, columns: Mapping[str, Any]) -> Any:
        """The flux of galaxies with these columns, [N] each: that of their magnitude.

        It is in the units of the only band, in which a source of its zero point has flux 1.
        """
        column = self.required_column("magnitude", "the conversion of magnitudes to fluxes")
        return self.flux_of_magnitude(columns[column.name])

    def flux_of_magnitude(self, magnitude: Any) -> Any:
        """The flux of AB magnitudes in the only band, in units of the flux of its zero point."""
        return 10.0 ** (-0.4 * (magnitude - self.band.zero_point))

    # ---- settings of the data set -------------------------------------------------------------

    def data_set_settings(self) -> dict[str, Any]:
        """The settings besides ``data`` that a data set depends on, `without_defaults`."""
        return {name: without_defaults(getattr(self, name))
                for name in ("seed", "stamp", "bands", "columns")}


def read_recipe(path: str | os.PathLike) -> Recipe:
    """Read and check a recipe file, and import the modules that it names.

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
    # The card of the module gives the name of the file.
    parse(card.RecipeReference, dict(name=path.name, sha256=""), f"recipe {path}", "file")
    recipe._path = path.resolve()
    recipe._sha256 = hashlib.sha256(text).hexdigest()
    for name in recipe.modules:
        _import(name, recipe)
    return recipe


def _import(name: str, recipe: Recipe) -> None:
    """Import a module by its name, or a file by its path, once in a process."""
    try:
        if not name.endswith(".py"):
            importlib.import_module(name)
            return
        path = (recipe.path.parent / name).resolve()
        module_name = f"_of_recipe_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        if module_name in sys.modules:
            return
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
    except (ImportError, OSError, SyntaxError) as err:
        raise GalSimConfigError(f"The recipe {recipe.path}, modules, names '{name}', which cannot "
                                f"be imported: {err}") from err
