"""Running the compact graph of a module: what the signature ``sample`` does, without TensorFlow.

LiteRT's interpreter starts in milliseconds, knows nothing of other processes, and computes with one
thread; several of them work side by side on several cores.  Rows are computed in blocks of a fixed
size, so that a galaxy has the same bits in any table.
"""

__all__ = ["COMPACT_PATH", "ROWS", "Sampler", "signature_of"]

import gzip
import os
import queue
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from galsim import GalSimError

from .forking import not_while_forking
from .threads import threads

COMPACT_PATH = "assets/sample.tflite.gz"
ROWS = (1, 8)
"""Numbers of rows that there are graphs for: for one galaxy at a time, and for many."""


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
        self._graph = self._given = None
        self._start()
        _samplers.add(self)

    def _start(self):
        """Begin anew; in the child of a fork, where the threads of the parent do not exist."""
        self._idle = queue.SimpleQueue()
        self._pool, self._workers = None, 0

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
            values[block] = self._run(inputs, block)[name]

        for _ in self._mapped(fill, blocks):
            pass
        return values

    def sample_inputs(self):
        """The inputs of the graph: name -> shape, None for the rows."""
        details = self._details("get_input_details")
        return {name: (None, *map(int, detail["shape"][1:])) for name, detail in details.items()}

    def sample_outputs(self):
        """The names of what the graph gives, a set."""
        return {*self._outputs()}

    def _outputs(self):
        """What the graph gives: name -> (shape of a row, dtype)."""
        if self._given is None:
            self._given = {name: (tuple(map(int, detail["shape"][1:])), detail["dtype"])
                           for name, detail in self._details("get_output_details").items()}
        return self._given

    def _details(self, what):
        runners = self._take()
        try:
            return getattr(runners[ROWS[0]], what)()
        finally:
            self._idle.put(runners)

    def _mapped(self, function, blocks):
        workers = min(threads(), len(blocks))
        if workers < 2:
            return map(function, blocks)
        if self._workers < workers:
            self._pool, self._workers = ThreadPoolExecutor(workers, "galsim-deep"), workers
        return self._pool.map(function, blocks)

    def _run(self, inputs, block):
        """The outputs for one block of rows, by name."""
        runners = self._take()
        try:
            return runners[block.stop - block.start](
                **{name: values[block] for name, values in inputs.items()})
        except (RuntimeError, ValueError) as err:
            raise GalSimError(f"The compact graph {self._path} cannot be run: {err}") from err
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
                self._graph = gzip.decompress(self._path.read_bytes())
            # One thread in each: its own threads would not outlive a fork.
            interpreter = Interpreter(model_content=self._graph, num_threads=1)
            return {rows: interpreter.get_signature_runner(signature_of(rows)) for rows in ROWS}
        except (OSError, EOFError, RuntimeError, ValueError) as err:
            raise GalSimError(f"The compact graph {self._path} cannot be loaded: {err}. Get the "
                              "module again.") from err


_samplers = weakref.WeakSet()


def _start_all():
    for sampler in list(_samplers):
        sampler._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all)
