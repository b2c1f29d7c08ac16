"""Bounds of the numbers in a recipe, as types of the fields of its `recipe.Settings`.

Every number is finite, neither ``true`` nor ``false``, and within limits that are generous but
still mean something: whatever lies outside is a mistake.
"""

__all__ = ["Arcsec", "Batch", "Cells", "Channels", "Count", "EvenCells", "Fineness", "Finite",
           "Jitter", "Layers", "LearningRate", "Magnitude", "Magnitudes", "Maps", "Multiple",
           "Pixels", "Positive", "PositivePixels", "PositiveShare", "Radii", "Range", "Reach",
           "Redshifts", "Repeats", "Row", "Seed", "Share", "ShareBelowOne", "Steps", "Text",
           "Weight", "Within"]

import dataclasses
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclasses.dataclass(frozen=True)
class Within:
    """The limits of a number, as ``Annotated[int, Within(1, 100)]``; the error tells them all."""

    least: float
    most: float
    above: bool = False
    """Whether the number has to be greater than ``least``."""
    below: bool = False
    """Whether it has to be less than ``most``."""
    multiple_of: int = 1
    """What a whole number has to be a multiple of."""

    def __get_pydantic_core_schema__(
            self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler(source)
        allowed = self._allowed(whole=inner["type"] == "int")

        def check(value, validate):
            try:
                # Python takes True for 1.
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

Text = Annotated[str, Field(min_length=1)]
"""Text that is not empty."""

# Whole numbers.
Count = Annotated[int, Within(0, 1e9)]
"""A number of things, which may be none."""
Steps = Annotated[int, Within(1, 1e9)]
"""Steps of a fit, or examples to make."""
Seed = Annotated[int, Within(0, 2**31 - 1)]
"""Of random numbers."""
Row = Annotated[int, Within(0, 2**31 - 1)]
"""A row of a table, counted from 0."""
Batch = Annotated[int, Within(1, 1e6)]
"""Examples in a batch."""
Repeats = Annotated[int, Within(1, 1000)]
"""How often something is done in each step or for each source."""
Cells = Annotated[int, Within(1, 4096)]
"""Pixels or cells on a side."""
EvenCells = Annotated[int, Within(2, 4096, multiple_of=2)]
"""Cells on a side of a grid that has a middle half."""
Fineness = Annotated[int, Within(1, 64)]
"""Fine cells along each side of a coarse one."""
Channels = Annotated[int, Within(1, 16384)]
"""Channels, units or latents of a network."""
Maps = Annotated[int, Within(0, 256)]
"""Maps of latents at one resolution, which may be none."""
Layers = Annotated[int, Within(1, 100)]
"""Layers of a network, or stages of it."""

# Numbers.  Networks compute in float32, which ends at 3e38.
Finite = Annotated[float, Within(-1e30, 1e30)]
Positive = Annotated[float, Within(1e-30, 1e30)]
Share = Annotated[float, Within(0, 1)]
ShareBelowOne = Annotated[float, Within(0, 1, below=True)]
PositiveShare = Annotated[float, Within(1e-6, 1)]
Weight = Annotated[float, Within(0, 1e6)]
"""Of a term of a loss."""
Jitter = Annotated[float, Within(0, 10)]
"""Random movement, in units in which values are about one."""
LearningRate = Annotated[float, Within(1e-10, 10)]
Multiple = Annotated[float, Within(0.01, 100)]
"""A length or a factor, in units in which it is about one."""
Reach = Annotated[float, Within(1, 100, above=True)]
"""Half the width of a frame, in units of the size of what it holds."""
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
