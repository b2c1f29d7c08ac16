"""Every block of Python, shell and YAML on the pages runs, or says why it does not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("run_page.py")
PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
         if "_build" not in path.parts]


@pytest.fixture
def folder(tmp_path):
    """An empty folder with the catalogues that the pages speak of."""
    rng = np.random.default_rng(3)
    catalogue = Table(dict(
        id=np.arange(200), hlr=rng.uniform(0.1, 0.4, 200), mag_auto=rng.uniform(21, 25, 200),
        zphot=rng.uniform(0.1, 2, 200), flux_i=rng.uniform(10, 50, 200)))
    catalogue.write(tmp_path / "catalogue.fits")
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page(page, folder):
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", OMP_NUM_THREADS="1")
    done = subprocess.run([sys.executable, str(SCRIPT), str(page)], cwd=folder, text=True,
                          env=environment, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_are_found():
    assert ROOT / "README.md" in PAGES
    assert len(PAGES) > 10
