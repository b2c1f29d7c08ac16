"""Pictures of stamps and scenes as PNG files."""

__all__ = ["contact_sheet", "render", "write_png"]

import numpy as np


def render(image, softening, peak=None, floor=0.0):
    """Turn pixel values into colours: an arcsinh stretch from black over orange to white.

    Parameters:
        image:      Shape [H, W].
        softening:  Value around which the stretch goes from linear to logarithmic, such as the
                    noise in a pixel.
        peak:       The value at the bright end.  [default: the largest]
        floor:      The value drawn black; below zero for images with noise.  [default: 0]

    Returns:
        uint8, shape [H, W, 3]; the first row of the image is at the bottom, as GalSim has it.
    """
    peak = np.max(image) if peak is None else peak
    low, high = np.arcsinh(floor / softening), np.arcsinh(peak / softening)
    v = np.clip((np.arcsinh(image / softening) - low) / max(high - low, 1e-6), 0, 1)[::-1]
    colours = np.clip(2 * v[..., None] - [0.0, 0.5, 1.0], 0, 1)
    return np.round(255 * colours).astype(np.uint8)


def contact_sheet(images, columns, gap=2):
    """Put pictures of one size, [n, H, W, 3], into rows of ``columns``."""
    images = np.asarray(images)
    rows = -(-len(images) // columns)
    height, width = images.shape[1] + gap, images.shape[2] + gap
    sheet = np.full((rows * height + gap, columns * width + gap, 3), 40, np.uint8)
    for n, image in enumerate(images):
        y, x = gap + n // columns * height, gap + n % columns * width
        sheet[y:y + images.shape[1], x:x + images.shape[2]] = image
    return sheet


def write_png(path, picture):
    """Write a picture, uint8 [H, W, 3]."""
    from PIL import Image

    Image.fromarray(picture).save(path, format="png", optimize=True)
