"""Six classifiers of embeddings."""

import galsim
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from galsim_deep.embeddings.classifiers import (
    CLASSIFIERS,
    _scores,
    check_labels,
    classify,
    cross_validated,
    figures_of,
)


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(1)
    label = np.repeat(["FRI", "FRII"], 60)
    values = rng.normal(size=(120, 5)) + 2.5 * (label == "FRII")[:, None] * np.eye(5)[0]
    return values, label


def test_the_hyperparameters_of_the_paper():
    """Andrianomena 2023, table 1."""
    knn, svc, lr = (CLASSIFIERS[name](1)[-1] for name in ("knn", "svc", "lr"))
    assert knn.n_neighbors == 20 and lr.max_iter == 1000
    assert (svc.kernel, svc.gamma, svc.C) == ("rbf", 0.2, 100.0)
    trees = {name: CLASSIFIERS[name](1).n_estimators for name in ("rf", "grad", "ext")}
    assert trees == dict(rf=260, grad=250, ext=400)


def test_figures_against_scikit_learn():
    rng = np.random.default_rng(2)
    label = rng.choice(["FRI", "FRII"], 50)
    score = rng.dirichlet([1, 1], 50)
    found = figures_of(label, score, ["FRI", "FRII"], "FRII")
    predicted = np.where(score[:, 1] > 0.5, "FRII", "FRI")
    (tn, fp), (fn, tp) = confusion_matrix(label, predicted)
    assert found.accuracy == pytest.approx((tn + tp) / 50)
    assert found.specificity == pytest.approx(tn / (tn + fp))
    assert found.recall == pytest.approx(tp / (tp + fn))
    assert found.roc_auc == pytest.approx(roc_auc_score(label == "FRII", score[:, 1]))
    other = figures_of(label, score, ["FRI", "FRII"], "FRI")
    assert (other.specificity, other.recall) == (found.recall, found.specificity)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_classifier_learns(name, examples):
    values, label = examples
    train = np.arange(120) % 3 > 0
    found = classify(values[train], label[train], values[~train], label[~train], "FRII",
                     names=(name,))[name]
    assert found.test.accuracy > 0.7 and found.validation.accuracy > 0.75
    assert 0 < found.test_error.accuracy < 0.15 and found.validation_error.accuracy < 0.1
    assert np.mean(found.predicted == label[~train]) == pytest.approx(found.test.accuracy)
    again = classify(values[train], label[train], values[~train], label[~train], "FRII",
                     names=(name,))[name]
    np.testing.assert_array_equal(found.probability, again.probability)


def test_three_classes():
    rng = np.random.default_rng(3)
    label = np.arange(90) % 3
    values = rng.normal(size=(90, 4)) + 4.0 * np.eye(4)[label]
    found = classify(values[:60], label[:60], values[60:], label[60:], names=("lr",))["lr"]
    assert found.probability.shape == (30, 3)
    assert found.test.roc_auc > 0.95 and found.test.specificity > 0.9


def test_copies_of_a_galaxy_stay_together():
    """Otherwise a classifier would find the copy of a test galaxy in the training set."""
    rng = np.random.default_rng(4)
    values = np.repeat(rng.normal(size=(40, 6)), 5, axis=0)
    label, sources = np.repeat(rng.permutation(40) % 2, 5), np.repeat(np.arange(40), 5)
    honest, _ = cross_validated("rf", values, label, 1, sources)
    fooled, _ = cross_validated("rf", values, label, 1)
    assert fooled.accuracy > 0.95 and honest.accuracy < 0.75


@pytest.mark.parametrize("label, words", [
    (np.full(20, "FRI"), "one class only, FRI"),
    (np.array(["a"] * 17 + ["b"] * 3), "class b has 3 examples"),
    (np.r_[np.zeros(10), np.ones(9), np.nan], "not finite")])
def test_labels_that_cannot_be_learnt(label, words):
    with pytest.raises(galsim.GalSimError, match=words):
        check_labels(label, 5, "the table")


def test_classes_that_were_not_learnt(examples):
    values, label = examples
    with pytest.raises(galsim.GalSimError, match="test set has the class bent"):
        classify(values, label, values[:1], ["bent"])
    with pytest.raises(galsim.GalSimError, match="no class 'bent'.*FRI, FRII"):
        classify(values, label, values, label, "bent")


def test_classes_of_copies_of_a_few_sources():
    """Sources count, and a class that is missing in a part does not mix up the others."""
    rng = np.random.default_rng(3)
    label = np.repeat(["a", "b", "c"], [40, 40, 10])
    features = rng.normal(size=(90, 3)) + 4.0 * np.eye(3)[np.repeat([0, 1, 2], [40, 40, 10])]
    sources = np.r_[np.arange(80), np.full(10, 99)]
    with pytest.raises(galsim.GalSimError, match="class c has 1 examples"):
        cross_validated("lr", features, label, "c", sources)
    scores = _scores(CLASSIFIERS["lr"](1).fit(features[:80], label[:80]), features,
                     np.array(["a", "b", "c"]))
    assert scores.shape == (90, 3)
    assert set(scores.argmax(axis=1)) == {0, 1} and (scores[:, 2] < scores[:, :2].min()).all()


def test_too_few_rows_for_the_nearest_neighbours():
    label = np.repeat(["a", "b"], 10)
    with pytest.raises(galsim.GalSimError, match="20 examples.* 20 neighbours, needs 25"):
        cross_validated("knn", np.eye(20), label, "b")


def test_a_test_set_of_one_class():
    features, label = np.random.default_rng(1).normal(size=(40, 2)), np.repeat(["a", "b"], 20)
    with pytest.raises(galsim.GalSimError, match="test set has the class a only"):
        classify(features, label, features[:10], label[:10], names=("lr",))


def test_copies_in_the_test_set_do_not_make_errors_smaller():
    rng = np.random.default_rng(1)
    label = np.tile(["a", "b"], 60)
    features = rng.normal(size=(120, 2)) + (label == "b")[:, None]
    once, copied = (classify(
        features[:60], label[:60], np.repeat(features[60:], copies, axis=0),
        np.repeat(label[60:], copies), names=("lr",),
        test_sources=np.repeat(np.arange(60), copies))["lr"] for copies in (1, 8))
    assert copied.test.accuracy == once.test.accuracy
    assert copied.test_error.accuracy == pytest.approx(once.test_error.accuracy, rel=0.3)
