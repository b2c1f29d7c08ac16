"""Unpacking the archive of a module, which may come from anybody.

Only plain files and folders are unpacked, within the limits below.
"""

__all__ = ["CARD_PATH", "MAX_MODULE_BYTES", "NAME_PATTERN", "find_module", "is_module",
           "is_safe_path", "unpack"]

import gzip
import io
import os
import tarfile
from pathlib import Path

from ..runtime.atomic_files import replace_folder
from .errors import HandleError

CARD_PATH = "assets/galsim_module.json"
"""The path of the card in the folder of a module, by which such a folder is recognised."""

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Regular expression for names of modules.  It allows only names that are valid folder names on all
systems."""

MAX_MODULE_BYTES = 2 * 2**30
"""Largest size of all files of a module together, and of its archive before and after gzip.  The
shipped modules have up to 7 MB.  Without a limit a small archive can fill the disk."""
MAX_MEMBERS = 1000
"""Largest number of files and folders in an archive.  A module has about ten."""
MAX_PATH_LENGTH = 200
"""Largest number of characters of a path in an archive.  A path of a module has about 40; Windows
allows 260, and beyond 4096 bytes `os.path.realpath`, on which tarfile's own filter relies, fails on
Linux."""
MAX_PATH_DEPTH = 10
"""Largest number of parts of a path in an archive.  A path of a module has up to three."""

_PIECE = 2**14
"""Largest number of bytes that tarfile may read at once.  It copies files in such pieces, but takes
a header of any size as a whole and, before Python 3.11.10 and 3.12.6, searches it in quadratic
time."""


def is_module(folder: Path) -> bool:
    """Whether a folder is that of a module.

    >>> from galsim_deep.modules.resolve import resolve
    >>> is_module(resolve("hub:acs_flow_vae")), is_module(Path("/nowhere"))
    (True, False)
    """
    return os.path.isfile(folder / CARD_PATH)


def find_module(folder: Path) -> Path | None:
    """The module in an unpacked archive: at its root, or in its one top folder; else None."""
    if is_module(folder):
        return folder
    inner = [card.parents[1] for card in folder.glob(f"*/{CARD_PATH}")]
    return inner[0] if len(inner) == 1 else None


def is_safe_path(path: str) -> bool:
    """Whether a relative path, with "/" between its parts, stays inside its folder on any system.

    Backslashes and colons separate folders and drives on Windows.  Control characters could also
    change what a terminal shows.

    >>> is_safe_path("assets/probe.npz"), is_safe_path("../probe.npz")
    (True, False)
    """
    return (path.isprintable() and not path.startswith("/") and not {"\\", ":"} & {*path}
            and ".." not in path.split("/"))


def unpack(archive: Path, target: Path, source: object) -> None:
    """Unpack the archive of a module, and move it to its target when it is complete.

    Parameters:
        archive:    The archive, made by tar and gzip.  It may hold anything.
        target:     The folder for the content of the archive.  A module that is there already, from
                    another process, stays.
        source:     What to call the archive in messages.

    Raises:
        HandleError:    The archive is damaged, leaves its folder, exceeds a limit or holds no
                        module.
        WriteError:     The target cannot be written (`galsim_deep.runtime.atomic_files`).
    """
    with replace_folder(target, keep=lambda folder: find_module(folder) is not None) as fresh:
        try:
            _extract(archive, fresh)
        except Exception as err:  # tarfile lets errors of many kinds out if headers are damaged
            reason = err if isinstance(err, tarfile.FilterError) else f"{type(err).__name__}: {err}"
            raise HandleError(
                f"{source} cannot be unpacked into {target.parent}: {reason}. Get a whole archive "
                "from the maker of the module, made by tar and gzip of only plain files and "
                "folders (tar --dereference stores files in the place of links), and see that the "
                "disk is not full.") from err
        if find_module(fresh) is None:
            raise HandleError(f"{source} is not the archive of a module: {CARD_PATH} is neither at "
                              "its root nor in one top folder.")


def _extract(archive: Path, folder: Path) -> None:
    """Unpack an archive into a new folder."""
    with gzip.open(archive) as stream:
        reader = _BoundedReader(stream)
        with tarfile.TarFile(fileobj=reader, errorlevel=1, copybufsize=_PIECE) as tar:
            tar.extractall(folder, filter=_PlainFilesFilter())
        while reader.read(_PIECE):  # tarfile stops before the end, where gzip has its checksum
            pass


class _BoundedReader(io.RawIOBase):
    """Reads a stream forward, at most `MAX_MODULE_BYTES` in all and `_PIECE` at once.

    The headers of an archive tell tarfile how much to read and where to go.  This reader
    limits both, so that damaged headers can neither exhaust the memory nor cause an endless loop
    (CVE-2025-8194).
    """

    def __init__(self, stream: gzip.GzipFile) -> None:
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
            raise tarfile.FilterError("a header refers to data before the current position")
        while self._position < position and self.read(min(position - self._position, _PIECE)):
            pass
        return self._position


class _PlainFilesFilter:
    """An extraction filter for one archive: only plain files and folders, within the limits.

    `tarfile.data_filter` does not suffice.  Before Python 3.11.13, 3.12.11 and 3.13.4 links lead it
    astray, so that an archive can write any file of the user (CVE-2025-4517), and it has no limits.
    Without links and "..", a path cannot leave a new folder.
    https://docs.python.org/3/library/tarfile.html#tarfile-further-verification
    """

    def __init__(self) -> None:
        self._members = self._bytes = 0

    def __call__(self, member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
        self._members += 1
        self._bytes += member.size
        fault = self._fault(member)
        if fault is not None:
            raise tarfile.FilterError(f"{member.name[:MAX_PATH_LENGTH]!r} in it {fault}")
        return tarfile.data_filter(member, folder)

    def _fault(self, member: tarfile.TarInfo) -> str | None:
        """The fault of the member, or None."""
        if not (member.isreg() or member.isdir()) or member.issparse():
            return "is a link, a device or a sparse file, not a plain file or folder"
        if not is_safe_path(member.name):
            return "could leave the folder of the module, or has unprintable characters in its name"
        if len(member.name) > MAX_PATH_LENGTH or member.name.count("/") >= MAX_PATH_DEPTH:
            return (f"has a path of more than {MAX_PATH_LENGTH} characters or {MAX_PATH_DEPTH} "
                    "parts")
        if member.size < 0:
            return "has a negative size"
        if self._bytes > MAX_MODULE_BYTES:
            return f"brings the size of all files to more than {MAX_MODULE_BYTES} bytes"
        if self._members > MAX_MEMBERS:
            return f"exceeds the limit of {MAX_MEMBERS} files and folders"
        return None
