"""The training loop: that a fit can be stopped anywhere and continues as if it had not been."""

import json
import resource
import shutil

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training import fit as fitting
from galsim_deep_training.cli import main
from galsim_deep_training.families import make_family
from galsim_deep_training.families.shared.autoencoding import Autoencoding
from galsim_deep_training.fit import fit, restore
from galsim_deep_training.fitting.checkpoints import Checkpoints
from galsim_deep_training.networks.blocks import ResidualBlock

pytestmark = pytest.mark.long

STEPS = 12
PHASES = ("autoencoder", "structure", "flow", "matching", "columns")
STOPPED = ("autoencoder", "flow", "columns")


class Stopped(Exception):
    pass


def weights(family):
    # By number: Keras counts the layers of a process in their names.
    return {f"{name} {number}": variable.numpy() for name, network in family.networks.items()
            for number, variable in enumerate(network.variables)}


def assert_same_weights(family, other):
    one, two = weights(family), weights(other)
    assert one.keys() == two.keys() and len(one) > 30
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)


def log_of(run):
    return [json.loads(line) for line in (run / "fit.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def interrupted(recipe, new_run):
    """A fit that is stopped in several phases, after steps that no checkpoint holds.

    Returns the working folder, the family, and what `restore` had to say in between.
    """
    run, answers = new_run(), []
    save = Checkpoints.save

    def ask():
        with pytest.raises(galsim.GalSimError) as info:
            restore(recipe, run)
        answers.append(str(info.value))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "SAVE_EVERY", 5)
        patch.setattr(fitting, "EVALUATE_EVERY", 6)
        for phase in STOPPED:
            def stop(checkpoints, steps_done, phase=phase):
                if steps_done == 10 and phase == checkpoints.phase.name:
                    raise Stopped
                save(checkpoints, steps_done)

            patch.setattr(Checkpoints, "save", stop)
            with pytest.raises(Stopped):
                fit(recipe, run, progress=False)
            ask()
        patch.setattr(Checkpoints, "save", save)
        family = fit(recipe, run, progress=False)
    return run, family, answers


def test_goes_on_as_if_nothing_had_happened(interrupted, family):
    """The same weights as those of a fit in one go, to the bit."""
    assert_same_weights(interrupted[1], family)


def test_the_fit_changed_the_weights(recipe, family):
    before, after = weights(make_family(recipe)), weights(family)
    assert before.keys() == after.keys()
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert len(changed) > 0.9 * len(before)
    assert all(np.all(np.isfinite(value)) for value in after.values())


def test_restore_refuses_what_is_not_complete(interrupted, recipe):
    run, _, answers = interrupted
    for answer, phase in zip(answers, STOPPED, strict=True):
        assert f"'{phase}' in {run} is not complete: 5 of {STEPS} steps" in answer
        assert f"galsim-deep-train fit {recipe.path}" in answer


def test_restore_refuses_an_empty_folder(recipe, tmp_path):
    with pytest.raises(galsim.GalSimError,
                       match=f"'autoencoder' .* is not complete: 0 of {STEPS} steps"):
        restore(recipe, tmp_path)


def test_restore(interrupted, recipe):
    run, resumed, _ = interrupted
    assert_same_weights(restore(recipe, run), resumed)


def test_a_fit_that_is_complete_is_left_alone(fitted, recipe, family, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    log = (run / "fit.jsonl").read_bytes()
    again = fit(recipe, run, progress=False)
    assert (run / "fit.jsonl").read_bytes() == log
    assert_same_weights(again, family)


def test_log(fitted):
    lines = log_of(fitted)
    assert [(line["phase"], line["step"]) for line in lines] == [
        (phase, STEPS) for phase in PHASES]
    for line in lines:
        assert line["seconds"] >= 0
        assert np.isfinite(line["train/loss"]) and line["train/gradient_norm"] > 0
        assert any(name.startswith("test/") for name in line)
    assert lines[0]["test/chi_square"] > 0


def test_log_of_a_fit_that_was_stopped(interrupted):
    """Steps made twice are there twice, and came out the same."""
    lines = log_of(interrupted[0])
    assert [(line["phase"], line["step"]) for line in lines] == [
        (phase, step) for phase in PHASES
        for step in ((6, 6, 12) if phase in STOPPED else (6, 12))]
    for phase in STOPPED:
        one, other = [{**line, "seconds": 0} for line in lines
                      if (line["phase"], line["step"]) == (phase, 6)]
        assert one == other


@pytest.mark.parametrize("phase", PHASES)
def test_tensorboard(phase, fitted):
    files = list((fitted / "logs").glob(f"{phase}-*/events.out.tfevents.*"))
    assert len(files) == 1
    found = {}
    for record in tf.data.TFRecordDataset([str(files[0])]):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            found[value.tag] = event.step, float(tf.make_ndarray(value.tensor))
    line = next(line for line in log_of(fitted) if line["phase"] == phase)
    assert found["train/loss"] == (STEPS, pytest.approx(line["train/loss"], rel=1e-5))
    assert {name for name in line if "/" in name} == set(found)


@pytest.mark.parametrize("phase", PHASES)
def test_checkpoints(phase, fitted, interrupted):
    """The last is there, and no more than two."""
    for run in (fitted, interrupted[0]):
        names = {path.name for path in (run / "checkpoints").glob(f"{phase}-*/*")}
        assert f"ckpt-{STEPS}" in names and len(names) <= 2


def test_without_data(recipe, tmp_path):
    with pytest.raises(galsim.GalSimError, match="no data set .*data.h5.*galsim-deep-train data"):
        fit(recipe, tmp_path, progress=False)


def test_data_of_another_recipe(make_recipe, new_run):
    other = make_recipe(lambda content: content.update(seed=4))
    with pytest.raises(galsim.GalSimError, match="made with other settings"):
        fit(other, new_run(), progress=False)


@pytest.mark.parametrize("change", [
    lambda content: content["model"]["autoencoder"].update(hidden=8),
    lambda content: content["fit"]["autoencoder"].update(free_bits=2.0)])
def test_checkpoints_of_another_recipe(change, make_recipe, fitted):
    """Other settings of the networks, the same data: they are named and left alone."""
    other = make_recipe(change)
    (folder,) = (fitted / "checkpoints").glob("autoencoder-*")
    with pytest.raises(galsim.GalSimError, match=f"0 of {STEPS} steps.*{folder.name}"):
        restore(other, fitted)


def test_a_checkpoint_of_other_networks_is_refused(recipe, fitted, tmp_path, monkeypatch):
    """Same settings, but the code has come to build something else."""
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    monkeypatch.setattr(ResidualBlock, "build", lambda self, shape: self.add_weight(
        shape=(3,), name="new"), raising=False)
    with pytest.raises(galsim.GalSimError, match="does not fit the networks"):
        restore(recipe, run)


def test_a_fit_that_comes_apart_stops(make_recipe, new_run, monkeypatch, without_graphs):
    loss = Autoencoding.loss
    monkeypatch.setattr(Autoencoding, "loss", lambda self, *args: (
        np.nan * loss(self, *args)[0], loss(self, *args)[1]))
    recipe = make_recipe(lambda content: content["fit"]["autoencoder"].update(steps=2))
    with pytest.raises(galsim.GalSimError, match="'autoencoder' is nan at step 2"):
        fit(recipe, new_run(), progress=False)


def test_the_command_on_a_full_disk(make_recipe, new_run, capsys, without_graphs):
    """One clear line; `test_checkpoints` has what is left and how the fit goes on."""
    recipe = make_recipe(lambda content: content["fit"]["autoencoder"].update(steps=1))
    run, before = new_run(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        status = main(["fit", str(recipe.path), "--run", str(run), "--quiet"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = capsys.readouterr().err
    assert status == 1 and "Traceback" not in message
    assert f"The checkpoint {run}/checkpoints/autoencoder-" in message
    assert "ckpt-1 cannot be written: " in message and "Make room" in message


def test_several_flows_on_one_autoencoder(make_recipe, fitted, tmp_path):
    """Only the flow and what goes on from it are fitted anew, and earlier ones found again."""
    def recipe(**flow):
        def change(content):
            content.update(name=f"tiny_{len(flow)}", run="shared")
            content["model"]["flow"].update(flow)
        return make_recipe(change)

    run, (first, second) = tmp_path / "run", (recipe(), recipe(hidden=9))
    shutil.copytree(fitted, run)
    one = restore(first, run)
    assert len(log_of(run)) == len(PHASES)
    with pytest.raises(galsim.GalSimError, match="'flow' .* is not complete: 0 of"):
        restore(second, run)
    other = fit(second, run, progress=False)
    assert [line["phase"] for line in log_of(run)] == [*PHASES, "flow", "matching"]
    folders = [line["checkpoints"] for line in log_of(run)]
    assert {path.name for path in (run / "checkpoints").iterdir()} == set(folders)
    assert len(set(folders)) == len(folders)
    for network in ("encoder", "decoder", "imputation"):
        for mine, theirs in zip(one.networks[network].variables, other.networks[network].variables,
                                strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert one.prior.count_params() != other.prior.count_params()
    assert_same_weights(fit(first, run, progress=False), one)
    assert len(log_of(run)) == len(folders)
    assert_same_weights(restore(second, run), other)


def test_adafactor(make_recipe, new_run, without_graphs):
    """Another optimiser in every phase, with its average."""
    def change(content):
        content["model"]["autoencoder"].update(maps=[2, 0, 0])
        del content["fit"]["structure"]  # for an optimiser the same as the autoencoder
        for phase in content["fit"].values():
            phase.update(optimizer="adafactor", schedule="square_root", learning_rate=0.05,
                         steps=3, warm_up=1)

    recipe, run = make_recipe(change), new_run()
    family = fit(recipe, run, progress=False)
    assert len(weights(family)) > 30
    assert all(np.isfinite(value).all() for value in weights(family).values())
    assert_same_weights(restore(recipe, run), family)


def test_the_prose_of_a_recipe_may_change(make_recipe, fitted, family):
    def change(content):
        content["summary"] = content["columns"][1]["meaning"] = "other words"

    assert_same_weights(restore(make_recipe(change), fitted), family)
