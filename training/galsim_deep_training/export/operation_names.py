"""Short names for the operations of a SavedModel.

The name of an operation lists all layers and bijectors around it, and is repeated by every one
that takes its result.  In the graph of a small network these names are most of the file.
"""

__all__ = ["shorten_operation_names"]

import itertools
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2


def shorten_operation_names(folder: Path) -> None:
    """Name the operations inside the functions of a SavedModel by numbers.

    Signatures, their inputs and their outputs keep their names.

    Parameters:
        folder:     The SavedModel, changed in place.
    """
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        for function in graph.graph_def.library.function:
            _shorten(function)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _shorten(function: Any) -> None:
    taken = {argument.name for argument in function.signature.input_arg}
    free = (name for name in map("n{}".format, itertools.count()) if name not in taken)
    short = {node.name: next(free) for node in function.node_def}

    def renamed(reference: str) -> str:
        """``name``, ``^name`` (runs before) or ``name:output:number``."""
        mark = "^" if reference.startswith("^") else ""
        name, *output = reference.removeprefix("^").split(":")
        return mark + ":".join([short.get(name, name), *output])

    for node in function.node_def:
        node.name = short[node.name]
        node.input[:] = map(renamed, node.input)
        # Lists the operations that share a device, by their old names.
        node.attr.pop("_class", None)
        if node.op != "ReadVariableOp":
            node.attr.pop("_output_shapes", None)  # computed again when it is loaded
        node.ClearField("experimental_debug_info")
    for results in (function.ret, function.control_ret):
        for name, reference in list(results.items()):
            results[name] = renamed(reference)
