"""Running the compact graph of a module: what the signature ``sample`` does, without TensorFlow.

LiteRT's interpreter starts in milliseconds, knows nothing of other processes, and computes with one
thread; several of them work side by side on several cores.  Rows are computed in blocks of a fixed
size, so that a galaxy has the same bits in any table.
"""

__all__ = ["COMPACT_PATH", "ROWS", "Sampler", "signature_of"]

import _thread
import collections
import gzip
import os
import queue
import weakref
import zlib
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
from galsim import GalSimError

from .forking import not_while_forking
from .threads import threads

COMPACT_PATH = "assets/sample.tflite.gz"
ROWS = (1, 8)
"""Numbers of rows that there are graphs for: for one galaxy at a time, and for many."""
MAX_GRAPH_BYTES = 2**29
"""Largest size of the compact graph before compression: a hundred times that of the shipped ones.
It is held in memory."""

# What LiteRT and gzip raise where a graph is damaged.
_DAMAGE = (OSError, EOFError, zlib.error, RuntimeError, ValueError, IndexError, KeyError, TypeError)
_Item = TypeVar("_Item")


def signature_of(rows):
    """The name of the graph for so many rows."""
    return f"rows_{rows}"


class Sampler:
    """The compact graph of one module.

    Parameters:
        folder:     The folder of the module, which has such a graph.
    """

    def __init__(self, folder):
        self._path = folder / COMPACT_PATH
        self._graph = self._output_details = None
        self._start()
        _samplers.add(self)

    def _start(self):
        """Begin anew; in the child of a fork, where the threads of the parent do not exist."""
        self._idle = queue.SimpleQueue()

    def __reduce__(self):
        return Sampler, (self._path.parent.parent,)

    def sample(self, inputs):
        """The images of the graph.

        Parameters:
            inputs:     Name -> array, each with N rows.

        Returns:
            float32, shape [N, S, S].  The bits of a row depend on nothing but its own inputs.

        Raises a `galsim.GalSimError` where the graph cannot be loaded or run.
        """
        return self._output("image", inputs)

    def clusters(self, inputs):
        """The classes of the same galaxies, int32 [N]; of a module that has classes."""
        return self._output("cluster", inputs)

    def _output(self, name, inputs):
        """One of the outputs, [N, ...]; the others are not kept."""
        count, most = len(next(iter(inputs.values()))), ROWS[-1]
        rows = 1 if count < most else most
        # The last block reaches back: rows that are computed twice come out the same.
        blocks = [slice(first, first + rows)
                  for first in (min(k, count - rows) for k in range(0, count, rows))]
        shape, kind = self._outputs()[name]
        values = np.empty((count, *shape), kind)

        def fill(block):
            output = self._run(inputs, block)[name]
            if output.shape != values[block].shape:
                raise self._damaged(f"it gives {name} of shape {output.shape}")
            values[block] = output

        run_in_threads(fill, blocks, min(threads(), len(blocks)))
        return values

    def sample_inputs(self):
        """The inputs of the graph: name -> shape, None for the rows."""
        return {name: (None, *shape)
                for name, (shape, _) in self._details("get_input_details").items()}

    def sample_outputs(self):
        """The outputs of the graph: name -> shape, None for the rows."""
        return {name: (None, *shape) for name, (shape, _) in self._outputs().items()}

    def _outputs(self):
        """The outputs of the graph: name -> (shape of a row, dtype)."""
        if self._output_details is None:
            self._output_details = self._details("get_output_details")
        return self._output_details

    def _details(self, method):
        """The inputs or outputs of the graph: name -> (shape of a row, dtype)."""
        runners = self._take()
        try:
            alone, together = (
                {name: (tuple(map(int, detail["shape"][1:])), detail["dtype"])
                 for name, detail in getattr(runners[rows], method)().items()} for rows in ROWS)
        except _DAMAGE as err:
            raise self._damaged(err) from err
        finally:
            self._idle.put(runners)
        if alone != together:
            raise self._damaged(f"{method} is {alone} for one row and {together} for more")
        return alone

    def _damaged(self, reason):
        return GalSimError(f"The compact graph {self._path} is damaged: {reason}. Get the module "
                           "again.")

    def _run(self, inputs, block):
        """The outputs for one block of rows, by name."""
        runners = self._take()
        try:
            return runners[block.stop - block.start](
                **{name: values[block] for name, values in inputs.items()})
        except _DAMAGE as err:
            raise GalSimError(f"The compact graph {self._path} cannot be run: {err}. Get the "
                              "module again.") from err
        finally:
            self._idle.put(runners)

    def _take(self):
        """An interpreter that nobody uses: its functions, by their number of rows."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._load()

    def _load(self):
        with not_while_forking:
            from ai_edge_litert.interpreter import Interpreter

        try:
            if self._graph is None:
                self._graph = self._read()
            # One thread in each: its own threads would not outlive a fork.
            interpreter = Interpreter(model_content=self._graph, num_threads=1)
            return {rows: interpreter.get_signature_runner(signature_of(rows)) for rows in ROWS}
        except _DAMAGE as err:
            raise GalSimError(f"The compact graph {self._path} cannot be loaded: {err}. Get the "
                              "module again.") from err

    def _read(self):
        with gzip.open(self._path) as file:
            graph = file.read(MAX_GRAPH_BYTES + 1)
        if len(graph) > MAX_GRAPH_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_GRAPH_BYTES} bytes")
        return graph


def run_in_threads(
        function: Callable[[_Item], object], items: Iterable[_Item], count: int) -> None:
    """Call a function with each of some items in several threads, this one among them.

    A signal handler may raise an exception at any moment, as Ctrl-C does.  In `threading` and in
    `concurrent.futures`, whose locks are written in Python, such a moment leaves a lock locked for
    ever, and what waits for it next (the next call, or the end of the process) never ends.  So
    there are only locks and threads from C here, each of them for one call alone.

    Parameters:
        function:   The function.
        items:      What it is called with.
        count:      How many threads there may be.

    Raises the first error that the function raised; the remaining items are left out then.
    """
    waiting, errors, running = collections.deque(items), [], []

    def work():
        while True:
            try:
                item = waiting.popleft()
            except IndexError:
                return
            function(item)

    def work_and_unlock(lock):
        try:
            work()
        except BaseException as err:
            waiting.clear()
            errors.append(err)
        finally:
            lock.release()

    try:
        for _ in range(count - 1):
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


_samplers = weakref.WeakSet()


def _start_all():
    for sampler in list(_samplers):
        sampler._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all)
