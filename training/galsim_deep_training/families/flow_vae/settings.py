"""Settings of the networks of the Flow-VAE: the ``model`` part of a recipe.

The settings of its phases are in the same modules as the phases, in `families.flow_vae.phases`.
"""

__all__ = ["FlowVAESettings"]

from ...networks.flows import Flow, MapFlow
from ...registry import Choice
from ...settings import Count, Settings
from .autoencoders import FlowAutoencoder


class FlowVAESettings(Settings):
    """Settings of the networks of the family ``flow_vae``.

    >>> settings = FlowVAESettings(autoencoder=dict(kind="lanusse2021"))
    >>> settings.flow.kind, settings.detail_flow.kind
    ('spline_coupling', 'map_coupling')
    """

    autoencoder: Choice[FlowAutoencoder]
    """See `galsim_deep_training.families.flow_vae.autoencoders`."""
    flow: Choice[Flow] = Flow.by_default("spline_coupling")
    """The flow of the latent vector, see `networks.flows`."""
    detail_flow: Choice[MapFlow] = MapFlow.by_default("map_coupling")
    """The flow of the maps of latents, if the autoencoder has any."""
    refinement: Count = 30
    """Number of steps by which the signature ``encode`` maximises the posterior of the latents,
    see `families.shared.refinement`."""
