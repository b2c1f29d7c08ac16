"""Checkpoints of a phase: reading, writing, and recognition of damaged ones."""

__all__ = ["Checkpoints"]

import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from galsim import GalSimError
from galsim.errors import galsim_warn

from .log import first_line, writing
from .phase import Phase

DIVERGED = ("the fit has diverged. Lower the learning_rate of this phase, which then starts anew, "
            "or look for stamps that are not finite. If you start the fit again with the same "
            "settings, it continues from the last checkpoint.")


class Checkpoints:
    """The checkpoints of one phase, of which the last two are kept.

    Parameters:
        phase:              The phase, whose `Phase.state` is saved.
        checkpoint_name:    The name of the checkpoints, see `fitting.identity`.
        run:                The working folder.

    Attributes:
        step:               The number of steps made, a `tf.Variable` that is saved too.

    Raises a `galsim.GalSimError` where the list of checkpoints is damaged or missing.

    >>> import tempfile
    >>> class Fixed(Phase):
    ...     name, weight = "fixed", tf.Variable(1.0)
    ...     def state(self): return dict(weight=self.weight)
    ...     def batches(self, dataset, start): yield {}
    ...     def step(self, batch, number): return {}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = Checkpoints(Fixed(settings=None, seed=1), "fixed-1", Path(folder))
    ...     checkpoints.restore()
    ...     _ = checkpoints.step.assign(7)
    ...     checkpoints.save(7)
    ...     checkpoints.restore()
    0
    7
    """

    def __init__(self, phase: Phase, checkpoint_name: str, run: Path) -> None:
        self.phase, self.checkpoint_name = phase, checkpoint_name
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        checkpoint = tf.train.Checkpoint(
            step=self.step, **tf.nest.map_structure(_variables, phase.state()))
        # Created here, in every process; otherwise only the chief would create it when it saves,
        # and machines that share a fit have to create all variables together.
        checkpoint.save_counter  # noqa: B018
        self.folder = run / "checkpoints" / checkpoint_name
        try:
            self.manager = tf.train.CheckpointManager(
                checkpoint, str(self.folder), max_to_keep=2)
        except Exception as err:  # TensorFlow raises various errors if it cannot parse it
            raise _Damaged(self.folder / "checkpoint", err) from err
        if self.manager.latest_checkpoint is None:
            path = self.folder / "checkpoint"
            if path.exists():
                raise _Damaged(path, "it does not say which checkpoint is the last")
            if any(self.folder.glob("ckpt-*.index")):
                raise _Damaged(path, "it is missing, and checkpoints that it should list are there")

    def restore(self) -> int:
        """Load the last checkpoint; returns the number of steps made, 0 without a checkpoint.

        If it is damaged, the one before it is loaded, with a warning.

        Raises a `galsim.GalSimError` if all are damaged, or they belong to other networks.
        """
        damage = None
        for path in reversed(self.manager.checkpoints):
            try:
                steps_done = self._load(path)
            except _Damaged as err:
                damage = damage or err
                continue
            if damage is not None:
                galsim_warn(f"{damage.fault} The phase '{self.phase.name}' continues from the "
                            f"checkpoint before it, {path}.")
            return steps_done
        if damage is not None:
            raise damage
        return 0

    def _load(self, path: str) -> int:
        """Load a checkpoint; returns the number of steps made."""
        try:
            status = self.manager.checkpoint.restore(path)
        except Exception as err:
            # A shape that differs is a ValueError, and so is text that cannot be decoded.
            if isinstance(err, ValueError) and not isinstance(err, UnicodeError):
                raise _of_other_networks(path, err) from err
            raise _Damaged(path, err) from err
        try:
            status.assert_existing_objects_matched()
        except AssertionError as err:
            raise _of_other_networks(path, err) from err
        unusable = _not_finite(self.phase)
        if unusable:
            raise _Damaged(path, f"{unusable} is not finite")
        return int(self.step)

    def save(self, steps_done: int) -> None:
        """Save the checkpoint after ``steps_done`` steps.

        Raises a `galsim.GalSimError` if a weight is not finite, from which a fit could not
        recover, or the checkpoint cannot be written.
        """
        unusable = _not_finite(self.phase)
        if unusable:
            raise GalSimError(f"The weight '{unusable}' of the phase '{self.phase.name}' is not "
                              f"finite after step {steps_done}, so it is not saved: {DIVERGED}")
        path = self.folder / f"ckpt-{steps_done}"
        try:
            with writing(f"checkpoint {path}"):
                self.manager.save(checkpoint_number=steps_done)
        except GalSimError:
            shutil.rmtree(f"{path}_temp", ignore_errors=True)
            # Otherwise they would look like those of a checkpoint that has lost its list.
            for part in self.folder.glob(f"{path.name}.*"):
                part.unlink()
            raise

    def others(self) -> str:
        """A sentence about checkpoints of this phase that other settings made, if there are any."""
        names = sorted(path.name for path in self.folder.parent.glob(f"{self.phase.name}-*")
                       if path.name != self.checkpoint_name)
        return f" Other settings made {', '.join(names)}." if names else ""


class _Damaged(GalSimError):
    """A file of a checkpoint, or the list of checkpoints, is damaged."""

    def __init__(self, path: str | Path, reason: object) -> None:
        self.fault = f"The checkpoint {path} is damaged: {first_line(reason)}."
        super().__init__(f"{self.fault} Remove the folder {Path(path).parent} to begin this phase "
                         "anew.")


def _of_other_networks(path: str | Path, reason: object) -> GalSimError:
    return GalSimError(
        f"The checkpoint {path} does not fit the networks, though it was made with the same "
        f"settings, perhaps by another release: {reason}. Remove the folder {Path(path).parent} "
        "to begin this phase anew.")


def _not_finite(phase: Phase) -> str | None:
    """The name of a weight that is not finite, or None."""
    for part in tf.nest.flatten(phase.state()):
        for variable in getattr(part, "variables", [part]):
            value = tf.convert_to_tensor(variable)
            if value.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(value)):
                return getattr(variable, "path", variable.name)
    return None


def _variables(part: Any) -> list[tf.Variable]:
    """All variables of a network or an optimiser, or a variable itself, for a checkpoint.

    TensorFlow's checkpoints do not look into the lists of layers and weights that Keras keeps: of a
    network itself, they would save a part only.
    """
    return [variable.value if isinstance(variable, keras.Variable) else variable
            for variable in getattr(part, "variables", [part])]
