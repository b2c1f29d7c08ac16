"""What all tests share: the reference data, where they are, and one loaded model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import galsim_deep
from galsim_deep.card import CARD_PATH
from galsim_deep.sampler import COMPACT_PATH

REFERENCE_DATA = Path(os.environ.get(
    "GALSIM_DEEP_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items):
    """Files that take minutes start first: at the end no process is alone with one."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def reference_data():
    """The folder of real galaxies, which are not part of the project."""
    if not REFERENCE_DATA.is_dir():
        pytest.skip(f"the reference data are not at {REFERENCE_DATA}")
    return REFERENCE_DATA


@pytest.fixture(scope="session")
def model():
    return galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")


@pytest.fixture(scope="session")
def demanding(model, tmp_path_factory):
    """The folder of a copy of the module that wants all of its columns."""
    folder = tmp_path_factory.mktemp("demanding") / "module"
    shutil.copytree(model._module.folder, folder)
    card = json.loads((folder / CARD_PATH).read_text())
    for column in card["columns"]:
        column["optional"] = False
    (folder / CARD_PATH).write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def plain(model, tmp_path_factory):
    """The folder of a copy of the module without a compact graph."""
    folder = tmp_path_factory.mktemp("plain") / "module"
    shutil.copytree(model._module.folder, folder)
    (folder / COMPACT_PATH).unlink()
    card = json.loads((folder / CARD_PATH).read_text())
    del card["files"][COMPACT_PATH]
    (folder / CARD_PATH).write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def shapes_folder(tmp_path_factory):
    """The folder of a small module with classes: disc, bulge and ring."""
    folder = tmp_path_factory.mktemp("shapes") / "module"
    script = Path(__file__).with_name("module_with_classes.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True,
                   timeout=200)
    return folder


@pytest.fixture(scope="session")
def shapes(shapes_folder):
    """The model of a module with classes."""
    return galsim_deep.GenerativeGalaxyModel(shapes_folder)


@pytest.fixture
def table():
    """A catalogue of seven galaxies, all in range."""
    return dict(flux_radius=np.linspace(4.0, 12.0, 7), mag_auto=np.linspace(21.0, 25.0, 7),
                zphot=np.linspace(0.2, 1.5, 7))
