"""What all figures of a report share."""

import subprocess
import sys

import matplotlib.colors
import pytest

from galsim_deep.measure.statistics import STATISTICS
from galsim_deep.validation.figures import COLOURS, LABELS, MAP, new_figure
from galsim_deep.validation.galaxy import SAMPLES


def test_every_sample_has_a_colour_of_its_own():
    assert set(COLOURS) == set(SAMPLES)
    assert len({matplotlib.colors.to_hex(colour) for colour in COLOURS.values()}) == len(SAMPLES)


def test_every_statistic_has_a_label():
    assert LABELS.keys() == {statistic.name for statistic in STATISTICS}
    assert all(LABELS.values())


def test_the_colour_map_is_one_of_matplotlib():
    assert MAP in matplotlib.colormaps


@pytest.mark.parametrize("width, height", [(4, 3), (7.5, 2)])
def test_size(width, height):
    figure = new_figure(width, height)
    assert tuple(figure.get_size_inches()) == (width, height)


@pytest.mark.long
def test_pyplot_is_not_imported():
    """It would choose a backend for the calling program."""
    script = """
import sys
from galsim_deep.validation.figures import new_figure
new_figure(2, 2).subplots()
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
