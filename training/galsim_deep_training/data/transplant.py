"""The transplant builder: well-resolved galaxies observed again as a deeper survey would.

Stamps of bright, well-resolved galaxies (HST, high signal to noise, isolated, sky exactly zero)
are turned, mirrored, shrunk, dimmed and observed anew through real survey PSFs with noise at the
survey's level.  Shrinking makes the galaxy's own PSF small against the target's, which is what
lets a model learn structure below the target PSF.

Magnitudes, sizes and redshifts are drawn from a simple description of the survey's population,
given in the recipe.  The columns that are stored describe the stamp that was made: ``flux_radius``
is measured on the noiseless, PSF-convolved stamp, ``mag_auto`` is its exact total magnitude.
"""

__all__ = ["Transplant"]

import functools

import galsim
import numpy as np
from astropy.table import Table
from galsim import GalSimConfigError

from ..recipe import Settings
from .build import Builder
from .dataset import Example
from .stamps import flux_radius, read_psfs

COLUMNS = ("flux_radius", "mag_auto", "zphot")


class Stamps(Settings):
    """A file of source galaxies."""

    file_name: str
    """An ``.npz`` file."""
    images: str = "images"
    """Key of the stamps, shape [n, s, s], sky at zero."""
    magnitudes: str
    """Key of the magnitudes, shape [n]."""
    pixel_scale: float
    """Size of a source pixel [arcsec]."""
    faintest: float
    """Sources fainter than this magnitude are not used."""
    same: tuple[tuple[int, ...], ...] = ()
    """Groups of stamps that show the same galaxy; each stays on one side of the split."""


class Relation(Settings):
    """ln(value) = intercept + slope (mag - 24), with Gaussian scatter, kept inside a range."""

    intercept: float
    slope: float
    scatter: float
    range: tuple[float, float]

    def draw(self, magnitude, rng):
        mean = self.intercept + self.slope * (magnitude - 24.0)
        for _ in range(10_000):
            value = float(np.exp(mean + self.scatter * rng.standard_normal()))
            if self.range[0] <= value <= self.range[1]:
                return value
        raise GalSimConfigError(
            f"No value between {self.range[0]:g} and {self.range[1]:g} is drawn at magnitude "
            f"{magnitude:.2f}: the relation exp({mean:.2f}) with scatter {self.scatter:g} does "
            "not reach its range. Correct the relation in the recipe.")


class Magnitudes(Settings):
    """Number counts: ln N rises by ``slope`` a magnitude between two limits."""

    range: tuple[float, float]
    slope: float

    def draw(self, rng):
        low, high = self.range
        u = rng.random()
        if self.slope == 0:
            return low + u * (high - low)
        return low + np.log1p(u * np.expm1(self.slope * (high - low))) / self.slope


class TransplantSettings(Settings):
    """Settings of the ``transplant`` builder."""

    examples: int
    test_examples: int
    test_sources: float = 0.15
    """Share of the source galaxies held out for the test split."""
    stamps: Stamps
    psf_catalog: str
    """A RealGalaxyCatalog file whose PSFs and noise levels are used."""
    magnitudes: Magnitudes
    flux_radius: Relation
    redshift: Relation
    enlargement: float = 1.0
    """A source may be enlarged by this much at most; beyond it another source is drawn."""
    offset: float = 0.5
    """Centroids are moved by up to this many pixels, uniformly in each direction."""


class Transplant(Builder, name="transplant"):
    """Real morphologies, observed again under survey conditions."""

    Settings = TransplantSettings

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        for column in recipe.columns:
            if column.name not in COLUMNS:
                raise GalSimConfigError(
                    f"The recipe {recipe.path} has the column '{column.name}'; the transplant "
                    f"builder makes {', '.join(COLUMNS)}.")
        self._read_sources()
        catalog = self.locate(settings.psf_catalog)
        self._catalog = Table.read(catalog)
        self._psf_profiles, self._psf_images = read_psfs(
            catalog, recipe.stamp.psf_size, recipe.stamp.pixel_scale)
        self._psf_radius = np.array([
            flux_radius(image) for image in self._psf_images])

    def _read_sources(self):
        stamps = self.settings.stamps
        with np.load(self.locate(stamps.file_name)) as content:
            images, magnitudes = content[stamps.images], content[stamps.magnitudes]
        usable = np.isfinite(magnitudes) & (magnitudes < stamps.faintest)
        self._images = {int(i): images[i].astype(float) for i in np.flatnonzero(usable)}
        # Intrinsic radius of each source in pixels of the target, own PSF included: what matters
        # is only by how much it must shrink.
        zoom = stamps.pixel_scale / self.recipe.stamp.pixel_scale
        self._radius = {i: zoom * flux_radius(image) for i, image in self._images.items()}
        family = {i: i for i in self._images}
        for group in stamps.same:
            family.update({i: min(group) for i in group if i in family})
        leaders = sorted(set(family.values()))
        order = np.random.default_rng([self.recipe.seed, 0]).permutation(len(leaders))
        held_out = {leaders[i] for i in order[:round(self.settings.test_sources * len(leaders))]}
        self._test = sorted(i for i in family if family[i] in held_out)
        self._train = sorted(i for i in family if family[i] not in held_out)

    def __len__(self):
        return self.settings.examples + self.settings.test_examples

    def psfs(self):
        return self._psf_images

    @functools.cache  # noqa: B019 - one builder a process, kept for its life
    def _profile(self, source):
        image = galsim.Image(self._images[source], scale=self.settings.stamps.pixel_scale)
        profile = galsim.InterpolatedImage(image, flux=1.0)
        # Cut-outs are centred on a detection; the origin of our profiles is the centroid of light.
        return profile.shift(-profile.centroid)

    def _pick_source(self, radius, candidates, rng):
        """A source that need not be enlarged; failing that one of the ten largest."""
        radii = np.array([self._radius[i] for i in candidates])
        large = np.flatnonzero(radii * self.settings.enlargement >= radius)
        if len(large) < 10:
            large = np.argsort(radii)[-10:]
        return candidates[rng.choice(large)]

    def example(self, number):
        test = number >= self.settings.examples
        return self._make(np.random.default_rng([self.recipe.seed, 1, number]),
                          self._test if test else self._train, test)

    def new_example(self, number, sources):
        stream, candidates = {"held-out": (2, self._test), "training": (3, self._train)}[sources]
        return self._make(np.random.default_rng([self.recipe.seed, stream, number]), candidates,
                          test=True)

    def _make(self, rng, candidates, test):
        """Observe one of the candidate sources anew."""
        settings, stamp = self.settings, self.recipe.stamp
        magnitude = settings.magnitudes.draw(rng)
        wanted = settings.flux_radius.draw(magnitude, rng)
        redshift = settings.redshift.draw(magnitude, rng)
        psf = int(rng.integers(len(self._psf_images)))

        # Sizes add in quadrature, roughly; the radius that is stored is measured below.
        intrinsic = np.sqrt(max(wanted**2 - self._psf_radius[psf]**2, 0.25))
        source = self._pick_source(intrinsic, candidates, rng)
        shape = galsim.Shear(g=0.05 * np.sqrt(rng.random()),
                             beta=rng.uniform(0, np.pi) * galsim.radians)
        profile = self._profile(source)
        if rng.random() < 0.5:
            profile = profile.transform(1, 0, 0, -1)
        offset = rng.uniform(-settings.offset, settings.offset, 2) * stamp.pixel_scale
        profile = (profile.rotate(rng.uniform(0, 360) * galsim.degrees)
                   .shear(shape)
                   .dilate(intrinsic / self._radius[source])
                   .withFlux(10 ** (-0.4 * (magnitude - stamp.zero_point)))
                   .shift(*offset))
        observed = galsim.Convolve(
            profile, self._psf_profiles[psf],
            gsparams=galsim.GSParams(folding_threshold=1e-2)).drawImage(
                nx=stamp.size, ny=stamp.size, scale=stamp.pixel_scale,
                method="no_pixel", dtype=float).array
        radius = flux_radius(observed)
        low, high = settings.flux_radius.range
        if not low <= radius <= high:
            return None
        sigma = float(np.sqrt(self._catalog["NOISE_VARIANCE"][psf]))
        truth = None
        if test:
            truth = profile.drawImage(nx=stamp.size, ny=stamp.size, scale=stamp.pixel_scale,
                                      method="no_pixel", dtype=float).array
        return Example(
            stamp=observed + sigma * rng.standard_normal(observed.shape),
            psf_index=psf, noise_sigma=sigma, source=source, test=test, truth=truth,
            columns=dict(zip(COLUMNS, (radius, magnitude, redshift), strict=True)))
