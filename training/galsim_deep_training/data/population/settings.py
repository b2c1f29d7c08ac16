"""What a recipe says about the population that its galaxies are drawn from."""

__all__ = ["Catalogue", "Counts", "PopulationSettings"]

from typing import Annotated, Self

import pydantic

from ...settings import Arcsec, Magnitudes, Redshifts, Settings, Share, Text, Within
from ...settings import validation_error as error

Sizes = Annotated[tuple[Arcsec, Arcsec], pydantic.AfterValidator(lambda sizes: _ordered(sizes))]
"""A range of half-light radii [arcsec]."""


def _ordered(sizes: tuple[float, float]) -> tuple[float, float]:
    if not sizes[0] < sizes[1]:
        raise ValueError("should be two numbers, the first less than the second")
    return sizes


class Catalogue(Settings):
    """A catalogue of real galaxies, and the names of its columns.

    A column that is not named is read under the name of its quantity if the catalogue has it.

    Example::

        >>> catalogue = Catalogue(file_name="real_galaxies.h5", path="catalogues/cosmos_shapes")
        >>> catalogue.magnitude, catalogue.redshift
        ('magnitude', None)
    """

    file_name: Text
    """A table that astropy reads (``.csv``, ``.fits``), an HDF5 file, or the main file of a
    RealGalaxyCatalog with its catalogue of fits beside it."""
    path: Text | None = None
    """The table in an HDF5 file."""
    magnitude: Text = "magnitude"
    half_light_radius: Text | None = None
    """Half-light radius before the PSF, circularised [arcsec]."""
    redshift: Text | None = None
    sersic_n: Text | None = None
    axis_ratio: Text | None = None
    ellipticity: Text | None = None
    """|g| = (1 - q) / (1 + q), instead of an axis ratio q."""
    magnitudes: Magnitudes | None = None
    """Range of magnitudes in which the catalogue is used.  [default: all]"""

    @pydantic.model_validator(mode="after")
    def _names_the_table(self) -> Self:
        if (self.path is None) == self.file_name.endswith((".h5", ".hdf5")):
            raise error(("path",), "should name the table in an HDF5 file, and only there",
                        self.path)
        return self


class Counts(Settings):
    """Number counts: those of a catalogue, and an exponential beyond its faintest magnitude.

    Example::

        >>> Counts(slope=0.69, file_name="cosmos.csv", magnitude="mag_auto").magnitude
        'mag_auto'
    """

    slope: Annotated[float, Within(-10, 10)]
    """d ln N / d mag of the exponential."""
    file_name: Text | None = None
    """A catalogue that is complete to its faintest magnitude.
    [default: the exponential at all magnitudes]"""
    path: Text | None = None
    """The table in an HDF5 file."""
    magnitude: Text = "magnitude"
    """The column of that catalogue with the magnitudes."""

    @pydantic.model_validator(mode="after")
    def _names_the_table(self) -> Self:
        is_hdf5 = self.file_name is not None and self.file_name.endswith((".h5", ".hdf5"))
        if (self.path is not None) != is_hdf5:
            raise error(("path",), "should name the table in an HDF5 file, and only there",
                        self.path)
        return self


class PopulationSettings(Settings):
    """The population that galaxies are drawn from.

    Example::

        >>> settings = PopulationSettings(
        ...     magnitudes=(16, 28), counts=dict(slope=0.5), half_light_radius=(0.05, 5),
        ...     redshift=(0, 6), catalogs=[dict(file_name="cosmos.csv", redshift="zphot")])
        >>> settings.even_share, settings.catalogs[0].redshift
        (0.0, 'zphot')
    """

    magnitudes: Magnitudes
    """Range of magnitudes, bright and faint."""
    counts: Counts
    even_share: Share = 0.0
    """Fraction of the galaxies that are spread evenly: magnitude over its range, then ln(size) and
    ln(z + 0.1), independent of each other, over the ranges that 98 % of the galaxies of that
    magnitude have.  They show rare galaxies more often: bright, large and distant ones."""
    half_light_radius: Sizes
    """Range of half-light radii before the PSF, circularised [arcsec]."""
    redshift: Redshifts
    """Range of redshifts."""
    catalogs: tuple[Catalogue, ...]
    """Catalogues with magnitude, size and redshift, and catalogues with magnitude, size, Sersic
    index and axis ratio; they may be the same."""
