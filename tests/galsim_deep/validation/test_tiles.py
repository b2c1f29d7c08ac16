"""Stamps side by side."""

import numpy as np
import pytest

from galsim_deep.validation.tiles import GAP, Stretch, mosaic


def test_a_stretch_is_that_of_the_real_stamp():
    stamp = np.zeros((4, 4))
    stamp[1, 2] = 80.0
    assert Stretch.of(stamp, 2.0) == Stretch(2.0, 80.0)
    assert Stretch.of(stamp, 20.0).peak == 200.0  # noise alone is not shown bright
    stamp[0, 0] = np.nan
    assert Stretch.of(stamp, 2.0) == Stretch(2.0, 80.0)
    assert Stretch.of(stamp, np.nan).sigma == pytest.approx(np.nanstd(stamp))
    assert Stretch.of(np.ones((2, 2)), np.nan).sigma == 1.0


def test_brighter_is_brighter():
    stretch = Stretch(1.0, 50.0)
    light = stretch.image([[-100.0, 0.0, 5.0, 50.0, 500.0]])[0, :, :3].sum(axis=1)
    assert (np.diff(light)[:3] > 0).all() and light[4] == light[3]
    residual = stretch.residual(np.array([[-60.0, -6.0, 0.0, 6.0]]))
    np.testing.assert_array_equal(residual[0, 0], residual[0, 1])
    assert residual[0, 1, 2] > residual[0, 1, 0] and residual[0, 3, 0] > residual[0, 3, 2]


def test_mosaic():
    black, white = np.zeros((5, 5, 4)), np.ones((5, 5, 4))
    black[0, 0, :3] = 0.5
    figure = mosaic([[black, white, white], [white, black, white]], ["one", "two"])
    axis = figure.axes[0]
    picture = np.asarray(axis.images[0].get_array())
    assert picture.shape == (10 + GAP, 15 + 2 * GAP, 3)
    # The first row of a stamp is at the bottom.
    assert picture[4, 0, 0] == 0.5 and (picture[:4, :5] == 0).all()
    assert (picture[5:5 + GAP] == 1).all()
    assert (picture[5 + GAP:9 + GAP, 5 + GAP:10 + GAP] == 0).all()
    assert [label.get_text() for label in axis.get_yticklabels()] == ["one", "two"]
