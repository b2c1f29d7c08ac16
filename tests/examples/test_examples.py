"""Every script and configuration of ``examples`` runs, and writes images with galaxies on them."""

import subprocess
import sys
from pathlib import Path

import galsim
import numpy as np
import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.[py]*"))


@pytest.mark.long
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example(example, tmp_path):
    if example.suffix == ".py":
        command = [sys.executable, str(example)]
    else:
        command = [sys.executable, "-m", "galsim", str(example), "-v", "0"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    written = sorted(tmp_path.glob("*.fits"))
    assert written, f"{example.name} wrote no FITS file"
    for path in written:
        image = galsim.fits.read(str(path)).array
        assert np.isfinite(image).all()
        # Galaxies: some pixels are far brighter than the others.
        assert image.max() - np.median(image) > 10 * np.subtract(*np.quantile(image, [0.75, 0.25]))


def test_the_examples_are_found():
    assert {path.suffix for path in EXAMPLES} == {".py", ".yaml"}
