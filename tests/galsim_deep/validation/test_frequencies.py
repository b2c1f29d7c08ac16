"""Classes that are as frequent as they should be, and classes that are not."""

import types

import numpy as np
import pytest
from scipy import stats

from galsim_deep.validation.frequencies import DRAWS, class_frequencies, pearson_chi_square


def test_as_scipy_has_it():
    drawn, expected = [44, 31, 25], [50.0, 30.0, 20.0]
    ours, theirs = pearson_chi_square(drawn, expected), stats.chisquare(drawn, expected)
    assert ours["chi_square"] == pytest.approx(theirs.statistic)
    assert ours["p"] == pytest.approx(theirs.pvalue) and ours["degrees"] == 2


@pytest.mark.parametrize("drawn, expected, cells", [
    ([40, 2, 1, 57], [40, 3, 2, 55], [(40, 40), (3, 5), (57, 55)]),   # two rare ones make one
    ([40, 2, 58], [40, 1, 59], [(42, 41), (58, 59)]),                 # one alone does not
    ([50, 0, 50], [48, 0, 52], [(50, 48), (50, 52)]),
    ([50, 3, 47], [48, 0, 52], [(53, 48), (47, 52)]),                 # what should not be, counts
])
def test_rare_classes_count_as_one(drawn, expected, cells):
    test = pearson_chi_square(drawn, expected)
    assert test["degrees"] == len(cells) - 1
    assert test["chi_square"] == pytest.approx(sum((o - e)**2 / e for o, e in cells))


@pytest.mark.parametrize("drawn, expected", [([7], [7]), ([2, 1], [2, 1]), ([5, 0], [5, 0])])
def test_nothing_to_compare(drawn, expected):
    test = pearson_chi_square(drawn, expected)
    assert np.isnan(test["p"]) and np.isnan(test["chi_square"]) and test["degrees"] == 0


def test_p_is_uniform_where_all_is_right():
    rng = np.random.default_rng(1)
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    p = [pearson_chi_square(drawn, 2000 * shares)["p"]
         for drawn in rng.multinomial(2000, shares, 800)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


class Module:
    """Two classes: the second is the more frequent, the larger ``x``; and a third, rare one."""

    def __init__(self, wrong=0.0, signatures=("sample", "prior")):
        self.card = types.SimpleNamespace(
            name="made-up", kind="generator", classes=("a", "b", "c"), signatures=signatures,
            latent_size=2)
        self.wrong = wrong

    def shares(self, x):
        second = 0.9 / (1 + np.exp(-np.asarray(x, float)))
        return np.stack([0.9 - second, second, np.full(len(x), 0.1)], axis=1)

    def sample(self, columns, normal):
        assert normal.shape == (len(columns["x"]), 2) and normal.dtype == np.float32
        edges = np.cumsum(self.shares(columns["x"] + self.wrong), axis=1)
        number = (stats.norm.cdf(normal[:, -1:]) >= edges[:, :-1]).sum(axis=1)
        return dict(galaxy_class=number)

    def call(self, signature, galaxy_class, x):
        assert signature == "prior" and galaxy_class.dtype == np.int32
        return dict(log_class_probability=np.log(
            self.shares(x))[np.arange(len(x)), galaxy_class])


COLUMNS = dict(x=np.linspace(-2, 3, 50))


def draw(module, seed=1, draws=5000):
    return class_frequencies(module, COLUMNS, np.random.default_rng(seed), draws)


def test_expected_is_the_mean_over_the_rows():
    frequencies = draw(Module())
    assert frequencies["draws"] == 5000 == sum(frequencies["drawn"])
    np.testing.assert_allclose(
        frequencies["expected"], 5000 * Module().shares(COLUMNS["x"]).mean(axis=0), rtol=1e-6)
    assert frequencies["p"] > 0.01 and frequencies["degrees"] == 2
    assert draw(Module()) == frequencies
    assert draw(Module(), seed=2)["drawn"] != frequencies["drawn"]


def test_p_over_many_seeds():
    p = [draw(Module(), seed, 1000)["p"] for seed in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_a_module_that_draws_otherwise_is_found_out():
    assert draw(Module(wrong=0.3), draws=DRAWS)["p"] < 1e-6


def test_a_module_without_a_prior():
    frequencies = draw(Module(signatures=("sample",)), draws=100)
    assert frequencies["expected"] is None and frequencies["p"] is None
    assert sum(frequencies["drawn"]) == 100


@pytest.mark.long
def test_a_real_module(shapes_module):
    columns = dict(flux_radius=np.linspace(4, 12, 30), mag_auto=np.linspace(21, 25, 30))
    frequencies = class_frequencies(shapes_module, columns, np.random.default_rng(3))
    np.testing.assert_allclose(
        frequencies["expected"], DRAWS * np.array([0.5, 0.3, 0.2]), rtol=1e-5)
    assert sum(frequencies["drawn"]) == DRAWS and frequencies["p"] > 0.001
