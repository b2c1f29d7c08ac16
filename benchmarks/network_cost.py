#!/usr/bin/env python
"""Time that the networks of modules take, relative to those of the published GalSim-Hub model.

    python benchmarks/network_cost.py hub:acs_flow_vae [another module or a recipe ...]
                                      [--reference lanusse2020_reference.py]

Measured is the way from standard normal numbers and columns to light profiles, in batches, on the
processor.  A module runs as its saved graph, one call per batch.  A recipe runs with its initial
weights, which take as long as fitted ones: in float32, and in bfloat16 if the processor has
instructions for it.  The networks run by turns.  Each ratio is that of two runs in the same round;
given are the median over the rounds and its standard error.

The reference is a script with the layers of the published model (``Decoder()`` and
``conditional_maf()``); without one it is the recipe ``lanusse2021``, this project's version of the
same model, in float32.
"""
import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

Run = Callable[[], np.ndarray]
"""Generates one batch."""
RECIPES = Path(__file__).parents[1] / "training" / "recipes"


def script(path: str, batch: int) -> Run:
    """The network of a reference script, as a function without arguments."""
    spec = importlib.util.spec_from_file_location("reference", path)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    decoder, flow = reference.Decoder(), reference.conditional_maf()
    generate = tf.function(lambda normal, columns: decoder(flow(normal, columns)))
    normal = tf.random.normal([batch, reference.LATENT])
    columns = tf.random.normal([batch, reference.COLUMNS])
    return lambda: generate(normal, columns).numpy()


def recipe(path: str, batch: int, precision: str = "float32") -> Run:
    """The networks of a recipe with their initial weights."""
    from galsim_deep_training.families import make_family
    from galsim_deep_training.recipe import read_recipe

    family = make_family(read_recipe(path), precision=precision)
    columns = {c.name: tf.fill([batch], float(np.mean(c.valid_range)))
               for c in family.recipe.columns}
    generate = tf.function(lambda normal: family.sample(normal, columns))
    normal = tf.random.normal([batch, family.latent_size])
    return lambda: generate(normal).numpy()


def module(name: str, batch: int) -> Run:
    """The saved graph of a module."""
    from galsim_deep.modules.module import load
    from galsim_deep.modules.resolve import resolve

    saved = load(resolve(name))
    generate = tf.saved_model.load(str(saved.folder)).signatures["sample"]
    inputs = {c.name: tf.fill([batch], float(np.mean(c.valid_range))) for c in saved.card.columns}
    inputs[saved.card.latent.name] = tf.random.normal([batch, saved.card.latent.size])
    if saved.card.classes:
        inputs["galaxy_class"] = tf.fill([batch], -1)
    return lambda: generate(**inputs)["image"].numpy()


def make(name: str, batch: int) -> dict[str, Run]:
    """The networks that a name on the command line stands for, by their titles."""
    if name.endswith(".py"):
        return {name: script(name, batch)}
    if not name.endswith(".yaml"):
        return {name: module(name, batch)}
    from galsim_deep_training.fitting.precision import has_bfloat16

    formats = ["float32", "mixed_bfloat16"] if has_bfloat16() else ["float32"]
    return {f"{Path(name).stem} {number_format}": recipe(name, batch, number_format)
            for number_format in formats}


def measured(networks: dict[str, Run], rounds: int) -> dict[str, list[float]]:
    """Seconds of each network in each round, after two rounds to warm up."""
    seconds = {name: [] for name in networks}
    for number in range(rounds + 2):
        for name, run in networks.items():
            start = time.perf_counter()
            run()
            if number >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME", help="a module, or a recipe (.yaml)")
    parser.add_argument("--reference", default=str(RECIPES / "lanusse2021.yaml"),
                        help="script (.py) or recipe (.yaml)  [default: lanusse2021.yaml]")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    networks = make(options.reference, options.batch)
    reference = next(iter(networks))
    for name in options.names:
        networks.update(make(name, options.batch))
    seconds = measured(networks, options.rounds)
    print(f"{tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()} threads, "
          f"batches of {options.batch}, {options.rounds} rounds; ms per galaxy, and ratio to the "
          "reference")
    for name, times in seconds.items():
        ratios = [own / other for own, other in zip(times, seconds[reference], strict=True)]
        spread = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5
        print(f"{Path(name).name:40s} {1e3 * statistics.median(times) / options.batch:8.2f} ms "
              f"{statistics.median(ratios):7.3f} +- {spread:.3f}")


if __name__ == "__main__":
    main()
