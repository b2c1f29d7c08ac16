"""The density of images."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families import make_family


@pytest.fixture(scope="module")
def family(make_recipe, awaken):
    def change(content):
        content["stamp"].update(size=8)
        content["bands"] = [dict(name=name, zero_point=0.0) for name in "gri"]
        content["columns"] = []
        content["data"] = dict(kind="images", file_name="images.npz")
        content["model"].update(levels=2)
    family = make_family(make_recipe(change, family="affine_flow"))
    awaken(family.flow)
    return family


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(1)
    return (rng.integers(0, 256, (5, 8, 8, 3)) / 255.0).astype(np.float32)


def test_density_by_the_change_of_variables(family, images):
    """The logit with its margin, the flow, and a standard normal density."""
    values = (255 * images[:1].astype(float) + 0.5) / 256
    y = 0.05 + 0.9 * values
    logits = np.log(y / (1 - y))
    z, log_det = family.flow(tf.constant(logits, tf.float32))
    expected = (-0.5 * np.sum(np.square(z)) - 0.5 * z.shape[1] * np.log(2 * np.pi)
                + float(log_det[0]) + np.sum(np.log(0.9 / (y * (1 - y)))))
    np.testing.assert_allclose(family.log_prob(images[:1]), expected, rtol=1e-4)


def test_bits_of_the_untrained_flow_of_noise(family, images):
    """With an offset in the middle of the step, bits and density are the same number."""
    bits = family.bits(tf.constant(images), tf.fill([5, 192], 0.5))
    expected = 8 - family.log_prob(images).numpy() / (192 * np.log(2))
    np.testing.assert_allclose(bits, expected, rtol=1e-4)


def test_samples_are_images(family):
    normal = tf.random.stateless_normal([6, family.latent_size], [1, 2])
    found = family.signatures()["sample"].call(random_normal=normal)["image"].numpy()
    assert found.shape == (6, 8, 8, 3) and 0 <= found.min() < found.max() <= 1
    assert np.abs(found[0] - found[1]).max() > 0.05


def test_samples_have_the_density_of_their_numbers(family):
    """Encoding a sample gives the numbers that it was made from."""
    normal = 0.3 * tf.random.stateless_normal([3, family.latent_size], [1, 2])
    image = family.sample(normal)
    logits, _ = family._logits(family._continuous(image, tf.constant(0.5)))
    np.testing.assert_allclose(family.flow(logits)[0], normal, atol=0.05)


def test_one_band(make_recipe):
    family = make_family(make_recipe(family="affine_flow"))
    stamps = tf.random.stateless_uniform([2, 32, 32], [1, 2])
    np.testing.assert_allclose(family.log_prob(stamps), family.log_prob(stamps[..., None]))
