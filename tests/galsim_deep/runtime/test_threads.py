"""The number of threads: all cores in a main process, one in a worker, or what the user says."""

import os
import subprocess
import sys
import textwrap

import galsim
import pytest

from galsim_deep.runtime.threads import DEFAULT_LIMIT, set_threads, share_cores, threads

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def test_a_main_process_uses_all_cores(monkeypatch):
    monkeypatch.delenv("GALSIM_DEEP_THREADS", raising=False)
    assert threads() == min(CORES, DEFAULT_LIMIT)


def test_set_threads_overrides_the_environment(monkeypatch):
    monkeypatch.setenv("GALSIM_DEEP_THREADS", "3")
    assert threads() == 3
    try:
        set_threads(5)
        assert threads() == 5
    finally:
        set_threads(None)
    assert threads() == 3


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_an_environment_that_is_no_number_of_threads(monkeypatch, value):
    monkeypatch.setenv("GALSIM_DEEP_THREADS", value)
    with pytest.raises(galsim.GalSimConfigError) as caught:
        threads()
    assert "GALSIM_DEEP_THREADS" in str(caught.value) and f"'{value}'" in str(caught.value)


def test_less_than_one_thread():
    with pytest.raises(galsim.GalSimRangeError):
        set_threads(0)


def test_processes_that_share_the_cores(monkeypatch):
    monkeypatch.delenv("GALSIM_DEEP_THREADS", raising=False)
    monkeypatch.setattr("galsim_deep.runtime.threads.available_cores", lambda: 16)
    counts = []
    try:
        for processes in (None, 1, 2, 5, 16, 40):
            share_cores(processes)
            counts.append(threads())
    finally:
        share_cores(None)
    assert counts == [16, 16, 8, 3, 1, 1]


def in_a_new_process(script):
    """What a script prints: words, where nobody says how many threads to use."""
    environment = {name: value for name, value in os.environ.items()
                   if name != "GALSIM_DEEP_THREADS"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment,
                          capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.long
def test_a_worker_of_a_pool_uses_one_thread():
    assert in_a_new_process("""
        import multiprocessing
        from galsim_deep.runtime.threads import threads
        if __name__ == "__main__":
            with multiprocessing.get_context("fork").Pool(1) as pool:
                print(pool.apply(threads))
    """) == ["1"]


@pytest.mark.long
def test_a_task_of_dask_uses_one_thread_in_a_main_process_too():
    """Workers without a nanny are threads of the main process, of which Dask has one a core."""
    assert in_a_new_process("""
        from concurrent.futures import ThreadPoolExecutor
        from distributed import Client
        from galsim_deep.runtime import threads
        threads.available_cores = lambda: 4
        if __name__ == "__main__":
            with Client(processes=False, n_workers=1, threads_per_worker=2,
                        dashboard_address=None) as client:
                print(client.submit(threads.threads, pure=False).result())
                threads.set_threads(3)
                print(client.submit(threads.threads, pure=False).result())
                threads.set_threads(None)
                # The main thread, and threads that are not Dask's, have the cores to themselves.
                with ThreadPoolExecutor(1) as pool:
                    print(threads.threads(), pool.submit(threads.threads).result())
    """) == ["1", "3", "4", "4"]
