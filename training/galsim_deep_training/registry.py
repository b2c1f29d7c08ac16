"""Kinds of things that recipes choose by name: families, autoencoders, flows, canvases, builders.

All are chosen in the same way: by ``kind: NAME`` beside the settings of that kind.
"""

__all__ = ["Choice", "Registered"]

import importlib
import importlib.util
import pkgutil
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import pydantic
from galsim import GalSimConfigError
from pydantic import ValidationError
from pydantic_core import CoreSchema, core_schema

from .settings import Settings, fault, identity, misfit

T = TypeVar("T", bound="Registered")


class Choice(Generic[T]):
    """A kind that a recipe has chosen, and its settings, checked.

    As the type of a setting, ``Choice[Autoencoder]`` takes a dict of ``kind`` and the settings of
    that kind.

    Parameters:
        cls:        The class of that kind.
        settings:   An instance of ``cls.Settings``.

    >>> from galsim_deep_training.networks.flows import Flow
    >>> class Model(Settings):
    ...     flow: Choice[Flow]
    >>> choice = Model(flow=dict(kind="affine_coupling", layers=2)).flow
    >>> choice.kind, choice.settings.layers
    ('affine_coupling', 2)
    >>> choice.make(latent_size=4).latent_size
    4
    """

    # Not a dataclass, which pydantic would take apart.
    def __init__(self, cls: type[T], settings: Any) -> None:
        self.cls = cls
        self.settings = settings

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Choice) and self.cls is other.cls
                and self.settings == other.settings)

    def __hash__(self) -> int:
        return hash((self.cls, self.settings))

    def __repr__(self) -> str:
        return f"Choice({self.cls.__name__}, {self.settings!r})"

    @property
    def kind(self) -> str:
        """The name by which recipes choose it."""
        return self.cls.kind

    def make(self, *args: Any, **kwargs: Any) -> T:
        """An instance: the class is called with the settings, and with these arguments."""
        return self.cls(self.settings, *args, **kwargs)  # type: ignore[call-arg]

    def __identity__(self) -> dict[str, Any]:
        return dict(identity(self.settings), kind=self.kind, format=self.cls.format)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        (base,) = typing.get_args(source)
        return core_schema.no_info_plain_validator_function(
            base._chosen, serialization=core_schema.plain_serializer_function_ser_schema(
                lambda choice: dict(choice.settings.model_dump(mode="json"), kind=choice.kind)))


class Registered:
    """Base class of what recipes choose by its ``kind``.

    A direct subclass begins a new family of kinds, and ``what`` is its name in error messages.
    The subclasses of that class are the kinds, each with a ``kind`` and ``Settings`` of its own.

    The class of a kind is defined in the module or package of that name, which lies in the package
    of the base class, or in another one that the base class names as ``package``.  The module is
    imported when a recipe chooses the kind.  Code outside of this package registers its classes
    when it is imported, for example because a recipe lists it under ``modules``.

    >>> class Lens(Registered, what="lens"):
    ...     def __init__(self, settings):
    ...         self.settings = settings
    >>> class Thin(Lens, kind="thin"):
    ...     class Settings(Settings):
    ...         focal_length: float = 2.0
    >>> Lens.named("thin")(Thin.Settings()).settings.focal_length
    2.0
    """

    Settings: ClassVar[type[Settings]] = Settings
    """What a recipe may set of this kind."""
    kind: ClassVar[str]
    """The name by which recipes choose it."""
    format: ClassVar[int] = 1
    """Raise it when a change of the code gives the same settings another meaning: checkpoints that
    were made before are then no longer used."""

    registry: ClassVar[dict[str, type["Registered"]]]
    package: ClassVar[str]
    what: ClassVar[str]

    def __init_subclass__(cls, kind: str | None = None, package: str | None = None,
                          what: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Registered in cls.__bases__:
            cls.registry = {}
            cls.package = package or cls.__module__.rpartition(".")[0]
            cls.what = what or cls.__name__
        elif kind is not None:
            other = cls.registry.get(kind, cls)
            # A class that is defined again, as in a notebook, replaces the one before.
            if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise GalSimConfigError(
                    f"There are two classes for the {cls.what} '{kind}': {other.__module__}."
                    f"{other.__qualname__} and {cls.__module__}.{cls.__qualname__}. Give one of "
                    "them another kind.")
            cls.kind = kind
            cls.registry[kind] = cls

    @classmethod
    def named(cls: type[T], kind: str) -> type[T] | None:
        """The class of a kind, None where there is none."""
        if kind not in cls.registry and kind.isidentifier() and importlib.util.find_spec(
                f"{cls.package}.{kind}"):
            importlib.import_module(f"{cls.package}.{kind}")
        return cls.registry.get(kind)  # type: ignore[return-value]

    @classmethod
    def kinds(cls: type[T]) -> dict[str, type[T]]:
        """All kinds that there are, those of the package and those registered besides."""
        package = importlib.import_module(cls.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{cls.package}.{module.name}")
        return dict(sorted(cls.registry.items()))  # type: ignore[arg-type]

    @classmethod
    def choose(cls: type[T], content: Any, recipe: Any, key: str) -> Choice[T]:
        """The kind that a part of a recipe chooses, and its settings.

        Parameters:
            content:    That part: a dict of ``kind`` and the settings, or a `recipe.Selection`.
            recipe:     The `recipe.Recipe`, and
            key:        the key of the part in it, for the error message.

        Raises a `galsim.GalSimConfigError` where there is no such kind or a setting is wrong.
        """
        try:
            return cls._chosen(content)
        except ValidationError as err:
            raise fault(err, f"recipe {recipe.path}", key) from err

    @classmethod
    def by_default(cls, kind: str, **settings: Any) -> Any:
        """The default of a setting, as in ``flow: Choice[Flow] = Flow.by_default("...")``."""
        return pydantic.Field(default_factory=lambda: cls._chosen(dict(settings, kind=kind)))

    @classmethod
    def _chosen(cls: type[T], content: Any) -> Choice[T]:
        """As `choose`; raises a `pydantic.ValidationError`."""
        if isinstance(content, Choice):
            return content
        if isinstance(content, pydantic.BaseModel):
            content = content.model_dump()
        if not isinstance(content, Mapping):
            raise misfit((), "should be a dict of 'kind' and the settings of that kind", content)
        settings = dict(content)
        kind = settings.pop("kind", None)
        chosen = cls.named(kind) if isinstance(kind, str) else None
        if chosen is None:
            raise misfit(("kind",), f"there is no {cls.what} of this kind; the kinds are: "
                         f"{', '.join(cls.kinds())}", kind)
        return Choice(chosen, chosen.Settings.model_validate(settings))
