"""The phases of an MPCC that learn from what its encoder finds in real stamps."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family
from galsim_deep_training.graphs import as_graph
from galsim_deep_training.phases import classes as classes_module
from galsim_deep_training.phases import mixture_flow as flow_module
from galsim_deep_training.phases.classes import ClassShares
from galsim_deep_training.phases.encoded import encoded
from galsim_deep_training.phases.mixture_flow import MixtureFlow
from galsim_deep_training.recipe import Fit

COUNT = 6000


@pytest.fixture(scope="module")
def dataset(data_file):
    return Dataset(data_file)


@pytest.fixture
def family(make_recipe, dataset):
    """Three classes, whose networks are not told of the columns."""
    made = make_family(make_recipe(family="mpcc"))
    made.prepare(dataset)
    return made


def run(phase, dataset, steps):
    batches, step = phase.batches(dataset, 0), as_graph(phase.step)
    for number in range(steps):
        step({name: tf.constant(value) for name, value in next(batches).items()},
             tf.constant(number))
    phase.finish()


def known(context, drawn, mean=None):
    """As `encoded` gives it."""
    latent = np.zeros((COUNT, 4), np.float32) if mean is None else mean
    return dict(membership=np.eye(3, dtype=np.float32)[drawn], context=context, mean=latent,
                scale=np.full_like(latent, 0.01))


def columns_of(family, values):
    """Columns whose standardised values these are, [N, 3]."""
    return family.context.columns_of(tf.constant(values, tf.float32))


def test_shares_follow_the_columns(family, dataset, monkeypatch):
    """Class 2 at all magnitudes, class 0 among the faint, class 1 among the bright."""
    rng = np.random.default_rng(1)
    context = rng.standard_normal((COUNT, 3)).astype(np.float32)
    bright = 1 / (1 + np.exp(2 * context[:, 1]))
    drawn = np.where(rng.random(COUNT) < 0.3, 2, (rng.random(COUNT) < bright).astype(int))
    monkeypatch.setattr(classes_module, "encoded", lambda *_: known(context, drawn))
    phase = ClassShares(family, Fit(steps=400, batch_size=256, learning_rate=0.02, average=0.9))
    run(phase, dataset, 400)
    where = np.zeros((3, 3))
    where[:, 1] = -1.5, 0.0, 1.5
    found = np.exp(family.log_class_weights(columns_of(family, where), 3))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found[:, 2], 0.3, atol=0.07)
    np.testing.assert_allclose(found[:, 1], 0.7 / (1 + np.exp(2 * where[:, 1])), atol=0.08)


def test_only_the_deepest_stamps_are_asked(family, dataset, monkeypatch):
    asked = []
    monkeypatch.setattr(classes_module, "encoded", lambda _, __, rows, *more: asked.append(rows)
                        or known(np.zeros((COUNT, 3), np.float32), np.zeros(COUNT, int)))
    family.settings = family.settings.model_copy(update=dict(class_share=0.25))
    next(ClassShares(family, Fit(steps=1)).batches(dataset, 0))
    np.testing.assert_array_equal(asked[0], dataset.deepest(0.25))
    assert len(asked[0]) == round(0.25 * len(dataset.train_indices))


def test_the_flow_learns_what_columns_say_within_a_class(family, dataset, monkeypatch):
    """In class 0 the first latent goes with the first column, in class 1 against it."""
    rng = np.random.default_rng(2)
    context = rng.standard_normal((COUNT, 3)).astype(np.float32)
    drawn = rng.integers(3, size=COUNT)
    mean, deviation = (part[0].numpy() for part in family.prior.components(tf.zeros([1, 0])))
    normal = rng.standard_normal((COUNT, 4))
    normal[:, 0] = 0.4 * normal[:, 0] + np.array([1.0, -1.0, 0.0])[drawn] * context[:, 0]
    latent = (mean[drawn] + deviation[drawn] * normal).astype(np.float32)
    monkeypatch.setattr(flow_module, "encoded", lambda *_: known(context, drawn, latent))
    phase = MixtureFlow(family, Fit(steps=500, batch_size=256, learning_rate=0.02, average=0.9))
    run(phase, dataset, 500)
    where = np.zeros((COUNT, 3))
    where[:, 0] = 1.2
    columns = columns_of(family, where)
    for number, sign in enumerate((1, -1, 0)):
        made = family.draw_latent(
            tf.constant(rng.standard_normal((COUNT, 4)), tf.float32),
            family.one_hot(tf.fill([COUNT], number)), columns).numpy()
        of_class = (made - mean[number]) / deviation[number]
        assert of_class[:, 0].mean() == pytest.approx(1.2 * sign, abs=0.3)
        assert abs(of_class[:, 1].mean()) < 0.2
    # And what is drawn of a class is most probably of that class, by the same density.
    drawn_there = mean[0] + deviation[0] * [1.2, 0, 0, 0]
    not_there = mean[0] + deviation[0] * [-1.2, 0, 0, 0]
    found = family.membership(tf.constant([drawn_there, not_there], tf.float32),
                              {name: value[:2] for name, value in columns.items()}).numpy()
    assert found[0, 0] > found[1, 0] + 1.0


def test_where_labels_are_given_classes_are_theirs(family, data_file):
    dataset = Dataset(data_file)
    dataset.label = np.arange(len(dataset)) % 3
    family.settings = family.settings.model_copy(update=dict(supervised=True))
    rows = dataset.train_indices[:5]
    found = encoded(family, dataset, rows, seed=1)
    np.testing.assert_array_equal(found["membership"], np.eye(3)[dataset.label[rows]])


def test_what_is_encoded_are_the_rows_asked_for(family, dataset, monkeypatch):
    """In their order, with classes as frequent as each other."""
    monkeypatch.setattr(type(family.canvas), "any_way_up", False)
    rows = dataset.train_indices[[5, 1, 3]]
    found = encoded(family, dataset, rows, seed=1)
    batch = {name: tf.constant(value) for name, value in dataset.read(rows).items()}
    mean, scale = family.infer(
        family.look(batch["stamp"], batch["psf"], batch["noise_sigma"], batch), tf.zeros([3, 0]))
    np.testing.assert_allclose(found["mean"], mean, atol=1e-5)
    np.testing.assert_allclose(found["scale"], scale, rtol=1e-4)
    np.testing.assert_allclose(found["context"], family.context(batch), rtol=1e-5)
    density = np.exp(family.prior.log_densities(mean, tf.zeros([3, 0])))
    np.testing.assert_allclose(
        found["membership"], density / density.sum(axis=1, keepdims=True), rtol=1e-4)
