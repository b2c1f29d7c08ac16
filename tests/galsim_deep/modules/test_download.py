"""Downloads from a real HTTP server, and checksums."""

import logging
import os
import pickle
import socket
import threading

import galsim
import pooch
import pytest

from galsim_deep.modules import download as module
from galsim_deep.modules.download import (
    check_sha256,
    download,
    file_sha256,
    is_offline,
    is_url,
    parse_sha256,
    split_url,
)
from galsim_deep.modules.errors import HandleError


@pytest.mark.parametrize("text, expected", [
    ("http://a/b", True), ("HTTPS://a", True), ("ftp://a", False), ("hub:a", False),
    ("/http://a", False), ("a.tar.gz", False), ("file:///etc/passwd", False)])
def test_urls(text, expected):
    assert is_url(text) == expected


# ---- checksums ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [64 * "a", " " + 64 * "A" + "\n", "0123456789abcdef" * 4])
def test_checksums(text):
    assert parse_sha256(text, "here") == text.strip().lower()


DEEP = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize("text", [
    "", "abc", 63 * "a", 65 * "a", 63 * "a" + "g", "../..", None, 5, bytes(64), DEEP],
    ids=lambda text: str(text)[:10] if text is not DEEP else "deep")
def test_what_is_no_checksum(text):
    with pytest.raises(galsim.GalSimValueError, match="this place"):
        parse_sha256(text, "this place")


def test_checksum_of_a_url():
    url = "https://example.org/a.tar.gz"
    assert split_url(url) == (url, None)
    assert split_url(f"{url}#part") == (url, None)
    assert split_url(f"{url}?x=1#sha256={64 * 'A'}") == (f"{url}?x=1", 64 * "a")
    for fragment in ("sha256=", "sha256=abc"):
        with pytest.raises(galsim.GalSimValueError, match=url):
            split_url(f"{url}#{fragment}")
    with pytest.raises(galsim.GalSimValueError):
        split_url("http://[::1/a.tar.gz#part")


def test_checksum_of_a_file(archive_file, sha256):
    assert file_sha256(archive_file) == sha256
    assert check_sha256(archive_file, None, "it") == check_sha256(archive_file, sha256, "it")
    with pytest.raises(HandleError, match=f"the archive.*{sha256}.*000"):
        check_sha256(archive_file, 64 * "0", "the archive")
    with pytest.raises(HandleError, match="expected: ask its author.$"):
        check_sha256(archive_file, 64 * "0", "the archive", "ask its author")


def test_checksum_of_no_file(tmp_path):
    with pytest.raises(HandleError, match="nothing"):
        file_sha256(tmp_path / "nothing")


def test_files_of_absurd_sizes_are_not_read(tmp_path):
    path = tmp_path / "toy.tar.gz"
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(HandleError, match="1099511627776 bytes"):
        file_sha256(path)


# ---- downloads ------------------------------------------------------------------------------


@pytest.mark.parametrize("value, expected", [
    (None, False), ("", False), ("0", False), (" False ", False), ("1", True), ("yes", True)])
def test_the_offline_switch(value, expected, monkeypatch):
    """A choice of the caller comes before the environment."""
    monkeypatch.delenv("GALSIM_DEEP_OFFLINE", raising=False)
    if value is not None:
        monkeypatch.setenv("GALSIM_DEEP_OFFLINE", value)
    assert is_offline() == expected
    assert is_offline(True) and not is_offline(False)


@pytest.fixture
def folder(tmp_path, cache):
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def pooch_messages():
    """What is logged by pooch, which does not pass its messages on to pytest."""
    messages, handler = [], logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    pooch.get_logger().addHandler(handler)
    yield messages
    pooch.get_logger().removeHandler(handler)


def refused(folder, fact, url):
    """The error that a download raises, which names the URL and a fact."""
    with pytest.raises(HandleError, match=fact) as caught:
        download(url, folder, f"The file {url}")
    assert isinstance(caught.value, OSError) and isinstance(caught.value, galsim.GalSimError)
    assert f"The file {url}" in str(caught.value)
    assert caught.value.__cause__ is not None
    assert not [path for path in folder.iterdir() if path.name == "download"]
    return caught.value


def test_download(folder, server, archive, pooch_messages):
    """Nothing is logged."""
    url = server.put("/toy.tar.gz?download=1", archive)
    path = download(url, folder, url)
    assert path.read_bytes() == archive
    assert path.parent == folder
    assert server.requests == ["/toy.tar.gz?download=1"]
    # An archive that the server unpacks on the way would have another checksum.
    assert server.headers[0]["Accept-Encoding"] == "identity"
    assert pooch_messages == []


def test_others_may_log(folder, server, archive, pooch_messages, monkeypatch):
    """Other threads during a download, and this one after it."""
    retrieve, log = pooch.retrieve, pooch.get_logger().warning

    def retrieve_beside_another_thread(*args, **kwargs):
        log("of this thread")
        other = threading.Thread(target=log, args=("of another thread",))
        other.start()
        other.join()
        return retrieve(*args, **kwargs)

    monkeypatch.setattr(pooch, "retrieve", retrieve_beside_another_thread)
    url = server.put("/toy.tar.gz", archive)
    download(url, folder, url)
    log("later")
    assert pooch_messages == ["of another thread", "later"]


def test_truncated(folder, server, archive):
    server.missing = 100
    refused(folder, "truncated", server.put("/toy.tar.gz", archive))


@pytest.mark.parametrize("unannounced", [False, True])
def test_too_large(folder, server, archive, unannounced):
    """Whether the server announces the size or not; the message names the URL."""
    server.unannounced = unannounced
    url = server.put("/toy.tar.gz", archive)
    assert download(url, folder, url, len(archive)).read_bytes() == archive
    (folder / "download").unlink()
    with pytest.raises(HandleError, match=f"{url} was not downloaded.*{len(archive) - 1} bytes"):
        download(url, folder, url, len(archive) - 1)
    assert [*folder.iterdir()] == []


def test_a_size_that_is_announced_is_not_awaited(folder, server, archive):
    """A download that cannot succeed stops before it begins."""
    server.missing = 2**40
    refused(folder, "more than", server.put("/toy.tar.gz", archive))


def test_not_found(folder, server):
    error = refused(folder, "404", server.address + "/toy.tar.gz")
    assert repr(error).startswith("galsim_deep.modules.HandleError(")
    assert pickle.loads(pickle.dumps(error)) == error
    # As in Dask, which pickles the cause too.
    assert str(pickle.loads(pickle.dumps(error.__cause__))) == str(error.__cause__)


def test_unreachable(folder):
    """The message says what to do, and the URL once."""
    with socket.socket() as bound:  # nobody else gets this port, and nobody listens at it
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/a"
        message = str(refused(folder, "reached", url))
        assert message.count(url) == 1 and "GALSIM_DEEP_OFFLINE" in message
        with pytest.raises(HandleError, match="try again, or ask somebody.$"):
            download(url, folder, "it", advice="ask somebody")


def test_timeout(folder, server, monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT", (60, 0.1))
    server.silent = True
    refused(folder, "no answer", server.address + "/toy.tar.gz")


@pytest.mark.parametrize("url", [
    "http://", "http://\x00/", "http://a b/", "http://[/", "http://a:99999/", "http://.example/",
    "http://\ud800/", "http://" + 100 * "ü"], ids=ascii)
def test_malformed_urls(url, folder):
    refused(folder, "downloaded", url)
