"""Flow-VAE: a variational autoencoder for light profiles with a conditional flow as its prior.

Lanusse et al. 2021 (MNRAS 504, 5543; arXiv:2008.03833), sections 2 and 3: the decoder makes a
profile, the forward model convolves it with the galaxy's own PSF, the likelihood is that of the
observed pixels given their noise (eqs. 2, 4, 5); the ELBO leaves some bits free (eq. 10); a
normalizing flow then learns the distribution of the latents of the training set given the catalogue
columns (section 3.3).

The recipe chooses the autoencoder, see `families.flow_vae.autoencoders`.  The networks, and what
they compute, are in `families.flow_vae.model`.
"""

__all__ = ["FlowVAE"]

import functools

from ..base import TOLERANCE, Signature
from ..shared.column_imputation import ColumnImputation
from ..shared.signatures import (
    decode_signature,
    encode_signature,
    fitting_signatures,
    log_prob_signature,
    sample_signature,
)
from .model import FlowVAEModel
from .phases.adversarial import Adversarial
from .phases.autoencoder import AutoencoderPhase, Structure
from .phases.latent_flow import LatentFlow
from .phases.matching import Matching

REFINED_TOLERANCE = 1e-2
"""The tolerance of ``encode`` if it maximises the posterior: many steps amplify rounding errors."""


class FlowVAE(FlowVAEModel, kind="flow_vae"):
    """The model family ``flow_vae``; see the module's docstring.

    The parameters are those of `ModelFamily`.

    >>> import tensorflow as tf
    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/lanusse2021.yaml")
    >>> settings = FlowVAE.Settings(
    ...     autoencoder=dict(kind="lanusse2021", latent_size=4, depth=4, stages=2, blocks=1),
    ...     flow=dict(kind="affine_coupling", layers=1, hidden=8))
    >>> family = FlowVAE(settings, recipe)
    >>> family.sample(tf.zeros([1, family.latent_size]), family.example_columns()).shape
    TensorShape([1, 128, 128])
    """

    phase_types = (
        AutoencoderPhase, Structure, LatentFlow, Adversarial, Matching, ColumnImputation)
    optional_phases = ("structure", "adversarial", "matching")

    def signatures(self) -> dict[str, Signature]:
        size = self.autoencoder.latent_size
        encode = functools.partial(self.encode, refinement=self.settings.refinement)
        sample = (fitting_signatures(self, self.latents, self.draw)
                  if self.recipe.stamp.sizes else
                  dict(sample=sample_signature(self, self.sample)))
        return dict(sample,
                    decode=decode_signature(self, size, self.decode),
                    encode=encode_signature(
                        self, encode, REFINED_TOLERANCE if self.settings.refinement else TOLERANCE),
                    log_prob=log_prob_signature(self, size, self.log_prob))
