"""Coverage, precision and the Vendi score: known samples."""

import numpy as np
import pytest

from galsim_deep.validation.diversity import cover, standardised, vendi_score

RNG = np.random.default_rng(4)
SAMPLE, OTHER = RNG.normal(size=(2, 300, 4))


def test_two_samples_of_one_distribution():
    numbers = cover(SAMPLE, OTHER)
    assert numbers["density"] == pytest.approx(1, abs=0.15)
    assert numbers["coverage"] == pytest.approx(0.75, abs=0.06)
    assert numbers["recall"] == pytest.approx(numbers["precision"], abs=0.1)
    many = cover(SAMPLE, OTHER, neighbours=5)
    assert many["coverage"] == pytest.approx(0.97, abs=0.03)


def test_samples_apart():
    assert cover(SAMPLE, OTHER + 50) == dict(precision=0, recall=0, density=0, coverage=0)


def test_a_sample_in_the_middle_covers_less():
    """It is precise, and lacks what is unusual."""
    narrow = cover(SAMPLE, 0.3 * OTHER)
    broad = cover(SAMPLE, OTHER)
    assert narrow["precision"] > broad["precision"]
    assert narrow["recall"] < broad["recall"] - 0.3
    assert narrow["coverage"] < broad["coverage"] - 0.2


def test_too_few():
    assert np.isnan(cover(SAMPLE[:2], OTHER)["coverage"])


def test_vendi_score_of_repeated_galaxies():
    far = 20 * np.repeat(np.eye(6), 5, axis=0)
    assert vendi_score(far) == pytest.approx(6, rel=0.01)
    assert vendi_score(0.3 * OTHER) < vendi_score(OTHER) < len(OTHER)
    assert np.isnan(vendi_score(np.zeros((0, 3))))


def test_standardised():
    scaled = standardised(5 + 3 * OTHER, 5 + 3 * SAMPLE)
    assert np.median(scaled) == pytest.approx(0, abs=0.1) and scaled.std() == pytest.approx(
        1, abs=0.1)
    assert standardised(np.array([[1e9, 1.0]]), np.ones((5, 2))).tolist() == [[4, 0]]
