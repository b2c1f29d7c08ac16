"""A lock for work during which no other thread may fork this process.

The child of a fork has only the thread that forked.  A lock that another thread held at that
moment stays locked in the child for ever: the import lock of a module, for instance, or the lock
of the plans that scipy keeps for its Fourier transforms.  Code that takes such a lock runs inside
of ``with not_while_forking:``, and a fork in another thread waits until it has finished.

A signal handler that forks runs in the main thread, possibly in the middle of such code.  It does
not wait then, since it would wait for itself.  Its child should only exit or run another program:
the code that it interrupted is half done there, and may hold this lock.
"""

__all__ = ["not_while_forking"]

import os
import threading

not_while_forking = threading.RLock()
"""Held by code that must finish before another thread forks the process.

Example:

    >>> with not_while_forking:
    ...     from scipy import fft
"""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=not_while_forking.acquire, after_in_parent=not_while_forking.release,
        after_in_child=not_while_forking.release)
