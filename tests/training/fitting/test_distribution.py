"""Fits on several devices and machines arrive where one device does."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import galsim
import numpy as np
import pytest

from galsim_deep_training.fit import fit, restore
from galsim_deep_training.fitting.distribution import Distribution

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).parent / "distributed_fit.py"


def shortened(content, kind="none"):
    """Three steps of each phase, of networks that are traced soon: each process does so itself."""
    content["distribute"] = kind
    content["model"]["autoencoder"].update(maps=[2, 0, 0])
    del content["fit"]["structure"]  # for a strategy the same as the autoencoder
    for phase in content["fit"].values():
        phase.update(steps=3, warm_up=1, learning_rate=1e-3)


@pytest.fixture(scope="module")
def alone(make_recipe, new_run):
    """Without a strategy, in this process: (family, folder)."""
    run = new_run()
    return fit(make_recipe(shortened), run, progress=False), run


def start(recipe, run, output, cpus=1, **environment):
    # Ports and devices are this test's own.
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(recipe.path), str(run), str(output), str(cpus)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(*processes, seconds):
    try:
        texts = [process.communicate(timeout=seconds)[0] for process in processes]
        for process, text in zip(processes, texts, strict=True):
            assert process.returncode == 0, "\n\n".join(text[-4000:] for text in texts)
    finally:
        for process in processes:
            process.kill()


def free_ports(count):
    """Numbers of ports that nobody uses at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


def assert_close(family, file):
    """But for rounding, which shows in the flows: what is matched are logarithms of asymmetries,
    and those of galaxies that are hardly fitted are next to nothing."""
    found = np.load(file)
    for name, network in family.networks.items():
        for number, variable in enumerate(network.variables):
            np.testing.assert_allclose(
                found[f"{name}_{number}"], variable, atol=1e-4 if name == "prior" else 1e-5,
                err_msg=f"{name} {number}")


def test_mirrored(alone, make_recipe, new_run, tmp_path):
    """Two devices, the same weights, and checkpoints that one device goes on from."""
    recipe = make_recipe(lambda content: shortened(content, "mirrored"))
    run = new_run()
    finish(start(recipe, run, tmp_path / "weights.npz", cpus=2), seconds=600)
    assert_close(alone[0], tmp_path / "weights.npz")
    assert_close(restore(recipe, run), tmp_path / "weights.npz")
    one, two = ([json.loads(line) for line in (folder / "fit.jsonl").read_text().splitlines()]
                for folder in (alone[1], run))
    assert [line["phase"] for line in two] == ["autoencoder", "flow", "matching", "columns"]
    for mine, theirs in zip(one, two, strict=True):
        assert mine.keys() == theirs.keys() and mine["checkpoints"] == theirs["checkpoints"]
        for name in ("train/loss", "train/gradient_norm", "test/loss"):
            if name in mine:
                assert theirs[name] == pytest.approx(mine[name], rel=2e-3)


def test_mirrored_adversaries(make_recipe, new_run, tmp_path):
    """Four optimisers take turns on two devices.

    Batch normalisation is of each device's share, so they do not arrive where one device does.
    """
    def few(content):
        content["distribute"] = "mirrored"
        content["fit"]["adversarial"].update(discriminator_steps=1, encoder_steps=1)
        del content["fit"]["flow"], content["fit"]["columns"]
        for phase in content["fit"].values():
            phase.update(steps=2, warm_up=1)

    recipe, run = make_recipe(few, family="mpcc"), new_run()
    finish(start(recipe, run, tmp_path / "weights.npz", cpus=2), seconds=600)
    assert_close(restore(recipe, run), tmp_path / "weights.npz")
    line = json.loads((run / "fit.jsonl").read_text().splitlines()[0])
    assert all(np.isfinite(value) for value in line.values() if isinstance(value, float))


def test_multi_worker(alone, make_recipe, new_run, tmp_path):
    """Two processes that talk to each other; the chief alone writes."""
    def without_matching(content, kind):
        shortened(content, kind)
        del content["fit"]["matching"]  # it distributes its batches as the others do

    recipe = make_recipe(lambda content: without_matching(content, "multi_worker"))
    expected = restore(make_recipe(lambda content: without_matching(content, "none")), alone[1])
    for attempt in range(3):
        # They may share a folder; with one each it shows who writes.
        runs = [new_run(), new_run()]
        workers = [f"localhost:{port}" for port in free_ports(2)]
        try:
            finish(*(start(recipe, run, tmp_path / f"{index}.npz", TF_CONFIG=json.dumps(
                dict(cluster=dict(worker=workers), task=dict(type="worker", index=index))))
                for index, run in enumerate(runs)), seconds=600)
            break
        except AssertionError as err:
            # Another process may take a port before TensorFlow does, which shares none.
            if "Could not start gRPC server" not in str(err) or attempt == 2:
                raise
    for index in range(2):
        assert_close(expected, tmp_path / f"{index}.npz")
    assert_close(restore(recipe, runs[0]), tmp_path / "0.npz")
    assert (runs[0] / "fit.jsonl").exists()
    assert not any((runs[1] / name).exists() for name in ("fit.jsonl", "logs"))
    assert not list((runs[1] / "checkpoints").glob("*/ckpt-*"))


def test_batches_that_cannot_be_shared(make_recipe):
    class Three(Distribution):
        replicas = 3

    class Phase:
        name = "flow"
        settings = make_recipe().fit["flow"]

    recipe = make_recipe()
    with pytest.raises(galsim.GalSimConfigError, match="fit.flow.batch_size.* 8, which 3 devices"):
        Three().check(Phase, recipe)
    Distribution().check(Phase, recipe)


def test_alone():
    """Without a strategy there is one replica, which is the chief."""
    distribution = Distribution("none")
    assert distribution.replicas == 1 and distribution.chief
    with distribution.scope():
        pass
