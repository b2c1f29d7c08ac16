"""The examples in docstrings run, and give what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", ["galsim_deep", "training/galsim_deep_training"])
def test_examples_in_docstrings(package):
    # The files here, also where another copy is installed; without the options of this test run.
    path = os.pathsep.join([str(ROOT), str(ROOT / "training")])
    environment = dict(os.environ, PYTHONPATH=path, PYTEST_ADDOPTS="")
    before = set(ROOT.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules",
         "--import-mode=importlib", package], cwd=ROOT, capture_output=True, text=True,
        env=environment)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    # Examples write to temporary folders only.
    left = {path.name for path in set(ROOT.iterdir()) - before}
    assert not {name for name in left if not name.startswith(".coverage")}
