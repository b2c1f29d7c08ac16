"""The hash of the settings that determine a data set."""

__all__ = ["data_settings_hash"]

from ..recipe import Recipe
from ..settings import digest, without_defaults
from .builders.base import Builder


def data_settings_hash(recipe: Recipe) -> str:
    """The hash of the settings that the data set of a recipe depends on, without default values."""
    choice = Builder.choose(recipe.data, recipe, "data")
    return digest(dict(recipe.data_set_settings(), data=without_defaults(choice)))
