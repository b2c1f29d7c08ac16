"""Resolve handles to local folders of modules.

A handle is ``hub:NAME``, a folder, a ``.tar.gz`` (or ``.tgz``) file, or an http(s) URL of one.
`resolve` turns each of them into a folder that holds ``assets/galsim_module.json``.  Downloads are
compared with a sha256 before they are unpacked, and are unpacked only once.  The content of the
cache is not compared again, and an index is compared only if its URL states a sha256.  So only you
should be able to write to the cache, and the URL of an index should begin with https.

==========================  ========================================================================
``$GALSIM_DEEP_PATH``       folders of modules, searched first for ``hub:NAME``
``$GALSIM_DEEP_CACHE``      where archives are unpacked (default: the user's cache folder)
``$GALSIM_DEEP_INDEX``      a further index: path or URL of a JSON file
                            ``{"NAME": {"url": ..., "sha256": ..., "summary": ...}}``
``$GALSIM_DEEP_OFFLINE``    anything but empty, 0 or false: never use the network
==========================  ========================================================================
"""

__all__ = ["available", "command_line_handle", "resolve"]

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galsim.errors import GalSimValueError, galsim_warn

from .archive import CARD_PATH, NAME_PATTERN, is_module, unpack
from .cache import cache_dir, cached_module, explained_errors, module_place, scratch_folder
from .download import check_sha256, download, is_offline, is_url, parse_sha256, split_url
from .errors import HandleError
from .index import installed_folders, read_indexes

_NAME = re.compile(NAME_PATTERN)


def resolve(handle: str | os.PathLike, sha256: str | None = None,
            offline: bool | None = None) -> Path:
    """Find the local folder of a module; download and unpack it if necessary.

    ``hub:NAME`` is searched for in ``$GALSIM_DEEP_PATH``, among the modules installed with the
    package, and in the indexes, in this order.  A module named in an index is taken from the cache
    if it was downloaded before.

    Parameters:
        handle:     ``hub:NAME``, a folder, a ``.tar.gz`` file, or an http(s) URL of one, which may
                    end in ``#sha256=HEX``.  A `pathlib.Path` is always a folder or a file.
        sha256:     The checksum of the archive, 64 hexadecimal digits.  A URL needs it, here or in
                    the URL.  A folder has no archive to check, so giving one with it is an error.
                    [default: None]
        offline:    If True, never use the network.  [default: None, which means that
                    ``$GALSIM_DEEP_OFFLINE`` determines it]

    Returns:
        the folder (absolute).

    Raises:
        GalSimValueError:   The handle, the name or a checksum is malformed, unknown or missing.
        HandleError:        A file is missing or broken, or could not be downloaded.  Nothing of it
                            is left in the cache.

    >>> resolve("hub:acs_flow_vae").name
    'acs_flow_vae'
    """
    if sha256 is not None:
        sha256 = parse_sha256(sha256, handle)
    if isinstance(handle, str) and handle.startswith("hub:"):
        return _from_hub(handle.removeprefix("hub:"), sha256, is_offline(offline))
    if isinstance(handle, str) and is_url(handle):
        url, stated = split_url(handle)
        sha256 = _agreed(sha256, stated, handle)
        if sha256 is None:
            raise GalSimValueError(
                "A download needs a checksum. Give that of the archive as sha256='HEX', "
                "or at the end of the URL as '#sha256=HEX'.", handle)
        return _from_url(url, sha256, is_offline(offline), url)
    return _from_path(Path(os.path.abspath(os.path.expanduser(handle))), sha256)


def available(offline: bool | None = None) -> dict[str, Path | None]:
    """List the modules that can be opened as ``hub:NAME``, in the order of the search.

    Parameters:
        offline:    If True, never use the network.  [default: None, which means that
                    ``$GALSIM_DEEP_OFFLINE`` determines it]

    Returns:
        the folder of each module by its name; None if it is in an index but not yet downloaded.

    >>> "acs_flow_vae" in available(offline=True)
    True
    """
    modules: dict[str, Path | None] = {}
    for folder in _search_path():
        for module in sorted(card.parents[1] for card in folder.glob(f"*/{CARD_PATH}")):
            if _NAME.fullmatch(module.name):
                modules.setdefault(module.name, module)
    try:
        for _, entries in read_indexes(is_offline(offline)):
            for name, entry in entries.items():
                sha256 = entry.get("sha256")
                modules.setdefault(
                    name, cached_module(sha256.lower()) if isinstance(sha256, str) else None)
    except HandleError as err:
        galsim_warn(f"{err} Only modules on this machine are listed.")
    return modules


def _search_path() -> list[Path]:
    """The folders that hold folders of modules, in the order of the search."""
    named = os.environ.get("GALSIM_DEEP_PATH", "").split(os.pathsep)
    return [Path(os.path.abspath(os.path.expanduser(folder)))
            for folder in named if folder] + installed_folders()


# ---- the kinds of handle --------------------------------------------------------------------


def _from_hub(name: str, sha256: str | None, offline: bool) -> Path:
    if not _NAME.fullmatch(name):
        raise GalSimValueError(
            "After 'hub:' comes the plain name of a module: letters, digits, '.', '_' and '-', "
            "beginning with a letter or a digit.", f"hub:{name}")
    for folder in _search_path():
        if is_module(folder / name):
            return _from_path(folder / name, sha256)
    bundled = None
    for source, entries in read_indexes(offline):
        entry = entries.get(name, {})
        if entry.get("url") is not None:
            return _from_entry(name, entry, sha256, offline, source)
        if name in entries:
            bundled = source
    if bundled is not None:
        raise HandleError(
            f"hub:{name}: the index {bundled} says that this module comes with the package, but "
            f"it is not installed here. Install galsim-deep with its modules, or put the folder "
            f"{name} into a folder named in $GALSIM_DEEP_PATH.")
    raise _unknown(name)


def _from_entry(name: str, entry: Mapping[str, Any], sha256: str | None, offline: bool,
                source: str) -> Path:
    url, stated = entry["url"], entry.get("sha256")
    where = f"hub:{name} in the index {source}"
    if not isinstance(url, str) or not is_url(url):
        raise GalSimValueError(f"{where}: its url is not an http(s) URL. Correct the index.",
                               url if isinstance(url, str) else type(url).__name__)
    if not stated:
        raise GalSimValueError(
            f"{where}: it has a url but no sha256, so the download could not be checked. "
            "Add the sha256 of the archive to the index.", url)
    agreed = _agreed(sha256, parse_sha256(stated, where), where)
    assert agreed is not None  # since one is stated
    return _from_url(url, agreed, offline, f"hub:{name} ({url})")


def _from_url(url: str, sha256: str, offline: bool, source: str) -> Path:
    module = cached_module(sha256)
    if module is None:
        if offline:
            raise HandleError(
                f"{source} is not in the cache {cache_dir()} and was not downloaded, because the "
                "offline switch is on. Unset $GALSIM_DEEP_OFFLINE or pass offline=False to "
                "download it, or copy the archive to this machine and give its path.")
        with scratch_folder("modules") as scratch:
            archive = download(url, scratch, source)
            check_sha256(archive, sha256, source)
            module = _unpacked(archive, sha256, source)
    return module


def _from_path(path: Path, sha256: str | None) -> Path:
    if path.name.lower().endswith((".tar.gz", ".tgz")) and os.path.isfile(path):
        actual = check_sha256(path, sha256, path)
        module = cached_module(actual)
        return _unpacked(path, actual, path) if module is None else module
    if not os.path.isdir(path):
        problem = "is not a .tar.gz" if os.path.exists(path) else "does not exist"
        meant = f" Did you mean hub:{path.name}?" if path.name in available(offline=True) else ""
        raise HandleError(f"{path} {problem}.{meant} A handle is hub:NAME, the folder of a module, "
                          "a .tar.gz file, or an http(s) URL of one.")
    if not is_module(path):
        raise HandleError(f"{path} is not the folder of a module: it lacks {CARD_PATH}. Give the "
                          "folder into which the module was exported.")
    if sha256 is not None:
        raise GalSimValueError(
            f"{path} is a folder, and sha256 is the checksum of an archive: it cannot be checked. "
            "Leave sha256 out (the card holds the checksum of each file).", sha256)
    return path


def _unpacked(archive: Path, sha256: str, source: object) -> Path:
    """The module in an archive whose checksum was compared, unpacked into the cache."""
    with explained_errors():
        unpack(archive, module_place(sha256), source)
    module = cached_module(sha256)
    assert module is not None  # or `unpack` would have raised an error
    return module


def _agreed(argument: str | None, stated: str | None, where: object) -> str | None:
    """The checksum, from the argument or from the handle or index that states it."""
    if argument and stated and argument != stated:
        raise GalSimValueError(
            f"{where}: the argument sha256 disagrees with the checksum stated there, {stated}. "
            "Find out which one is right and leave the other out.", argument)
    return argument or stated


def _unknown(name: str) -> GalSimValueError:
    names = list(available(offline=True))  # an index that has a URL was downloaded a moment ago
    lower = {other.lower(): other for other in names}
    near = [lower[other] for other in difflib.get_close_matches(name.lower(), lower)]
    incomplete = [str(folder / name) for folder in _search_path() if os.path.isdir(folder / name)]
    searched = [*map(str, _search_path()), f"the cache {cache_dir()}",
              *(f"the index {source}" for source, _ in read_indexes(offline=True))]
    return GalSimValueError(
        "No module of this name."
        + (f" Did you mean {' or '.join(near)}?" if near else "")
        + "".join(f" The folder {folder} exists but has no {CARD_PATH}." for folder in incomplete)
        + f" Searched: {', '.join(searched)}. Add folders with $GALSIM_DEEP_PATH, or an index with "
        "$GALSIM_DEEP_INDEX.", f"hub:{name}", names)


def command_line_handle(text: str) -> str:
    """Convert a module name or handle given on the command line to a handle.

    A plain name is short for ``hub:NAME``, unless the current folder has a module of that name.

    >>> command_line_handle("first_mpcc")
    'hub:first_mpcc'
    """
    path = Path(text)
    plain = len(path.parts) == 1 and ":" not in text and not text.endswith((".tar.gz", ".tgz"))
    return f"hub:{text}" if plain and not (path / CARD_PATH).is_file() else text
