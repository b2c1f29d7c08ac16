"""The compact graph of a module: the signatures that draw galaxies, for LiteRT.

Most users of a module only sample from it.  TensorFlow is large, slow to start, slow with one
galaxy at a time, and hangs in forked processes.  The interpreter of LiteRT has none of these
problems (``docs/design-notes``).  TensorFlow writes the file, from the same graph.
"""

__all__ = ["write_compact"]

import gzip
import tempfile
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from galsim_deep.modules.runners.litert import COMPACT_GRAPH_PATH, ROWS, graph_name

from ..families.base import Signature
from ..fitting.graphs import as_graph


def write_compact(signatures: Mapping[str, Signature], weights: list[tf.Variable],
                  folder: Path) -> None:
    """Write the compact graph into the folder of a module.

    Parameters:
        signatures: The signatures that it is to have, by name.
        weights:    All variables that they read.
        folder:     The folder of the module.
    """
    root = tf.Module()
    root.weights = weights
    # One graph for each number of rows: graphs with fixed shapes are faster.
    graphs = {
        graph_name(name, rows): as_graph(signature.call).get_concrete_function(**{
            key: tf.TensorSpec([rows, *spec.shape[1:]], spec.dtype, key)
            for key, spec in signature.inputs.items()})
        for name, signature in signatures.items() for rows in ROWS}
    with tempfile.TemporaryDirectory() as scratch:
        tf.saved_model.save(root, scratch, signatures=graphs)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            scratch, signature_keys=list(graphs))
        graph = converter.convert()
    # Half of the bytes of weights that were rounded to 16 bits are zero.
    (folder / COMPACT_GRAPH_PATH).write_bytes(gzip.compress(graph, mtime=0))
