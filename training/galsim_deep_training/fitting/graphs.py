"""Functions that run as TensorFlow graphs."""

__all__ = ["as_graph"]

import functools

import tensorflow as tf

as_graph = functools.partial(tf.function, autograph=False, reduce_retracing=True)
"""`tf.function` for what has no Python ``if`` or ``for`` over tensors, as all networks and losses
here: AutoGraph, which would rewrite such, reads all their sources before the first step is made."""
