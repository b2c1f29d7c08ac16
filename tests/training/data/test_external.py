"""External data are downloaded from a real HTTP server, or taken from a local folder."""

import dataclasses
import hashlib
import os
import socket
from pathlib import Path

import pytest
from galsim import GalSimError
from galsim.errors import GalSimValueError

from galsim_deep.modules.cache import cache_dir
from galsim_deep.modules.download import is_sha256, is_url
from galsim_deep.modules.errors import HandleError
from galsim_deep_training.data.external import (
    EXTERNAL_DATA,
    ExternalData,
    external,
    external_folder,
)

CONTENT = 1000 * b"radio galaxies "
WRONG = CONTENT.replace(b"radio", b"other")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of external data, which does not exist yet."""
    monkeypatch.delenv("GALSIM_DEEP_OFFLINE", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("GALSIM_DEEP_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def data(folder, server):
    """External data that the server has."""
    return ExternalData(
        name="some_galaxies", summary="", url=server.put("/v1/galaxies.zip", CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT), also="the other place",
        terms="", citation="")


def put(folder, content, name="galaxies.zip"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def refused(match, action, *arguments, **options):
    """The message of a `HandleError`."""
    with pytest.raises(HandleError, match=match) as caught:
        action(*arguments, **options)
    assert isinstance(caught.value, GalSimError)
    return str(caught.value)


def test_a_download(data, folder, server):
    """It is made once, and what is there is found."""
    assert data.fetch() == data.find() == data.fetch() == folder / "galaxies.zip"
    assert data.find().read_bytes() == CONTENT
    assert server.requests == ["/v1/galaxies.zip"]
    assert list(folder.iterdir()) == [folder / "galaxies.zip"]


@pytest.mark.skipif(os.name != "posix", reason="files have these permissions on POSIX systems")
def test_others_can_read_it(data):
    """A folder of external data may be shared."""
    before = os.umask(0o022)
    try:
        assert data.fetch().stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_absent_data(data, folder):
    """The message names the command that downloads them, and the folder."""
    message = refused("galsim-deep-train fetch some_galaxies", data.find)
    assert str(folder / "galaxies.zip") in message and "GALSIM_DEEP_DATA" in message
    assert not folder.exists()


# ---- downloads that fail --------------------------------------------------------------------


def test_an_interrupted_download(data, folder, server):
    """Nothing of it is left, and the next one succeeds."""
    server.put("/v1/galaxies.zip", CONTENT[:-100])
    server.missing = 100
    refused("some_galaxies could not be downloaded.*truncated", data.fetch)
    assert list(folder.iterdir()) == []
    server.put("/v1/galaxies.zip", CONTENT)
    server.missing = 0
    assert data.fetch().read_bytes() == CONTENT


@pytest.mark.parametrize("content", [WRONG, CONTENT[:-100]], ids=["another", "short"])
def test_another_file_than_expected(content, data, folder, server):
    server.unannounced = True
    server.put("/v1/galaxies.zip", content)
    message = refused(f"{hashlib.sha256(content).hexdigest()} instead of {data.sha256}", data.fetch)
    assert "correct the checksum" not in message  # it is not the user's
    assert list(folder.iterdir()) == []


def test_a_larger_file_than_expected(data, folder, server):
    server.put("/v1/galaxies.zip", CONTENT + b"!")
    refused(f"more than {len(CONTENT)} bytes", data.fetch)
    assert list(folder.iterdir()) == []


def test_no_connection(data, folder):
    """The message says which file to put where, in one line."""
    with socket.socket() as bound:  # nobody else gets this port, and nobody listens at it
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/galaxies.zip"
        message = refused("cannot be reached", dataclasses.replace(data, url=url).fetch)
    assert f"download {url}" in message and "the other place" in message
    assert f"put galaxies.zip into {folder}" in message and "--from" in message
    assert "\n" not in message


def test_a_machine_that_is_offline(data, folder, server, monkeypatch):
    message = refused("offline switch is on", data.fetch, offline=True)
    assert data.url in message and f"put galaxies.zip into {folder}" in message
    monkeypatch.setenv("GALSIM_DEEP_OFFLINE", "1")
    refused("GALSIM_DEEP_OFFLINE", data.fetch)
    assert server.requests == [] and not folder.exists()


def test_a_file_in_the_place_of_the_folder(data, folder):
    folder.write_text("")
    refused(f"{folder} cannot be written.*GALSIM_DEEP_DATA", data.fetch)


# ---- local folders --------------------------------------------------------------------------


def test_the_folder_may_be_filled_by_hand(data, folder, server, monkeypatch):
    """Then nothing is downloaded, and without a connection all is well."""
    put(folder, CONTENT)
    monkeypatch.setenv("GALSIM_DEEP_OFFLINE", "1")
    assert data.fetch() == data.find() == folder / "galaxies.zip"
    assert server.requests == []


def test_a_wrong_file_in_the_folder(data, folder, server):
    """It is neither used nor replaced, since somebody else put it there."""
    path = put(folder, WRONG)
    for action in (data.find, data.fetch):
        assert "remove it" in refused(f"{path} has sha256", action)
    assert path.read_bytes() == WRONG and server.requests == []


def test_a_copy_of_a_local_file(data, folder, server, tmp_path):
    put(tmp_path / "mine", CONTENT)
    assert data.fetch(tmp_path / "mine", offline=True) == folder / "galaxies.zip"
    assert data.find().read_bytes() == CONTENT and server.requests == []
    assert (tmp_path / "mine" / "galaxies.zip").is_file()


def test_a_wrong_local_file(data, folder, tmp_path):
    path = put(tmp_path / "mine", WRONG)
    refused(f"{path} has sha256", data.fetch, tmp_path / "mine")
    assert list(folder.iterdir()) == []


def test_a_local_folder_without_the_file(data, tmp_path):
    put(tmp_path / "mine", CONTENT, "galaxies.tar")
    message = refused("does not exist", data.fetch, str(tmp_path / "mine"))
    assert str(tmp_path / "mine" / "galaxies.zip") in message and data.url in message


# ---- the folder and the list ----------------------------------------------------------------


def test_the_folder_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("GALSIM_DEEP_DATA", raising=False)
    monkeypatch.setenv("GALSIM_DEEP_CACHE", str(tmp_path))
    assert external_folder() == cache_dir() / "data" == tmp_path / "data"


def test_a_folder_by_name(monkeypatch):
    monkeypatch.setenv("GALSIM_DEEP_DATA", "~/there")
    assert external_folder() == Path.home() / "there"
    monkeypatch.setenv("GALSIM_DEEP_DATA", "relative")
    assert external_folder() == Path.cwd() / "relative"


@pytest.mark.parametrize("name", sorted(EXTERNAL_DATA))
def test_the_list(name):
    data = external(name)
    assert data.name == name
    assert is_url(data.url) and data.url.startswith("https://") and is_sha256(data.sha256)
    assert data.size > 0 and data.summary and data.terms and data.citation
    # All are kept in one folder.
    assert [other.file_name for other in EXTERNAL_DATA.values()].count(data.file_name) == 1


def test_an_unknown_name():
    with pytest.raises(GalSimValueError, match="Did you mean radio_galaxy_dataset"):
        external("radio_galaxies_dataset")
    with pytest.raises(GalSimValueError, match="radio_galaxy_dataset"):
        external("")
