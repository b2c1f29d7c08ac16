"""Ready-made signatures: their inputs, and the band axis of images."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.base import ModelFamily
from galsim_deep_training.families.shared.signatures import (
    decode_signature,
    encode_signature,
    log_prob_signature,
    observation_specs,
    sample_signature,
)

COLUMNS = dict(flux_radius=tf.constant([4.0, 5.0]), mag_auto=tf.constant([21.0, 22.0]),
               zphot=tf.constant([0.5, 1.0]))
OBSERVED = dict(image=tf.ones([2, 32, 32, 1]), psf=2 * tf.ones([2, 17, 17, 1]),
                noise_sigma=tf.constant([[3.0], [4.0]]))


class Plain(ModelFamily):
    """A family without networks."""

    latent_size = 6

    def signatures(self):
        return {}


@pytest.fixture(scope="module")
def family(make_recipe):
    recipe = make_recipe(lambda content: content.update(fit={}))
    return Plain(recipe.model, recipe)


def shapes(signature):
    return {name: spec.shape.as_list() for name, spec in signature.inputs.items()}


def test_what_is_observed(family):
    assert {name: spec.shape.as_list() for name, spec in observation_specs(family).items()} == dict(
        image=[None, 32, 32, 1], psf=[None, 17, 17, 1], noise_sigma=[None, 1])


def test_sample(family):
    signature = sample_signature(family, lambda normal, columns: (
        normal[:, 0] * columns["mag_auto"])[:, None, None] * tf.ones([32, 32]))
    assert shapes(signature) == dict(dict.fromkeys(COLUMNS, [None]), random_normal=[None, 6])
    image = signature.call(random_normal=2 * tf.ones([2, 6]), **COLUMNS)["image"]
    assert image.shape == (2, 32, 32, 1)
    np.testing.assert_array_equal(image[:, 5, 5, 0], [42.0, 44.0])


def test_decode(family):
    signature = decode_signature(family, 3, lambda latent, columns: (
        latent[:, 2] + columns["zphot"])[:, None, None] * tf.ones([32, 32]))
    assert shapes(signature) == dict(dict.fromkeys(COLUMNS, [None]), latent=[None, 3])
    image = signature.call(latent=tf.ones([2, 3]), **COLUMNS)["image"]
    np.testing.assert_array_equal(image[:, 0, 0, 0], [1.5, 2.0])


def test_log_prob(family):
    signature = log_prob_signature(
        family, 3, lambda latent, columns: tf.reduce_sum(latent, axis=1) - columns["zphot"])
    assert shapes(signature) == dict(dict.fromkeys(COLUMNS, [None]), latent=[None, 3])
    outputs = signature.call(latent=tf.ones([2, 3]), **COLUMNS)
    np.testing.assert_array_equal(outputs["log_prob"], [2.5, 2.0])


def encode(stamps, psfs, noise_sigma, columns):
    assert stamps.shape == (2, 32, 32) and psfs.shape == (2, 17, 17)
    return noise_sigma[:, None], columns["zphot"][:, None]


def test_encode(family):
    signature = encode_signature(family, encode)
    assert shapes(signature) == dict(
        dict.fromkeys(COLUMNS, [None]), image=[None, 32, 32, 1], psf=[None, 17, 17, 1],
        noise_sigma=[None, 1])
    outputs = signature.call(**OBSERVED, **COLUMNS)
    assert set(outputs) == {"mean", "scale"}
    np.testing.assert_array_equal(outputs["mean"], [[3.0], [4.0]])
    np.testing.assert_array_equal(outputs["scale"], [[0.5], [1.0]])


def test_encode_with_further_outputs(family):
    signature = encode_signature(family, lambda *observed: dict(
        zip(("mean", "scale"), encode(*observed), strict=True),
        log_class_probability=tf.zeros([2, 3])))
    outputs = signature.call(**OBSERVED, **COLUMNS)
    assert set(outputs) == {"mean", "scale", "log_class_probability"}


@pytest.mark.parametrize("signature, inputs", [
    (decode_signature, dict(latent=tf.ones([2, 3]))),
    (log_prob_signature, dict(latent=tf.ones([2, 3])))])
def test_missing_columns_are_imputed(signature, inputs, make_recipe, recipe):
    """Where the family takes NaN, the functions never see it."""
    from galsim_deep_training.networks.imputation import Imputation

    class Tolerant(Plain):
        optional_columns = True

    family = Tolerant(None, make_recipe(lambda content: content.update(fit={})))
    family.imputation = Imputation(3, hidden=4)
    seen = []

    def function(latent, columns):
        seen.append(columns["zphot"].numpy())
        return tf.zeros([2, 32, 32])

    missing = dict(COLUMNS, zphot=tf.constant([np.nan, 1.0]))
    signature(family, 3, function).call(**inputs, **missing)
    assert np.isfinite(seen[0]).all() and seen[0][1] == 1.0
