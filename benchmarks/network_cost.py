#!/usr/bin/env python
"""What the networks of modules cost, against those of the published GalSim-Hub model.

    python benchmarks/network_cost.py hub:acs_flow_vae [another module or a recipe ...]
                                      [--reference lanusse2020_reference.py]

From standard normal numbers and columns to light profiles on 128 x 128 pixels, in batches, on the
processor.  Of a module it is the saved graph that runs, a batch in one call.  A recipe is built
with the weights it starts from, which cost as much as others: in float32, and where the processor
has instructions for it in bfloat16 too.  All take turns, and the ratios are those of neighbours in
time: medians over the rounds, with the scatter of the median.

The reference is a script with the published model's layers that offers ``Decoder()`` and
``conditional_maf()``; without one it is the recipe ``lanusse2021``, which is this project's version
of the same (float32).
"""
import argparse
import importlib.util
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

RECIPES = Path(__file__).parents[1] / "training" / "recipes"


def script(path, batch):
    """The network of a reference script, as a function without arguments."""
    spec = importlib.util.spec_from_file_location("reference", path)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    decoder, flow = reference.Decoder(), reference.conditional_maf()
    generate = tf.function(lambda normal, columns: decoder(flow(normal, columns)))
    normal = tf.random.normal([batch, reference.LATENT])
    columns = tf.random.normal([batch, reference.COLUMNS])
    return lambda: generate(normal, columns).numpy()


def recipe(path, batch, precision="float32"):
    """The network of a recipe with the weights that a fit starts from."""
    from galsim_deep_training.families import make_family
    from galsim_deep_training.recipe import read_recipe

    family = make_family(read_recipe(path), precision=precision)
    columns = {c.name: tf.fill([batch], float(np.mean(c.valid_range)))
               for c in family.recipe.columns}
    generate = tf.function(lambda normal: family.sample(normal, columns))
    normal = tf.random.normal([batch, family.latent_size])
    return lambda: generate(normal).numpy()


def module(name, batch):
    """The saved graph of a module."""
    from galsim_deep.modules.module import load
    from galsim_deep.modules.resolve import resolve

    saved = load(resolve(name))
    generate = tf.saved_model.load(str(saved.folder)).signatures["sample"]
    given = {c.name: tf.fill([batch], float(np.mean(c.valid_range))) for c in saved.card.columns}
    given[saved.card.latent.name] = tf.random.normal([batch, saved.card.latent.size])
    return lambda: generate(**given)["image"].numpy()


def make(name, batch):
    """What to call it, and what to run: {title: function}."""
    if name.endswith(".py"):
        return {name: script(name, batch)}
    if not name.endswith(".yaml"):
        return {name: module(name, batch)}
    from galsim_deep_training.fitting.precision import has_bfloat16

    formats = ["float32", "mixed_bfloat16"] if has_bfloat16() else ["float32"]
    return {f"{Path(name).stem} {one}": recipe(name, batch, one) for one in formats}


def measured(networks, rounds):
    """Seconds of each network in each round, after two rounds that do not count."""
    seconds = {name: [] for name in networks}
    for number in range(rounds + 2):
        for name, run in networks.items():
            start = time.perf_counter()
            run()
            if number >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main():
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
          f"batches of {options.batch}, {options.rounds} rounds; ms a galaxy, over the reference")
    for name, times in seconds.items():
        ratios = [own / other for own, other in zip(times, seconds[reference], strict=True)]
        spread = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5
        print(f"{Path(name).name:40s} {1e3 * statistics.median(times) / options.batch:8.2f} ms "
              f"{statistics.median(ratios):7.3f} +- {spread:.3f}")


if __name__ == "__main__":
    main()
