"""The training loop: phases, checkpoints, logs.  Knows no model family by name."""

__all__ = ["fit", "restore"]

import json
import time

import numpy as np
import tensorflow as tf
from galsim import GalSimError
from tqdm import tqdm

from .data.dataset import Dataset
from .families import make_family
from .recipe import FIT_PARTS

EVALUATE_EVERY = 200
SAVE_EVERY = 500


def fit(recipe, run, progress=True):
    """Fit the model of a recipe, going on from the last checkpoint where there is one.

    Parameters:
        recipe:     A `Recipe`.
        run:        Folder with ``data.h5``; checkpoints, TensorBoard logs (``logs``) and a log in
                    JSON lines (``fit.jsonl``) go there too.
        progress:   Whether to show progress bars.

    Returns:
        the fitted model family.
    """
    dataset = Dataset.of(recipe, run / "data.h5")
    family = make_family(recipe)
    family.prepare(dataset)
    _check_run(recipe, run, start=True)
    for phase in family.phases:
        _run_phase(phase, dataset, run, progress)
    return family


def restore(recipe, run):
    """The fitted model family of a recipe, from its final checkpoints.

    Raises a `galsim.GalSimError` where a phase is not complete.
    """
    _check_run(recipe, run)
    family = make_family(recipe)
    for phase in family.phases:
        step, manager = _checkpoints(phase, run)
        if manager.restore_or_initialize() is None or int(step) < phase.fit.steps:
            raise GalSimError(
                f"The phase '{phase.name}' in {run} has made {int(step)} of {phase.fit.steps} "
                f"steps. Go on with 'galsim-deep-train fit {recipe.path}'.")
    return family


def _check_run(recipe, run, start=False):
    """Refuse to go on with checkpoints that other settings made; at the start, note whose it is."""
    stamp, digest = run / "checkpoints" / "recipe.sha256", recipe.digest(*FIT_PARTS)
    if not stamp.exists():
        if not start:
            return
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(digest + "\n")
    elif stamp.read_text().strip() != digest:
        raise GalSimError(
            f"The checkpoints in {stamp.parent} were not made by {recipe.path} as it is now: its "
            "data, model or fit have changed. Remove that folder to start again, or use another "
            "--run folder.")


def _checkpoints(phase, run):
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    checkpoint = tf.train.Checkpoint(step=step, **phase.state())
    manager = tf.train.CheckpointManager(
        checkpoint, str(run / "checkpoints" / phase.name), max_to_keep=2)
    return step, manager


def _run_phase(phase, dataset, run, progress):
    step, manager = _checkpoints(phase, run)
    manager.restore_or_initialize()
    start, steps = int(step), phase.fit.steps
    if start >= steps:
        return
    advance = tf.function(phase.step, reduce_retracing=True)
    evaluate = tf.function(phase.evaluate, reduce_retracing=True)
    test = dataset.read(_test_sample(dataset, phase.seed))
    writer = tf.summary.create_file_writer(str(run / "logs" / phase.name))
    log = open(run / "fit.jsonl", "a")
    seconds = time.time()
    with log, writer.as_default(), tqdm(
            total=steps, initial=start, desc=phase.name, unit="step", disable=not progress) as bar:
        for number, batch in zip(range(start, steps), _prefetched(phase, dataset, start),
                                 strict=False):
            scalars = advance(batch, tf.constant(number))
            step.assign(number + 1)
            bar.update()
            done = number + 1 == steps
            if done:
                phase.finish()
            if done or (number + 1) % EVALUATE_EVERY == 0:
                _log(phase, number + 1, scalars, evaluate(test), log, bar, time.time() - seconds)
            if done or (number + 1) % SAVE_EVERY == 0:
                manager.save(checkpoint_number=number + 1)


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


def _log(phase, number, scalars, test, log, bar, seconds):
    values = {f"train/{name}": float(value) for name, value in scalars.items()}
    values.update({f"test/{name}": float(value) for name, value in test.items()})
    for name, value in values.items():
        tf.summary.scalar(name, value, step=number)
    log.write(json.dumps(dict(phase=phase.name, step=number, seconds=round(seconds, 1),
                              **{name: round(value, 6) for name, value in values.items()})) + "\n")
    log.flush()
    bar.set_postfix(loss=f"{values['train/loss']:.4g}")
