"""The transplant builder: well-resolved galaxies observed again as a survey would observe them.

Stamps of bright, well-resolved galaxies (HST, high signal to noise, isolated, sky exactly zero) are
rotated, mirrored, shrunk, dimmed and observed through real PSFs of the survey, with noise at the
survey's level.  Shrinking makes the galaxy's own PSF small compared with the survey's, so that a
model can learn structure that the survey's PSF hides.

The properties of a galaxy are drawn from real catalogues (`population`): magnitude, size, redshift,
Sersic index n and axis ratio q.  A source is then drawn with the weight ::

    exp(-(ln n_source - ln n)^2 / (2 * 0.3^2)) exp(-(q_source - q)^2 / (2 * 0.12^2))
        / (1 + (dilation / 0.55)^4)

so that morphology is correlated with the columns as it is in the survey, and sources that are
shrunk by a large factor are preferred.  No source is enlarged by more than the setting
``enlargement``.  If fewer than ten sources are large enough for that, the ten that need the
smallest factor are used.

The columns of an example describe the stamp: the half-light radius is measured on the noiseless,
PSF-convolved stamp, and the magnitude is that of the exact total flux.

Some of the training examples can have less noise than the survey: the structure of faint galaxies
can be learned only if it is brighter than the noise.  Sources and PSFs of the test split are not
used in training, and the noise of its examples is that of the survey.
"""

__all__ = ["Transplant"]

import functools

import galsim
import numpy as np
from galsim import GalSimConfigError

from galsim_deep.measure.half_light import measured_radius
from galsim_deep.observations.noise import NoiseField, read_correlation, white_correlation

from ...recipe import Recipe
from ...settings import (
    Count,
    Multiple,
    Pixels,
    PositiveShare,
    Row,
    Settings,
    Share,
    Steps,
    Text,
)
from ..example import Example
from ..population import Drawn, Population, PopulationSettings
from ..sources import Stamps, read_sources
from ..stamps import Observer, read_psfs
from .base import Builder

QUANTITIES = ("half_light_radius", "magnitude", "redshift")
"""Quantities that columns may measure."""

SIMILAR_LOG_N, SIMILAR_Q = 0.3, 0.12
"""Standard deviations in ln n and q of the weight of sources, see the module's docstring."""
SHRUNK = 0.55
"""Dilation below which the weight of sources hardly depends on the dilation."""
INSIDE = 0.9
"""Smallest fraction of the light of a galaxy that its stamp must contain."""
ATTEMPTS = 50
"""Number of galaxies that are drawn for an example until one fits into the stamp and the ranges."""
MAX_SHEAR = 0.05
"""Largest reduced shear |g| that is applied to a source."""


class Depth(Settings):
    """Training examples with less noise than the survey."""

    share: Share = 0.0
    """Fraction of the training examples with less noise."""
    deepest: PositiveShare = 1.0
    """Their noise is multiplied by a factor between this and 1, uniform in its logarithm."""


class TransplantSettings(Settings):
    """Settings of the ``transplant`` builder."""

    examples: Steps
    """Number of training examples."""
    test_examples: Count
    """Number of test examples."""
    test_sources: Share = 0.15
    """Fraction of the source galaxies in the test split."""
    sources: dict[str, Stamps]
    """Files of source galaxies, by a name."""
    same: tuple[dict[str, tuple[Row, ...]], ...] = ()
    """Groups of stamps that show the same galaxy: {name: rows}; each group is in one split only."""
    psf_catalogs: tuple[Text, ...]
    """RealGalaxyCatalog files whose PSFs and noise levels are used."""
    test_psfs: Share = 0.2
    """Fraction of the PSFs in the test split; 0 to use all PSFs in both splits."""
    noise_correlation: Text | None = None
    """A FITS image of the correlation of the noise between pixels, as `galsim.getCOSMOSNoise`
    reads it.  [default: white noise]"""
    depth: Depth = Depth()
    population: PopulationSettings
    enlargement: Multiple = 1.0
    """Largest factor by which a source may be enlarged."""
    offset: Pixels = 0.5
    """Largest displacement of a centroid along each axis, uniformly distributed [pixels]."""


class Transplant(Builder, kind="transplant"):
    """Real morphologies, observed again under survey conditions.

    See `Builder` for the parameters.

    Raises:
        galsim.GalSimError: if the survey data cannot be read, or the columns or splits of the
            recipe cannot be made from them.

    The settings, as a recipe has them::

        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/acs_mpcc.yaml")
        >>> settings = Builder.choose(recipe.data, recipe, "data").settings
        >>> settings.examples, sorted(settings.sources), settings.population.magnitudes
        (100000, ['hst', 'hudf'], (19.5, 26.2))
    """

    Settings = TransplantSettings
    settings: TransplantSettings

    def __init__(self, settings: TransplantSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        where = f"recipe {recipe.path}"
        for column in recipe.columns:
            if column.quantity not in QUANTITIES:
                raise GalSimConfigError(
                    f"The recipe {recipe.path} has the column '{column.name}' of the quantity "
                    f"'{column.quantity}'; the transplant builder makes {', '.join(QUANTITIES)}.")
            if column.quantity == "half_light_radius":
                recipe.check_as_observed(column, "the transplant builder")
        if settings.test_examples and settings.test_sources == 0:
            raise GalSimConfigError(f"The {where}, data, has test_examples: "
                                    f"{settings.test_examples}, but test_sources is 0, so that no "
                                    "source galaxies are reserved for the test. Set a positive "
                                    "test_sources, or test_examples: 0.")
        stamp = recipe.stamp
        self._population = Population(settings.population, stamp.pixel_scale, self.locate, where)
        self._sources = read_sources(settings.sources, settings.same, self.locate, where)
        self._train, self._test = self._split(
            np.array([source.group for source in self._sources]), settings.test_sources, 0,
            "source galaxies", "test_sources")
        self._read_psfs(where)
        correlation = (white_correlation() if settings.noise_correlation is None
                       else read_correlation(self.locate(settings.noise_correlation)))
        self._correlations = correlation[None]
        self._noise = NoiseField(correlation, stamp.size)

    def _split(self, groups: np.ndarray, test_fraction: float, stream: int, label: str,
               setting: str) -> tuple[np.ndarray, np.ndarray]:
        """Split rows at random, keeping groups together.

        Parameters:
            groups:         The group of each row, shape [n].
            test_fraction:  Fraction of the groups for the test.
            stream:         Index of the stream of random numbers.
            label:          The name of the groups, for the error message.
            setting:        The key of ``test_fraction`` in the recipe, for the error message.

        Returns:
            (rows for training, rows for the test).
        """
        names = np.unique(groups)
        count = int(round(test_fraction * len(names)))
        if test_fraction > 0:
            count = max(count, 1)
        if count >= len(names):
            raise GalSimConfigError(
                f"The recipe {self.recipe.path} leaves none of {len(names)} {label} to train on: "
                f"{setting} is {test_fraction:g}.")
        permutation = np.random.default_rng(
            [self.recipe.seed, 0, stream]).permutation(len(names))
        held_out = np.isin(groups, names[permutation[:count]])
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def _read_psfs(self, where: str) -> None:
        stamp = self.recipe.stamp
        if not self.settings.psf_catalogs:
            raise GalSimConfigError(f"The {where} lists no psf_catalogs.")
        catalogs = [read_psfs(self.locate(path), stamp.psf_size, stamp.pixel_scale)
                    for path in self.settings.psf_catalogs]
        self._psf_images, self._variances = (
            np.concatenate(values) for values in zip(*catalogs, strict=True))
        wrong = np.flatnonzero(~(np.isfinite(self._variances) & (self._variances >= 0)))
        if len(wrong):
            raise GalSimConfigError(f"The {where}: row {wrong[0]} of the psf_catalogs has the "
                                    f"noise variance {self._variances[wrong[0]]}.")
        self._psf_radius = np.array([measured_radius(image) for image in self._psf_images])
        # Galaxies that are close to each other in the survey may have the same PSF.
        _, groups = np.unique(self._psf_images.reshape(len(self._psf_images), -1), axis=0,
                              return_inverse=True)
        self._train_psfs, self._test_psfs = self._split(
            groups.ravel(), self.settings.test_psfs, 1, "PSFs", "test_psfs")
        if not len(self._test_psfs):
            self._test_psfs = self._train_psfs
        # The last PSF of the observer is the mean of all.
        mean = self._psf_images.mean(axis=0)
        self._mean_psf_radius = measured_radius(mean)
        self._observer = Observer(stamp.size, stamp.pixel_scale, [*self._psf_images, mean])

    def __len__(self) -> int:
        return self.settings.examples + self.settings.test_examples

    def psfs(self) -> np.ndarray:
        return self._psf_images

    def noise_correlations(self) -> np.ndarray:
        return self._correlations

    @functools.cache  # noqa: B019 - there is one builder per process, for all its life
    def _profile(self, source: int) -> galsim.GSObject:
        return self._sources[source].profile()

    @functools.cached_property
    def _traits(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Radius [arcsec], ln n, q and weight of all sources, shape [sources] each."""
        sources = self._sources
        return (np.array([source.radius for source in sources]),
                np.log([source.sersic_n for source in sources]),
                np.array([source.axis_ratio for source in sources]),
                np.array([1 / source.members for source in sources]))

    def _pick_source(self, galaxy: Drawn, radius: float, candidates: np.ndarray,
                     rng: np.random.Generator) -> int:
        """Draw a source with the weight given in the module's docstring.

        Parameters:
            galaxy:         The properties that it should have.
            radius:         Half-light radius before the PSF [arcsec].
            candidates:     Numbers of the sources to choose from.
            rng:            The random numbers.
        """
        radii, log_n, q, weight = (values[candidates] for values in self._traits)
        dilation = radius / radii
        weight = weight / (1 + (dilation / SHRUNK)**4)
        allowed = dilation <= self.settings.enlargement
        if allowed.sum() < min(10, len(candidates)):
            allowed = np.isin(np.arange(len(candidates)), np.argsort(dilation)[:10])
        log_weight = (-0.5 * ((log_n - np.log(galaxy.sersic_n)) / SIMILAR_LOG_N)**2
                      - 0.5 * ((q - galaxy.axis_ratio) / SIMILAR_Q)**2)
        log_weight = np.where(allowed, log_weight + np.log(weight), -np.inf)
        weight = np.exp(log_weight - log_weight.max())
        return int(candidates[rng.choice(len(candidates), p=weight / weight.sum())])

    @functools.cache  # noqa: B019
    def _size_correction(self, source: int) -> tuple[np.ndarray, np.ndarray]:
        """Correction to adding radii in quadrature, for one source.

        Returns:
            (x, y), x = ln a and y = ln(r / a), shape [n] each, x increasing.  Here r is the radius
            before the PSF and a^2 = r_obs^2 - r_PSF^2, with the radius r_obs after the PSF and that
            of the mean PSF, r_PSF [pixels].
        """
        stamp = self.recipe.stamp
        intrinsic = np.geomspace(0.4, 0.3 * stamp.size, 7)
        measured = []
        for radius in intrinsic:
            dilation = radius * stamp.pixel_scale / self._sources[source].radius
            profile = self._profile(source).dilate(dilation)
            _, observed = self._observe(source, profile, dilation, -1)
            measured.append(measured_radius(observed))
        added = np.sqrt(np.maximum(np.array(measured)**2 - self._mean_psf_radius**2, 1e-4))
        added = np.maximum.accumulate(added) * (1 + 1e-9 * np.arange(len(added)))
        return np.log(added), np.log(intrinsic / added)

    def _observe(self, source: int, profile: galsim.GSObject, dilation: float,
                 psf: int) -> tuple[np.ndarray, np.ndarray]:
        """(truth, observed) of a source that was dilated and may be sheared and displaced."""
        extent = dilation * (1 + MAX_SHEAR) / (1 - MAX_SHEAR) * self._sources[source].extent
        margin = 2 * self.settings.offset * self.recipe.stamp.pixel_scale
        return self._observer.observe(profile, extent + margin, psf)

    def example(self, number: int) -> Example | None:
        test = number >= self.settings.examples
        return self._make(np.random.default_rng([self.recipe.seed, 1, number]),
                          self._test if test else self._train, test)

    def new_example(self, number: int, sources: str) -> Example | None:
        stream, candidates = {"held-out": (2, self._test), "training": (3, self._train)}[sources]
        if not len(candidates):
            raise GalSimConfigError(f"The recipe {self.recipe.path} uses all source galaxies for "
                                    "training, because data.test_sources is 0, so that no example "
                                    "can be made of a held-out one. Set a positive test_sources.")
        return self._make(np.random.default_rng([self.recipe.seed, stream, number]), candidates,
                          test=True)

    def _make(self, rng: np.random.Generator, candidates: np.ndarray,
              test: bool) -> Example | None:
        """Observe one of the candidate sources; None if no galaxy fits into the stamp."""
        for _ in range(ATTEMPTS):
            galaxy = self._population.draw(rng)
            psf = int(rng.choice(self._test_psfs if test else self._train_psfs))
            source, profile, dilation = self._transformed(galaxy, psf, candidates, rng)
            truth, noiseless = self._observe(source, profile, dilation, psf)
            if noiseless.sum() < INSIDE * profile.flux:
                continue
            radius = measured_radius(noiseless)
            low, high = self.settings.population.observed_radius
            if low <= radius <= high:
                break
        else:
            return None
        depth = 1.0
        if not test and rng.random() < self.settings.depth.share:
            depth = self.settings.depth.deepest ** rng.random()
        sigma = depth * float(np.sqrt(self._variances[psf]))
        return Example(
            stamp=(noiseless + sigma * self._noise.draw(rng)).astype(np.float32), psf_index=psf,
            noise_sigma=sigma, source=self._sources[source].group, test=test,
            truth=truth if test else None,
            columns=self._columns(radius, galaxy.magnitude, galaxy.redshift))

    def _columns(self, radius: float, magnitude: float, redshift: float) -> dict[str, float]:
        """The columns of the recipe, in their units; ``radius`` in pixels."""
        values = dict(zip(QUANTITIES, (radius, magnitude, redshift), strict=True))
        columns = {}
        for column in self.recipe.columns:
            value = values[column.quantity]
            if column.quantity == "half_light_radius":
                value /= self.recipe.pixels(column)
            columns[column.name] = value
        return columns

    def _transformed(self, galaxy: Drawn, psf: int, candidates: np.ndarray,
                     rng: np.random.Generator) -> tuple[int, galsim.GSObject, float]:
        """Choose a source and transform it to a drawn galaxy.

        Returns:
            (number of the source, its profile, the dilation).
        """
        settings, stamp = self.settings, self.recipe.stamp
        # Sizes add in quadrature approximately; the rest is calibrated for each source.
        added = np.sqrt(max(galaxy.observed_radius**2 - self._psf_radius[psf]**2, 0.25))
        source = self._pick_source(galaxy, added * stamp.pixel_scale, candidates, rng)
        log_added, correction = self._size_correction(source)
        intrinsic = added * np.exp(np.interp(np.log(added), log_added, correction))
        dilation = intrinsic * stamp.pixel_scale / self._sources[source].radius
        shear = galsim.Shear(g=MAX_SHEAR * np.sqrt(rng.random()),
                             beta=rng.uniform(0, np.pi) * galsim.radians)
        profile = self._profile(source)
        if rng.random() < 0.5:
            profile = profile.transform(1, 0, 0, -1)
        offset = rng.uniform(-settings.offset, settings.offset, 2) * stamp.pixel_scale
        profile = (profile.rotate(rng.uniform(0, 360) * galsim.degrees)
                   .shear(shear)
                   .dilate(dilation)
                   .withFlux(self.recipe.flux_of_magnitude(galaxy.magnitude))
                   .shift(*offset))
        return source, profile, dilation
