"""The training loop: it runs the phases of a model family one after the other."""

__all__ = ["fit", "restore"]

import os
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimError
from tqdm import tqdm

from .data.dataset import Dataset
from .families import ModelFamily, checkpoint_names, make_family
from .fitting.checkpoints import DIVERGED, Checkpoints
from .fitting.distribution import Distribution
from .fitting.graphs import as_graph
from .fitting.log import Log
from .fitting.phase import Phase
from .recipe import Recipe

EVALUATE_EVERY = 200
"""Steps between evaluations on test examples."""
SAVE_EVERY = 500
"""Steps between checkpoints."""
TEST_SAMPLE = 256
"""Number of test examples on which a fit is evaluated."""


def fit(recipe: Recipe, run: str | os.PathLike, progress: bool = True) -> ModelFamily:
    """Fit the model of a recipe, continuing from the last checkpoints of the same settings.

    Parameters:
        recipe:     A `Recipe`.
        run:        Folder with ``data.h5``; checkpoints, TensorBoard logs (``logs``) and a log in
                    JSON lines (``fit.jsonl``) go there too.
        progress:   Whether to show progress bars.

    Returns:
        the fitted model family.
    """
    run = Path(run)
    distribution = Distribution(recipe.distribute)
    names = checkpoint_names(recipe)
    dataset = Dataset.of(recipe, run / "data.h5")
    with distribution.scope():
        family = make_family(recipe)
        family.prepare(dataset)
        phases = family.phases
        for phase in phases:
            distribution.check(phase, recipe)
        for phase in phases:
            checkpoints = Checkpoints(phase, names[phase.name], run, _prepared(family, phase))
            run_phase(phase, checkpoints, dataset, run, distribution, progress)
    return family


def restore(recipe: Recipe, run: str | os.PathLike) -> ModelFamily:
    """The fitted model family of a recipe, from its final checkpoints; float32.

    Raises a `galsim.GalSimError` if a phase is not complete.
    """
    run = Path(run)
    names = checkpoint_names(recipe)
    family = make_family(recipe, precision="float32")
    for phase in family.phases:
        checkpoints = Checkpoints(phase, names[phase.name], run, _prepared(family, phase))
        steps_done = checkpoints.restore()
        if steps_done < phase.settings.steps:
            raise GalSimError(
                f"The phase '{phase.name}' in {run} is not complete: {steps_done} of "
                f"{phase.settings.steps} steps were made with the current settings of "
                f"{recipe.path} (checkpoints/{checkpoints.checkpoint_name})."
                f"{checkpoints.others()} Continue with "
                f"'galsim-deep-train fit {recipe.path}'.")
    return family


def _prepared(family: ModelFamily, phase: Phase) -> dict[str, keras.layers.Layer]:
    """The layers that are saved with a phase besides its own: the first phase has all that the
    family has learnt from the data set."""
    return family.prepared if phase.name == next(iter(family.fit)) else {}


def run_phase(phase: Phase, checkpoints: Checkpoints, dataset: Dataset, run: Path,
              distribution: Distribution, progress: bool) -> None:
    """Run one phase from its last checkpoint to its last step.

    Parameters:
        phase:              The phase.
        checkpoints:        Its `Checkpoints`.
        dataset:            The `Dataset`.
        run:                The working folder.
        distribution:       The `Distribution`.
        progress:           Whether to show a progress bar.

    Raises a `galsim.GalSimError` if the fit diverges, fails, or cannot be written.
    """
    start, steps = checkpoints.restore(), phase.settings.steps
    if start >= steps:
        return
    advance = distribution.stepper(phase)
    evaluate = as_graph(phase.evaluate)
    if not len(dataset.test_indices):
        raise GalSimError("The data set holds no test examples, on which a fit is evaluated. "
                          "Reserve test examples in the settings of its builder ('data' in the "
                          "recipe).")
    test = dataset.read(_test_sample(dataset, phase.seed))
    seconds = time.time()
    with Log(run, phase.name, checkpoints.checkpoint_name, distribution.chief) as log, tqdm(
            total=steps, initial=start, desc=phase.name, unit="step",
            disable=not progress or not distribution.chief) as bar:
        batches = _prefetched(phase, dataset, start)
        for step in range(start, steps):
            batch = next(batches, None)
            if batch is None:
                raise _no_batch(phase, step)
            scalars = advance(batch, tf.constant(step))
            if "loss" not in scalars:
                raise GalSimError(f"The phase '{phase.name}' returns no scalar 'loss', by which a "
                                  "fit that diverges is recognised. Add it to the scalars of "
                                  f"{type(phase).__name__}.step.")
            steps_done = step + 1
            bar.update()
            is_last = steps_done == steps
            if is_last:
                phase.finish(dataset)
            if not distribution.chief:
                continue
            if is_last or steps_done % EVALUATE_EVERY == 0:
                evaluation = {name: float(value) for name, value in evaluate(test).items()}
                phase.evaluated(evaluation)
                loss = log.write(steps_done, scalars, evaluation, time.time() - seconds)
                fault = phase.fault(steps_done, evaluation)
                if fault:
                    raise GalSimError(f"The phase '{phase.name}' was stopped at step "
                                      f"{steps_done}: {fault}")
                if not np.isfinite(loss):
                    raise GalSimError(
                        f"The loss of the phase '{phase.name}' is {loss} at step {steps_done}: "
                        f"{DIVERGED}")
                bar.set_postfix(loss=f"{loss:.4g}")
            if is_last or steps_done % SAVE_EVERY == 0:
                checkpoints.save(steps_done)


def _test_sample(dataset: Dataset, seed: int) -> np.ndarray:
    order = np.random.default_rng([seed, 4]).permutation(dataset.test_indices)
    return order[:TEST_SAMPLE]


def _no_batch(phase: Phase, step: int) -> GalSimError:
    return GalSimError(
        f"The phase '{phase.name}' has no batch for step {step} of {phase.settings.steps}: "
        f"{type(phase).__name__}.batches has to yield batches without end.")


def _prefetched(phase: Phase, dataset: Dataset, start: int) -> Iterator[dict[str, tf.Tensor]]:
    """Batches, read in a thread while the optimiser step of the batch before runs."""
    batches = phase.batches(dataset, start)
    first = next(batches, None)
    if first is None:
        raise _no_batch(phase, start)

    def all_batches() -> Iterator[dict[str, np.ndarray]]:
        yield first
        yield from batches

    signature = {name: tf.TensorSpec(value.shape, tf.float32) for name, value in first.items()}
    return iter(tf.data.Dataset.from_generator(
        all_batches, output_signature=signature).prefetch(4))
