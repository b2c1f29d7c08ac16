"""Calls of a function in several threads that survive interrupts.

A signal handler may raise an exception at any moment, as Ctrl-C does.  In `threading` and in
`concurrent.futures`, whose locks are written in Python, such a moment can leave a lock locked for
ever, and whatever waits for it next (the next call, or the end of the process) never ends.
"""

__all__ = ["run_in_threads"]

import _thread
import collections
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def run_in_threads(
        function: Callable[[Item], object], items: Iterable[Item], threads: int) -> None:
    """Call a function with each of some items in several threads, this one among them.

    Threads and locks are those of C, and each serves only one call, so that an interrupt leaves
    nothing behind.

    Parameters:
        function:   The function; its result is ignored.
        items:      What it is called with.
        threads:    How many threads there may be.

    Raises the first error that the function raised; the remaining items are left out then.

    >>> squares = {}
    >>> run_in_threads(lambda n: squares.update({n: n * n}), range(3), threads=2)
    >>> sorted(squares.items())
    [(0, 0), (1, 1), (2, 4)]
    """
    waiting = collections.deque(items)
    errors: list[BaseException] = []
    running = []

    def work() -> None:
        while True:
            try:
                item = waiting.popleft()
            except IndexError:
                return
            function(item)

    def work_and_unlock(lock: _thread.LockType) -> None:
        try:
            work()
        except BaseException as err:
            waiting.clear()
            errors.append(err)
        finally:
            lock.release()

    try:
        for _ in range(threads - 1):
            lock = _thread.allocate_lock()
            lock.acquire()
            _thread.start_new_thread(work_and_unlock, (lock,))
            running.append(lock)
        work()
    except BaseException:
        waiting.clear()
        raise
    finally:
        for lock in running:
            lock.acquire()
    if errors:
        raise errors[0]
