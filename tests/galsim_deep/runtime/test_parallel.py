"""Calls in several threads: errors reach the caller, and interrupts do no harm."""

import _thread
import subprocess
import sys
import threading

import pytest

from galsim_deep.runtime.parallel import run_in_threads


@pytest.mark.parametrize("threads", [1, 2, 3, 20])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_each_item_is_done_once(threads, count):
    done = []
    run_in_threads(done.append, range(count), threads)
    assert sorted(done) == list(range(count))


def test_as_many_threads_as_asked_for():
    """Which work at the same time, the caller's among them."""
    together, workers = threading.Barrier(3), []

    def work(item):
        together.wait()
        workers.append(threading.get_ident())

    run_in_threads(work, range(3), 3)
    assert len(set(workers)) == 3 and threading.get_ident() in workers


def test_an_error_in_a_thread_reaches_the_caller():
    """And ends the call: what has not begun is left out."""
    begun, together = [], threading.Barrier(3)
    caller = threading.get_ident()

    def fail_in_other_threads(item):
        begun.append(item)
        together.wait()
        if threading.get_ident() != caller:
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item [012]"):
        run_in_threads(fail_in_other_threads, range(3), 3)
    assert sorted(begun) == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_callers_thread(error):
    """The others have ended when it is raised, and leave the remaining items."""
    begun, caller = [], threading.get_ident()
    raised, started = threading.Event(), threading.Barrier(2)

    def work(item):
        begun.append(item)
        if len(begun) <= 2:
            started.wait()
        if threading.get_ident() == caller:
            raised.set()
            raise error
        raised.wait()

    before = _thread._count()
    with pytest.raises(error):
        run_in_threads(work, range(100), 2)
    assert len(begun) < 100
    assert _thread._count() <= before + 1  # a thread may be about to end


INTERRUPTS = """
import _thread, faulthandler, os, random, signal, time
from galsim_deep.runtime.parallel import run_in_threads

INTERRUPTS, ITEMS = 500, 40
faulthandler.dump_traceback_later(300, exit=True)  # where the process waits for ever

def call():
    done = []
    run_in_threads(done.append, range(ITEMS), 3)
    return sorted(done)

class Interrupt(BaseException):
    pass

def interrupt(number, frame):
    while frame is not None:
        if frame.f_code is call.__code__:
            raise Interrupt
        frame = frame.f_back

signal.signal(signal.SIGALRM, interrupt)
interrupts, rng = 0, random.Random(1)
while interrupts < INTERRUPTS:
    try:
        # A short interval interrupts a call again while it ends.
        first, interval = rng.uniform(1e-5, 1e-3), rng.choice([1e-4, 1e-3, 1e-2])
        signal.setitimer(signal.ITIMER_REAL, first, interval)
        while True:
            call()
    except (Interrupt, RuntimeError):  # a lock that is not locked, where one was interrupted
        signal.setitimer(signal.ITIMER_REAL, 0)
        interrupts += 1
while _thread._count():  # none is left waiting for ever
    time.sleep(0.01)
assert call() == list(range(ITEMS))
child = os.fork()
if not child:
    os._exit(0 if call() == list(range(ITEMS)) else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there are no timers here")
def test_interrupts_at_any_moment(environment_without_coverage):
    """Do no harm to later calls, forked children, or the end of the process."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTS], capture_output=True, text=True,
                          env=environment_without_coverage)
    assert done.returncode == 0, done.stderr
