"""Checkpoints of a phase: reading, writing, and recognition of damaged ones."""

__all__ = ["Checkpoints"]

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from galsim import GalSimError
from galsim.errors import galsim_warn

from galsim_deep.runtime.atomic_files import replace_folder

from .log import first_line, writing
from .phase import Phase

FILES = "weights"
"""How the names of the files of a checkpoint begin."""
KEPT = 2
"""Number of checkpoints that are kept: the last one, and the one before in case it is damaged."""

DIVERGED = ("the fit has diverged. Lower the learning_rate of this phase, which then starts anew, "
            "or look for stamps that are not finite. If you start the fit again with the same "
            "settings, it continues from the last checkpoint.")


class Checkpoints:
    """The checkpoints of one phase, of which the last two are kept.

    The checkpoint after N steps is a folder ``ckpt-N``, which appears under this name when it is
    complete.  These folders alone tell which checkpoints there are.

    Parameters:
        phase:              The phase, whose `Phase.state` is saved.
        checkpoint_name:    The name of the checkpoints, see `fitting.identity`.
        run:                The working folder.
        layers:             Further layers to save, by name.  [default: none]

    Raises a `galsim.GalSimError` if a part of the state has no weights, or the name of a further
    layer is that of another part of the state.

    >>> import itertools, tempfile
    >>> class Fixed(Phase):
    ...     name, weight = "fixed", tf.Variable(1.0)
    ...     def state(self): return dict(weight=self.weight)
    ...     def batches(self, dataset, start): return itertools.repeat({})
    ...     def step(self, batch, number): return dict(loss=self.weight)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = Checkpoints(Fixed(settings=None, seed=1), "fixed-1", Path(folder))
    ...     checkpoints.restore()
    ...     checkpoints.save(7)
    ...     checkpoints.restore()
    0
    7
    """

    def __init__(self, phase: Phase, checkpoint_name: str, run: Path,
                 layers: Mapping[str, keras.layers.Layer] | None = None) -> None:
        self.phase, self.checkpoint_name = phase, checkpoint_name
        layers, own = layers or {}, phase.state()
        for name in layers.keys() & own.keys():
            if layers[name] is not own[name]:
                raise GalSimError(
                    f"The state of the phase '{phase.name}' contains '{name}', and a layer that "
                    "learns from the data set has the same name. Rename one of them.")
        self._state = {**layers, **own}
        state = tf.nest.map_structure(_variables, self._state)
        for name, variables in state.items():
            if not tf.nest.flatten(variables):
                raise GalSimError(
                    f"The state of the phase '{phase.name}' contains '{name}', which has no "
                    "weights yet, so that they would not be saved. Create them before the fit, "
                    "when the model family is made.")
        self.checkpoint = tf.train.Checkpoint(**state)
        self.folder = run / "checkpoints" / checkpoint_name

    def steps(self) -> list[int]:
        """The numbers of steps after which there are checkpoints, in ascending order."""
        numbers = (path.parent.name.removeprefix("ckpt-")
                   for path in self.folder.glob(f"ckpt-*/{FILES}.index"))
        return sorted(int(number) for number in numbers if number.isdecimal())

    def _path(self, steps_done: int) -> Path:
        return self.folder / f"ckpt-{steps_done}"

    def restore(self) -> int:
        """Load the last checkpoint; returns the number of steps made, 0 without a checkpoint.

        If it is damaged, the one before it is loaded, with a warning.

        Raises a `galsim.GalSimError` if all are damaged, or they belong to other networks.
        """
        damage = None
        for steps_done in reversed(self.steps()):
            path = self._path(steps_done)
            try:
                self._load(path)
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

    def _load(self, path: Path) -> None:
        """Load a checkpoint."""
        try:
            status = self.checkpoint.read(str(path / FILES))
        except Exception as err:
            # A shape that differs is a ValueError, and so is text that cannot be decoded.
            if isinstance(err, ValueError) and not isinstance(err, UnicodeError):
                raise _of_other_networks(path, err) from err
            raise _Damaged(path, err) from err
        try:
            status.assert_existing_objects_matched()
        except AssertionError as err:
            raise _of_other_networks(path, err) from err
        unusable = self._not_finite()
        if unusable:
            raise _Damaged(path, f"{unusable} is not finite")

    def save(self, steps_done: int) -> None:
        """Save the checkpoint after ``steps_done`` steps.

        Raises a `galsim.GalSimError` if a weight is not finite, from which a fit could not
        recover, or the checkpoint cannot be written.
        """
        unusable = self._not_finite()
        if unusable:
            raise GalSimError(f"The weight '{unusable}' of the phase '{self.phase.name}' is not "
                              f"finite after step {steps_done}, so it is not saved: {DIVERGED}")
        path = self._path(steps_done)
        with writing(f"checkpoint {path}"), replace_folder(path) as fresh:
            self.checkpoint.write(str(fresh / FILES))
        # A checkpoint of more steps is a damaged one, before which the fit has continued.
        kept = [self._path(number) for number in self.steps() if number <= steps_done][-KEPT:]
        for other in self.folder.glob("ckpt-*"):
            if other not in kept:
                shutil.rmtree(other, ignore_errors=True)

    def _not_finite(self) -> str | None:
        """The name of a weight that is not finite, or None."""
        for part in tf.nest.flatten(self._state):
            for variable in getattr(part, "variables", [part]):
                value = tf.convert_to_tensor(variable)
                if value.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(value)):
                    return getattr(variable, "path", variable.name)
        return None

    def others(self) -> str:
        """A sentence about checkpoints of this phase that other settings made, if there are any."""
        names = sorted(path.name for path in self.folder.parent.glob(f"{self.phase.name}-*")
                       if path.name != self.checkpoint_name)
        return (f" Other settings, or another release, made {', '.join(names)}." if names
                else "")


class _Damaged(GalSimError):
    """A checkpoint is damaged."""

    def __init__(self, path: Path, reason: object) -> None:
        self.fault = f"The checkpoint {path} is damaged: {first_line(reason)}."
        super().__init__(f"{self.fault} Remove the folder {path.parent} to begin this phase anew.")


def _of_other_networks(path: Path, reason: object) -> GalSimError:
    return GalSimError(
        f"The checkpoint {path} does not fit the networks, though it was made with the same "
        f"settings, perhaps by another release: {reason}. Remove the folder {path.parent} "
        "to begin this phase anew.")


def _variables(part: Any) -> list[tf.Variable]:
    """All variables of a network or an optimiser, or a variable itself, for a checkpoint.

    TensorFlow's checkpoints do not look into the lists of layers and weights that Keras keeps: of a
    network itself, they would save a part only.
    """
    return [variable.value if isinstance(variable, keras.Variable) else variable
            for variable in getattr(part, "variables", [part])]
