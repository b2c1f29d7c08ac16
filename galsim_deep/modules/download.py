"""Downloads and checksums."""

__all__ = ["check_sha256", "download", "file_sha256", "is_offline", "is_sha256", "is_url",
           "parse_sha256", "split_url"]

import functools
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from logging import Logger, LogRecord
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qs, urldefrag

from galsim.errors import GalSimValueError

from .archive import MAX_MODULE_BYTES
from .errors import HandleError

if TYPE_CHECKING:
    from requests import Response

_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https?://", re.IGNORECASE)
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of the answer


def is_url(text: str) -> bool:
    """Whether a text is an http(s) URL.

    >>> is_url("https://example.org/module.tar.gz"), is_url("module.tar.gz")
    (True, False)
    """
    return bool(_URL.match(text))


def is_sha256(text: str) -> bool:
    """Whether a text is a checksum: 64 hexadecimal digits, in lower case.

    >>> is_sha256(64 * "a"), is_sha256("../..")
    (True, False)
    """
    return bool(_SHA256.fullmatch(text))


def parse_sha256(text: object, where: object) -> str:
    """A checksum in lower case.

    Parameters:
        text:       64 hexadecimal digits.
        where:      The source of the checksum, for the message.

    Raises a `galsim.GalSimValueError` for anything else.

    >>> parse_sha256(64 * "A", "the index") == 64 * "a"
    True
    """
    sha256 = text.strip().lower() if isinstance(text, str) else ""
    if not is_sha256(sha256):
        raise GalSimValueError(f"{where}: a sha256 has 64 hexadecimal digits.",
                               text if isinstance(text, str) else type(text).__name__)
    return sha256


def split_url(handle: str) -> tuple[str, str | None]:
    """Split ``URL#sha256=HEX`` into the URL and the checksum, which is None if not stated.

    Raises a `galsim.GalSimValueError` if either is malformed.

    >>> split_url("https://example.org/module.tar.gz")
    ('https://example.org/module.tar.gz', None)
    """
    try:
        url, fragment = urldefrag(handle)
    except ValueError as err:  # such as one bracket, of an IPv6 address, without the other
        raise GalSimValueError(f"This is not a URL ({err}). Correct it.", handle) from err
    stated = parse_qs(fragment, keep_blank_values=True).get("sha256")
    return url, parse_sha256(stated[0], url) if stated else None


def file_sha256(path: Path) -> str:
    """The sha256 of a file; raises a `HandleError` for one that is too large or cannot be read."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= MAX_MODULE_BYTES:
                return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise HandleError(f"{path} cannot be read: {err}.") from err
    raise HandleError(f"{path} has {size} bytes, and at most {MAX_MODULE_BYTES} are read. Check "
                      "that it is the right file.")


def check_sha256(path: Path, expected: str | None, source: object,
                 advice: str = "get it again, or correct the checksum") -> str:
    """Compare the checksum of a file with the expected one, if there is one.

    Parameters:
        path:       The file.
        expected:   The checksum that it should have, or None.
        source:     What to call the file in messages.
        advice:     What to do if the checksums differ, for the message.

    Returns:
        the checksum.

    Raises a `HandleError` that names ``source`` if they differ.
    """
    actual = file_sha256(path)
    if expected is not None and actual != expected:
        raise HandleError(
            f"{source} has sha256 {actual} instead of {expected}, so it was not used. It "
            f"is damaged, or another file than expected: {advice}.")
    return actual


def is_offline(offline: bool | None = None) -> bool:
    """Whether the network must not be used.

    Parameters:
        offline:    The choice of the caller.  [default: None, which means that
                    ``$GALSIM_DEEP_OFFLINE`` determines it]

    >>> is_offline(True)
    True
    """
    if offline is None:
        value = os.environ.get("GALSIM_DEEP_OFFLINE", "")
        return value.strip().lower() not in ("", "0", "false")
    return bool(offline)


def download(url: str, folder: Path, source: str, max_bytes: int = MAX_MODULE_BYTES,
             advice: str = "set GALSIM_DEEP_OFFLINE=1 to use only what is already on this machine",
             ) -> Path:
    """Download a file.  The caller compares its checksum.

    Parameters:
        url:        An http(s) URL.
        folder:     The folder for the file.
        source:     What to call the file in messages.
        max_bytes:  Largest size of the file.  A download stops where it exceeds this.
        advice:     What to do without a connection, for the message.

    Returns:
        the path of the file.

    Raises a `HandleError` if it cannot be downloaded or is too large.
    """
    import pooch

    # Some servers would otherwise send a .tar.gz unpacked, which has another checksum.
    fetch = pooch.HTTPDownloader(
        timeout=_TIMEOUT, chunk_size=2**18, headers={"Accept-Encoding": "identity"},
        # Not a local function: Dask pickles an error with its cause, which holds the hook.
        hooks=dict(response=functools.partial(_check_announced_size, max_bytes)))

    def bounded_fetch(url: str, path: str, caller: Any) -> None:
        with open(path, "wb") as file:
            fetch(url, _BoundedWriter(file, max_bytes), caller)

    try:
        with _silenced(pooch.get_logger()):
            return Path(pooch.retrieve(url, None, "download", folder, downloader=bounded_fetch))
    except _TooLargeError as err:
        raise HandleError(
            f"{source} was not downloaded: it has more than {max_bytes} bytes, the largest size "
            "that is allowed. Check the address.") from err
    except (OSError, ValueError) as err:  # requests' own errors are OSErrors
        raise HandleError(
            f"{source} could not be downloaded: {_reason(err)}. Check the address and the "
            f"connection and try again, or {advice}.") from err


class _TooLargeError(Exception):
    """A file has more bytes than allowed."""


def _check_announced_size(max_bytes: int, response: "Response", **kwargs: Any) -> None:
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        response.close()
        raise _TooLargeError


class _BoundedWriter:
    """Writes to a file up to a number of bytes: a server need not announce the size."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file, self._left = file, max_bytes

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise _TooLargeError
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def _silenced(logger: Logger) -> Iterator[None]:
    """Drop what this thread logs.  A change of the logger's level would concern all threads."""
    thread = threading.get_ident()

    def is_of_another_thread(record: LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(is_of_another_thread)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another_thread)


def _reason(err: Exception) -> str:
    """Why a download failed, in words."""
    from requests import exceptions

    if isinstance(err, exceptions.HTTPError) and err.response is not None:
        return f"the server answered {err.response.status_code} {err.response.reason}"
    if isinstance(err, exceptions.Timeout):
        return f"no answer in time ({_TIMEOUT[0]} s to connect, {_TIMEOUT[1]} s to answer)"
    if isinstance(err, exceptions.ChunkedEncodingError):
        return "the connection ended before the whole file had come (truncated)"
    if isinstance(err, exceptions.ConnectionError):
        cause = getattr(err.args[0], "reason", err) if err.args else err  # without the whole URL
        return f"the server cannot be reached, or broke the connection off ({cause})"
    return f"{type(err).__name__}: {err}"
