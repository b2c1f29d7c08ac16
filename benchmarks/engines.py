#!/usr/bin/env python
"""Time and memory of a module's signature `sample` with LiteRT and with TensorFlow.

    python benchmarks/engines.py [--module hub:acs_flow_vae] [--output engines.md]

Prints a table, as Markdown: installed size, with the packages that only this engine needs; time
from the start of the engine to the first galaxy; resident memory of the process, and the part that
the engine adds to Python, numpy and GalSim; and milliseconds per galaxy (elapsed time and processor
time), for one galaxy per call and for batches.  Each engine runs in a process of its own, with all
cores.
"""
import importlib.metadata
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import Report, catalogue, command_line, resident

PACKAGES = dict(compact="ai-edge-litert", tensorflow="tensorflow")
"""The package behind each runner of a `galsim_deep.modules.Module`, by its attribute."""
COUNTS = 1, 8, 64, 1024


def measured(name, handle):
    """A dict of numbers, measured in this process."""
    import galsim  # noqa: F401 - what is there anyway
    import numpy as np

    import galsim_deep
    from galsim_deep.latents import draw_latents

    model = galsim_deep.GenerativeGalaxyModel(handle)
    card, table = model.card, catalogue(model, max(COUNTS), seed=3)
    inputs = {name: table[name].astype(np.float32) for name in model.columns}
    inputs["random_normal"] = draw_latents(range(max(COUNTS)), card.latent.size)
    if model.classes:
        inputs["galaxy_class"] = np.full(max(COUNTS), -1, np.int32)
    before, start = resident(), time.perf_counter()
    runner = getattr(model._module, name)
    runner.call("sample", {key: values[:1] for key, values in inputs.items()})
    found = dict(first=time.perf_counter() - start, base=before)
    for count in COUNTS:
        batch, clock, processor = {key: values[:count] for key, values in inputs.items()}, [], []
        for _ in range(3 if count > 64 else 15):
            start, used = time.perf_counter(), time.process_time()
            runner.call("sample", batch)
            clock.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
        found[f"{count}"] = [1e3 * statistics.median(times) / count for times in (clock, processor)]
    return dict(found, memory=resident())


def installed(package, others=()):
    """Megabytes that a package and what it needs take, without those that are needed anyway."""
    todo, seen = [package], set(others)
    size = 0
    while todo:
        name = re.sub("[-_.]+", "-", todo.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        size += sum(path.stat().st_size for path in
                    (Path(found.locate_file(file)) for file in found.files or ())
                    if path.is_file())
        todo += [re.match(r"[\w.-]+", need)[0] for need in found.requires or ()
                 if "extra" not in need]
    return size / 1e6, seen


def main():
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measured(*sys.argv[2:])))
        return
    parser = command_line(__doc__)
    parser.add_argument("--module", default="hub:acs_flow_vae")
    options = parser.parse_args()
    anyway = set()
    for package in ("galsim", "scipy", "astropy", "pooch", "pydantic", "tqdm"):
        anyway |= installed(package)[1]
    columns = {}
    for name, package in PACKAGES.items():
        done = subprocess.run(
            [sys.executable, os.path.abspath(__file__), "--child", name, options.module],
            check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        columns[name] = [
            f"{package} {importlib.metadata.version(package)}",
            f"{installed(package, anyway)[0]:,.0f} MB", f"{found['first']:.2f} s",
            f"{found['memory']:.0f} MB ({found['memory'] - found['base']:.0f} MB)",
            *("{:.2f} ({:.2f}) ms".format(*found[f"{count}"]) for count in COUNTS)]
    names = ["", "installed size", "time to the first galaxy", "memory (added by the engine)",
             "time per galaxy (processor time), one galaxy per call",
             *(f"the same, in a batch of {count:,}" for count in COUNTS[1:])]
    headings, *rows = zip(names, *columns.values(), strict=True)
    report = Report(headings)
    for row in rows:
        report.add(*row)
    report.write(options.output)


if __name__ == "__main__":
    main()
