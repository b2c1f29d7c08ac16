#!/usr/bin/env python
"""Transplants against what they should be, for each survey of a collection of real galaxies.

    python benchmarks/transplants.py training/sources/real_galaxies.h5 [--conditions acs_f814w]
                                     [--galaxies 20] [--leave-out NAME ...]

Prints three tables, as Markdown:

* The closed loop.  A galaxy with knots that is known exactly is observed as the survey would, its
  PSF is divided out, and it is observed again; this is compared with the direct observation, at
  0.3, 0.6 and 1 times the largest dilation.  Largest difference over the peak, and ratios of
  small-scale power in four bins of wavelength from 0.1 to 0.5 arcsec.
* Transplants against real galaxies: each real galaxy on sky that is not held out is compared with a
  transplant of the galaxy of most similar shape, of its size and flux, through its PSF and with its
  noise.  Ratios of the mean small-scale power, without that of the noise, and of the light between
  2.5 and 3 half-light radii; errors by bootstrap over galaxies.
* How many sources can be dilated to a half-light radius, in pixels of the conditions.
"""

import argparse
from pathlib import Path

import galsim
import numpy as np
from common import Report
from scipy import fft

from galsim_deep.measure.outer_light import outer_light
from galsim_deep.measure.parametric import fit_sersic
from galsim_deep.measure.structure import EDGES, observed_power, small_scale_power
from galsim_deep.observations.collection import Collection
from galsim_deep.observations.filling import filled
from galsim_deep.observations.observation import Observation
from galsim_deep.observations.psf import psf_image
from galsim_deep_training.data.observer import Observer
from galsim_deep_training.data.sources import Source, SourceNoise, SourcesSettings, read_sources
from galsim_deep_training.data.sources.sharpened import sharpened

SIZE = 128
SHARES = (0.3, 0.6, 1.0)
"""Dilations of the closed loop, in units of the largest one."""
RADII = (5, 8, 12, 16, 24, 32, 48)
"""Half-light radii of the third table [pixels]."""
FINE = 8
"""Points for each pixel and axis at which the galaxy of the closed loop is drawn."""
BANDS = [f'{low:.2f}" to {high:.2f}"' for low, high in zip(EDGES[:-1], EDGES[1:], strict=True)]


def as_profile(psf, scale):
    return galsim.InterpolatedImage(
        galsim.Image(psf, scale=scale), x_interpolant="lanczos15", flux=1.0,
        calculate_stepk=False, calculate_maxk=False)


def known_galaxy(radius):
    """A disc, a bulge and forty knots that end within five half-light radii, of unit flux."""
    rng = np.random.default_rng(1)
    knots = [galsim.Gaussian(half_light_radius=0.04 * radius, flux=0.1 / 40).shift(
        *np.clip(rng.normal(0, 0.8 * radius, 2), -2 * radius, 2 * radius)) for _ in range(40)]
    disc = galsim.Sersic(1.0, half_light_radius=radius, flux=0.7, trunc=5 * radius).shear(
        q=0.6, beta=40 * galsim.degrees)
    bulge = galsim.Sersic(2.0, half_light_radius=0.25 * radius, flux=0.2, trunc=2 * radius)
    whole = galsim.Add([disc, bulge, *knots])
    return whole.shift(-whole.centroid)


def directly(profile, psf, scale):
    """A profile on a fine grid, convolved with a PSF image."""
    field = 2 * SIZE
    drawn = profile.drawImage(nx=FINE * field, ny=FINE * field, scale=scale / FINE,
                              method="no_pixel", dtype=float).array
    k = fft.fftfreq(field)
    shift = np.exp(1j * np.pi * k * (FINE - 1) / FINE)
    chosen = np.rint(k * field).astype(int) % (FINE * field)
    spectrum = fft.fft2(drawn)[np.ix_(chosen, chosen)] * np.outer(shift, shift)
    lags = np.arange(len(psf)) - len(psf) // 2
    kernel = np.zeros((field, field))
    kernel[np.ix_(lags, lags)] = psf
    corner = (field - SIZE) // 2
    image = fft.ifft2(spectrum * fft.fft2(kernel)).real
    return image[corner:corner + SIZE, corner:corner + SIZE]


def closed_loop(collection, conditions):
    report = Report(["survey", "dilation", "difference / peak", *BANDS], "Closed loop:")
    scale, psf = conditions.pixel_scale, conditions.psf[0]
    observer = Observer(SIZE, scale, [psf])
    for survey in surveys_of(collection):
        rows = collection.table[collection.table["survey"] == survey]
        galaxy = collection.galaxy(str(rows["name"][len(rows) // 2]))
        radius = 0.4 * galaxy.pixel_scale / 0.03
        known = known_galaxy(radius)
        size = 2 * int(8 * radius / galaxy.pixel_scale)
        stamp = galsim.Convolve(known, as_profile(galaxy.psf, galaxy.psf_scale)).drawImage(
            nx=size, ny=size, scale=galaxy.pixel_scale, method="no_pixel", dtype=float).array
        source = Source(
            name="known", survey=survey, group=0, weight=1.0, radius=radius, circularised=radius,
            sharp=sharpened(stamp, galaxy.pixel_scale, galaxy.psf, galaxy.psf_scale),
            noise=SourceNoise(0.0, galaxy.pixel_scale, np.array([0.0, 100.0]), np.ones(2),
                              np.ones(stamp.shape, np.float32)),
            extent=8 * radius, sersic_n=1.0, axis_ratio=0.6, redshift=0.5)
        largest = observer.largest_dilation(source, 0)
        for share in SHARES:
            # The galaxy must fit into its stamp.
            dilation = min(share * largest, 0.12 * SIZE * scale / radius)
            matrix = dilation * galsim.Shear(g1=0.03, g2=0.02).getMatrix()
            image = observer.observe(source, matrix, (0.01, -0.005), 1.0, 0).image
            expected = directly(known.transform(*matrix.ravel()).withFlux(1.0).shift(0.01, -0.005),
                                psf, scale)
            ratio = small_scale_power(image, 1.0, scale) / small_scale_power(expected, 1.0, scale)
            report.add(survey, f"{share:.1f} ({dilation:.2f})",
                       f"{np.abs(image - expected).max() / expected.max():.1e}",
                       *(f"{value:.3f}" for value in ratio))


def observed(galaxy, size):
    """A galaxy of the collection in the middle of a stamp, as an `Observation`."""
    x, y = round(galaxy.x), round(galaxy.y)
    image, usable = (np.pad(array, size)[y + size // 2:y + size // 2 + size,
                                        x + size // 2:x + size // 2 + size]
                     for array in (galaxy.image, galaxy.usable))
    # Position of the galaxy from the true centre of an even number of pixels.
    offset = galaxy.x - x + 0.5, galaxy.y - y + 0.5
    psf = psf_image(galsim.InterpolatedImage(galsim.Image(galaxy.psf, scale=galaxy.psf_scale),
                                             flux=1.0), 65, galaxy.pixel_scale)
    return Observation(
        number=0, stamp=filled(image, usable, offset), usable=usable, offset=offset, columns={},
        psf=psf, pixel_scale=galaxy.pixel_scale, noise_sigma=galaxy.noise_sigma,
        noise_correlation=galaxy.noise_correlation, photon_variance=galaxy.photon_variance,
        extent=min(galaxy.radius_used, 0.45 * size))


def measured(stamp, observation):
    """(small-scale power [4], light between 2.5 and 3 half-light radii) of a stamp."""
    fit = fit_sersic(observation.known(stamp), observation.pixel_scale, observation.psf,
                     observation.noise_sigma)
    power = observed_power(stamp, fit.stamp, observation) if fit.success else np.full(4, np.nan)
    return np.append(power, outer_light(stamp, observation)["ring"])


def against_real(collection, sources, count):
    report = Report(["survey", "galaxies", *BANDS, "light at 2.5 to 3 radii"],
                    "\nTransplants over real galaxies:")
    by_name = {source.name: source for source in sources}
    rng = np.random.default_rng(1)
    for survey in surveys_of(collection):
        names = [source.name for source in sources if source.survey == survey]
        names = [name for name in names if not collection.galaxy(name).cut]
        pairs = []
        for name in rng.permutation(names)[:count]:
            galaxy = collection.galaxy(str(name))
            observation = observed(galaxy, SIZE)
            observer = Observer(SIZE, galaxy.pixel_scale, [observation.psf])
            own = by_name[galaxy.name]
            candidates = [
                source for source in sources if source.group != galaxy.group
                and own.circularised / source.circularised <= min(
                    1.5, observer.largest_dilation(source, 0))]
            if not candidates:
                continue
            other = min(candidates, key=lambda source: abs(np.log(source.sersic_n / own.sersic_n))
                        + 2 * abs(source.axis_ratio - own.axis_ratio))
            dilation = own.circularised / other.circularised
            flux = 10 ** (-0.4 * (galaxy.magnitude - galaxy.zero_point))
            position = tuple(galaxy.pixel_scale * value for value in observation.offset)
            image = observer.observe(other, dilation * np.eye(2), position, flux, 0)
            stamp = image.image + observation.noise(rng)
            pairs.append((measured(observation.stamp, observation), measured(stamp, observation)))
        if len(pairs) < 5:
            continue
        real, made = np.moveaxis(np.array(pairs), 1, 0)
        known = np.isfinite(real) & np.isfinite(made)
        real, made = np.where(known, real, 0), np.where(known, made, 0)
        samples = rng.integers(len(real), size=(200, len(real)))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = made.sum(0) / real.sum(0)
            error = np.std(made[samples].sum(1) / real[samples].sum(1), axis=0)
        report.add(survey, str(len(pairs)), *(
            f"{value:.2f} ± {deviation:.2f}" for value, deviation in zip(ratio, error,
                                                                        strict=True)))


def usable_sources(sources, conditions):
    report = Report(["survey", "sources", *(f"{radius} px" for radius in RADII)],
                    "\nSources that can be dilated to a half-light radius, not enlarged:")
    observer = Observer(SIZE, conditions.pixel_scale, [conditions.psf.mean(0)])
    largest = np.array([source.circularised * min(1.0, observer.largest_dilation(source, 0))
                        for source in sources]) / conditions.pixel_scale
    surveys = np.array([source.survey for source in sources])
    for survey in [*np.unique(surveys), "all"]:
        chosen = largest[(surveys == survey) | (survey == "all")]
        report.add(survey, str(len(chosen)), *(str(np.sum(chosen >= radius)) for radius in RADII))


def surveys_of(collection):
    """Surveys with galaxies that are not held out."""
    table = collection.table
    return sorted(set(np.asarray(table["survey"], str)[~np.asarray(table["held_out"], bool)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--conditions", default="acs_f814w")
    parser.add_argument("--galaxies", type=int, default=20, help="of each survey")
    parser.add_argument("--leave-out", nargs="*", default=(), help="galaxies that are not used")
    arguments = parser.parse_args()
    collection = Collection(arguments.collection)
    conditions = collection.conditions(arguments.conditions)
    closed_loop(collection, conditions)
    settings = SourcesSettings(collection=str(arguments.collection),
                               leave_out=arguments.leave_out)
    sources = read_sources(settings, Path, "benchmark")
    usable_sources(sources, conditions)
    against_real(collection, sources, arguments.galaxies)


if __name__ == "__main__":
    main()
