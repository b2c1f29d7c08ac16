"""Pixels that are filled in: from the other side, from the ring, and not at all."""

import numpy as np

from galsim_deep.observations.filling import filled, opposite


def test_a_symmetric_image_is_restored():
    y, x = np.indices((41, 41)) - 20.0
    image = np.exp(-np.hypot(x, 2 * y) / 5)
    usable = np.ones(image.shape, bool)
    usable[3:12, 25:30] = False
    spoilt = np.where(usable, image, 50.0)
    np.testing.assert_allclose(filled(spoilt, usable), image, atol=1e-12)


def test_about_the_position_of_the_galaxy():
    y, x = np.indices((40, 40)) - 19.5
    image = np.exp(-np.hypot(x - 1.5, y + 2.5) / 5)
    usable = np.ones(image.shape, bool)
    usable[24:28, 26:30] = False
    np.testing.assert_allclose(
        filled(np.where(usable, image, 50.0), usable, (1.5, -2.5)), image, atol=1e-12)


def test_both_sides_are_missing():
    """A round image is restored from the ring, to the width of a ring."""
    y, x = np.indices((41, 41)) - 20.0
    image = np.exp(-np.hypot(x, y) / 10)
    usable = np.ones(image.shape, bool)
    usable[20, 28:32] = usable[20, 9:13] = False
    result = filled(np.where(usable, image, np.nan), usable)
    np.testing.assert_allclose(result, image, atol=0.05)


def test_nothing_is_known():
    assert (filled(np.ones((8, 8)), np.zeros((8, 8), bool)) == 0).all()


def test_nothing_is_missing():
    image = np.arange(9.0).reshape(3, 3)
    assert filled(image, np.ones((3, 3), bool)) is image


def test_the_opposite_pixel():
    """It is that of the image turned by half about the centre, as far as that is known."""
    image = np.random.default_rng(3).normal(size=(9, 7))
    usable = np.ones(image.shape, bool)
    usable[1, 2] = False
    values, known = opposite(image, usable, (4.0, 3.0))
    np.testing.assert_array_equal(values, image[::-1, ::-1])
    np.testing.assert_array_equal(known, usable[::-1, ::-1])
    _, known = opposite(image, usable, (2.0, 3.0))
    assert known[:5].sum() == 34 and not known[5:].any()
