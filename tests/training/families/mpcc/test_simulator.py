"""Simulated stamps: what is drawn, and how it is observed."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.observations.clipping import clipped
from galsim_deep_training.families.mpcc.simulator import displaced


@pytest.fixture
def recorded():
    """``recorded(family)``: a dict of what `generate` is called with from now on."""
    def record(family):
        calls, generate = {}, family.generate

        def spy(latent, classes, position_angle_latents, columns, noise=None, **mode):
            calls.update(latent=latent, classes=classes, mode=mode,
                         position_angle_latents=position_angle_latents)
            return generate(latent, classes, position_angle_latents, columns, noise, **mode)

        family.generate = spy
        return calls
    return record


def test_displaced():
    galaxy = galsim.Gaussian(sigma=3.0).shear(g1=0.2)
    image = galaxy.drawImage(nx=32, ny=32, scale=1.0, method="no_pixel", dtype=float).array
    expected = galaxy.shift(0.3, -0.4).drawImage(
        nx=32, ny=32, scale=1.0, method="no_pixel", dtype=float).array
    shifted = displaced(tf.constant(image[None], tf.float32), tf.constant([[0.3, -0.4]]))
    np.testing.assert_allclose(shifted[0], expected, atol=2e-4 * image.max())


def test_a_displacement_of_zero():
    image = np.random.default_rng(1).standard_normal((2, 9, 9)).astype(np.float32)
    np.testing.assert_allclose(displaced(tf.constant(image), tf.zeros([2, 2])), image, atol=1e-5)


@pytest.mark.long
def test_generated_galaxies_are_observed(make, batch_of):
    """Networks see profiles through the PSF and the noise of the stamps of the batch."""
    family, dataset = make("conditional")
    simulator, batch = family.phases[0].simulator, batch_of(dataset)

    def pixels(**changes):
        views, _, _ = simulator.views({**batch, **changes}, tf.constant(3), 0)
        return np.concatenate([view[..., :2].numpy().ravel() for view in views])

    original = pixels()
    assert np.abs(pixels(psf=tf.roll(batch["psf"], 2, axis=1)) - original).max() > 1e-3
    assert np.abs(pixels(noise_sigma=3 * batch["noise_sigma"]) - original).max() > 1e-3
    np.testing.assert_array_equal(pixels(), original)


@pytest.mark.long
def test_stamps_are_clipped_as_the_training_set_is(make, batch_of):
    family, dataset = make("conditional")
    simulator, batch = family.phases[0].simulator, batch_of(dataset)
    original, _ = simulator.neighbours(batch, tf.constant(3), 0, 0.2)
    family.training_set.clipping.assign([3.0, 5.0])
    stamps, _ = simulator.neighbours(batch, tf.constant(3), 0, 0.2)
    for stamp, before, sigma in zip(stamps, original, batch["noise_sigma"], strict=True):
        np.testing.assert_array_equal(
            stamp, clipped(before.numpy(), float(sigma), 3.0, 5.0).astype(np.float32))
        assert np.sum(stamp == 0) > np.sum(before == 0)


@pytest.mark.long
def test_neighbours_are_at_a_distance_of_the_latent(make, awaken, batch_of, recorded):
    """In units of the deviations of their class; everything else is the same."""
    family, dataset = make("conditional")
    awaken(family.generator, size=0.3)
    awaken(family.prior, size=0.5)
    simulator, batch, calls = family.phases[0].simulator, batch_of(dataset), recorded(family)
    first, second = simulator.neighbours(batch, tf.constant(3), 7, 0.2, batchwise=True)
    assert calls["mode"] == dict(batchwise=True)
    for name in ("classes", "position_angle_latents"):
        np.testing.assert_array_equal(calls[name][:8], calls[name][8:])
    draw, conditions = family.prior.draw, family.network_conditions(batch, 8)
    deviation = (draw(tf.ones([8, 4]), calls["classes"][:8], conditions)
                 - draw(tf.zeros([8, 4]), calls["classes"][:8], conditions)).numpy()
    assert np.ptp(deviation) > 0.05
    steps = (calls["latent"][8:] - calls["latent"][:8]).numpy() / deviation
    np.testing.assert_allclose(np.sqrt(np.mean(steps**2, axis=-1)), 0.2, rtol=1e-3)
    assert np.ptp(np.sign(steps), axis=0).min() > 0
    assert np.all(np.max(np.abs(first - second), axis=(1, 2)) > 0)
    # The first are the galaxies of `views`, without noise.
    latent, classes = simulator.latents(batch, tf.constant(3), 7)
    np.testing.assert_array_equal(calls["latent"][:8], latent)
    np.testing.assert_array_equal(calls["classes"][:8], classes)
    for changes in (dict(), dict(noise_sigma=5 * batch["noise_sigma"])):
        again = simulator.neighbours(
            dict(batch, **changes), tf.constant(3), 7, 0.2, batchwise=True)
        np.testing.assert_allclose(again[0], first, atol=1e-5 * np.max(first))
    same = simulator.neighbours(batch, tf.constant(3), 7, 0.0)
    np.testing.assert_array_equal(*same)


def test_labels_are_the_classes(labelled, batch_of):
    family, dataset = labelled
    batch = batch_of(dataset)
    _, classes = family.phases[0].simulator.latents(batch, tf.constant(0), 0)
    np.testing.assert_array_equal(np.argmax(classes, axis=-1), batch["label"])
