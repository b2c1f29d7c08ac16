"""Calls of a function in several threads that survive interrupts.

A signal handler may raise an exception at any moment, as Ctrl-C does.  The locks of `threading` and
`concurrent.futures` are partly written in Python, so that such an exception can leave a lock locked
for ever.  The next call, or the end of the process, then waits for it and never returns.
"""

__all__ = ["run_in_threads"]

import _thread
import collections
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def run_in_threads(
        function: Callable[[Item], object], items: Iterable[Item], threads: int) -> None:
    """Call a function once for each item, in several threads including the current one.

    It uses the threads and locks of the C module ``_thread``, and makes new ones in each call, so
    that an interrupt cannot leave a locked lock for the next call.

    Parameters:
        function:   The function; its result is ignored.
        items:      The arguments, one for each call.
        threads:    Largest number of threads.

    Raises the first error that the function raised; the function is then not called with the
    remaining items.

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
