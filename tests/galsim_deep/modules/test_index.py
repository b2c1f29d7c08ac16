"""Indexes in files and at URLs, and the folders of installed modules."""

import json
import os
import sys

import galsim
import pytest

from galsim_deep.modules import index as module
from galsim_deep.modules.errors import HandleError
from galsim_deep.modules.index import installed_folders, read_indexes

ENTRY = {"url": "http://127.0.0.1/toy.tar.gz", "sha256": 64 * "a"}


def entries(offline=False):
    """The entries of all indexes, the installed one first."""
    return [contents for _, contents in read_indexes(offline)]


def test_no_index(cache):
    assert entries() == []
    assert not cache.exists()


def test_the_installed_index_is_first(tmp_path, cache, install, use_index):
    """So that its names never wait for the network, nor stand for other modules."""
    path = use_index({"toy": ENTRY})
    install(tmp_path / "none", tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({"here": {"url": None}}))
    assert [*read_indexes(False)] == [
        (str(tmp_path / "index.json"), {"here": {"url": None}}), (str(path), {"toy": ENTRY})]


BAD = {
    "cut": "{", "list": "[]", "null": "null", "number": "5", "text": '{"toy": "http://a"}',
    "bytes": "\x00", "deep": 5000 * '{"a":', "deep list": 100_000 * "["}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_bad_index(text, cache, use_index, server, monkeypatch):
    path = use_index({})
    path.write_text(text)
    with pytest.raises(HandleError) as caught:
        entries()
    assert str(path) in str(caught.value)
    url = server.put("/index.json", text.encode())
    monkeypatch.setenv("GALSIM_DEEP_INDEX", url)
    with pytest.raises(HandleError) as caught:
        entries()
    assert url in str(caught.value)


def test_missing_index(cache, server, monkeypatch):
    monkeypatch.setenv("GALSIM_DEEP_INDEX", str(cache / "no.json"))
    with pytest.raises(HandleError, match="no.json"):
        entries()
    monkeypatch.setenv("GALSIM_DEEP_INDEX", server.address + "/no.json")
    with pytest.raises(HandleError, match="no.json .*GALSIM_DEEP_INDEX.* 404"):
        entries()


def test_checksum_of_an_index(cache, server, monkeypatch, sha256):
    url = server.put("/index.json", b"{}")
    monkeypatch.setenv("GALSIM_DEEP_INDEX", f"{url}#sha256={sha256}")
    with pytest.raises(HandleError, match=f"index.json.*{sha256}"):
        entries()
    assert [*(cache / "indexes").iterdir()] == []


def test_an_index_that_is_too_large(cache, server, monkeypatch):
    url = server.put("/index.json", json.dumps({"toy": ENTRY}).encode())
    monkeypatch.setenv("GALSIM_DEEP_INDEX", url)
    monkeypatch.setattr(module, "MAX_INDEX_BYTES", 10)
    with pytest.raises(HandleError, match=f"{url} .*more than 10 bytes"):
        entries()
    assert [*(cache / "indexes").iterdir()] == []


def test_index_by_url(cache, server, monkeypatch):
    """It is read anew each time; without a network its last copy is used."""
    url = server.put("/index.json", json.dumps({"toy": ENTRY}).encode())
    monkeypatch.setenv("GALSIM_DEEP_INDEX", url)
    assert entries(offline=True) == [{}]
    assert server.requests == []
    assert entries() == [{"toy": ENTRY}]
    server.put("/index.json", json.dumps({"other": ENTRY}).encode())
    assert entries(offline=True) == [{"toy": ENTRY}]
    assert entries() == [{"other": ENTRY}]
    assert server.requests == ["/index.json", "/index.json"]
    copy, = (cache / "indexes").iterdir()
    assert copy.stat().st_mode & 0o077 == 0o666 & ~_umask() & 0o077  # a cache may be shared
    server.stop()
    with pytest.warns(galsim.GalSimWarning, match=f"{server.address}/index.json.*copy"):
        assert entries() == [{"other": ENTRY}]


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


# ---- installed modules ----------------------------------------------------------------------


def test_installed_folders(tmp_path, monkeypatch):
    import galsim_deep

    (tmp_path / "hub_modules").mkdir()
    (tmp_path / "hub_modules" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "galsim_deep.hub_modules", raising=False)
    monkeypatch.setattr(galsim_deep, "__path__", [str(tmp_path)])
    assert installed_folders() == [tmp_path / "hub_modules"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    here = tmp_path / "galsim_deep" / "modules" / "index.py"
    monkeypatch.setattr(module, "__file__", str(here))
    assert installed_folders() == [tmp_path / "hub_modules"]  # beside the package, as in a clone
    here = tmp_path / "deep" / "down" / "modules" / "index.py"
    monkeypatch.setattr(module, "__file__", str(here))
    assert installed_folders() == []


def test_the_shipped_index():
    """Each of its entries is installed with the package or can be downloaded and checked."""
    (source, contents), = [(source, contents) for source, contents in read_indexes(offline=True)
                           if "hub_modules" in source]
    for name, entry in contents.items():
        folders = [folder / name for folder in installed_folders() if (folder / name).is_dir()]
        assert folders or (entry["url"] and entry["sha256"]), (source, name)
