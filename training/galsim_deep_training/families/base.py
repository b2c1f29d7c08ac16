"""The base class of the model families, which the training loop and the exporter use."""

__all__ = ["TOLERANCE", "ModelFamily", "Signature"]

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep.modules.card import Kind

from ..data.dataset import Dataset
from ..fitting.phase import Phase
from ..networks.conditions import Columns, Conditions
from ..networks.imputation import Imputation, imputed
from ..recipe import Recipe
from ..registry import Registered
from ..settings import parse

TOLERANCE = 1e-5
"""The `Signature.tolerance` that the module format states for most signatures."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of the exported module: ``call(**inputs) -> dict of outputs``.

    >>> double = Signature(lambda latent: dict(image=2 * latent),
    ...                    dict(latent=tf.TensorSpec([None, 3], tf.float32)))
    >>> double.call(latent=tf.ones([1, 3]))["image"].numpy()
    array([[2., 2., 2.]], dtype=float32)
    """

    call: Callable[..., dict[str, tf.Tensor]]
    inputs: Mapping[str, tf.TensorSpec]
    """Name -> `tf.TensorSpec`, batch dimension None."""
    tolerance: float = TOLERANCE
    """Largest difference allowed between the exported graph and this function on the probe, in the
    units of `galsim_deep.modules.module.Module.probe`."""


class ModelFamily(Registered, abc.ABC, label="model family"):
    """A kind of generative model: its networks, its phases of training, its signatures.

    A subclass registers itself by the name used in recipes::

        class FlowVAE(ModelFamily, kind="flow_vae"):
            class Settings(settings.Settings):
                ...
            phase_types = (...)

    It makes its networks in its constructor and adds them to ``networks``.  ``docs/new_family.md``
    shows a whole family.

    The signatures of a module depend on its kind (`galsim_deep.modules.card`).  S is the size of a
    stamp, B the number of bands, P the size of a PSF image, L the number of random numbers that a
    galaxy takes, K the size of the latent vector of the decoder, C the number of classes, D the
    size of an embedding:

    ==========  ============  ======================================================================
    kind        signature     inputs besides the columns [N] -> outputs
    ==========  ============  ======================================================================
    generator   sample        random_normal [N, L], galaxy_class [N] if there are classes
                              -> image [N, S, S, B], galaxy_class [N] if there are classes,
                              optionally pixel_scale [N]
    encoder     embed         image [N, S, S, B]; as far as needed psf [N, P, P, B] and
                              noise_sigma [N, B] -> embedding [N, D],
                              optionally position_angle [N] [deg] and vote_fractions [N, A]
    density     log_prob      latent [N, K] -> log_prob [N];
                              or image, and as far as needed psf and noise_sigma -> log_prob [N]
    ==========  ============  ======================================================================

    These signatures are required.  Encoders and densities take only the columns that they need.
    A density may have ``sample``, which draws what its ``log_prob`` takes: random_normal [N, L]
    -> latent [N, K] or image [N, S, S, B].  The following signatures of a generator are optional:

    ==========  ======================================================================
    latents     those of sample -> latent [N, V], extent [N], galaxy_class [N] if there are classes
    draw_Z      latent [N, V], pixel_scale [N], without the columns -> image [N, Z, Z, B]
    decode      latent [N, K], galaxy_class [N] if there are classes, optionally
                position_angle [N] [deg] -> image [N, S, S, B]
    encode      image, psf, noise_sigma -> mean [N, K], scale [N, K],
                log_class_probability [N, C] if there are classes
    log_prob    latent [N, K] -> log_prob [N]
    prior       galaxy_class [N] -> log_class_probability [N]; also parameters of the class
    ==========  ======================================================================

    Parameters:
        settings:   An instance of the class's ``Settings``: ``model`` of the recipe.
        recipe:     The `Recipe`.

    Attributes:
        settings, recipe:   As above.
        fit:                The settings of the phases that the recipe has, by name.
        conditions:         The layer that standardises columns,
                            `networks.conditions.Conditions`.
        networks:           Networks and layers that a module is made of, by name; the constructor
                            adds to them.
        prepared:           Layers that learn from the data set in `prepare`, by name; they are
                            saved in the checkpoints of the first phase.
        latent_size:        Number of standard normal numbers that ``sample`` takes, L.

    Raises a `galsim.GalSimConfigError` where a phase is missing, unknown, or wrongly set.

    >>> {'flow_vae', 'mpcc'} <= ModelFamily.kinds().keys()
    True
    >>> [phase.name for phase in ModelFamily.named("mpcc").phase_types]
    ['autoencoder', 'adversarial', 'inference', 'class_weights', 'flow', 'columns']
    """

    module_kind: ClassVar[Kind] = "generator"
    """The kind of its modules."""
    phase_types: ClassVar[tuple[type[Phase], ...]] = ()
    """The classes of its phases, in order."""
    optional_phases: ClassVar[tuple[str, ...]] = ()
    """The names of those phases that a recipe may leave out."""
    value_range: ClassVar[tuple[float, float] | None] = None
    """Smallest and largest pixel value of the stamps that its modules take; None if all values are
    possible."""
    several_bands = False
    """Whether recipes may have several bands.  Stamps are then [N, S, S, B]; the PSF and the noise
    of an example are the same in all bands."""
    significant_bits = 11
    """Significant bits of the kernels of its modules, see `export.float16_weights`."""
    optional_columns = False
    """Whether signatures accept NaN for a column whose value is not known.  Such a family has an
    `networks.imputation.Imputation` under ``imputation``."""

    chooses_stamps = False
    """Whether it can draw each galaxy on a stamp that fits it, so that recipes may have
    ``stamp.sizes``; see `families.shared.signatures.fitting_signatures`."""

    draws_position_angle = False
    """Whether the first two random numbers of ``sample`` are proportional to cosine and sine of the
    position angle of the galaxy, from x towards y."""

    imputation: Imputation
    latent_size: int

    def __init__(self, settings: Any, recipe: Recipe) -> None:
        self.settings = settings
        self.recipe = recipe
        self.fit = self.fit_settings(recipe)
        # One seed determines all initial weights.
        keras.utils.set_random_seed(recipe.seed)
        self.conditions = Conditions(recipe.columns)
        self.networks: dict[str, keras.layers.Layer] = {"conditions": self.conditions}
        self.prepared: dict[str, keras.layers.Layer] = {"conditions": self.conditions}

    @classmethod
    def fit_settings(cls, recipe: Recipe) -> dict[str, Any]:
        """The settings of each phase that a recipe has, in the order of the phases.

        Raises a `galsim.GalSimConfigError` if a phase is missing, unknown, or wrongly set.
        """
        names = [phase.name for phase in cls.phase_types]
        required = [name for name in names if name not in cls.optional_phases]
        if not set(required) <= set(recipe.fit) <= set(names):
            optional = (f"; optional: {', '.join(cls.optional_phases)}" if cls.optional_phases
                        else "")
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit, has the phases {', '.join(recipe.fit) or 'none'}; "
                f"the model family '{cls.kind}' has: {', '.join(required)}{optional}.")
        phases = [phase for phase in cls.phase_types if phase.name in recipe.fit]
        fit = {phase.name: parse(
                   phase.Settings, recipe.fit[phase.name].model_dump(exclude_unset=True),
                   f"recipe {recipe.path}", f"fit.{phase.name}")
               for phase in phases}
        for phase in phases:
            phase.check_settings(fit, recipe)
        return fit

    def prepare(self, dataset: Dataset) -> None:
        """Adapt layers to the training data before the first step, such as `Conditions`."""
        self.conditions.adapt({name: values[dataset.train_indices]
                               for name, values in dataset.columns.items()})

    @property
    def phases(self) -> list[Phase]:
        """The phases that the recipe has, in order, newly made."""
        return [phase(self, self.fit[phase.name])
                for phase in self.phase_types if phase.name in self.fit]

    @abc.abstractmethod
    def signatures(self) -> dict[str, Signature]:
        """The signatures of the module, by name; see above and `families.shared.signatures`."""

    def classes(self, dataset: Dataset) -> list[dict[str, Any]]:
        """The classes in the order of ``galaxy_class``.

        Each is a dict of ``name``, ``description`` and ``share``, the mean probability of the class
        over the training rows.
        """
        return []

    def imputed(self, columns: Columns, normal: tf.Tensor | None = None) -> Columns:
        """Replace each NaN in the columns by a random value, see `networks.imputation`.

        Parameters:
            columns:    The columns by name, [N] each.
            normal:     Standard normal numbers, [N, number of columns].  [default: zeros, which
                        give conditional medians]
        """
        if not self.optional_columns:
            return columns
        return imputed(self.imputation, self.conditions, columns, normal)

    def column_specs(self) -> dict[str, tf.TensorSpec]:
        """The inputs that every signature conditioned on columns has."""
        return {column.name: tf.TensorSpec([None], tf.float32, column.name)
                for column in self.recipe.columns}

    def example_columns(self, count: int = 1) -> dict[str, tf.Tensor]:
        """Ones for all columns, with which networks are called to create their weights."""
        return {column.name: tf.ones([count]) for column in self.recipe.columns}
