"""Canvases without a recipe file, and what they are called with."""

import types

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.canvases import Canvas
from galsim_deep_training.recipe import Recipe

SIZE = 48
COLUMNS = dict(flux_density=tf.constant([5.0, 80.0, 900.0]), size=tf.constant([16.0, 30.0, 44.0]),
               flux_radius=tf.constant([4.0, 5.0, 6.5]), mag_auto=tf.constant([21.0, 22.0, 23.0]))
QUANTITIES = dict(flux_density=("flux", "mJy"), size=("largest_angular_size", "arcsec"),
                  flux_radius=("half_light_radius", "pix"), mag_auto=("magnitude", "mag"))
SETTINGS = {"galaxy_frame": dict(psf_radius=2.0, cells=24), "plain": dict(subcells=2),
            "polar_frame": dict(cells=4), "sky": dict(cells=16)}


@pytest.fixture(scope="session")
def gaussian():
    """``gaussian(size, sigma)``: a round PSF of pixels of one arcsec, [size, size]."""
    def image(size, sigma):
        return galsim.Gaussian(sigma=sigma).drawImage(
            nx=size, ny=size, scale=1.0, method="no_pixel", dtype=float).array
    return image


@pytest.fixture(scope="session")
def psfs(gaussian):
    """PSF images of three galaxies, [3, 17, 17]."""
    return np.repeat(gaussian(17, 1.5)[None], 3, axis=0).astype(np.float32)


@pytest.fixture(scope="session")
def columns():
    """Columns of three galaxies."""
    return COLUMNS


@pytest.fixture(scope="session")
def canvas_recipe(tmp_path_factory):
    """A recipe with pixels of one arcsec and all columns."""
    made = Recipe.model_validate(dict(
        name="canvas", version="0", summary="A canvas.", seed=1,
        stamp=dict(size=SIZE, pixel_scale=1.0, psf_size=17),
        bands=[dict(name="b", zero_point=25.0)],
        columns=[dict(name=name, unit=unit, meaning="", quantity=quantity, as_observed=True,
                      valid_range=(2.0, 40.0) if name == "flux_radius" else (0.1, 1e4))
                 for name, (quantity, unit) in QUANTITIES.items()],
        training_data=dict(description="None.", citation="none", licence="none"),
        data=dict(kind="images"), model=dict(kind="mpcc"), fit={}))
    made._path = tmp_path_factory.mktemp("canvas") / "recipe.yaml"
    return made


@pytest.fixture(scope="session")
def make_canvas(canvas_recipe, gaussian):
    """``make_canvas(kind, **settings)``: a canvas, prepared."""
    def make(kind, **settings):
        choice = Canvas.choose(
            dict(SETTINGS[kind], kind=kind, **settings), canvas_recipe, "model.canvas")
        canvas = choice.make(canvas_recipe)
        canvas.prepare(types.SimpleNamespace(
            path="data.h5", columns={name: np.array(values) for name, values in COLUMNS.items()},
            mean_psf=lambda: gaussian(17, 1.5), pixel_scales=np.ones(3)))
        return canvas
    return make


@pytest.fixture(scope="session")
def random_outputs():
    """``random_outputs(canvas)``: outputs of a generator for three galaxies."""
    def draw(canvas, seed=1, size=1.0):
        rng = np.random.default_rng(seed)
        return [tf.constant(
                    size * rng.standard_normal(
                        (3, cells * fine, (2 if canvas.wraps else 1) * cells * fine)), tf.float32)
                for cells, fine in canvas.render_grids]
    return draw


@pytest.fixture(scope="session")
def rendered(random_outputs):
    """``rendered(canvas)``: light profiles of random outputs, [3, S, S]."""
    def render(canvas, seed=1, columns=COLUMNS):
        latents = np.random.default_rng(seed + 1).standard_normal(
            (3, canvas.position_angle_size))
        return canvas.render(random_outputs(canvas, seed), tf.zeros([3, canvas.scalars]),
                             tf.constant(latents, tf.float32), columns)
    return render
