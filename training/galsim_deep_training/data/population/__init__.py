"""The joint distribution of magnitude, size, redshift and morphology of galaxies."""

from .population import Drawn, Population
from .settings import Catalogue, Counts, PopulationSettings

__all__ = ["Catalogue", "Counts", "Drawn", "Population", "PopulationSettings"]
