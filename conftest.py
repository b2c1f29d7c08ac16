"""Names that the examples in docstrings use without importing them."""

import galsim
import numpy as np
import pytest

import galsim_deep


@pytest.fixture(autouse=True)
def names_in_examples(doctest_namespace):
    doctest_namespace.update(galsim=galsim, galsim_deep=galsim_deep, np=np)
