"""Archives: unpacked whole, or refused with nothing left, whatever they hold."""

import gzip
import os
import random
import tarfile

import galsim
import pytest

from galsim_deep.modules import archive as module
from galsim_deep.modules.archive import CARD_PATH, find_module, is_module, is_safe_path, unpack
from galsim_deep.modules.errors import HandleError
from galsim_deep.runtime.atomic_files import WriteError


def member(name, data=b"", **attributes):
    """A member of an archive as bytes; ``attributes`` are those of `tarfile.TarInfo`."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


CARD = member(CARD_PATH, b"{}")


def packed(*members):
    """The bytes of a .tar.gz with these members."""
    return gzip.compress(b"".join([*members, bytes(2 * tarfile.BLOCKSIZE)]), 1)


def global_header(**headers):
    return tarfile.TarInfo.create_pax_global_header(headers)


@pytest.fixture
def unpacked(tmp_path):
    """``unpacked(data)``: the folder into which an archive of these bytes was unpacked."""

    def run(data):
        path = tmp_path / "toy.tar.gz"
        if data is not None:
            path.write_bytes(data)
        unpack(path, tmp_path / "target", path)
        return tmp_path / "target"

    return run


@pytest.fixture
def refused(unpacked, tmp_path):
    """``refused(data, fact)``: unpacking raises an error that names a fact, and leaves nothing."""

    def run(data, fact):
        before = {*tmp_path.rglob("*"), tmp_path / "toy.tar.gz"}
        with pytest.raises(HandleError, match=fact) as caught:
            unpacked(data)
        assert isinstance(caught.value, galsim.GalSimError)
        assert str(tmp_path / "toy.tar.gz") in str(caught.value)
        assert {*tmp_path.rglob("*")} == before
        return caught.value

    return run


# ---- sound archives -------------------------------------------------------------------------


@pytest.mark.parametrize("top", ["", "toy/", "./", "./toy/"])
def test_a_module_at_the_root_or_in_one_folder(top, unpacked, make_archive):
    target = unpacked(make_archive({f"{top}{CARD_PATH}": "{}", f"{top}saved_model.pb": "network"}))
    module_folder = find_module(target)
    assert module_folder == (target / "toy" if "toy" in top else target)
    assert is_module(module_folder)
    assert (module_folder / CARD_PATH).read_text() == "{}"
    assert (module_folder / "saved_model.pb").read_text() == "network"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_any_form(form, tmp_path, unpacked, make_module):
    """With names that need headers of their own, where the form has them."""
    names = ["variables/" + 80 * "v"]
    if form != tarfile.USTAR_FORMAT:
        names += ["variables/" + 150 * "w", "Gewichte/groß"]
    source = make_module(tmp_path / "source")
    for name in names:
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(name.encode() * 10_000)
    with tarfile.open(tmp_path / "toy.tar.gz", "w:gz", format=form) as tar:
        tar.add(source, "toy")
    target = unpacked(None)
    for name in names:
        assert (target / "toy" / name).read_bytes() == name.encode() * 10_000


def test_permissions_of_an_archive_are_not_taken(unpacked):
    target = unpacked(packed(CARD, member("a", b"#!/bin/sh", mode=0o4777), member("b", mode=0)))
    assert (target / "a").stat().st_mode & 0o7777 == 0o755
    assert (target / "b").stat().st_mode & 0o7777 == 0o600


def test_the_first_of_two_processes_counts(unpacked, archive):
    target = unpacked(archive)
    before = (target / "toy" / CARD_PATH).stat()
    assert unpacked(archive) == target
    assert (target / "toy" / CARD_PATH).stat() == before


def test_a_target_without_a_card_is_replaced(unpacked, archive):
    target = unpacked(archive)
    (target / "toy" / CARD_PATH).unlink()
    unpacked(archive)
    assert (target / "toy" / CARD_PATH).exists()


def test_a_target_that_cannot_be_written(tmp_path, archive_file):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=str(tmp_path / "file")):
        unpack(archive_file, tmp_path / "file" / "target", archive_file)


# ---- damaged archives -----------------------------------------------------------------------


@pytest.mark.parametrize("cut", [-8, -20, 60, 1])
def test_archives_that_end_early(cut, archive, refused):
    refused(archive[:cut], "cannot be unpacked")


@pytest.mark.parametrize("data", [b"", b"<html>not an archive</html>", gzip.compress(b"")],
                         ids=["empty", "no gzip", "no tar"])
def test_what_is_no_archive(data, refused):
    refused(data, "cannot be unpacked|not the archive of a module")


@pytest.mark.parametrize("files", [
    ["toy/saved_model.pb"], [f"a/{CARD_PATH}", f"b/{CARD_PATH}"], [f"a/b/{CARD_PATH}"]])
def test_archives_of_no_module_or_two(files, make_archive, refused):
    refused(make_archive(dict.fromkeys(files, "{}")), CARD_PATH)


@pytest.mark.parametrize("seed", range(100))
def test_damaged_bytes(seed, archive, unpacked, tmp_path):
    """Either a HandleError, or what was unpacked is in its place."""
    rng, data = random.Random(seed), bytearray(gzip.decompress(archive))
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(4 * tarfile.BLOCKSIZE)] = rng.randrange(256)
    try:
        target = unpacked(gzip.compress(bytes(data), 1))
    except HandleError:
        assert not (tmp_path / "target").exists()
    else:
        assert find_module(target) is not None
    assert {path.name for path in tmp_path.iterdir()} <= {"toy.tar.gz", "target"}


# ---- hostile archives -----------------------------------------------------------------------

REFUSED = {
    "traversal": (member("../outside.txt", b"x"), "could leave the folder"),
    "traversal below": (member("a/../../out", b"x"), "could leave the folder"),
    "symbolic link": (member("a", type=tarfile.SYMTYPE, linkname="saved_model.pb"), "is a link"),
    "link outside": (member("a", type=tarfile.SYMTYPE, linkname="../../../else"), "is a link"),
    "hard link": (member("a", type=tarfile.LNKTYPE, linkname=CARD_PATH), "is a link"),
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
    "long path": (member("/".join(5 * ["a" * 40])), "200 characters"),
    "deep path": (member("/".join("abcdefghijk")), "or 10 parts"),
    "10 TB": (member("a", pax_headers={"size": str(10**13)}), "more than 2147483648 bytes"),
    "many files": (b"".join(member(f"{k}") for k in range(1000)), "limit of 1000 files"),
    "negative size": (member("a", pax_headers={"size": "-512"}), "negative size"),
    "no time": (member("a", pax_headers={"mtime": "nan"}), "ValueError"),
    "large header": (member("a", pax_headers={"comment": 2**20 * "9"}), "header of 104"),
    "headers of headers": (2000 * global_header(comment="x"), "RecursionError"),
}


@pytest.mark.parametrize("data, fact", REFUSED.values(), ids=REFUSED)
def test_refused_members(data, fact, refused):
    error = refused(packed(CARD, data), fact)
    assert "cannot be unpacked" in str(error) and "Get a whole archive" in str(error)
    assert str(error).isprintable()


@pytest.mark.parametrize("limit", [None, 10**6])
def test_links_longer_than_the_system_follows(limit, tmp_path, refused, monkeypatch):
    """CVE-2025-4517: they lead the filter of tarfile astray in many versions of Python.

    They are refused for their length, and for being links where there is no limit.
    """
    if limit is not None:
        monkeypatch.setattr(module, "MAX_PATH_LENGTH", limit)
        monkeypatch.setattr(module, "MAX_PATH_DEPTH", limit)
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
    up = 2 * "../"  # from the folder that is unpacked into to tmp_path
    members += [
        member(top, type=tarfile.SYMTYPE, linkname=len(folders) * "../"),
        member("escape", type=tarfile.SYMTYPE, linkname=f"{top}/{up}outside"),
        member("link", type=tarfile.LNKTYPE, linkname="escape/victim"),
        member("link", b"overwritten"),
        member("escape/new", b"written")]
    refused(packed(CARD, *members), "200 characters" if limit is None else "is a link")
    assert victim.read_text() == "whole"
    assert [*victim.parent.iterdir()] == [victim]


@pytest.mark.parametrize("data", [
    packed(CARD, member("a", bytes(2**21))),
    packed(CARD, *(member(f"{k}", bytes(2**17)) for k in range(16))),
    gzip.compress(gzip.decompress(packed(CARD)) + bytes(2**21)),
], ids=["one file", "all files", "after the end"])
def test_archives_that_unpack_to_any_size(data, refused, monkeypatch):
    monkeypatch.setattr(module, "MAX_MODULE_BYTES", 2**20)
    refused(data, "1048576 bytes")


# ---- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path, safe", [
    ("saved_model.pb", True), ("assets/probe.npz", True), ("Gewichte/groß", True), ("a..b", True),
    ("../a", False), ("a/../b", False), ("/a", False), ("a\\b", False), ("C:a", False),
    ("a\nb", False), ("\x1b[31m", False), ("\ud800", False)])
def test_safe_paths(path, safe):
    assert is_safe_path(path) == safe


def test_is_module(tmp_path, make_module):
    assert is_module(make_module(tmp_path / "module"))
    assert not is_module(tmp_path) and not is_module(tmp_path / "nothing")
    os.makedirs(tmp_path / "other" / CARD_PATH)
    assert not is_module(tmp_path / "other")  # a card is a file
