"""Conditional normalizing flows on the latent (Lanusse et al. 2021, section 3.3).

Each kind is one file here; recipes name it by its entry in `FLOWS`.
"""

__all__ = ["FLOWS", "CouplingFlow", "MAF", "SplineFlow", "make_flow"]

import inspect

from galsim import GalSimConfigError

from .coupling import CouplingFlow
from .maf import MAF
from .spline import SplineFlow

FLOWS = {"coupling": CouplingFlow, "maf": MAF, "spline": SplineFlow}


def make_flow(kind, latent_size, seed, **settings):
    """The flow that a recipe asks for.

    Parameters:
        kind:           One of `FLOWS`.
        latent_size:    Dimension L of the latent.
        seed:           Draws the permutations.
        settings:       Those of the kind, such as ``layers`` and ``hidden``; see its class.

    Returns:
        a `Flow`.

    Raises a `galsim.GalSimConfigError` where there is no such kind or setting.
    """
    if kind not in FLOWS:
        raise GalSimConfigError(
            f"There is no kind of flow '{kind}'; there are: {', '.join(sorted(FLOWS))}.")
    known = [name for name in inspect.signature(FLOWS[kind]).parameters
             if name not in ("latent_size", "seed")]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise GalSimConfigError(
            f"A flow of the kind '{kind}' has no setting {', '.join(unknown)}; its settings are: "
            f"{', '.join(known)}.")
    return FLOWS[kind](latent_size, seed=seed, **settings)
