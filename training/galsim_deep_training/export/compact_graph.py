"""The compact graph of a module: its signature ``sample``, for LiteRT.

Most users of a module only sample from it.  TensorFlow is large, slow to start, slow with one
galaxy at a time, and hangs in forked processes.  The interpreter of LiteRT has none of these
problems (``docs/design-notes``).  TensorFlow writes the file, from the same graph.
"""

__all__ = ["write_compact"]

import gzip
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

from galsim_deep.modules.runners.litert import COMPACT_GRAPH_PATH, ROWS, graph_name

from ..fitting.graphs import as_graph


def write_compact(call: Callable[..., dict[str, tf.Tensor]], inputs: Mapping[str, tf.TensorSpec],
                  weights: list[tf.Variable], folder: Path) -> None:
    """Write the compact graph into the folder of a module.

    Parameters:
        call:       A function of the inputs, by name.
        inputs:     Name -> `tf.TensorSpec`, batch dimension None.
        weights:    All variables that the function reads.
        folder:     The folder of the module.
    """
    root = tf.Module()
    root.weights = weights
    # One graph for each number of rows: graphs with fixed shapes are faster.
    signatures = {
        graph_name(rows): as_graph(call).get_concrete_function(**{
            name: tf.TensorSpec([rows, *spec.shape[1:]], spec.dtype, name)
            for name, spec in inputs.items()})
        for rows in ROWS}
    with tempfile.TemporaryDirectory() as scratch:
        tf.saved_model.save(root, scratch, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            scratch, signature_keys=list(signatures))
        graph = converter.convert()
    # Half of the bytes of weights that were rounded to 16 bits are zero.
    (folder / COMPACT_GRAPH_PATH).write_bytes(gzip.compress(graph, mtime=0))
