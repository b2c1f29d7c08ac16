"""The training loop: phases, checkpoints, logs.  Knows no model family by name."""

__all__ = ["fit", "restore"]

import contextlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from galsim import GalSimError
from tqdm import tqdm

from .data.dataset import Dataset
from .distribution import Distribution
from .families import all_settings, make_family
from .graphs import as_graph
from .recipe import DATA_PARTS

EVALUATE_EVERY = 200
SAVE_EVERY = 500
DIVERGED = ("the fit has diverged. Lower its learning_rate, or look for stamps that are not "
            "finite; it goes on from its last checkpoint.")


def fit(recipe, run, progress=True):
    """Fit the model of a recipe, going on from the last checkpoints of its settings.

    Parameters:
        recipe:     A `Recipe`.
        run:        Folder with ``data.h5``; checkpoints, TensorBoard logs (``logs``) and a log in
                    JSON lines (``fit.jsonl``) go there too.
        progress:   Whether to show progress bars.

    Returns:
        the fitted model family.
    """
    distribution = Distribution(recipe.distribute)
    dataset = Dataset.of(recipe, run / "data.h5")
    with distribution.scope():
        family = make_family(recipe)
        family.prepare(dataset)
        phases = family.phases
        for phase in phases:
            distribution.check(phase, recipe)
        for phase, title in zip(phases, titles(phases, recipe), strict=True):
            _run_phase(phase, title, dataset, run, distribution, progress)
    return family


def restore(recipe, run):
    """The fitted model family of a recipe, from its final checkpoints; float32.

    Raises a `galsim.GalSimError` where a phase is not complete.
    """
    family = make_family(recipe, precision="float32")
    phases = family.phases
    for phase, title in zip(phases, titles(phases, recipe), strict=True):
        step, manager = _checkpoints(phase, title, run)
        made = _restore(phase, step, manager)
        if made < phase.fit.steps:
            raise GalSimError(
                f"The phase '{phase.name}' in {run} has made {made} of {phase.fit.steps} "
                f"steps with the settings of {recipe.path} as it is now (checkpoints/{title})."
                f"{_others(phase, title, run)} Go on with 'galsim-deep-train fit {recipe.path}'.")
    return family


def titles(phases, recipe):
    """The names of checkpoints and logs: that of each phase and a hash of what it depends on.

    A phase whose settings have changed so starts anew, those that do not depend on them stay as
    they are, and who goes back to earlier settings finds what they gave.
    """
    # With what is not spelled out: defaults may change from release to release.
    recipe = recipe.model_copy(update=dict(model=all_settings(recipe)))
    found = []
    for number, phase in enumerate(phases):
        parts = phase.depends_on or (
            *DATA_PARTS, "family", "model", *(f"fit.{p.name}" for p in phases[:number + 1]))
        digest = recipe.digest(*parts, without=phase.independent_of)
        found.append(f"{phase.name}-{digest[:12]}")
    return found


def _others(phase, title, run):
    """A sentence about checkpoints of a phase that other settings made, where there are any."""
    found = sorted(path.name for path in (run / "checkpoints").glob(f"{phase.name}-*")
                   if path.name != title)
    return f" Other settings made {', '.join(found)}." if found else ""


def _checkpoints(phase, title, run):
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    checkpoint = tf.train.Checkpoint(step=step, **phase.state())
    # Made here, in every process, or the chief would make it alone when it saves: machines that
    # share a fit have to make all variables together.
    checkpoint.save_counter  # noqa: B018
    folder = run / "checkpoints" / title
    try:
        manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=2)
    except Exception as err:  # TensorFlow raises all kinds of errors at what it cannot parse
        raise _damaged(folder / "checkpoint", err) from err
    if manager.latest_checkpoint is None and (folder / "checkpoint").exists():
        raise _damaged(folder / "checkpoint", "it does not say which checkpoint is the last")
    return step, manager


def _restore(phase, step, manager):
    """Go back to the last checkpoint; the number of steps it has made, 0 without one."""
    path = manager.latest_checkpoint
    if path is None:
        return 0
    try:
        status = manager.checkpoint.restore(path)
    except Exception as err:
        # A shape that differs is a ValueError, and so is text that cannot be decoded.
        if isinstance(err, ValueError) and not isinstance(err, UnicodeError):
            raise _of_other_networks(path, err) from err
        raise _damaged(path, err) from err
    try:
        status.assert_existing_objects_matched()
    except AssertionError as err:
        raise _of_other_networks(path, err) from err
    unusable = _not_finite(phase)
    if unusable:
        raise _damaged(path, f"{unusable} is not finite")
    return int(step)


def _damaged(path, reason):
    return GalSimError(f"The checkpoint {path} is damaged: {_first_line(reason)}. Remove the "
                       f"folder {Path(path).parent} to begin this phase anew.")


def _of_other_networks(path, reason):
    return GalSimError(
        f"The checkpoint {path} does not fit the networks, though it was made with the same "
        f"settings, perhaps by another release: {reason}. Remove the folder {Path(path).parent} "
        "to begin this phase anew.")


def _first_line(reason):
    # TensorFlow's begin with the name of a node of the graph, in braces.
    text = re.sub(r"{{.*?}}\s*", "", str(reason)).strip()
    return text.splitlines()[0] if text else type(reason).__name__


def _not_finite(phase):
    """The name of some weight that is not finite, or None."""
    for part in tf.nest.flatten(phase.state()):
        for variable in getattr(part, "variables", [part]):
            value = tf.convert_to_tensor(variable)
            if value.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(value)):
                return getattr(variable, "path", variable.name)
    return None


def _save(phase, manager, number):
    """Save a checkpoint, unless a fit that goes on from it could not recover."""
    unusable = _not_finite(phase)
    if unusable:
        raise GalSimError(f"The weight '{unusable}' of the phase '{phase.name}' is not finite "
                          f"after step {number}, so it is not saved: {DIVERGED}")
    path = Path(manager.directory) / f"ckpt-{number}"
    try:
        with _writing(f"checkpoint {path}"):
            manager.save(checkpoint_number=number)
    except GalSimError:
        shutil.rmtree(f"{path}_temp", ignore_errors=True)
        raise


@contextlib.contextmanager
def _writing(what):
    """Say what could not be written, such as on a full disk."""
    try:
        yield
    except (OSError, tf.errors.OpError) as err:
        raise GalSimError(
            f"The {what} cannot be written: {_first_line(err)}. Make room on its disk, and call "
            "the fit again: it goes on from its last checkpoint.") from err


def _run_phase(phase, title, dataset, run, distribution, progress):
    step, manager = _checkpoints(phase, title, run)
    start, steps = _restore(phase, step, manager), phase.fit.steps
    if start >= steps:
        return
    advance = distribution.stepper(phase)
    evaluate = as_graph(phase.evaluate)
    if not len(dataset.test_indices):
        raise GalSimError("The data set holds no test examples, which a fit is judged by: ask for "
                          "some in the settings of its builder.")
    test = dataset.read(_test_sample(dataset, phase.seed))
    seconds = time.time()
    with _Log(run, phase, title, distribution.chief) as log, tqdm(
            total=steps, initial=start, desc=phase.name, unit="step",
            disable=not progress or not distribution.chief) as bar:
        for number, batch in zip(range(start, steps), _prefetched(phase, dataset, start),
                                 strict=False):
            scalars = advance(batch, tf.constant(number))
            step.assign(number + 1)
            bar.update()
            done = number + 1 == steps
            if done:
                phase.finish()
            if not distribution.chief:
                continue
            if done or (number + 1) % EVALUATE_EVERY == 0:
                judged = {name: float(value) for name, value in evaluate(test).items()}
                loss = log.write(number + 1, scalars, judged, time.time() - seconds)
                fault = phase.fault(number + 1, judged)
                if fault:
                    raise GalSimError(f"The phase '{phase.name}' was stopped at step "
                                      f"{number + 1}: {fault}")
                if not np.isfinite(loss):
                    raise GalSimError(
                        f"The loss of the phase '{phase.name}' is {loss} at step {number + 1}: "
                        f"{DIVERGED}")
                bar.set_postfix(loss=f"{loss:.4g}")
            if done or (number + 1) % SAVE_EVERY == 0:
                _save(phase, manager, number + 1)


def _test_sample(dataset, seed, size=256):
    order = np.random.default_rng([seed, 4]).permutation(dataset.test_indices)
    return order[:size]


def _prefetched(phase, dataset, start):
    """Batches read in a thread while the last step runs."""
    batches = phase.batches(dataset, start)
    first = next(batches)

    def all_batches():
        yield first
        yield from batches

    signature = {name: tf.TensorSpec(value.shape, tf.float32) for name, value in first.items()}
    return tf.data.Dataset.from_generator(all_batches, output_signature=signature).prefetch(4)


class _Log:
    """Scalars to ``fit.jsonl`` and to TensorBoard; a process that is not the chief opens neither.
    """

    def __init__(self, run, phase, title, chief):
        self._names = dict(phase=phase.name, checkpoints=title)
        self._run = run
        with _writing(f"log of {self._run}"), contextlib.ExitStack() as stack:
            if chief:
                self._lines = stack.enter_context(open(run / "fit.jsonl", "ab", buffering=0))
                writer = tf.summary.create_file_writer(str(run / "logs" / title))
                stack.enter_context(writer.as_default())
                stack.callback(writer.close)
            self._stack = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        # An error that is on its way says more than that of the log.
        with (_writing(f"log of {self._run}") if error is None
              else contextlib.suppress(OSError, tf.errors.OpError)):
            self._stack.close()

    def write(self, number, scalars, test, seconds):
        """Note the scalars of step ``number``; returns the training loss."""
        values = {f"train/{name}": float(value) for name, value in scalars.items()}
        values.update({f"test/{name}": float(value) for name, value in test.items()})
        line = json.dumps(dict(
            self._names, step=number, seconds=round(seconds, 1),
            **{name: round(value, 6) for name, value in values.items()}))
        with _writing(f"log of {self._run}"):
            for name, value in values.items():
                tf.summary.scalar(name, value, step=number)
            self._append(f"{line}\n".encode())
        return values["train/loss"]

    def _append(self, line):
        """Write a line, or nothing of it."""
        size = os.fstat(self._lines.fileno()).st_size
        try:
            while line:
                line = line[self._lines.write(line):]
        except OSError:
            self._lines.truncate(size)
            raise
