"""How many threads: all cores in a main process, one in a worker, or as many as one says."""

import os
import subprocess
import sys

import galsim
import pytest

from galsim_deep.threads import set_threads, share_cores, threads

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def test_all_cores(monkeypatch):
    monkeypatch.delenv("GALSIM_DEEP_THREADS", raising=False)
    assert threads() == CORES


def test_the_environment_and_the_user(monkeypatch):
    monkeypatch.setenv("GALSIM_DEEP_THREADS", "3")
    assert threads() == 3
    try:
        set_threads(5)
        assert threads() == 5
    finally:
        set_threads(None)
    assert threads() == 3


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_environment_that_makes_no_sense(monkeypatch, value):
    monkeypatch.setenv("GALSIM_DEEP_THREADS", value)
    with pytest.raises(galsim.GalSimConfigError, match=f"GALSIM_DEEP_THREADS.*'{value}'"):
        threads()


def test_less_than_one():
    with pytest.raises(galsim.GalSimRangeError):
        set_threads(0)


def test_processes_that_share_the_cores(monkeypatch):
    monkeypatch.delenv("GALSIM_DEEP_THREADS", raising=False)
    monkeypatch.setattr("galsim_deep.threads._cores", lambda: 16)
    try:
        found = []
        for processes in (None, 1, 2, 5, 16, 40):
            share_cores(processes)
            found.append(threads())
    finally:
        share_cores(None)
    assert found == [16, 16, 8, 3, 1, 1]


def test_a_worker_takes_one():
    script = ("import multiprocessing\n"
              "from galsim_deep.threads import threads\n"
              "if __name__ == '__main__':\n"
              "    with multiprocessing.get_context('fork').Pool(1) as pool:\n"
              "        print(pool.apply(threads))\n")
    environment = {name: value for name, value in os.environ.items()
                   if name != "GALSIM_DEEP_THREADS"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=True,
                          capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["1"]
