"""What several benchmarks need."""

import argparse
from pathlib import Path

import numpy as np


def catalogue(model, count, seed):
    """Columns over the middle of what the module knows, and ids: name -> array."""
    rng = np.random.default_rng(seed)
    table = {column.name: rng.uniform(column.quantiles["0.25"], column.quantiles["0.75"], count)
             for column in model.card.columns}
    return dict(table, id=np.arange(count))


def resident():
    """Resident memory of this process [MB]."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def command_line(description):
    """An `argparse.ArgumentParser` with ``--output``, named after the first line of a docstring."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--output", type=Path, help="write the table there as well")
    return parser


class Report:
    """A table in Markdown, printed row by row.

    Parameters:
        headings:   Of its columns.
        above:      A line above the table.  [default: none]
    """

    def __init__(self, headings, above=None):
        self._lines = [] if above is None else [above, ""]
        self._lines += [_row(headings), "|---" * len(headings) + "|"]
        print("\n".join(self._lines), flush=True)

    def add(self, *cells):
        """One more row."""
        self._lines.append(_row(cells))
        print(self._lines[-1], flush=True)

    def write(self, path):
        """Write what was printed, if there is a path."""
        if path is not None:
            path.write_text("\n".join(self._lines) + "\n")


def _row(cells):
    return "| " + " | ".join(cells) + " |"
