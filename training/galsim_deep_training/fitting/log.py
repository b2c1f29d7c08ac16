"""The log of a fit: scalars as lines of JSON and for TensorBoard."""

__all__ = ["Log", "first_line", "writing"]

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tensorflow as tf
from galsim import GalSimError


class Log:
    """Writes scalars to ``fit.jsonl`` and to TensorBoard, in the chief process only.

    Parameters:
        run:        The working folder.
        phase:      The name of the phase.
        checkpoint_name:    The name of its checkpoints; TensorBoard files go to
                    ``logs/CHECKPOINT_NAME``.
        is_chief:   Whether this process writes logs, see `fitting.distribution.Distribution`.

    Raises a `galsim.GalSimError` where it cannot be written, such as on a full disk.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Log(Path(folder), "flow", "flow-1", is_chief=True) as log:
    ...         log.write(200, dict(loss=0.5), dict(chi_square=1.25), seconds=3.0)
    ...     print(Path(folder, "fit.jsonl").read_text().strip())
    0.5
    {"phase": "flow", "checkpoints": "flow-1", "step": 200, "seconds": 3.0, "train/loss": 0.5, \
"test/chi_square": 1.25}
    """

    def __init__(self, run: Path, phase: str, checkpoint_name: str, is_chief: bool) -> None:
        self._names = dict(phase=phase, checkpoints=checkpoint_name)
        self._run = run
        with writing(f"log of {self._run}"), contextlib.ExitStack() as stack:
            if is_chief:
                self._lines = stack.enter_context(open(run / "fit.jsonl", "ab", buffering=0))
                writer = tf.summary.create_file_writer(str(run / "logs" / checkpoint_name))
                stack.enter_context(writer.as_default())
                stack.callback(writer.close)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        # An error that is being raised says more than that of closing the log.
        with (writing(f"log of {self._run}") if kind is None
              else contextlib.suppress(OSError, tf.errors.OpError)):
            self._stack.close()

    def write(self, step: int, train: Mapping[str, Any], test: Mapping[str, Any],
              seconds: float) -> float:
        """Write the scalars of training and test after ``step`` steps; returns the training loss.
        """
        values = {f"train/{name}": float(value) for name, value in train.items()}
        values.update({f"test/{name}": float(value) for name, value in test.items()})
        line = json.dumps(dict(
            self._names, step=step, seconds=round(seconds, 1),
            **{name: round(value, 6) for name, value in values.items()}))
        with writing(f"log of {self._run}"):
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
            self._append(f"{line}\n".encode())
        return values["train/loss"]

    def _append(self, line: bytes) -> None:
        """Append a line.  If that fails, remove the part that was written."""
        size = os.fstat(self._lines.fileno()).st_size
        try:
            while line:
                line = line[self._lines.write(line):]
        except OSError:
            self._lines.truncate(size)
            raise


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn errors of writing ``what``, as on a full disk, into a `galsim.GalSimError`."""
    try:
        yield
    except (OSError, tf.errors.OpError) as err:
        raise GalSimError(
            f"The {what} cannot be written: {first_line(err)}. Make room on its disk, and call "
            "the fit again: it continues from its last checkpoint.") from err


def first_line(reason: object) -> str:
    """The first line of an error, without the name of a node in braces that TensorFlow begins with.
    """
    text = re.sub(r"{{.*?}}\s*", "", str(reason)).strip()
    return text.splitlines()[0] if text else type(reason).__name__
