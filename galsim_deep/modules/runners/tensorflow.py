"""Running a module's signatures in TensorFlow: the only file of galsim_deep that imports it.

TensorFlow deadlocks in forked children: if a process has run a graph and is then forked, the child
hangs at its first graph.  Therefore nothing is loaded before it is needed, each process loads its
own copy, and a forked child of a process that has used TensorFlow raises an error instead of
hanging.
"""

__all__ = ["TensorFlowRunner", "import_tensorflow", "is_gpu_available", "is_tensorflow_started"]

import functools
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
from galsim import GalSimError, GalSimValueError

from ...runtime.threads import threads
from .base import GraphInputs, GraphOutputs, Shape, checked_inputs

CPU_BATCH = 6
"""Rows computed at once on a CPU.  With eight rows or more, TensorFlow uses other kernels, which
round differently (by 1e-6 of an image's peak).  With fewer rows, most rows have the same bits as in
a batch of one; all of them agree to 1e-6 of the peak."""

GPU_BATCH = 256
"""Rows computed at once on a GPU, where results are reproducible only to rounding anyway."""

_GPU_DRIVERS = "/proc/driver/nvidia/version", "/dev/kfd"  # NVIDIA's and AMD's

_started_in: int | None = None
_lock = threading.Lock()


class TensorFlowRunner:
    """The signatures of one SavedModel, loaded in the process that first calls one.

    Parameters:
        folder:     The folder of the SavedModel.

    >>> from galsim_deep.modules.resolve import resolve
    >>> runner = TensorFlowRunner(resolve("hub:acs_flow_vae"))
    >>> sorted(runner.signature_outputs("encode"))
    ['mean', 'scale']
    """

    has_all_signatures = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: Any = None

    def call(self, signature: str, inputs: GraphInputs) -> GraphOutputs:
        """Run a signature; see `Runner.call`.

        Rows are equal to 1e-6 of an image's peak whatever else is in the batch, and bit for bit on
        a CPU on which TensorFlow's kernels for up to `CPU_BATCH` rows round alike, as on the
        machines that were tried.
        """
        tf = import_tensorflow()
        # GalSim may serve several worker processes from threads of one manager process.
        with _lock:
            function = self._function(signature)
            specs = function.structured_input_signature[1]
            rows, arrays = checked_inputs(
                inputs, {name: (_shape(spec), spec.dtype.as_numpy_dtype)
                         for name, spec in specs.items()},
                f"the signature {signature} of the module {self.folder}")
            size = GPU_BATCH if tf.config.list_physical_devices("GPU") else CPU_BATCH
            try:
                batches = [
                    function(**{name: tf.constant(values[first:first + size])
                                for name, values in arrays.items()})
                    for first in range(0, max(rows, 1), size)]
            except Exception as err:  # TensorFlow's own errors share no base class
                raise GalSimError(f"TensorFlow cannot run the signature {signature} of the module "
                                  f"{self.folder} with these inputs: {err}") from err
            return {name: np.concatenate([batch[name].numpy() for batch in batches])
                    for name in batches[0]}

    def signatures(self) -> tuple[str, ...]:
        """The names of the signatures of the graph."""
        with _lock:
            return tuple(self._signatures())

    def signature_inputs(self, signature: str) -> dict[str, Shape | None]:
        """The inputs of a signature by name; None for a shape that the graph leaves open."""
        with _lock:
            return _shapes(self._function(signature).structured_input_signature[1])

    def signature_outputs(self, signature: str) -> dict[str, Shape | None]:
        """The outputs of a signature, likewise."""
        with _lock:
            return _shapes(self._function(signature).structured_outputs)

    def _function(self, signature: str) -> Any:
        signatures = self._signatures()
        if signature not in signatures:
            raise GalSimValueError(
                f"The module {self.folder} has no signature of this name.", signature,
                list(signatures))
        return signatures[signature]

    def _signatures(self) -> Any:
        """The functions of the signatures by name."""
        if self._loaded is None:
            try:
                self._loaded = import_tensorflow().saved_model.load(str(self.folder))
            except GalSimError:
                raise
            except Exception as err:  # TensorFlow's own errors share no base class
                raise GalSimError(f"TensorFlow cannot load the module {self.folder}: {err}. Get "
                                  "the module again.") from err
        return self._loaded.signatures

    def __getstate__(self) -> dict[str, Any]:
        return dict(folder=self.folder, _loaded=None)


def _shapes(specs: dict[str, Any]) -> dict[str, Shape | None]:
    return {name: _shape(spec) for name, spec in specs.items()}


def _shape(spec: Any) -> Shape | None:
    return None if spec.shape.rank is None else tuple(spec.shape)


def is_tensorflow_started() -> bool:
    """Whether TensorFlow was started in this process, which must then not be forked."""
    return _started_in == os.getpid()


def is_gpu_available() -> bool:
    """Whether TensorFlow sees a GPU in this process.

    To answer this, TensorFlow is imported, but only in a main process and if the machine has a GPU
    driver.
    """
    if (multiprocessing.parent_process() is not None or not any(map(os.path.exists, _GPU_DRIVERS))
            or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")):
        return False
    return _tensorflow_has_gpu(os.getpid())


@functools.cache
def _tensorflow_has_gpu(process: int) -> bool:
    try:
        return bool(import_tensorflow().config.list_physical_devices("GPU"))
    except GalSimError:  # not installed, or not usable in this process
        return False


def import_tensorflow() -> Any:
    """Import TensorFlow with this package's number of threads.

    Raises a `galsim.GalSimError` if it is not installed, or if a parent process had started
    it before this one was forked.
    """
    global _started_in
    if _started_in is None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            import tensorflow as tf
        except ImportError as err:
            raise GalSimError(
                "TensorFlow is not installed. Modules without a compact graph need it, and so do "
                "all signatures other than 'sample'. Install the extra 'tensorflow' of galsim-deep "
                "(see the user guide)."
            ) from err
        _started_in = os.getpid()
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads())
        except RuntimeError:
            pass  # the program has started TensorFlow before, with the threads that it wants
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
            pass  # the program has started the GPU before, or divided it into virtual ones
    return tf
