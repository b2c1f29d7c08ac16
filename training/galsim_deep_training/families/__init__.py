"""Model families.  Each is a module or package here, registered by the name that recipes use."""

__all__ = ["ModelFamily", "choose_family", "checkpoint_names", "make_family"]

from galsim import GalSimConfigError

from ..data.build import data_settings_hash
from ..fitting.identity import phase_checkpoint_names
from ..fitting.memory import check_batches
from ..fitting.precision import under_policy
from ..recipe import Recipe
from ..registry import Choice
from .base import ModelFamily


def choose_family(recipe: Recipe) -> Choice[ModelFamily]:
    """The model family that a recipe chooses, with its settings.

    The settings of its phases are checked too.  No network is built.

    Raises a `galsim.GalSimConfigError` if a setting of ``model`` or ``fit`` is wrong, the recipe
    has several bands and the family is for one, or batches are too large for memory.
    """
    choice = ModelFamily.choose(recipe.model, recipe, "model")
    if len(recipe.bands) > 1 and not choice.cls.several_bands:
        raise GalSimConfigError(
            f"The recipe {recipe.path} has {len(recipe.bands)} bands, and modules of the family "
            f"'{choice.kind}' have one. Make a recipe for each band.")
    fit = choice.cls.fit_settings(recipe)
    check_batches(recipe, [phase for phase in choice.cls.phase_types if phase.name in fit], fit,
                  choice.settings)
    return choice


def make_family(recipe: Recipe, precision: str | None = None) -> ModelFamily:
    """The model family that a recipe chooses, with freshly initialised networks.

    Parameters:
        recipe:     A `Recipe`.
        precision:  Number format of the networks, see `fitting.precision.policy`; modules are
                    always float32.  [default: that of the recipe]

    Raises a `galsim.GalSimConfigError` if the recipe has ``stamp.sizes`` and the family draws on
    stamps of one size, and what `choose_family` raises.
    """
    choice = choose_family(recipe)
    with under_policy(precision or recipe.precision):
        family = choice.make(recipe)
    if recipe.stamp.sizes and not family.chooses_stamps:
        raise GalSimConfigError(
            f"The recipe {recipe.path} has stamp.sizes, but its model, '{family.kind}', draws on "
            "stamps of one size. Remove stamp.sizes, or choose networks that draw on any: the "
            "autoencoder 'polar_frame' of 'flow_vae', or the canvas 'polar_frame' of 'mpcc'.")
    return family


def checkpoint_names(recipe: Recipe) -> dict[str, str]:
    """The names of the checkpoints of each phase of a recipe; see `fitting.identity`."""
    choice = choose_family(recipe)
    fit = choice.cls.fit_settings(recipe)
    return phase_checkpoint_names(
        [phase for phase in choice.cls.phase_types if phase.name in fit], fit, choice,
        data_settings_hash(recipe))
