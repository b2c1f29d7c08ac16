"""Handles against real files and a real HTTP server on the loopback interface."""

import gzip
import hashlib
import io
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import galsim
import pytest

from galsim_deep import handles
from galsim_deep.handles import HandleError, available, cache_dir, installed_path, resolve

CARD = "assets/galsim_module.json"


def make_archive(members):
    """The bytes of a .tar.gz with these files: a dict from name to text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def make_module(folder):
    (folder / "assets").mkdir(parents=True)
    (folder / CARD).write_text("{}")
    return folder


def digest(data):
    return hashlib.sha256(data).hexdigest()


ARCHIVE = make_archive({f"toy/{CARD}": "{}", "toy/saved_model.pb": "network"})
SHA256 = digest(ARCHIVE)


class Server:
    """Serves the bytes in `files` and counts the requests; `short`: bytes announced, not sent."""

    def __init__(self):
        self.files, self.requests, self.short, self.delay = {}, [], 0, 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):
                self.requests.append(handler.path)
                time.sleep(self.delay)
                body = self.files.get(handler.path)
                if body is None:
                    return handler.send_error(404)
                handler.send_response(200)
                handler.send_header("Content-Length", str(len(body) + self.short))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def put(self, path, data):
        self.files[path] = data
        return self.address + path

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no modules installed, and nothing of the caller's environment."""
    for name in ("PATH", "INDEX", "OFFLINE"):
        monkeypatch.delenv(f"GALSIM_DEEP_{name}", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("GALSIM_DEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(handles, "installed_path", lambda: [])
    return tmp_path / "cache"


@pytest.fixture
def use_index(tmp_path, monkeypatch):
    """A function that makes the entries the index in a file."""
    def use(entries):
        path = tmp_path / "my_index.json"
        path.write_text(json.dumps(entries))
        monkeypatch.setenv("GALSIM_DEEP_INDEX", str(path))
        return path
    return use


def left(cache):
    """What is in the cache, but for its own two folders."""
    return [p for p in cache.rglob("*") if p not in (cache / "modules", cache / "indexes")]


def check_fails(cache, error, match, *args, **kwargs):
    """resolve() must raise this error, whose message matches, and leave nothing behind."""
    with pytest.raises(error, match=match) as caught:
        resolve(*args, **kwargs)
    assert isinstance(caught.value, galsim.GalSimError)
    assert left(cache) == []
    return caught.value


def closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


# ---- folders and files ----------------------------------------------------------------------


def test_folder(tmp_path, cache, monkeypatch):
    module = make_module(tmp_path / "toy")
    assert resolve(module) == resolve(str(module)) == module
    monkeypatch.chdir(tmp_path)
    assert resolve("toy") == module
    assert resolve(Path("toy")).is_absolute()
    assert not cache.exists()
    check_fails(cache, galsim.GalSimValueError, "is a folder", module, sha256=SHA256)


def test_folder_without_card(tmp_path, cache):
    (tmp_path / "empty").mkdir()
    check_fails(cache, HandleError, f"empty is not .* it lacks {CARD}", tmp_path / "empty")


@pytest.mark.parametrize("handle", ["missing", "missing.tar.gz", "HUB:toy", "my-hub:toy"])
def test_missing_path(handle, cache):
    check_fails(cache, OSError, f"{handle} does not exist. A handle is hub:NAME", handle)


def test_neither_folder_nor_archive(tmp_path, cache):
    (tmp_path / "toy.zip").write_bytes(b"zip")
    check_fails(cache, HandleError, "is not a .tar.gz", tmp_path / "toy.zip")
    with pytest.raises(TypeError):
        resolve(None)


@pytest.mark.parametrize("top", ["", "toy/", "./", "./toy/"])
def test_local_archive(top, tmp_path, cache):
    data = make_archive({f"{top}{CARD}": "{}", f"{top}saved_model.pb": "network"})
    path = tmp_path / "toy.tgz"
    path.write_bytes(data)
    module = resolve(path)
    assert (cache / "modules" / digest(data)) in (module, module.parent)
    assert (module / CARD).read_text() == "{}"
    assert (module / "saved_model.pb").read_text() == "network"
    assert resolve(str(path), sha256=digest(data).upper(), offline=True) == module
    assert {p.name for p in (cache / "modules").iterdir()} == {digest(data)}
    assert path.read_bytes() == data


def test_local_archive_with_other_checksum(tmp_path, cache):
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(ARCHIVE)
    check_fails(cache, HandleError, f"toy.tar.gz has sha256 {SHA256} where 000", path,
                sha256="0" * 64)


BROKEN = {
    "not gzip": (b"<html>not an archive</html>", "cannot be unpacked"),
    "truncated gzip": (ARCHIVE[:-20], "cannot be unpacked"),
    "without the checksum of gzip": (ARCHIVE[:-8], "cannot be unpacked"),
    "cut in half": (ARCHIVE[:len(ARCHIVE) // 2], "cannot be unpacked"),
    "empty": (b"", "cannot be unpacked|not the archive of a module"),
    "traversal": (make_archive({CARD: "{}", "../outside.txt": "x"}), "could leave the folder"),
    "absolute traversal": (make_archive({CARD: "{}", "a/../../out": "x"}), "could leave the fol"),
    "no card": (make_archive({"toy/saved_model.pb": "network"}), f"{CARD} is neither"),
    "two modules": (make_archive({f"a/{CARD}": "{}", f"b/{CARD}": "{}"}), f"{CARD} is neither"),
}


@pytest.mark.parametrize("data, match", BROKEN.values(), ids=BROKEN)
def test_broken_archive(data, match, tmp_path, cache, server):
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(data)
    before = set(tmp_path.rglob("*"))
    check_fails(cache, HandleError, f"(?s)toy.tar.gz.*({match})", path)
    check_fails(cache, HandleError, match, server.put("/toy.tar.gz", data), sha256=digest(data))
    assert set(tmp_path.rglob("*")) - before <= {cache, cache / "modules"}


def member(name, data=b"", **attributes):
    """A member of an archive as bytes; ``attributes`` are those of `tarfile.TarInfo`."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def packed(*members):
    """The bytes of a .tar.gz that is a module but for these members, as `member` makes them."""
    end = bytes(2 * tarfile.BLOCKSIZE)
    return gzip.compress(b"".join([member(CARD, b"{}"), *members, end]), 1)


def global_header(**headers):
    return tarfile.TarInfo.create_pax_global_header(headers)


REFUSED = {
    "symbolic link": (member("a", type=tarfile.SYMTYPE, linkname="saved_model.pb"), "is a link"),
    "link outside": (member("a", type=tarfile.SYMTYPE, linkname="../../../else"), "is a link"),
    "hard link": (member("a", type=tarfile.LNKTYPE, linkname=CARD), "is a link"),
    "hard link to nothing": (member("a", type=tarfile.LNKTYPE, linkname="b"), "is a link"),
    "pipe": (member("a", type=tarfile.FIFOTYPE), "a device"),
    "device": (member("a", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "a device"),
    "unknown type": (member("a", type=b"Z"), "not a plain file"),
    "sparse, 10 TB": (member("a", pax_headers={
        "GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**13)}), "sparse file"),
    "sparse, old form": (member("a", type=tarfile.GNUTYPE_SPARSE), "sparse file"),
    "absolute path": (member("/tmp/a"), "could leave the folder"),
    "path of Windows": (member("..\\a"), "could leave the folder"),
    "drive of Windows": (member("C:a"), "could leave the folder"),
    "escape sequence": (member("\x1b[31ma"), "unprintable"),
    "long path": (member("/".join(5 * ["a" * 40])), "more than 200 characters"),
    "deep path": (member("/".join("abcdefghijk")), "or 10 parts"),
    "10 TB": (member("a", pax_headers={"size": str(10**13)}), "more than 2147483648 bytes"),
    "many files": (b"".join(member(f"{k}") for k in range(1000)), "after 1000 others"),
    "negative size": (member("a", pax_headers={"size": "-512"}), "negative size"),
    "no time": (member("a", pax_headers={"mtime": "nan"}), "ValueError"),
    "large header": (member("a", pax_headers={"comment": 2**20 * "9"}), "header of 104"),
    "headers of headers": (2000 * global_header(comment="x"), "RecursionError"),
}


@pytest.mark.parametrize("data, match", REFUSED.values(), ids=REFUSED)
def test_refused_members(data, match, tmp_path, cache):
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(packed(data))
    error = check_fails(cache, HandleError, match, path)
    assert f"{path} cannot be unpacked" in str(error) and "Get a whole archive" in str(error)


@pytest.mark.parametrize("limit", [None, 10**6])
def test_links_longer_than_the_system_follows(limit, tmp_path, cache, monkeypatch):
    """CVE-2025-4517: they lead the filter of tarfile astray in many versions of Python.

    They are refused for their length, and for being links where there is no limit.
    """
    if limit is not None:
        monkeypatch.setattr(handles, "MAX_PATH_LENGTH", limit)
        monkeypatch.setattr(handles, "MAX_PATH_DEPTH", limit)
    victim = tmp_path / "outside" / "victim"
    victim.parent.mkdir()
    victim.write_text("whole")
    folders, members, at = "abcdefghijklmnop", [], ""
    for name in folders:  # a/b/c/... is short, and what it stands for longer than PATH_MAX
        long_name = 247 * "d"
        members += [member(f"{at}{long_name}", type=tarfile.DIRTYPE),
                    member(f"{at}{name}", type=tarfile.SYMTYPE, linkname=long_name)]
        at += f"{long_name}/"
    top = f"{'/'.join(folders)}/{254 * 'l'}"
    up = 4 * "../"  # from the folder that is unpacked into to tmp_path
    members += [
        member(top, type=tarfile.SYMTYPE, linkname=len(folders) * "../"),
        member("escape", type=tarfile.SYMTYPE, linkname=f"{top}/{up}outside"),
        member("link", type=tarfile.LNKTYPE, linkname="escape/victim"),
        member("link", b"overwritten"),
        member("escape/new", b"written")]
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(packed(*members))
    match = "more than 200 characters" if limit is None else "is a link"
    check_fails(cache, HandleError, match, path)
    assert victim.read_text() == "whole"
    assert [*victim.parent.iterdir()] == [victim]


@pytest.mark.parametrize("data", [
    packed(member("a", bytes(2**21))),
    packed(*(member(f"{k}", bytes(2**17)) for k in range(16))),
    gzip.compress(gzip.decompress(packed()) + bytes(2**21)),
], ids=["one file", "all files", "after the end"])
def test_archives_that_unpack_to_any_size(data, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(handles, "MAX_MODULE_BYTES", 2**20)
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(data)
    check_fails(cache, HandleError, "more than 1048576 bytes", path)


def test_archive_of_any_size(tmp_path, cache):
    path = tmp_path / "toy.tar.gz"
    path.touch()
    os.truncate(path, 2**40)
    check_fails(cache, HandleError, "has 1099511627776 bytes, and a module", path)


def test_permissions_of_an_archive_are_not_taken(tmp_path, cache):
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(packed(member("a", b"#!/bin/sh", mode=0o4777), member("b", mode=0)))
    module = resolve(path)
    assert (module / "a").stat().st_mode & 0o7777 == 0o755
    assert (module / "b").stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_any_form(form, tmp_path, cache):
    """With names that need headers of their own, as far as the form has such."""
    names = ["variables/" + 80 * "v"]
    if form != tarfile.USTAR_FORMAT:
        names += ["variables/" + 150 * "w", "Gewichte/groß"]
    source = make_module(tmp_path / "source")
    for name in names:
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(name.encode() * 10_000)
    path = tmp_path / "toy.tar.gz"
    with tarfile.open(path, "w:gz", format=form) as tar:
        tar.add(source, "toy")
    module = resolve(path)
    for name in names:
        assert (module / name).read_bytes() == name.encode() * 10_000


def test_cache_cannot_be_written(tmp_path, cache):
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(ARCHIVE)
    cache.write_text("a file is in the way")
    with pytest.raises(HandleError, match="cannot be written .*GALSIM_DEEP_CACHE"):
        resolve(path)


def test_damage_in_the_cache_is_mended(tmp_path, cache):
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(ARCHIVE)
    module = resolve(path)
    (module / CARD).unlink()
    (cache / "modules" / ".tmp-crashed").mkdir()  # what a killed process may leave
    assert resolve(path) == module
    assert (module / CARD).exists()


# ---- URLs -----------------------------------------------------------------------------------


def test_url(cache, server, capfd, caplog):
    url = server.put("/toy.tar.gz?download=1", ARCHIVE)
    with caplog.at_level(logging.DEBUG, logger="pooch"):
        module = resolve(url, sha256=SHA256)
    assert module == cache / "modules" / SHA256 / "toy"
    assert (module / "saved_model.pb").read_text() == "network"
    assert sorted(p.name for p in cache.rglob("*") if p.is_file()) == [
        "galsim_module.json", "saved_model.pb"]
    assert [p.name for p in (cache / "modules").iterdir()] == [SHA256]
    assert len(server.requests) == 1
    server.stop()
    assert resolve(f"{url}#sha256={SHA256}") == module
    assert resolve(url, sha256=SHA256, offline=True) == module
    assert capfd.readouterr() == ("", "") and caplog.records == []


def test_checksum_must_be_given(cache, server):
    url = server.put("/toy.tar.gz", ARCHIVE)
    for handle in (url, f"{url}#part"):
        check_fails(cache, galsim.GalSimValueError, "sha256='HEX'.*#sha256=HEX", handle)
    check_fails(cache, galsim.GalSimValueError, "64 hexadecimal", url, sha256="abc")
    check_fails(cache, galsim.GalSimValueError, "64 hexadecimal", f"{url}#sha256=")
    check_fails(cache, galsim.GalSimValueError, "disagrees", f"{url}#sha256={SHA256}",
                sha256="0" * 64)
    assert server.requests == []
    assert resolve(f"{url}#sha256={SHA256.upper()}", sha256=SHA256).is_dir()


def test_wrong_checksum(cache, server):
    url = server.put("/toy.tar.gz", ARCHIVE)
    check_fails(cache, HandleError, f"^{url} has sha256 {SHA256} where 000", url,
                sha256="0" * 64)


def test_truncated_download(cache, server):
    url = server.put("/toy.tar.gz", ARCHIVE)
    server.short = 100
    check_fails(cache, HandleError, f"^{url} could not .*truncated", url,
                sha256=digest(ARCHIVE + bytes(100)))


def test_not_found(cache, server):
    url = server.address + "/toy.tar.gz"
    error = check_fails(cache, OSError, f"{url} could not be downloaded: the server answered 404",
                        url, sha256=SHA256)
    assert error.__cause__ is not None
    assert repr(error).startswith("galsim_deep.handles.HandleError(")
    assert pickle.loads(pickle.dumps(error)) == error


def test_errors_reach_the_client_of_dask():
    script = """
import pickle, sys
import distributed, tblib.pickling_support
tblib.pickling_support.install()  # as Dask's workers do
from galsim_deep.handles import HandleError
try:
    try:
        raise ValueError("cause")
    except ValueError as cause:
        raise HandleError("fault") from cause
except HandleError as error:
    assert pickle.loads(pickle.dumps(error)) == error
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=100)


def test_unreachable(cache):
    url = f"http://127.0.0.1:{closed_port()}/toy.tar.gz"
    start = time.monotonic()
    check_fails(cache, HandleError, f"{url} could not be downloaded: the host cannot be reached",
                url, sha256=SHA256)
    assert time.monotonic() - start < 5


def test_timeout(cache, server, monkeypatch):
    monkeypatch.setattr(handles, "_TIMEOUT", (1, 0.1))
    server.delay = 0.5
    check_fails(cache, HandleError, "no answer in time", server.put("/toy.tar.gz", ARCHIVE),
                sha256=SHA256)


def test_offline(cache, server, monkeypatch):
    url = server.put("/toy.tar.gz", ARCHIVE)
    check_fails(cache, HandleError, f"^{url} .* was not fetched.*GALSIM_DEEP_OFFLINE", url,
                sha256=SHA256, offline=True)
    for value in ("1", "true", "yes"):
        monkeypatch.setenv("GALSIM_DEEP_OFFLINE", value)
        check_fails(cache, HandleError, f"{url} .* was not fetched", url, sha256=SHA256)
    assert server.requests == []
    for value in ("", "0", "false", "False"):
        monkeypatch.setenv("GALSIM_DEEP_OFFLINE", value)
        assert not handles._is_offline(None)
    monkeypatch.setenv("GALSIM_DEEP_OFFLINE", "1")
    assert resolve(url, sha256=SHA256, offline=False).is_dir()


# ---- several at once ------------------------------------------------------------------------


def test_threads(cache, server, monkeypatch):
    """Both are made to download before either unpacks: one of the two moves must lose."""
    url = server.put("/toy.tar.gz", ARCHIVE)
    meet = threading.Barrier(2, timeout=20)
    unpack = handles._unpack

    def unpack_together(*args):
        meet.wait()
        return unpack(*args)

    monkeypatch.setattr(handles, "_unpack", unpack_together)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: resolve(url, sha256=SHA256), range(2)))
    assert found == [cache / "modules" / SHA256 / "toy"] * 2
    assert len(server.requests) == 2
    assert [p.name for p in (cache / "modules").iterdir()] == [SHA256]


def test_processes(tmp_path, cache):
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(ARCHIVE)
    code = """if True:
        import sys, galsim_deep.handles as handles
        print("ready", flush=True)
        sys.stdin.readline()
        print(handles.resolve(sys.argv[1]))"""
    root = Path(handles.__file__).parents[1]
    running = [subprocess.Popen([sys.executable, "-c", code, path], cwd=root, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out.strip() == str(cache / "modules" / SHA256 / "toy")
    assert [p.name for p in (cache / "modules").iterdir()] == [SHA256]


# ---- hub:NAME -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a/b", "../toy", "..", ".toy", "a\\b", "toy\n", "a b", "é"])
def test_malformed_name(name, cache):
    check_fails(cache, galsim.GalSimValueError, "plain name of a module", f"hub:{name}")


def test_order_of_search(tmp_path, cache, server, monkeypatch, use_index):
    index = use_index({"toy": {"url": server.put("/toy.tar.gz", ARCHIVE), "sha256": SHA256}})
    assert available() == {"toy": None}
    assert resolve("hub:toy") == cache / "modules" / SHA256 / "toy"
    assert available() == {"toy": cache / "modules" / SHA256 / "toy"}
    server.stop()
    assert resolve("hub:toy", sha256=SHA256) == cache / "modules" / SHA256 / "toy"
    index.write_text(json.dumps({"toy": {"url": server.address, "sha256": SHA256.upper()}}))
    assert resolve("hub:toy", offline=True) == cache / "modules" / SHA256 / "toy"

    installed = tmp_path / "installed"
    monkeypatch.setattr(handles, "installed_path", lambda: [installed])
    make_module(installed / "toy")
    assert resolve("hub:toy") == installed / "toy"

    first, second = tmp_path / "first", tmp_path / "second"
    make_module(second / "toy")
    (first / "toy").mkdir(parents=True)  # no module
    make_module(first / ".hidden")  # no name for hub:
    monkeypatch.setenv(
        "GALSIM_DEEP_PATH", os.pathsep.join([str(first), "", str(tmp_path / "none"), str(second)]))
    assert resolve("hub:toy") == second / "toy"
    make_module(first / "toy")
    assert resolve("hub:toy") == first / "toy"
    assert available() == {"toy": first / "toy"}
    with pytest.raises(galsim.GalSimValueError, match="is a folder"):
        resolve("hub:toy", sha256=SHA256)


def test_unknown_name(tmp_path, cache, monkeypatch, use_index):
    index = use_index({"acs_flow_vae": {"url": "http://127.0.0.1/x", "sha256": SHA256}})
    make_module(tmp_path / "mine" / "acs_mpcc")
    (tmp_path / "mine" / "acs_flow_va").mkdir()
    monkeypatch.setenv("GALSIM_DEEP_PATH", str(tmp_path / "mine"))
    error = check_fails(cache, galsim.GalSimValueError, "Did you mean acs_flow_vae",
                        "hub:acs_flow_va")
    assert error.allowed_values == ["acs_mpcc", "acs_flow_vae"]
    for place in (tmp_path / "mine", cache, index, "$GALSIM_DEEP_PATH", "hub:acs_flow_va",
                  f"acs_flow_va is there, but lacks {CARD}"):
        assert str(place) in str(error)
    check_fails(cache, galsim.GalSimValueError, "No module of this name. Looked in", "hub:zzz")


def test_shipped_index(tmp_path, cache, server, monkeypatch, use_index):
    installed = make_module(tmp_path / "installed" / "here").parent
    monkeypatch.setattr(handles, "installed_path", lambda: [installed])
    url = server.put("/toy.tar.gz", ARCHIVE)
    (installed / "index.json").write_text(json.dumps({
        "here": {"url": None, "summary": "comes with the package"},
        "left_out": {"url": None},
        "toy": {"url": url, "sha256": SHA256}}))
    assert resolve("hub:here") == installed / "here"
    check_fails(cache, HandleError, "left_out.*comes with the package.*not installed",
                "hub:left_out")
    # No further index can stand in for a name of the shipped one, but it may have what is missing.
    use_index({"toy": {"url": url + "x", "sha256": "0" * 64},
               "left_out": {"url": url, "sha256": SHA256}})
    assert list(available()) == ["here", "left_out", "toy"]
    assert resolve("hub:toy") == resolve("hub:left_out") == cache / "modules" / SHA256 / "toy"


@pytest.mark.parametrize("entry, match", [
    ({"url": "http://127.0.0.1/x.tar.gz"}, "no sha256"),
    ({"url": "http://127.0.0.1/x.tar.gz", "sha256": ""}, "no sha256"),
    ({"url": "http://127.0.0.1/x.tar.gz", "sha256": "../.."}, "64 hexadecimal"),
    ({"url": "file:///etc/x.tar.gz", "sha256": SHA256}, "not an http"),
    ({"url": 5, "sha256": SHA256}, "not an http"),
    ({"url": "http://127.0.0.1/x.tar.gz", "sha256": "0" * 64}, "disagrees"),
])
def test_bad_entry(entry, match, cache, use_index):
    path = use_index({"toy": entry})
    check_fails(cache, galsim.GalSimValueError, f"hub:toy in the index {path}.*{match}",
                "hub:toy", sha256=SHA256)
    assert available() == {"toy": None}


@pytest.mark.parametrize("text", ["{", "[]", '{"toy": "http://127.0.0.1/x"}', "\x00"])
def test_bad_index(text, cache, use_index, server, monkeypatch):
    path = use_index({})
    path.write_text(text)
    check_fails(cache, HandleError, f"index {path}", "hub:toy")
    url = server.put("/index.json", text.encode())
    monkeypatch.setenv("GALSIM_DEEP_INDEX", url)
    check_fails(cache, HandleError, f"index {url}", "hub:toy")


def test_missing_index(cache, server, monkeypatch):
    monkeypatch.setenv("GALSIM_DEEP_INDEX", str(cache / "no.json"))
    check_fails(cache, HandleError, "no.json cannot be read", "hub:toy")
    monkeypatch.setenv("GALSIM_DEEP_INDEX", server.address + "/no.json")
    check_fails(cache, HandleError, "no.json .*GALSIM_DEEP_INDEX.* could not .* 404", "hub:toy")
    monkeypatch.setenv("GALSIM_DEEP_INDEX", server.address + f"/no.json#sha256={SHA256}")
    server.put("/no.json", b"{}")
    check_fails(cache, HandleError, "no.json .* has sha256", "hub:toy")


def test_index_by_url(cache, server, monkeypatch):
    """It is read anew each time; without a network its last copy is used."""
    newer = make_archive({CARD: "{}", "new": ""})
    entries = {"toy": {"url": server.put("/toy.tar.gz", ARCHIVE), "sha256": SHA256}}
    url = server.put("/index.json", json.dumps(entries).encode())
    monkeypatch.setenv("GALSIM_DEEP_INDEX", url)

    check_fails(cache, galsim.GalSimValueError, "No module", "hub:toy", offline=True)
    assert available(offline=True) == {}
    assert server.requests == []
    old = resolve("hub:toy")
    assert old == cache / "modules" / SHA256 / "toy"
    assert server.requests == ["/index.json", "/toy.tar.gz"]

    entries["toy"] = {"url": server.put("/new.tar.gz", newer), "sha256": digest(newer)}
    server.put("/index.json", json.dumps(entries).encode())
    assert resolve("hub:toy", offline=True) == old
    assert resolve("hub:toy") == cache / "modules" / digest(newer)

    entries["other"] = {"url": server.address + "/other.tar.gz", "sha256": "0" * 64}
    server.put("/index.json", json.dumps(entries).encode())
    assert list(available()) == ["toy", "other"]
    server.requests.clear()
    with pytest.raises(galsim.GalSimValueError, match="Did you mean other"):
        resolve("hub:othr")
    assert server.requests == ["/index.json"]
    with pytest.raises(HandleError, match=r"^hub:other \(.*/other.tar.gz\) .* was not fet"):
        resolve("hub:other", offline=True)

    server.stop()
    with pytest.warns(galsim.GalSimWarning, match="copy of the index fetched last"):
        assert resolve("hub:toy") == cache / "modules" / digest(newer)


# ---- places ---------------------------------------------------------------------------------


def test_cache_dir(tmp_path, monkeypatch):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.setenv("GALSIM_DEEP_CACHE", "~/there")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "there"
    monkeypatch.delenv("GALSIM_DEEP_CACHE")
    assert "galsim-deep" in str(cache_dir())


def test_installed_path(tmp_path, monkeypatch):
    import galsim_deep

    (tmp_path / "hub_modules").mkdir()
    (tmp_path / "hub_modules" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "galsim_deep.hub_modules", raising=False)
    monkeypatch.setattr(galsim_deep, "__path__", [str(tmp_path)])
    assert installed_path() == [tmp_path / "hub_modules"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(handles, "__file__", str(tmp_path / "galsim_deep" / "handles.py"))
    assert installed_path() == [tmp_path / "hub_modules"]  # beside the package, as in a clone
    monkeypatch.setattr(handles, "__file__", str(tmp_path / "deep" / "down" / "handles.py"))
    assert installed_path() == []


def test_import_is_light():
    code = "import sys, galsim; import galsim_deep.handles; sys.exit('pooch' in sys.modules)"
    root = Path(handles.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def test_modules_of_a_clone():
    """Python started in a clone imports the source tree, whatever is installed."""
    root = Path(__file__).resolve().parents[2]
    script = "import galsim_deep; print(galsim_deep.available_modules(offline=True))"
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True,
                          check=True)
    assert str(root / "hub_modules" / "acs_flow_vae") in done.stdout
