"""MAF: the density of embeddings by a masked autoregressive flow.

Papamakarios et al. 2017 (arXiv:1705.07057), as Andrianomena 2023 (section 5) uses it for radio
galaxies: the likelihood is that of the latents of an encoder instead of that of the pixels.  An
embedding that is improbable is that of a galaxy unlike those of the training set, or of no galaxy.

The embeddings are those of a data set of the builder ``embeddings``.  They are whitened first, so
that the flow, which is the identity before the fit, starts from a Gaussian.
"""

__all__ = ["MAF", "MAFSettings"]

import tensorflow as tf
from galsim import GalSimConfigError

from ...data.dataset import Dataset
from ...networks.conditions import Columns
from ...networks.flows import Flow
from ...recipe import Recipe
from ...registry import Choice
from ...settings import Channels, PositiveShare, Settings
from ..base import ModelFamily, Signature
from ..shared.signatures import log_prob_signature
from .density import DensityPhase, embeddings_of
from .whitening import Kind, Whitening

SAMPLE_TOLERANCE = 1e-3
"""A sample is computed in as many steps as it has numbers, in which rounding errors grow."""


class MAFSettings(Settings):
    """Settings of the family: the ``model`` part of a recipe.

    >>> settings = MAFSettings(latent_size=16)
    >>> settings.flow.kind, settings.flow.settings.layers, settings.whitening
    ('masked_autoregressive', 5, 'principal_components')
    """

    latent_size: Channels
    """Numbers in an embedding, K."""
    conditional: bool = False
    """Whether the density is one given the columns of the recipe, p(z | columns)."""
    whitening: Kind = "principal_components"
    """How embeddings are whitened, see `families.maf.whitening.Whitening`."""
    least_deviation: PositiveShare = 1e-3
    """Smallest standard deviation that is divided out, in units of the largest one."""
    flow: Choice[Flow] = Flow.by_default("masked_autoregressive", layers=5, hidden=128)
    """The flow of whitened embeddings."""


class MAF(ModelFamily, kind="maf"):
    """The model family ``maf``; see the module's docstring, and `ModelFamily` for the parameters.

    Raises:
        galsim.GalSimConfigError: if it is to be conditional and the recipe has no columns.
        galsim.GalSimError: in `prepare`, if the data set has no embeddings, or of another length.

    Example::

        >>> from galsim_deep_training.families import make_family
        >>> from galsim_deep_training.recipe import read_recipe
        >>> family = make_family(read_recipe("training/recipes/first_maf.yaml"))
        >>> family.module_kind, sorted(family.signatures())
        ('density', ['log_prob', 'sample'])
        >>> family.log_prob(tf.zeros([2, family.latent_size]), {}).shape
        TensorShape([2])
    """

    Settings = MAFSettings
    settings: MAFSettings
    module_kind = "density"
    several_bands = True
    phase_types = (DensityPhase,)

    def __init__(self, settings: MAFSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        if settings.conditional and not recipe.columns:
            raise GalSimConfigError(f"The recipe {recipe.path} has model.conditional: true, but no "
                                    "columns. Add columns, or remove this setting.")
        self.latent_size = settings.latent_size
        self.whitening = Whitening(
            settings.latent_size, settings.whitening, settings.least_deviation)
        self.flow = settings.flow.make(latent_size=settings.latent_size, seed=recipe.seed)
        self.flow.build((None, len(recipe.columns) if settings.conditional else 1))
        self.networks.update(whitening=self.whitening, flow=self.flow)
        if not settings.conditional:
            del self.networks["conditions"]
        self.prepared.update(whitening=self.whitening)

    def prepare(self, dataset: Dataset) -> None:
        """Whiten the embeddings of the training split, and standardise its columns."""
        if self.settings.conditional:
            super().prepare(dataset)
        self.whitening.adapt(embeddings_of(dataset)[dataset.train_indices])

    def column_specs(self) -> dict[str, tf.TensorSpec]:
        """The columns that signatures take: none, if the density does not depend on them."""
        return super().column_specs() if self.settings.conditional else {}

    def conditions_of(self, columns: Columns, count: int) -> tf.Tensor:
        """The conditions of the flow for ``count`` galaxies: standardised columns, [N, C].

        Without columns a constant, [N, 1]: a flow is a function of at least one condition.
        """
        return self.conditions(columns) if self.settings.conditional else tf.ones([count, 1])

    def log_prob(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Log density of embeddings, [N, K] -> [N] [nats], given columns [N] if conditional."""
        conditions = self.conditions_of(columns, tf.shape(latent)[0])
        return self.flow(conditions).log_prob(self.whitening(latent)) + self.whitening.log_det

    def sample(self, normal: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Embeddings for standard normal numbers, [N, K] -> [N, K]."""
        conditions = self.conditions_of(columns, tf.shape(normal)[0])
        return self.whitening.undo(self.flow.transform(normal, conditions))

    def signatures(self) -> dict[str, Signature]:
        """The signatures of the module: ``log_prob`` and ``sample``."""
        def sample(random_normal: tf.Tensor, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
            return dict(latent=self.sample(random_normal, columns))

        normal = tf.TensorSpec([None, self.latent_size], tf.float32)
        return dict(
            log_prob=log_prob_signature(self, self.latent_size, self.log_prob),
            sample=Signature(sample, dict(self.column_specs(), random_normal=normal),
                             tolerance=SAMPLE_TOLERANCE))
