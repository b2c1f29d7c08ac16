"""What MPCC computes besides what every family does."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset

pytestmark = pytest.mark.long

COLUMNS = ("flux_radius", "mag_auto", "zphot")


def test_modules_do_not_observe(make):
    """No PSF and no noise enters the images of a module."""
    family, _ = make("conditional")
    inputs = family.signatures()["sample"].inputs
    assert set(inputs) == {*COLUMNS, "random_normal", "galaxy_class"}


def test_a_requested_class_is_decoded_from_its_prior(make, batch_of):
    family, dataset = make("conditional")
    batch = batch_of(dataset, 3)
    columns = {name: batch[name] for name in COLUMNS}
    normal = np.random.default_rng(1).standard_normal((3, family.latent_size)).astype(np.float32)
    galaxy_class, signatures = tf.constant([2, 0, 1]), family.signatures()
    sample = signatures["sample"].call(
        random_normal=normal, galaxy_class=galaxy_class, **columns)
    np.testing.assert_array_equal(sample["galaxy_class"], galaxy_class)
    image = sample["image"]
    prior = signatures["prior"].call(galaxy_class=galaxy_class, **columns)
    latent = tf.concat([normal[:, :3], prior["mean"] + prior["scale"] * normal[:, 3:7]], axis=-1)
    decoded = signatures["decode"].call(latent=latent, galaxy_class=galaxy_class, **columns)
    np.testing.assert_allclose(decoded["image"], image, atol=1e-6 * np.max(image))
    assert np.all(prior["log_class_probability"].numpy() < 0)


def test_prior_averages_over_missing_columns(make, batch_of, awaken):
    """As many galaxies are of a class as ``sample`` makes, not as at the medians."""
    family, dataset = make("conditional")
    assert family.optional_columns
    awaken(family.class_weights, size=0.4)
    batch = batch_of(dataset, 2)
    columns = dict.fromkeys(COLUMNS, tf.fill([2], np.nan)) | {COLUMNS[1]: batch[COLUMNS[1]]}
    prior = family.signatures()["prior"].call
    found = np.exp(np.stack([
        prior(galaxy_class=tf.fill([2], number), **columns)["log_class_probability"]
        for number in range(family.settings.classes.number)], axis=1))
    many = {name: tf.repeat(values, 4000) for name, values in columns.items()}
    normal = tf.random.stateless_normal([8000, len(family.recipe.columns)], [3, 4])
    drawn, median = (np.exp(family.log_class_weights(family.imputed(many, numbers), 8000)).reshape(
        2, 4000, -1).mean(axis=1) for numbers in (normal, None))
    np.testing.assert_allclose(found, drawn, atol=0.02)
    assert np.abs(found - median).max() > 0.04


def test_labelled_classes_have_names_and_are_judged_with_them(bars, fitted_bars, batch_of):
    family, dataset = fitted_bars, Dataset(bars[1] / "data.h5")
    assert [each["name"] for each in family.classes(dataset)] == ["along x", "along y"]
    batch = batch_of(dataset)
    views = family.view(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
    conditions = family.network_conditions(batch, 8)
    outputs = [family.discriminate(
        views, family.one_hot(tf.fill([8], number)), conditions).numpy() for number in range(2)]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-6
