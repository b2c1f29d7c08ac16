#!/usr/bin/env python
"""How long galaxies take, from catalogue to image, beside other ways to have them.

    python benchmarks/speed.py CATALOG [--module hub:acs_flow_vae]
                               [--reference lanusse2020_reference.py] [--output speed.md]

CATALOG is a folder (or file) that `galsim.RealGalaxyCatalog` reads.  The reference is a script with
the layers of the model that GalSim-Hub published, which offers ``Decoder()`` and
``conditional_maf()``; rows that need one are left out without it.

Prints a table, as Markdown: what is timed, what it is compared with, milliseconds a galaxy of both
and their ratio, all medians over rounds in which the two take turns.  Nothing else should run.
"""
import argparse
import functools
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import galsim
import numpy as np
from astropy.table import Table

PSF = dict(type="Kolmogorov", fwhm=0.7)
SIZE, SCALE = 64, 0.2
ROUNDS = 7


def turns(ours, theirs, count, rounds=ROUNDS):
    """Milliseconds a galaxy of both, and the median ratio of neighbours in time."""
    times = {ours: [], theirs: []}
    for number in range(rounds + 1):
        for run in times:
            start = time.perf_counter()
            run()
            if number:  # the first round warms up
                times[run].append(1e3 * (time.perf_counter() - start) / count)
    ratio = statistics.median(a / b for a, b in zip(times[ours], times[theirs], strict=True))
    return statistics.median(times[ours]), statistics.median(times[theirs]), ratio


def catalogue(model, count, seed=5):
    """Columns over the middle of what the module knows, and ids."""
    rng = np.random.default_rng(seed)
    table = Table({column.name: rng.uniform(
        column.quantiles["0.25"], column.quantiles["0.75"], count)
        for column in model.card.columns})
    table["id"] = np.arange(count)
    return table


# ---- GalSim-Hub's way -----------------------------------------------------------------------


class Reference:
    """The published model's layers, and what GalSim-Hub did with their output."""

    def __init__(self, path):
        import tensorflow as tf

        spec = importlib.util.spec_from_file_location("reference", path)
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        decoder, flow = script.Decoder(), script.conditional_maf()
        self._tf, self._script = tf, script
        self._generate = tf.function(lambda u, c: decoder(flow(u, c)), reduce_retracing=True)

    def images(self, count, batch):
        made = []
        for _ in range(0, count, batch):
            inputs = (self._tf.random.normal([min(batch, count), size])
                      for size in (self._script.LATENT, self._script.COLUMNS))
            made.append(self._generate(*inputs).numpy())
        return np.concatenate(made)[:count]

    def sample(self, stamps, batch):
        """Networks, and one `galsim.InterpolatedImage` for each of the stamps.

        The weights are random and so is what they make: other stamps are wrapped, so that GalSim's
        search for their extent takes as long as it does for galaxies.
        """
        self.images(len(stamps), batch)
        return wrapped(stamps)


def wrapped(stamps):
    return [galsim.InterpolatedImage(galsim.Image(stamp, scale=0.03)) for stamp in stamps]


# ---- images ---------------------------------------------------------------------------------


def drawn(galaxies, psf):
    for galaxy in galaxies:
        galsim.Convolve(galaxy, psf).drawImage(nx=SIZE, ny=SIZE, scale=SCALE)


def yaml_config(kind, count, options, folder, nproc=1):
    """A configuration of ``count`` objects on one image."""
    side = int(np.ceil(count**0.5))
    config = dict(
        modules=["galsim_deep"], psf=PSF,
        image=dict(type="Tiled", nx_tiles=side, ny_tiles=-(-count // side), stamp_size=SIZE,
                   pixel_scale=SCALE, random_seed=8, nproc=nproc))
    if kind == "RealGalaxy":
        path = Path(options.catalog).resolve()
        file = dict(dir=str(path)) if path.is_dir() else dict(file_name=str(path))
        if path.is_dir():
            file["file_name"] = "real_galaxy_catalog.fits"
        config["input"] = dict(real_catalog=file)
        config["gal"] = dict(type="RealGalaxy", random=True)
        return config
    config["input"] = dict(generative_model=dict(file_name=options.module),
                           catalog=dict(file_name=str(folder / "catalogue.fits")))
    fields = [name for name in Table.read(folder / "catalogue.fits").colnames if name != "id"]
    config["gal"] = dict(type="GenerativeModelGalaxy", **{
        name: dict(type="Catalog", col=name) for name in fields})
    if kind == "with id":
        config["gal"]["id"] = dict(type="Catalog", col="id")
    return config


def yaml_seconds(config):
    """Seconds that GalSim takes for a configuration, in a process of its own."""
    return child("config", config)


def child(what, argument):
    """A number that another process prints."""
    done = subprocess.run([sys.executable, __file__, "--child", what, json.dumps(argument)],
                          check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def run_config(config):
    import galsim_deep  # noqa: F401 - not part of what is timed

    galsim.config.BuildImage(dict(config, image=dict(
        config["image"], nx_tiles=2, ny_tiles=2, nproc=1)))
    start = time.perf_counter()
    galsim.config.BuildImage(config)
    return time.perf_counter() - start


def run_stream(argument):
    """Largest resident memory [MB] after and at the start of a long stream: prints both."""
    import galsim_deep

    model = galsim_deep.GenerativeGalaxyModel(argument["module"])
    table = catalogue(model, argument["count"])
    early = None
    for number, _ in enumerate(model.stream(table, seeds=table["id"], chunk=1024)):
        if number == 20:
            early = resident()
    return resident() - early if argument["growth"] else resident()


def resident():
    """Resident memory of this process [MB]."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def run_import(names):
    start = time.perf_counter()
    for name in names:
        importlib.import_module(name)
    return 1e3 * (time.perf_counter() - start)


CHILDREN = dict(config=run_config, stream=run_stream, imports=run_import)


# ---- the table ------------------------------------------------------------------------------


def rows(options, folder):
    """Yield (what, compared with, ms, ms, ratio); of what is no time, the number and its unit."""
    import galsim_deep

    model = galsim_deep.GenerativeGalaxyModel(options.module)
    table = catalogue(model, 1024)
    table.write(folder / "catalogue.fits")
    seeds = table["id"]
    stamps = model.images(table[:128], seeds=seeds[:128])
    batched = functools.partial(model.sample, table, seeds=seeds)
    one = functools.partial(model.sample, table[:1], seeds=seeds[:1])

    if options.reference:
        reference = Reference(options.reference)
        yield ("`sample` of 1,024 rows", "GalSim-Hub's way, in batches of 64",
               *turns(batched, lambda: reference.sample(np.tile(stamps, (8, 1, 1)), 64), 1024, 3))
        yield ("`sample` of one row", "GalSim-Hub's way, one row a call",
               *turns(one, lambda: reference.sample(stamps[:1], 1), 1, 30))

    from galsim_deep.profiles import make_profiles

    yield ("profiles from stamps", "`galsim.InterpolatedImage`",
           *turns(lambda: make_profiles(stamps, 0.03), lambda: wrapped(stamps), 128))

    psf = galsim.Kolmogorov(fwhm=PSF["fwhm"])
    real = galsim.RealGalaxyCatalog(*(
        [] if not Path(options.catalog).is_file() else [options.catalog]), **(
        dict(dir=options.catalog, file_name="real_galaxy_catalog.fits")
        if Path(options.catalog).is_dir() else {}))
    part = table[:128]
    ours = lambda: drawn(model.sample(part, seeds=part["id"]), psf)  # noqa: E731
    yield ("`sample`, convolve and draw", "the same with `galsim.RealGalaxy`", *turns(
        ours, lambda: drawn((galsim.RealGalaxy(real, index=k % len(real)) for k in range(128)),
                            psf), 128))
    yield ("`sample`, convolve and draw", "the same with `galsim.Sersic`", *turns(
        ours, lambda: drawn((galsim.Sersic(1.5, half_light_radius=0.3).shear(g1=0.1)
                             for _ in range(128)), psf), 128))

    with_id, without_id = (yaml_config(kind, 1000, options, folder)
                           for kind in ("with id", "without id"))
    other = yaml_config("RealGalaxy", 1000, options, folder)
    for what, config in (("YAML, 1,000 objects with `id`", with_id),
                         ("YAML, 1,000 objects without `id`", without_id)):
        ours, theirs = ([yaml_seconds(one) for _ in range(3)] for one in (config, other))
        yield (what, "the same with `type: RealGalaxy`", *compared(ours, theirs))
    drawn_here = []
    for _ in range(3):
        start = time.perf_counter()
        drawn(model.sample(table[:1000], seeds=seeds[:1000]), psf)
        drawn_here.append(time.perf_counter() - start)
    yield ("YAML, 1,000 objects with `id`", "Python, `sample` and draw",
           *compared([yaml_seconds(with_id) for _ in range(3)], drawn_here))
    two = yaml_config("with id", 1000, options, folder, nproc=2)
    yield ("YAML, `nproc: 1`", "`nproc: 2`",
           *compared([yaml_seconds(with_id) for _ in range(3)],
                     [yaml_seconds(two) for _ in range(3)]))

    slow, fast = ([child("imports", names) for _ in range(9)]
                  for names in (["galsim", "galsim_deep"], ["galsim"]))
    yield ("`import galsim_deep`", "`import galsim`, in ms, and the difference",
           statistics.median(slow), statistics.median(fast),
           statistics.median(slow) - statistics.median(fast))
    asked = dict(module=options.module, count=options.stream)
    yield (f"memory of a stream of {options.stream:,} rows, in MB",
           "what it grew by after 20,000", child("stream", dict(asked, growth=False)),
           child("stream", dict(asked, growth=True)), float("nan"))


def compared(ours, theirs, count=1000):
    ours, theirs = (1e3 * statistics.median(values) / count for values in (ours, theirs))
    return ours, theirs, ours / theirs


def main():
    if sys.argv[1:2] == ["--child"]:
        print(CHILDREN[sys.argv[2]](json.loads(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog")
    parser.add_argument("--module", default="hub:acs_flow_vae")
    parser.add_argument("--reference")
    parser.add_argument("--stream", type=int, default=200_000, help="rows of the long stream")
    parser.add_argument("--output", type=Path, help="write the table there as well")
    options = parser.parse_args()
    lines = [f"GalSim {galsim.__version__}, {os.cpu_count()} cores, stamps of 128 x 128, images of "
             f"{SIZE} x {SIZE} pixels of {SCALE} arcsec. Milliseconds a galaxy; medians.", "",
             "| what | compared with | ours | theirs | ratio |", "|---|---|---|---|---|"]
    print("\n".join(lines))
    with tempfile.TemporaryDirectory() as folder:
        for what, other, ours, theirs, ratio in rows(options, Path(folder)):
            last = "" if np.isnan(ratio) else f"{ratio:.3g}"
            lines.append(f"| {what} | {other} | {ours:.2f} | {theirs:.2f} | {last} |")
            print(lines[-1], flush=True)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
