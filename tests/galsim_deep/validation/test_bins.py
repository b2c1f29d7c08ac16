"""Magnitude bins: their names, limits and galaxies."""

import numpy as np

from galsim_deep.validation.bins import magnitude_bins
from galsim_deep.validation.settings import Settings


def test_names_and_limits():
    bins = magnitude_bins(np.linspace(20, 25, 50), 50, Settings(bins=(21.0, 23.0), bright=22.0))
    assert [one.name for one in bins] == [
        "all", "mag < 22", "mag < 21", "21 < mag < 23", "mag > 23"]
    assert [(one.low, one.high) for one in bins] == [
        (None, None), (None, 22.0), (None, 21.0), (21.0, 23.0), (23.0, None)]
    assert [one.rows.sum() for one in bins] == [50, 20, 10, 20, 20]


def test_every_galaxy_is_in_one_bin_besides_the_first_two():
    bins = magnitude_bins(np.linspace(19.5, 26.2, 300), 300, Settings())
    assert len(bins) == 8
    assert (np.sum([one.rows for one in bins[2:]], axis=0) == 1).all()


def test_empty_bins_are_left_out():
    bins = magnitude_bins(np.full(5, 24.0), 5, Settings())
    assert [one.name for one in bins] == ["all", "23.5 < mag < 24.5"]


def test_without_magnitudes_there_is_only_the_whole_sample():
    assert [one.name for one in magnitude_bins(None, 3, Settings())] == ["all"]
