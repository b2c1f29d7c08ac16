#!/usr/bin/env python
"""How long a recipe takes from stamps to module: data, fit and export, timed one after the other.

    python benchmarks/recipe_time.py training/recipes/acs_flow_vae.yaml

Prints the wall clock and processor time [min] of each step and of all.  Everything is written to a
temporary folder, which is removed at the end.
"""
import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def timed(command: list[str]) -> tuple[float, float]:
    """Run a command; returns (wall clock, processor time) [min]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (time.monotonic() - start) / 60, used / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    options = parser.parse_args()
    train = [sys.executable, "-m", "galsim_deep_training.cli"]
    total = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        common = [str(options.recipe), "--run", f"{folder}/run"]
        for step, more in [("data", []), ("fit", []), ("export", ["--output", f"{folder}/out"])]:
            minutes = timed([*train, step, *common, *more])
            total = [a + b for a, b in zip(total, minutes, strict=True)]
            print(f"{step:8s} {minutes[0]:7.1f} min wall clock {minutes[1]:7.1f} min processor")
    print(f"{'all':8s} {total[0]:7.1f} min wall clock {total[1]:7.1f} min processor")


if __name__ == "__main__":
    main()
