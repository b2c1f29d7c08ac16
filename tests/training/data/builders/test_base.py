"""What all builders have in common: how a recipe chooses one, and where its files are."""

import dataclasses
import hashlib

import galsim
import pytest

from galsim_deep_training.data.builders import Builder, make_builder
from galsim_deep_training.data.external import EXTERNAL_DATA, external


def test_unknown_builder(make_recipe):
    recipe = make_recipe(lambda c: c["data"].update(kind="transplants"))
    with pytest.raises(galsim.GalSimConfigError,
                       match="data.kind: .*real_galaxies, transplant .*'transplants'") as info:
        make_builder(recipe)
    assert str(recipe.path) in str(info.value)


@pytest.mark.parametrize("builder", ["transplant", "real_galaxies"])
@pytest.mark.parametrize("key, value", [("catalogs", "a.fits"), ("test_fraction", "few"),
                                        ("examples", "many")])
def test_settings_of_a_builder(builder, key, value, make_recipe):
    recipe = make_recipe(lambda c: c["data"].update({key: value}), builder=builder)
    with pytest.raises(galsim.GalSimConfigError, match=f" data.{key}: "):
        make_builder(recipe)


def test_the_builder_of_a_recipe(recipe):
    builder = make_builder(recipe)
    assert isinstance(builder, Builder) and builder.kind == "transplant"
    assert builder.recipe is recipe and builder.settings.examples == 40


def test_paths_start_at_the_folder_of_the_recipe(recipe, tmp_path):
    builder = make_builder(recipe)
    assert builder.locate("a/../b.fits") == recipe.path.parent / "b.fits"
    assert builder.locate(str(tmp_path / "b.fits")) == tmp_path / "b.fits"


def test_external_data(recipe, tmp_path, monkeypatch):
    """Recipes name them; the command that downloads them is named if they are not there."""
    monkeypatch.setenv("GALSIM_DEEP_DATA", str(tmp_path))
    content = b"galaxies"
    data = dataclasses.replace(external("radio_galaxy_dataset"), name="galaxies",
                               sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(EXTERNAL_DATA, "galaxies", data)
    builder = make_builder(recipe)
    with pytest.raises(galsim.GalSimConfigError, match="galsim-deep-train fetch galaxies") as info:
        builder.locate("fetched:galaxies")
    assert str(recipe.path) in str(info.value) and str(tmp_path) in str(info.value)
    data.path.write_bytes(content)
    assert builder.locate("fetched:galaxies") == data.path
    data.path.write_bytes(b"other galaxies")
    with pytest.raises(galsim.GalSimConfigError, match="sha256"):
        builder.locate("fetched:galaxies")
    with pytest.raises(galsim.GalSimConfigError, match="no external data") as info:
        builder.locate("fetched:galaxie")
    assert str(recipe.path) in str(info.value) and "Did you mean galaxies" in str(info.value)


@pytest.mark.parametrize("sources", ["held-out", "training"])
def test_a_builder_that_cannot_make_new_examples(sources, make_recipe):
    recipe = make_recipe(builder="real_galaxies")
    with pytest.raises(galsim.GalSimConfigError, match=str(recipe.path)):
        make_builder(recipe).new_example(0, sources)
