"""The registry: kinds are found by their name, and a wrong one is refused with all names."""

import importlib
import sys

import galsim
import pytest

from galsim_deep_training.data.builders import Builder
from galsim_deep_training.families import ModelFamily
from galsim_deep_training.families.flow_vae.autoencoders import FlowAutoencoder
from galsim_deep_training.families.mpcc.canvases import Canvas
from galsim_deep_training.networks.flows import Flow, MapFlow
from galsim_deep_training.registry import Choice, Registered
from galsim_deep_training.settings import Settings, parse


@pytest.mark.parametrize("base", [ModelFamily, FlowAutoencoder, Canvas, Builder, Flow, MapFlow],
                         ids=lambda base: base.__name__)
def test_kinds_are_found_by_their_name(base):
    """Each is in the module of its name, which is imported only when it is asked for."""
    for kind, cls in base.kinds().items():
        if cls.__module__.startswith(base.package):
            assert f"{cls.__module__}.".startswith(f"{base.package}.{kind}.")
            assert base.named(kind) is cls


@pytest.fixture
def lens():
    """A new base class, ``Lens``, with the kinds ``thin`` and ``thick``."""

    class Lens(Registered, label="lens", package="galsim_deep_training.networks.flows"):
        def __init__(self, settings, place=0.0):
            self.settings, self.place = settings, place

    class Thin(Lens, kind="thin"):
        pass

    class Thick(Lens, kind="thick"):
        format = 3

        class Settings(Settings):
            width: float = 1.0

    return Lens


def test_each_base_class_has_kinds_of_its_own(lens):
    assert lens.named("thick").__name__ == "Thick"
    assert Flow.named("thick") is None and lens.named("nothing") is None


@pytest.mark.parametrize("kind", ["", "../flows", "os.path", "two words"])
def test_names_that_are_no_identifiers_are_not_imported(kind, lens):
    assert lens.named(kind) is None


def test_two_classes_of_one_kind(lens):
    with pytest.raises(galsim.GalSimConfigError, match="'thin'.*Thin.*Other"):
        class Other(lens, kind="thin"):
            pass
    assert lens.named("thin").__name__ == "Thin"


def test_a_class_of_the_same_kind_as_one_of_the_package(tmp_path, monkeypatch):
    """It is refused also if the class of the package has not been imported yet."""
    package = tmp_path / "optics"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from galsim_deep_training.registry import Registered\n"
        "class Lens(Registered, label='lens', package='optics'): pass\n")
    (package / "thin.py").write_text(
        "from . import Lens\n"
        "class Thin(Lens, kind='thin'): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    optics = importlib.import_module("optics")

    class Other(optics.Lens, kind="thin"):
        pass

    for choose in (lambda: optics.Lens.named("thin"), optics.Lens.kinds):
        with pytest.raises(galsim.GalSimConfigError, match="two classes.*'thin'.*Other.*Thin"):
            choose()
    for name in ("optics", "optics.thin"):
        sys.modules.pop(name, None)


def test_a_class_that_is_defined_again_replaces_the_one_before(lens):
    def define():
        class Fresnel(lens, kind="fresnel"):
            pass

        return Fresnel

    first, second = define(), define()
    assert lens.named("fresnel") is second is not first


def test_choices(lens):
    choice = lens._chosen(dict(kind="thick", width=2))
    assert (choice.kind, choice.cls, choice.settings.width) == ("thick", lens.named("thick"), 2.0)
    made = choice.make(place=3.0)
    assert isinstance(made, choice.cls) and (made.settings, made.place) == (choice.settings, 3.0)
    assert choice == lens._chosen(dict(kind="thick", width=2.0))
    assert hash(choice) == hash(lens._chosen(dict(kind="thick", width=2.0)))
    assert choice != lens._chosen(dict(kind="thick")) and choice != "thick"
    assert choice.__without_defaults__() == dict(kind="thick", format=3, width=2.0)
    # What is chosen already is taken as it is.
    assert lens._chosen(choice) is choice


def test_a_choice_as_a_setting(lens):
    class Telescope(Settings):
        optics: Choice[lens] = lens.by_default("thick", width=4)

    assert Telescope().optics.settings.width == 4.0
    telescope = parse(Telescope, dict(optics=dict(kind="thin")), "recipe")
    assert telescope.optics.kind == "thin"
    assert Telescope().model_dump() == dict(optics=dict(kind="thick", width=4.0))


@pytest.mark.parametrize("content, key", [
    (dict(kind="convex"), "lens.kind"), (dict(kind=["thin"]), "lens.kind"), ({}, "lens.kind"),
    (dict(kind="thin", width=1), "lens.width"), (dict(kind="thick", width="wide"), "lens.width"),
    ("thin", "lens"), (None, "lens")])
def test_wrong_choices(content, key, lens, recipe):
    with pytest.raises(galsim.GalSimConfigError, match=f"{recipe.path}.* {key}: "):
        lens.choose(content, recipe, "lens")


def test_an_unknown_kind_is_told_the_known_ones(recipe):
    with pytest.raises(galsim.GalSimConfigError, match=", ".join(Flow.kinds()) + ".*'spline'"):
        Flow.choose(dict(kind="spline"), recipe, "model.flow")


def test_a_base_class_outside_of_a_package(recipe):
    """As in a notebook, or in a file that a recipe lists."""
    class Lamp(Registered, label="lamp"):
        pass

    class Bright(Lamp, kind="bright"):
        pass

    Lamp.package = ""
    assert list(Lamp.kinds()) == ["bright"]
    with pytest.raises(galsim.GalSimConfigError, match="no lamp of this kind; .*: bright"):
        Lamp.choose(dict(kind="dark"), recipe, "model.lamp")
