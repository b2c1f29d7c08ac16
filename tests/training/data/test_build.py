"""Building: the file depends on the recipe only, and appears only when it is complete."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import galsim
import h5py
import numpy as np
import pytest

from galsim_deep_training.data.build import CHUNK, _in_order, _worker_processes, build
from galsim_deep_training.data.builders import make_builder
from galsim_deep_training.data.builders.transplant import Transplant
from galsim_deep_training.data.identity import data_settings_hash


def contents(path):
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]})
                        if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.mark.long
@pytest.mark.parametrize("kind", ["transplant", "real_galaxies"])
def test_the_file_depends_on_the_seed_alone(kind, make_recipe, tmp_path):
    """It depends neither on the number of processes nor on the run."""
    def change(content):
        if kind == "transplant":
            content["data"].update(examples=16, test_examples=4)

    def other_seed(content):
        change(content)
        content["seed"] += 1

    recipe = make_recipe(change, builder=kind)
    counts = {build(recipe, tmp_path / f"{processes}.h5", processes, progress=False)
              for processes in (1, 2)}
    build(recipe, tmp_path / "again.h5", 2, progress=False)
    build(make_recipe(other_seed, builder=kind), tmp_path / "other.h5", 2, progress=False)
    first, second, again, other = (
        contents(tmp_path / f"{name}.h5") for name in ("1", "2", "again", "other"))
    assert len(counts) == 1 and sum(counts.pop()) == (20 if kind == "transplant" else 12)
    assert len(first) >= 11
    for found in (second, again):
        assert found.keys() == first.keys()
        for name in first:
            np.testing.assert_array_equal(found[name], first[name], err_msg=name)
    assert not np.array_equal(other["stamp"], first["stamp"])
    if kind == "transplant":
        assert not set(other["columns/mag_auto"]) & set(first["columns/mag_auto"])


def test_the_data_set_knows_its_recipe(recipe, data_file):
    with h5py.File(data_file) as file:
        assert file.attrs["recipe_sha256"] == data_settings_hash(recipe)
        assert file.attrs["seed"] == recipe.seed


@pytest.mark.long
@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_leaves_nothing_behind(processes, recipe, tmp_path, monkeypatch):
    def example(self, number):
        if number == 7:
            raise galsim.GalSimValueError("This galaxy is odd.", number)
        return made_one

    made_one = make_builder(recipe).example(0)
    monkeypatch.setattr(Transplant, "example", example)
    with pytest.raises(galsim.GalSimValueError, match="odd"):
        build(recipe, tmp_path / "data.h5", processes, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_threads_before_the_fork(write_recipe, recipe_content, tmp_path):
    """OpenMP would hang in the workers if GalSim had used it in the parent."""
    path = write_recipe(recipe_content(builder="real_galaxies"))
    code = f"""
import galsim
from galsim_deep_training.data.build import build
from galsim_deep_training.recipe import read_recipe
galsim.Image(64, 64).addNoise(galsim.getCOSMOSNoise(rng=galsim.BaseDeviate(1)))
print(build(read_recipe({str(path)!r}), {str(tmp_path / "data.h5")!r}, 2, progress=False))
"""
    # In a session of its own, so that the workers can be ended with it.
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        assert process.communicate(timeout=120)[0] == "(11, 1)\n"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


class TwoArguments(Exception):
    """It cannot be unpickled: its class takes another number of arguments than it passes on."""

    def __init__(self, what, why):
        super().__init__(f"{what}: {why}")


@pytest.mark.parametrize("error, kind, words", [
    (TwoArguments("stamp 7", "too small"), galsim.GalSimError, "TwoArguments: stamp 7: too small"),
    (ZeroDivisionError("scale"), ZeroDivisionError, "scale")])
def test_an_error_of_an_example(error, kind, words, recipe, tmp_path, monkeypatch):
    """It reaches the main process also if it cannot be sent there, and is not taken for a kill."""
    def example(self, number):
        raise error

    monkeypatch.setattr(Transplant, "example", example)
    with pytest.raises(kind, match=words):
        build(recipe, tmp_path / "data.h5", 2, progress=False)
    assert list(tmp_path.iterdir()) == []


# ---- processes that are killed or interrupted -----------------------------------------------


@contextlib.contextmanager
def at_most(seconds):
    """Raise an error in what takes longer, such as a process that waits for ever."""
    def give_up(number, frame):
        raise TimeoutError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_process_that_is_killed(processes, recipe, tmp_path, monkeypatch):
    """As Linux does when the memory is exhausted."""
    def example(self, number):
        if number == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Transplant, "example", example)
    with at_most(30), pytest.raises(galsim.GalSimError, match=(
            f"was killed, .* memory .* There were {processes} processes.*--processes")):
        build(recipe, tmp_path / "data.h5", processes, progress=False)
    assert list(tmp_path.iterdir()) == []


SLOW = """
import os, time
from galsim_deep_training.data.build import build
from galsim_deep_training.data.builders.transplant import Transplant
from galsim_deep_training.recipe import read_recipe

def example(self, number):
    os.write(1, b"%d\\n" % os.getpid())  # at once: several processes write
    time.sleep(1.5)

Transplant.example = example
build(read_recipe({recipe!r}), {output!r}, 2, progress=False)
"""


@pytest.fixture
def slow_build(recipe, tmp_path, environment_without_coverage):
    """A process that builds a data set in 40 seconds, and two workers that have begun."""
    code = SLOW.format(recipe=str(recipe.path), output=str(tmp_path / "data.h5"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True,
                               env=environment_without_coverage)
    try:
        workers = set()
        while len(workers) < 2:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            workers.add(int(line))
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.long
def test_an_interrupt(slow_build, tmp_path):
    """One traceback, that of the main process; no worker continues, and no file is left."""
    os.killpg(slow_build.pid, signal.SIGINT)
    # Its output ends when the last process has ended.
    _, errors = slow_build.communicate(timeout=20)
    assert slow_build.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1 and errors.endswith("KeyboardInterrupt\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_workers_end_with_the_main_process(slow_build):
    slow_build.kill()
    slow_build.communicate(timeout=20)


def test_examples_are_not_made_far_ahead(tmp_path):
    """They are in order, and wait in memory until they are written."""
    def example(number):
        (tmp_path / str(number)).touch()
        return number

    with _worker_processes(2, example) as workers:
        chunks = _in_order(workers, 10 * CHUNK + 1, ahead=3)
        assert next(chunks) == list(range(CHUNK))
        time.sleep(0.3)
        assert len(list(tmp_path.iterdir())) == 3 * CHUNK
        assert [number for chunk in chunks for number in chunk] == list(
            range(CHUNK, 10 * CHUNK + 1))
