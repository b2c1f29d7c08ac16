#!/usr/bin/env python
"""Network time per galaxy of two modules by turns, for the galaxies of a survey.

    python benchmarks/two_modules.py MODULE OTHER [--recipe training/recipes/acs_flow_vae.yaml]
                                     [--limit 25.3] [--galaxies 2000] [--output two_modules.md]

MODULE and OTHER are any handles, such as the folder of an earlier version.  Magnitudes, half-light
radii and redshifts are drawn from the population of the recipe with the number counts of the sky,
down to the limiting magnitude; columns that a module may draw itself are missing.  A module gets
those values within the valid ranges of its columns; a size that it takes as observed is that behind
the PSF of the HST.

Prints, as Markdown: milliseconds per galaxy of each on one core, from columns to stamps; the median
ratio of neighbours in time, with its scatter; and how many galaxies are on stamps of each size.
"""

import os

os.environ["GALSIM_DEEP_THREADS"] = "1"

import time

import numpy as np
from common import Report, command_line

from galsim_deep import latents
from galsim_deep.modules.module import load
from galsim_deep.modules.resolve import resolve
from galsim_deep.observations.units import arcsec_of
from galsim_deep_training.data.population import Population, PopulationSettings
from galsim_deep_training.recipe import read_recipe
from galsim_deep_training.settings import parse

ROUNDS = 9
PSF_RADIUS = 0.075
"""Half-light radius of the PSF of HST/ACS F814W [arcsec]."""


def survey(recipe, limit, count):
    """Properties of the galaxies of a survey, by quantity."""
    where = f"recipe {recipe.path}"
    settings = parse(PopulationSettings, recipe.data.settings["population"], where, "data")
    population = Population(settings.model_copy(update=dict(even_share=0.0)),
                            lambda path: recipe.path.parent / path, where)
    rng, drawn = np.random.default_rng(1), []
    while len(drawn) < count:
        galaxy = population.draw(rng)
        if galaxy.magnitude <= limit:
            drawn.append((galaxy.magnitude, galaxy.half_light_radius, galaxy.redshift))
    return dict(zip(("magnitude", "half_light_radius", "redshift"), np.array(drawn).T,
                    strict=True))


def columns_of(card, properties):
    """The columns of a module for galaxies of a survey, float32 by name."""
    columns = {}
    for column in card.columns:
        values = properties.get(column.quantity)
        if values is None:
            values = np.full(len(properties["magnitude"]), np.nan)
        elif column.quantity == "half_light_radius":
            if column.as_observed:
                values = np.hypot(values, PSF_RADIUS)
            values = values / arcsec_of(column.unit, card.pixel_scale)
        columns[column.name] = np.clip(values, *column.valid_range).astype(np.float32)
    return columns


def main():
    parser = command_line(__doc__)
    parser.add_argument("modules", nargs=2)
    parser.add_argument("--recipe", default="training/recipes/acs_flow_vae.yaml")
    parser.add_argument("--limit", type=float, default=25.3)
    parser.add_argument("--galaxies", type=int, default=2000)
    options = parser.parse_args()
    properties = survey(read_recipe(options.recipe), options.limit, options.galaxies)
    keys = latents.keys_from_seeds(range(options.galaxies))
    runs = []
    for handle in options.modules:
        module = load(resolve(handle))
        runs.append((module, columns_of(module.card, properties),
                     latents.draw_latents(keys, module.card.latent_size)))
    times, sizes = np.zeros((ROUNDS + 1, 2)), {}
    for turn in range(ROUNDS + 1):
        for number, (module, columns, normal) in enumerate(runs):
            start = time.perf_counter()
            groups = module.draw(columns, normal)
            times[turn, number] = 1e3 * (time.perf_counter() - start) / options.galaxies
            sizes[number] = {outputs["image"].shape[1]: len(rows) for rows, outputs in groups}
    times = times[1:]  # the first round loads the graphs
    report = Report(["module", "ms per galaxy", "galaxies by size of their stamps"],
                    f"{options.galaxies} galaxies to magnitude {options.limit:g}, one core.")
    for number, handle in enumerate(options.modules):
        report.add(handle, f"{np.median(times[:, number]):.3f}", ", ".join(
            f"{size}: {count}" for size, count in sorted(sizes[number].items())))
    ratio = times[:, 0] / times[:, 1]
    report.add("ratio, first over second", f"{np.median(ratio):.2f} +- {np.std(ratio):.2f}", "")
    report.write(options.output)


if __name__ == "__main__":
    main()
