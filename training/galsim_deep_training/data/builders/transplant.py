"""The transplant builder: well-resolved galaxies observed again as a survey would observe them.

Galaxies of the collection (`sources`) are rotated, mirrored, dilated, dimmed and observed through
PSFs of a survey, with noise at the survey's level.  Their own PSF is divided out (`observer`), so
that a transplant has the structure that the survey would see.

The properties of a galaxy are drawn from real catalogues (`population`): magnitude, half-light
radius, redshift, Sersic index n and axis ratio q.  A source is then drawn with the weight ::

    w exp(-(ln n_source - ln n)^2 / (2 * 0.3^2)) exp(-(q_source - q)^2 / (2 * 0.12^2))
      exp(-(ln(1 + z_source) - ln(1 + z))^2 / (2 * 0.35^2))

with its own weight w, so that morphology is correlated with the columns as it is in the catalogues.
Only sources that can be dilated as much without losing detail are used
(`Observer.largest_dilation`).

Large galaxies are observed with larger pixels, through a PSF that is wider by the same factor, so
that each galaxy fits into its stamp, and detail is not missing.  The pixel scale is part of the
example.

The columns of an example describe the galaxy: its half-light radius is that of the circle that
holds half of the light, before the PSF, and its magnitude that of its exact total flux.

Some of the training examples can have less noise than the survey, and a sharper PSF: the structure
of faint and small galaxies can be learned only if it is brighter than the noise, and resolved.  The
noise of the source, as far as it is seen in the transplant, is part of the noise of the example.

Galaxies that the collection holds out are not used at all.  Of the others, those of the test split
are not used in training; their examples have the noise and PSF of the survey.
"""

__all__ = ["Transplant"]

import dataclasses
import functools

import galsim
import numpy as np
from galsim import GalSimConfigError
from scipy import fft

from galsim_deep.observations.collection import Collection
from galsim_deep.observations.noise import periodic_power
from galsim_deep.observations.psf import psf_image

from ...recipe import Recipe
from ...settings import Count, Multiple, Pixels, PositiveShare, Settings, Share, Steps, Text
from ..example import Example
from ..observer import Observer
from ..population import Drawn, Population, PopulationSettings
from ..sources import SourcesSettings, read_sources
from .base import Builder

QUANTITIES = ("half_light_radius", "magnitude", "redshift", "sersic_index", "axis_ratio")
"""Quantities that columns may measure."""

SIMILAR_LOG_N, SIMILAR_Q, SIMILAR_LOG_Z = 0.3, 0.12, 0.35
"""Standard deviations in ln n, q and ln(1 + z) of the weight of sources, see above."""
LARGEST = 14.0
"""Half-light radius above which galaxies are observed with larger pixels [pixels of the survey]."""
COARSER = 1.5
"""Those pixels are larger than necessary by a factor between 1 and this, uniform in its logarithm.
"""
CHOICE = 20
"""Pixels are also made larger until this many sources can be dilated as much."""
INSIDE = 0.9
"""Smallest fraction of the light of a galaxy that its stamp must contain."""
ATTEMPTS = 50
"""Number of galaxies that are drawn for an example until one fits into the stamp."""
MAX_SHEAR = 0.05
"""Largest reduced shear |g| that is applied to a source."""
LEAKED = 0.9
"""Largest share of the noise of the source in the noise of an example, at any wavelength.  If it is
larger, the example has more noise than the survey."""


class Depth(Settings):
    """Training examples with less noise than the survey."""

    share: Share = 0.0
    """Fraction of the training examples with less noise."""
    deepest: PositiveShare = 1.0
    """Their noise is multiplied by a factor between this and 1, uniform in its logarithm."""


class Sharpness(Settings):
    """Training examples with a narrower PSF than that of the survey."""

    share: Share = 0.0
    """Fraction of the training examples with a narrower PSF."""
    factor: PositiveShare = 0.65
    """Width of these PSFs, in units of those of the survey."""


class TransplantSettings(Settings):
    """Settings of the ``transplant`` builder."""

    examples: Steps
    """Number of training examples."""
    test_examples: Count
    """Number of test examples."""
    test_sources: Share = 0.15
    """Fraction of the source galaxies in the test split."""
    sources: SourcesSettings
    conditions: Text
    """The PSFs and the noise of the survey: a name among the conditions of the collection."""
    test_psfs: Share = 0.2
    """Fraction of the PSFs in the test split; 0 to use all PSFs in both splits."""
    depth: Depth = Depth()
    sharpness: Sharpness = Sharpness()
    population: PopulationSettings
    enlargement: Multiple = 1.0
    """Largest factor by which a source may be enlarged, in pixels of the example."""
    offset: Pixels = 0.5
    """Largest displacement of a centroid along each axis, uniformly distributed [pixels]."""


@dataclasses.dataclass(frozen=True)
class _Traits:
    """What a source is chosen by; shape [sources] each.

    ``largest`` [PSF kinds, sources] is the largest half-light radius to which it may be dilated, in
    pixels of the survey; the other attributes are those of `Source`.
    """

    circularised: np.ndarray
    log_n: np.ndarray
    axis_ratio: np.ndarray
    log_z: np.ndarray
    weight: np.ndarray
    largest: np.ndarray


class Transplant(Builder, kind="transplant"):
    """Real morphologies, observed again under survey conditions.

    See `Builder` for the parameters.

    Raises:
        galsim.GalSimError: if the collection cannot be read, or the columns or splits of the
            recipe cannot be made from it.

    The settings, as a recipe has them::

        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/acs_mpcc.yaml")
        >>> settings = Builder.choose(recipe.data, recipe, "data").settings
        >>> settings.examples, settings.conditions, settings.sources.weights
        (40000, 'acs_f814w', {'sdss': 0.25, 'sdss_dr7': 0.25})
    """

    Settings = TransplantSettings
    settings: TransplantSettings

    def __init__(self, settings: TransplantSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        where = f"recipe {recipe.path}"
        for column in recipe.columns:
            if column.quantity not in QUANTITIES:
                raise GalSimConfigError(
                    f"The {where} has the column '{column.name}' of the quantity "
                    f"'{column.quantity}'; the transplant builder makes {', '.join(QUANTITIES)}.")
            if column.as_observed:
                raise GalSimConfigError(
                    f"The {where}, columns, has the column '{column.name}' with 'as_observed: "
                    "true'. The transplant builder gives sizes before the PSF. Remove it.")
        if settings.test_examples and settings.test_sources == 0:
            raise GalSimConfigError(f"The {where}, data, has test_examples: "
                                    f"{settings.test_examples}, but test_sources is 0, so that no "
                                    "source galaxies are reserved for the test. Set a positive "
                                    "test_sources, or test_examples: 0.")
        self._population = Population(settings.population, self.locate, where)
        self._sources = read_sources(settings.sources, self.locate, where)
        self._train, self._test = self._split(
            np.array([source.group for source in self._sources]), settings.test_sources, 0,
            "source galaxies", "test_sources")
        self._read_conditions()

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

    def _read_conditions(self) -> None:
        """PSFs and noise of the survey.

        The last PSFs of the observer, and of `psfs`, are the sharper ones.
        """
        settings, stamp = self.settings, self.recipe.stamp
        conditions = Collection(self.locate(settings.sources.collection)).conditions(
            settings.conditions)
        size, scale = stamp.psf_size, stamp.pixel_scale
        if not np.isclose(conditions.pixel_scale, scale, rtol=1e-3):
            raise GalSimConfigError(
                f"The recipe {self.recipe.path}, stamp.pixel_scale, is {scale:g} arcsec; the noise "
                f"of the conditions '{settings.conditions}' is known for pixels of "
                f"{conditions.pixel_scale:g} arcsec only. Set pixel_scale to that.")
        factors = [1.0, settings.sharpness.factor] if settings.sharpness.share else [1.0]
        self._psf_images = np.array([
            psf_image(galsim.InterpolatedImage(galsim.Image(
                psf, scale=factor * conditions.pixel_scale), flux=1.0), size, scale)
            for factor in factors for psf in conditions.psf])
        self._psf_count = len(conditions.psf)
        self._train_psfs, self._test_psfs = self._split(
            np.arange(self._psf_count), settings.test_psfs, 1, "PSFs", "test_psfs")
        if not len(self._test_psfs):
            self._test_psfs = self._train_psfs
        # In the unit of flux of the recipe.
        self._sigma = np.sqrt(conditions.noise_variance) * self.recipe.flux_of_magnitude(
            conditions.zero_point)
        self._correlations = conditions.noise_correlation[None]
        # After all PSFs, the observer has their mean, for each of the two kinds.
        means = self._psf_images.reshape(len(factors), self._psf_count, size, size).mean(1)
        self._observer = Observer(stamp.size, scale, [*self._psf_images, *means])
        self._mean_psfs = range(len(self._psf_images), len(self._psf_images) + len(factors))
        field = self._observer.field
        self._noise_power = periodic_power(conditions.noise_correlation, (field, field))

    def __len__(self) -> int:
        return self.settings.examples + self.settings.test_examples

    def psfs(self) -> np.ndarray:
        return self._psf_images

    def noise_correlations(self) -> np.ndarray:
        return self._correlations

    @functools.cached_property
    def _traits(self) -> _Traits:
        sources = self._sources
        log_z = np.log1p([source.redshift for source in sources])
        largest = [[source.circularised / self.recipe.stamp.pixel_scale
                    * min(self.settings.enlargement, self._observer.largest_dilation(source, psf))
                    for source in sources] for psf in self._mean_psfs]
        return _Traits(
            circularised=np.array([source.circularised for source in sources]),
            log_n=np.log([source.sersic_n for source in sources]),
            axis_ratio=np.array([source.axis_ratio for source in sources]), log_z=log_z,
            weight=np.array([source.weight for source in sources]), largest=np.array(largest))

    def _pick_source(self, galaxy: Drawn, pixels: float, kind: int, candidates: np.ndarray,
                     rng: np.random.Generator) -> int:
        """Draw a source with the weight given in the module's docstring.

        Parameters:
            galaxy:         The properties that it should have.
            pixels:         Half-light radius in pixels of the example.
            kind:           0 for the PSFs of the survey, 1 for the sharper ones.
            candidates:     Numbers of the sources to choose from.
            rng:            The random numbers.
        """
        traits = self._traits
        squared = (np.square((traits.log_n - np.log(galaxy.sersic_n)) / SIMILAR_LOG_N)
                   + np.square((traits.axis_ratio - galaxy.axis_ratio) / SIMILAR_Q)
                   # Where the redshift is not known, it may be anything.
                   + np.nan_to_num(np.square(
                       (traits.log_z - np.log1p(galaxy.redshift)) / SIMILAR_LOG_Z), nan=1.0))
        log_weight = (np.log(traits.weight) - 0.5 * squared)[candidates]
        log_weight[traits.largest[kind, candidates] < pixels] = -np.inf
        weight = np.exp(log_weight - log_weight.max())
        return int(candidates[rng.choice(len(candidates), p=weight / weight.sum())])

    def _pixel_scale(self, radius: float, kind: int, candidates: np.ndarray,
                     rng: np.random.Generator) -> float:
        """The pixel scale [arcsec] of the stamp of a galaxy with a half-light radius [arcsec]."""
        largest = np.sort(self._traits.largest[kind, candidates])
        possible = min(LARGEST, float(largest[-min(CHOICE, len(largest))]))
        scale = self.recipe.stamp.pixel_scale
        needed = radius / (scale * possible)
        if needed <= 1:
            return scale
        return scale * needed * COARSER**rng.random()

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
        depth, kind = 1.0, 0
        if not test:
            if rng.random() < self.settings.depth.share:
                depth = self.settings.depth.deepest ** rng.random()
            kind = int(rng.random() < self.settings.sharpness.share)
        for _ in range(ATTEMPTS):
            galaxy = self._population.draw(rng)
            pixel_scale = self._pixel_scale(galaxy.half_light_radius, kind, candidates, rng)
            # From here on, lengths are in units of the pixels of the survey.
            enlarged = pixel_scale / self.recipe.stamp.pixel_scale
            source = self._sources[self._pick_source(
                galaxy, galaxy.half_light_radius / pixel_scale, kind, candidates, rng)]
            dilation = galaxy.half_light_radius / enlarged / source.circularised
            psf = int(rng.choice(self._test_psfs if test else self._train_psfs))
            psf += kind * self._psf_count
            flux = self.recipe.flux_of_magnitude(galaxy.magnitude)
            offset = rng.uniform(-1, 1, 2) * self.settings.offset * self.recipe.stamp.pixel_scale
            transplant = self._observer.observe(
                source, _jacobian(dilation, rng), (offset[0], offset[1]), flux, psf)
            if transplant.image.sum() >= INSIDE * flux:
                break
        else:
            return None
        sigma = depth * float(rng.choice(self._sigma))
        power, leaked = self._noise_power, transplant.leaked_power
        relevant = power > 1e-3 * power.mean()
        sigma = max(sigma, float(np.sqrt((leaked[relevant] / power[relevant]).max() / LEAKED)))
        # What the source does not contribute: all of it where there is no light of the source.
        noise = self._drawn(np.clip(sigma**2 * power - leaked, 0, None), rng)
        noise += np.sqrt(1 - transplant.leaked_share) * self._drawn(leaked, rng)
        properties = dict(
            half_light_radius=dilation * enlarged * source.radius, magnitude=galaxy.magnitude,
            redshift=galaxy.redshift, sersic_index=source.sersic_n,
            axis_ratio=source.axis_ratio)
        return Example(
            stamp=(transplant.image + noise).astype(np.float32), psf_index=psf, noise_sigma=sigma,
            source=source.group, test=test, noiseless=transplant.image if test else None,
            pixel_scale=pixel_scale, columns=self._columns(properties))

    def _drawn(self, power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A stamp of noise with a power spectrum on the field of the observer."""
        field = self._observer.field
        white = rng.standard_normal((field, field), np.float32)
        return self._observer.cut(fft.irfft2(fft.rfft2(white) * np.sqrt(power), (field, field)))

    def _columns(self, properties: dict[str, float]) -> dict[str, float]:
        """The columns of the recipe, in their units; a radius is in arcsec."""
        columns = {}
        for column in self.recipe.columns:
            value = properties[column.quantity]
            if column.quantity == "half_light_radius":
                value /= self.recipe.arcsec(column)
            columns[column.name] = value
        return columns


def _jacobian(dilation: float, rng: np.random.Generator) -> np.ndarray:
    """A rotation and perhaps a reflection, a shear, and a dilation, [2, 2]."""
    angle = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        rotation[:, 1] *= -1
    shear = galsim.Shear(g=MAX_SHEAR * np.sqrt(rng.random()),
                         beta=rng.uniform(0, np.pi) * galsim.radians)
    return dilation * shear.getMatrix() @ rotation
