"""A fork waits for other threads that hold the lock, and never for its own thread."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def run(script):
    """What a script prints, in a process of its own that may hang."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.long
def test_a_fork_waits_for_another_thread():
    assert run("""
        import os, threading
        from galsim_deep.runtime.forking import not_while_forking
        started, finished = threading.Event(), []
        def work():
            with not_while_forking:
                started.set()
                threading.Event().wait(0.5)
                finished.append(True)
        thread = threading.Thread(target=work)
        thread.start()
        started.wait()
        child = os.fork()
        if not child:
            # The thread is not here, and neither is its lock.
            os._exit(0 if finished and not_while_forking.acquire(blocking=False) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        thread.join()
    """) == ["0"]


@pytest.mark.long
def test_a_signal_handler_may_fork():
    """It runs in the main thread, which may hold the lock; it would wait for itself for ever."""
    assert run("""
        import os, signal, threading
        from galsim_deep.runtime.forking import not_while_forking
        def handler(*_):
            child = os.fork()
            if not child:
                os._exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        signal.signal(signal.SIGUSR1, handler)
        with not_while_forking:
            os.kill(os.getpid(), signal.SIGUSR1)
        # The lock is free again: another thread can have it.
        thread = threading.Thread(target=lambda: print(not_while_forking.acquire(timeout=10)))
        thread.start()
        thread.join()
    """) == ["7", "True"]


@pytest.mark.long
def test_a_child_that_returns_from_the_handler_goes_on():
    assert run("""
        import os, signal, threading
        from galsim_deep.runtime.forking import not_while_forking
        children = []
        signal.signal(signal.SIGUSR1, lambda *_: children.append(os.fork()))
        with not_while_forking:
            os.kill(os.getpid(), signal.SIGUSR1)
        if not children[0]:
            free = []
            thread = threading.Thread(
                target=lambda: free.append(not_while_forking.acquire(timeout=10)))
            thread.start()
            thread.join()
            os._exit(0 if free == [True] else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
    """) == ["0"]
