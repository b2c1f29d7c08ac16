"""By what a data set is known: the settings that decide its content."""

__all__ = ["data_identity"]

from ..recipe import Recipe
from ..settings import digest, identity
from .builders.base import Builder


def data_identity(recipe: Recipe) -> str:
    """The hash of what the data set of a recipe depends on, without what equals its default."""
    choice = Builder.choose(recipe.data, recipe, "data")
    return digest(dict(recipe.data_identity(), data=identity(choice)))
