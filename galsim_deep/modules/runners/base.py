"""The interface of the classes that run the graphs of a module."""

__all__ = ["GraphInputs", "GraphOutputs", "Runner", "Shape"]

from collections.abc import Mapping
from typing import Protocol

import numpy as np

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
            inputs:     Arrays with N rows each, by name.

        Returns:
            arrays with N rows each, by name.

        Raises a `galsim.GalSimError` if the graph cannot be loaded or run.
        """
        ...
