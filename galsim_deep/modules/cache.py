"""The folder that keeps downloaded and unpacked modules."""

__all__ = ["cache_dir", "cached_module", "explained_errors", "module_place", "scratch_folder"]

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..runtime.atomic_files import WriteError, temporary_folder
from .archive import find_module
from .download import is_sha256
from .errors import HandleError


def cache_dir() -> Path:
    """The folder that keeps what was unpacked or downloaded.  It need not exist yet.

    >>> cache_dir().is_absolute()
    True
    """
    if os.environ.get("GALSIM_DEEP_CACHE"):
        return Path(os.path.abspath(os.path.expanduser(os.environ["GALSIM_DEEP_CACHE"])))
    import pooch

    return Path(pooch.os_cache("galsim-deep"))


def module_place(sha256: str) -> Path:
    """The folder into which the archive with this checksum is unpacked.

    >>> module_place(64 * "a") == cache_dir() / "modules" / (64 * "a")
    True
    """
    return cache_dir() / "modules" / sha256


def cached_module(sha256: str) -> Path | None:
    """The module that was unpacked earlier from the archive with this checksum, or None."""
    # An index may state anything for a checksum, which must not become a path.
    return find_module(module_place(sha256)) if is_sha256(sha256) else None


@contextmanager
def scratch_folder(part: str) -> Iterator[Path]:
    """A temporary folder in a part of the cache, on the same file system as what is kept there.

    Raises a `HandleError` if the cache cannot be written.
    """
    with explained_errors(), temporary_folder(cache_dir() / part) as folder:
        yield folder


@contextmanager
def explained_errors() -> Iterator[None]:
    """Turn the error that the cache cannot be written into a `HandleError` that says what to do."""
    try:
        yield
    except WriteError as err:
        raise HandleError(f"{err} The cache folder is {cache_dir()}; name another one in "
                          "$GALSIM_DEEP_CACHE.") from err
