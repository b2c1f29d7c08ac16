#!/usr/bin/env python
"""Galaxies drawn from a population against its catalogues, by magnitude.

    python benchmarks/population.py training/recipes/acs_flow_vae.yaml [--collection FILE]
                                    [--galaxies 20000] [--stamps FILE] [--output population.md]

Prints, as Markdown, for bins of magnitude: medians of half-light radius and redshift, the share of
galaxies with a Sersic index above 2.5, its rank correlation with the size, and the mean |g|, each
of drawn galaxies and of the catalogues; the scatter of ln(size); and the share of drawn galaxies in
the region that catalogues have seen.  ``--collection`` replaces the HDF5 file that the recipe
names.

With ``--stamps``, a RealGalaxyCatalog with PSFs, a second table compares it with drawn galaxies of
the same magnitudes, sizes and redshifts: Sersic profiles are drawn through the same PSFs, with the
same noise, and fitted like the stamps themselves.  No population is made from these galaxies.
"""

from pathlib import Path

import galsim
import numpy as np
import yaml
from common import Report, command_line
from scipy.stats import spearmanr

from galsim_deep.measure.parametric import fit_sersic
from galsim_deep.observations.noise import NoiseField
from galsim_deep.observations.real_catalog import RealCatalog
from galsim_deep_training.data.population import Counts, Population, PopulationSettings
from galsim_deep_training.data.population.tables import read_rows
from galsim_deep_training.settings import parse

BINS = [16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28]
STAMP_BINS = [20.0, 22.8, 24.3, 25.3, 26.2]
HIGH = 2.5
"""Sersic index above which a galaxy counts as concentrated."""
REPEATS = 10
"""Draws of each galaxy of the stamps."""
PSF_SIZE = 65


def ellipticity(q):
    return (1 - q) / (1 + q)


def of_rows(rows):
    """What is compared, of rows [n, 5] with NaN for unknown values; NaN if fewer than 8 know it."""
    _, size, redshift, n, q = rows.T

    def over(value, known, statistic):
        return statistic(value[known]) if known.sum() >= 8 else np.nan

    has_n = np.isfinite(n + size)
    return dict(
        size=over(size, np.isfinite(size + redshift), np.median),
        scatter=over(np.log(size), np.isfinite(size + redshift), np.std),
        redshift=over(redshift, np.isfinite(size + redshift), np.median),
        share=over(n, has_n, lambda values: np.mean(values > HIGH)),
        rank=spearmanr(n[has_n], size[has_n])[0] if has_n.sum() >= 8 else np.nan,
        g=over(ellipticity(q), np.isfinite(n + q), np.mean))


def by_magnitude(population, catalogues, galaxies, output):
    rng = np.random.default_rng(1)
    even = population.settings.model_copy(update=dict(even_share=0.0, counts=Counts(slope=0.0)))
    drawn = galaxies_of(Population(even, *catalogues), galaxies, rng)
    real = np.concatenate([read_rows(catalogue, *catalogues)
                           for catalogue in population.settings.catalogs])
    report = Report(
        ["magnitude", "median size [arcsec]", "scatter of ln(size)", "median redshift",
         f"share n > {HIGH}", "rank correlation of n and size", "mean |g|", "seen"],
        "Drawn / in the catalogues.")
    for low, high in zip(BINS[:-1], BINS[1:], strict=True):
        rows = [table[(table[:, 0] >= low) & (table[:, 0] < high)] for table in (drawn, real)]
        found, known = map(of_rows, rows)
        seen = population.seen(*rows[0].T[:3]).mean()
        report.add(f"{low} to {high}", *(
            f"{found[name]:{form}} / {known[name]:{form}}" for name, form in dict(
                size=".3f", scatter=".2f", redshift=".2f", share=".2f", rank="+.2f",
                g=".3f").items()), f"{seen:.2f}")
    report.write(output)


def galaxies_of(population, number, rng):
    return np.array([[galaxy.magnitude, galaxy.half_light_radius, galaxy.redshift,
                      galaxy.sersic_n, galaxy.axis_ratio]
                     for galaxy in (population.draw(rng) for _ in range(number))])


def square(stamp):
    side = min(stamp.shape)
    top, left = ((length - side) // 2 for length in stamp.shape)
    return stamp[top:top + side, left:left + side]


def with_stamps(population, path):
    """Fits to stamps, and to Sersic profiles of drawn shapes in their place."""
    catalog = RealCatalog(path)
    magnitude, redshift = catalog.column("MAG"), catalog.column("ZPHOT")
    rng = np.random.default_rng(2)
    real, drawn = [], []
    for row in range(len(catalog)):
        stamp, scale = square(catalog.stamp(row)), catalog.pixel_scales[row]
        psf, sigma = catalog.psf_image(row, PSF_SIZE), catalog.noise_sigma[row]
        fit = fit_sersic(stamp, scale, psf, sigma).components[0]
        real.append((magnitude[row], fit.half_light_radius, redshift[row], fit.n, fit.q))
        noise = NoiseField(catalog.noise_correlation(row), len(stamp))
        kernel = galsim.InterpolatedImage(galsim.Image(psf, scale=scale), flux=1)
        for _ in range(REPEATS):
            n, q = population.draw_shape(rng, magnitude[row], fit.half_light_radius, redshift[row])
            profile = galsim.Sersic(n, half_light_radius=fit.half_light_radius, flux=fit.flux)
            image = galsim.Convolve(
                profile.shear(q=q, beta=rng.uniform(0, np.pi) * galsim.radians), kernel).drawImage(
                    nx=len(stamp), ny=len(stamp), scale=scale, method="no_pixel", dtype=float).array
            again = fit_sersic(image + sigma * noise.draw(rng), scale, psf, sigma)
            if again.components:
                part = again.components[0]
                drawn.append((magnitude[row], part.half_light_radius, redshift[row],
                              part.n, part.q))
    report = Report(["magnitude", "stamps", f"share n > {HIGH}", "mean |g|", "median |g|"],
                    "Fitted to drawn galaxies / to the stamps.")
    real, drawn = np.array(real), np.array(drawn)
    for low, high in [*zip(STAMP_BINS[:-1], STAMP_BINS[1:], strict=True),
                      (STAMP_BINS[0], STAMP_BINS[-1])]:
        ours, theirs = (table[(table[:, 0] >= low) & (table[:, 0] < high)]
                        for table in (drawn, real))
        share = np.mean(theirs[:, 3] > HIGH)
        g, other = ellipticity(ours[:, 4]), ellipticity(theirs[:, 4])
        number = len(theirs)
        report.add(
            f"{low:g} to {high:g}", f"{number}",
            f"{np.mean(ours[:, 3] > HIGH):.2f} / {share:.2f} +- "
            f"{np.sqrt(share * (1 - share) / number):.2f}",
            f"{g.mean():.3f} / {other.mean():.3f} +- {other.std() / np.sqrt(number):.3f}",
            f"{np.median(g):.3f} / {np.median(other):.3f}")


def main():
    parser = command_line(__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--collection", type=Path, help="the HDF5 file of the catalogues")
    parser.add_argument("--galaxies", type=int, default=20_000)
    parser.add_argument("--stamps", type=Path)
    arguments = parser.parse_args()
    where = f"recipe {arguments.recipe}"
    settings = parse(PopulationSettings, yaml.safe_load(
        arguments.recipe.read_text(encoding="utf-8"))["data"]["population"], where)

    def locate(name):
        replaced = arguments.collection if Path(name).suffix == ".h5" else None
        return replaced or arguments.recipe.parent / name

    catalogues = locate, where
    population = Population(settings, *catalogues)
    print(f"Magnitudes of the catalogues: {population.magnitudes_seen}\n")
    by_magnitude(population, catalogues, arguments.galaxies, arguments.output)
    if arguments.stamps is not None:
        print()
        with_stamps(population, arguments.stamps)


if __name__ == "__main__":
    main()
