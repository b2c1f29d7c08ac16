"""The envelope of a galaxy: its flux, its half-light radius, its extent."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.measure.half_light import measured_radius
from galsim_deep_training.rendering.envelope import SIGMAS, Envelope, half_light_radius

SIZE = 256


def random_envelopes(count=8, seed=1):
    """Envelopes of all kinds, whose light lies within the stamp."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(len(SIGMAS)), count)
    ratios = np.sort(rng.uniform(0.2, 1.0, (count, len(SIGMAS))), axis=1)[:, ::-1]
    return (tf.constant(weights, tf.float32), tf.constant(ratios.copy(), tf.float32),
            tf.constant(rng.uniform(7.0, 11.0, count), tf.float32))


@pytest.fixture
def pixels():
    axis = tf.constant(np.arange(SIZE) - 0.5 * (SIZE - 1), tf.float32)
    return axis[None, None, :] + tf.zeros([8, SIZE, 1]), axis[None, :, None] + tf.zeros(
        [8, 1, SIZE])


def test_flux_and_half_light_radius(pixels):
    weights, ratios, unit = random_envelopes()
    images = Envelope(weights, ratios, unit, blur=0.7).at(*pixels).numpy().astype(float)
    np.testing.assert_allclose(images.sum(axis=(1, 2)), 1.0, atol=2e-3)
    radii = unit * half_light_radius(weights, ratios, 0.7 / unit)
    np.testing.assert_allclose(radii, [measured_radius(image) for image in images], rtol=0.03)


def test_the_blur_is_a_convolution(pixels):
    """Variances add up."""
    weights, ratios, unit = random_envelopes()
    variance = [(image * np.square(pixels[0])).sum(axis=(1, 2)) / image.sum(axis=(1, 2))
                for image in (Envelope(weights, ratios, unit, blur).at(*pixels).numpy()
                              for blur in (0.8, 3.0))]
    np.testing.assert_allclose(variance[1] - variance[0], 9.0 - 0.64, rtol=0.01)


@pytest.mark.parametrize("left_out", [0.002, 0.02])
def test_extent(pixels, left_out):
    """Less than the given share of light lies beyond it, but not much less."""
    weights, _, unit = random_envelopes()
    envelope = Envelope(weights, tf.ones_like(weights), unit)
    image = envelope.at(*pixels).numpy()
    radius = np.hypot(*(axis[0] for axis in np.broadcast_arrays(*pixels)))
    beyond = np.array([part[radius > reach].sum()
                       for part, reach in zip(image, envelope.extent(left_out), strict=True)])
    assert np.all(beyond < left_out)
    assert np.all(beyond > 0.3 * left_out)


def test_axis_ratio(pixels):
    weights = tf.one_hot(8 * [len(SIGMAS) - 3], len(SIGMAS))
    ratios = tf.fill(weights.shape, 0.4)
    image = Envelope(weights, ratios, tf.fill([8], 8.0), blur=0.0).at(*pixels)[0].numpy()
    along, across = ((image * np.square(axis[0])).sum() for axis in pixels)
    assert np.sqrt(across / along) == pytest.approx(0.4, rel=1e-3)
