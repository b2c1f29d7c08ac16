"""Kinds of things that recipes choose by name: families, autoencoders, canvases, builders."""

__all__ = ["Registered"]

import importlib
import pkgutil

from galsim import GalSimConfigError

from .recipe import Settings, parse


class Registered:
    """What a base class inherits from, for its subclasses to be found by name::

        class Canvas(Registered):
            ...

        class Plain(Canvas, name="plain"):
            ...

    A kind is one file beside that of its base class, and found there.
    """

    Settings = Settings
    format = 1
    """To be raised when the same settings come to mean something else: checkpoints are kept apart.
    """

    def __init_subclass__(cls, name=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if Registered in cls.__bases__:
            cls.registry = {}
        else:
            cls.name = name
            cls.registry[name] = cls

    @classmethod
    def kinds(cls):
        """All that there are: name -> class."""
        package = importlib.import_module(cls.__module__.rpartition(".")[0])
        for found in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{found.name}")
        return cls.registry

    @classmethod
    def named(cls, name, recipe, key):
        """The kind of that name.

        Parameters:
            name:       As recipes say it.
            recipe:     The `Recipe` that asks for it, and
            key:        where it does so, for the error message.

        Raises a `galsim.GalSimConfigError` where there is none.
        """
        kinds = cls.kinds()
        if not isinstance(name, str) or name not in kinds:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, {key}, asks for '{name}'; there are: "
                f"{', '.join(sorted(kinds))}.")
        return kinds[name]

    @classmethod
    def chosen(cls, asked, recipe, key):
        """The kind that a dict asks for by its ``kind``, and its settings.

        Parameters:
            asked:      A dict: ``kind`` and settings.
            recipe, key: As for `named`.

        Returns:
            (a subclass, its ``Settings``).

        Raises a `galsim.GalSimConfigError` where there is no such kind or setting.
        """
        settings = dict(asked)
        found = cls.named(settings.pop("kind", None), recipe, key)
        return found, parse(found.Settings, settings, f"recipe {recipe.path}, {key},")

    @classmethod
    def filled_in(cls, asked, recipe, key):
        """What `chosen` takes, with all defaults, as JSON has it: what checkpoints belong to."""
        found, settings = cls.chosen(asked, recipe, key)
        return dict(settings.model_dump(mode="json"), kind=found.name, format=found.format)
