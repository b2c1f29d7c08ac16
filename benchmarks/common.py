"""Tables, command lines and catalogues that several benchmarks use."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from galsim_deep import GenerativeGalaxyModel


def catalogue(model: "GenerativeGalaxyModel", count: int, seed: int) -> dict[str, np.ndarray]:
    """Columns between the quartiles of the training set, and ids, [count] each."""
    rng = np.random.default_rng(seed)
    table = {column.name: rng.uniform(column.quantiles["0.25"], column.quantiles["0.75"], count)
             for column in model.card.columns}
    return dict(table, id=np.arange(count))


def resident() -> float:
    """Resident memory of this process [MB]."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def command_line(description: str) -> argparse.ArgumentParser:
    """An `argparse.ArgumentParser` with ``--output``, named after the first line of a docstring."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--output", type=Path, help="write the table there as well")
    return parser


class Report:
    """A table in Markdown, printed row by row.

    Parameters:
        headings:   The headings of its columns.
        above:      A line above the table.  [default: none]
    """

    def __init__(self, headings: Sequence[str], above: str | None = None) -> None:
        self._lines = [] if above is None else [above, ""]
        self._lines += [_row(headings), "|---" * len(headings) + "|"]
        print("\n".join(self._lines), flush=True)

    def add(self, *cells: str) -> None:
        """Print a row."""
        self._lines.append(_row(cells))
        print(self._lines[-1], flush=True)

    def write(self, path: Path | None) -> None:
        """Write the printed table to a file, if there is a path."""
        if path is not None:
            path.write_text("\n".join(self._lines) + "\n")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
