"""Recipes: what is read, and how a mistake in one is reported."""

import hashlib
from pathlib import Path

import galsim
import pydantic
import pytest

from galsim_deep_training.data import first_sources, images, real_galaxies, transplant
from galsim_deep_training.data.build import make_builder
from galsim_deep_training.families import make_family
from galsim_deep_training.recipe import parse, read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.yaml"))
BUILDERS = {"transplant": transplant.Transplant, "real_galaxies": real_galaxies.RealGalaxies,
            "first_sources": first_sources.FirstSources, "images": images.Images}


def test_there_are_recipes():
    assert "acs_flow_vae" in [path.stem for path in RECIPES]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes(path):
    recipe = read_recipe(path)
    # A recipe is found by the name of the module that it makes.
    assert recipe.name == path.stem
    parse(BUILDERS[recipe.data.builder].Settings, recipe.data.settings, "settings")
    assert all(low < high for low, high in (column.valid_range for column in recipe.columns))
    family = make_family(recipe)
    assert [phase.name for phase in family.phases] == list(recipe.fit)


def test_what_is_read(recipe_content, write_recipe):
    content = recipe_content()
    path = write_recipe(content)
    recipe = read_recipe(str(path))
    assert recipe.path == path.resolve()
    assert recipe.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (recipe.name, recipe.family, recipe.seed) == ("tiny", "flow_vae", 3)
    assert [column.name for column in recipe.columns] == ["flux_radius", "mag_auto", "zphot"]
    assert recipe.columns[0].valid_range == (2.0, 8.0)
    assert recipe.columns[2].offset == 0.1
    assert recipe.stamp.size == 32 and recipe.stamp.exposure_time == 1.0
    assert recipe.data.settings == content["data"]["settings"]
    assert recipe.fit["flow"].steps == content["fit"]["flow"]["steps"]
    assert recipe.run_folder() == Path("runs/tiny")
    assert recipe.run_folder("elsewhere") == Path("elsewhere/tiny")


def test_a_run_of_another_name(make_recipe):
    assert make_recipe(_set(["run"], "shared")).run_folder() == Path("runs/shared")


def test_digest(make_recipe, recipe):
    other = make_recipe(_set(["model", "autoencoder", "hidden"], 17))
    assert recipe.digest("model") != other.digest("model")
    assert recipe.digest("model.autoencoder.hidden") != other.digest("model.autoencoder.hidden")
    assert recipe.digest("model.flow") == other.digest("model.flow")
    assert recipe.digest("model", without=["model.autoencoder.hidden"]) == other.digest(
        "model", without=["model.autoencoder.hidden", "model.absent"])
    other = make_recipe(_set(["fit", "flow", "steps"], 99))
    assert recipe.digest("seed", "fit.autoencoder") == other.digest("seed", "fit.autoencoder")
    assert recipe.digest("seed", "fit") != other.digest("seed", "fit")
    # Words alone do not count, with keys left out or not.
    other = make_recipe(_set(["columns", 0, "meaning"], "other words"))
    assert recipe.digest("columns", "model") == other.digest("columns", "model")
    assert recipe.digest("columns", "model", without=["model.autoencoder.hidden"]) == other.digest(
        "columns", "model", without=["model.autoencoder.hidden"])


def test_the_hash_is_of_the_file(write_recipe, recipe_content):
    first = write_recipe(recipe_content())
    second = write_recipe(recipe_content())
    assert read_recipe(first).sha256 == read_recipe(second).sha256
    second.write_bytes(second.read_bytes() + b"# a comment\n")
    assert read_recipe(first).sha256 != read_recipe(second).sha256


def test_paths_are_relative_to_the_recipe(make_recipe, survey):
    """Wherever the command is called from."""

    def change(content):
        content["data"]["settings"]["catalog"] = "beside/real_galaxy_catalog.fits"

    recipe = make_recipe(change, builder="real_galaxies")
    (recipe.path.parent / "beside").symlink_to(survey)
    assert len(make_builder(recipe)) == 12


def test_a_recipe_cannot_be_changed(recipe):
    with pytest.raises(pydantic.ValidationError):
        recipe.seed = 4


def _set(keys, value):
    def change(content):
        *path, last = keys
        for key in path:
            content = content[key]
        if value is None:
            del content[last]
        else:
            content[last] = value
    return change


FAULTS = {
    "unknown key": (_set(["colour"], "red"), "colour"),
    "unknown key inside": (_set(["stamp", "sise"], 32), "stamp.sise"),
    "unknown key in a list": (_set(["columns", 1, "units"], "mag"), "columns.1.units"),
    "unknown key of a phase": (_set(["fit", "flow", "step"], 3), "fit.flow.step"),
    "wrong type": (_set(["seed"], "three"), "seed"),
    "wrong type inside": (_set(["stamp", "pixel_scale"], "small"), "stamp.pixel_scale"),
    "broken number": (_set(["fit", "autoencoder", "steps"], 1.5), "fit.autoencoder.steps"),
    "one limit": (_set(["columns", 0, "valid_range"], [1.0]), "columns.0.valid_range.1"),
    "name that a configuration takes": (_set(["columns", 0, "name"], "flux"), "columns.0.name"),
    "name of another input": (_set(["columns", 1, "name"], "cluster"), "columns.1.name"),
    "unknown scale": (_set(["columns", 0, "scale"], "cubic"), "columns.0.scale"),
    "a list for a dict": (_set(["fit"], []), "fit"),
    "missing key": (_set(["family"], None), "family"),
    "missing key inside": (_set(["stamp", "zero_point"], None), "stamp.zero_point"),
    "name": (_set(["name"], "../elsewhere"), "name"),
    "unknown optimiser": (_set(["fit", "flow", "optimizer"], "sgd"), "fit.flow.optimizer"),
    "unknown schedule": (_set(["fit", "flow", "schedule"], "root"), "fit.flow.schedule"),
    "unknown precision": (_set(["precision"], "bfloat16"), "precision"),
    "unknown strategy": (_set(["distribute"], "everywhere"), "distribute"),
    "run": (_set(["run"], "../elsewhere"), "run"),
    "PSF without middle pixel": (_set(["stamp", "psf_size"], 16), "stamp.psf_size"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault, recipe_content, write_recipe):
    change, key = FAULTS[fault]
    content = recipe_content()
    change(content)
    path = write_recipe(content)
    with pytest.raises(galsim.GalSimConfigError) as info:
        read_recipe(path)
    assert f" {key}: " in str(info.value) and str(path) in str(info.value)


def test_all_faults_at_once(recipe_content, write_recipe):
    content = recipe_content()
    content.update(seed="three", colour="red")
    with pytest.raises(galsim.GalSimConfigError, match="(?s)seed: .*colour: "):
        read_recipe(write_recipe(content))


@pytest.mark.parametrize("text", [
    "name: [1, 2", "name: a\nname b: c: d", b"\xff\xfe\xfa", "a: !!python/object:os.system {}",
], ids=["bracket", "colon", "bytes", "tag"])
def test_broken_yaml(text, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(galsim.GalSimConfigError, match="Cannot read the recipe .*broken.yaml"):
        read_recipe(path)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_yaml_of_the_wrong_kind(text, tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(galsim.GalSimConfigError, match="odd.yaml is not valid. top level: "):
        read_recipe(path)


def test_missing_files(tmp_path):
    with pytest.raises(galsim.GalSimConfigError, match="Cannot read the recipe .*absent.yaml"):
        read_recipe(tmp_path / "absent.yaml")
    with pytest.raises(galsim.GalSimConfigError, match="Cannot read the recipe"):
        read_recipe(tmp_path)


def test_unknown_builder(make_recipe):
    recipe = make_recipe(_set(["data", "builder"], "transplants"))
    with pytest.raises(galsim.GalSimConfigError,
                       match="'transplants'.*real_galaxies, transplant") as info:
        make_builder(recipe)
    assert str(recipe.path) in str(info.value)


@pytest.mark.parametrize("builder", ["transplant", "real_galaxies"])
@pytest.mark.parametrize("key, value", [("catalogs", "a.fits"), ("test_fraction", "few"),
                                        ("examples", "many")])
def test_settings_of_a_builder(builder, key, value, make_recipe):
    recipe = make_recipe(_set(["data", "settings", key], value), builder=builder)
    with pytest.raises(galsim.GalSimConfigError, match=f"data.settings.* {key}: "):
        make_builder(recipe)


def test_unknown_family(make_recipe):
    recipe = make_recipe(_set(["family"], "flow_vea"))
    with pytest.raises(galsim.GalSimConfigError, match="'flow_vea'.*flow_vae") as info:
        make_family(recipe)
    assert str(recipe.path) in str(info.value)


def test_settings_of_a_family(make_recipe):
    recipe = make_recipe(_set(["model", "latents"], 4))
    with pytest.raises(galsim.GalSimConfigError, match="model.* latents: "):
        make_family(recipe)


@pytest.mark.parametrize("name, value", [("flow", None), ("flov", dict(steps=3))])
def test_phases_that_are_not_the_familys(name, value, make_recipe):
    """A phase that is missing or misspelt is not passed over in silence."""
    recipe = make_recipe(_set(["fit", name], value))
    with pytest.raises(galsim.GalSimConfigError, match="fit.*autoencoder, flow.*wanted, structure"):
        make_family(recipe)


def test_columns_that_the_family_needs(make_recipe):
    recipe = make_recipe(_set(["model", "autoencoder", "magnitude_column"], "mag_i"))
    with pytest.raises(galsim.GalSimConfigError, match="magnitude_column.*'mag_i'.*mag_auto"):
        make_family(recipe)
