"""Every kind of flow: both directions agree, densities are normalised, flows learn."""

import functools

import galsim
import keras
import numpy as np
import pydantic
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows import Flow

CONDITIONS = 3
KINDS = sorted(Flow.kinds())
# Small networks; other settings have their defaults.
SMALL = dict(layers=4, hidden=8)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def unbuilt(kind, size, seed=5, **settings):
    flow_type = Flow.named(kind)
    return flow_type(flow_type.Settings(**{**SMALL, **settings}), size, seed=seed)


def make(kind, size, seed=5, **settings):
    keras.utils.set_random_seed(0)
    flow = unbuilt(kind, size, seed, **settings)
    flow.build((None, CONDITIONS))
    return flow


@pytest.fixture(scope="module")
def awake(awaken):
    """``awake(kind, size)``: a flow that is far from the identity."""
    @functools.cache
    def make_awake(kind, size, **settings):
        flow = make(kind, size, **settings)
        # With larger weights, splines have flat bins, whose inverse float32 cannot represent.
        awaken(flow, size=0.05 if "spline" in kind else 0.3)
        return flow

    return make_awake


@pytest.fixture(scope="module", params=[
    pytest.param((kind, size), marks=[pytest.mark.long] if size > 2 else [])
    for kind in KINDS for size in (2, 3, 6)], ids=lambda param: "{}-{}".format(*param))
def flow(request, awake):
    return awake(*request.param)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


# ---- settings -----------------------------------------------------------------------------------


def test_kinds():
    assert KINDS == ["affine_coupling", "masked_autoregressive", "masked_autoregressive_spline",
                     "spline_coupling"]


@pytest.mark.parametrize("wrong", [dict(width=1), dict(layers=0), dict(hidden=True)])
def test_settings_are_checked(kind, wrong):
    with pytest.raises(pydantic.ValidationError):
        Flow.named(kind).Settings(**wrong)


def test_unknown_kind(recipe):
    with pytest.raises(galsim.GalSimConfigError, match="no flow of this kind.*'affine_copling'"):
        Flow.choose(dict(kind="affine_copling"), recipe, "model.flow")


# ---- before the fit -----------------------------------------------------------------------------


def test_starts_as_the_identity(kind):
    """Up to a permutation of the dimensions; samples are standard normal."""
    flow, u, conditions = make(kind, 6), normal(20, 6), normal(20, CONDITIONS, seed=1)
    z = flow.transform(u, conditions).numpy()
    np.testing.assert_allclose(np.sort(z), np.sort(u), atol=2e-6)
    expected = -0.5 * np.sum(z**2, axis=1) - 3 * np.log(2 * np.pi)
    np.testing.assert_allclose(flow(conditions).log_prob(z), expected, rtol=1e-5)


def test_build_and_call_create_the_same_weights(kind):
    built, called = make(kind, 4), unbuilt(kind, 4)
    called(tf.zeros((1, CONDITIONS)))
    shapes = [variable.shape for variable in built.trainable_variables]
    assert shapes and shapes == [variable.shape for variable in called.trainable_variables]


def test_seed_determines_the_permutations(kind):
    orders = [np.concatenate(make(kind, 6, seed=seed).permutations) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    for permutation in make(kind, 6).permutations:
        assert sorted(permutation) == list(range(6))


@pytest.mark.long
def test_float32_under_any_policy(kind):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = make(kind, 6)
    finally:
        keras.config.set_dtype_policy(before)
    assert all(variable.dtype == "float32" for variable in low.trainable_variables)
    u, conditions = normal(9, 6), normal(9, CONDITIONS, seed=1)
    z = low.transform(u, conditions)
    assert z.dtype == tf.float32
    np.testing.assert_array_equal(z, make(kind, 6).transform(u, conditions))


# ---- with other weights -------------------------------------------------------------------------


def test_shapes(flow):
    conditions = normal(7, CONDITIONS)
    distribution = flow(conditions)
    assert distribution.batch_shape == (7,) and distribution.event_shape == (flow.latent_size,)
    z = flow.transform(normal(7, flow.latent_size), conditions)
    assert z.shape == (7, flow.latent_size)
    assert distribution.log_prob(z).shape == (7,)


def test_is_no_longer_the_identity(flow):
    u = normal(50, flow.latent_size)
    z = flow.transform(u, normal(50, CONDITIONS, seed=1))
    assert np.abs(np.sort(z) - np.sort(u)).max() > 0.1


def test_inverse(flow):
    u, conditions = normal(50, flow.latent_size), normal(50, CONDITIONS, seed=1)
    bijector = flow(conditions).bijector
    z = flow.transform(u, conditions)
    # A copy of the tensor, since the bijector caches results by tensor.
    np.testing.assert_allclose(bijector.inverse(tf.constant(z.numpy())), u, atol=1e-4)
    np.testing.assert_allclose(
        bijector.forward(tf.constant(bijector.inverse(tf.constant(z.numpy())).numpy())), z,
        atol=1e-4, rtol=1e-4)


def jacobian(flow, z, conditions):
    """u(z) [N, L] and its Jacobian du/dz [N, L, L]; in this direction all kinds take one pass."""
    # Row by row, which takes less time than the tracing of `batch_jacobian`.
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        u = flow(conditions).bijector.inverse(z)
        rows = tf.unstack(u, axis=1)
    return u, np.stack([tape.gradient(row, z).numpy() for row in rows], axis=1).astype(float)


@pytest.mark.long
def test_density_is_the_change_of_variables(flow):
    conditions = normal(10, CONDITIONS, seed=1)
    z = tf.constant(flow.transform(normal(10, flow.latent_size), conditions).numpy())
    u, matrices = jacobian(flow, z, conditions)
    base = -0.5 * np.sum(u.numpy()**2, axis=1) - 0.5 * flow.latent_size * np.log(2 * np.pi)
    expected = base + np.linalg.slogdet(matrices)[1]
    np.testing.assert_allclose(flow(conditions).log_prob(z), expected, atol=2e-3)
    assert np.ptp(expected - base) > 0.1


@pytest.mark.long
def test_density_is_normalised(kind, awake):
    """Numerical integral in two dimensions."""
    flow = awake(kind, 2)
    axis = np.arange(-20, 20, 0.1, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    conditions = tf.repeat(normal(1, CONDITIONS), len(grid), axis=0)
    log_density = tf.function(lambda z, conditions: flow(conditions).log_prob(z))(grid, conditions)
    density = np.exp(log_density.numpy().astype(float))
    assert density.sum() * 0.1**2 == pytest.approx(1.0, rel=0.01)


def test_samples_have_the_density(kind, awake):
    """The fraction of samples in a square is the integral of the density over it."""
    flow = awake(kind, 2)
    conditions = tf.repeat(normal(1, CONDITIONS), 4000, axis=0)
    z = flow(conditions).sample(seed=(1, 2)).numpy()
    inside = np.all(np.abs(z - np.median(z, axis=0)) < 1.0, axis=1)
    axis = np.linspace(-1, 1, 81, dtype=np.float32)[:-1] + np.float32(1 / 80)
    grid = np.median(z, axis=0) + np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(flow(tf.repeat(conditions[:1], len(grid), axis=0)).log_prob(
        grid.astype(np.float32)))
    integral = float(density.sum()) * (2 / 80) ** 2
    assert inside.mean() == pytest.approx(integral, abs=0.05)


@pytest.mark.long
def test_conditions_change_samples_and_densities(flow):
    u = tf.repeat(normal(1, flow.latent_size), 20, axis=0)
    conditions = normal(20, CONDITIONS)
    z = flow.transform(u, conditions).numpy()
    assert np.all(np.std(z, axis=0) > 0.0)
    assert np.std(flow(conditions).log_prob(tf.zeros_like(u))) > 1e-3


@pytest.mark.long
def test_rows_are_independent(flow):
    u, conditions = normal(5, flow.latent_size), normal(5, CONDITIONS, seed=1)
    together = flow.transform(u, conditions).numpy()
    for row in range(5):
        alone = flow.transform(u[row:row + 1], conditions[row:row + 1]).numpy()
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.long
def test_every_dimension_is_transformed(kind, awake):
    """With permutations, each dimension depends on most others after a few layers."""
    flow = awake(kind, 6, layers=6)
    slopes = np.abs(jacobian(flow, normal(50, 6), normal(50, CONDITIONS, seed=1))[1]).max(axis=0)
    assert np.all((slopes > 1e-3).sum(axis=1) >= 4)


def test_gradients_are_finite(kind):
    flow = make(kind, 4)
    conditions, z = normal(8, CONDITIONS), 3 * normal(8, 4, seed=2)
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(flow(conditions).log_prob(z))
    gradients = tape.gradient(loss, [variable.value for variable in flow.trainable_variables])
    assert all(gradient is not None for gradient in gradients)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    # Before the fit, only the output layers of the conditioners have a gradient.
    assert any(np.abs(gradient).max() > 0 for gradient in gradients)


def test_density_of_outliers_is_finite(kind):
    flow = make(kind, 4)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(flow(tf.zeros((3, CONDITIONS))).log_prob(tf.constant(
            [[30.0] * 4, [-30.0] * 4, [5.0, -5.0, 0.0, 5.0]])))
    gradients = tape.gradient(value, [variable.value for variable in flow.trainable_variables])
    assert np.isfinite(value) and all(np.all(np.isfinite(gradient)) for gradient in gradients)


# ---- learning -----------------------------------------------------------------------------------


def moons(count, seed):
    """Two crescents whose distance depends on the condition: latents [N, 2], conditions [N, 1]."""
    rng = np.random.default_rng(seed)
    conditions = rng.uniform(-1, 1, count)
    angle, upper = rng.uniform(0, np.pi, count), rng.random(count) < 0.5
    side = np.where(upper, 1.0, -1.0)
    z = np.stack([side * (np.cos(angle) - 0.5), side * (np.sin(angle) - 0.25 + 0.5 * conditions)])
    z = 1.5 * z.T + 0.1 * rng.standard_normal((count, 2))
    return z.astype(np.float32), conditions[:, None].astype(np.float32)


def gaussian_log_density(training, test):
    """Mean log-density of a Gaussian whose mean is a linear function of the condition."""
    (z, conditions), (new_z, new_conditions) = training, test
    design = np.concatenate([conditions, np.ones_like(conditions)], axis=1).astype(float)
    model = np.linalg.lstsq(design, z.astype(float), rcond=None)[0]
    covariance = np.cov((z - design @ model).T)
    residual = new_z - np.concatenate(
        [new_conditions, np.ones_like(new_conditions)], axis=1) @ model
    chi_square = np.sum(residual @ np.linalg.inv(covariance) * residual, axis=1)
    return -0.5 * np.mean(chi_square) - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]


@pytest.mark.long
def test_learns_a_conditional_density(kind):
    """Crescents: the density of new ones is far above that of the best Gaussian."""
    keras.utils.set_random_seed(1)
    flow = unbuilt(kind, 2, seed=3, layers=5, hidden=32)
    flow.build((None, 1))
    optimizer = keras.optimizers.Adam(5e-3)
    training, test = moons(256 * 50, 0), moons(4000, 9)
    z, conditions = map(tf.constant, training)

    @tf.function
    def step(rows):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(
                flow(tf.gather(conditions, rows)).log_prob(tf.gather(z, rows)))
        variables = flow.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    rng = np.random.default_rng(4)
    for _ in range(400):
        step(tf.constant(rng.integers(len(z), size=128)))
    log_density = float(tf.reduce_mean(flow(test[1]).log_prob(test[0])))
    assert log_density > gaussian_log_density(training, test) + 0.5
    # With wrong conditions the density is lower.
    assert log_density > float(tf.reduce_mean(flow(-test[1]).log_prob(test[0]))) + 0.3


# ---- export -------------------------------------------------------------------------------------


@pytest.mark.long
def test_export(kind, awake, tmp_path):
    """A SavedModel equals the eager flow for any number of rows."""
    flow = awake(kind, 6)
    root = tf.Module()
    root.weights = [variable.value for variable in flow.variables]
    pair = tf.TensorSpec([None, 6], tf.float32), tf.TensorSpec([None, CONDITIONS], tf.float32)
    signatures = dict(
        sample=tf.function(lambda u, conditions: dict(z=flow.transform(u, conditions)))
        .get_concrete_function(*pair),
        log_prob=tf.function(lambda z, conditions: dict(value=flow(conditions).log_prob(z)))
        .get_concrete_function(*pair))
    tf.saved_model.save(root, str(tmp_path), signatures=signatures)
    loaded = tf.saved_model.load(str(tmp_path)).signatures
    for rows in (1, 7):
        u, conditions = normal(rows, 6), normal(rows, CONDITIONS, seed=1)
        z = flow.transform(u, conditions)
        scale = np.abs(z).max()
        np.testing.assert_allclose(loaded["sample"](u=u, conditions=conditions)["z"], z,
                                   atol=1e-5 * scale)
        np.testing.assert_allclose(loaded["log_prob"](z=u, conditions=conditions)["value"],
                                   flow(conditions).log_prob(u), rtol=1e-5, atol=1e-5)
