"""Short names for the operations of a SavedModel.

Every operation is named after all the layers and bijectors that it lies in, and again by every
operation that takes its result.  In the graph of a small network that is most of what there is.
"""

__all__ = ["shorten_names"]

import itertools

from tensorflow.core.protobuf import saved_model_pb2


def shorten_names(folder):
    """Name the operations inside the functions of a SavedModel by numbers.

    Nothing that a caller sees has another name: signatures, their inputs and their outputs.

    Parameters:
        folder:     The SavedModel, changed in place.
    """
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        for function in graph.graph_def.library.function:
            _shorten(function)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _shorten(function):
    taken = {argument.name for argument in function.signature.input_arg}
    free = (name for name in map("n{}".format, itertools.count()) if name not in taken)
    short = {node.name: next(free) for node in function.node_def}

    def renamed(reference):
        """``name``, ``^name`` (runs before) or ``name:output:number``."""
        mark = "^" if reference.startswith("^") else ""
        name, *output = reference.removeprefix("^").split(":")
        return mark + ":".join([short.get(name, name), *output])

    for node in function.node_def:
        node.name = short[node.name]
        node.input[:] = map(renamed, node.input)
        # Says which operations share a device; with new names it would be about others.
        node.attr.pop("_class", None)
        if node.op != "ReadVariableOp":
            node.attr.pop("_output_shapes", None)  # worked out again when it is loaded
        node.ClearField("experimental_debug_info")
    for results in (function.ret, function.control_ret):
        for name, reference in list(results.items()):
            results[name] = renamed(reference)
