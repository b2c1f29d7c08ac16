"""Indexes: JSON files that say which modules exist and where they can be downloaded.

An index is an object ``{"NAME": {"url": ..., "sha256": ..., "summary": ...}}``.  One is installed
with the package; ``$GALSIM_DEEP_INDEX`` names a further one by its path or URL.
"""

__all__ = ["Index", "installed_folders", "read_indexes"]

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from galsim.errors import galsim_warn

from ..runtime.atomic_files import replace_file
from .cache import cache_dir, explained_errors
from .download import check_sha256, download, is_url, split_url
from .errors import HandleError

Index = dict[str, dict[str, Any]]
"""The entries of an index, by the name of the module."""

MAX_INDEX_BYTES = 2**24
"""Largest size of an index that is downloaded.  An entry has about 300 bytes."""


def installed_folders() -> list[Path]:
    """The folders that contain the modules installed with the package (usually one).

    >>> any((folder / "index.json").is_file() for folder in installed_folders())
    True
    """
    spec = importlib.util.find_spec("galsim_deep.hub_modules")
    # Python started in a clone imports the package from there, whose modules are beside it.
    source_folder = Path(__file__).resolve().parents[2] / "hub_modules"
    folders = spec.submodule_search_locations if spec else [str(source_folder)]
    return [Path(folder) for folder in folders or () if os.path.isdir(folder)]


def read_indexes(offline: bool) -> Iterator[tuple[str, Index]]:
    """Each index with its path or URL.

    The installed one is first, so that no other index can replace a name in it, and so that its
    names never wait for the network.

    Parameters:
        offline:    If True, never use the network.

    Raises a `HandleError` if an index cannot be read.
    """
    for folder in installed_folders():
        if os.path.isfile(folder / "index.json"):
            yield str(folder / "index.json"), _read(folder / "index.json")
    extra_index = os.environ.get("GALSIM_DEEP_INDEX")
    if extra_index and is_url(extra_index):
        yield extra_index, _download(extra_index, offline)
    elif extra_index:
        yield extra_index, _read(Path(extra_index).expanduser())


def _read(path: Path, source: str | None = None) -> Index:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise HandleError(f"The index {source or path} cannot be read: {err}. Correct it, or the "
                          "value of $GALSIM_DEEP_INDEX.") from err
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise HandleError(f"The index {source or path} is not an object of the form "
                          '{"NAME": {"url": ..., "sha256": ...}}. Correct it.')
    return entries


def _download(handle: str, offline: bool) -> Index:
    """Download an index and return its entries.

    If that fails, use the copy that was downloaded last.
    """
    # The last copy lets a module that was downloaded earlier be found by its name when offline.
    last_copy = cache_dir() / "indexes" / (hashlib.sha256(handle.encode()).hexdigest() + ".json")
    if not offline:
        url, sha256 = split_url(handle)
        source = f"The index {url} ($GALSIM_DEEP_INDEX)"
        try:
            with explained_errors(), replace_file(last_copy) as fresh:
                downloaded = download(url, fresh.parent, source, MAX_INDEX_BYTES)
                check_sha256(downloaded, sha256, source)
                entries = _read(downloaded, url)
                os.replace(downloaded, fresh)
            return entries
        except HandleError as err:
            if not os.path.isfile(last_copy):
                raise
            galsim_warn(f"{err} The copy of the index that was downloaded last is used instead.")
    return _read(last_copy, handle) if os.path.isfile(last_copy) else {}
