"""Refinement: for a linear decoder the maximum of the posterior is known."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.shared.refinement import refine

SIZE = 8


@pytest.fixture(scope="module")
def basis():
    """Three images of unit norm that are orthogonal to each other, [3, S, S]."""
    normal = np.random.default_rng(1).standard_normal((SIZE * SIZE, 3))
    return np.linalg.qr(normal)[0].T.reshape(3, SIZE, SIZE)


@pytest.fixture(scope="module")
def observed(basis):
    """Four stamps, with a PSF of a single pixel."""
    rng = np.random.default_rng(2)
    psf = np.zeros((4, 3, 3))
    psf[:, 1, 1] = 1.0
    stamps = np.tensordot(rng.standard_normal((4, 3)), basis, 1)
    return {name: tf.constant(value, tf.float32) for name, value in dict(
        stamp=stamps + 0.1 * rng.standard_normal((4, SIZE, SIZE)), psf=psf,
        noise_sigma=[0.1, 0.3, 1.0, 3.0]).items()}


@pytest.fixture(scope="module")
def run(basis, observed):
    """``run(steps, ...)``: the refined latents of the four stamps, [4, 3]."""
    images = tf.constant(basis, tf.float32)

    def refined(steps, start=None, rows=slice(None), **kwargs):
        cut = {name: value[rows] for name, value in observed.items()}
        count = cut["stamp"].shape[0]
        return refine(
            lambda latent: tf.tensordot(latent, images, 1),
            tf.zeros([count, 3]) if start is None else start, tf.ones([count, 3]), cut,
            tf.ones([1, SIZE, SIZE // 2 + 1]), steps, **kwargs).numpy()

    return refined


def maximum(basis, observed):
    """The maximum of the posterior, [4, 3]."""
    weight = observed["noise_sigma"].numpy()[:, None] ** -2.0
    return weight / (weight + 1) * np.tensordot(observed["stamp"].numpy(), basis, ([1, 2], [1, 2]))


@pytest.mark.long
def test_the_maximum_is_found(run, basis, observed):
    np.testing.assert_allclose(run(100), maximum(basis, observed), atol=0.02)


def test_no_steps(run):
    start = tf.constant(np.random.default_rng(3).standard_normal((4, 3)), tf.float32)
    np.testing.assert_array_equal(run(0, start), start)


def test_it_never_gets_worse(run, basis, observed):
    """The start is kept if it is better than all that is tried."""
    best = tf.constant(maximum(basis, observed), tf.float32)
    np.testing.assert_allclose(run(3, best, rate=50.0), best, atol=1e-5)


@pytest.mark.long
def test_fixed_latents_stay_and_have_no_prior(run, basis, observed):
    start = tf.constant(np.full((4, 3), 0.7), tf.float32)
    refined = run(100, start, fixed=1)
    np.testing.assert_array_equal(refined[:, 0], start[:, 0])
    # The images are orthogonal: what is fixed does not change the others.
    np.testing.assert_allclose(refined[:, 1:], maximum(basis, observed)[:, 1:], atol=0.02)


@pytest.mark.long
def test_galaxies_are_independent(run):
    together = run(10)
    for row in range(4):
        np.testing.assert_allclose(
            run(10, rows=slice(row, row + 1))[0], together[row], atol=1e-4)
