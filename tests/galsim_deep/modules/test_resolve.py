"""Handles against real files and a real HTTP server on the loopback interface."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import galsim
import pytest

from galsim_deep.modules import resolve as module
from galsim_deep.modules.archive import CARD_PATH
from galsim_deep.modules.errors import HandleError
from galsim_deep.modules.resolve import available, resolve

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("cache")


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def check_fails(left):
    """``check_fails(error, fact, handle)``: the error names a fact, and the cache stays empty."""

    def check(error, fact, *args, **kwargs):
        with pytest.raises(error, match=fact) as caught:
            resolve(*args, **kwargs)
        assert isinstance(caught.value, galsim.GalSimError)
        assert left() == []
        return caught.value

    return check


# ---- folders and files ----------------------------------------------------------------------


def test_folder(tmp_path, cache, monkeypatch, make_module, sha256, check_fails):
    folder = make_module(tmp_path / "toy")
    assert resolve(folder) == resolve(str(folder)) == folder
    monkeypatch.chdir(tmp_path)
    assert resolve("toy") == folder
    assert resolve(Path("toy")).is_absolute()
    assert not cache.exists()
    check_fails(galsim.GalSimValueError, str(folder), folder, sha256=sha256)


def test_folder_without_card(tmp_path, check_fails):
    (tmp_path / "empty").mkdir()
    check_fails(HandleError, f"empty .*{CARD_PATH}", tmp_path / "empty")


@pytest.mark.parametrize("handle", [
    "missing", "missing.tar.gz", "HUB:toy", "my-hub:toy", "a\0b", "\ud800", 5000 * "x",
    "~nobody/x"],
    ids=lambda handle: ascii(handle[:20]))
def test_missing_path(handle, check_fails):
    error = check_fails(OSError, "exist.* hub:NAME", handle)
    assert handle.removeprefix("~") in str(error) or handle.startswith("~")


def test_neither_folder_nor_archive(tmp_path, check_fails):
    (tmp_path / "toy.zip").write_bytes(b"zip")
    check_fails(HandleError, "toy.zip.*tar.gz", tmp_path / "toy.zip")
    with pytest.raises(TypeError):
        resolve(None)


@pytest.mark.parametrize("top", ["", "toy/"])
def test_local_archive(top, tmp_path, cache, make_archive):
    data = make_archive({f"{top}{CARD_PATH}": "{}", f"{top}saved_model.pb": "network"})
    path = tmp_path / "toy.tgz"
    path.write_bytes(data)
    folder = resolve(path)
    assert folder == cache / "modules" / digest(data) / top
    assert (folder / "saved_model.pb").read_text() == "network"
    assert resolve(str(path), sha256=digest(data).upper(), offline=True) == folder
    assert {place.name for place in (cache / "modules").iterdir()} == {digest(data)}
    assert path.read_bytes() == data


def test_local_archive_with_other_checksum(archive_file, sha256, check_fails):
    check_fails(HandleError, f"toy.tar.gz.*{sha256}.*000", archive_file, sha256=64 * "0")


@pytest.mark.parametrize("damage", [
    lambda data, make: data[:-20], lambda data, make: b"<html>not an archive</html>",
    lambda data, make: make({CARD_PATH: "{}", "../outside.txt": "x"}),
    lambda data, make: make({"toy/saved_model.pb": "network"}),
], ids=["truncated", "other", "traversal", "no card"])
def test_broken_archive(damage, tmp_path, cache, archive, make_archive, server, check_fails):
    data = damage(archive, make_archive)
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(data)
    before = {*tmp_path.rglob("*")}
    check_fails(HandleError, str(path), path)
    url = server.put("/toy.tar.gz", data)
    check_fails(HandleError, url, url, sha256=digest(data))
    assert {*tmp_path.rglob("*")} - before <= {cache, cache / "modules"}


def test_archive_of_absurd_size(tmp_path, check_fails):
    path = tmp_path / "toy.tar.gz"
    path.touch()
    os.truncate(path, 2**40)
    check_fails(HandleError, "1099511627776 bytes", path)


def test_cache_cannot_be_written(archive_file, cache):
    cache.write_text("a file is in the way")
    with pytest.raises(HandleError, match="GALSIM_DEEP_CACHE"):
        resolve(archive_file)


def test_a_cache_that_lost_files_is_mended(archive_file, cache):
    folder = resolve(archive_file)
    (folder / CARD_PATH).unlink()
    (cache / "modules" / ".tmp-crashed").mkdir()  # what a killed process may leave
    assert resolve(archive_file) == folder
    assert (folder / CARD_PATH).exists()


# ---- URLs -----------------------------------------------------------------------------------


def test_url(cache, server, archive, sha256):
    url = server.put("/toy.tar.gz?download=1", archive)
    folder = resolve(url, sha256=sha256)
    assert folder == cache / "modules" / sha256 / "toy"
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == [
        "galsim_module.json", "saved_model.pb"]
    assert [path.name for path in (cache / "modules").iterdir()] == [sha256]
    assert len(server.requests) == 1
    server.stop()
    assert resolve(f"{url}#sha256={sha256}") == folder
    assert resolve(url, sha256=sha256, offline=True) == folder


def test_checksum_must_be_given(server, archive, sha256, check_fails):
    url = server.put("/toy.tar.gz", archive)
    for handle in (url, f"{url}#part"):
        check_fails(galsim.GalSimValueError, "sha256='HEX'.*#sha256=HEX", handle)
    check_fails(galsim.GalSimValueError, "abc", url, sha256="abc")
    check_fails(galsim.GalSimValueError, url, f"{url}#sha256=")
    check_fails(galsim.GalSimValueError, sha256, f"{url}#sha256={sha256}", sha256=64 * "0")
    assert server.requests == []
    assert resolve(f"{url}#sha256={sha256.upper()}", sha256=sha256).is_dir()


def test_wrong_checksum(server, archive, sha256, check_fails):
    url = server.put("/toy.tar.gz", archive)
    check_fails(HandleError, f"{url}.*{sha256}.*000", url, sha256=64 * "0")


@pytest.mark.parametrize("url", ["http://[::1/toy.tar.gz#part", "http://", "http://\ud800/"],
                         ids=ascii)
def test_malformed_url(url, check_fails):
    check_fails((galsim.GalSimValueError, HandleError), "http", url, sha256=64 * "0")


def test_failed_download(server, archive, check_fails):
    url = server.put("/toy.tar.gz", archive)
    server.missing = 100
    check_fails(HandleError, url, url, sha256=digest(archive + bytes(100)))
    check_fails(HandleError, "404", server.address + "/nothing", sha256=64 * "0")


def test_offline(server, monkeypatch, archive, sha256, check_fails):
    url = server.put("/toy.tar.gz", archive)
    check_fails(HandleError, f"{url}.*GALSIM_DEEP_OFFLINE", url, sha256=sha256, offline=True)
    for value in ("1", "true", "yes"):
        monkeypatch.setenv("GALSIM_DEEP_OFFLINE", value)
        check_fails(HandleError, f"{url}.*GALSIM_DEEP_OFFLINE", url, sha256=sha256)
    assert server.requests == []
    assert resolve(url, sha256=sha256, offline=False).is_dir()


@pytest.mark.parametrize("value", ["", "0", "false", "False"])
def test_not_offline(value, server, monkeypatch, archive, sha256):
    monkeypatch.setenv("GALSIM_DEEP_OFFLINE", value)
    assert resolve(server.put("/toy.tar.gz", archive), sha256=sha256).is_dir()


# ---- several at once ------------------------------------------------------------------------


def test_threads(cache, server, monkeypatch, archive, sha256):
    """Both are made to download before either unpacks: one of the two moves must lose."""
    url = server.put("/toy.tar.gz", archive)
    together, unpack = threading.Barrier(2), module.unpack

    def unpack_together(*args):
        together.wait()
        unpack(*args)

    monkeypatch.setattr(module, "unpack", unpack_together)
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda _: resolve(url, sha256=sha256), range(2)))
    assert folders == [cache / "modules" / sha256 / "toy"] * 2
    assert len(server.requests) == 2
    assert [path.name for path in (cache / "modules").iterdir()] == [sha256]


@pytest.mark.long
def test_processes(archive_file, cache, sha256):
    code = """if True:
        import sys
        from galsim_deep.modules.resolve import resolve
        print("ready", flush=True)
        sys.stdin.readline()
        print(resolve(sys.argv[1]))"""
    running = [subprocess.Popen([sys.executable, "-c", code, archive_file], cwd=ROOT, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        output, _ = process.communicate()
        assert process.returncode == 0
        assert output.strip() == str(cache / "modules" / sha256 / "toy")
    assert [path.name for path in (cache / "modules").iterdir()] == [sha256]


# ---- hub:NAME -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "a/b", "../toy", "..", ".toy", "a\\b", "toy\n", "a b", "é", "\ud800"], ids=ascii)
def test_malformed_name(name, check_fails):
    check_fails(galsim.GalSimValueError, "hub:", f"hub:{name}")


def test_order_of_search(
        tmp_path, cache, server, monkeypatch, use_index, install, make_module, archive, sha256):
    index = use_index({"toy": {"url": server.put("/toy.tar.gz", archive), "sha256": sha256}})
    cached = cache / "modules" / sha256 / "toy"
    assert available() == {"toy": None}
    assert resolve("hub:toy") == cached
    assert available() == {"toy": cached}
    server.stop()
    assert resolve("hub:toy", sha256=sha256) == cached
    index.write_text(json.dumps({"toy": {"url": server.address, "sha256": sha256.upper()}}))
    assert resolve("hub:toy", offline=True) == cached

    install(tmp_path / "installed")
    make_module(tmp_path / "installed" / "toy")
    assert resolve("hub:toy") == tmp_path / "installed" / "toy"

    first, second = tmp_path / "first", tmp_path / "second"
    make_module(second / "toy")
    (first / "toy").mkdir(parents=True)  # no module
    make_module(first / ".hidden")  # no name for hub:
    monkeypatch.setenv(
        "GALSIM_DEEP_PATH", os.pathsep.join([str(first), "", str(tmp_path / "none"), str(second)]))
    assert resolve("hub:toy") == second / "toy"
    (first / "toy").rmdir()
    make_module(first / "toy")
    assert resolve("hub:toy") == first / "toy"
    assert available() == {"toy": first / "toy"}
    with pytest.raises(galsim.GalSimValueError, match="folder"):
        resolve("hub:toy", sha256=sha256)


def test_unknown_name(tmp_path, cache, monkeypatch, use_index, make_module, sha256, check_fails):
    index = use_index({"acs_flow_vae": {"url": "http://127.0.0.1/x", "sha256": sha256}})
    make_module(tmp_path / "mine" / "acs_mpcc")
    (tmp_path / "mine" / "acs_flow_va").mkdir()
    monkeypatch.setenv("GALSIM_DEEP_PATH", str(tmp_path / "mine"))
    error = check_fails(galsim.GalSimValueError, "mean acs_flow_vae", "hub:acs_flow_va")
    assert error.value == "hub:acs_flow_va"
    assert error.allowed_values == ["acs_mpcc", "acs_flow_vae"]
    for place in (tmp_path / "mine", tmp_path / "mine" / "acs_flow_va", CARD_PATH, cache, index,
                  "$GALSIM_DEEP_PATH"):
        assert str(place) in str(error)
    error = check_fails(galsim.GalSimValueError, "hub:zzz", "hub:zzz")
    assert "Did you mean" not in str(error)


def test_a_path_that_is_a_name(cache, install, tmp_path, make_module, check_fails, monkeypatch):
    monkeypatch.chdir(tmp_path)
    install(make_module(tmp_path / "installed" / "toy").parent)
    check_fails(HandleError, "hub:toy", "toy")


def test_installed_index(
        tmp_path, cache, server, use_index, install, make_module, archive, sha256, check_fails):
    installed = make_module(tmp_path / "installed" / "here").parent
    install(installed)
    url = server.put("/toy.tar.gz", archive)
    (installed / "index.json").write_text(json.dumps({
        "here": {"url": None, "summary": "comes with the package"},
        "left_out": {"url": None},
        "toy": {"url": url, "sha256": sha256}}))
    assert resolve("hub:here") == installed / "here"
    check_fails(HandleError, "left_out.*not installed", "hub:left_out")
    # No further index can replace a name of the installed one, but it may have what is missing.
    use_index({"toy": {"url": url + "x", "sha256": 64 * "0"},
               "left_out": {"url": url, "sha256": sha256}})
    assert list(available()) == ["here", "left_out", "toy"]
    assert resolve("hub:toy") == resolve("hub:left_out") == cache / "modules" / sha256 / "toy"


def deep(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


URL = "http://127.0.0.1/x.tar.gz"
BAD_ENTRIES = {
    "no checksum": ({"url": URL}, "no sha256"),
    "empty checksum": ({"url": URL, "sha256": ""}, "no sha256"),
    "path for a checksum": ({"url": URL, "sha256": "../.."}, "sha256"),
    "deep checksum": ({"url": URL, "sha256": deep(900)}, "sha256"),
    "path for a URL": ({"url": "file:///etc/x.tar.gz", "sha256": 64 * "a"}, "url"),
    "number for a URL": ({"url": 5, "sha256": 64 * "a"}, "url"),
    "deep URL": ({"url": deep(900), "sha256": 64 * "a"}, "url"),
    "other checksum": ({"url": URL, "sha256": 64 * "0"}, "sha256"),
}


@pytest.mark.parametrize("entry, fact", BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_bad_entry(entry, fact, use_index, check_fails):
    """Also where it is nested nearly as deep as Python's recursion limit allows."""
    path = use_index({"toy": entry})
    check_fails(galsim.GalSimValueError, f"hub:toy.*{path}.*{fact}", "hub:toy", sha256=64 * "a")
    assert available() == {"toy": None}


def test_bad_index(use_index, check_fails):
    path = use_index({})
    path.write_text("{")
    check_fails(HandleError, str(path), "hub:toy")
    with pytest.warns(galsim.GalSimWarning, match=str(path)):
        assert available() == {}


def test_index_by_url(cache, server, monkeypatch, archive, sha256, make_archive, check_fails):
    """It is read anew each time; without a network its last copy is used."""
    newer = make_archive({CARD_PATH: "{}", "new": ""})
    entries = {"toy": {"url": server.put("/toy.tar.gz", archive), "sha256": sha256}}
    monkeypatch.setenv("GALSIM_DEEP_INDEX",
                       server.put("/index.json", json.dumps(entries).encode()))

    check_fails(galsim.GalSimValueError, "hub:toy", "hub:toy", offline=True)
    assert available(offline=True) == {}
    assert server.requests == []
    old = resolve("hub:toy")
    assert old == cache / "modules" / sha256 / "toy"
    assert server.requests == ["/index.json", "/toy.tar.gz"]

    entries["toy"] = {"url": server.put("/new.tar.gz", newer), "sha256": digest(newer)}
    server.put("/index.json", json.dumps(entries).encode())
    assert resolve("hub:toy", offline=True) == old
    assert resolve("hub:toy") == cache / "modules" / digest(newer)

    entries["other"] = {"url": server.address + "/other.tar.gz", "sha256": 64 * "0"}
    server.put("/index.json", json.dumps(entries).encode())
    assert list(available()) == ["toy", "other"]
    server.requests.clear()
    with pytest.raises(galsim.GalSimValueError, match="mean other"):
        resolve("hub:othr")
    assert server.requests == ["/index.json"]
    with pytest.raises(HandleError, match=r"hub:other.*/other.tar.gz.*GALSIM_DEEP_OFFLINE"):
        resolve("hub:other", offline=True)

    server.stop()
    with pytest.warns(galsim.GalSimWarning, match=f"{server.address}/index.json.*copy"):
        assert resolve("hub:toy") == cache / "modules" / digest(newer)


# ---- the package ----------------------------------------------------------------------------


def test_import_is_light():
    code = ("import sys, galsim; import galsim_deep.modules.resolve; "
            "sys.exit(bool({'pooch', 'pydantic', 'requests'} & {*sys.modules}))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_modules_of_a_clone(monkeypatch):
    """Python started in a clone imports the source tree, whatever is installed."""
    monkeypatch.delenv("GALSIM_DEEP_PATH", raising=False)
    script = "import galsim_deep; print(galsim_deep.available_modules(offline=True))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert str(ROOT / "hub_modules" / "acs_flow_vae") in done.stdout
