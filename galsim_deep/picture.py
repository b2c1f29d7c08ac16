"""Pictures of stamps and scenes as PNG files, and figures."""

__all__ = ["contact_sheet", "new_figure", "render", "write_png"]

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .runtime.atomic_files import replace_file

if TYPE_CHECKING:
    import matplotlib.figure

BACKGROUND = 40
"""Grey level between the pictures of a contact sheet."""


def render(image: np.ndarray, softening: float, peak: float | None = None,
           floor: float = 0.0) -> NDArray[np.uint8]:
    """Turn pixel values into colours: an arcsinh stretch from black over orange to white.

    Parameters:
        image:      Shape [H, W].
        softening:  Value around which the stretch goes from linear to logarithmic, such as the
                    noise in a pixel.
        peak:       The value drawn white.  [default: the largest]
        floor:      The value drawn black; below zero for images with noise.  [default: 0]

    Returns:
        uint8, shape [H, W, 3]; the first row of the image is at the bottom, as in GalSim.

    >>> render(np.array([[0.0, 1.0]]), softening=0.1)
    array([[[  0,   0,   0],
            [255, 255, 255]]], dtype=uint8)
    """
    peak = float(np.max(image)) if peak is None else peak
    low, high = np.arcsinh(floor / softening), np.arcsinh(peak / softening)
    brightness = np.clip((np.arcsinh(image / softening) - low) / max(high - low, 1e-6), 0, 1)[::-1]
    colours = np.clip(2 * brightness[..., None] - [0.0, 0.5, 1.0], 0, 1)
    return np.round(255 * colours).astype(np.uint8)


def contact_sheet(images: Sequence[ArrayLike] | np.ndarray, columns: int,
                  gap: int = 2) -> NDArray[np.uint8]:
    """Arrange pictures of one size in rows.

    Parameters:
        images:     The pictures, uint8 [N, H, W, 3], from left to right and top to bottom.
        columns:    Number of pictures in a row.
        gap:        Pixels between pictures.  [default: 2]

    Returns:
        one picture, uint8 [H', W', 3].

    >>> contact_sheet(np.zeros((5, 10, 20, 3), np.uint8), columns=3).shape
    (26, 68, 3)
    """
    images = np.asarray(images)
    rows = -(-len(images) // columns)
    height, width = images.shape[1] + gap, images.shape[2] + gap
    sheet = np.full((rows * height + gap, columns * width + gap, 3), BACKGROUND, np.uint8)
    for number, image in enumerate(images):
        y, x = gap + number // columns * height, gap + number % columns * width
        sheet[y:y + images.shape[1], x:x + images.shape[2]] = image
    return sheet


def write_png(path: str | os.PathLike, picture: NDArray[np.uint8]) -> None:
    """Write a picture, uint8 [H, W, 3], to a file, which appears when it is complete."""
    from PIL import Image

    with replace_file(path) as fresh:
        Image.fromarray(picture).save(fresh, format="png", optimize=True)


def new_figure(width: float, height: float) -> "matplotlib.figure.Figure":
    """A matplotlib figure of a size [inch].

    It is made without pyplot, so that no backend is chosen for the calling program.
    """
    from matplotlib.figure import Figure as MatplotlibFigure

    return MatplotlibFigure(figsize=(width, height), layout="constrained")
