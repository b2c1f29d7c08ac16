"""Files and folders appear when they are complete, whatever happens to the process that writes."""

import errno
import os
import pickle
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time

import galsim
import pytest

from galsim_deep.runtime import atomic_files
from galsim_deep.runtime.atomic_files import (
    PREFIX,
    STALE_AFTER,
    WriteError,
    replace_file,
    replace_folder,
    temporary_folder,
)

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and locks of POSIX systems")


@pytest.fixture(autouse=True)
def forget_what_was_cleaned(monkeypatch):
    """Each test acts as a new process does."""
    monkeypatch.setattr(atomic_files, "_cleaned", set())


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(PREFIX)]


def files(folder):
    """The content of all files below a folder: {relative path: text}."""
    return {str(path.relative_to(folder)): path.read_text()
            for path in folder.rglob("*") if path.is_file()}


def write(kind, target, text):
    """Replace a file, or a folder with one file, by this text."""
    if kind == "file":
        with replace_file(target) as fresh:
            fresh.write_text(text)
    else:
        with replace_folder(target) as fresh:
            (fresh / "text").write_text(text)


def read(kind, target):
    return (target if kind == "file" else target / "text").read_text()


both = pytest.mark.parametrize("kind", ["file", "folder"])


@both
def test_a_new_target_in_a_new_folder(kind, tmp_path):
    target = tmp_path / "new" / "folder" / "target"
    write(kind, target, "first")
    assert read(kind, target) == "first"
    assert len(files(tmp_path)) == 1 and not leftovers(tmp_path)


@both
def test_an_existing_target_is_replaced(kind, tmp_path):
    target = tmp_path / "target"
    for text in ("first", "second"):
        write(kind, target, text)
        assert read(kind, target) == text
    assert len(files(tmp_path)) == 1 and not leftovers(tmp_path)


def test_nothing_of_an_old_folder_remains(tmp_path):
    target = tmp_path / "target"
    (target / "inner").mkdir(parents=True)
    (target / "inner" / "old").write_text("old")
    write("folder", target, "new")
    assert files(target) == dict(text="new")


@both
def test_a_relative_path_and_a_change_of_the_working_directory(kind, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with temporary_folder("place") as scratch:
        os.chdir("elsewhere")
        assert scratch.is_absolute()
    assert not leftovers(tmp_path)
    os.chdir(tmp_path)
    write(kind, "target", "text")
    assert read(kind, tmp_path / "target") == "text"


@both
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, FileNotFoundError])
def test_an_error_of_the_caller_leaves_the_target_as_it_was(kind, error, tmp_path):
    target = tmp_path / "target"
    write(kind, target, "old")
    replace = replace_file if kind == "file" else replace_folder
    with pytest.raises(error) as caught, replace(target) as fresh:
        (fresh if kind == "file" else fresh / "text").write_text("half of the ne")
        raise error("of the caller")
    assert caught.type is error
    assert read(kind, target) == "old" and not leftovers(tmp_path)


def test_nobody_sees_an_unfinished_file(tmp_path):
    target = tmp_path / "target"
    target.write_text("old")
    with replace_file(target) as fresh:
        fresh.write_text("new")
        assert target.read_text() == "old"
        assert fresh.name == target.name  # some formats go by the suffix
    assert target.read_text() == "new"


@posix
@both
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_permissions_are_those_of_any_new_file(kind, umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        write(kind, tmp_path / "target", "text")
        with replace_file(tmp_path / "moved") as fresh:
            private = tmp_path / "private"
            private.touch(mode=0o600)
            os.replace(private, fresh)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "moved").stat().st_mode) == mode
    path = tmp_path / "target"
    if kind == "folder":
        assert stat.S_IMODE(path.stat().st_mode) == 0o777 & ~umask
        path = path / "text"
    assert stat.S_IMODE(path.stat().st_mode) == mode


@both
@pytest.mark.parametrize("destination", ["other", "nowhere"])
def test_a_symbolic_link_is_replaced_not_followed(kind, destination, tmp_path):
    other, target = tmp_path / "other", tmp_path / "target"
    write(kind, other, "other")
    target.symlink_to(tmp_path / destination)
    write(kind, target, "new")
    assert not target.is_symlink()
    assert read(kind, target) == "new" and read(kind, other) == "other"


def test_a_folder_replaces_a_file_but_no_file_a_folder(tmp_path):
    (tmp_path / "file").write_text("old")
    write("folder", tmp_path / "file", "new")
    assert read("folder", tmp_path / "file") == "new"
    with pytest.raises(WriteError) as caught:
        write("file", tmp_path / "file", "newer")
    assert caught.value.errno == errno.EISDIR
    assert read("folder", tmp_path / "file") == "new" and not leftovers(tmp_path)


# ---- errors ---------------------------------------------------------------------------------


@both
def test_a_place_that_cannot_be_written(kind, tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "target"
    with pytest.raises(WriteError) as caught:
        write(kind, target, "text")
    assert str(tmp_path / "file") in str(caught.value)
    assert isinstance(caught.value, galsim.GalSimError) and isinstance(caught.value, OSError)


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(WriteError) as caught:
            write("file", tmp_path / "target", "text")
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.errno == errno.EACCES


@both
def test_a_caller_that_writes_nothing(kind, tmp_path):
    """Nothing appears where there is no file; an empty folder is one."""
    if kind == "file":
        with pytest.raises(WriteError), replace_file(tmp_path / "target"):
            pass
        assert not (tmp_path / "target").exists()
    else:
        with replace_folder(tmp_path / "target"):
            pass
        assert not any((tmp_path / "target").iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@both
def test_a_full_disk(kind, tmp_path):
    """/dev/full answers every write as a full disk does."""
    target = tmp_path / "target"
    write(kind, target, "old")
    replace = replace_file if kind == "file" else replace_folder
    with pytest.raises(WriteError) as caught, replace(target) as fresh:
        path = fresh if kind == "file" else fresh / "text"
        path.symlink_to("/dev/full")
        path.write_text("new")
    assert caught.value.errno == errno.ENOSPC
    assert str(target) in str(caught.value) and "space" in str(caught.value)
    assert caught.value.strerror and str(tmp_path) not in caught.value.strerror
    assert read(kind, target) == "old" and not leftovers(tmp_path)


def test_errors_travel_between_processes():
    error = WriteError("/a/b cannot be written: No space.", errno.ENOSPC, "No space")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.errno, again.strerror) == (str(error), errno.ENOSPC, "No space")
    assert repr(again) == repr(error)


@posix
def test_a_folder_that_cannot_be_moved_is_still_there(tmp_path, monkeypatch):
    """The old folder returns if the new one cannot take its place."""
    target, replace = tmp_path / "target", os.replace
    write("folder", target, "old")

    def fails_for_the_new_one(source, destination):
        if os.path.basename(source) == "folder":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fails_for_the_new_one)
    with pytest.raises(WriteError) as caught:
        write("folder", target, "new")
    assert caught.value.errno == errno.EIO
    assert read("folder", target) == "old" and not leftovers(tmp_path)


# ---- several at once ------------------------------------------------------------------------


@both
def test_several_threads_replace_the_same_target(kind, tmp_path):
    target, errors, count = tmp_path / "target", [], 4
    write(kind, target, "x" * 5000)
    done = threading.Event()

    def writer(letter):
        try:
            for _ in range(50):
                write(kind, target, letter * 5000)
        except BaseException as err:
            errors.append(err)

    def reader():
        while not done.is_set():
            try:
                text = read(kind, target)
            except FileNotFoundError:
                # A folder is away for a moment while it is replaced; a file never is.
                if kind == "file":
                    errors.append("the file was not there")
                continue
            if len(text) != 5000 or len(set(text)) != 1:
                errors.append(text)

    threads = [threading.Thread(target=writer, args="abcd"[n]) for n in range(count)]
    watch = threading.Thread(target=reader)
    watch.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watch.join()
    assert not errors
    assert set(read(kind, target)) <= set("abcd") and not leftovers(tmp_path)


def test_the_first_one_stays_where_the_caller_says_so(tmp_path):
    """As in a cache, where a second process made the same in the meantime."""
    target = tmp_path / "target"
    with replace_folder(target, keep=lambda path: (path / "text").is_file()) as fresh:
        (fresh / "text").write_text("second")
        write("folder", target, "first")
    assert read("folder", target) == "first" and not leftovers(tmp_path)


@pytest.mark.parametrize("damage", ["empty", "link", "file"])
def test_what_is_not_complete_does_not_stay(damage, tmp_path):
    target = tmp_path / "target"
    if damage == "empty":
        target.mkdir()
    elif damage == "link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.write_text("")
    with replace_folder(target, keep=lambda path: (path / "text").is_file()) as fresh:
        (fresh / "text").write_text("new")
    assert read("folder", target) == "new"


# ---- leftovers of killed processes ----------------------------------------------------------

HANGS = """
    import sys, time
    from galsim_deep.runtime.atomic_files import replace_file
    with replace_file(sys.argv[1]) as fresh:
        fresh.write_text("half")
        print(fresh.parents[1], flush=True)
        time.sleep(600)
"""


@pytest.fixture
def process(tmp_path):
    """A process that is writing a file, and its temporary folder, made to look old."""
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(HANGS),
                                str(tmp_path / "target")], stdout=subprocess.PIPE, text=True)
    try:
        scratch = tmp_path / os.path.basename(process.stdout.readline().strip())
        make_old(scratch)
        yield process, scratch
    finally:
        process.kill()
        process.communicate()


def make_old(folder, age=STALE_AFTER + 60):
    then = time.time() - age
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))


@posix
def test_what_a_killed_process_left_is_removed(process, tmp_path):
    process, scratch = process
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert scratch.is_dir() and not (tmp_path / "target").exists()
    write("file", tmp_path / "other", "text")
    assert not leftovers(tmp_path)
    assert files(tmp_path) == dict(other="text")


@posix
def test_what_a_living_process_writes_is_not_removed(process, tmp_path):
    _, scratch = process
    write("file", tmp_path / "other", "text")
    assert files(scratch) == {"file/target": "half"}


def test_recent_leftovers_stay(tmp_path):
    """Where locks do not work, only age tells a leftover from a folder in use."""
    for age, name in [(STALE_AFTER - 600, "recent"), (STALE_AFTER + 600, "old")]:
        folder = tmp_path / f"{PREFIX}{name}"
        folder.mkdir()
        (folder / "file").touch()
        make_old(folder, age)
    # The folder is old, but something in it has just been written.
    busy = tmp_path / f"{PREFIX}busy"
    (busy / "inner").mkdir(parents=True)
    make_old(busy)
    (busy / "inner" / "file").touch()
    write("file", tmp_path / "target", "text")
    assert {path.name for path in leftovers(tmp_path)} == {f"{PREFIX}recent", f"{PREFIX}busy"}


def test_nothing_else_is_removed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / ".tmp-another-program").mkdir()
    for path in tmp_path.iterdir():
        make_old(path)
    before = sorted(tmp_path.rglob("*"))
    with temporary_folder(tmp_path):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_temporary_folder_is_gone_in_the_end(tmp_path):
    with pytest.raises(KeyError), temporary_folder(tmp_path / "place") as scratch:
        (scratch / "inner").mkdir()
        (scratch / "inner" / "file").write_text("text")
        raise KeyError
    assert (tmp_path / "place").is_dir() and not leftovers(tmp_path)
