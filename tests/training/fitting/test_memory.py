"""Batches that cannot fit into memory are refused, by the product of several settings."""

from pathlib import Path

import galsim
import pytest

from galsim_deep_training.families import choose_family
from galsim_deep_training.families.mpcc.canvases.sky import SkySettings
from galsim_deep_training.fitting.memory import MAX_BYTES, check_batches
from galsim_deep_training.fitting.phase import Phase
from galsim_deep_training.recipe import PhaseSettings, read_recipe
from galsim_deep_training.rendering.galaxy_renderer import GalaxyRendererSettings
from galsim_deep_training.settings import Settings, parse


class Images(Phase):
    name = "images"


def check(recipe, batch_size):
    check_batches(recipe, [Images], dict(images=PhaseSettings(steps=1, batch_size=batch_size)),
                  Settings())


def test_the_largest_batch(recipe):
    """Stamps of 32 pixels, PSFs of 17, and the power spectrum of the noise, in float32."""
    most = MAX_BYTES // (4 * (32 * 32 + 32 * 17 + 17 * 17))
    check(recipe, most)
    with pytest.raises(galsim.GalSimConfigError,
                       match=f"fit.images.batch_size, is {most + 1}.*at most {most},"):
        check(recipe, most + 1)


@pytest.mark.parametrize("family, phase", [
    ("flow_vae", "autoencoder"), ("flow_vae", "flow"), ("mpcc", "adversarial"), ("mpcc", "flow")])
def test_too_many_stamps(family, phase, make_recipe):
    def change(content):
        content["fit"][phase]["batch_size"] = 1_000_000

    with pytest.raises(galsim.GalSimConfigError,
                       match=f"fit.{phase}.batch_size, is 1000000.* With stamp.size of 32 and "):
        choose_family(make_recipe(change, family=family))


def test_columns_take_no_images(make_recipe):
    def change(content):
        content["fit"]["columns"]["batch_size"] = 1_000_000

    assert choose_family(make_recipe(change)).kind == "flow_vae"


def test_several_batches_in_a_step(make_recipe):
    """The phase ``adversarial`` reads a batch for each update of the discriminator."""
    most = MAX_BYTES // (4 * (32 * 32 + 32 * 17 + 17 * 17))

    def settings(updates, batch_size):
        return lambda content: content["fit"]["adversarial"].update(
            discriminator_steps=updates, batch_size=batch_size)

    for updates in (1, 5):
        assert choose_family(make_recipe(settings(updates, most // updates), family="mpcc"))
    with pytest.raises(galsim.GalSimConfigError, match=(
            f"fit.adversarial.batch_size, is {most}, and each step reads {5 * most} galaxies. "
            f"With stamp.size .*at most {most // 5},")):
        choose_family(make_recipe(settings(5, most), family="mpcc"))


@pytest.mark.parametrize("family, component, most", [
    ("flow_vae", "autoencoder", "6[0-9]"), ("mpcc", "canvas", "3[0-9]")])
def test_too_large_images(family, component, most, make_recipe):
    """Each number is within its limits, and so is the grid."""
    def change(content):
        content["model"][component].update(cells=1024, view_subcells=4)
        content["fit"][[*content["fit"]][0]]["batch_size"] = 64

    with pytest.raises(galsim.GalSimConfigError,
                       match=f"cells and subcells of model.{component}, .* at most {most},"):
        choose_family(make_recipe(change, family=family))


def test_images_too_large_for_any_batch(make_recipe):
    def change(content):
        content["model"]["canvas"].update(cells=4096, subcells=1, view_subcells=1, core_cells=4096,
                                          core_subcells=1, core_view_subcells=1)
        content["stamp"].update(size=4096, psf_size=4095)
        for phase in content["fit"].values():
            phase["batch_size"] = 30

    with pytest.raises(galsim.GalSimConfigError, match="at most 1[0-9], or smaller images"):
        choose_family(make_recipe(change, family="mpcc"))


RECIPES = sorted((Path(__file__).parents[3] / "training/recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_of_the_repository_are_far_from_the_limit(path, monkeypatch):
    monkeypatch.setattr("galsim_deep_training.fitting.memory.MAX_BYTES", MAX_BYTES // 50)
    choose_family(read_recipe(path))


@pytest.mark.parametrize("settings, key, cells", [
    (dict(cells=1024, view_subcells=64), "view_subcells", "cells"),
    (dict(cells=1024, subcells=5, view_subcells=4), "subcells", "cells"),
    (dict(cells=1024, core_cells=1024, core_subcells=5), "core_subcells", "core_cells"),
    (dict(cells=1024, core_cells=1024, core_subcells=1, core_view_subcells=5),
     "core_view_subcells", "core_cells")])
def test_grids_of_too_many_pixels(settings, key, cells):
    settings = dict(dict(subcells=1, view_subcells=1), **settings)
    with pytest.raises(galsim.GalSimConfigError,
                       match=rf"model\.canvas\.{key}: with '{cells}' of 1024 .*at most 4096"):
        parse(GalaxyRendererSettings, settings, "recipe my.yaml", "model.canvas")


def test_the_largest_grids():
    settings = GalaxyRendererSettings(cells=1024, subcells=4, view_subcells=2)
    assert settings.image_pixels == 4096**2 + 80**2
    assert SkySettings(cells=64, subcells=64).image_pixels == 4096**2
    with pytest.raises(galsim.GalSimConfigError, match="subcells: with 'cells' of 65"):
        parse(SkySettings, dict(cells=65, subcells=64), "recipe my.yaml", "model.canvas")
