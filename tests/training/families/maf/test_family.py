"""The density of embeddings: its integral, what it learns, its samples and its conditions."""

import galsim
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from galsim_deep.modules import Module
from galsim_deep_training.export import export
from galsim_deep_training.families import make_family
from galsim_deep_training.fit import fit
from galsim_deep_training.fitting.graphs import as_graph

FLOW = dict(kind="masked_autoregressive", layers=2, hidden=16)


def log_prob(family, latent, columns=None):
    return family.log_prob(tf.constant(latent, tf.float32), columns or {}).numpy()


def fitted(family, dataset, steps):
    (phase,) = family.phases
    batches, step = phase.batches(dataset, 0), as_graph(phase.step)
    for number in range(steps):
        batch = {name: tf.constant(value) for name, value in next(batches).items()}
        step(batch, tf.constant(number))
    phase.finish(dataset)
    return family


def grid(width=14.0, cells=281):
    """Points [M, 2] about the data, and the area of a cell."""
    axis = np.linspace(-width, width, cells)
    points = np.stack(np.meshgrid(axis + 3.0, axis - 1.0), axis=-1).reshape(-1, 2)
    return points, (axis[1] - axis[0])**2


@pytest.mark.parametrize("whitening", ["principal_components", "deviation", "none"])
def test_before_the_fit_it_is_the_gaussian_of_the_training_set(
        whitening, maf_recipe, prepared, gaussian):
    """With the Jacobian of the whitening."""
    family = prepared(maf_recipe(whitening=whitening, flow=FLOW))
    embeddings = gaussian.embedding[gaussian.train_indices].astype(float)
    mean, covariance = embeddings.mean(axis=0), np.cov(embeddings, rowvar=False, bias=True)
    if whitening == "deviation":
        covariance = np.diag(np.diag(covariance))
    if whitening == "none":
        mean, covariance = np.zeros(2), np.eye(2)
    points = np.random.default_rng(0).uniform(-4, 8, (50, 2))
    np.testing.assert_allclose(log_prob(family, points), multivariate_normal(
        mean, covariance).logpdf(points), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("whitening", ["principal_components", "deviation"])
@pytest.mark.parametrize("kind", ["masked_autoregressive", "masked_autoregressive_spline"])
def test_it_integrates_to_one(whitening, kind, maf_recipe, prepared, awaken):
    family = prepared(maf_recipe(whitening=whitening, flow=dict(FLOW, kind=kind)))
    awaken(family.flow)
    points, area = grid()
    density = np.exp(log_prob(family, points))
    assert density.sum() * area == pytest.approx(1.0, abs=5e-3)
    # It is another density than the one before the fit.
    before = np.exp(log_prob(prepared(maf_recipe()), points))
    assert np.abs(density - before).max() > 0.02 * before.max()


@pytest.mark.long
def test_it_learns_a_gaussian(maf_recipe, prepared, gaussian):
    """From the density of uncorrelated numbers, with the jitter of the fit in addition."""
    recipe = maf_recipe(whitening="none", flow=FLOW, fit=dict(
        steps=400, batch_size=100, learning_rate=5e-3, warm_up=20, jitter=0.0, average=0.9))
    family = fitted(prepared(recipe), gaussian, steps=400)
    train, test = (gaussian.embedding[rows].astype(float)
                   for rows in (gaussian.train_indices, gaussian.test_indices))
    exact = multivariate_normal(train.mean(axis=0), np.cov(train, rowvar=False)).logpdf(test)
    found = log_prob(family, test)
    assert np.mean(exact - found) == pytest.approx(0.0, abs=0.1)
    assert np.corrcoef(exact, found)[0, 1] > 0.97
    before = log_prob(prepared(recipe), test)
    assert found.mean() > before.mean() + 1.0


@pytest.mark.parametrize("kind", ["masked_autoregressive", "affine_coupling", "spline_coupling"])
def test_samples_follow_the_density(kind, maf_recipe, prepared, awaken):
    """The density of a sample is that of its normal numbers over the Jacobian of the map."""
    family = prepared(maf_recipe(flow=dict(FLOW, kind=kind)))
    awaken(family.flow)
    normal = tf.constant(np.random.default_rng(1).standard_normal((20, 2)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(normal)
        sample = family.signatures()["sample"].call(random_normal=normal)["latent"]
    jacobian = np.linalg.slogdet(tape.batch_jacobian(sample, normal).numpy().astype(float))[1]
    expected = multivariate_normal(np.zeros(2)).logpdf(normal.numpy()) - jacobian
    np.testing.assert_allclose(log_prob(family, sample.numpy()), expected, atol=2e-3)


def test_numbers_depend_on_those_before_them_only(maf_recipe, prepared, awaken):
    """What makes the flow autoregressive, in the order of the principal components."""
    family = prepared(maf_recipe(flow=dict(FLOW, layers=1)))
    awaken(family.flow)
    whitened = tf.constant(np.random.default_rng(2).standard_normal((10, 2)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(whitened)
        normal = family.flow(tf.ones([10, 1])).bijector.inverse(whitened)
    jacobian = tape.batch_jacobian(normal, whitened).numpy()
    np.testing.assert_array_equal(jacobian[:, 0, 1], 0.0)
    assert np.abs(jacobian[:, 1, 0]).min() > 0


def test_signatures_without_columns(maf_recipe, prepared):
    signatures = prepared(maf_recipe()).signatures()
    assert set(signatures["log_prob"].inputs) == {"latent"}
    assert set(signatures["sample"].inputs) == {"random_normal"}


def test_a_conditional_density(maf_recipe, prepared, awaken, gaussian):
    family = prepared(maf_recipe(conditional=True, flow=FLOW))
    awaken(family.flow)
    assert set(family.signatures()["log_prob"].inputs) == {
        "latent", "flux_radius", "mag_auto", "zphot"}
    latent = gaussian.embedding[:5]
    columns = {name: tf.constant(values[:5]) for name, values in gaussian.columns.items()}
    before = log_prob(family, latent, columns)
    after = log_prob(family, latent, dict(columns, zphot=1.3 * columns["zphot"]))
    assert np.abs(after - before).min() > 1e-4


def test_a_conditional_density_needs_columns(maf_recipe):
    recipe = maf_recipe(lambda content: content.update(columns=[]), conditional=True)
    with pytest.raises(galsim.GalSimConfigError, match="conditional: true, but no columns"):
        make_family(recipe)


def test_without_columns(maf_recipe, prepared):
    family = prepared(maf_recipe(lambda content: content.update(columns=[])))
    assert np.isfinite(log_prob(family, [[3.0, -1.0]])).all()


def test_embeddings_of_another_length(maf_recipe, prepared):
    with pytest.raises(galsim.GalSimError, match=r"shape \(300, 2\).*'latent_size' 3"):
        prepared(maf_recipe(latent_size=3))


@pytest.mark.long
@pytest.mark.parametrize("conditional", [False, True])
def test_the_module(conditional, maf_recipe, gaussian, tmp_path):
    """Fitted, exported and loaded, it gives the log-likelihood of the network."""
    recipe = maf_recipe(conditional=conditional, flow=FLOW)
    family = fit(recipe, tmp_path, progress=False)
    module = Module(export(recipe, tmp_path, tmp_path / "hub" / "tiny"))
    assert (module.card.kind, module.card.latent.size) == ("density", 2)
    assert set(module.card.signatures) == {"log_prob", "sample"}
    latent = gaussian.embedding[:7]
    columns = ({name: tf.constant(values[:7]) for name, values in gaussian.columns.items()}
               if conditional else {})
    found = module.call("log_prob", latent=latent, **columns)["log_prob"]
    np.testing.assert_allclose(found, log_prob(family, latent, columns), atol=5e-3)
    far = module.call("log_prob", latent=latent + 30.0, **columns)["log_prob"]
    assert np.all(far < found - 50)
    # The probe holds embeddings of the data set.
    with np.load(module.folder / "assets" / "probe.npz") as probe:
        np.testing.assert_array_equal(
            probe["log_prob/inputs/latent"], gaussian.embedding[gaussian.test_indices[:3]])


def test_flow_of_the_paper(maf_recipe):
    """48 blocks of two layers of 512 units can be asked for."""
    family = make_family(maf_recipe(flow=dict(FLOW, layers=48, hidden=512)))
    assert len(family.flow.conditioners) == 48
    assert family.flow.conditioners[0].widths == (512, 512, 4)
