"""What all tests share: the reference data, where they are, and one loaded model."""

import os
from pathlib import Path

import numpy as np
import pytest

import galsim_deep

REFERENCE_DATA = Path(os.environ.get(
    "GALSIM_DEEP_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def reference_data():
    """The folder of real galaxies, which are not part of the project."""
    if not REFERENCE_DATA.is_dir():
        pytest.skip(f"the reference data are not at {REFERENCE_DATA}")
    return REFERENCE_DATA


@pytest.fixture(scope="session")
def model():
    return galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")


@pytest.fixture
def table():
    """A catalogue of seven galaxies, all in range."""
    return dict(flux_radius=np.linspace(4.0, 12.0, 7), mag_auto=np.linspace(21.0, 25.0, 7),
                zphot=np.linspace(0.2, 1.5, 7))
