"""In which number format networks compute: float32, or a mix with 16 bits where that is faster.

In a mix, weights are float32 and convolutions and products of matrices are done in 16 bits.  What
a network takes and returns stays float32, and so do densities, likelihoods and fluxes: a network
is a ``keras.Model`` with ``dtype="float32"`` whose inner layers follow the policy, and whose last
layer has ``dtype="float32"`` again.
"""

__all__ = ["LossScale", "has_bfloat16", "policy", "under_policy"]

import contextlib
from pathlib import Path

import keras
import tensorflow as tf

# Processors whose products of matrices in bfloat16 are faster than those in float32.
CPU_FLAGS = {"amx_bf16", "avx512_bf16"}
# The first NVIDIA generation with bfloat16 (Ampere).
GPU_CAPABILITY = (8, 0)


def policy(name):
    """The Keras dtype policy for the ``precision`` of a recipe.

    Parameters:
        name:       "float32", "mixed_bfloat16", "mixed_float16", or "auto": bfloat16 where the
                    hardware has it, else float32.

    Returns:
        the name of the policy.
    """
    if name == "auto":
        return "mixed_bfloat16" if has_bfloat16() else "float32"
    return name


@contextlib.contextmanager
def under_policy(name):
    """Layers made inside follow the precision ``name``; see `policy`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy(name))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Whether this machine computes faster in bfloat16: by its TPU, its GPU or, without, its CPU.

    Parameters:
        cpuinfo:    The file in which Linux lists the abilities of the processor.
    """
    if tf.config.list_physical_devices("TPU"):
        return True
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all((found.get("compute_capability") or (0, 0)) >= GPU_CAPABILITY
                   for found in details)
    try:
        lines = Path(cpuinfo).read_text().splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return bool(CPU_FLAGS & set(flags.split()))


class LossScale(tf.Module):
    """Keeps the gradients of float16 in the range of that format; does nothing otherwise.

    The loss is multiplied by a scale before it is differentiated, the gradients divided by it.  A
    gradient that overflows halves the scale (the step is passed over), and it doubles after
    `patience` steps without one.

    Parameters:
        active:     Whether there is anything to do.
    """

    patience = 1000

    def __init__(self, active):
        super().__init__()
        self.active = active
        self.scale = tf.Variable(
            2.0**15 if active else 1.0, trainable=False, name="loss_scale",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self.good = tf.Variable(
            0, trainable=False, name="good_steps",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def scaled(self, loss):
        """What to differentiate."""
        return loss * self.scale if self.active else loss

    def unscaled(self, gradients):
        """The gradients of the loss itself."""
        return [gradient / self.scale for gradient in gradients] if self.active else gradients

    def update(self, finite):
        """Learn from whether the gradients of this step were finite, a bool scalar."""
        if not self.active:
            return
        good = tf.where(finite, self.good + 1, 0)
        double = good >= self.patience
        factor = tf.where(finite, tf.where(double, 2.0, 1.0), 0.5)
        self.scale.assign(tf.clip_by_value(self.scale * factor, 2.0**-24, 2.0**24))
        self.good.assign(tf.where(double, 0, good))
