"""Smaller files of SavedModels: short names of operations, and nothing that nobody uses.

The name of an operation lists all layers and bijectors around it, and is repeated by every one
that takes its result.  In the graph of a small network these names are most of the file.
"""

__all__ = ["make_smaller"]

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2


def make_smaller(folder: Path) -> None:
    """Name the operations inside the functions of a SavedModel by numbers, and remove the function
    that would save its variables again.

    Signatures, their inputs and their outputs keep their names.

    Parameters:
        folder:     The SavedModel, changed in place.
    """
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        _remove_saving(graph)
        for function in graph.graph_def.library.function:
            _shorten(function)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _remove_saving(graph: Any) -> None:
    """Remove the operation that saves variables, its function, and constants that only it uses."""
    # TensorFlow 1 needs the name in ``saver_def``, though not the operation.
    name = graph.saver_def.save_tensor_name.split(":")[0]
    nodes = {node.name: node for node in graph.graph_def.node}
    if name not in nodes:
        return
    function = nodes[name].attr["f"].func.name
    inputs = {node.name: {reference.split(":")[0].removeprefix("^") for reference in node.input}
              for node in graph.graph_def.node}
    only_here = inputs.pop(name).difference(*inputs.values())
    unused = {name} | {each for each in only_here if nodes[each].op == "Const"}
    _keep(graph.graph_def.node, lambda node: node.name not in unused)
    _keep(graph.graph_def.library.function, lambda each: each.signature.name != function)


def _keep(messages: Any, condition: Callable[[Any], bool]) -> None:
    """Remove the messages of a repeated field for which a condition is false."""
    for number in reversed(range(len(messages))):
        if not condition(messages[number]):
            del messages[number]


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
