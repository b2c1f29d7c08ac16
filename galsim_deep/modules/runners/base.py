"""The interface of the classes that run the graphs of a module."""

__all__ = ["GraphInputs", "GraphOutputs", "Runner", "Shape", "checked_inputs"]

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from galsim import GalSimValueError

Shape = tuple[int | None, ...]
"""The shape of an array; None for a dimension of any length, such as the number of galaxies."""

GraphInputs = Mapping[str, np.ndarray]
GraphOutputs = dict[str, np.ndarray]


class Runner(Protocol):
    """Runs signatures of one module, in LiteRT or in TensorFlow.

    A row of the outputs depends only on the same row of the inputs.

    >>> from galsim_deep.modules import Module
    >>> from galsim_deep.modules.resolve import resolve
    >>> module = Module(resolve("hub:acs_flow_vae"))
    >>> runners: list[Runner] = [module.compact, module.tensorflow]
    """

    has_all_signatures: bool
    """Whether this graph should have all signatures on the card, and not only ``sample``."""

    def signatures(self) -> tuple[str, ...]:
        """The names of the signatures of the graph."""
        ...

    def signature_inputs(self, signature: str) -> dict[str, Shape | None]:
        """The inputs of a signature by name; None for a shape that the graph leaves open."""
        ...

    def signature_outputs(self, signature: str) -> dict[str, Shape | None]:
        """The outputs of a signature, likewise."""
        ...

    def call(self, signature: str, inputs: GraphInputs) -> GraphOutputs:
        """Run a signature.

        Parameters:
            signature:  Its name.
            inputs:     Arrays with N rows each, by name; converted to the types of the graph.

        Returns:
            arrays with N rows each, by name.

        Raises a `galsim.GalSimError` if the graph cannot be loaded or run, and a
        `galsim.GalSimValueError` that names the input if `checked_inputs` refuses one.
        """
        ...


def checked_inputs(inputs: GraphInputs, expected: Mapping[str, tuple[Shape | None, Any]],
                   graph: str) -> tuple[int, GraphInputs]:
    """Check the inputs of a signature, and convert them to the types of the graph.

    Parameters:
        inputs:     Arrays with N rows each, by name.
        expected:   Shape and dtype of each input of the graph, by name.
        graph:      What to call the graph in messages.

    Returns:
        N, and the arrays.

    Raises a `galsim.GalSimValueError` if an input is missing or unknown, is of another shape than
    the graph takes, cannot be converted, or has another number of rows than the others.

    >>> rows, inputs = checked_inputs(
    ...     {"mag_auto": np.array([22.0, 23.0])}, {"mag_auto": ((None,), np.float32)}, "the graph")
    >>> rows, inputs["mag_auto"].dtype
    (2, dtype('float32'))
    """
    differing = sorted(expected.keys() ^ inputs.keys())
    if differing:
        raise GalSimValueError(
            f"The inputs of {graph} are {', '.join(expected)}: {differing[0]} is "
            f"{'missing' if differing[0] in expected else 'unknown'}.", list(inputs))
    arrays = {}
    for name, (shape, dtype) in expected.items():
        values = inputs[name]
        if not _fits(values.shape, shape):
            raise GalSimValueError(f"The input {name} of {graph} has a wrong shape. None stands "
                                   "for any length.", values.shape, [shape])
        try:
            arrays[name] = values.astype(dtype, casting="same_kind", copy=False)
        except TypeError as err:
            raise GalSimValueError(f"The input {name} of {graph} has a wrong type.",
                                   str(values.dtype), [np.dtype(dtype).name]) from err
    rows = {name: len(values) for name, values in arrays.items()}
    if len({*rows.values()}) != 1:
        raise GalSimValueError(f"The inputs of {graph} need the same number of rows, one for each "
                               "galaxy.", rows)
    return next(iter(rows.values())), arrays


def _fits(shape: tuple[int, ...], expected: Shape | None) -> bool:
    if expected is None:  # a shape that the graph leaves open
        return bool(shape)
    return len(shape) == len(expected) and all(
        size in (None, length) for length, size in zip(shape, expected, strict=True))
