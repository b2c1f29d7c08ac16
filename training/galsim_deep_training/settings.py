"""Settings: the base class of everything that a recipe sets, and the types of its numbers.

Every number is finite, neither ``true`` nor ``false``, and within generous limits: a value outside
of them is certainly a mistake.

    >>> class Blur(Settings):
    ...     width: Pixels = 1.5
    >>> parse(Blur, dict(width=2), "recipe").width
    2.0
    >>> parse(Blur, dict(width=-2), "recipe")
    Traceback (most recent call last):
    galsim.errors.GalSimConfigError: The recipe is not valid. width: should be a number from 0 to \
4096 (the recipe has -2)
"""

__all__ = ["Arcsec", "Batch", "Cells", "Channels", "Count", "EvenCells", "Finite", "HalfWidth",
           "Jitter", "Layers", "LearningRate", "Magnitude", "Magnitudes", "Maps", "Multiple",
           "Pixels", "Positive", "PositivePixels", "PositiveShare", "Radii", "Range", "Redshifts",
           "Repeats", "Row", "Seed", "Settings", "Share", "ShareBelowOne", "ShownText", "Steps",
           "Subcells", "Text", "Weight", "Within", "check_grid", "configuration_error", "digest",
           "parse", "validation_error", "without_defaults"]

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

import pydantic
from galsim import GalSimConfigError
from pydantic import AfterValidator, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from galsim_deep.modules import card

AnySettings = TypeVar("AnySettings", bound=pydantic.BaseModel)


_PLAIN_WORDS = {
    "missing": "it is missing",
    "model_type": "should be a dict of settings",
    "dict_type": "should be a dict of settings",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "too_short": "should have {min_length} or more items",
    "too_long": "should have at most {max_length} items",
    "string_type": "should be text",
    "string_too_short": "should not be empty",
    "string_pattern_mismatch": "should match the regular expression {pattern}",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "literal_error": "should be {expected}",
}
"""Messages about faults that pydantic describes in terms of Python, by the type of its error."""


class Settings(pydantic.BaseModel):
    """Base class of every group of settings: typed, immutable, without unknown keys.

    >>> class Blur(Settings):
    ...     width: Pixels = 1.5
    >>> Blur().width
    1.5
    >>> parse(Blur, dict(widht=2), "recipe")
    Traceback (most recent call last):
    galsim.errors.GalSimConfigError: The recipe is not valid. widht: there is no such key; the \
keys here are: width (the recipe has 2)
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    not_hashed: ClassVar[frozenset[str]] = frozenset()
    """Fields that do not change what is computed, such as names for people or the thresholds of
    warnings; they are not part of the settings hash, see `without_defaults`."""

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _list_valid_keys(
            cls, value: Any, handler: pydantic.ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as err:
            raise ValidationError.from_exception_data(
                cls.__name__, [cls._with_keys(error) for error in err.errors()]) from None

    @classmethod
    def _with_keys(cls, error: Any) -> InitErrorDetails:
        kind, message = error["type"], error["msg"]
        if kind == "extra_forbidden" and len(error["loc"]) == 1:
            kind = "unknown_key"
            message = f"there is no such key; the keys here are: {', '.join(cls.model_fields)}"
        elif kind in _PLAIN_WORDS:
            # Settings that contain these must not look for words again.
            kind, message = "plain_words", _PLAIN_WORDS[kind].format(**error.get("ctx", {}))
        return InitErrorDetails(type=PydanticCustomError(kind, message),
                                loc=error["loc"], input=error["input"])


def parse(cls: type[AnySettings], content: Any, where: str, key: str = "") -> AnySettings:
    """Check the content of a recipe, or of a part of it, against a class of settings.

    Parameters:
        cls:        The class of settings.
        content:    The part of the recipe, a dict.
        where:      The name of the recipe for the error, such as ``"recipe my.yaml"``.
        key:        The key of that part, such as ``"model"``.  [default: the whole recipe]

    Returns:
        an instance of ``cls``.

    Raises a `galsim.GalSimConfigError` that names each wrong key, the allowed values and the value
    in the recipe.
    """
    try:
        return cls.model_validate(content)
    except ValidationError as err:
        raise configuration_error(err, where, key) from err


def configuration_error(err: ValidationError, where: str, key: str = "") -> GalSimConfigError:
    """Convert a pydantic error to a `galsim.GalSimConfigError` that lists all wrong settings.

    The other parameters are those of `parse`.
    """
    messages = []
    for error in err.errors():
        path = ".".join([*([key] if key else []), *map(str, error["loc"])]) or "top level"
        value = error["input"]
        is_short = isinstance(value, (bool, int, float, str)) and len(repr(value)) < 80
        messages.append(f"{path}: {error['msg'].removeprefix('Value error, ')}"
                        + (f" (the recipe has {value!r})" if is_short else ""))
    return GalSimConfigError(f"The {where} is not valid. {'; '.join(messages)}")


def validation_error(path: tuple[str | int, ...], message: str, value: Any) -> ValidationError:
    """A pydantic error for a nested value, to be raised in a validator.

    Parameters:
        path:       Keys and indices that lead from the validated object to the value.
        message:    What is wrong.
        value:      The value.
    """
    return ValidationError.from_exception_data("settings", [InitErrorDetails(
        type=PydanticCustomError("wrong_setting", message), loc=path, input=value)])


def check_grid(settings: Settings, cells: str, subcells: str) -> None:
    """Check in a validator that a grid of cells and subcells is not too large.

    Parameters:
        settings:   The settings, and
        cells:      the name of the one with the cells on a side, and
        subcells:   of the one with the subcells on a side of each.

    Raises a `pydantic.ValidationError` that names both.

    >>> class Grid(Settings):
    ...     cells: Cells
    ...     subcells: Subcells
    ...     @pydantic.model_validator(mode="after")
    ...     def _check(self):
    ...         check_grid(self, "cells", "subcells")
    ...         return self
    >>> parse(Grid, dict(cells=1024, subcells=64), "recipe")
    Traceback (most recent call last):
    galsim.errors.GalSimConfigError: The recipe is not valid. subcells: with 'cells' of 1024 there \
would be 65536 pixels on a side; 'cells' times 'subcells' should be at most 4096 (the recipe has 64)
    """
    side = getattr(settings, cells) * getattr(settings, subcells)
    if side > MAX_PIXELS:
        raise validation_error(
            (subcells,),
            f"with '{cells}' of {getattr(settings, cells)} there would be {side} pixels on a side; "
            f"'{cells}' times '{subcells}' should be at most {MAX_PIXELS}",
            getattr(settings, subcells))


def without_defaults(value: Any) -> Any:
    """Settings as JSON data, without those that have their default value.

    The hash of this data (settings hash) is part of the names of checkpoints and identifies data
    sets.  A setting that is added in a later release therefore does not change the hash of earlier
    results if its default reproduces the earlier behaviour.  If a default is changed, the
    ``format`` of the phase or network must be increased.  A default that chooses a kind is left out
    only while the ``format`` of that kind is 1, so that a higher format gives another hash.

    Parameters:
        value:      A `Settings`, a `registry.Choice`, or numbers, text, lists and dicts of these.

    >>> class Blur(Settings):
    ...     width: Pixels = 1.5
    ...     name: Text
    >>> without_defaults(Blur(name="a", width=1.5)), without_defaults(Blur(name="a", width=2))
    ({'name': 'a'}, {'width': 2.0, 'name': 'a'})
    """
    if hasattr(value, "__without_defaults__"):
        return value.__without_defaults__()
    if isinstance(value, Settings):
        content = {}
        for name, field in type(value).model_fields.items():
            setting = getattr(value, name)
            is_default = not field.is_required() and setting == field.get_default(
                call_default_factory=True)
            if name not in value.not_hashed and not (is_default and _first_format(setting)):
                content[name] = without_defaults(setting)
        return content | {name: without_defaults(extra)
                          for name, extra in (value.model_extra or {}).items()}
    if isinstance(value, Mapping):
        return {str(key): without_defaults(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_defaults(part) for part in value]
    return value


def _first_format(value: Any) -> bool:
    """Whether all kinds that a setting chooses have the format 1."""
    if hasattr(value, "__without_defaults__"):
        return value.cls.format == 1 and _first_format(value.settings)
    if isinstance(value, Settings):
        return all(_first_format(getattr(value, name)) for name in type(value).model_fields
                   if name not in value.not_hashed)
    if isinstance(value, Mapping):
        return all(map(_first_format, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_first_format, value))
    return True


def digest(content: Any) -> str:
    """The sha256 of JSON data; the order of keys has no effect."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Within:
    """The limits of a number, as in ``Annotated[int, Within(1, 100)]``.

    The error about a value outside of the limits states them all.

    >>> class Camera(Settings):
    ...     pixels: Annotated[int, Within(2, 64, multiple_of=2)]
    >>> parse(Camera, dict(pixels=33), "recipe")
    Traceback (most recent call last):
    galsim.errors.GalSimConfigError: The recipe is not valid. pixels: should be a multiple of 2 \
from 2 to 64 (the recipe has 33)
    """

    least: float
    most: float
    above: bool = False
    """Whether the number has to be greater than ``least``."""
    below: bool = False
    """Whether it has to be less than ``most``."""
    multiple_of: int = 1
    """A number of which a whole number has to be a multiple."""

    def __get_pydantic_core_schema__(
            self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler(source)
        allowed = self._allowed(whole=inner["type"] == "int")

        def check(value, validate):
            try:
                # In Python, True is an int.
                number = None if isinstance(value, bool) else validate(value)
            except ValidationError:
                number = None
            if number is None or not self._holds(number):
                raise PydanticCustomError("bounds", "should be {allowed}", dict(allowed=allowed))
            return number

        return core_schema.no_info_wrap_validator_function(check, inner)

    def _allowed(self, whole: bool) -> str:
        kind = "number" if not whole else (
            f"multiple of {self.multiple_of}" if self.multiple_of > 1 else "whole number")
        least, most = (f"{limit:.0f}" if whole else f"{limit:g}"
                       for limit in (self.least, self.most))
        if not (self.above or self.below):
            return f"a {kind} from {least} to {most}"
        return (f"a {kind}, {'greater than' if self.above else 'at least'} {least} and "
                f"{'less than' if self.below else 'at most'} {most}")

    def _holds(self, number: float) -> bool:
        # NaN compares false.
        return (self.least <= number <= self.most
                and not (self.above and number == self.least)
                and not (self.below and number == self.most)
                and (self.multiple_of == 1 or number % self.multiple_of == 0))


def _increasing(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise PydanticCustomError(
            "range", "should be two numbers, the first less than the second; the range {first} to "
            "{second} is empty", dict(first=f"{limits[0]:g}", second=f"{limits[1]:g}"))
    return limits


_Increasing = AfterValidator(_increasing)

MAX_PIXELS = 4096
"""The largest number of pixels or cells on a side of an image."""

Text = Annotated[str, Field(min_length=1)]
"""Text that is not empty."""
ShownText = Annotated[Text, AfterValidator(card.without_control_characters)]
"""Text for the card of the module: not empty, and without control characters, which a card must not
hold.  They are refused in the recipe, because the card is written only after the fit."""

# Whole numbers.
Count = Annotated[int, Within(0, 1e9)]
"""A number of things, which may be none."""
Steps = Annotated[int, Within(1, 1e9)]
"""Steps of a fit, or examples to make."""
Seed = Annotated[int, Within(0, 2**31 - 1)]
"""Seed of random numbers."""
Row = Annotated[int, Within(0, 2**31 - 1)]
"""A row of a table, counted from 0."""
Batch = Annotated[int, Within(1, 1e6)]
"""Examples in a batch."""
Repeats = Annotated[int, Within(1, 1000)]
"""Number of repetitions in each step or for each source."""
Cells = Annotated[int, Within(1, 4096)]
"""Pixels or cells on a side."""
EvenCells = Annotated[int, Within(2, MAX_PIXELS, multiple_of=2)]
"""Cells on a side of a grid that has a middle half."""
Subcells = Annotated[int, Within(1, 64)]
"""Cells of an image along each side of a cell of a network, see `networks.nested_grids`."""
Channels = Annotated[int, Within(1, 16384)]
"""Channels, units or latents of a network."""
Maps = Annotated[int, Within(0, 256)]
"""Maps of latents at one resolution, which may be none."""
Layers = Annotated[int, Within(1, 100)]
"""Layers of a network, or stages of it."""

# Numbers.  Networks compute in float32, whose largest number is 3e38.
Finite = Annotated[float, Within(-1e30, 1e30)]
Positive = Annotated[float, Within(1e-30, 1e30)]
Share = Annotated[float, Within(0, 1)]
"""A fraction, which may be 0 or 1."""
ShareBelowOne = Annotated[float, Within(0, 1, below=True)]
PositiveShare = Annotated[float, Within(1e-6, 1)]
Weight = Annotated[float, Within(0, 1e6)]
"""Weight of a term of a loss."""
Jitter = Annotated[float, Within(0, 10)]
"""Random movement, in units in which values are about one."""
LearningRate = Annotated[float, Within(1e-10, 10)]
Multiple = Annotated[float, Within(0.01, 100)]
"""A length or a factor, in units in which it is about one."""
HalfWidth = Annotated[float, Within(1, 100, above=True)]
"""Half the width of a grid, in units of the size of the source on it."""
Pixels = Annotated[float, Within(0, 4096)]
"""A length in pixels."""
PositivePixels = Annotated[float, Within(0, 4096, above=True)]
Arcsec = Annotated[float, Within(1e-5, 3600)]
"""An angle [arcsec], up to a degree."""
Magnitude = Annotated[float, Within(-100, 100)]
_Redshift = Annotated[float, Within(0, 1e4)]

# Ranges: the first number is less than the second.
Range = Annotated[tuple[Finite, Finite], _Increasing]
Magnitudes = Annotated[tuple[Magnitude, Magnitude], _Increasing]
Radii = Annotated[tuple[Pixels, Pixels], _Increasing]
Redshifts = Annotated[tuple[_Redshift, _Redshift], _Increasing]
