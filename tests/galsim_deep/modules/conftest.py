"""What the tests of handles share: archives and indexes."""

import hashlib
import io
import json
import tarfile

import pytest

from galsim_deep.modules.archive import CARD_PATH


@pytest.fixture(scope="session")
def make_archive():
    """``make_archive({path: text, ...})``: the bytes of a .tar.gz with these files."""

    def make(files):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for path, text in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def archive(make_archive):
    """The bytes of an archive that holds a module in one folder, ``toy``."""
    return make_archive({f"toy/{CARD_PATH}": "{}", "toy/saved_model.pb": "network"})


@pytest.fixture(scope="session")
def sha256(archive):
    """The checksum of ``archive``."""
    return hashlib.sha256(archive).hexdigest()


@pytest.fixture
def archive_file(archive, tmp_path):
    """The path of a file that holds ``archive``."""
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(archive)
    return path


@pytest.fixture(scope="session")
def make_module():
    """``make_module(folder)``: a folder that looks like that of a module."""

    def make(folder):
        (folder / CARD_PATH).parent.mkdir(parents=True)
        (folder / CARD_PATH).write_text("{}")
        return folder

    return make


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, no modules installed, and nothing of the caller's environment."""
    for name in ("PATH", "INDEX", "OFFLINE"):
        monkeypatch.delenv(f"GALSIM_DEEP_{name}", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("GALSIM_DEEP_CACHE", str(tmp_path / "cache"))
    _set_installed(monkeypatch, [])
    return tmp_path / "cache"


@pytest.fixture
def install(monkeypatch):
    """``install(folder, ...)``: the modules in these folders are installed with the package."""
    return lambda *folders: _set_installed(monkeypatch, [*folders])


def _set_installed(monkeypatch, folders):
    for file in ("index", "resolve"):
        monkeypatch.setattr(f"galsim_deep.modules.{file}.installed_folders", lambda: folders)


@pytest.fixture
def left(cache):
    """``left()``: what is in the cache besides its own two folders."""
    own = (cache / "modules", cache / "indexes")
    return lambda: [path for path in cache.rglob("*") if path not in own]


@pytest.fixture
def use_index(tmp_path, monkeypatch):
    """``use_index(entries)``: these are the entries of the further index, in a file."""

    def use(entries):
        path = tmp_path / "my_index.json"
        path.write_text(json.dumps(entries))
        monkeypatch.setenv("GALSIM_DEEP_INDEX", str(path))
        return path

    return use
