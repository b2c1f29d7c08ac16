"""The phases that fit the autoencoder of a Flow-VAE."""

__all__ = ["AutoencoderPhase", "Structure"]

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from galsim import GalSimConfigError

from ....recipe import PhaseSettings, Recipe
from ....settings import Share
from ...shared.autoencoding import Autoencoding, AutoencodingSettings


class AutoencoderPhase(Autoencoding):
    """Fit encoder and decoder on the ELBO, see `Autoencoding`.

    The result does not depend on the settings of the flows, so that several flows can be fitted on
    the same autoencoder.

    >>> AutoencoderPhase.name, AutoencoderPhase.uses
    ('autoencoder', ('model.autoencoder',))
    """

    uses = ("model.autoencoder",)


class StructureSettings(PhaseSettings):
    """Settings of the phase ``structure``; those of the loss are those of ``fit.autoencoder``."""

    model_error: Share = 0.03
    """Relative error of a profile, per pixel, that is tolerated; less than in the phase
    ``autoencoder``."""


class Structure(Autoencoding):
    """Continue to fit the ELBO with a smaller tolerated error of the profiles.

    Stamps of bright galaxies with little noise then have a larger weight.  Only these show
    structure of low contrast, but at the start of a fit they would dominate the loss.  Beta rises
    again from 0.1, so that latents whose posterior had become equal to their prior can carry
    information again.  The penalties and transverse connections that help an autoencoder at the
    start of its fit (see `Autoencoder.infer`) are not used again.

    >>> settings = Structure.Settings(steps=5000)
    >>> settings.model_error, AutoencodingSettings(steps=5000).model_error
    (0.03, 0.05)
    """

    name = "structure"
    Settings = StructureSettings
    builds_on = ("autoencoder",)
    uses = ("model.autoencoder",)
    # Other batches than those of the first steps of the fit.
    seed_of_batches = 1

    @classmethod
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        mine, before = fit[cls.name].model_error, fit["autoencoder"].model_error
        if not mine < before:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.structure.model_error, is {mine:g}, and "
                f"fit.autoencoder.model_error is {before:g}: the phase 'structure' should tolerate "
                "less. Leave it out, or lower fit.structure.model_error.")
        super().check_settings(fit, recipe)

    @property
    def elbo_settings(self) -> AutoencodingSettings:
        return self.family.fit["autoencoder"]

    def _aid_progress(self, progress: tf.Tensor) -> tf.Tensor:
        return tf.constant(1.0)
