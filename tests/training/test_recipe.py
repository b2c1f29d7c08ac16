"""Recipes: what is read, and how a mistake in one is reported."""

import copy
import hashlib
import math
from pathlib import Path

import galsim
import pydantic
import pytest
import yaml

from galsim_deep.modules.card import read_card
from galsim_deep_training.data.builders import Builder, make_builder
from galsim_deep_training.families import choose_family, make_family
from galsim_deep_training.recipe import Recipe, read_recipe
from galsim_deep_training.settings import parse

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.yaml"))


def test_there_are_recipes():
    assert "acs_flow_vae" in [path.stem for path in RECIPES]


@pytest.mark.long
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes(path):
    recipe = read_recipe(path)
    # A recipe is found by the name of the module that it makes.
    assert recipe.name == path.stem
    Builder.choose(recipe.data, recipe, "data")
    assert all(low < high for low, high in (column.valid_range for column in recipe.columns))
    family = make_family(recipe)
    assert [phase.name for phase in family.phases] == list(recipe.fit)


@pytest.mark.parametrize("name", [
    "acs_flow_vae", "acs_mpcc", "first_encoder", "first_maf", "first_mpcc", "first_vdvae"])
def test_cards_of_shipped_modules_name_the_recipes(name):
    """If a recipe changes, its module is exported again, or its card is rewritten.

    A module of an earlier version than that of its recipe is yet to be made again.
    """
    card = read_card(RECIPES[0].parents[2] / "hub_modules" / name)
    recipe = read_recipe(RECIPES[0].with_name(card.recipe.name))
    if card.version != recipe.version:
        pytest.skip(f"hub:{name} {card.version} is not yet made with the recipe {recipe.version}")
    assert card.recipe.sha256 == recipe.sha256
    assert card.summary == recipe.summary
    needed = recipe.columns if card.kind == "generator" else ()
    assert [column.meaning for column in card.columns] == [column.meaning for column in needed]
    assert card.training_data.model_dump(exclude={"sources"}) == recipe.training_data.model_dump()
    classes = choose_family(recipe).settings.classes.names if card.classes else ()
    assert [(kind.name, kind.description) for kind in card.classes] == [
        (kind.name, kind.description) for kind in classes]


def test_what_is_read(recipe_content, write_recipe):
    content = recipe_content()
    path = write_recipe(content)
    recipe = read_recipe(str(path))
    assert recipe.path == path.resolve()
    assert recipe.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (recipe.name, recipe.model.kind, recipe.seed) == ("tiny", "flow_vae", 3)
    assert [column.name for column in recipe.columns] == ["flux_radius", "mag_auto", "zphot"]
    assert recipe.columns[0].valid_range == (1.0, 8.0)
    assert recipe.columns[2].offset == 0.1
    assert recipe.stamp.size == 32 and recipe.band.exposure_time == 1.0
    assert recipe.column_of("half_light_radius").name == "flux_radius"
    assert recipe.column_of("sersic_index") is None
    assert dict(recipe.data.settings, kind=recipe.data.kind) == content["data"]
    assert recipe.fit["flow"].steps == content["fit"]["flow"]["steps"]
    assert recipe.run_folder() == Path("runs/tiny")
    assert recipe.run_folder("elsewhere") == Path("elsewhere/tiny")


def test_a_run_of_another_name(make_recipe):
    assert make_recipe(_set(["run"], "shared")).run_folder() == Path("runs/shared")


def test_the_hash_is_of_the_file(write_recipe, recipe_content):
    first = write_recipe(recipe_content())
    second = write_recipe(recipe_content())
    assert read_recipe(first).sha256 == read_recipe(second).sha256
    second.write_bytes(second.read_bytes() + b"# a comment\n")
    assert read_recipe(first).sha256 != read_recipe(second).sha256


def test_paths_are_relative_to_the_recipe(make_recipe, survey):
    """Wherever the command is called from."""

    def change(content):
        content["data"]["catalog"] = "beside/real_galaxy_catalog.fits"

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
    "wrong type": (_set(["seed"], "three"), "seed"),
    "wrong type inside": (_set(["stamp", "pixel_scale"], "small"), "stamp.pixel_scale"),
    "broken number": (_set(["fit", "autoencoder", "steps"], 1.5), "fit.autoencoder.steps"),
    "one limit": (_set(["columns", 0, "valid_range"], [1.0]), "columns.0.valid_range.1"),
    "name that a configuration takes": (_set(["columns", 0, "name"], "flux"), "columns.0.name"),
    "name of another input": (_set(["columns", 1, "name"], "galaxy_class"), "columns.1.name"),
    "unknown scale": (_set(["columns", 0, "scale"], "cubic"), "columns.0.scale"),
    "a list for a dict": (_set(["fit"], []), "fit"),
    "missing key": (_set(["model"], None), "model"),
    "missing key inside": (_set(["bands", 0, "zero_point"], None), "bands.0.zero_point"),
    "no kind": (_set(["data", "kind"], None), "data.kind"),
    "relative module": (_set(["modules"], [".beside"]), "modules"),
    "a number for a phase": (_set(["fit", "flow"], 3), "fit.flow"),
    "a number for a text": (_set(["summary"], 3), "summary"),
    "no bands": (_set(["bands"], []), "bands"),
    "two bands of one name": (_set(["bands"], 2 * [dict(name="F814W", zero_point=25)]), "bands"),
    "band that is not there": (_set(["columns", 1, "band"], "F606W"), "columns.1.band"),
    "unknown quantity": (_set(["columns", 1, "quantity"], "brightness"), "columns.1.quantity"),
    "magnitude without mag": (_set(["columns", 1, "unit"], ""), "columns.1"),
    "size that is no angle": (_set(["columns", 0, "unit"], "kg"), "columns.0"),
    "name": (_set(["name"], "../elsewhere"), "name"),
    "unknown optimiser": (_set(["fit", "flow", "optimizer"], "sgd"), "fit.flow.optimizer"),
    "unknown schedule": (_set(["fit", "flow", "schedule"], "root"), "fit.flow.schedule"),
    "unknown precision": (_set(["precision"], "bfloat16"), "precision"),
    "unknown strategy": (_set(["distribute"], "everywhere"), "distribute"),
    "run": (_set(["run"], "../elsewhere"), "run"),
    "PSF without middle pixel": (_set(["stamp", "psf_size"], 16), "stamp.psf_size"),
    "no unit": (_set(["columns", 0, "unit"], "furlongs"), "columns.0.unit"),
    "name that is a path": (_set(["columns", 0, "name"], "a/b"), "columns.0.name"),
    "no text": (_set(["bands", 0, "name"], ""), "bands.0.name"),
    "summary with a control character": (_set(["summary"], "Galaxies\x1b[2J"), "summary"),
    "version with a character of no width": (_set(["version"], "1.0\u200b"), "version"),
    "description with a soft hyphen": (
        _set(["training_data", "description"], "gal\u00adaxies"), "training_data.description"),
    "origin that turns the direction of writing": (
        _set(["training_data", "origin"], "\u202eHST"), "training_data.origin"),
    "citation with a bell": (_set(["training_data", "citation"], "\x07"), "training_data.citation"),
    "licence with a control character": (
        _set(["training_data", "licence"], "MIT\x1b"), "training_data.licence"),
    "band with a control character": (_set(["bands", 0, "name"], "F814W\x1b"), "bands.0.name"),
    "one name for two columns": (_set(["columns", 1, "name"], "flux_radius"), "columns"),
    "no logarithm": (_set(["columns", 2, "offset"], 0.0), "columns.2"),
    "empty range": (_set(["columns", 1, "valid_range"], [25.0, 25.0]), "columns.1.valid_range"),
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
    # Nothing about the classes of Python that hold the settings.
    for words in ("Input", "instance", "Field", "String", "Tuple", "valid dict", "_PhaseEntry"):
        assert words not in str(info.value)


def test_the_name_of_the_file_is_on_the_card(recipe_content, tmp_path):
    path = tmp_path / "re\u200bcipe.yaml"
    path.write_text(yaml.safe_dump(recipe_content()))
    with pytest.raises(galsim.GalSimConfigError, match=r"file.name: 're\\u200bcipe.yaml' holds"):
        read_recipe(path)


LIMITS = [
    ("fit.flow.steps", 0, "from 1"), ("fit.flow.steps", -5, "from 1"),
    ("fit.flow.batch_size", 0, "from 1"), ("fit.flow.learning_rate", math.nan, "from 1e-10 to 10"),
    ("fit.flow.learning_rate", 0, "from 1e-10 to 10"), ("fit.flow.learning_rate", 11, "to 10"),
    ("fit.flow.average", 5, "at least 0 and less than 1"), ("fit.flow.average", 1, "less than 1"),
    ("fit.flow.clip", -1, "from 1"), ("fit.flow.clip", 0.5, "from 1"),
    ("fit.flow.warm_up", -1, "from 0"), ("fit.flow.steps", True, "from 1"),
    ("stamp.size", 0, "from 4 to 4096"), ("stamp.size", 10**9, "from 4 to 4096"),
    ("stamp.psf_size", -1, "from 1 to 4096"), ("stamp.pixel_scale", math.nan, "to 3600"),
    ("stamp.pixel_scale", 0, "from 1e-05"), ("bands.0.zero_point", math.inf, "from -100 to 100"),
    ("bands.0.exposure_time", 0, "from 1e-30"), ("bands.0.area", -1, "from 1e-30"),
    ("bands.0.effective_wavelength", 0, "from 1e-30"),
    ("seed", 2**31, "from 0 to 2147483647"), ("columns.0.offset", math.nan, "from -1e"),
    ("columns.0.valid_range.1", math.inf, "to 1e"),
]


@pytest.mark.parametrize("key, value, allowed", LIMITS)
def test_limits_of_numbers(key, value, allowed, recipe_content, write_recipe):
    """The error says which key, what is allowed and what the recipe has."""
    content = recipe_content()
    _set([int(part) if part.isdigit() else part for part in key.split(".")], value)(content)
    with pytest.raises(galsim.GalSimConfigError) as info:
        read_recipe(write_recipe(content))
    (fault,) = str(info.value).split("is not valid. ")[1].split("; ")
    assert fault.startswith(f"{key}: should be a") and allowed in fault
    assert fault.endswith(f"(the recipe has {value!r})")


NONSENSE = [math.nan, math.inf, -math.inf, 1e300, -1e300, 10**40, True, "much", {}]


def _numbers(content, keys=()):
    """The keys of all numbers in a recipe."""
    if isinstance(content, (dict, list)):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            yield from _numbers(value, (*keys, key))
    elif isinstance(content, (int, float)) and not isinstance(content, bool):
        yield keys


def _check(content):
    recipe = parse(Recipe, content, "recipe")
    recipe._path = Path("recipe.yaml")
    Builder.choose(recipe.data, recipe, "data")
    choose_family(recipe)


@pytest.mark.long
@pytest.mark.parametrize("number", NONSENSE, ids=str)
@pytest.mark.parametrize("name", [*(path.stem for path in RECIPES), "tiny flow_vae", "tiny mpcc"])
def test_nonsense_in_every_place(name, number, recipe_content):
    """Each number of each recipe: the error names its key, wherever it lies."""
    if name.startswith("tiny "):
        content = recipe_content(family=name.split()[1])
    else:
        content = yaml.safe_load(next(path for path in RECIPES if path.stem == name).read_text())
    _check(content)
    places = list(_numbers(content))
    assert len(places) > 10
    for keys in places:
        wrong = copy.deepcopy(content)
        _set(keys, number)(wrong)
        with pytest.raises(galsim.GalSimConfigError) as info:
            _check(wrong)
        key = f"{keys[-1]}: " if isinstance(keys[-1], str) else f"{keys[-2]}.{keys[-1]}: "
        assert key in str(info.value), keys


@pytest.mark.parametrize("part, settings, key", [
    ("flow", dict(kind="spline_coupling", layers=0), "layers"),
    ("flow", dict(kind=["spline_coupling"]), "kind"), ("flow", {}, "kind"),
    ("flow", dict(kind="map_coupling"), "kind"),
    ("flow", dict(kind="spline_coupling", latent_size=3), "latent_size"),
    ("flow", dict(kind="spline_coupling", bound=math.nan), "bound"), ("flow", "affine", ""),
    ("detail_flow", dict(kind="map_coupling", hidden=-1), "hidden"),
    ("detail_flow", dict(kind="spline_coupling"), "kind"),
    ("autoencoder", dict(kind=["galaxy_frame"]), "kind"), ("autoencoder", {}, "kind"),
    ("autoencoder", dict(kind="lanusse2021", aided=0), "aided")])
def test_nonsense_in_parts_of_a_model(part, settings, key, make_recipe):
    """It is found before any network is built."""
    recipe = make_recipe(_set(["model", part], settings))
    key = f"model.{part}.{key}".removesuffix(".")
    with pytest.raises(galsim.GalSimConfigError, match=f"recipe.yaml is not valid. {key}: "):
        choose_family(recipe)


@pytest.mark.parametrize("key, value, allowed", [
    ("step", 3, "no such key; the keys here are: steps, batch_size, .*column_jitter"),
    ("free_bits", 3, "no such key"), ("column_jitter", -1, "should be a number from 0 to 10"),
    ("deepest_share", 0, "from 1e-06 to 1")])
def test_nonsense_in_a_phase(key, value, allowed, make_recipe):
    recipe = make_recipe(_set(["fit", "flow", key], value))
    with pytest.raises(galsim.GalSimConfigError,
                       match=f"recipe.yaml is not valid. fit.flow.{key}: .*{allowed}"):
        choose_family(recipe)


def test_all_faults_at_once(recipe_content, write_recipe):
    content = recipe_content()
    content.update(seed="three", colour="red")
    with pytest.raises(galsim.GalSimConfigError, match="(?s)seed: .*colour: "):
        read_recipe(write_recipe(content))


@pytest.mark.parametrize("text", [
    "name: [1, 2", "name: a\nname b: c: d", b"\xff\xfe\xfa", "a: !!python/object:os.system {}",
    "a: 2024-13-45", "[" * 5000,
], ids=["bracket", "colon", "bytes", "tag", "date", "depth"])
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


@pytest.mark.parametrize("number, quantity", [(0, "half_light_radius"), (1, "magnitude")])
def test_columns_that_the_family_needs(number, quantity, make_recipe):
    recipe = make_recipe(_set(["columns", number, "quantity"], "other"))
    with pytest.raises(galsim.GalSimConfigError, match=f"no column of the quantity '{quantity}'"):
        make_family(recipe)


def test_lengths_are_converted_to_pixels(make_recipe):
    def arcsec(content):
        content["columns"][0].update(unit="arcsec", valid_range=[0.06, 0.24])

    recipe, other = make_recipe(), make_recipe(arcsec)
    assert recipe.half_light_radius(dict(flux_radius=4.0)) == 4.0
    assert other.half_light_radius(dict(flux_radius=0.12)) == pytest.approx(4.0)
    with pytest.raises(galsim.GalSimConfigError, match="flux_radius.*from 1 to 48 pixels"):
        make_family(make_recipe(_set(["columns", 0, "unit"], "arcsec"), builder="real_galaxies"))


MODULE = """
from galsim_deep_training.data.builders.base import Builder


class Nothing(Builder, kind="{kind}"):
    def __len__(self):
        return 0

    def psfs(self): ...
    def noise_correlations(self): ...
    def example(self, number): ...
"""


def test_modules_of_a_recipe(make_recipe, recipe_content, write_recipe):
    """They are found beside the recipe, and register kinds."""
    content = recipe_content()
    content.update(modules=["beside.py"], data=dict(kind="nothing_at_all"))
    path = write_recipe(content)
    (path.parent / "beside.py").write_text(MODULE.format(kind="nothing_at_all"))
    assert len(make_builder(read_recipe(path))) == 0
    assert len(make_builder(read_recipe(path))) == 0  # imported once


@pytest.mark.parametrize("name, text", [
    ("beside.py", None), ("beside.py", "import absent_module"), ("beside.py", "def"),
    ("absent_module", None)])
def test_modules_that_cannot_be_imported(name, text, recipe_content, write_recipe):
    path = write_recipe(dict(recipe_content(), modules=[name]))
    if text is not None:
        (path.parent / name).write_text(text)
    with pytest.raises(galsim.GalSimConfigError,
                       match=f"{path}, modules, names '{name}', which cannot be imported: "):
        read_recipe(path)


def test_two_classes_of_one_kind(recipe_content, write_recipe):
    path = write_recipe(dict(recipe_content(), modules=["beside.py"]))
    (path.parent / "beside.py").write_text(MODULE.format(kind="transplant"))
    Builder.kinds()
    with pytest.raises(galsim.GalSimConfigError, match="two classes for the builder 'transplant'"):
        read_recipe(path)
