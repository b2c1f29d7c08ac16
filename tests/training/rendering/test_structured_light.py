"""The light of galaxies: a smooth envelope times structure on a polar grid."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.measure.half_light import measured_radius
from galsim_deep_training.rendering.envelope import SIGMAS, Envelope, half_light_radius
from galsim_deep_training.rendering.orientation import Orientation
from galsim_deep_training.rendering.polar import PolarGrid
from galsim_deep_training.rendering.structured_light import StructuredLight

ROWS, SIZE, RADIUS = 32, 200, 18.0


def light(relief, ellipticity=0.0, angle=0.3, parity=1.0, winding=0.0):
    """Exponential-like galaxies of a half-light radius of 18 pixels."""
    count = len(relief)
    weights = np.exp(-0.5 * np.square((np.log(SIGMAS) - np.log(0.8)) / 0.4))
    weights = tf.constant(np.tile(weights / weights.sum(), (count, 1)), tf.float32)
    orientation = Orientation(*(tf.fill([count], value) for value in (
        np.float32(np.cos(angle)), np.float32(np.sin(angle)), parity, ellipticity)))
    ratios = tf.tile(orientation.axis_ratio[:, None], [1, len(SIGMAS)])
    unit = RADIUS / half_light_radius(weights, ratios, tf.fill([count], 0.02))
    return StructuredLight(
        PolarGrid(ROWS, 2 * ROWS), Envelope(weights, ratios, unit),
        tf.constant(relief, tf.float32), orientation, tf.fill([count], winding),
        RADIUS * orientation.major_axis_factor)


def reliefs():
    """None, two arms, a bright side, and bright ends of the major axis."""
    angle = PolarGrid(ROWS, 2 * ROWS).angle
    patterns = np.stack([np.ones_like(angle), np.exp(1.0 * np.cos(2 * angle - 0.7)),
                         np.exp(0.8 * np.cos(angle - 1.2)), np.exp(1.2 * np.cos(2 * angle))])
    patterns /= patterns.mean(axis=1, keepdims=True)
    return np.tile(patterns[:, None], (1, ROWS, 1))


def centroid(image):
    axis = np.arange(len(image)) - 0.5 * (len(image) - 1)
    return np.array([np.sum(image * axis), np.sum(image * axis[:, None])]) / image.sum()


def test_without_structure_it_is_the_envelope():
    made = light(reliefs()[:1], ellipticity=0.3)
    image = made.at_pixels(SIZE)[0].numpy().astype(float)
    assert image.sum() == pytest.approx(1.0, abs=4e-3)
    assert measured_radius(image) == pytest.approx(RADIUS, rel=0.01)
    imposed = made.imposed(tf.constant([5.0])).at_pixels(SIZE)[0].numpy()
    np.testing.assert_allclose(imposed, 5.0 * image, atol=2e-3 * imposed.max())


@pytest.mark.parametrize("parity, winding", [(1.0, 0.0), (-1.0, 0.8)])
@pytest.mark.parametrize("ellipticity", [0.0, 0.3, 0.6])
def test_flux_size_and_centre_are_imposed(ellipticity, parity, winding):
    made = light(reliefs(), ellipticity, parity=parity, winding=winding)
    before = made.at_pixels(SIZE).numpy().astype(float)
    after = made.imposed(tf.constant([1.0, 2.0, 3.0, 4.0])).at_pixels(SIZE).numpy().astype(float)
    np.testing.assert_allclose(after.sum(axis=(1, 2)), [1, 2, 3, 4], rtol=0.012)
    for image in after:
        assert measured_radius(image) == pytest.approx(RADIUS, rel=0.015)
        np.testing.assert_allclose(centroid(image), 0.0, atol=0.02 * RADIUS)
    # There was something to correct.
    assert np.linalg.norm(centroid(before[2])) > 0.1 * RADIUS
    if ellipticity and not winding:
        assert abs(measured_radius(before[3]) / RADIUS - 1) > 0.02


def test_structure_moves_with_the_size():
    made = light(reliefs()[1:2])
    larger = dataclasses.replace(
        made, unit=2 * made.unit, envelope=dataclasses.replace(
            made.envelope, unit=2 * made.envelope.unit, blur=1.0))
    small, large = made.at_pixels(60)[0].numpy(), larger.at_pixels(120)[0].numpy()
    binned = large.reshape(60, 2, 60, 2).sum(axis=(1, 3))
    np.testing.assert_allclose(binned, small, atol=0.2 * small.max())
    np.testing.assert_allclose(binned, small, rtol=0.3, atol=0.03 * small.max())


@pytest.mark.parametrize("size", [32, 66, 64, 128])
def test_the_outer_half_may_be_interpolated(size):
    made = light(reliefs(), ellipticity=0.3, winding=0.5)
    exact, fast = made.at_pixels(size).numpy(), made.at_pixels_in_two_parts(size).numpy()
    quarter = size // 4
    inner = slice(quarter, size - quarter)
    np.testing.assert_allclose(fast[:, inner, inner], exact[:, inner, inner], rtol=1e-5)
    # The outermost pixels are extrapolated.
    within = slice(1, -1)
    np.testing.assert_allclose(fast[:, within, within], exact[:, within, within], rtol=0.05,
                               atol=2e-3 * exact.max())
    np.testing.assert_allclose(fast.sum(axis=(1, 2)), exact.sum(axis=(1, 2)), rtol=5e-3)
