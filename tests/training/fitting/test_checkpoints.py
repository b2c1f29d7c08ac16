"""Checkpoints that are damaged, cannot be written, or hold weights of a fit that has diverged."""

import contextlib
import itertools
import json
import resource
import shutil
import time

import galsim
import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training import fit as fitting
from galsim_deep_training.data.dataset import Dataset, DatasetWriter
from galsim_deep_training.data.example import Example
from galsim_deep_training.fitting.checkpoints import Checkpoints
from galsim_deep_training.fitting.distribution import Distribution
from galsim_deep_training.fitting.phase import GradientPhase
from galsim_deep_training.networks.flows.conditioner import Conditioner
from galsim_deep_training.recipe import PhaseSettings, Stamp

STEPS, BEFORE = 12, 10
"""Steps of the last checkpoint of a complete fit, and of the one before it."""


class MeanSize(GradientPhase):
    """Two weights that approach the mean of the column ``size``."""

    name = "mean_size"

    def __init__(self):
        layer = keras.layers.Layer()
        self.weight = layer.add_weight(shape=(2,), initializer="zeros", name="w")
        super().__init__(PhaseSettings(steps=STEPS, batch_size=4, learning_rate=0.1, warm_up=0,
                                       average=0.5), 3, dict(layer=layer), [self.weight])

    def batches(self, dataset, start):
        return dataset.batches(self.settings.batch_size, self.seed, start)

    def loss(self, batch, number):
        return tf.reduce_mean((self.weight.value - batch["size"][:, None]) ** 2), {}


class Diverging(MeanSize):
    """A weight overflows in step 3, and the loss hides it."""

    def step(self, batch, number):
        scalars = super().step(batch, number)
        self.weight.assign(tf.where(number < 3, self.weight.value, np.inf))
        return dict(scalars, loss=tf.constant(1.0))


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(fitting, "EVALUATE_EVERY", 4)
    monkeypatch.setattr(fitting, "SAVE_EVERY", 5)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """A small data set."""
    path = tmp_path_factory.mktemp("data") / "data.h5"
    stamp = Stamp(size=4, pixel_scale=0.2, psf_size=3)
    with DatasetWriter(path, stamp, ["size"], np.ones((1, 3, 3)) / 9) as writer:
        for n in range(20):
            writer.add(Example(np.ones((4, 4)), 0, 1.0, dict(size=1.0 + n), source=n, test=n < 4))
    return Dataset(path)


def run_phase(folder, dataset, phase=None):
    """Run a phase to its end and return its weights."""
    phase = phase or MeanSize()
    folder.mkdir(exist_ok=True)
    fitting.run_phase(phase, Checkpoints(phase, "mean_size-1", folder), dataset, folder,
                      Distribution(), progress=False)
    return phase.weight.numpy()


def restored(folder):
    return Checkpoints(MeanSize(), "mean_size-1", folder).restore()


@pytest.fixture(scope="module")
def complete(sizes, tmp_path_factory):
    """A working folder with the checkpoints of steps 10 and 12, and the final weights."""
    folder = tmp_path_factory.mktemp("complete") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "SAVE_EVERY", 5)
        weights = run_phase(folder, sizes)
    return folder, weights


@contextlib.contextmanager
def full_disk(limit):
    """No file of this process grows beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---- damage ---------------------------------------------------------------------------------

RANDOM = np.random.default_rng(5).bytes(3000)
DAMAGE = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:len(content) // 2],
    "random": lambda content: RANDOM[:len(content)],
    "one byte": lambda content: content[:40] + bytes([content[40] ^ 0x91]) + content[41:],
}


FILES = ("weights.index", "weights.data-00000-of-00001")


def inflict(damage, path):
    """Damage a file."""
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(DAMAGE[damage](path.read_bytes()))


CASES = [(name, damage) for name in FILES for damage in (*DAMAGE, "absent")
         if (name, damage) != (FILES[0], "absent")]  # without its index there is no checkpoint


@pytest.mark.long
@pytest.mark.parametrize("name, damage", CASES)
def test_damaged_files(name, damage, complete, sizes, tmp_path):
    """If all checkpoints are damaged, the error names the last, and says what to do; doing so
    helps."""
    run = tmp_path / "run"
    shutil.copytree(complete[0], run)
    folder = run / "checkpoints" / "mean_size-1"
    for number in (STEPS, BEFORE):
        inflict(damage, folder / f"ckpt-{number}" / name)
    with pytest.raises(galsim.GalSimError) as info:
        restored(run)
    message = str(info.value)
    assert f"The checkpoint {folder}/ckpt-{STEPS} is damaged: " in message
    assert f"Remove the folder {folder} to begin this phase anew" in message
    assert len(message.splitlines()) == 1
    with pytest.raises(galsim.GalSimError, match="is damaged"):
        run_phase(run, sizes)
    shutil.rmtree(folder)
    np.testing.assert_array_equal(run_phase(run, sizes), complete[1])


@pytest.mark.parametrize("name, damage", CASES)
def test_a_damaged_last_checkpoint(name, damage, complete, sizes, tmp_path):
    """The fit continues from the one before it, and ends as if nothing had been."""
    run = tmp_path / "run"
    shutil.copytree(complete[0], run)
    folder = run / "checkpoints" / "mean_size-1"
    inflict(damage, folder / f"ckpt-{STEPS}" / name)
    with pytest.warns(galsim.GalSimWarning) as record:
        assert restored(run) == BEFORE
    (warning,) = record
    assert f"{folder}/ckpt-{STEPS} is damaged: " in str(warning.message)
    assert f"continues from the checkpoint before it, {folder}/ckpt-{BEFORE}." in str(
        warning.message)
    with pytest.warns(galsim.GalSimWarning, match="is damaged"):
        weights = run_phase(run, sizes)
    np.testing.assert_array_equal(weights, complete[1])
    assert restored(run) == STEPS


def test_what_is_not_damaged(complete):
    assert restored(complete[0]) == STEPS


@pytest.mark.long
@pytest.mark.parametrize("place", ["before", "after"])
def test_an_interrupted_save(place, complete, sizes, tmp_path, monkeypatch):
    """It leaves nothing behind, wherever it is interrupted; the fit continues as if it had not been
    made."""
    run, write = tmp_path / "run", tf.train.Checkpoint.write

    def interrupted(checkpoint, path):
        if place == "after":
            write(checkpoint, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_phase(run, sizes)
    assert not list((run / "checkpoints" / "mean_size-1").iterdir())
    np.testing.assert_array_equal(run_phase(run, sizes), complete[1])


def test_what_is_left_of_removed_checkpoints(complete, tmp_path):
    """A process that is killed while it removes a checkpoint leaves a part, which goes later."""
    shutil.copytree(complete[0], tmp_path / "run")
    checkpoints = Checkpoints(MeanSize(), "mean_size-1", tmp_path / "run")
    (checkpoints.folder / f"ckpt-{BEFORE}" / FILES[0]).unlink()
    assert checkpoints.steps() == [STEPS]
    checkpoints.save(20)
    assert {path.name for path in checkpoints.folder.iterdir()} == {f"ckpt-{STEPS}", "ckpt-20"}


def test_the_clock_does_not_matter(complete, sizes, tmp_path, monkeypatch):
    """Neither when checkpoints are written nor when they are read."""
    times = iter([3e9, 2e9, 1e9, *range(10**9, 10**9 + 10**6)])
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: next(times))
        np.testing.assert_array_equal(run_phase(tmp_path / "run", sizes), complete[1])
        assert restored(tmp_path / "run") == STEPS


def test_two_checkpoints_are_kept(complete, sizes, tmp_path):
    checkpoints = Checkpoints(MeanSize(), "mean_size-1", tmp_path)
    for steps_done in (5, 10, 100):
        checkpoints.save(steps_done)
    assert checkpoints.steps() == [10, 100]
    checkpoints.save(20)  # the one of step 100 was damaged
    assert checkpoints.steps() == [10, 20]


# ---- what is saved --------------------------------------------------------------------------


class Unfitted(MeanSize):
    """It saves a network that its optimiser does not know, with its weights in a list."""

    def __init__(self):
        super().__init__()
        self.conditioner = Conditioner((3,), units=2, output_initializer="glorot_uniform")
        self.conditioner.build((None, 4), (None, 1))
        self.networks["conditioner"] = self.conditioner


def test_all_weights_of_a_network_are_saved(sizes, tmp_path):
    """Those too that no optimiser lists."""
    saved, fresh = Unfitted(), Unfitted()
    run_phase(tmp_path / "run", sizes, saved)
    Checkpoints(fresh, "mean_size-1", tmp_path / "run").restore()
    for variable, expected in zip(
            fresh.conditioner.variables, saved.conditioner.variables, strict=True):
        np.testing.assert_array_equal(variable, expected)


def test_further_layers_are_saved(tmp_path):
    """Those that a family has learnt from the data set, of which the phase knows nothing."""
    saved, fresh = (keras.layers.Normalization(mean=0.0, variance=1.0) for _ in range(2))
    for layer in (saved, fresh):
        layer.scale = layer.add_weight(shape=(2,), name="scale")
    saved.scale.assign([3.0, 4.0])
    Checkpoints(MeanSize(), "mean_size-1", tmp_path, dict(prepared=saved)).save(3)
    assert Checkpoints(MeanSize(), "mean_size-1", tmp_path, dict(prepared=fresh)).restore() == 3
    np.testing.assert_array_equal(fresh.scale, [3.0, 4.0])


def test_a_network_without_weights_is_refused(tmp_path):
    """They would not be saved, and be lost at the export."""
    phase = MeanSize()
    phase.networks["later"] = keras.layers.Dense(3)
    with pytest.raises(galsim.GalSimError, match="'later', which has no weights yet"):
        Checkpoints(phase, "mean_size-1", tmp_path)


def test_a_layer_with_the_name_of_another_is_refused(tmp_path):
    """One of them would not be saved."""
    phase = MeanSize()
    with pytest.raises(galsim.GalSimError, match="contains 'layer', and a layer that learns"):
        Checkpoints(phase, "mean_size-1", tmp_path, dict(layer=keras.layers.Normalization()))
    Checkpoints(phase, "mean_size-1", tmp_path, dict(layer=phase.networks["layer"]))


class Ending(MeanSize):
    """Its batches end."""

    count = 7

    def batches(self, dataset, start):
        return itertools.islice(super().batches(dataset, start), self.count)


@pytest.mark.parametrize("count, saved", [(7, 5), (0, 0)])
def test_batches_that_end(count, saved, sizes, tmp_path):
    """The phase is not taken for complete."""
    phase = Ending()
    phase.count = count
    with pytest.raises(galsim.GalSimError,
                       match=f"step {count} of {STEPS}: Ending.batches has to yield"):
        run_phase(tmp_path / "run", sizes, phase)
    assert restored(tmp_path / "run") == saved


# ---- divergence -----------------------------------------------------------------------------


def test_weights_that_are_not_finite_are_not_saved(sizes, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "EVALUATE_EVERY", 100)
    with pytest.raises(galsim.GalSimError, match="weight '.*w' of the phase 'mean_size' is not "
                                                 "finite after step 5, so it is not saved: .*"
                                                 "Lower the learning_rate"):
        run_phase(tmp_path / "run", sizes, Diverging())
    assert not list((tmp_path / "run").glob("checkpoints/*/*"))


def test_a_last_checkpoint_is_checked_as_well(sizes, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "SAVE_EVERY", 100)
    with pytest.raises(galsim.GalSimError, match=f"not finite after step {STEPS}"):
        run_phase(tmp_path / "run", sizes, Diverging())


@pytest.mark.parametrize("what", ["weight", "optimizer"])
def test_a_checkpoint_that_holds_such_weights_is_refused(what, complete, tmp_path):
    """Earlier releases saved them."""
    run, phase = tmp_path / "run", MeanSize()
    shutil.copytree(complete[0], run)
    checkpoints = Checkpoints(phase, "mean_size-1", run)
    if what == "weight":
        phase.weight.assign([1.0, np.nan])
    else:
        phase.optimiser_step.optimizer.variables[-1].assign([np.nan, 1.0])
    checkpoints.checkpoint.write(str(checkpoints.folder / "ckpt-20" / "weights"))
    with pytest.warns(galsim.GalSimWarning, match="ckpt-20 is damaged: .* is not finite"):
        assert restored(run) == STEPS


# ---- full disks -----------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("limit", [0, 60, 200, 500])
def test_a_full_disk(limit, complete, sizes, tmp_path):
    """Whatever cannot be written first; with room again the fit goes on as if nothing had been."""
    run = tmp_path / "run"
    with full_disk(limit), pytest.raises(galsim.GalSimError) as info:
        run_phase(run, sizes)
    message = str(info.value)
    assert message.startswith(("The checkpoint ", "The log ")) and str(run) in message
    assert "cannot be written" in message and "Make room on its disk" in message
    assert len(message.splitlines()) == 1 and "{{" not in message
    assert not list(run.glob("checkpoints/*/*_temp"))
    np.testing.assert_array_equal(run_phase(run, sizes), complete[1])
    lines = [json.loads(line) for line in (run / "fit.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == STEPS
    assert restored(run) == STEPS


def test_a_log_on_a_full_disk(complete, sizes, tmp_path, monkeypatch):
    """No part of a line is left, which the next would be appended to."""
    run = tmp_path / "run"
    monkeypatch.setattr(fitting, "SAVE_EVERY", 100)
    one_line = len((complete[0] / "fit.jsonl").read_bytes().splitlines()[0])
    with full_disk(int(1.5 * one_line)), pytest.raises(
            galsim.GalSimError, match=f"The log of {run} cannot be written: .*File too large"):
        run_phase(run, sizes)
    (line,) = (run / "fit.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 4


def test_a_checkpoint_on_a_full_disk(complete, sizes, tmp_path, monkeypatch):
    """The one before is still there, and the fit goes on from it."""
    run = tmp_path / "run"
    save = Checkpoints.save

    def save_on_full_disk(checkpoints, steps_done):
        with full_disk(200 if steps_done == 10 else resource.RLIM_INFINITY):
            save(checkpoints, steps_done)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_on_full_disk)
        with pytest.raises(galsim.GalSimError, match="checkpoint .*ckpt-10 cannot be written"):
            run_phase(run, sizes)
    assert restored(run) == 5
    np.testing.assert_array_equal(run_phase(run, sizes), complete[1])
