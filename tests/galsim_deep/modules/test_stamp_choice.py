"""The choice of a stamp for each galaxy."""

import numpy as np
import pytest

from galsim_deep.modules.stamp_choice import choose_stamps, joined


@pytest.mark.parametrize("extent, size, scale", [
    (0.0, 16, 0.1), (0.79, 16, 0.1), (0.81, 32, 0.1), (1.59, 32, 0.1), (1.61, 64, 0.1),
    (3.2, 64, 0.1), (6.4, 64, 0.2), (np.nan, 64, np.nan)])
def test_the_smallest_stamp_that_fits(extent, size, scale):
    sizes, scales = choose_stamps([extent], (64, 16, 32), 0.1)
    assert sizes == [size]
    np.testing.assert_allclose(scales, [scale], rtol=1e-9)


def test_galaxies_that_need_no_larger_pixels_have_those_of_the_card():
    """To the last bit, since profiles with these pixels are compared."""
    _, scales = choose_stamps(np.linspace(0.0, 0.96, 50), (32, 64), 0.03)
    assert set(scales) == {0.03}


@pytest.mark.parametrize("sizes", [(2, 4, 8), (3, 5, 9)])
def test_stamps_of_several_sizes_keep_their_centre(sizes):
    rows = [np.array([3]), np.array([0, 4]), np.array([1, 2])]
    groups = [(numbers, dict(image=np.full((len(numbers), size, size, 2), size, np.float32),
                             name=10 * numbers))
              for numbers, size in zip(rows, sizes, strict=True)]
    outputs = joined(groups)
    assert outputs["image"].shape == (5, sizes[-1], sizes[-1], 2)
    assert outputs["name"].tolist() == [0, 10, 20, 30, 40]
    for numbers, size in zip(rows, sizes, strict=True):
        images = outputs["image"][numbers]
        np.testing.assert_array_equal(images, images[:, ::-1, ::-1])
        np.testing.assert_array_equal(images, images.transpose(0, 2, 1, 3))
        assert np.all(images.sum(axis=(1, 2)) == size**3)


def test_stamps_of_one_size_are_left_as_they_are():
    image = np.ones((2, 4, 4, 1), np.float32)
    assert joined([(np.arange(2), dict(image=image))])["image"] is image
