"""Real NVP: affine coupling layers (Dinh et al. 2017, arXiv:1605.08803)."""

__all__ = ["AffineCouplingFlow"]

from ...settings import Channels, Layers
from ...settings import Settings as BaseSettings
from .coupling import CouplingFlow
from .transforms import AffineTransform


class AffineCouplingFlow(CouplingFlow, kind="affine_coupling"):
    """A `CouplingFlow` of affine functions.

    Parameters:
        settings:       An instance of ``Settings``.
        latent_size:    Dimension of the latent, at least 2.
        seed:           Determines the permutations.

    >>> flow = AffineCouplingFlow(AffineCouplingFlow.Settings(layers=2), latent_size=4)
    >>> len(flow.conditioners)
    2
    """

    class Settings(BaseSettings):
        """Settings in a recipe."""

        layers: Layers = 10
        """Number of coupling layers."""
        hidden: Channels = 128
        """Units of each of the two hidden layers of a conditioner."""

    def __init__(self, settings: Settings, latent_size: int, seed: int = 0) -> None:
        super().__init__(AffineTransform(), latent_size, settings.layers, settings.hidden, seed)
