"""prepare.py: the sets together."""

from types import SimpleNamespace

import numpy as np
import prepare
import pytest
from surveys import hst, hudf


def test_the_correlation_of_a_band_is_that_of_all_its_skies():
    def galaxy(band, value):
        sums = np.zeros((7, 7))
        sums[3, 3], sums[3, 2], sums[3, 4] = 100.0, value, value
        return SimpleNamespace(observed=SimpleNamespace(survey="s", band=band),
                               sums=(sums, np.full((7, 7), 100)))

    found = prepare.correlations([galaxy("r", 10.0), galaxy("r", 30.0), galaxy("i", 0.0),
                                  SimpleNamespace(observed=None, sums=None)])
    assert set(found) == {("s", "r"), ("s", "i")}
    assert found["s", "r"][3, 2] == pytest.approx(0.2, abs=0.01)
    assert found["s", "i"][3, 2] == pytest.approx(0.0, abs=0.01)


@pytest.mark.long
def test_two_sets_with_common_galaxies(reference_data, monkeypatch):
    """The first galaxies of each, twice."""
    def some(survey, count):
        return SimpleNamespace(
            galaxies=lambda data: list(survey.galaxies(data))[:count],
            **({"same": survey.same} if hasattr(survey, "same") else {}))

    sets = [some(hst, 12), some(hudf, 8)]
    galaxies = prepare.collect(reference_data, 1, sets)
    again = prepare.collect(reference_data, 1, sets)
    for one, two in zip(galaxies, again, strict=True):
        np.testing.assert_equal(one.__dict__, two.__dict__)
    group = {galaxy.name: galaxy.group for galaxy in galaxies}
    held_out = {galaxy.name: galaxy.held_out for galaxy in galaxies}
    pairs = [("hst-007", "hudf-005"), ("hst-011", "hudf-003")]
    for one, two in pairs:
        assert group[one] == group[two] and held_out[one] == held_out[two]
    assert len(set(group.values())) == len(group) - len(pairs)
