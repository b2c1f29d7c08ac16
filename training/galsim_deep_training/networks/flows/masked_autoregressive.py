"""The masked autoregressive flow of Lanusse et al. 2021 (arXiv:2008.03833, section 4.2.2)."""

__all__ = ["MaskedAutoregressiveFlow"]

from ...settings import Channels, Layers
from ...settings import Settings as BaseSettings
from .autoregressive import AutoregressiveFlow
from .transforms import AffineTransform


class MaskedAutoregressiveFlow(AutoregressiveFlow, kind="masked_autoregressive"):
    """An `AutoregressiveFlow` of affine functions (Papamakarios et al. 2017, arXiv:1705.07057).

    Parameters:
        settings:       An instance of ``Settings``.
        latent_size:    Dimension of the latent.
        seed:           Determines the permutations.

    >>> flow = MaskedAutoregressiveFlow(MaskedAutoregressiveFlow.Settings(layers=2), latent_size=4)
    >>> len(flow.conditioners)
    2
    """

    class Settings(BaseSettings):
        """Settings in a recipe."""

        layers: Layers = 8
        """Number of autoregressive layers."""
        hidden: Channels = 256
        """Units of each of the two masked hidden layers of a conditioner."""

    def __init__(self, settings: Settings, latent_size: int, seed: int = 0) -> None:
        super().__init__(AffineTransform(), latent_size, settings.layers, settings.hidden, seed)
