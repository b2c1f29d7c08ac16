"""The images of Galaxy Zoo 2 in three colours, with votes, as recipes read them."""

import csv
import os
from pathlib import Path

import numpy as np

HELD_OUT = 200
"""Images with votes that are held out."""
VOTES = {
    "smooth": "t01_smooth_or_features_a01_smooth",
    "features": "t01_smooth_or_features_a02_features_or_disk",
    "artifact": "t01_smooth_or_features_a03_star_or_artifact",
}
"""Answers by a short name: the beginning of their columns in the table of votes."""
ALSO_WITH_VOTES = (116328, 123811, 157617, 214865, 829674, 995658)
"""Images without votes of galaxies that are also among those with votes.

If both are put on the same pixels, the correlation of their values is above 0.999; that of the next
pair is 0.985, and shows different galaxies."""


def write_images(folder: str | os.PathLike, output: str | os.PathLike) -> Path:
    """Write the images with and without votes to one ``.npz`` file, unless it exists.

    It has ``images`` uint8 [2994, 64, 64, 3], ``held_out`` bool [2994] and, for each of `VOTES`,
    the number of votes [2994], zero for the images without.  No galaxy appears twice.

    Parameters:
        folder:     The folder with ``gz2_1000_rgb64.npz``, ``gz2_1000_votes.csv`` and
                    ``gzkaggle_2000_rgb64.npz``.
        output:     The file to write.

    Returns:
        the path of the file.
    """
    folder, output = Path(folder), Path(output)
    if output.exists():
        return output
    with np.load(folder / "gz2_1000_rgb64.npz") as content:
        images, objid = content["images"], content["objid"].astype(str)
    with np.load(folder / "gzkaggle_2000_rgb64.npz") as content:
        copies = np.isin(content["galaxy_id"].astype(int), ALSO_WITH_VOTES)
        if copies.sum() != len(ALSO_WITH_VOTES):
            raise ValueError(f"{folder} should have the images {ALSO_WITH_VOTES}, but some are "
                             "missing.  Is it another version of the data?")
        others = content["images"][~copies]
    with open(folder / "gz2_1000_votes.csv", encoding="utf-8") as file:
        rows = {row["objid"]: row for row in csv.DictReader(file)}
    held_out = np.zeros(len(images) + len(others), bool)
    held_out[np.random.default_rng(27).permutation(len(images))[:HELD_OUT]] = True
    counts = {}
    for name, answer in VOTES.items():
        values = [_count(rows[number], answer) for number in objid]
        counts[name] = np.concatenate([values, np.zeros(len(others))])
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez(output, images=np.concatenate([images, others]), held_out=held_out, **counts)
    return output


def _count(row: dict[str, str], answer: str) -> float:
    """The number of votes for an answer: its weighted fraction of the classifications."""
    share = float(row[f"{answer}_weighted_fraction"] or 0.0)
    return share * float(row["total_classifications"])
