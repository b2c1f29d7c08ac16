"""Results on disk, each under a key that says all it depends on.

Neither `joblib.Memory` nor `diskcache` serves here.  Both unpickle what they find, so that a shared
folder could run anyone's code, and hand out whatever lies under a key; the former clears all it has
when the source of a function differs between two installations, and processes that do so at once
trip over each other (joblib issue 1368); the latter is a SQLite file, which network file systems of
clusters do not lock reliably.
"""

__all__ = ["Cache", "key_of"]

import contextlib
import dataclasses
import hashlib
import io
import os
import tempfile
import uuid
from pathlib import Path

import numpy as np
from galsim import GalSimError
from galsim.errors import galsim_warn


@dataclasses.dataclass(frozen=True)
class Cache:
    """Dicts of arrays, one file each.

    Several processes may use one folder at once, also on several machines: a file appears whole or
    not at all, and two that write the same entry write the same.  Nothing is ever deleted.

    Attributes:
        folder:     Where the files are.
    """

    folder: Path

    @classmethod
    def at(cls, folder):
        """The cache in a folder, which is made if need be; None for None.

        Raises a `galsim.GalSimError` where nothing can be written.
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

    def get(self, key):
        """The arrays of an entry, or None where there is no sound one.

        Parameters:
            key:    As `key_of` gives it.
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

    def put(self, key, arrays):
        """Keep a dict of arrays; warns where that fails, since what was worked out is still good.

        Parameters:
            key:    As `key_of` gives it.
            arrays: {name: array or number}, none of them of objects.
        """
        body = io.BytesIO()
        np.savez(body, **arrays)
        path = self._path(key)
        made = path.with_name(f"{uuid.uuid4().hex}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            made.write_bytes(_checksum(key, body.getvalue()) + body.getvalue())
            os.replace(made, path)
        except OSError as err:
            # Without the name of the file: the same for all entries, so that Python says it once.
            galsim_warn(f"The cache {self.folder} cannot be written to: {err.strerror}. "
                        "Nothing is lost, but what was measured is not kept.")
            with contextlib.suppress(OSError):
                made.unlink()

    def _path(self, key):
        # Few file systems like many thousands of files in one folder.
        return self.folder / key[:2] / key[2:]


_CHECKSUM = 32


def _checksum(key, body):
    """32 bytes that damage of the body would change; and so would another entry's name."""
    return hashlib.sha256(key.encode() + body).digest()


def key_of(ingredients):
    """The key of what depends on these ingredients and on nothing else.

    Parameters:
        ingredients:    {name: array, number, text or None}.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(ingredients):
        value = ingredients[name]
        array = np.zeros(0) if value is None else np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"{name} is an object, whose bytes are no more than its address.")
        kind = "None" if value is None else f"{array.dtype.str} {array.shape}"
        digest.update(f"{name} {kind} {array.nbytes}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
