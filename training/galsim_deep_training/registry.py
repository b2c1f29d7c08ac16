"""Components that recipes choose by name: families, autoencoders, flows, canvases and builders.

All are chosen in the same way: by ``kind: NAME``, next to the settings of that kind.
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

from .settings import Settings, configuration_error, validation_error, without_defaults

T = TypeVar("T", bound="Registered")


class Choice(Generic[T]):
    """A kind that a recipe has chosen, and its checked settings.

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

    # Not a dataclass, whose fields pydantic would validate one by one.
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
        """The name that recipes use for it."""
        return self.cls.kind

    def make(self, *args: Any, **kwargs: Any) -> T:
        """An instance: the class is called with the settings, and with these arguments."""
        return self.cls(self.settings, *args, **kwargs)  # type: ignore[call-arg]

    def __without_defaults__(self) -> dict[str, Any]:
        return dict(without_defaults(self.settings), kind=self.kind, format=self.cls.format)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        (base,) = typing.get_args(source)
        return core_schema.no_info_plain_validator_function(
            base._chosen, serialization=core_schema.plain_serializer_function_ser_schema(
                lambda choice: dict(choice.settings.model_dump(mode="json"), kind=choice.kind)))


class Registered:
    """Base class of components that recipes choose by their ``kind``::

        class Canvas(Registered, label="canvas"):
            ...

    The class of a kind is defined in the Python module or package that has the name of the kind.
    This module lies in the package of the base class, or in the package that the base class gives
    as ``package``, and is imported when a recipe chooses the kind.  Code outside of
    ``galsim_deep_training`` registers its classes when it is imported, for example because a recipe
    lists it under ``modules``.

    >>> class Lens(Registered, label="lens"):
    ...     def __init__(self, settings):
    ...         self.settings = settings
    >>> class Thin(Lens, kind="thin"):
    ...     class Settings(Settings):
    ...         focal_length: float = 2.0
    >>> Lens.named("thin")(Thin.Settings()).settings.focal_length
    2.0
    """

    Settings: ClassVar[type[Settings]] = Settings
    """The settings that a recipe may give for this kind."""
    kind: ClassVar[str]
    """The name that recipes use for it."""
    format: ClassVar[int] = 1
    """Version of this kind.  Increase it if a change of the code makes the same settings produce
    other results, so that earlier checkpoints are not used any more."""

    registry: ClassVar[dict[str, type["Registered"]]]
    package: ClassVar[str]
    label: ClassVar[str]
    """The name of the component in error messages, such as ``flow``."""

    def __init_subclass__(cls, kind: str | None = None, package: str | None = None,
                          label: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Registered in cls.__bases__:
            cls.registry = {}
            cls.package = package or cls.__module__.rpartition(".")[0]
            cls.label = label or cls.__name__
        elif kind is not None:
            other = cls.registry.get(kind, cls)
            # A class that is defined again, as in a notebook, replaces the one before.
            if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise GalSimConfigError(
                    f"There are two classes for the {cls.label} '{kind}': {other.__module__}."
                    f"{other.__qualname__} and {cls.__module__}.{cls.__qualname__}. Give one of "
                    "them another kind.")
            cls.kind = kind
            cls.registry[kind] = cls

    @classmethod
    def named(cls: type[T], kind: str) -> type[T] | None:
        """The class of a kind; None if it does not exist.

        Raises a `galsim.GalSimConfigError` if there are two classes of this kind.
        """
        # Imported even if the kind is registered already: another class of the same kind as one of
        # the package is an error, and does not replace it.
        name = f"{cls.package}.{kind}"
        if cls.package and kind.isidentifier() and importlib.util.find_spec(name):
            importlib.import_module(name)
        return cls.registry.get(kind)  # type: ignore[return-value]

    @classmethod
    def kinds(cls: type[T]) -> dict[str, type[T]]:
        """All kinds: those of the package and all others that are registered."""
        if cls.package:
            package = importlib.import_module(cls.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{cls.package}.{module.name}")
        return dict(sorted(cls.registry.items()))  # type: ignore[arg-type]

    @classmethod
    def choose(cls: type[T], content: Any, recipe: Any, key: str) -> Choice[T]:
        """The kind that a part of a recipe chooses, and its settings.

        Parameters:
            content:    That part: a dict of ``kind`` and the settings, or a `recipe.Selection`.
            recipe:     The `recipe.Recipe`, for the error message.
            key:        The key of this part in the recipe, for the error message.

        Raises a `galsim.GalSimConfigError` if there is no such kind or a setting is wrong.
        """
        try:
            return cls._chosen(content)
        except ValidationError as err:
            raise configuration_error(err, f"recipe {recipe.path}", key) from err

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
            raise validation_error(
                (), "should be a dict of 'kind' and the settings of that kind", content)
        settings = dict(content)
        kind = settings.pop("kind", None)
        chosen = cls.named(kind) if isinstance(kind, str) else None
        if chosen is None:
            raise validation_error(
                ("kind",), f"there is no {cls.label} of this kind; the kinds are: "
                f"{', '.join(cls.kinds())}", kind)
        return Choice(chosen, chosen.Settings.model_validate(settings))
