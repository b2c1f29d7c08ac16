"""Whitening of embeddings: what it makes of the training set, its inverse and its determinant."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.families.maf.whitening import KINDS, Whitening

MATRIX = np.array([[2.0, 0.5, 0.0], [0.0, 0.3, 0.1], [0.0, 0.0, 4.0]])
MEAN = np.array([1.0, -20.0, 3.0])


def embeddings(count=500, seed=1):
    return np.random.default_rng(seed).standard_normal((count, 3)) @ MATRIX + MEAN


def adapted(kind, values, least=1e-3):
    whitening = Whitening(values.shape[1], kind, least)
    whitening.adapt(values)
    return whitening


def test_principal_components_are_white_and_in_the_order_of_their_variance():
    values = embeddings()
    whitening = adapted("principal_components", values)
    x = whitening(values.astype(np.float32)).numpy()
    np.testing.assert_allclose(np.cov(x, rowvar=False, bias=True), np.eye(3), atol=1e-4)
    np.testing.assert_allclose(x.mean(axis=0), 0.0, atol=1e-4)
    lengths = np.linalg.norm(whitening.inverse, axis=1)
    assert np.all(np.diff(lengths) < 0) and lengths[0] == pytest.approx(4.0, rel=0.1)


def test_deviation_leaves_the_correlation():
    values = embeddings()
    x = adapted("deviation", values)(values.astype(np.float32)).numpy()
    np.testing.assert_allclose(np.cov(x, rowvar=False, bias=True),
                               np.corrcoef(values, rowvar=False), atol=1e-4)


def test_none_leaves_embeddings_as_they_are():
    values = embeddings().astype(np.float32)
    np.testing.assert_array_equal(adapted("none", values)(values), values)


@pytest.mark.parametrize("kind", KINDS)
def test_inverse_and_determinant(kind):
    values = embeddings().astype(np.float32)
    whitening = adapted(kind, values)
    np.testing.assert_allclose(whitening.undo(whitening(values)), values, atol=2e-5)
    assert float(whitening.log_det) == pytest.approx(
        np.linalg.slogdet(np.asarray(whitening.matrix, float))[1], abs=1e-5)


@pytest.mark.parametrize("kind", ["principal_components", "deviation"])
def test_directions_without_variance(kind):
    """Latents that an encoder does not use are not divided by zero."""
    values = embeddings()
    values[:, 1] = 7.0
    whitening = adapted(kind, values, least=0.01)
    largest = values.std(axis=0).max()
    moved = whitening((values + [0.0, 0.01 * largest, 0.0]).astype(np.float32))
    difference = np.linalg.norm(moved - whitening(values.astype(np.float32)), axis=1)
    np.testing.assert_allclose(difference, 1.0, rtol=0.02)


def test_the_sign_of_the_principal_components_is_fixed():
    first, second = (adapted("principal_components", embeddings(seed=seed)) for seed in (1, 2))
    np.testing.assert_allclose(first.matrix, second.matrix, atol=0.4)


@pytest.mark.parametrize("values, words", [
    (np.ones([5, 4]), r"shape \(5, 4\).*'latent_size' 3.*model.latent_size"),
    (np.ones([5]), r"shape \(5,\)"), (np.ones([5, 3]), "all the same"),
    (np.full([5, 3], np.nan), "not finite")])
def test_embeddings_that_cannot_be_whitened(values, words):
    with pytest.raises(galsim.GalSimError, match=words):
        Whitening(3, "deviation", 1e-3).adapt(values)
