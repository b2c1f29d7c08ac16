#!/usr/bin/env python
"""How long a recipe takes from stamps to module: data, fit and export, timed one after the other.

    python benchmarks/recipe_time.py training/recipes/acs_flow_vae.yaml

Prints minutes of wall clock and of processor time for each step and in all.  The run happens in a
temporary folder and changes nothing; a module is written there and thrown away.
"""
import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def timed(command):
    """Run a command; (wall clock, processor time) in minutes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (time.monotonic() - start) / 60, used / 60


def main():
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
