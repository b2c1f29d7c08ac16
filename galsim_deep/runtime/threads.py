"""How many threads this process computes galaxies with.

* The main process uses as many threads as it has cores, up to `DEFAULT_LIMIT`.
* The workers of GalSim's ``nproc`` divide the cores of their machine.
* Any other process that `multiprocessing` started (a worker of a pool, or of Dask) uses one
  thread, since the number of such processes on the machine is not known.
* A task of Dask uses one thread as well if its worker is a thread of the main process (``dask
  worker --no-nanny``, ``LocalCluster(processes=False)``): Dask has a thread for each core already.

The environment variable ``GALSIM_DEEP_THREADS`` overrides all of this, and `set_threads` overrides
the environment variable.  The number of threads changes no galaxy.
"""

__all__ = ["DEFAULT_LIMIT", "available_cores", "set_threads", "share_cores", "threads"]

import multiprocessing
import operator
import os
import sys

from galsim import GalSimConfigError, GalSimRangeError

DEFAULT_LIMIT = 16
"""The largest number of threads unless the user asks for more: each takes 20 MB of memory."""

_chosen: int | None = None
_processes: int | None = None


def threads() -> int:
    """The number of threads that this process should use now, 1 or more.

    Raises:
        GalSimConfigError:  ``GALSIM_DEEP_THREADS`` is not a positive integer.
    """
    if _chosen is not None:
        return _chosen
    text = os.environ.get("GALSIM_DEEP_THREADS")
    if text:
        if not (text.isdecimal() and int(text) > 0):
            raise GalSimConfigError(
                f"GALSIM_DEEP_THREADS must be a number of threads, 1 or more, not '{text}'.")
        return int(text)
    if _processes is not None:
        return min(max(1, available_cores() // _processes), DEFAULT_LIMIT)
    if multiprocessing.parent_process() is not None or _is_dask_task():
        return 1
    return min(available_cores(), DEFAULT_LIMIT)


def share_cores(processes: int | None) -> None:
    """Divide the cores among several processes.

    Parameters:
        processes:  The number of processes, this one included; None if it is not known.
    """
    global _processes
    _processes = processes


def set_threads(count: int | None) -> None:
    """Set the number of threads of this process and of the processes forked from it.

    Parameters:
        count:      The number of threads; None restores the default.

    Raises:
        GalSimRangeError:   ``count`` is less than 1.

    Example:

        >>> set_threads(2)
        >>> threads()
        2
        >>> set_threads(None)
    """
    global _chosen
    if count is not None:
        count = operator.index(count)
        if count < 1:
            raise GalSimRangeError("At least one thread is needed.", count, 1)
    _chosen = count


def available_cores() -> int:
    """The number of cores that this process may run on: on a cluster often not all of them.

    >>> available_cores() >= 1
    True
    """
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _is_dask_task() -> bool:
    """Whether this thread runs a task of a Dask worker."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except (AttributeError, ValueError):  # still being imported; not in a task
        return False
    return True
