"""Six classifiers of embeddings, with the settings of Andrianomena 2023 (section 4.3, table 2)."""

__all__ = ["CLASSIFIERS", "Evaluation", "Figures", "best_of", "check_labels", "classify",
           "cross_validated", "figures_of"]

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from galsim import GalSimError
from numpy.typing import ArrayLike, NDArray

NEIGHBOURS = 20
"""Neighbours of the classifier ``knn``."""
FOLDS = 5
"""Parts of the training set in a cross-validation."""


def _pipeline(estimator: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), estimator)


def _knn(seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return _pipeline(KNeighborsClassifier(n_neighbors=NEIGHBOURS))


def _rf(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=260, random_state=seed)


def _svc(seed: int) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from sklearn.svm import SVC

    # A gamma of 0.2 suits vectors with a total variance of some units.  With hundreds of numbers of
    # unit variance, all points would be far from each other.
    return make_pipeline(StandardScaler(), FunctionTransformer(_with_total_variance_four),
                         SVC(kernel="rbf", gamma=0.2, C=100.0))


def _with_total_variance_four(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardised vectors [N, D], so that the sum of their variances is four."""
    return values * np.sqrt(4.0 / values.shape[1])


def _lr(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return _pipeline(LogisticRegression(max_iter=1000, random_state=seed))


def _grad(seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=250, random_state=seed)


def _ext(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(n_estimators=400, random_state=seed)


CLASSIFIERS: dict[str, Callable[[int], Any]] = dict(
    knn=_knn, rf=_rf, svc=_svc, lr=_lr, grad=_grad, ext=_ext)
"""By name: a function from a seed to an estimator of scikit-learn.

======  ============================================================================================
knn     20 nearest neighbours
rf      random forest of 260 trees
svc     support vectors with a Gaussian kernel, gamma 0.2 and C 100
lr      logistic regression, at most 1000 iterations
grad    gradient boosting, 250 stages
ext     400 extremely randomised trees
======  ============================================================================================

Numbers are standardised for knn, svc and lr, and for svc scaled to a total variance of four.
"""


@dataclasses.dataclass(frozen=True)
class Figures:
    """How well a classifier does on a set of labelled examples.

    With two classes, specificity and recall are the shares of the negative and the positive class
    that are recognised; with more, means over the classes, each against the others.

    >>> Figures(0.8, 0.9, 0.7, 0.85).recall
    0.85
    """

    accuracy: float
    roc_auc: float
    specificity: float
    recall: float


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of one classifier.

    >>> evaluation = Evaluation("knn", Figures(0.8, 0.9, 0.7, 0.85), Figures(0.04, 0.03, 0.1, 0.05),
    ...                         Figures(0.8, 0.9, 0.7, 0.9), Figures(0.02, 0.02, 0.03, 0.03),
    ...                         np.array(["FRI"]), np.array([[0.7, 0.3]]))
    >>> evaluation.test.accuracy
    0.8
    """

    name: str
    test: Figures
    test_error: Figures
    """From bootstrap samples of the test set."""
    validation: Figures
    """Mean over the parts of a cross-validation of the training set."""
    validation_error: Figures
    """Error of this mean, from the scatter between the parts."""
    predicted: np.ndarray
    """The class of each test example, [N]."""
    probability: NDArray[np.float64]
    """The score of each class for each test example, [N, C], in the order of the sorted classes."""


def figures_of(label: ArrayLike, score: ArrayLike, classes: ArrayLike,
               positive: object) -> Figures:
    """The `Figures` of scores.

    Parameters:
        label:      True classes, [N].
        score:      Scores of the classes, [N, C]; the largest one decides.
        classes:    The classes in the order of the scores, [C].
        positive:   The positive class of two.

    >>> figures_of(list("abab"), [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]], ["a", "b"], "b")
    Figures(accuracy=0.75, roc_auc=1.0, specificity=0.5, recall=1.0)
    """
    from sklearn.metrics import roc_auc_score

    labels, scores, names = np.asarray(label), np.asarray(score, float), np.asarray(classes)
    predicted = names[scores.argmax(axis=1)]
    chosen = [name for name in names if len(names) > 2 or name == positive]
    aucs, specificities, recalls = [], [], []
    for name in chosen:
        is_class, said = labels == name, predicted == name
        column = scores[:, list(names).index(name)]
        both = is_class.any() and not is_class.all()
        aucs.append(float(roc_auc_score(is_class, column)) if both else np.nan)
        specificities.append(float((~said[~is_class]).mean()) if (~is_class).any() else np.nan)
        recalls.append(float(said[is_class].mean()) if is_class.any() else np.nan)
    return Figures(float((predicted == labels).mean()),
                   *(float(np.mean(values)) for values in (aucs, specificities, recalls)))


def _scores(estimator: Any, features: NDArray[np.float64], classes: np.ndarray
            ) -> NDArray[np.float64]:
    """A score for each class, [N, C]."""
    if hasattr(estimator, "predict_proba"):
        found = estimator.predict_proba(features)
    else:
        found = estimator.decision_function(features)
        if found.ndim == 1:
            found = np.stack([-found, found], axis=1)
    # A class of few sources may be missing in a part of a cross-validation.
    scores = np.full((len(features), len(classes)), found.min() - 1.0)
    scores[:, np.searchsorted(classes, estimator.classes_)] = found
    return scores


def check_labels(label: np.ndarray, least: int, where: str,
                 sources: np.ndarray | None = None) -> np.ndarray:
    """The classes of labels, sorted.

    Raises a `galsim.GalSimError` if labels are not known, there is one class only, or a class has
    fewer than ``least`` examples, or sources if these are given.

    >>> check_labels(np.array(["a", "b", "a", "b"]), 2, "the table").tolist()
    ['a', 'b']
    """
    if label.dtype.kind == "f" and not np.isfinite(label).all():
        raise GalSimError(f"Some labels of {where} are not finite. Leave these rows out.")
    classes, counts = np.unique(label, return_counts=True)
    if sources is not None:
        counts = np.array([len(np.unique(sources[label == name])) for name in classes])
    if len(classes) < 2:
        raise GalSimError(f"The labels of {where} have one class only, {classes[0]}; a classifier "
                          "needs at least two.")
    if counts.min() < least:
        raise GalSimError(f"The class {classes[counts.argmin()]} has {counts.min()} examples in "
                          f"{where}; at least {least} are needed.")
    return classes


def cross_validated(name: str, features: ArrayLike, label: ArrayLike, positive: object,
                    sources: ArrayLike | None = None, seed: int = 1) -> tuple[Figures, Figures]:
    """Mean figures of a classifier over the parts of a cross-validation, and their errors.

    Parameters:
        name:       One of `CLASSIFIERS`.
        features:   Embeddings, [N, D].
        label:      Classes, [N].
        positive:   The positive class.
        sources:    Number of the galaxy of each row, [N]: rows of one galaxy stay together.
                    [default: all are different]
        seed:       Seed of the classifier and of the parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    values, labels = np.asarray(features, float), np.asarray(label)
    groups = np.arange(len(labels)) if sources is None else np.asarray(sources)
    classes = check_labels(labels, FOLDS, "the training set", groups)
    if name == "knn" and len(labels) * (FOLDS - 1) < FOLDS * NEIGHBOURS:
        raise GalSimError(
            f"The training set has {len(labels)} examples; the classifier knn, of {NEIGHBOURS} "
            f"neighbours, needs {-(-FOLDS * NEIGHBOURS // (FOLDS - 1))} for a cross-validation. "
            "Label more.")
    parts = []
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(values, labels, groups):
        estimator = CLASSIFIERS[name](seed).fit(values[train], labels[train])
        parts.append(dataclasses.astuple(
            figures_of(labels[test], _scores(estimator, values[test], classes), classes,
                       positive)))
    mean, error = np.nanmean(parts, axis=0), np.nanstd(parts, axis=0, ddof=1) / np.sqrt(FOLDS)
    return Figures(*mean.tolist()), Figures(*error.tolist())


def classify(features: ArrayLike, label: ArrayLike, test_features: ArrayLike,
             test_label: ArrayLike, positive: object = None,
             sources: ArrayLike | None = None, seed: int = 1,
             names: tuple[str, ...] = tuple(CLASSIFIERS),
             test_sources: ArrayLike | None = None) -> dict[str, Evaluation]:
    """Fit the classifiers on a training set and evaluate them on a test set.

    Parameters:
        features:       Embeddings of the training set, [N, D].
        label:          Its classes, [N].
        test_features:  Embeddings of the test set, [M, D].
        test_label:     Its classes, [M].
        positive:       The positive class.  [default: the last one in alphabetical order]
        sources:        As for `cross_validated`.
        seed:           Seed of everything random.
        names:          Which of `CLASSIFIERS`.
        test_sources:   Number of the galaxy of each row of the test set, [M], for its errors.
                        [default: all are different]

    Returns:
        by name of the classifier, an `Evaluation`.

    Raises:
        galsim.GalSimError: if there is one class only, in either set, a class has too few examples,
            or the test set has a class that the training set has not.

    Example::

        >>> rng = np.random.default_rng(1)
        >>> label = np.repeat(["FRI", "FRII"], 40)
        >>> features = rng.normal(size=(80, 3)) + 3.0 * (label == "FRII")[:, None]
        >>> found = classify(features[::2], label[::2], features[1::2], label[1::2], names=("lr",))
        >>> found["lr"].test.accuracy > 0.9
        True
    """
    values, labels = np.asarray(features, float), np.asarray(label)
    tests, test_labels = np.asarray(test_features, float), np.asarray(test_label)
    classes = check_labels(labels, FOLDS, "the training set")
    unknown = sorted(set(test_labels.tolist()) - set(classes.tolist()))
    if unknown:
        raise GalSimError(f"The test set has the class {unknown[0]}, which the training set has "
                          "not.")
    if len(np.unique(test_labels)) < 2:
        raise GalSimError(f"The test set has the class {test_labels[0]} only. It needs two to "
                          "measure how well they are told apart."
                          if len(test_labels) else "The test set is empty.")
    if positive is None:
        positive = classes[-1]
    if positive not in classes:
        raise GalSimError(f"There is no class '{positive}'; the classes are: "
                          f"{', '.join(map(str, classes))}.")
    galaxies = np.arange(len(tests)) if test_sources is None else np.asarray(test_sources)
    members = [np.flatnonzero(galaxies == galaxy) for galaxy in np.unique(galaxies)]
    found = {}
    for name in names:
        estimator = CLASSIFIERS[name](seed).fit(values, labels)
        scores = _scores(estimator, tests, classes)
        rng = np.random.default_rng([seed, 13])
        draws = []
        for _ in range(200):
            rows = np.concatenate([members[number] for number in rng.integers(
                len(members), size=len(members))])
            draws.append(dataclasses.astuple(
                figures_of(test_labels[rows], scores[rows], classes, positive)))
        mean, error = cross_validated(name, values, labels, positive, sources, seed)
        found[name] = Evaluation(
            name, figures_of(test_labels, scores, classes, positive),
            Figures(*np.nanstd(draws, axis=0).tolist()), mean, error,
            classes[scores.argmax(axis=1)], scores)
    return found


def best_of(evaluations: Mapping[str, Evaluation]) -> str:
    """The classifier with the largest accuracy in the cross-validation of the training set.

    >>> figures = [Figures(a, 0.9, 0.7, 0.8) for a in (0.7, 0.8)]
    >>> best_of({name: Evaluation(name, f, f, f, f, np.zeros(0), np.zeros((0, 2)))
    ...          for name, f in zip(("knn", "lr"), figures)})
    'lr'
    """
    return max(evaluations, key=lambda name: evaluations[name].validation.accuracy)
