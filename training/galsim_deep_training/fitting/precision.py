"""The number format of networks: float32, or mixed precision with 16 bits if that is faster.

In mixed precision, weights are float32, and convolutions and matrix products are computed in 16
bits.  Inputs and outputs of networks stay float32, as do densities, likelihoods and fluxes: a
network is a ``keras.Model`` with ``dtype="float32"``, its inner layers follow the policy, and its
last layer has ``dtype="float32"`` again.
"""

__all__ = ["LossScale", "has_bfloat16", "policy", "under_policy"]

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

# Processors whose products of matrices in bfloat16 are faster than those in float32.
CPU_FLAGS = {"amx_bf16", "avx512_bf16"}
# The first NVIDIA generation with bfloat16 (Ampere).
GPU_CAPABILITY = (8, 0)


def policy(name: str) -> str:
    """The Keras dtype policy for the ``precision`` of a recipe.

    Parameters:
        name:       "float32", "mixed_bfloat16", "mixed_float16", or "auto": mixed_bfloat16 if
                    the hardware supports it, otherwise float32.

    Returns:
        the name of the policy.
    """
    if name == "auto":
        return "mixed_bfloat16" if has_bfloat16() else "float32"
    return name


@contextlib.contextmanager
def under_policy(name: str) -> Iterator[None]:
    """A context in which new layers follow the precision ``name``, see `policy`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy(name))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_bfloat16(cpuinfo: str | os.PathLike = "/proc/cpuinfo") -> bool:
    """Whether bfloat16 is faster than float32 on the TPU, GPU or CPU that TensorFlow uses.

    Parameters:
        cpuinfo:    The file in which Linux lists the features of the processor.
    """
    if tf.config.list_physical_devices("TPU"):
        return True
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all((gpu.get("compute_capability") or (0, 0)) >= GPU_CAPABILITY
                   for gpu in details)
    try:
        lines = Path(cpuinfo).read_text().splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return bool(CPU_FLAGS & set(flags.split()))


class LossScale(tf.Module):
    """Keeps gradients within the range of float16 (Micikevicius et al. 2018, arXiv:1710.03740).

    The loss is multiplied by a scale before it is differentiated, and the gradients are divided by
    it.  The scale is halved whenever a gradient overflows (that step is skipped), and doubled after
    `patience` consecutive steps without an overflow.

    Parameters:
        active:     Whether the networks compute in float16; otherwise the scale is always 1.

    >>> loss_scale = LossScale(active=True)
    >>> float(loss_scale.scaled(tf.constant(2.0)))
    65536.0
    >>> loss_scale.update(finite=tf.constant(False))
    >>> float(loss_scale.scaled(tf.constant(2.0)))
    32768.0
    """

    patience = 1000

    def __init__(self, active: bool) -> None:
        super().__init__()
        self.active = active
        self.scale = tf.Variable(
            2.0**15 if active else 1.0, trainable=False, name="loss_scale",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self.good = tf.Variable(
            0, trainable=False, name="good_steps",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss times the scale."""
        return loss * self.scale if self.active else loss

    def unscaled(self, gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Gradients of the loss, from those of the scaled loss."""
        if not self.active:
            return list(gradients)
        return [gradient / self.scale for gradient in gradients]

    def update(self, finite: tf.Tensor) -> None:
        """Update the scale after a step; ``finite`` says whether its gradients were finite."""
        if not self.active:
            return
        good = tf.where(finite, self.good + 1, 0)
        double = good >= self.patience
        factor = tf.where(finite, tf.where(double, 2.0, 1.0), 0.5)
        self.scale.assign(tf.clip_by_value(self.scale * factor, 2.0**-24, 2.0**24))
        self.good.assign(tf.where(double, 0, good))
