"""The log of a fit: lines of JSON, files for TensorBoard, and what happens if it cannot be written.
"""

import json

import galsim
import pytest
import tensorflow as tf

from galsim_deep_training.fitting.log import Log, first_line, writing


def lines(run):
    return [json.loads(line) for line in (run / "fit.jsonl").read_text().splitlines()]


def test_what_is_written(tmp_path):
    with Log(tmp_path, "flow", "flow-1", is_chief=True) as log:
        loss = log.write(200, dict(loss=tf.constant(0.5)), dict(loss=0.1234567), seconds=3.04)
    assert loss == 0.5
    assert lines(tmp_path) == [{
        "phase": "flow", "checkpoints": "flow-1", "step": 200, "seconds": 3.0, "train/loss": 0.5,
        "test/loss": 0.123457}]
    (events,) = (tmp_path / "logs" / "flow-1").iterdir()
    scalars = {value.tag: float(tf.make_ndarray(value.tensor))
               for event in tf.compat.v1.train.summary_iterator(str(events))
               for value in event.summary.value}
    assert scalars == pytest.approx({"train/loss": 0.5, "test/loss": 0.1234567})


def test_lines_are_appended(tmp_path):
    for phase in ("autoencoder", "flow"):
        with Log(tmp_path, phase, f"{phase}-1", is_chief=True) as log:
            for step in (1, 2):
                log.write(step, dict(loss=1.0), {}, seconds=0.0)
    assert [(line["phase"], line["step"]) for line in lines(tmp_path)] == [
        ("autoencoder", 1), ("autoencoder", 2), ("flow", 1), ("flow", 2)]


def test_only_the_chief_writes(tmp_path):
    with Log(tmp_path, "flow", "flow-1", is_chief=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    run = tmp_path / "absent"
    with pytest.raises(galsim.GalSimError, match=str(run)):
        Log(run, "flow", "flow-1", is_chief=True)


def test_the_first_error_is_the_one_that_is_raised(tmp_path):
    """Also if the log cannot be closed after it."""
    with pytest.raises(KeyError, match="loss"), Log(tmp_path, "flow", "f", is_chief=True) as log:
        log._stack.callback(open, tmp_path / "absent" / "file")
        log.write(1, {}, {}, seconds=0.0)


@pytest.mark.parametrize("error", [
    OSError(28, "No space left on device"),
    tf.errors.ResourceExhaustedError(None, None, "No space left on device\nmore")])
def test_errors_of_writing(error):
    with pytest.raises(galsim.GalSimError, match="No space") as caught, writing("checkpoint c-5"):
        raise error
    assert "checkpoint c-5" in str(caught.value) and "more\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_other_errors_are_not_of_writing():
    with pytest.raises(ValueError, match="odd"), writing("log"):
        raise ValueError("odd")


@pytest.mark.parametrize("reason, line", [
    ("plain", "plain"), ("first\nsecond", "first"), ("", "str"), (OSError(), "OSError"),
    ("{{function_node __wrapped__SaveV2}} disk full [Op:SaveV2]\nat", "disk full [Op:SaveV2]")])
def test_first_line(reason, line):
    assert first_line(reason) == line
