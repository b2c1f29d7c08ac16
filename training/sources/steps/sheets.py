"""Pictures of all galaxies of a collection, to be looked at."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from galsim_deep.observations.collection import CollectedGalaxy, Collection

PANEL = 150
COLUMNS = 10
ROWS = 6


def draw_sheets(path: Path, folder: Path) -> None:
    """Draw each survey's galaxies as PNG files of sixty, in a folder.

    The stretch is logarithmic, from half the noise to the peak.  Red lines surround what cannot be
    used, a green one the region with light; held-out galaxies have a yellow name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    collection = Collection(path)
    kinds = sorted({(str(row["survey"]), str(row["band"])) for row in collection.table})
    for survey, band in kinds:
        chosen = [row for row in range(len(collection))
                  if (collection.table["survey"][row], collection.table["band"][row])
                  == (survey, band)]
        for start in range(0, len(chosen), COLUMNS * ROWS):
            part = chosen[start:start + COLUMNS * ROWS]
            sheet = Image.new("RGB", (COLUMNS * PANEL, -(-len(part) // COLUMNS) * PANEL))
            for place, row in enumerate(part):
                panel = draw_panel(collection.galaxy(row))
                sheet.paste(panel, (place % COLUMNS * PANEL, place // COLUMNS * PANEL))
            label = band.lower().replace(" ", "")
            sheet.save(folder / f"{survey}-{label}-{start // (COLUMNS * ROWS)}.png")


def draw_panel(galaxy: CollectedGalaxy) -> Image.Image:
    """One galaxy."""
    noise = galaxy.noise_inside
    # Blocks of pixels are averaged, so that faint outskirts are seen.
    factor = max(1, len(galaxy.image) // PANEL)
    image, usable = galaxy.image, galaxy.usable
    if factor > 1:
        side = len(image) // factor * factor
        image, usable = (array[:side, :side].reshape(
            side // factor, factor, side // factor, factor).mean((1, 3))
            for array in (image, usable.astype(float)))
        usable = usable > 0.5
    level = np.arcsinh(image / (0.5 * noise)) / np.arcsinh(max(image.max() / (0.5 * noise), 2.0))
    grey = (255 * np.clip(0.15 + 0.85 * level, 0, 1)).astype(np.uint8)
    colour = np.stack([grey] * 3, -1)
    rim = ~usable & ndimage.binary_dilation(usable)
    colour[rim] = 255, 60, 60
    y, x = np.indices(image.shape) * factor + 0.5 * (factor - 1)
    angle, q = np.radians(galaxy.ellipse_angle), galaxy.ellipse_axis_ratio
    dx, dy = x - galaxy.x, y - galaxy.y
    distance = np.hypot(dx * np.cos(angle) + dy * np.sin(angle),
                        (dy * np.cos(angle) - dx * np.sin(angle)) / q)
    colour[np.abs(distance - galaxy.radius_used) < 0.5 * factor] = 60, 200, 60
    picture = Image.fromarray(colour[::-1]).resize(
        (PANEL - 2, PANEL - 2), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    name = galaxy.name.removeprefix(f"{galaxy.survey}-").removeprefix("dr7-")
    draw.text((3, 2), name[-14:], fill=(255, 255, 0) if galaxy.held_out else (120, 200, 255))
    draw.text((3, PANEL - 14), f"{galaxy.magnitude:.1f} n{galaxy.sersic_n:.1f} "
              f"q{galaxy.axis_ratio:.2f} S{len(galaxy.image)}", fill=(120, 200, 255))
    panel = Image.new("RGB", (PANEL, PANEL), (60, 60, 60))
    panel.paste(picture, (1, 1))
    return panel
