"""Settings: limits of numbers, errors that name what is wrong, and settings without defaults."""

import math
import typing
from typing import Annotated, Literal

import galsim
import pydantic
import pytest

from galsim_deep_training.data.builders import Builder
from galsim_deep_training.families import ModelFamily
from galsim_deep_training.families.flow_vae.autoencoders import FlowAutoencoder
from galsim_deep_training.families.mpcc.canvases import Canvas
from galsim_deep_training.networks.flows import Flow, MapFlow
from galsim_deep_training.recipe import Band
from galsim_deep_training.registry import Choice
from galsim_deep_training.settings import (
    Channels,
    EvenCells,
    Range,
    Settings,
    Share,
    ShareBelowOne,
    Text,
    Within,
    digest,
    parse,
    validation_error,
    without_defaults,
)


class Lens(Settings):
    focal_length: Annotated[float, Within(0, 10, above=True)] = 2.0
    label: Text = "lens"
    radii: Range = (0.0, 1.0)


class Camera(Settings):
    cells: EvenCells = 8
    share: Share = 1.0
    average: ShareBelowOne = 0.0
    lenses: tuple[Lens, ...] = ()


# ---- limits of numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("key, value", [
    ("cells", 2), ("cells", 4096), ("cells", 16.0), ("share", 0), ("share", 1), ("average", 0.999)])
def test_limits_are_included(key, value):
    assert getattr(parse(Camera, {key: value}, "recipe"), key) == value


@pytest.mark.parametrize("key, value, allowed", [
    ("cells", 33, "multiple of 2 from 2 to 4096"), ("cells", 0, "from 2 to 4096"),
    ("cells", True, "from 2"), ("cells", 8.5, "from 2"), ("cells", "many", "from 2"),
    ("share", -1e-9, "from 0 to 1"), ("share", math.nan, "from 0 to 1"),
    ("average", 1, "at least 0 and less than 1"),
    ("lenses", [dict(focal_length=0)], "greater than 0 and at most 10")])
def test_numbers_outside_of_their_limits(key, value, allowed):
    with pytest.raises(galsim.GalSimConfigError, match=f"{key}.*: should be .*{allowed}"):
        parse(Camera, {key: value}, "recipe")


@pytest.mark.parametrize("radii", [(1.0, 1.0), (2.0, 1.0)])
def test_empty_ranges(radii):
    with pytest.raises(galsim.GalSimConfigError, match=f"radii: .*{radii[0]:g} to {radii[1]:g}"):
        parse(Lens, dict(radii=radii), "recipe")


def test_limits_of_whole_numbers_are_written_as_such():
    class Network(Settings):
        width: Channels

    with pytest.raises(galsim.GalSimConfigError, match="whole number from 1 to 16384 .*-3"):
        parse(Network, dict(width=-3), "recipe")


NONSENSE = [math.nan, math.inf, -math.inf, 1e300, -1e300, 10**40, True, "much", {}]


def _groups_of_settings():
    """Every class of settings that a recipe can have."""
    for base in (ModelFamily, FlowAutoencoder, Canvas, Builder, Flow, MapFlow):
        base.kinds()

    def below(cls):
        for other in cls.__subclasses__():
            yield other
            yield from below(other)

    return sorted((cls for cls in {*below(Settings)} if cls.__module__.startswith("galsim_deep")),
                  key=lambda cls: (cls.__module__, cls.__name__))


def _with_number(annotation, number):
    """A value of a type with ``number`` in the place of every number; None if it holds none."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Choice:
        return None
    if annotation in (int, float):
        return number
    if origin is typing.Annotated:
        return _with_number(arguments[0], number)
    inner = [_with_number(argument, number) for argument in arguments]
    if all(value is None for value in inner):
        return None
    if origin is dict:
        return {"key": inner[1]}
    if origin is tuple:
        return [value for value in inner if value is not None]
    return next(value for value in inner if value is not None)


@pytest.mark.parametrize("group", _groups_of_settings(), ids=lambda cls: (
    f"{cls.__module__.removeprefix('galsim_deep_training.')}.{cls.__name__}"))
def test_every_number_has_limits(group):
    for name, field in group.model_fields.items():
        if not field.is_required():
            assert not _faults(group, name, field.get_default(call_default_factory=True))
        for number in NONSENSE:
            value = _with_number(field.annotation, number)
            if value is not None:
                faults = _faults(group, name, value)
                assert faults and all("should be a" in fault for fault in faults), (name, faults)


def _faults(group, name, value):
    """What is wrong with the value of one field of a group of settings."""
    try:
        group.model_validate({name: value})
    except pydantic.ValidationError as err:
        return [fault["msg"] for fault in err.errors()
                if fault["loc"][:1] == (name,) and fault["type"] != "missing"]
    return []


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content, key, keys", [
    (dict(colour="red"), "camera.colour", "cells, share, average, lenses"),
    (dict(lenses=[{}, dict(focal=3)]), "camera.lenses.1.focal", "focal_length, label, radii")])
def test_unknown_keys(content, key, keys):
    """The error says which keys there are at that level."""
    with pytest.raises(galsim.GalSimConfigError, match=f"my.yaml.* {key}: .*: {keys}"):
        parse(Camera, content, "recipe my.yaml", "camera")


def test_all_faults_are_named():
    with pytest.raises(galsim.GalSimConfigError) as caught:
        parse(Camera, dict(cells=3, share=2, lenses=[dict(label="")]), "recipe")
    for key in ("cells: ", "share: ", "lenses.0.label: "):
        assert key in str(caught.value)
    assert isinstance(caught.value.__cause__, pydantic.ValidationError)


def test_the_error_quotes_short_values_only():
    with pytest.raises(galsim.GalSimConfigError, match=r"share: .* \(the recipe has 'half'\)"):
        parse(Camera, dict(share="half"), "recipe")
    for value in (200 * "long", [1, 2, 3]):
        with pytest.raises(galsim.GalSimConfigError, match="share: ") as caught:
            parse(Camera, dict(share=value), "recipe")
        assert "the recipe has" not in str(caught.value)


@pytest.mark.parametrize("content", [None, [], "text", 3])
def test_what_is_no_dict(content):
    with pytest.raises(galsim.GalSimConfigError, match="camera: "):
        parse(Camera, content, "recipe", "camera")
    with pytest.raises(galsim.GalSimConfigError, match="top level: "):
        parse(Camera, content, "recipe")


def test_settings_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError, match="share"):
        Camera().share = 0.5


def test_a_validation_error_names_the_nested_value():
    class Filters(Settings):
        names: tuple[str, ...]

        @pydantic.field_validator("names", mode="plain")
        @classmethod
        def _check(cls, value):
            raise validation_error((1, "name"), "no such filter", value[1])

    with pytest.raises(galsim.GalSimConfigError, match="names.1.name: no such filter .*'y'"):
        parse(Filters, dict(names=["g", "y"]), "recipe")


# ---- settings without defaults ------------------------------------------------------------------


class Inner(Settings):
    a: int = 1
    b: int = 2


class Outer(Settings):
    inner: Inner = Inner()
    listed: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}
    number: float = 3.0


@pytest.mark.parametrize("content, expected", [
    ({}, {}), (dict(number=3), {}), (dict(number=4), dict(number=4.0)),
    (dict(inner=dict(a=1)), {}), (dict(inner=dict(b=5)), dict(inner=dict(b=5))),
    (dict(listed=[{}, dict(a=2)]), dict(listed=[{}, dict(a=2)])),
    (dict(named=dict(x=dict(b=2))), dict(named=dict(x={})))])
def test_identity_leaves_defaults_out(content, expected):
    assert without_defaults(Outer(**content)) == expected


def test_identity_without_what_has_no_effect():
    band = Band(name="r", zero_point=25.0, effective_wavelength=620.0)
    assert without_defaults([band]) == [dict(name="r", zero_point=25.0)]


def test_identity_of_a_choice():
    """It has the kind and its format, and no default."""

    class Model(Settings):
        flow: Choice[Flow] = Flow.by_default("affine_coupling")

    assert without_defaults(Model()) == {}
    chosen = Model(flow=dict(kind="spline_coupling", layers=2))
    assert without_defaults(chosen) == dict(
        flow=dict(kind="spline_coupling", layers=2, format=Flow.named("spline_coupling").format))


def test_digest_is_of_the_content():
    assert digest(dict(a=1, b=[2, 3])) == digest(dict(b=[2, 3], a=1))
    assert len({digest(content) for content in (dict(a=1), dict(a=2), dict(b=1), [], [1])}) == 5
    # As `printf "[]" | sha256sum` has it.
    assert digest([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


# ---- words of errors ----------------------------------------------------------------------------


class Telescope(Settings):
    name: Text
    camera: Camera = Camera()
    spares: dict[str, Camera] = {}
    mount: Literal["altazimuth", "equatorial"] = "altazimuth"
    is_open: bool = False
    mirrors: Annotated[tuple[int, ...], pydantic.Field(min_length=1, max_length=2)] = (1,)
    diameter: float = 1.0


@pytest.mark.parametrize("content, words", [
    ({}, "name: it is missing"), (3, "top level: should be a dict of settings"),
    (dict(name=3), "name: should be text"), (dict(name=""), "name: should not be empty"),
    (dict(name="a", camera=3), "camera: should be a dict of settings"),
    (dict(name="a", spares=[]), "spares: should be a dict of settings"),
    (dict(name="a", spares=dict(one=3)), "spares.one: should be a dict of settings"),
    (dict(name="a", camera=dict(lenses=3)), "camera.lenses: should be a list"),
    (dict(name="a", camera=dict(lenses=[dict(label=3)])), "camera.lenses.0.label: should be text"),
    (dict(name="a", mount="dome"), "mount: should be 'altazimuth' or 'equatorial'"),
    (dict(name="a", is_open="ajar"), "is_open: should be true or false"),
    (dict(name="a", mirrors=[]), "mirrors: should have 1 or more items"),
    (dict(name="a", mirrors=[1, 2, 3]), "mirrors: should have at most 2 items"),
    (dict(name="a", mirrors=[1.5]), "mirrors.0: should be a whole number"),
    (dict(name="a", diameter="wide"), "diameter: should be a number")])
def test_errors_are_in_words_for_readers_of_recipes(content, words):
    with pytest.raises(galsim.GalSimConfigError) as info:
        parse(Telescope, content, "recipe my.yaml")
    fault = str(info.value).removeprefix("The recipe my.yaml is not valid. ")
    assert fault.split(" (the recipe has ")[0] == words
