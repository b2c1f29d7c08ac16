"""The error of handles that are well formed, but lead to nothing."""

__all__ = ["HandleError"]

from collections.abc import Callable
from typing import Any

from galsim import GalSimError


class HandleError(GalSimError, OSError):
    """What a handle names cannot be found, downloaded or unpacked, although it is well formed.

    >>> HandleError("nothing.tar.gz does not exist.")
    galsim_deep.modules.HandleError('nothing.tar.gz does not exist.')
    """

    def __repr__(self) -> str:
        return f"galsim_deep.modules.HandleError({str(self)!r})"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # tblib, which Dask uses to pickle errors, fails for classes with two bases.
        return HandleError, self.args
