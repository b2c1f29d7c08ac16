"""Optimisers and learning rates."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep_training.fitting.optimisers import (
    Adafactor,
    Lars,
    SquareRootDecay,
    learning_rate,
    make_optimizer,
)
from galsim_deep_training.fitting.plateau import Plateau
from galsim_deep_training.recipe import PhaseSettings


def rates(steps, **kwargs):
    schedule = learning_rate(PhaseSettings(steps=1000, learning_rate=0.1, **kwargs))
    return np.array([float(schedule(tf.constant(step))) for step in steps])


def test_cosine():
    found = rates([0, 50, 100, 550, 1000], warm_up=100)
    np.testing.assert_allclose(found, [0.0, 0.05, 0.1, 0.05, 0.0], atol=1e-7)


def test_square_root():
    """base / sqrt(step / warm_up) once it is warm."""
    found = rates([0, 50, 100, 400, 900], warm_up=100, schedule="square_root")
    np.testing.assert_allclose(found, [0.0, 0.05, 0.1, 0.05, 0.1 / 3], rtol=1e-6)


def test_square_root_without_warm_up():
    np.testing.assert_allclose(
        rates([0, 1, 4, 100], warm_up=0, schedule="square_root"), [0.1, 0.1, 0.05, 0.01], rtol=1e-6)


def test_a_warm_up_that_is_too_long():
    for schedule in ("cosine", "square_root"):
        assert rates([500], warm_up=9999, schedule=schedule) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", ["cosine", "square_root", "constant"])
def test_an_optimiser_that_moves_several_times_a_step_goes_by_the_step(schedule):
    fit = PhaseSettings(steps=100, learning_rate=0.1, warm_up=10, schedule=schedule)
    one, three = make_optimizer(fit), make_optimizer(fit, updates=3)
    for step in (0, 5, 10, 60, 99):
        one.iterations.assign(step)
        for update in range(3):
            three.iterations.assign(3 * step + update)
            np.testing.assert_allclose(three.learning_rate, one.learning_rate, rtol=1e-6)


def test_schedules_can_be_saved():
    schedule = SquareRootDecay(0.1, 20)
    again = SquareRootDecay.from_config(schedule.get_config())
    assert float(again(77)) == float(schedule(77))


def minimise(optimizer, start, target, steps):
    weight = keras.Variable(np.float32(start), name="w")
    optimizer.build([weight])

    @tf.function
    def step():
        optimizer.apply_gradients([(weight.value - target, weight)])

    for _ in range(steps):
        step()
    return weight, optimizer


@pytest.mark.parametrize("name", ["adam", "adafactor", "rmsprop"])
def test_the_minimum_is_found_and_averaged(name):
    fit = PhaseSettings(steps=300, learning_rate=0.1, warm_up=10, optimizer=name, average=0.9)
    target = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    weight, optimizer = minimise(make_optimizer(fit), np.ones((3, 4)), target, 300)
    np.testing.assert_allclose(weight, target, atol=0.03)
    before = weight.numpy()
    optimizer.finalize_variable_values([weight])
    assert not np.array_equal(weight, before)
    np.testing.assert_allclose(weight, target, atol=0.05)


@pytest.mark.parametrize("shape", [(5,), (4, 3), (3, 3, 2, 4)])
def test_adafactor_is_that_of_the_paper(shape):
    """Two steps by hand, in double precision."""
    rng = np.random.default_rng(1)
    weight = keras.Variable(rng.standard_normal(shape).astype(np.float32))
    expected, optimizer = weight.numpy().astype(float), Adafactor(0.01)
    optimizer.build([weight])
    rows = columns = 0.0
    for number in (1, 2):
        gradient = rng.standard_normal(shape)
        new = number**-0.8
        rows = (1 - new) * rows + new * (gradient**2).mean(axis=-1, keepdims=len(shape) > 1)
        if len(shape) > 1:
            columns = (1 - new) * columns + new * (gradient**2).mean(axis=-2, keepdims=True)
            square = rows * columns / rows.mean(axis=-2, keepdims=True)
        else:
            square = (gradient**2 if number == 1 else (1 - new) * square + new * gradient**2)
        size = max(np.sqrt(np.mean(expected**2)), 1e-3)
        expected = expected - 0.01 * size * gradient / np.sqrt(square)
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), weight)])
        np.testing.assert_allclose(weight, expected, rtol=1e-4)


def test_adafactor_and_units_that_are_dead():
    """Rows and columns without any gradient, beside some with a large one."""
    weight, optimizer = keras.Variable(np.ones((3, 3, 4, 8), np.float32)), Adafactor(0.01)
    optimizer.build([weight])
    gradient = 1e5 * np.random.default_rng(2).standard_normal((3, 3, 4, 8)).astype(np.float32)
    gradient[:, :, 2] = 0.0
    gradient[..., 5] = 0.0
    for factor in (1.0, 1e-10, 0.0):
        optimizer.apply_gradients([(tf.constant(factor * gradient), weight)])
        assert np.all(np.isfinite(weight))
    np.testing.assert_array_equal(weight.numpy()[:, :, 2], 1.0)
    assert np.all(weight.numpy()[0, 0, 0, :5] != 1.0)


def test_adafactor_remembers_little():
    """Rows and columns of a kernel, besides its average."""
    optimizer = Adafactor(use_ema=True)
    optimizer.build([keras.Variable(np.zeros((3, 3, 64, 128), np.float32))])
    numbers = sum(int(np.prod(variable.shape)) for variable in optimizer.variables)
    assert numbers < 9 * (64 + 128) + 9 * 64 * 128 + 10


def test_lars_against_its_algorithm():
    """You et al. 2017, algorithm 1; a bias moves by plain momentum."""
    rng = np.random.default_rng(1)
    kernel, bias = rng.standard_normal((3, 4)), rng.standard_normal(4)
    variables = [keras.Variable(np.float32(kernel)), keras.Variable(np.float32(bias))]
    optimizer = Lars(learning_rate=0.5, momentum=0.8, weight_decay=0.01, trust=0.02)
    velocity = [np.zeros_like(kernel), np.zeros_like(bias)]
    for _ in range(3):
        gradients = [rng.standard_normal((3, 4)), rng.standard_normal(4)]
        optimizer.apply([tf.constant(np.float32(g)) for g in gradients], variables)
        norm, gradient_norm = np.linalg.norm(kernel), np.linalg.norm(gradients[0])
        rate = 0.5 * 0.02 * norm / (gradient_norm + 0.01 * norm)
        velocity[0] = 0.8 * velocity[0] + rate * (gradients[0] + 0.01 * kernel)
        velocity[1] = 0.8 * velocity[1] + 0.5 * gradients[1]
        kernel, bias = kernel - velocity[0], bias - velocity[1]
    np.testing.assert_allclose(variables[0], kernel, rtol=1e-4)
    np.testing.assert_allclose(variables[1], bias, rtol=1e-4)


def test_lars_leaves_weights_without_gradient():
    variable = keras.Variable(np.ones((2, 2), np.float32))
    Lars(learning_rate=0.5).apply([tf.zeros([2, 2])], [variable])
    np.testing.assert_array_equal(variable, np.ones((2, 2)))


def test_weight_decay_shrinks_the_weights():
    fit = PhaseSettings(steps=100, learning_rate=0.1, warm_up=0, schedule="constant",
                        optimizer="rmsprop", weight_decay=0.1)
    variable = keras.Variable(np.ones((2, 2), np.float32))
    make_optimizer(fit).apply([tf.zeros([2, 2])], [variable])
    np.testing.assert_allclose(variable, 0.99, rtol=1e-6)


def test_the_rate_falls_on_a_plateau():
    plateau = Plateau(patience=2, factor=0.5)
    fit = PhaseSettings(steps=100, learning_rate=0.1, warm_up=0, schedule="plateau")
    optimizer = make_optimizer(fit, plateau=plateau)
    found = []
    for loss in (3.0, 2.0, 2.0, 1.9, 2.0, 2.0, 2.0, 2.0, 1.0):
        plateau.observe(loss)
        found.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(found, [0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_a_plateau_needs_a_phase_that_has_one():
    with pytest.raises(GalSimConfigError, match="schedule 'plateau' is possible only"):
        make_optimizer(PhaseSettings(steps=100, schedule="plateau"))
