"""What must not be under way in one thread while another forks the process.

A child has the forking thread alone, and whatever another one had locked stays locked in it for
ever: the import of a module, or the plans that scipy keeps for Fourier transforms.
"""

__all__ = ["not_while_forking"]

import os
import threading

not_while_forking = threading.Lock()
"""Held by what must be finished before the process is forked, which waits for it."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=not_while_forking.acquire, after_in_parent=not_while_forking.release,
        after_in_child=not_while_forking.release)
