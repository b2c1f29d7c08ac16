"""steps.held_out: a fifth of the galaxies of each survey, whole groups, at all magnitudes."""

import numpy as np
from steps.held_out import held_out_groups


def galaxies(count=200, seed=1):
    rng = np.random.default_rng(seed)
    surveys = np.where(np.arange(count) < 150, "b", "a")
    return list(surveys), list(range(count)), list(rng.uniform(20, 26, count))


def test_a_fifth_of_each_survey_at_all_magnitudes():
    surveys, groups, magnitudes = galaxies()
    chosen = held_out_groups(surveys, groups, magnitudes, seed=3)
    for survey, count in (("b", 150), ("a", 50)):
        members = [group for group in groups if surveys[group] == survey]
        held = [group for group in members if group in chosen]
        assert abs(len(held) - count / 5) <= 1
        # One of each five neighbours in magnitude: no gap is wider than three blocks.
        ranks = np.argsort(np.argsort([magnitudes[group] for group in members]))
        places = sorted(ranks[members.index(group)] for group in held)
        assert max(np.diff(places)) < 10


def test_the_seed_decides():
    data = galaxies()
    assert held_out_groups(*data, seed=3) == held_out_groups(*data, seed=3)
    assert held_out_groups(*data, seed=3) != held_out_groups(*data, seed=4)


def test_images_of_one_galaxy_count_once():
    """Whatever the order of the images."""
    surveys, groups, magnitudes = galaxies()
    doubled = (surveys + ["z"] * 200, groups + groups, magnitudes + magnitudes)
    assert held_out_groups(*doubled, seed=3) == held_out_groups(surveys, groups, magnitudes, seed=3)
    order = np.random.default_rng(2).permutation(200)
    shuffled = [[values[k] for k in order] for values in (surveys, groups, magnitudes)]
    assert held_out_groups(*shuffled, seed=3) == held_out_groups(surveys, groups, magnitudes, 3)
