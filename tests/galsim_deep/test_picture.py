"""Pictures: colours and layout."""

import numpy as np
import pytest
from PIL import Image

from galsim_deep.picture import contact_sheet, render, write_png


def test_bright_is_white_and_faint_is_black():
    picture = render(np.array([[0.0, 100.0], [-50.0, 1.0]]), softening=1.0)
    assert picture.shape == (2, 2, 3)
    # The first row of the image is the bottom of the picture.
    assert (picture[1, 1] == 255).all()
    assert (picture[0, 0] == 0).all()
    assert 0 < picture[0, 1, 0] < 255


def test_contact_sheet():
    sheet = contact_sheet([np.full((4, 6, 3), n, np.uint8) for n in range(5)], columns=3, gap=1)
    assert sheet.shape == (2 * 5 + 1, 3 * 7 + 1, 3)
    assert (sheet[1:5, 1:7] == 0).all()
    assert (sheet[6:10, 8:14] == 4).all()


def test_faint_pixels_have_colours_of_their_own():
    """The stretch is monotonic, and the peak and the floor can be chosen."""
    picture = render(np.array([[-1.0, 0.0, 1.0, 10.0, 100.0, 1000.0]]), softening=1.0, peak=100.0,
                     floor=-1.0)
    brightness = picture[0].astype(int).sum(axis=1)
    assert brightness[0] == 0 and (np.diff(brightness[:5]) > 0).all()
    assert brightness[4] == brightness[5] == 3 * 255


def test_an_empty_image_is_black():
    assert (render(np.zeros((3, 4)), softening=1.0) == 0).all()


def test_a_picture_that_cannot_be_written_replaces_nothing(tmp_path):
    path = tmp_path / "a.png"
    write_png(path, render(np.eye(8), 0.1))
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_png(path, np.zeros((3, 3, 3), complex))
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_png(tmp_path):
    picture = render(np.eye(8), 0.1)
    write_png(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture)
