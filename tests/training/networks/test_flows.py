"""What every kind of flow promises: both directions agree, densities are densities."""

import functools

import galsim
import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows import FLOWS, make_flow
from galsim_deep_training.networks.flows.base import tfb
from galsim_deep_training.networks.flows.maf import sees
from galsim_deep_training.networks.flows.spline import RationalQuadratic

CONTEXT = 3
KINDS = sorted(FLOWS)
# Small ones: by kind, settings besides these are the defaults.
SMALL = dict(layers=4, hidden=8)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def fresh(kind, size, seed=5, **settings):
    keras.utils.set_random_seed(0)
    flow = make_flow(kind, size, seed, **{**SMALL, **settings})
    flow.build((None, CONTEXT))
    return flow


@pytest.fixture(scope="module")
def awake(awaken):
    """``awake(kind, size)``: a flow that is far from the identity."""
    @functools.cache
    def make(kind, size, **settings):
        flow = fresh(kind, size, **settings)
        # Wild splines have flat pieces, whose inverse float32 does not know to 1e-4.
        awaken(flow, size=0.05 if kind == "spline" else 0.3)
        return flow

    return make


@pytest.fixture(scope="module", params=[(kind, size) for kind in KINDS for size in (2, 3, 6)],
                ids=lambda param: "{}-{}".format(*param))
def flow(request, awake):
    return awake(*request.param)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


# ---- the registry ---------------------------------------------------------------------------


def test_unknown_kinds():
    with pytest.raises(galsim.GalSimConfigError, match="'copling'; there are: coupling, maf, spl"):
        make_flow("copling", 4, 0)


def test_unknown_settings(kind):
    with pytest.raises(galsim.GalSimConfigError, match=f"'{kind}' has no setting a, b;.*layers, h"):
        make_flow(kind, 4, 0, b=1, a=2)


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="two numbers or more, not 1"):
        make_flow("coupling", 1, 0)
    with pytest.raises(ValueError, match="bins: .*from 2 to 1000"):
        make_flow("spline", 4, 0, bins=1)


# ---- the start ------------------------------------------------------------------------------


def test_starts_as_the_identity(kind):
    """Up to the order of the numbers: samples are standard normal."""
    flow, u, context = fresh(kind, 6), normal(20, 6), normal(20, CONTEXT, seed=1)
    z = flow.transform(u, context).numpy()
    np.testing.assert_allclose(np.sort(z), np.sort(u), atol=2e-6)
    expected = -0.5 * np.sum(z**2, axis=1) - 3 * np.log(2 * np.pi)
    np.testing.assert_allclose(flow(context).log_prob(z), expected, rtol=1e-5)


def test_weights_exist_once_it_is_built(kind):
    built, called = fresh(kind, 4), make_flow(kind, 4, 5, **SMALL)
    called(tf.zeros((1, CONTEXT)))
    shapes = [variable.shape for variable in built.trainable_variables]
    assert shapes and shapes == [variable.shape for variable in called.trainable_variables]


def test_the_seed_draws_the_permutations(kind):
    orders = [np.concatenate(fresh(kind, 6, seed=seed).permutations) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    for permutation in fresh(kind, 6).permutations:
        assert sorted(permutation) == list(range(6))


def test_everything_is_float32(kind):
    """Under any policy: densities do not add up in less."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = fresh(kind, 6)
    finally:
        keras.config.set_dtype_policy(before)
    assert all(variable.dtype == "float32" for variable in low.trainable_variables)
    u, context = normal(9, 6), normal(9, CONTEXT, seed=1)
    z = low.transform(u, context)
    assert z.dtype == tf.float32
    np.testing.assert_array_equal(z, fresh(kind, 6).transform(u, context))


# ---- away from the start --------------------------------------------------------------------


def test_shapes(flow):
    context = normal(7, CONTEXT)
    distribution = flow(context)
    assert distribution.batch_shape == (7,) and distribution.event_shape == (flow.latent_size,)
    z = flow.transform(normal(7, flow.latent_size), context)
    assert z.shape == (7, flow.latent_size)
    assert distribution.log_prob(z).shape == (7,)


def test_it_is_not_the_identity_any_more(flow):
    u = normal(50, flow.latent_size)
    z = flow.transform(u, normal(50, CONTEXT, seed=1))
    assert np.abs(np.sort(z) - np.sort(u)).max() > 0.1


def test_inverse(flow):
    u, context = normal(50, flow.latent_size), normal(50, CONTEXT, seed=1)
    bijector = flow(context).bijector
    z = flow.transform(u, context)
    # A new tensor, or the bijector would answer from its cache.
    np.testing.assert_allclose(bijector.inverse(tf.constant(z.numpy())), u, atol=1e-4)
    np.testing.assert_allclose(
        bijector.forward(tf.constant(bijector.inverse(tf.constant(z.numpy())).numpy())), z,
        atol=1e-4, rtol=1e-4)


def jacobian(flow, z, context):
    """u(z) and du/dz, [N, L] and [N, L, L]: the direction that is one pass for every kind."""
    # Row by row of the matrix: `batch_jacobian` makes a graph first, for longer than this takes.
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        u = flow(context).bijector.inverse(z)
        numbers = tf.unstack(u, axis=1)
    slopes = [tape.gradient(number, z).numpy() for number in numbers]
    return u, np.stack(slopes, axis=1).astype(float)


def test_density_is_the_change_of_variables(flow):
    context = normal(10, CONTEXT, seed=1)
    z = tf.constant(flow.transform(normal(10, flow.latent_size), context).numpy())
    u, slopes = jacobian(flow, z, context)
    base = -0.5 * np.sum(u.numpy()**2, axis=1) - 0.5 * flow.latent_size * np.log(2 * np.pi)
    expected = base + np.linalg.slogdet(slopes)[1]
    np.testing.assert_allclose(flow(context).log_prob(z), expected, atol=2e-3)
    assert np.ptp(expected - base) > 0.1


def test_density_sums_to_one(kind, awake):
    """In two dimensions, by brute force."""
    flow = awake(kind, 2)
    axis = np.arange(-20, 20, 0.1, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    context = tf.repeat(normal(1, CONTEXT), len(grid), axis=0)
    log_density = tf.function(lambda z, context: flow(context).log_prob(z))(grid, context)
    density = np.exp(log_density.numpy().astype(float))
    assert density.sum() * 0.1**2 == pytest.approx(1.0, rel=0.01)


def test_samples_have_the_density(kind, awake):
    """The entropy of the samples is that of the density, seen from the standard normal."""
    flow = awake(kind, 2)
    context = tf.repeat(normal(1, CONTEXT), 4000, axis=0)
    z = flow(context).sample(seed=(1, 2)).numpy()
    inside = np.all(np.abs(z - np.median(z, axis=0)) < 1.0, axis=1)
    axis = np.linspace(-1, 1, 81, dtype=np.float32)[:-1] + np.float32(1 / 80)
    grid = np.median(z, axis=0) + np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(flow(tf.repeat(context[:1], len(grid), axis=0)).log_prob(
        grid.astype(np.float32)))
    share = float(density.sum()) * (2 / 80) ** 2
    assert inside.mean() == pytest.approx(share, abs=0.05)


def test_the_context_counts(flow):
    u = tf.repeat(normal(1, flow.latent_size), 20, axis=0)
    context = normal(20, CONTEXT)
    z = flow.transform(u, context).numpy()
    assert np.all(np.std(z, axis=0) > 0.0)
    at_zero = flow(context).log_prob(tf.zeros_like(u))
    assert np.std(at_zero) > 1e-3


def test_rows_are_independent(flow):
    u, context = normal(5, flow.latent_size), normal(5, CONTEXT, seed=1)
    together = flow.transform(u, context).numpy()
    for row in range(5):
        alone = flow.transform(u[row:row + 1], context[row:row + 1]).numpy()
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_every_number_is_transformed(kind, awake):
    """A few layers with permutations reach all of the latent."""
    flow = awake(kind, 6, layers=6)
    slopes = np.abs(jacobian(flow, normal(50, 6), normal(50, CONTEXT, seed=1))[1]).max(axis=0)
    assert np.all((slopes > 1e-3).sum(axis=1) >= 4)


def test_gradient(kind):
    flow = fresh(kind, 4)
    context, z = normal(8, CONTEXT), 3 * normal(8, 4, seed=2)
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(flow(context).log_prob(z))
    gradients = tape.gradient(loss, [variable.value for variable in flow.trainable_variables])
    assert all(gradient is not None for gradient in gradients)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    # At the start only the layers that end in zero get any.
    assert any(np.abs(gradient).max() > 0 for gradient in gradients)


def test_latents_far_out(kind):
    """A latent need not lie near the normal numbers: the density and its gradient stay finite."""
    flow = fresh(kind, 4)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(flow(tf.zeros((3, CONTEXT))).log_prob(tf.constant(
            [[30.0] * 4, [-30.0] * 4, [5.0, -5.0, 0.0, 5.0]])))
    gradients = tape.gradient(value, [variable.value for variable in flow.trainable_variables])
    assert np.isfinite(value) and all(np.all(np.isfinite(gradient)) for gradient in gradients)


# ---- learning -------------------------------------------------------------------------------


def moons(count, seed):
    """Two crescents that the context moves apart: latents [N, 2], contexts [N, 1]."""
    rng = np.random.default_rng(seed)
    context = rng.uniform(-1, 1, count)
    angle, upper = rng.uniform(0, np.pi, count), rng.random(count) < 0.5
    side = np.where(upper, 1.0, -1.0)
    z = np.stack([side * (np.cos(angle) - 0.5), side * (np.sin(angle) - 0.25 + 0.5 * context)])
    z = 1.5 * z.T + 0.1 * rng.standard_normal((count, 2))
    return z.astype(np.float32), context[:, None].astype(np.float32)


def gaussian_log_density(z, context, at):
    """What a Gaussian knows whose mean depends linearly on the context; the mean over ``at``."""
    design = np.concatenate([context, np.ones_like(context)], axis=1).astype(float)
    model = np.linalg.lstsq(design, z.astype(float), rcond=None)[0]
    covariance = np.cov((z - design @ model).T)
    other, where = at
    residual = other - np.concatenate([where, np.ones_like(where)], axis=1) @ model
    return np.mean(-0.5 * np.sum(residual @ np.linalg.inv(covariance) * residual, axis=1)) \
        - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]


def test_learns_a_conditional_density(kind):
    """Crescents, held-out log density far above that of the best Gaussian."""
    keras.utils.set_random_seed(1)
    flow = make_flow(kind, 2, 3, layers=5, hidden=32)
    flow.build((None, 1))
    optimizer = keras.optimizers.Adam(5e-3)
    z, context = map(tf.constant, moons(256 * 50, 0))

    @tf.function
    def step(rows):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(
                flow(tf.gather(context, rows)).log_prob(tf.gather(z, rows)))
        variables = flow.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    rng = np.random.default_rng(4)
    for _ in range(400):
        step(tf.constant(rng.integers(len(z), size=128)))
    new = moons(4000, 9)
    found = float(tf.reduce_mean(flow(new[1]).log_prob(new[0])))
    gaussian = gaussian_log_density(z.numpy(), context.numpy(), new)
    assert found > gaussian + 0.5, (found, gaussian)
    # Crescents at another place have another density: it is the context that tells.
    assert found > float(tf.reduce_mean(flow(-new[1]).log_prob(new[0]))) + 0.3


# ---- export ---------------------------------------------------------------------------------


def test_export(kind, awake, tmp_path):
    """A SavedModel with any number of rows gives what the eager flow gives."""
    flow = awake(kind, 6)
    root = tf.Module()
    root.weights = [variable.value for variable in flow.variables]
    pair = tf.TensorSpec([None, 6], tf.float32), tf.TensorSpec([None, CONTEXT], tf.float32)
    signatures = dict(
        sample=tf.function(lambda u, context: dict(z=flow.transform(u, context)))
        .get_concrete_function(*pair),
        log_prob=tf.function(lambda z, context: dict(value=flow(context).log_prob(z)))
        .get_concrete_function(*pair))
    tf.saved_model.save(root, str(tmp_path), signatures=signatures)
    loaded = tf.saved_model.load(str(tmp_path)).signatures
    for rows in (1, 7):
        u, context = normal(rows, 6), normal(rows, CONTEXT, seed=1)
        z = flow.transform(u, context)
        scale = np.abs(z).max()
        np.testing.assert_allclose(loaded["sample"](u=u, context=context)["z"], z,
                                   atol=1e-5 * scale)
        np.testing.assert_allclose(loaded["log_prob"](z=u, context=context)["value"],
                                   flow(context).log_prob(u), rtol=1e-5, atol=1e-5)


# ---- the kinds apart ------------------------------------------------------------------------


def test_masks():
    """Number by number: a unit of degree d sees the first d."""
    first, second, last = sees(3, (6, 6), 2)
    assert first.shape == (3, 6) and second.shape == (6, 6) and last.shape == (6, 6)
    np.testing.assert_array_equal(first.sum(axis=0), [0, 0, 1, 1, 2, 2])
    whole = (first.astype(int) @ second @ last) > 0
    np.testing.assert_array_equal(whole[:, ::2], np.triu(np.ones((3, 3)), 1) > 0)
    np.testing.assert_array_equal(whole[:, ::2], whole[:, 1::2])


@pytest.mark.parametrize("size", [1, 5])
def test_maf_is_autoregressive(size, awake):
    """One layer: number i of u depends on the first i of z, so the Jacobian is triangular."""
    flow = awake("maf", size, layers=1, hidden=32)
    slopes = np.abs(jacobian(flow, normal(20, size), normal(20, CONTEXT, seed=1))[1]).max(axis=0)
    np.testing.assert_array_equal(np.triu(slopes, 1), 0.0)
    assert np.all(slopes[np.tril_indices(size)] > 1e-4)


def test_maf_shuffles_and_reverses():
    flow = fresh("maf", 5, layers=5)
    assert len(flow.permutations) == 4
    np.testing.assert_array_equal(flow.permutations[1], [4, 3, 2, 1, 0])
    np.testing.assert_array_equal(flow.permutations[3], [4, 3, 2, 1, 0])


def test_maf_of_the_paper():
    """Section 4.2.2: eight layers of two masked layers of 256."""
    flow = make_flow("maf", 16, 0)
    flow.build((None, CONTEXT))
    assert len(flow.conditioners) == 8 and len(flow.permutations) == 7
    assert [tuple(kernel.shape) for kernel, _ in flow.conditioners[0].weights_of_layers] == [
        (16 + CONTEXT, 256), (256, 256), (256, 32)]


def test_splines_are_the_identity_outside_their_bound():
    flow = fresh("spline", 4, bound=3.0)
    raw = 5 * normal(50, 2, flow.parameters)
    inside = tf.constant(np.random.default_rng(0).uniform(-3, 3, (50, 2)), tf.float32)
    outside = tf.sign(inside) * (3.001 + tf.abs(inside))
    spline = flow.scalar_bijector(raw)
    np.testing.assert_array_equal(spline.forward(outside), outside)
    np.testing.assert_array_equal(
        spline.forward_log_det_jacobian(outside, event_ndims=0), tf.zeros_like(outside))
    mapped = spline.forward(inside).numpy()
    assert np.all(np.abs(mapped) <= 3.0) and np.abs(mapped - inside).max() > 1.0
    # Monotonic, and continuous at the bound.
    line = tf.linspace(-4.0, 4.0, 801)[:, None] * tf.ones(2)
    values = flow.scalar_bijector(tf.repeat(raw[:1], 801, axis=0)).forward(line).numpy()
    steps = np.diff(values, axis=0)
    assert np.all(steps > 0) and steps.max() < 1.0


def test_splines_are_those_of_tensorflow_probability():
    widths, heights = tf.exp(normal(2, 8, 20, 3, seed=2))
    slopes = tf.exp(0.5 * normal(7, 20, 3, seed=3))
    ours = RationalQuadratic(widths, heights, slopes, 4.0)
    shares = [8 * np.moveaxis(sizes / np.sum(sizes, axis=0), 0, -1) for sizes in (widths, heights)]
    theirs = tfb.RationalQuadraticSpline(*shares, np.moveaxis(slopes, 0, -1), range_min=-4.0)
    x = 3 * normal(20, 3)
    assert np.any(np.abs(x) > 4) and np.any(np.abs(x) < 2)
    for name in ("forward", "inverse", "forward_log_det_jacobian", "inverse_log_det_jacobian"):
        found, expected = getattr(ours, name)(tf.identity(x)), getattr(theirs, name)(tf.identity(x))
        np.testing.assert_allclose(found, expected, atol=2e-4, err_msg=name)
