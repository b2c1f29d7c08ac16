"""Running the compact graph of a module: what draws its galaxies, without TensorFlow.

LiteRT's interpreter starts in milliseconds, survives ``fork`` of the process, and computes with one
thread; several interpreters work side by side on several cores.  Rows are computed in blocks of a
fixed size, so that a galaxy has the same bits in any table.
"""

__all__ = ["COMPACT_GRAPH_PATH", "ROWS", "LiteRTRunner", "graph_name"]

import gzip
import os
import queue
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from galsim import GalSimError, GalSimValueError

from ...runtime.forking import not_while_forking
from ...runtime.parallel import run_in_threads
from ...runtime.threads import threads
from .base import GraphInputs, GraphOutputs, Shape, checked_inputs

COMPACT_GRAPH_PATH = "assets/sample.tflite.gz"
ROWS = (1, 8)
"""Numbers of rows for which the file holds a graph: for one galaxy at a time, and for many."""
MAX_GRAPH_BYTES = 2**29
"""Largest size of the compact graph before compression: a hundred times that of the shipped ones.
It is held in memory."""

# The errors that LiteRT and gzip raise if a graph is damaged.
_DAMAGE = (OSError, EOFError, zlib.error, RuntimeError, ValueError, IndexError, KeyError, TypeError)

# The functions of one interpreter, by signature and number of rows.
_Functions = dict[tuple[str, int], Any]
# Shape, with None for the rows, and dtype of inputs or outputs, by name.
_Details = dict[str, tuple[tuple[Any, ...], Any]]


def graph_name(signature: str, rows: int) -> str:
    """The name of the graph of a signature for this number of rows, within the file.

    >>> graph_name("sample", 8), graph_name("draw_64", 8)
    ('rows_8', 'draw_64_rows_8')
    """
    return f"rows_{rows}" if signature == "sample" else f"{signature}_rows_{rows}"


def _signature_of(name: str) -> str:
    """The signature whose graph has a name, the inverse of `graph_name`."""
    return name.rpartition("rows_")[0].removesuffix("_") or "sample"


class LiteRTRunner:
    """The compact graph of one module.

    Parameters:
        folder:     The folder of the module, which has such a graph.

    >>> from galsim_deep.modules.resolve import resolve
    >>> runner = LiteRTRunner(resolve("hub:acs_flow_vae"))
    >>> runner.signature_outputs("draw_64")
    {'image': (None, 64, 64, 1)}
    """

    has_all_signatures = False

    def __init__(self, folder: Path) -> None:
        self._path = folder / COMPACT_GRAPH_PATH
        self._graph: bytes | None = None
        self._known: dict[tuple[str, str], _Details] = {}
        self._signatures: tuple[str, ...] = ()
        self._start()
        _runners.add(self)

    def _start(self) -> None:
        """Forget all interpreters; in the child of a fork, which must not use its parent's."""
        self._idle: queue.SimpleQueue[_Functions] = queue.SimpleQueue()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return LiteRTRunner, (self._path.parent.parent,)

    def call(self, signature: str, inputs: GraphInputs) -> GraphOutputs:
        """Run a signature; see `Runner.call`.

        The bits of a row depend on nothing but its own inputs.
        """
        self._check_signature(signature)
        count, inputs = checked_inputs(inputs, self._details(signature, "get_input_details"),
                                       f"the compact graph {self._path}")
        block_size = ROWS[-1]
        rows = 1 if count < block_size else block_size
        # The last block overlaps the one before it.  Rows that are computed twice have identical
        # results.
        blocks = [slice(first, first + rows)
                  for first in (min(k, count - rows) for k in range(0, count, rows))]
        outputs = {name: np.empty((count, *shape[1:]), dtype) for name, (shape, dtype) in
                   self._details(signature, "get_output_details").items()}

        def fill(block: slice) -> None:
            for name, rows_of_block in self._run(signature, inputs, block).items():
                if rows_of_block.shape != outputs[name][block].shape:
                    raise self._damaged(f"it gives {name} of shape {rows_of_block.shape}")
                outputs[name][block] = rows_of_block

        run_in_threads(fill, blocks, min(threads(), len(blocks)))
        return outputs

    def signatures(self) -> tuple[str, ...]:
        """The names of the signatures of the graph: ``sample``, or ``latents``, ``draw_32``, ...
        for a module that draws on stamps of several sizes."""
        if not self._signatures:
            # Once: another interpreter would be loaded if others are busy.
            functions = self._take()
            self._idle.put(functions)
            self._signatures = tuple(dict.fromkeys(signature for signature, _ in functions))
        return self._signatures

    def signature_inputs(self, signature: str) -> dict[str, Shape | None]:
        """The inputs of a signature by name: shapes with None for the rows."""
        self._check_signature(signature)
        return {name: shape
                for name, (shape, _) in self._details(signature, "get_input_details").items()}

    def signature_outputs(self, signature: str) -> dict[str, Shape | None]:
        """The outputs of a signature, likewise."""
        self._check_signature(signature)
        return {name: shape
                for name, (shape, _) in self._details(signature, "get_output_details").items()}

    def _check_signature(self, signature: str) -> None:
        known = self.signatures()
        if signature not in known:
            raise GalSimValueError("The compact graph has no signature of this name.", signature,
                                   known)

    def _details(self, signature: str, method: str) -> _Details:
        """Inputs or outputs of a graph, which LiteRT gives by one of two methods."""
        if (signature, method) not in self._known:
            self._known[signature, method] = self._read_details(signature, method)
        return self._known[signature, method]

    def _read_details(self, signature: str, method: str) -> _Details:
        functions = self._take()
        try:
            for_one, for_many = (
                {name: ((None, *map(int, detail["shape"][1:])), detail["dtype"])
                 for name, detail in getattr(functions[signature, rows], method)().items()}
                for rows in ROWS)
        except _DAMAGE as err:
            raise self._damaged(err) from err
        finally:
            self._idle.put(functions)
        if for_one != for_many:
            raise self._damaged(f"{method} is {for_one} for one row and {for_many} for more")
        return for_one

    def _damaged(self, reason: object) -> GalSimError:
        return GalSimError(f"The compact graph {self._path} is damaged: {reason}. Get the module "
                           "again.")

    def _run(self, signature: str, inputs: GraphInputs, block: slice) -> GraphOutputs:
        """The outputs of one block of rows."""
        functions = self._take()
        try:
            return functions[signature, block.stop - block.start](
                **{name: values[block] for name, values in inputs.items()})
        except _DAMAGE as err:
            raise GalSimError(f"The compact graph {self._path} cannot be run: {err}. Get the "
                              "module again.") from err
        finally:
            self._idle.put(functions)

    def _take(self) -> _Functions:
        """The functions of an interpreter that no other thread uses."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._load()

    def _load(self) -> _Functions:
        with not_while_forking:
            from ai_edge_litert.interpreter import Interpreter

        try:
            if self._graph is None:
                self._graph = self._read()
            # One thread in each: its own threads would not outlive a fork.
            interpreter = Interpreter(model_content=self._graph, num_threads=1)
            names = dict.fromkeys(map(_signature_of, interpreter.get_signature_list()))
            return {(signature, rows): interpreter.get_signature_runner(
                        graph_name(signature, rows)) for signature in names for rows in ROWS}
        except _DAMAGE as err:
            raise GalSimError(f"The compact graph {self._path} cannot be loaded: {err}. Get the "
                              "module again.") from err

    def _read(self) -> bytes:
        with gzip.open(self._path) as file:
            graph = file.read(MAX_GRAPH_BYTES + 1)
        if len(graph) > MAX_GRAPH_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_GRAPH_BYTES} bytes")
        return graph


_runners: weakref.WeakSet[LiteRTRunner] = weakref.WeakSet()


def _start_all() -> None:
    for runner in list(_runners):
        runner._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all)
