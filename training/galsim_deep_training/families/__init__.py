"""Model families.  Each is one file here, registered by the name that recipes use."""

from galsim import GalSimConfigError

from ..precision import under_policy
from ..recipe import parse
from .base import ModelFamily


def make_family(recipe, precision=None):
    """The model family a recipe names, with freshly initialised networks.

    Parameters:
        recipe:     A `Recipe`.
        precision:  In place of the recipe's, see `precision.policy`: modules are float32 whatever
                    their networks were fitted in.
    """
    cls, settings = _choose(recipe)
    with under_policy(precision or recipe.precision):
        return cls(settings, recipe)


def all_settings(recipe):
    """The ``model`` part of a recipe with all defaults filled in, a dict."""
    cls, settings = _choose(recipe)
    return cls.all_settings(settings, recipe)


def _choose(recipe):
    cls = ModelFamily.named(recipe.family, recipe, "family")
    if not set(cls.phase_names) <= set(recipe.fit) <= {*cls.phase_names, *cls.optional_phases}:
        optional = "".join(f"; if wanted, {name}" for name in cls.optional_phases)
        raise GalSimConfigError(
            f"The recipe {recipe.path}, fit, has the phases {', '.join(recipe.fit) or 'none'}; the "
            f"model family '{recipe.family}' has: {', '.join(cls.phase_names)}{optional}.")
    settings = parse(cls.Settings, recipe.model, f"recipe {recipe.path}, model,")
    cls.all_settings(settings, recipe)  # those of its parts too, before any network is built
    return cls, settings
