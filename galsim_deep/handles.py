"""From a handle to the local folder of a module.

A handle is ``hub:NAME``, a folder, a ``.tar.gz`` (or ``.tgz``) file, or an http(s) URL of one.
`resolve` turns each of them into a folder that holds ``assets/galsim_module.json``. Whatever has
to be downloaded is checked against a sha256 before it is unpacked, and is unpacked only once.  An
archive may come from anybody: only plain files and folders are unpacked, within the limits below.

==========================  ========================================================================
``$GALSIM_DEEP_PATH``       folders of modules, looked into first for ``hub:NAME``
``$GALSIM_DEEP_CACHE``      where archives are unpacked (default: the user's cache folder)
``$GALSIM_DEEP_INDEX``      a further index: path or URL of a JSON file
                            ``{"NAME": {"url": ..., "sha256": ..., "summary": ...}}``
``$GALSIM_DEEP_OFFLINE``    anything but empty, 0 or false: never touch the network
==========================  ========================================================================
"""

__all__ = ["resolve", "available", "cache_dir", "installed_path", "HandleError", "stays_inside",
           "MAX_MODULE_BYTES"]

import difflib
import gzip
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urldefrag

from galsim.errors import GalSimError, GalSimValueError, galsim_warn

_CARD = "assets/galsim_module.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https?://", re.IGNORECASE)
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of the answer

MAX_MODULE_BYTES = 2 * 2**30
"""Largest size of all files of a module together, and of its archive before and after gzip. The
shipped modules have up to 7 MB. Without a limit a small archive can fill the disk."""
MAX_MEMBERS = 1000
"""Most files and folders in an archive. A module has about ten."""
MAX_PATH_LENGTH = 200
"""Most characters of a path in an archive. A path of a module has about 40; Windows allows 260, and
beyond 4096 bytes `os.path.realpath`, on which tarfile's own filter relies, fails on Linux."""
MAX_PATH_DEPTH = 10
"""Most parts of a path in an archive. A path of a module has up to three."""
_PIECE = 2**14
"""Most bytes that tarfile may read at once. It copies files in such pieces, but takes a header of
any size as a whole and, before Python 3.11.10 and 3.12.6, searches it in quadratic time."""


class HandleError(GalSimError, OSError):
    """A handle that is well formed, but whose module cannot be found, fetched or unpacked."""

    def __repr__(self):
        return f"galsim_deep.handles.HandleError({str(self)!r})"

    def __reduce__(self):
        # tblib, which Dask brings along, pickles errors its own way, and fails with two bases.
        return HandleError, self.args


def resolve(handle, sha256=None, offline=None):
    """Find the local folder of a module, downloading and unpacking it if it has to be.

    ``hub:NAME`` is looked for in ``$GALSIM_DEEP_PATH``, among the modules installed with the
    package, and in the index, in this order.  What the index names is taken from the cache where it
    has been fetched before.

    Parameters:
        handle:     ``hub:NAME``, a folder, a ``.tar.gz`` file, or an http(s) URL of one, which may
                    end in ``#sha256=HEX``. A `pathlib.Path` is always a folder or a file.
        sha256:     The checksum of the archive, 64 hexadecimal digits. A URL needs it, here or in
                    the URL. A folder has no archive to check, so giving one with it is an error.
                    [default: None]
        offline:    Whether to keep off the network; None asks ``$GALSIM_DEEP_OFFLINE``.
                    [default: None]

    Returns:
        the folder, a `pathlib.Path` (absolute).

    Raises:
        GalSimValueError:   The handle, the name or a checksum is malformed, unknown or missing.
        HandleError:        A file is missing or broken, or could not be fetched. Nothing of it is
                            left in the cache.
    """
    if sha256 is not None:
        sha256 = _checksum(sha256, handle)
    if isinstance(handle, str) and handle.startswith("hub:"):
        return _from_hub(handle.removeprefix("hub:"), sha256, _is_offline(offline))
    if isinstance(handle, str) and _URL.match(handle):
        url, stated = _split_url(handle)
        sha256 = _agreed(sha256, stated, handle)
        if sha256 is None:
            raise GalSimValueError(
                "A download needs a checksum. Give that of the archive as sha256='HEX', "
                "or at the end of the URL as '#sha256=HEX'.", handle)
        return _from_url(url, sha256, _is_offline(offline), url)
    return _from_path(Path(os.path.abspath(os.path.expanduser(handle))), sha256)


def available(offline=None):
    """List the modules that ``hub:NAME`` can reach, in the order in which they are looked for.

    Parameters:
        offline:    Whether to keep off the network; None asks ``$GALSIM_DEEP_OFFLINE``.
                    [default: None]

    Returns:
        a dict from each name to its folder, or to None if it is in an index but not yet fetched.
    """
    found = {}
    for folder in _search_path():
        for module in sorted(card.parents[1] for card in folder.glob(f"*/{_CARD}")):
            if _NAME.fullmatch(module.name):
                found.setdefault(module.name, module)
    try:
        for _, entries in _indexes(_is_offline(offline)):
            for name, entry in entries.items():
                found.setdefault(name, _cached(str(entry.get("sha256")).lower()))
    except HandleError as err:
        galsim_warn(f"{err} Only modules on this machine are listed.")
    return found


def cache_dir():
    """Return the folder that holds what was unpacked or fetched. It need not exist yet."""
    if os.environ.get("GALSIM_DEEP_CACHE"):
        return Path(os.path.abspath(os.path.expanduser(os.environ["GALSIM_DEEP_CACHE"])))
    import pooch

    return Path(pooch.os_cache("galsim-deep"))


def installed_path():
    """Return the list of folders of the modules installed with the package; often just one."""
    spec = importlib.util.find_spec("galsim_deep.hub_modules")
    # Python started in a clone imports the package from there, whose modules are beside it.
    beside = Path(__file__).resolve().parents[1] / "hub_modules"
    places = spec.submodule_search_locations if spec else [beside]
    return [Path(place) for place in places if os.path.isdir(place)]


# ---- the kinds of handle --------------------------------------------------------------------


def _from_hub(name, sha256, offline):
    if not _NAME.fullmatch(name):
        raise GalSimValueError(
            "After 'hub:' comes the plain name of a module: letters, digits, '.', '_' and '-', "
            "beginning with a letter or a digit.", f"hub:{name}")
    for folder in _search_path():
        if _is_module(folder / name):
            return _from_path(folder / name, sha256)
    bundled = None
    for source, entries in _indexes(offline):
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


def _from_entry(name, entry, sha256, offline, source):
    url, stated = entry["url"], entry.get("sha256")
    where = f"hub:{name} in the index {source}"
    if not isinstance(url, str) or not _URL.match(url):
        raise GalSimValueError(f"{where}: its url is not an http(s) URL. Correct the index.", url)
    if not stated:
        raise GalSimValueError(
            f"{where}: it has a url but no sha256, so the download could not be checked. "
            "Add the sha256 of the archive to the index.", url)
    sha256 = _agreed(sha256, _checksum(stated, where), where)
    return _from_url(url, sha256, offline, f"hub:{name} ({url})")


def _from_url(url, sha256, offline, what):
    found = _cached(sha256)
    if found is None:
        if offline:
            raise HandleError(
                f"{what} is not in the cache {cache_dir()} and was not fetched, because the "
                "offline switch is on. Unset $GALSIM_DEEP_OFFLINE or pass offline=False to fetch "
                "it, or bring the archive here by other means and give its path.")
        with _scratch("modules") as scratch:
            archive = _download(url, scratch, what)
            _verify(_digest(archive), sha256, what)
            found = _unpack(archive, sha256, scratch, what)
    return found


def _from_path(path, sha256):
    if path.name.lower().endswith((".tar.gz", ".tgz")) and os.path.isfile(path):
        actual = _digest(path)
        _verify(actual, sha256, str(path))
        found = _cached(actual)
        if found is None:
            with _scratch("modules") as scratch:
                found = _unpack(path, actual, scratch, path)
        return found
    if not os.path.isdir(path):
        problem = "is not a .tar.gz" if os.path.exists(path) else "does not exist"
        meant = f" Did you mean hub:{path.name}?" if path.name in available(offline=True) else ""
        raise HandleError(f"{path} {problem}.{meant} A handle is hub:NAME, the folder of a module, "
                          "a .tar.gz file, or an http(s) URL of one.")
    if not _is_module(path):
        raise HandleError(f"{path} is not the folder of a module: it lacks {_CARD}. Give the "
                          "folder into which the module was exported.")
    if sha256 is not None:
        raise GalSimValueError(
            f"{path} is a folder, and sha256 is the checksum of an archive: it cannot be checked. "
            "Leave sha256 out (the card holds the checksum of each file).", sha256)
    return path


# ---- places ---------------------------------------------------------------------------------


def _search_path():
    """The folders that hold folders of modules, in the order of the search."""
    named = os.environ.get("GALSIM_DEEP_PATH", "").split(os.pathsep)
    named = [Path(os.path.abspath(os.path.expanduser(folder))) for folder in named if folder]
    return named + installed_path()


def _is_module(folder):
    return os.path.isfile(folder / _CARD)


def _module_in(folder):
    """The module in an unpacked archive: at its root, or in its one top folder; else None."""
    if _is_module(folder):
        return folder
    inner = [card.parents[1] for card in folder.glob(f"*/{_CARD}")]
    return inner[0] if len(inner) == 1 else None


def _cached(sha256):
    """The module unpacked earlier from the archive of this checksum, or None."""
    # An index is not to be trusted to hold a checksum: anything else must not become a path.
    return _module_in(cache_dir() / "modules" / sha256) if _SHA256.fullmatch(sha256) else None


@contextmanager
def _scratch(part):
    """A temporary folder beside what is kept in this part of the cache, gone in the end."""
    parent = cache_dir() / part
    try:
        parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=".tmp-", dir=parent)
    except OSError as err:
        raise HandleError(f"The cache folder {parent} cannot be written ({err}). Name one that can "
                          "be in $GALSIM_DEEP_CACHE.") from err
    with scratch as name:
        yield Path(name)


def _unknown(name):
    known = list(available(offline=True))  # an index that has a URL was fetched a moment ago
    lower = {other.lower(): other for other in known}
    near = [lower[other] for other in difflib.get_close_matches(name.lower(), lower)]
    halves = [str(folder / name) for folder in _search_path() if os.path.isdir(folder / name)]
    places = [*map(str, _search_path()), f"the cache {cache_dir()}",
              *(f"the index {source}" for source, _ in _indexes(offline=True))]
    return GalSimValueError(
        "No module of this name."
        + (f" Did you mean {' or '.join(near)}?" if near else "")
        + "".join(f" {half} is there, but lacks {_CARD}." for half in halves)
        + f" Looked in: {', '.join(places)}. Further places are named in $GALSIM_DEEP_PATH and "
        "$GALSIM_DEEP_INDEX.", f"hub:{name}", known)


# ---- indexes --------------------------------------------------------------------------------


def _indexes(offline):
    """Yield (source, entries) of each index. The shipped one is first, so that no other can
    stand in for a name in it, and so that its names never wait for the network."""
    for folder in installed_path():
        if os.path.isfile(folder / "index.json"):
            yield str(folder / "index.json"), _read_index(folder / "index.json")
    further = os.environ.get("GALSIM_DEEP_INDEX")
    if further and _URL.match(further):
        yield further, _remote_index(further, offline)
    elif further:
        yield further, _read_index(Path(further).expanduser())


def _read_index(path, source=None):
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise HandleError(f"The index {source or path} cannot be read: {err}. Correct it, or the "
                          "place named in $GALSIM_DEEP_INDEX.") from err
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise HandleError(f"The index {source or path} is not an object of the form "
                          '{"NAME": {"url": ..., "sha256": ...}}. Correct it.')
    return entries


def _remote_index(handle, offline):
    """The entries of an index at a URL: as it is now or, when it cannot be had, as it was last."""
    # The last copy is what lets a module fetched earlier be found by its name when offline.
    last = cache_dir() / "indexes" / (hashlib.sha256(handle.encode()).hexdigest() + ".json")
    if not offline:
        url, sha256 = _split_url(handle)
        try:
            with _scratch("indexes") as scratch:
                fresh = _download(url, scratch, f"The index {url} ($GALSIM_DEEP_INDEX)")
                _verify(_digest(fresh), sha256, f"The index {url} ($GALSIM_DEEP_INDEX)")
                entries = _read_index(fresh, url)
                # The download is readable by its owner alone; a cache may be shared.
                os.replace(shutil.copyfile(fresh, scratch / "index.json"), last)
                return entries
        except HandleError as err:
            if not os.path.isfile(last):
                raise
            galsim_warn(f"{err} Using the copy of the index fetched last.")
    return _read_index(last, handle) if os.path.isfile(last) else {}


# ---- checksums, downloads, archives ---------------------------------------------------------


def _is_offline(offline):
    if offline is None:
        value = os.environ.get("GALSIM_DEEP_OFFLINE", "")
        return value.strip().lower() not in ("", "0", "false")
    return bool(offline)


def _checksum(text, where):
    sha256 = str(text).strip().lower()
    if not _SHA256.fullmatch(sha256):
        raise GalSimValueError(f"{where}: a sha256 has 64 hexadecimal digits.", text)
    return sha256


def _split_url(handle):
    """Split ``URL#sha256=HEX`` into the URL and the checksum, which is None if not stated."""
    url, fragment = urldefrag(handle)
    stated = parse_qs(fragment, keep_blank_values=True).get("sha256")
    return url, _checksum(stated[0], url) if stated else None


def _agreed(given, stated, where):
    if given and stated and given != stated:
        raise GalSimValueError(
            f"{where}: the argument sha256 disagrees with the checksum stated there, {stated}. "
            "Find out which one is right and leave the other out.", given)
    return given or stated


def _digest(path):
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= MAX_MODULE_BYTES:
                return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise HandleError(f"{path} cannot be read: {err}.") from err
    raise HandleError(f"{path} has {size} bytes, and a module has no more than {MAX_MODULE_BYTES}. "
                      "Give the archive of a module.")


def _verify(actual, expected, what):
    if expected is not None and actual != expected:
        raise HandleError(
            f"{what} has sha256 {actual} where {expected} was expected, so it was not used. It is "
            "damaged, or not the file that was meant: get it again, or correct the checksum.")


def _download(url, folder, what):
    """Fetch a URL into a folder and return the path. The caller checks what came."""
    import pooch

    # Some servers would send a .tar.gz unpacked, which has another checksum.
    downloader = pooch.HTTPDownloader(
        timeout=_TIMEOUT, chunk_size=2**18, headers={"Accept-Encoding": "identity"})
    try:
        with _quiet(pooch.get_logger()):
            return Path(pooch.retrieve(url, None, "download", folder, downloader=downloader))
    except (OSError, ValueError) as err:  # requests' own errors are OSErrors
        raise HandleError(
            f"{what} could not be downloaded: {_reason(err)}. Check the address and the "
            "connection and try again, or set GALSIM_DEEP_OFFLINE=1 to use only what is already "
            "here.") from err


@contextmanager
def _quiet(logger):
    """Drop what this thread logs; a level would also be changed for the others."""
    this = threading.get_ident()

    def others(record):
        return record.thread != this

    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)


def _reason(err):
    from requests import exceptions

    if isinstance(err, exceptions.HTTPError):
        return f"the server answered {err.response.status_code} {err.response.reason}"
    if isinstance(err, exceptions.Timeout):
        return f"no answer in time ({_TIMEOUT[0]} s to connect, {_TIMEOUT[1]} s to answer)"
    if isinstance(err, exceptions.ChunkedEncodingError):
        return "the connection ended before the whole file had come (truncated)"
    if isinstance(err, exceptions.ConnectionError):
        return f"the host cannot be reached, or broke off ({err})"
    return f"{type(err).__name__}: {err}"


def stays_inside(path: str) -> bool:
    """Whether a relative path, with "/" between its parts, stays inside its folder on any system.

    Backslashes and colons separate folders and drives on Windows.  Control characters could also
    change what a terminal shows.
    """
    return (path.isprintable() and not path.startswith("/") and not {"\\", ":"} & {*path}
            and ".." not in path.split("/"))


class _BoundedReader(io.RawIOBase):
    """Reads a stream forward, at most `MAX_MODULE_BYTES` in all and `_PIECE` at once.

    tarfile decides by the headers of an archive how much it reads and where it goes; with this it
    can neither fill the memory nor go round in a circle (CVE-2025-8194), whatever they say.
    """

    def __init__(self, stream: gzip.GzipFile):
        self._stream, self._position = stream, 0

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _PIECE:
            raise tarfile.FilterError(f"it has a header of {size} bytes, which no module needs")
        data = self._stream.read(size)
        self._position += len(data)
        if self._position > MAX_MODULE_BYTES:
            raise tarfile.FilterError(f"it unpacks to more than {MAX_MODULE_BYTES} bytes")
        return data

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or position < self._position:
            raise tarfile.FilterError("its headers lead backwards")
        while self._position < position and self.read(min(position - self._position, _PIECE)):
            pass
        return self._position


class _PlainFilesFilter:
    """An extraction filter for one archive: plain files and folders alone, within the limits.

    `tarfile.data_filter` does not suffice.  Before Python 3.11.13, 3.12.11 and 3.13.4 links lead it
    astray, so that an archive writes any file of the user (CVE-2025-4517), and it has no limits.
    Where there are no links and no "..", in a new folder, a path cannot leave that folder.
    https://docs.python.org/3/library/tarfile.html#tarfile-further-verification
    """

    def __init__(self):
        self._members = self._bytes = 0

    def __call__(self, member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
        self._members += 1
        self._bytes += member.size
        fault = self._fault(member)
        if fault is not None:
            raise tarfile.FilterError(f"{member.name[:MAX_PATH_LENGTH]!r} in it {fault}")
        return tarfile.data_filter(member, folder)

    def _fault(self, member: tarfile.TarInfo) -> str | None:
        """What is wrong with the member, or None."""
        if not (member.isreg() or member.isdir()) or member.issparse():
            return "is a link, a device or a sparse file, not a plain file or folder"
        if not stays_inside(member.name):
            return "could leave the folder of the module, or has unprintable characters in its name"
        if len(member.name) > MAX_PATH_LENGTH or member.name.count("/") >= MAX_PATH_DEPTH:
            return (f"has a path of more than {MAX_PATH_LENGTH} characters or {MAX_PATH_DEPTH} "
                    "parts")
        if member.size < 0:
            return "has a negative size"
        if self._bytes > MAX_MODULE_BYTES:
            return f"brings the size of all files to more than {MAX_MODULE_BYTES} bytes"
        if self._members > MAX_MEMBERS:
            return f"comes after {MAX_MEMBERS} others, the most that there may be"
        return None


def _extract(archive: Path, folder: Path) -> None:
    """Unpack an archive, which may hold anything, into a new folder."""
    with gzip.open(archive) as stream:
        reader = _BoundedReader(stream)
        with tarfile.TarFile(fileobj=reader, errorlevel=1, copybufsize=_PIECE) as tar:
            tar.extractall(folder, filter=_PlainFilesFilter())
        while reader.read(_PIECE):  # tarfile stops before the end, where gzip has its checksum
            pass


def _unpack(archive, sha256, scratch, source):
    """Unpack an archive whose checksum is right, and move the result into its place at once."""
    fresh, target = scratch / "module", cache_dir() / "modules" / sha256
    try:
        fresh.mkdir()
        _extract(archive, fresh)
    except Exception as err:  # tarfile lets errors of many kinds out where headers are damaged
        reason = err if isinstance(err, tarfile.FilterError) else f"{type(err).__name__}: {err}"
        raise HandleError(
            f"{source} cannot be unpacked into {target.parent}: {reason}. Get a whole archive from "
            "the maker of the module, made by tar and gzip of plain files and folders alone (tar "
            "--dereference stores files in the place of links), and see that the disk is not full."
        ) from err
    if _module_in(fresh) is None:
        raise HandleError(f"{source} is not the archive of a module: {_CARD} is neither at its "
                          "root nor in one top folder.")
    try:
        if os.path.exists(target) and _cached(sha256) is None:
            os.replace(target, scratch / "damaged")  # a cleaner of old files took the card
        os.replace(fresh, target)
    except OSError as err:
        if _cached(sha256) is None:  # otherwise another process was first, with the same files
            raise HandleError(f"{target} cannot be written: {err}. Name another cache folder in "
                              "$GALSIM_DEEP_CACHE.") from err
    return _cached(sha256)
