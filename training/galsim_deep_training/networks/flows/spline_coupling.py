"""Neural spline flow with coupling layers (Durkan et al. 2019, arXiv:1906.04032)."""

__all__ = ["SplineCouplingFlow"]

from ...settings import Channels, Layers
from .coupling import CouplingFlow
from .transforms import SplineSettings


class SplineCouplingFlow(CouplingFlow, kind="spline_coupling"):
    """A `CouplingFlow` of monotonic rational-quadratic splines.

    Parameters:
        settings:       An instance of ``Settings``.
        latent_size:    Dimension of the latent, at least 2.
        seed:           Determines the permutations.

    >>> flow = SplineCouplingFlow(SplineCouplingFlow.Settings(layers=2, bins=4), latent_size=4)
    >>> flow.univariate
    SplineTransform(bins=4, bound=5.0)
    """

    class Settings(SplineSettings):
        """Settings in a recipe."""

        layers: Layers = 6
        """Number of coupling layers."""
        hidden: Channels = 128
        """Units of each of the two hidden layers of a conditioner."""

    def __init__(self, settings: Settings, latent_size: int, seed: int = 0) -> None:
        super().__init__(settings.transform(), latent_size, settings.layers, settings.hidden, seed)
