"""A cache of results on disk, each under a key that hashes everything it depends on.

`joblib.Memory` and `diskcache` are not used, because both unpickle files, so that a file in a
shared folder could run any code, and neither verifies what it reads.  Besides, `joblib.Memory`
clears the whole cache when the source of a function differs between two installations, and fails if
two processes do so at once (joblib issue 1368); `diskcache` keeps a SQLite file, whose locks are
not reliable on the network file systems of computing clusters.
"""

__all__ = ["Cache", "key_of"]

import dataclasses
import hashlib
import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from galsim import GalSimError
from galsim.errors import galsim_warn

from ..runtime.atomic_files import replace_file


@dataclasses.dataclass(frozen=True)
class Cache:
    """A folder of cached results: dicts of arrays, one file each.

    Several processes may use one folder at the same time, also on several machines.  A file appears
    only when it is complete, and two processes that write the same entry write the same content.
    Nothing is ever deleted.

    Attributes:
        folder:     The folder with the files.

    Example::

        >>> import tempfile
        >>> cache = Cache.at(tempfile.mkdtemp())
        >>> key = key_of(dict(seed=1))
        >>> cache.get(key) is None
        True
        >>> cache.put(key, dict(size=0.3))
        >>> cache.get(key)
        {'size': array(0.3)}
    """

    folder: Path

    @classmethod
    def at(cls, folder: str | os.PathLike | None) -> "Cache | None":
        """Open the cache in a folder, which is created if necessary.

        Returns None if ``folder`` is None.

        Raises:
            galsim.GalSimError: if the folder cannot be written to.
        """
        if folder is None:
            return None
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as err:
            raise GalSimError(f"The cache {folder} cannot be written to: {err}. "
                              "Give another folder.") from err
        return cls(folder.resolve())

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays of an entry, {name: array}; None if there is none, or it is damaged.

        Parameters:
            key:    As returned by `key_of`.
        """
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        checksum, body = content[:_CHECKSUM], content[_CHECKSUM:]
        if checksum != _checksum(key, body):
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def put(self, key: str, arrays: Mapping[str, Any]) -> None:
        """Store a dict of arrays.

        A failure to write only causes a warning, since the caller still has the arrays.

        Parameters:
            key:    As returned by `key_of`.
            arrays: {name: array or number}, none of them of dtype object.
        """
        body = io.BytesIO()
        np.savez(body, **arrays)
        try:
            with replace_file(self._path(key)) as fresh:
                fresh.write_bytes(_checksum(key, body.getvalue()) + body.getvalue())
        except OSError as err:
            # The message does not name the file, so that Python shows it once and not per entry.
            galsim_warn(f"The cache {self.folder} cannot be written to: {err.strerror}. "
                        "The results are complete, but will be measured again the next time.")

    def _path(self, key: str) -> Path:
        # In subfolders, since some file systems are slow with many thousands of files in a folder.
        return self.folder / key[:2] / key[2:]


_CHECKSUM = 32
"""Bytes of the checksum at the beginning of a file."""


def _checksum(key: str, body: bytes) -> bytes:
    """A checksum of the content and of the key, so that a file under a wrong name is detected."""
    return hashlib.sha256(key.encode() + body).digest()


def key_of(ingredients: Mapping[str, Any]) -> str:
    """The key of a result.

    Parameters:
        ingredients:    Everything that the result depends on: {name: array, number, text or None}.

    Returns:
        64 hexadecimal digits.

    Raises:
        TypeError: if an ingredient is or contains a Python object, of which numpy would hash the
                address instead of the content.
    """
    digest = hashlib.sha256()
    for name in sorted(ingredients):
        value = ingredients[name]
        array = np.zeros(0) if value is None else np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"The ingredient {name!r} of a key is or contains a Python object, "
                            "which cannot be hashed by its content. Give an array, a number, text "
                            "or None.")
        kind = "None" if value is None else f"{array.dtype.str} {array.shape}"
        digest.update(f"{name} {kind} {array.nbytes}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
