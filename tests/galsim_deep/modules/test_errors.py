"""The error of handles: as GalSim's, and as a file that cannot be read."""

import copy
import pickle
import subprocess
import sys

import galsim
import pytest

from galsim_deep.modules import HandleError


def test_both_kinds_of_error():
    for kind in (galsim.GalSimError, OSError):
        with pytest.raises(kind, match="a.tar.gz"):
            raise HandleError("a.tar.gz does not exist.")


def test_repr():
    error = HandleError("fault")
    assert str(error) == "fault" and repr(error) == "galsim_deep.modules.HandleError('fault')"


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copies(copied):
    error = copied(HandleError("fault"))
    assert type(error) is HandleError and error.args == ("fault",)


@pytest.mark.long
def test_errors_reach_the_client_of_dask():
    script = """
import pickle, sys
import distributed, tblib.pickling_support
tblib.pickling_support.install()  # as Dask's workers do
from galsim_deep.modules import HandleError
try:
    try:
        raise ValueError("cause")
    except ValueError as cause:
        raise HandleError("fault") from cause
except HandleError as error:
    assert pickle.loads(pickle.dumps(error)) == error
"""
    subprocess.run([sys.executable, "-c", script], check=True)
