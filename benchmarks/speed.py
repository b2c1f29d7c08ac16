#!/usr/bin/env python
"""Time per galaxy from catalogue to image, compared with other ways to make galaxies.

    python benchmarks/speed.py CATALOG [--module hub:acs_flow_vae]
                               [--reference lanusse2020_reference.py] [--output speed.md]

CATALOG is a folder (or file) that `galsim.RealGalaxyCatalog` reads.  The reference is a script with
the layers of the model that GalSim-Hub published, which offers ``Decoder()`` and
``conditional_maf()``; rows that need one are left out without it.

Prints a table, as Markdown: what is measured, what it is compared with, both numbers (milliseconds
per galaxy unless stated otherwise) and their ratio.  The numbers are medians.  Run nothing else on
the machine at the same time.
"""
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
from common import Report, catalogue, command_line, resident

PSF = dict(type="Kolmogorov", fwhm=0.7)
SIZE, SCALE = 64, 0.2
ROUNDS = 7
CALLS = 16
FILES = 4
SEED = 5


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


def repeated(call):
    for _ in range(CALLS):
        call()


# ---- GalSim-Hub's method --------------------------------------------------------------------


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


def deviate_latents(seeds, size):
    """Latent vectors from a GalSim generator for each galaxy, [N, size]."""
    return np.array([np.random.RandomState(galsim.BaseDeviate(seed + 1).np.bit_generator)
                     .standard_normal(size) for seed in seeds], np.float32)


# ---- images ---------------------------------------------------------------------------------


def drawn(galaxies, psf):
    for galaxy in galaxies:
        galsim.Convolve(galaxy, psf).drawImage(nx=SIZE, ny=SIZE, scale=SCALE)


def yaml_config(kind, count, options, folder, nproc=None, files=False):
    """A configuration of ``count`` objects on one image, or in `FILES` files."""
    side = int(np.ceil((count // FILES if files else count)**0.5))
    tiles = dict(nx_tiles=side, ny_tiles=-(-(count // FILES if files else count) // side))
    config = dict(
        modules=["galsim_deep"], psf=PSF,
        image=dict(type="Tiled", **tiles, stamp_size=SIZE, pixel_scale=SCALE, random_seed=8))
    if files:
        name = dict(type="NumberedFile", root="image", num=dict(type="Sequence"), ext=".fits")
        config["output"] = dict(dir=str(folder), file_name=name, nfiles=FILES)
    if nproc:
        config["output" if files else "image"]["nproc"] = nproc
    if kind == "RealGalaxy":
        # Not ``random: true``, with which GalSim 2.8 makes one galaxy and draws it again and again.
        config["gal"] = dict(type="RealGalaxy", index=dict(
            type="Sequence", last=len(real_catalog(options)) - 1))
        config["input"] = dict(real_catalog=catalog_file(options))
        return config
    config["input"] = dict(generative_model=dict(file_name=options.module),
                           catalog=dict(file_name=str(folder / "catalogue.fits")))
    fields = [name for name in Table.read(folder / "catalogue.fits").colnames if name != "id"]
    config["gal"] = dict(type="GenerativeModelGalaxy", **{
        name: dict(type="Catalog", col=name) for name in fields})
    if kind == "with id":
        config["gal"]["id"] = dict(type="Catalog", col="id")
    return config


def catalog_file(options):
    path = Path(options.catalog).resolve()
    return (dict(dir=str(path), file_name="real_galaxy_catalog.fits") if path.is_dir()
            else dict(file_name=str(path)))


def real_catalog(options):
    return galsim.RealGalaxyCatalog(**catalog_file(options))


def yaml_times(*configs, count=1000, rounds=3, **environment):
    """Milliseconds an object that GalSim takes for some configurations, each in processes of its
    own that take turns.
    """
    times = [[child("config", config, **environment) for config in configs] for _ in range(rounds)]
    return [1e3 * statistics.median(column) / count for column in zip(*times, strict=True)]


def child(what, argument, **environment):
    """A number that another process prints."""
    done = subprocess.run(
        [sys.executable, os.path.abspath(__file__), "--child", what, json.dumps(argument)],
        check=True, capture_output=True, text=True, env={**os.environ, **environment})
    return json.loads(done.stdout.splitlines()[-1])


def run_config(config):
    """Seconds that a configuration takes."""
    import galsim_deep  # noqa: F401 - not part of what is timed

    small = dict(config, image=dict(config["image"], nx_tiles=2, ny_tiles=2, nproc=1))
    small.pop("output", None)
    galsim.config.BuildImage(small)
    start = time.perf_counter()
    if "output" in config:
        galsim.config.Process(config)
    else:
        galsim.config.BuildImage(config)
    return time.perf_counter() - start


def run_stream(argument):
    """Resident memory [MB] of a long stream: after 20,000 rows, and the most after that."""
    import galsim_deep

    model = galsim_deep.GenerativeGalaxyModel(argument["module"])
    table, found = Table(catalogue(model, argument["count"], SEED)), []
    for _ in model.stream(table, seeds=table["id"], chunk=1024):
        found.append(resident())
    return found[20], max(found[20:])


CHILDREN = dict(config=run_config, stream=run_stream)


def import_times():
    """Milliseconds of ``import galsim`` and of ``import galsim_deep`` after it."""
    script = ("import time; start = time.perf_counter(); import galsim; between = "
              "time.perf_counter(); import galsim_deep; print(between - start, "
              "time.perf_counter() - between)")
    found = [subprocess.run([sys.executable, "-c", script], check=True, capture_output=True,
                            text=True).stdout.split() for _ in range(9)]
    return [1e3 * statistics.median(map(float, column)) for column in zip(*found, strict=True)]


# ---- the table ------------------------------------------------------------------------------


def rows(options, folder):
    """Yield (what, compared with, number, number, ratio or nan)."""
    import galsim_deep

    model = galsim_deep.GenerativeGalaxyModel(options.module)
    table = Table(catalogue(model, 1024, SEED))
    table.write(folder / "catalogue.fits")
    seeds = table["id"]
    stamps = model.images(table[:128], seeds=seeds[:128])[..., 0]
    batched = functools.partial(model.sample, table, seeds=seeds)
    one = functools.partial(model.sample, table[:1], seeds=seeds[:1])

    if options.reference:
        reference = Reference(options.reference)
        yield ("`sample` of 1,024 rows", "GalSim-Hub's method, in batches of 64",
               *turns(batched, lambda: reference.sample(np.tile(stamps, (8, 1, 1)), 64), 1024, 3))
        yield ("`sample` of one row per call", "GalSim-Hub's method, one row per call", *turns(
            lambda: repeated(one), lambda: repeated(lambda: reference.sample(stamps[:1], 1)),
            CALLS))

    from galsim_deep.latents import draw_latents, keys_from_seeds
    from galsim_deep.profiles.make import make_profiles

    size, ids = model.card.latent.size, seeds.tolist()
    yield (f"latent vectors of {size:,} numbers", "a `galsim.BaseDeviate` for each, with numpy's "
           "`RandomState`", *turns(lambda: draw_latents(keys_from_seeds(ids), size),
                                   lambda: deviate_latents(ids, size), len(ids)))
    yield ("profiles from stamps", "`galsim.InterpolatedImage`",
           *turns(lambda: make_profiles(stamps, 0.03), lambda: wrapped(stamps), 128))
    reach = [(ours.stepk / theirs.stepk, ours.maxk / theirs.maxk) for ours, theirs in
             zip(make_profiles(stamps, 0.03), wrapped(stamps), strict=True)]
    stepk, maxk = np.array(reach).T
    yield ("stepk / GalSim's stepk (must be at most 1): largest, smallest", "",
           stepk.max(), stepk.min(), np.nan)
    yield ("maxk / GalSim's maxk (must be at least 1): smallest, median", "",
           maxk.min(), np.median(maxk), np.nan)

    psf, real = galsim.Kolmogorov(fwhm=PSF["fwhm"]), real_catalog(options)
    part = table[:128]

    def ours():
        drawn(model.sample(part, seeds=part["id"]), psf)

    yield ("`sample`, convolve and draw", "the same with `galsim.RealGalaxy`", *turns(
        ours, lambda: drawn((galsim.RealGalaxy(real, index=k % len(real)) for k in range(128)),
                            psf), 128))
    yield ("`sample`, convolve and draw", "the same with `galsim.Sersic`", *turns(
        ours, lambda: drawn((galsim.Sersic(1.5, half_light_radius=0.3).shear(g1=0.1)
                             for _ in range(128)), psf), 128))

    config = functools.partial(yaml_config, count=1000, options=options, folder=folder)
    for kind in ("with id", "without id"):
        times = yaml_times(config(kind), config("RealGalaxy"))
        yield (f"YAML, 1,000 objects {kind}", "the same with `type: RealGalaxy`",
               *times, times[0] / times[1])
    for threads in ("", "1"):
        galsim_deep.set_threads(int(threads) if threads else None)
        here = []
        for _ in range(3):
            start = time.perf_counter()
            drawn(model.sample(table[:1000], seeds=seeds[:1000]), psf)
            here.append(time.perf_counter() - start)
        there, = yaml_times(config("with id"), GALSIM_DEEP_THREADS=threads)
        yield ("YAML, 1,000 objects with id" + (", one thread" if threads else ""),
               "Python, `sample` and draw" + (", one thread" if threads else ""),
               there, statistics.median(here), there / statistics.median(here))
    galsim_deep.set_threads(None)
    for files in (False, True):
        for kind, threads in (("with id", "1"), ("with id", ""), ("RealGalaxy", "")):
            times = yaml_times(config(kind, nproc=1, files=files),
                               config(kind, nproc=2, files=files), GALSIM_DEEP_THREADS=threads)
            what = f"{FILES} files" if files else "one image"
            yield (f"YAML, {what}, {kind}, `nproc: 1`" + (
                ", one thread per process" if threads else ""), "`nproc: 2`",
                *times, times[0] / times[1])

    galsim_time, ours_time = import_times()
    yield "`import galsim_deep`, ms", "`import galsim`", ours_time, galsim_time, np.nan
    early, most = child("stream", dict(module=options.module, count=options.stream))
    yield (f"peak memory of `stream`, {options.stream:,} rows, MB", "after 20,000 rows",
           most, early, most / early)


def main():
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(CHILDREN[sys.argv[2]](json.loads(sys.argv[3]))))
        return
    parser = command_line(__doc__)
    parser.add_argument("catalog")
    parser.add_argument("--module", default="hub:acs_flow_vae")
    parser.add_argument("--reference")
    parser.add_argument("--stream", type=int, default=200_000, help="rows of the long stream")
    options = parser.parse_args()
    report = Report(
        ["what", "compared with", "GalSim-Deep", "reference", "ratio"],
        f"GalSim {galsim.__version__}, {os.cpu_count()} cores, stamps of 128 x 128, images of "
        f"{SIZE} x {SIZE} pixels of {SCALE} arcsec. Milliseconds per galaxy unless stated "
        "otherwise; medians.")
    with tempfile.TemporaryDirectory() as folder:
        for what, other, ours, theirs, ratio in rows(options, Path(folder)):
            last = "" if np.isnan(ratio) else f"{ratio:.3g}"
            report.add(what, other, f"{ours:.2f}", f"{theirs:.2f}", last)
    report.write(options.output)


if __name__ == "__main__":
    main()
