"""Distances and classifier: against scipy, under the null hypothesis, and with a difference."""

import numpy as np
import pytest
from scipy import stats

from galsim_deep.validation import two_sample


def in_groups(rng, groups, members, within=0.2):
    """Rows of unit variance between groups that are nearly alike inside of one."""
    centres = rng.standard_normal(groups)[:, None]
    return (centres + within * rng.standard_normal((groups, members))).ravel()


# ---- distances ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", [False, True])
def test_distances_are_those_of_scipy(seed, ties):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0.0, 1.0, 83), rng.normal(0.4, 1.5, 120)
    if ties:
        a, b = np.round(2 * a), np.round(2 * b)
    ks, w1 = two_sample.distances(a, b)
    assert ks == pytest.approx(stats.ks_2samp(a, b).statistic, abs=1e-12)
    assert w1 == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_weights_are_repeated_rows(ties):
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.0, 1.0, 60), rng.normal(0.5, 1.0, 45)
    if ties:
        a, b = np.round(2 * a), np.round(2 * b)
    weights_a, weights_b = rng.integers(0, 4, (7, 60)), rng.integers(0, 3, (7, 45))
    ks, w1 = two_sample.distances(a, b, weights_a.astype(float), weights_b.astype(float))
    for i in range(7):
        many_a, many_b = np.repeat(a, weights_a[i]), np.repeat(b, weights_b[i])
        assert ks[i] == pytest.approx(stats.ks_2samp(many_a, many_b).statistic, abs=1e-12)
        assert w1[i] == pytest.approx(stats.wasserstein_distance(many_a, many_b), abs=1e-12)


def test_distances_of_a_shift():
    """Wasserstein-1 of a shifted sample is the shift; samples apart have a KS of one."""
    a = np.random.default_rng(0).uniform(0, 1, 200)
    ks, w1 = two_sample.distances(a, a + 3.0)
    assert (ks[0], w1[0]) == pytest.approx((1.0, 3.0))
    ks, w1 = two_sample.distances(a, a)
    assert (ks[0], w1[0]) == (0.0, 0.0)


def test_distances_without_weight_are_nan():
    a = np.arange(4.0)
    weights = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    ks, w1 = two_sample.distances(a, a + 1, weights, np.ones((2, 4)))
    assert np.isfinite(ks[0]) and np.isfinite(w1[0])
    assert np.isnan(ks[1]) and np.isnan(w1[1])


# ---- bootstrap ------------------------------------------------------------------------------


def test_bootstrap_draws_whole_groups():
    groups = np.array([4, 4, 9, 2, 9, 9, 7])
    weights = two_sample.bootstrap_weights(groups, 400, seed=1)
    assert weights.shape == (400, 7)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 2], weights[:, 5])
    # As many groups as there are, each once on average.
    np.testing.assert_array_equal(weights[:, [0, 2, 3, 6]].sum(axis=1), 4)
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.15)
    assert weights.std() > 0.5


def test_bootstrap_is_that_of_the_seed():
    groups = np.arange(50)
    first, again, other = (two_sample.bootstrap_weights(groups, 5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_bootstrap_error_is_that_of_new_samples():
    """The error of the distance between shifted samples of pairs, against 300 new draws."""
    rng = np.random.default_rng(2)
    n, draws = 400, 300

    def sample():
        real = rng.standard_normal(n)
        return real, real + 0.5 + 0.5 * rng.standard_normal(n)

    values = np.array([np.ravel(two_sample.distances(*sample())) for _ in range(draws)])
    errors = []
    for seed in range(5):
        weights = two_sample.bootstrap_weights(np.arange(n), 200, seed)
        ks, w1, _ = two_sample.compare_samples(*sample(), weights)
        errors.append((ks.error, w1.error))
    np.testing.assert_allclose(np.mean(errors, axis=0), values.std(axis=0), rtol=0.2)


def test_rows_of_a_group_are_no_new_information():
    """Ten times as many rows from the same groups: errors are sqrt(10) larger than of rows."""
    rng = np.random.default_rng(3)
    real = in_groups(rng, 60, 10, within=0.02)
    other = in_groups(rng, 60, 10, within=0.02) + 1.0
    groups = np.repeat(np.arange(60), 10)
    found = {}
    for name, by in [("group", groups), ("row", np.arange(600))]:
        weights = two_sample.bootstrap_weights(by, 300, 0)
        found[name] = two_sample.compare_samples(real, other, weights)[1].error
    assert found["group"] / found["row"] == pytest.approx(np.sqrt(10), rel=0.25)


def test_compare_returns_the_distances_and_their_samples():
    rng = np.random.default_rng(4)
    real, other = rng.standard_normal(100), rng.standard_normal(100) + 0.3
    weights = two_sample.bootstrap_weights(np.arange(100), 50, 0)
    ks, w1, samples = two_sample.compare_samples(real, other, weights)
    assert ks.value == pytest.approx(stats.ks_2samp(real, other).statistic)
    assert w1.value == pytest.approx(stats.wasserstein_distance(real, other))
    assert samples.shape == (50,)
    assert w1.error == pytest.approx(samples.std())


# ---- the floor ------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [
    np.arange(101), np.repeat(np.arange(10), [30, 1, 1, 2, 5, 8, 13, 2, 3, 4]), np.arange(80) % 7])
def test_halves_are_balanced_and_keep_groups_whole(groups):
    first = two_sample.halves(groups, 60, seed=1)
    assert first.shape == (60, len(groups)) and first.dtype == bool
    for group in np.unique(groups):
        inside = first[:, groups == group]
        assert (inside.all(axis=1) | ~inside.any(axis=1)).all()
    largest = np.bincount(groups).max()
    assert (np.abs(2 * first.sum(axis=1) - len(groups)) <= largest).all()
    # No row is always on one side, and no two splits need be the same.
    assert 0.2 < first.mean(axis=0).min() and first.mean(axis=0).max() < 0.8
    assert len(np.unique(first, axis=0)) > 30


@pytest.mark.parametrize("groups, members", [(300, 1), (60, 6)])
def test_the_floor_is_the_distance_of_samples_as_large_as_the_whole(groups, members):
    rng = np.random.default_rng(7)
    new = np.array([np.ravel(two_sample.distances(in_groups(rng, groups, members),
                                                  in_groups(rng, groups, members)))
                    for _ in range(300)])
    member = np.repeat(np.arange(groups), members)
    floors = [two_sample.floor(in_groups(rng, groups, members),
                               two_sample.halves(member, 100, seed)) for seed in range(12)]
    for column, name in enumerate(("ks", "w1")):
        median, high = np.mean([floor[name] for floor in floors], axis=0)
        assert median == pytest.approx(np.median(new[:, column]), rel=0.15)
        assert high == pytest.approx(np.quantile(new[:, column], two_sample.LEVEL), rel=0.2)


def test_samples_alike_are_at_the_floor_and_a_shift_is_above_it():
    rng = np.random.default_rng(8)
    real, alike = rng.standard_normal((2, 300))
    floor = two_sample.floor(real, two_sample.halves(np.arange(300), 200, 0))
    for (near,), (far,), name in zip(two_sample.distances(real, alike),
                                     two_sample.distances(real, alike + 0.5), ("ks", "w1"),
                                     strict=True):
        assert near < 1.5 * floor[name][1]
        assert far > 1.5 * floor[name][1]


# ---- classifier -----------------------------------------------------------------------------


def two_samples(seed, kind, rows=300, features=12):
    """(features, labels, groups) of two samples of the same distribution.

    ``rows`` are independent; ``pairs`` are the same galaxy in each sample, hardly changed;
    ``groups`` are many rows of few sources, which both samples share.
    """
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((2 * rows, features))
    labels = np.arange(2 * rows) < rows
    if kind == "rows":
        return own, labels, np.arange(2 * rows)
    count = rows if kind == "pairs" else 12
    groups = np.arange(2 * rows) % count
    return rng.standard_normal((count, features))[groups] + 0.2 * own, labels, groups


@pytest.mark.long
@pytest.mark.parametrize("kind", ["rows", "pairs", "groups"])
def test_samples_of_one_distribution_are_not_told_apart(kind):
    found = [two_sample.auc(*two_samples(seed, kind), seed, bootstraps=100) for seed in range(6)]
    values, errors = np.array([(auc.value, auc.error) for auc in found]).T
    assert (np.abs(values - 0.5) < 3.5 * errors).all()
    assert (errors < 0.04).all()
    # A single value scatters by 0.03.
    assert values.mean() == pytest.approx(0.5, abs=3.5 * 0.03 / np.sqrt(len(found)))


@pytest.mark.parametrize("kind", ["rows", "pairs", "groups"])
def test_a_shift_is_told(kind):
    features, labels, groups = two_samples(1, kind)
    features[labels, :3] += 1.2 * features.std()
    found = two_sample.auc(features, labels, groups, 1)
    assert found.value > 0.8
    assert found.value - 0.5 > 5 * found.error > 0


def test_a_difference_in_correlation_alone_is_told():
    """Every feature by itself has the same distribution."""
    features, labels, groups = two_samples(2, "rows")
    features[labels, 1] = features[labels, 0]
    assert two_sample.auc(features, labels, groups, 2).value > 0.8


@pytest.mark.long
def test_a_shift_of_labels_that_follow_groups_is_not_learned_by_heart():
    """Groups of rows that are alike lie in one sample each; only new groups count."""
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(60), 10)
    features = rng.standard_normal((60, 12))[groups]
    labels = groups % 2 == 0
    by_group = two_sample.auc(features, labels, groups, 0)
    by_row = two_sample.auc(features, labels, np.arange(600), 0)
    assert by_row.value > 0.9
    assert abs(by_group.value - 0.5) < 3.5 * by_group.error


def test_missing_features_are_information():
    features, labels, groups = two_samples(3, "rows")
    features[labels, 4] = np.nan
    assert two_sample.auc(features, labels, groups, 3).value > 0.95


@pytest.mark.long
def test_auc_is_that_of_the_seed():
    sample = two_samples(4, "rows")
    assert two_sample.auc(*sample, 1, bootstraps=20) == two_sample.auc(*sample, 1, bootstraps=20)


@pytest.mark.long
def test_auc_does_not_prefer_a_side():
    """The labels only name the samples: what is told apart is so either way."""
    features, labels, groups = two_samples(5, "rows")
    features[labels, 0] += 1.0
    first = two_sample.auc(features, labels, groups, 0).value
    second = two_sample.auc(features, ~labels, groups, 0).value
    assert first > 0.65
    assert first == pytest.approx(second, abs=0.03)


@pytest.mark.parametrize("labels, groups", [
    (np.ones(20, bool), np.arange(20)), (np.zeros(20, bool), np.arange(20)),
    (np.arange(20) < 10, np.zeros(20, int))])
def test_auc_of_what_cannot_be_split_is_nan(labels, groups):
    found = two_sample.auc(np.random.default_rng(0).standard_normal((20, 3)), labels, groups, 0)
    assert np.isnan(found.value) and np.isnan(found.error)


def test_auc_of_few_groups():
    features, labels, _ = two_samples(6, "rows", rows=60)
    features[labels] += 2
    found = two_sample.auc(features, labels, np.arange(120) % 3, 0)
    assert found.value > 0.9


def test_the_area_under_the_curve_counts_pairs():
    """Of all pairs of one row from each side, how many are in order; ties count half."""
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 6, 50) / 6, rng.random(50) < 0.4
    weights = rng.integers(0, 3, 50)
    high = np.repeat(scores[labels], weights[labels])[:, None]
    low = np.repeat(scores[~labels], weights[~labels])
    expected = ((high > low) + 0.5 * (high == low)).mean()
    assert two_sample._area(scores, labels, weights.astype(float)) == pytest.approx(expected)
