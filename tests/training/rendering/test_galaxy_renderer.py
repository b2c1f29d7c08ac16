"""The renderer: catalogue columns decide size and flux; grids are nested as described."""

import types

import galsim
import numpy as np
import pydantic
import pytest
import tensorflow as tf
from scipy import signal

from galsim_deep.measure.half_light import measured_radius
from galsim_deep_training.rendering.drawing import Pose
from galsim_deep_training.rendering.galaxy_renderer import GalaxyRenderer, GalaxyRendererSettings


@pytest.fixture
def renderer(recipe):
    settings = GalaxyRendererSettings(
        cells=8, view_subcells=4, core_cells=4, core_subcells=4, core_view_subcells=6)
    renderer = GalaxyRenderer(settings, recipe)
    renderer.drawing.half_light.adapt(np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]))
    return renderer


COLUMNS = dict(flux_radius=tf.constant([4.0, 6.0]), mag_auto=tf.constant([20.0, 22.5]))


def test_grids_are_nested(renderer):
    for grids, cells in ((renderer.view_grids, (32, 24)), (renderer.drawing.grids, (16, 16))):
        assert tuple(grid.cells for grid in grids) == cells
        assert [grid.half_width for grid in grids] == [4.0, 2.0]


def test_flux_is_that_of_the_magnitude(renderer, recipe):
    orientation = renderer.orientation(tf.constant([[1.0, 0.0, 1.0]] * 2), tf.zeros([2]))
    outputs = [tf.zeros((2, grid.cells, grid.cells)) for grid in renderer.drawing.grids]
    stamps = renderer.draw(outputs, Pose(orientation), COLUMNS)
    assert stamps.shape == (2, 32, 32)
    magnitudes = 25.94 - 2.5 * np.log10(np.sum(stamps, axis=(1, 2)))
    np.testing.assert_allclose(magnitudes, COLUMNS["mag_auto"], atol=1e-3)


def test_ellipticity_latent_of_zero(renderer):
    orientation = renderer.orientation(tf.zeros([1, 3]), tf.constant([0.0]))
    assert orientation.ellipticity[0] == renderer.ellipticity_zero


def test_view(renderer):
    views, orientation = renderer.view(
        tf.ones([2, 32, 32]), tf.ones([2, 17, 17]), tf.ones([2]), COLUMNS, rounded=False)
    assert [view.shape for view in views] == [(2, 32, 32, 3), (2, 24, 24, 3)]
    assert orientation.latents.shape == (2, 3)


def test_core_has_to_fit_into_the_grid():
    with pytest.raises(pydantic.ValidationError):
        GalaxyRendererSettings(cells=8, core_cells=10)


@pytest.mark.parametrize("as_observed", [False, True])
@pytest.mark.parametrize("pixel_scale", [0.03, 0.06])
def test_half_light_radius(as_observed, pixel_scale, make_recipe):
    """It is imposed before the PSF, or as the PSF shows it; for pixels of any size."""
    def change(content):
        content["columns"][0].update(as_observed=as_observed, unit="arcsec",
                                     valid_range=[0.06, 0.3])

    recipe = make_recipe(change)
    renderer = GalaxyRenderer(GalaxyRendererSettings(
        cells=16, core_cells=8, psf_radius=1.6), recipe)
    psf = galsim.Gaussian(half_light_radius=1.6).drawImage(nx=17, ny=17, scale=1.0).array
    renderer.prepare(types.SimpleNamespace(
        columns=dict(flux_radius=np.full(2, 5 * pixel_scale)), mean_psf=lambda: psf,
        pixel_scales=np.full(2, pixel_scale)))
    columns = dict(flux_radius=tf.fill([2], 5.0 * pixel_scale), mag_auto=tf.constant([20.0, 22.5]),
                   pixel_scale=tf.fill([2], pixel_scale))
    outputs = [tf.zeros((2, grid.cells, grid.cells)) for grid in renderer.drawing.grids]
    pose = Pose(renderer.orientation(tf.ones([2, 3]), tf.zeros([2])))
    image = renderer.draw(outputs, pose, columns)[0].numpy().astype(float)
    if as_observed:
        image = signal.fftconvolve(image, psf, mode="same")
    assert measured_radius(image) == pytest.approx(5.0, rel=0.03)


@pytest.mark.parametrize("valid_range", [[2.0, 60.0], [0.5, 8.0]])
def test_sizes_that_cannot_be_drawn_are_refused(valid_range, make_recipe):
    def change(content):
        content["columns"][0].update(valid_range=valid_range, as_observed=True)

    with pytest.raises(galsim.GalSimConfigError, match="flux_radius.*from 1 to 48 pixels"):
        GalaxyRenderer(GalaxyRendererSettings(), make_recipe(change))


@pytest.mark.parametrize("radii", [[0.9, 6.0], [4.0, 49.0], [4.0, np.nan]])
def test_data_with_sizes_that_cannot_be_drawn(radii, renderer):
    """They would be drawn with another size; rounding errors of the limits do not matter."""
    dataset = types.SimpleNamespace(
        path="data.h5", columns=dict(flux_radius=np.float32(radii)),
        mean_psf=lambda: np.ones((3, 3)), pixel_scales=np.full(2, 0.03))
    with pytest.raises(galsim.GalSimError, match="data.h5 has half-light radii from .* pixels"):
        renderer.prepare(dataset)
    dataset.columns = dict(flux_radius=np.float32([0.9999999, 48.000001]))
    renderer.prepare(dataset)
