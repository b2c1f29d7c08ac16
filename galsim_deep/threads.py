"""How many threads this process computes galaxies with, in one place for all that computes.

In the main process as many as there are cores to run on, up to `MOST`.  GalSim's ``nproc`` divides
them among its workers.  Any other process that `multiprocessing` started (a worker of a pool, of
Dask) has others beside it, nobody knows how many, and takes one.  ``$GALSIM_DEEP_THREADS`` and
`set_threads` overrule all of this.  No galaxy depends on it.
"""

__all__ = ["set_threads", "share_cores", "threads"]

import multiprocessing
import operator
import os

from galsim import GalSimConfigError, GalSimRangeError

MOST = 16
"""How many threads are used unless more are asked for: each takes 20 MB."""

_wanted = None
_processes = None


def threads():
    """How many threads to use, 1 or more."""
    if _wanted is not None:
        return _wanted
    asked = os.environ.get("GALSIM_DEEP_THREADS")
    if asked:
        if not (asked.isdecimal() and int(asked) > 0):
            raise GalSimConfigError(
                f"GALSIM_DEEP_THREADS is a number of threads, 1 or more, not '{asked}'.")
        return int(asked)
    if _processes is not None:
        return min(max(1, _cores() // _processes), MOST)
    return min(_cores(), MOST) if multiprocessing.parent_process() is None else 1


def share_cores(processes):
    """Share the cores with other processes: so many in all, or None if nothing is known."""
    global _processes
    _processes = processes


def set_threads(count):
    """Use so many threads in this process and those forked from it; None for the default.

    Raises a `galsim.GalSimRangeError` for less than one.
    """
    global _wanted
    if count is not None:
        count = operator.index(count)
        if count < 1:
            raise GalSimRangeError("At least one thread is needed.", count, 1)
    _wanted = count


def _cores():
    """Cores that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1
