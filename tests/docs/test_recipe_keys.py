"""docs/training.md names every key that a recipe may have."""

import re
import typing
from pathlib import Path

import pydantic
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def leaf_keys(settings: type[pydantic.BaseModel]) -> set[str]:
    """The keys of settings and of the settings inside of them, without those that hold others."""
    keys = set()
    for name, field in settings.model_fields.items():
        inner = [part for part in (field.annotation, *_parts(field.annotation))
                 if isinstance(part, type) and issubclass(part, pydantic.BaseModel)]
        keys.update(*map(leaf_keys, inner)) if inner else keys.add(name)
    return keys


def _parts(annotation: object) -> set[object]:
    parts = set(typing.get_args(annotation))
    return parts.union(*map(_parts, parts))


def settings_of_all_kinds() -> dict[str, type[pydantic.BaseModel]]:
    from galsim_deep_training.data.builders.base import Builder
    from galsim_deep_training.families import ModelFamily
    from galsim_deep_training.families.flow_vae.autoencoders import FlowAutoencoder
    from galsim_deep_training.families.mpcc.canvases import Canvas
    from galsim_deep_training.networks.flows import Flow, MapFlow
    from galsim_deep_training.recipe import Recipe

    settings = {"recipe": Recipe}
    for base in (Builder, ModelFamily, FlowAutoencoder, Canvas, Flow, MapFlow):
        settings.update({f"{base.label} {kind}": cls.Settings
                         for kind, cls in base.kinds().items()})
    for kind, family in ModelFamily.kinds().items():
        settings.update({f"fit.{phase.name} of {kind}": phase.Settings
                         for phase in family.phase_types})
    return settings


def test_every_key_is_on_the_page():
    pytest.importorskip("tensorflow_probability")
    named = set(re.findall(r"`[\w.]*?\.?(\w+)`", PAGE.read_text(encoding="utf-8")))
    missing = {where: sorted(leaf_keys(settings) - named)
               for where, settings in settings_of_all_kinds().items()}
    assert {where: keys for where, keys in missing.items() if keys} == {}


def test_a_key_that_is_not_on_the_page_would_be_noticed():
    class Inner(pydantic.BaseModel):
        no_such_key: int = 1

    class Outer(pydantic.BaseModel):
        inner: tuple[Inner, ...] = ()
        other: dict[str, Inner] | None = None
        alone: int = 2

    assert leaf_keys(Outer) == {"no_such_key", "alone"}
