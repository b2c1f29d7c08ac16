"""Functions that run as TensorFlow graphs."""

__all__ = ["as_graph"]

import functools

import tensorflow as tf

as_graph = functools.partial(tf.function, autograph=False, reduce_retracing=True)
"""`tf.function` without AutoGraph.  The networks and losses have no Python ``if`` or ``for`` over
tensors, and AutoGraph would read the source of all functions before the first step."""
