"""Autoregressive neural spline flow (Durkan et al. 2019, arXiv:1906.04032)."""

__all__ = ["MaskedAutoregressiveSplineFlow"]

from ...settings import Channels, Layers
from .autoregressive import AutoregressiveFlow
from .transforms import SplineSettings


class MaskedAutoregressiveSplineFlow(AutoregressiveFlow, kind="masked_autoregressive_spline"):
    """An `AutoregressiveFlow` of monotonic rational-quadratic splines.

    Parameters:
        settings:       An instance of ``Settings``.
        latent_size:    Dimension of the latent.
        seed:           Determines the permutations.

    >>> settings = MaskedAutoregressiveSplineFlow.Settings(layers=2, bins=4)
    >>> MaskedAutoregressiveSplineFlow(settings, latent_size=4).univariate
    SplineTransform(bins=4, bound=5.0)
    """

    class Settings(SplineSettings):
        """Settings in a recipe."""

        layers: Layers = 4
        """Number of autoregressive layers."""
        hidden: Channels = 256
        """Units of each of the two masked hidden layers of a conditioner."""

    def __init__(self, settings: Settings, latent_size: int, seed: int = 0) -> None:
        super().__init__(settings.transform(), latent_size, settings.layers, settings.hidden, seed)
