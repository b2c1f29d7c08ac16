"""Running a module's signatures: the only place where TensorFlow is imported.

TensorFlow does not survive ``fork``: a child process of one that has run a graph hangs for ever at
its first graph.  So nothing is loaded before it is needed, every process loads for itself, and a
forked child of a process that had already loaded gets an error at once.
"""

__all__ = ["Engine", "gpu_here", "started_here", "tensorflow"]

import functools
import multiprocessing
import os
import threading

import numpy as np
from galsim import GalSimError, GalSimValueError

from .threads import threads

# Batches are cut into chunks.  From eight rows on TensorFlow takes other kernels on a CPU, which
# round differently (1e-6 of an image's peak); below, every row gives the same bits as alone.
CHUNK = 6
# A GPU is for throughput, and is not asked for bits.
GPU_CHUNK = 256

_started_in = None
_lock = threading.Lock()


class Engine:
    """The signatures of one SavedModel; loads it in the process that first calls one.

    Parameters:
        folder:     The folder of the SavedModel.
        sampling:   The signature that samples.  [default: "sample"]
    """

    def __init__(self, folder, sampling="sample"):
        self.folder = folder
        self._sampling = sampling
        self._loaded = None

    def call(self, signature, **inputs):
        """Run a signature.

        Parameters:
            signature:  Its name.
            inputs:     Arrays with the rows of the batch along the first axis, shape [N, ...].

        Returns:
            a dict of arrays, each [N, ...].

        A row's result does not depend on the other rows, nor on their number: to 1e-6 of an image's
        peak on any machine, and on a CPU bit for bit where TensorFlow's kernels for up to `CHUNK`
        rows round alike, as on the machines tried.

        Raises a `galsim.GalSimError` where the SavedModel cannot be loaded or has no such
        signature.
        """
        return self._call(signature, inputs)

    def _call(self, signature, inputs, kept=None):
        """The outputs named, all of them by default."""
        tf = tensorflow()
        # GalSim may serve several worker processes from threads of one manager process.
        with _lock:
            function = self._function(signature)
            rows = len(next(iter(inputs.values())))
            size = GPU_CHUNK if tf.config.list_physical_devices("GPU") else CHUNK
            chunks = []
            for first in range(0, rows, size):
                found = function(**{name: tf.constant(values[first:first + size])
                                    for name, values in inputs.items()})
                chunks.append({name: found[name] for name in kept or found})
            return {name: np.concatenate([chunk[name].numpy() for chunk in chunks])
                    for name in chunks[0]}

    def sample(self, inputs):
        """The images of the signature that samples, [N, S, S], for its inputs by name."""
        return self._call(self._sampling, inputs, ["image"])["image"]

    def clusters(self, inputs):
        """The classes of the same galaxies, int32 [N]; of a module that has classes."""
        return self._call(self._sampling, inputs, ["cluster"])["cluster"]

    def sample_inputs(self):
        """The inputs of the signature that samples, see `signature_inputs`."""
        return self.signature_inputs(self._sampling)

    def sample_outputs(self):
        """The outputs of the signature that samples, see `signature_outputs`."""
        return self.signature_outputs(self._sampling)

    def signature_inputs(self, signature):
        """The inputs of a signature: name -> shape, None for the batch dimension.

        A shape is None where the graph leaves even the number of dimensions open.
        """
        with _lock:
            specs = self._function(signature).structured_input_signature[1]
        return _shapes(specs)

    def signature_outputs(self, signature):
        """The outputs of a signature: name -> shape, None for what the graph leaves open."""
        with _lock:
            specs = self._function(signature).structured_outputs
        return _shapes(specs)

    def _function(self, signature):
        if self._loaded is None:
            try:
                self._loaded = tensorflow().saved_model.load(str(self.folder))
            except GalSimError:
                raise
            except Exception as err:  # TensorFlow's own errors share no base class
                raise GalSimError(f"TensorFlow cannot load the module {self.folder}: {err}. Get "
                                  "the module again.") from err
        if signature not in self._loaded.signatures:
            raise GalSimValueError(
                f"The module {self.folder} has no signature of this name.", signature,
                list(self._loaded.signatures))
        return self._loaded.signatures[signature]

    def __getstate__(self):
        return dict(folder=self.folder, _sampling=self._sampling, _loaded=None)


def _shapes(specs):
    return {name: None if spec.shape.rank is None else tuple(spec.shape)
            for name, spec in specs.items()}


def started_here():
    """Whether TensorFlow has been started in this process, which must then not be forked."""
    return _started_in == os.getpid()


def gpu_here():
    """Whether TensorFlow sees a GPU in this process, a main one; asked only where there may be one.
    """
    if (multiprocessing.parent_process() is not None or not any(map(os.path.exists, _DRIVERS))
            or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")):
        return False
    return _tensorflow_has_gpu(os.getpid())


@functools.cache
def _tensorflow_has_gpu(process):
    try:
        return bool(tensorflow().config.list_physical_devices("GPU"))
    except GalSimError:  # not installed, or not to be used here
        return False


_DRIVERS = "/proc/driver/nvidia/version", "/dev/kfd"  # NVIDIA's and AMD's


def tensorflow():
    """Import TensorFlow, or refuse to use what was inherited from a parent process."""
    global _started_in
    if _started_in is None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            import tensorflow as tf
        except ImportError as err:
            raise GalSimError(
                "This needs TensorFlow, which is not installed: it samples from modules without a "
                "compact graph, encodes images and gives densities. Install "
                "'galsim-deep[tensorflow]'.") from err
        _started_in = os.getpid()
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads())
        except RuntimeError:
            pass  # somebody else has started it, and has set what it should be
    elif _started_in != os.getpid():
        raise GalSimError(
            "A generative galaxy model was used before this process was forked from its parent, "
            "and TensorFlow would hang here. Sample in the parent only after its worker processes "
            "have started, or start them with multiprocessing.get_context('spawn'), or run the "
            "multi-process part in a fresh process.")
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except (RuntimeError, ValueError):
            pass  # as above, or it has been cut into virtual ones
    return tf
