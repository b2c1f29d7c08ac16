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
    """Fit encoder and decoder; several flows can then be fitted on the result."""

    uses = ("model.autoencoder",)


class StructureSettings(PhaseSettings):
    """Settings of the phase ``structure``; those of the loss are those of ``fit.autoencoder``."""

    model_error: Share = 0.03
    """Relative error of a profile, per pixel, that is tolerated; less than in the phase
    ``autoencoder``."""


class Structure(Autoencoding):
    """Continue with the ELBO, but tolerate less error: deep stamps of bright galaxies count more.

    Only these stamps show structure of low contrast.  At the beginning of a fit they would dominate
    the loss.  Beta rises again from 0.1, so that latents which had collapsed to their prior can
    carry information again.  Penalty and transverse connections of the phase ``autoencoder`` are
    not used.
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
