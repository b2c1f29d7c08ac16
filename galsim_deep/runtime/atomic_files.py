"""Files and folders that appear under their name only when they are complete.

`replace_file` and `replace_folder` give the caller a temporary path beside the target.  When the
caller has finished, one rename puts the result in its place.  If anything fails before that, the
target stays as it was.  A process that is killed leaves a temporary folder behind; a later process
that writes to the same target removes it (see `temporary_folder`).

The guarantee holds between processes: a reader finds either the old or the new content, never a
part of it.  After a loss of power the file system may lose the last seconds of any file.
"""

__all__ = ["PREFIX", "STALE_AFTER", "WriteError", "replace_file", "replace_folder",
           "temporary_folder"]

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from galsim import GalSimError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = ".galsim-deep-tmp-"
"""The prefix of the names of temporary folders."""

STALE_AFTER = 24 * 3600.0
"""A temporary folder that was not touched for so long [s] may be left over from a killed process.
"""

_DISK_FULL = frozenset((errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)))
# A folder does not replace what is there, unless that is an empty folder.
_OCCUPIED = frozenset((errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR))
_ATTEMPTS = 10
_cleaned: set[Path] = set()  # folders in which this process has looked for leftovers


class WriteError(GalSimError, OSError):
    """A file or folder could not be written or put into its place.

    Attributes:
        errno:      The number of the operating system's error, or None.
        strerror:   The text of the operating system's error, without any path.

    Example:

        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "results").touch()  # a file, where a folder is needed
        ...     try:
        ...         with replace_file(Path(folder, "results", "numbers.txt")) as fresh:
        ...             _ = fresh.write_text("1 2 3")
        ...     except WriteError as err:
        ...         print(errno.errorcode[err.errno])
        EEXIST
    """

    def __init__(self, message: str, errno: int | None = None,
                 strerror: str | None = None) -> None:
        super().__init__(message)
        self.errno, self.strerror = errno, strerror

    def __str__(self) -> str:
        return self.args[0]

    def __repr__(self) -> str:
        return f"galsim_deep.runtime.atomic_files.WriteError({str(self)!r})"

    def __reduce__(self) -> tuple[type["WriteError"], tuple[str, int | None, str | None]]:
        return WriteError, (str(self), self.errno, self.strerror)


@contextlib.contextmanager
def replace_file(path: str | os.PathLike, exclusive: bool = False) -> Iterator[Path]:
    """Write a file under a temporary path, and put it into its place when it is complete.

    The folder of ``path`` is made if necessary.  A file that is there already is replaced, whoever
    wrote it; a symbolic link is replaced by the file.  The result has the permissions that the
    umask gives to any new file, also if the caller moves a private temporary file to the path.

    If the file is written by an object that is itself a context manager, such as a writer that
    keeps an HDF5 file open, enter this one in a `contextlib.ExitStack` of the object: the object
    closes the file first and then the stack.

    Parameters:
        path:       The target.
        exclusive:  Whether it is an error if two processes write the same target at the same time,
                    both exclusively.  [default: False; the last one to finish replaces the others]

    Yields:
        a new path on the same file system.  The caller writes a file there.

    Raises:
        WriteError:     The folder or the file cannot be written, the disk is full, or another
                        process is writing the file exclusively; the target is unchanged.  Other
                        errors of the caller pass through unchanged.

    Example:

        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "results", "numbers.txt")
        ...     with replace_file(path) as fresh:
        ...         _ = fresh.write_text("1 2 3")
        ...     path.read_text()
        '1 2 3'
    """
    path = Path(path)
    with temporary_folder(path.parent, path.name if exclusive else None) as scratch:
        # mkdir applies the umask, which cannot be read without changing it for all threads.
        inner = scratch / "file"
        inner.mkdir()
        fresh = inner / path.name
        with _write_errors(path, _DISK_FULL):
            yield fresh
        with _write_errors(path):
            fresh.chmod(inner.stat().st_mode & 0o666)
            os.replace(fresh, path)


@contextlib.contextmanager
def replace_folder(path: str | os.PathLike,
                   keep: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Fill a folder under a temporary path, and put it into its place when it is complete.

    A folder, a file or a symbolic link that is already at ``path`` is deleted once the new folder
    is in its place.  If the path comes from a user, the caller must first check that what is there
    may be deleted.

    If two processes replace the same folder at the same time, both succeed, and the folder of the
    last one stays.  With ``keep``, the folder of the first one stays.  This is for folders whose
    content does not depend on the process that makes them, such as those of a cache.

    For some microseconds, after the old folder was moved away and before the new one is in its
    place, there is no folder at ``path``.

    Parameters:
        path:       The target.
        keep:       A function that says whether what is at ``path`` is complete and stays; the new
                    folder is then discarded.  [default: None, nothing is kept]

    Yields:
        an empty folder on the same file system, with the permissions that the umask gives.  The
        caller fills it.

    Raises:
        WriteError:     The folder cannot be written or moved, or the disk is full; what was at
                        ``path`` is still there.  Other errors of the caller pass through unchanged.

    Example:

        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replace_folder(Path(folder, "module")) as fresh:
        ...         _ = (fresh / "README.md").write_text("A module.")
        ...     [path.name for path in Path(folder, "module").iterdir()]
        ['README.md']
    """
    path = Path(path)
    with temporary_folder(path.parent) as scratch:
        fresh = scratch / "folder"
        fresh.mkdir()
        with _write_errors(path, _DISK_FULL):
            yield fresh
        with _write_errors(path):
            _move_folder(fresh, path, scratch, keep)


@contextlib.contextmanager
def temporary_folder(parent: str | os.PathLike, name: str | None = None) -> Iterator[Path]:
    """A private folder for unfinished files, on the file system of ``parent``; removed at the end.

    Temporary folders that killed processes left in ``parent`` are removed first, once in each
    process: those in which nothing was touched for `STALE_AFTER` and whose process, if it runs on
    this machine, has ended.  (Each process holds a lock on its folder, which ends with it.)

    Parameters:
        parent:     The folder in which to make it; itself made if necessary.
        name:       If given, only one process at a time may have a temporary folder of this name in
                    ``parent``.  [default: None; any number]

    Yields:
        its path, absolute, so that a change of the working directory does no harm.

    Raises:
        WriteError:     The folder cannot be made, or another process has one of this name.

    Example:

        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with temporary_folder(folder) as scratch:
        ...         archive = scratch / "archive.tar.gz"
        ...     scratch.exists()
        False
    """
    parent = Path(os.path.abspath(parent))
    with _write_errors(parent if name is None else parent / name):
        parent.mkdir(parents=True, exist_ok=True)
        if name is None:
            scratch = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            lock = _lock(scratch)
        else:
            scratch, lock = _exclusive_folder(parent / (PREFIX + name))
    try:
        _remove_leftovers(parent)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _exclusive_folder(path: Path) -> tuple[Path, int | None]:
    """Make a folder that only this process may use, and lock it.

    A folder that a killed process left is emptied and used.

    Returns:
        the path and the descriptor of the lock; None if folders cannot be locked.

    Raises:
        BlockingIOError:    Another process has the folder.
    """
    for _ in range(_ATTEMPTS):
        path.mkdir(exist_ok=True)
        try:
            lock = _lock(path, exclusive=True)
        except BlockingIOError as err:
            raise BlockingIOError(err.errno, "another process is writing it") from err
        # The process that had it before may have removed it since.
        if lock is None or _is_same_folder(lock, path):
            for entry in path.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            return path, lock
        os.close(lock)
    raise OSError(errno.EBUSY, "another process keeps writing to this folder", str(path))


def _is_same_folder(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _move_folder(fresh: Path, path: Path, scratch: Path,
                 keep: Callable[[Path], bool] | None) -> None:
    """Put a complete folder into its place, and what was there before into the scratch folder."""
    for attempt in range(_ATTEMPTS):
        if keep is not None and os.path.lexists(path) and keep(path):
            return
        previous = scratch / f"previous-{attempt}"
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, previous)
        try:
            os.replace(fresh, path)
            return
        except OSError as err:
            if err.errno not in _OCCUPIED:
                with contextlib.suppress(OSError):
                    os.replace(previous, path)
                raise
            # Another process put its own there in the meantime.
    raise OSError(errno.EBUSY, "another process keeps writing to this folder", str(path))


@contextlib.contextmanager
def _write_errors(path: Path, numbers: frozenset[int] | None = None) -> Iterator[None]:
    """Raise a `WriteError` for an operating system's error: any, or one of these numbers."""
    try:
        yield
    except OSError as err:
        if isinstance(err, WriteError) or (numbers is not None and err.errno not in numbers):
            raise
        if isinstance(err, BlockingIOError):
            hint = "Wait until it has finished, or choose another place."
        elif err.errno == errno.EBUSY:
            hint = "Try again later, or choose another place."
        elif err.errno in _DISK_FULL:
            hint = "Free some space, or choose another place."
        else:
            hint = "Choose another place, or change its permissions."
        reason = err.strerror or str(err)
        raise WriteError(f"{path} cannot be written: {reason}. {hint}", err.errno, reason) from err


def _remove_leftovers(parent: Path) -> None:
    """Remove what killed processes left in a folder, if this process has not done so yet."""
    if parent in _cleaned:
        return
    _cleaned.add(parent)
    # A leftover that cannot be removed, by its permissions for instance, does no harm.
    with contextlib.suppress(OSError):
        with os.scandir(parent) as entries:
            folders = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)
                       and entry.is_dir(follow_symlinks=False)]
        for folder in folders:
            if _last_touched(folder) < time.time() - STALE_AFTER:
                _remove_unless_locked(folder)


def _last_touched(folder: Path) -> float:
    """The latest time at which anything in a folder was changed [s since 1970]."""
    times = [folder.lstat().st_mtime]
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):
                times.append(os.lstat(os.path.join(root, name)).st_mtime)
    return max(times)


def _remove_unless_locked(folder: Path) -> None:
    try:
        lock = _lock(folder, exclusive=True)
    except BlockingIOError:  # its process is alive
        return
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _lock(folder: Path, exclusive: bool = False) -> int | None:
    """Lock a folder for as long as the returned descriptor is open.

    The lock is shared by default: its holder says that the folder is in use.

    Returns:
        a file descriptor; None if folders cannot be locked.  Then only the age of a folder shows
        whether it is in use.

    Raises:
        BlockingIOError:    Another process holds a lock that excludes this one.
    """
    if fcntl is None:
        return None
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    except OSError:  # this file system has no locks
        os.close(lock)
        return None
    return lock
