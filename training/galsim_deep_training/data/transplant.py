"""The transplant builder: well-resolved galaxies observed again as a deeper survey would.

Stamps of bright, well-resolved galaxies (HST, high signal to noise, isolated, sky exactly zero)
are turned, mirrored, shrunk, dimmed and observed anew through real survey PSFs with noise at the
survey's level.  Shrinking makes the galaxy's own PSF small against the target's, which is what
lets a model learn structure below the target PSF.

What a galaxy should be like is drawn from real catalogues (`population`): magnitude, size,
redshift, Sersic index n and axis ratio q.  A source is then chosen at random with the weight ::

    exp(-(ln n_source - ln n)^2 / (2 * 0.3^2)) exp(-(q_source - q)^2 / (2 * 0.12^2))
        / (1 + (dilation / 0.55)^4)

so that morphology goes with the columns as it does in the survey, and sources that must shrink a
lot are preferred.  None is enlarged by more than a setting allows, unless all would have to be.

The columns that are stored describe the stamp that was made: ``flux_radius`` is measured on the
noiseless, PSF-convolved stamp, ``mag_auto`` is its exact total magnitude.

A part of the training examples can be made deeper than the survey is: structure of faint galaxies
can only be learned where it is above the noise.  Sources and PSFs of the test split are not used in
training, and its noise is that of the survey.
"""

__all__ = ["Transplant"]

import functools

import galsim
import numpy as np
from galsim import GalSimConfigError

from galsim_deep.half_light import measured_radius

from ..bounds import Count, Multiple, Pixels, PositiveShare, Row, Share, Steps, Text
from ..recipe import Settings
from .build import Builder
from .dataset import Example
from .noise import NoiseField, read_correlation, white
from .population import Population, PopulationSettings
from .sources import Stamps, read_sources
from .stamps import Observer, read_psfs

COLUMNS = ("flux_radius", "mag_auto", "zphot")

ALIKE_LOG_N, ALIKE_Q = 0.3, 0.12
"""How closely a source should have the asked Sersic index (in ln n) and axis ratio."""
SHRUNK = 0.55
"""Dilation below which a source is not preferred any more to one that must shrink less."""
INSIDE = 0.9
"""Least share of the light of a galaxy that its stamp must hold."""
ATTEMPTS = 50
"""Galaxies that are drawn for an example until one fits into stamp and ranges."""
MAX_SHEAR = 0.05
"""Largest reduced shear |g| that is applied to a source."""


class Depth(Settings):
    """Training examples that are deeper than the survey."""

    share: Share = 0.0
    """Share of the training examples that are deeper."""
    deepest: PositiveShare = 1.0
    """Their noise is multiplied by a factor between this and 1, equally often in each octave."""


class TransplantSettings(Settings):
    """Settings of the ``transplant`` builder."""

    examples: Steps
    test_examples: Count
    test_sources: Share = 0.15
    """Share of the source galaxies held out for the test split."""
    sources: dict[str, Stamps]
    """Files of source galaxies, by a name."""
    same: tuple[dict[str, tuple[Row, ...]], ...] = ()
    """Groups of stamps that show the same galaxy, name -> rows; each stays on one side of the
    split."""
    psf_catalogs: tuple[Text, ...]
    """RealGalaxyCatalog files whose PSFs and noise levels are used."""
    test_psfs: Share = 0.2
    """Share of the PSFs held out for the test split; 0 for all PSFs on both sides."""
    noise_correlation: Text | None = None
    """A FITS image of the correlation of the noise between pixels, as `galsim.getCOSMOSNoise`
    reads it.  [default: white noise]"""
    depth: Depth = Depth()
    population: PopulationSettings
    enlargement: Multiple = 1.0
    """A source may be enlarged by this much at most; beyond it another source is drawn."""
    offset: Pixels = 0.5
    """Centroids are moved by up to this many pixels, uniformly in each direction."""


class Transplant(Builder, name="transplant"):
    """Real morphologies, observed again under survey conditions."""

    Settings = TransplantSettings

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        where = f"recipe {recipe.path}"
        for column in recipe.columns:
            if column.name not in COLUMNS:
                raise GalSimConfigError(
                    f"The recipe {recipe.path} has the column '{column.name}'; the transplant "
                    f"builder makes {', '.join(COLUMNS)}.")
        self._check(where)
        stamp = recipe.stamp
        self._population = Population(settings.population, stamp.pixel_scale, self.locate, where)
        self._sources = read_sources(settings.sources, settings.same, self.locate, where)
        self._train, self._test = self._sides(
            np.array([source.group for source in self._sources]), settings.test_sources, 0,
            "source galaxies", "test_sources")
        self._read_psfs(where)
        correlation = (white() if settings.noise_correlation is None
                       else read_correlation(self.locate(settings.noise_correlation)))
        self._correlations = correlation[None]
        self._noise = NoiseField(correlation, stamp.size)

    def _check(self, where):
        settings = self.settings
        if settings.test_examples and settings.test_sources == 0:
            raise GalSimConfigError(f"The {where} asks for {settings.test_examples} test examples "
                                    "but holds no source out for them: test_sources is 0.")

    def _sides(self, groups, share, stream, what, setting):
        """Split at random by groups: (rows for training, rows for the test)."""
        names = np.unique(groups)
        count = int(round(share * len(names)))
        if share > 0:
            count = max(count, 1)
        if count >= len(names):
            raise GalSimConfigError(
                f"The recipe {self.recipe.path} leaves none of {len(names)} {what} to train on: "
                f"{setting} is {share:g}.")
        order = np.random.default_rng([self.recipe.seed, 0, stream]).permutation(len(names))
        held_out = np.isin(groups, names[order[:count]])
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def _read_psfs(self, where):
        stamp = self.recipe.stamp
        if not self.settings.psf_catalogs:
            raise GalSimConfigError(f"The {where} lists no psf_catalogs.")
        found = [read_psfs(self.locate(path), stamp.psf_size, stamp.pixel_scale)
                 for path in self.settings.psf_catalogs]
        self._psf_images, self._variances = (
            np.concatenate(values) for values in zip(*found, strict=True))
        wrong = np.flatnonzero(~(np.isfinite(self._variances) & (self._variances >= 0)))
        if len(wrong):
            raise GalSimConfigError(f"The {where}: row {wrong[0]} of the psf_catalogs has the "
                                    f"noise variance {self._variances[wrong[0]]}.")
        self._psf_radius = np.array([measured_radius(image) for image in self._psf_images])
        # Galaxies close to each other in the survey may have been given the same PSF.
        _, groups = np.unique(self._psf_images.reshape(len(self._psf_images), -1), axis=0,
                              return_inverse=True)
        self._train_psfs, self._test_psfs = self._sides(
            groups.ravel(), self.settings.test_psfs, 1, "PSFs", "test_psfs")
        if not len(self._test_psfs):
            self._test_psfs = self._train_psfs
        # The last PSF is the mean of all.
        mean = self._psf_images.mean(axis=0)
        self._mean_psf_radius = measured_radius(mean)
        self._observer = Observer(stamp.size, stamp.pixel_scale, [*self._psf_images, mean])

    def __len__(self):
        return self.settings.examples + self.settings.test_examples

    def psfs(self):
        return self._psf_images

    def noise_correlations(self):
        return self._correlations

    @functools.cache  # noqa: B019 - one builder a process, kept for its life
    def _profile(self, source):
        return self._sources[source].profile()

    @functools.cached_property
    def _traits(self):
        """Of all sources: radius [arcsec], ln n, q, weight; each shape [sources]."""
        sources = self._sources
        return (np.array([source.radius for source in sources]),
                np.log([source.sersic_n for source in sources]),
                np.array([source.axis_ratio for source in sources]),
                np.array([1 / source.members for source in sources]))

    def _pick_source(self, wanted, radius, candidates, rng):
        """A source for a galaxy of that intrinsic radius [arcsec], as the module says."""
        radii, log_n, q, weight = (values[candidates] for values in self._traits)
        dilation = radius / radii
        weight = weight / (1 + (dilation / SHRUNK)**4)
        allowed = dilation <= self.settings.enlargement
        if allowed.sum() < min(10, len(candidates)):
            allowed = np.isin(np.arange(len(candidates)), np.argsort(dilation)[:10])
        log_weight = (-0.5 * ((log_n - np.log(wanted.sersic_n)) / ALIKE_LOG_N)**2
                      - 0.5 * ((q - wanted.axis_ratio) / ALIKE_Q)**2)
        log_weight = np.where(allowed, log_weight + np.log(weight), -np.inf)
        weight = np.exp(log_weight - log_weight.max())
        return int(candidates[rng.choice(len(candidates), p=weight / weight.sum())])

    @functools.cache  # noqa: B019
    def _growth(self, source):
        """By how much the radius of a source differs from what quadrature says.

        Returns:
            (ln of the radius that the PSF adds to in quadrature [pixels], ln of the intrinsic
            radius that it takes for it, relative to that), both shape [n], the first increasing.
        """
        stamp, chosen = self.recipe.stamp, self._sources[source]
        intrinsic = np.geomspace(0.4, 0.3 * stamp.size, 7)
        seen = []
        for radius in intrinsic:
            dilation = radius * stamp.pixel_scale / chosen.radius
            profile = self._profile(source).dilate(dilation)
            _, observed = self._observe(source, profile, dilation, -1)
            seen.append(measured_radius(observed))
        added = np.sqrt(np.maximum(np.array(seen)**2 - self._mean_psf_radius**2, 1e-4))
        added = np.maximum.accumulate(added) * (1 + 1e-9 * np.arange(len(added)))
        return np.log(added), np.log(intrinsic / added)

    def _observe(self, source, profile, dilation, psf):
        """(truth, observed) of a source that was dilated, and perhaps sheared and moved a bit."""
        extent = dilation * (1 + MAX_SHEAR) / (1 - MAX_SHEAR) * self._sources[source].extent
        margin = 2 * self.settings.offset * self.recipe.stamp.pixel_scale
        return self._observer.observe(profile, extent + margin, psf)

    def example(self, number):
        test = number >= self.settings.examples
        return self._make(np.random.default_rng([self.recipe.seed, 1, number]),
                          self._test if test else self._train, test)

    def new_example(self, number, sources):
        stream, candidates = {"held-out": (2, self._test), "training": (3, self._train)}[sources]
        if not len(candidates):
            raise GalSimConfigError(f"The recipe {self.recipe.path} holds no source galaxy out "
                                    "from training: test_sources is 0.")
        return self._make(np.random.default_rng([self.recipe.seed, stream, number]), candidates,
                          test=True)

    def _make(self, rng, candidates, test):
        """Observe one of the candidate sources anew; None where no galaxy fits into the stamp."""
        for _ in range(ATTEMPTS):
            wanted = self._population.draw(rng)
            psf = int(rng.choice(self._test_psfs if test else self._train_psfs))
            source, profile, dilation = self._turned(wanted, psf, candidates, rng)
            truth, noiseless = self._observe(source, profile, dilation, psf)
            if noiseless.sum() < INSIDE * profile.flux:
                continue
            radius = measured_radius(noiseless)
            low, high = self.settings.population.flux_radius
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
            columns=dict(zip(COLUMNS, (radius, wanted.magnitude, wanted.zphot), strict=True)))

    def _turned(self, wanted, psf, candidates, rng):
        """A source, shrunk, turned and dimmed to be as wanted: (its number, profile, dilation)."""
        settings, stamp = self.settings, self.recipe.stamp
        # Sizes add in quadrature, roughly, and each source has its own growth beyond that.
        added = np.sqrt(max(wanted.flux_radius**2 - self._psf_radius[psf]**2, 0.25))
        source = self._pick_source(wanted, added * stamp.pixel_scale, candidates, rng)
        log_added, correction = self._growth(source)
        intrinsic = added * np.exp(np.interp(np.log(added), log_added, correction))
        dilation = intrinsic * stamp.pixel_scale / self._sources[source].radius
        shape = galsim.Shear(g=MAX_SHEAR * np.sqrt(rng.random()),
                             beta=rng.uniform(0, np.pi) * galsim.radians)
        profile = self._profile(source)
        if rng.random() < 0.5:
            profile = profile.transform(1, 0, 0, -1)
        offset = rng.uniform(-settings.offset, settings.offset, 2) * stamp.pixel_scale
        profile = (profile.rotate(rng.uniform(0, 360) * galsim.degrees)
                   .shear(shape)
                   .dilate(dilation)
                   .withFlux(10 ** (-0.4 * (wanted.magnitude - stamp.zero_point)))
                   .shift(*offset))
        return source, profile, dilation
