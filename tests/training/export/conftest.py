"""What the tests of the export share."""

import pytest

from galsim_deep.modules.module import load


@pytest.fixture(scope="session")
def module(module_folder):
    """The module of ``recipe``, the one that models share: its graphs are loaded once."""
    return load(module_folder)
