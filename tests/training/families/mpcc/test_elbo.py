"""The evidence lower bound of MPCC with its mixture as a prior."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family
from galsim_deep_training.families.mpcc.elbo import Elbo, aligned
from galsim_deep_training.families.mpcc.simulator import displaced


@pytest.fixture(scope="module")
def polar(make_recipe, data_file):
    family, dataset = make_family(make_recipe(family="mpcc_polar")), Dataset(data_file)
    family.prepare(dataset)
    batch = {name: tf.constant(value)
             for name, value in dataset.read(dataset.train_indices[:8]).items()}
    return family, batch


def gaussians(widths, size=32):
    x = np.arange(size) - size / 2
    return tf.constant([np.exp(-0.5 * (x[:, None]**2 + x**2) / width**2) for width in widths],
                       tf.float32)


@pytest.mark.parametrize("shift, factor", [((0.3, -0.2), 1.0), ((0.0, 0.0), 1.03),
                                           ((-0.1, 0.25), 0.96)])
def test_shifts_and_fluxes_are_recovered(shift, factor):
    """Of galaxies that are bright enough, to less than a hundredth of the peak."""
    models = gaussians([3.0, 5.0])
    stamps = factor * displaced(models, tf.constant([shift] * 2))
    np.testing.assert_allclose(aligned(models, stamps, tf.fill([2], 0.001)), stamps, atol=0.008)


def test_faint_galaxies_are_not_aligned_with_noise():
    models = 0.1 * gaussians([3.0])
    noise = tf.random.stateless_normal(models.shape, [1, 2])
    np.testing.assert_allclose(aligned(models, noise, tf.ones([1])), models, atol=0.02)


def test_large_shifts_are_limited():
    models = gaussians([3.0])
    moved = aligned(models, displaced(models, tf.constant([[6.0, 0.0]])), tf.fill([1], 1e-4))
    x = np.arange(32) - 16
    assert float(tf.reduce_sum(moved * x) / tf.reduce_sum(moved)) < 1.1


def test_the_divergence_is_that_from_the_mixture(polar):
    """Estimated by many draws from the posterior, it is their mean of ln q(z | x) - ln p(z)."""
    family, batch = polar
    one = {name: tf.repeat(value[:1], 400, axis=0) for name, value in batch.items()}
    normal = tf.random.stateless_normal([400, family.settings.latent_size], [3, 4])
    _, scalars = Elbo(family, 0.0, 0.0)(one, normal, batchwise=True)
    views = family.view(one["stamp"], one["psf"], one["noise_sigma"], one)
    conditions = family.network_conditions(one, 400)
    mean, scale = (part.numpy().astype(np.float64)
                   for part in family.encode_views(views, conditions))
    latent = mean + scale * normal.numpy()
    means, deviations = (part.numpy() for part in family.prior.components(conditions))
    densities = np.prod(np.exp(-0.5 * ((latent[:, None] - means) / deviations)**2) / deviations,
                        axis=2)
    posterior = np.prod(np.exp(-0.5 * ((latent - mean) / scale)**2) / scale, axis=1)
    np.testing.assert_allclose(scalars["kl"], np.log(posterior / densities.mean(axis=1)).mean(),
                               rtol=1e-3)


def test_what_is_penalised(polar):
    """Free bits cost nothing; the unequal use of classes and the divergence do."""
    family, batch = polar
    normal = tf.zeros([8, family.settings.latent_size])
    free, scalars = Elbo(family, 1e4, 0.0)(batch, normal, batchwise=True)
    without, _ = Elbo(family, 0.0, 0.0)(batch, normal, beta=0.0, batchwise=True)
    assert float(free - without) == pytest.approx(1e4, rel=1e-3)
    unequal, _ = Elbo(family, 0.0, 0.0)(batch, normal, beta=0.0, balance=100.0, batchwise=True)
    assert float(unequal - without) == pytest.approx(100.0 * float(scalars["unbalance"]), abs=0.1)
    assert float(scalars["unbalance"]) >= 0


def test_errors_of_bright_galaxies_are_tolerated(polar):
    family, batch = polar
    normal = tf.zeros([8, family.settings.latent_size])
    strict, tolerant = (
        float(Elbo(family, 0.0, error)(batch, normal, beta=0.0, batchwise=True)[0])
        for error in (0.0, 0.5))
    assert 0 < abs(tolerant) < abs(strict)
