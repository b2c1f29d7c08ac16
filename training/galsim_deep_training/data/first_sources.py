"""The builder of radio sources: images of the FIRST survey that were clipped and scaled to 8 bits.

Reads files laid out like the Radio Galaxy Dataset (Griese et al. 2023): ``images`` uint8 [n, s, s]
with the sources in the middle, ``label`` [n] the number of the class (-1 where it is not known),
``split`` [n] the name of the split, ``ra`` and ``dec`` [n] in degrees.  Before they were written
everything below 3 sigma of the noise was set to zero, and the rest was scaled, threshold
subtracted, and truncated to whole numbers:

    value = floor(255 (x - 3 sigma) / (peak - 3 sigma))

So neither the flux nor the noise is in the file.  The noise relative to the peak is estimated from
the few pixels away from the sources in which noise alone is above the threshold, `noise_ratio`; the
flux follows, as the noise of the survey is nearly the same everywhere.  What is above the threshold
but far from any pixel of 5 sigma is noise, most of it, and left out; who makes images like these
has to do so as well (`galsim_deep.clipping`).
"""

__all__ = ["FirstSources", "noise_ratio"]

import functools
import zipfile

import galsim
import numpy as np
from galsim import GalSimConfigError
from scipy import ndimage, stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from galsim_deep.clipping import clipped

from ..bounds import Arcsec, Positive, Repeats, Share, Text
from ..recipe import Settings
from .build import Builder
from .dataset import Example
from .noise import CORRELATION_SIZE
from .stamps import psf_image

PIXEL_SCALE = 1.8
"""Of the images of FIRST [arcsec]."""
CLIP = 3.0
"""What is below so many sigma of the noise is zero in the images."""
FAINT = 5.0
"""Light without a pixel above so many sigma nearby counts as noise."""
LEVELS = 255
"""The value of the brightest pixel."""
RATIOS = np.geomspace(5e-4, 1.0, 200)
"""Noise ratios that are thought possible: peaks between 2000 and 4 sigma."""
STRAY = 3e-5
"""Share of the pixels away from large islands that hold neither blank sky nor Gaussian noise:
faint sources, sidelobes."""
KEYS = ("images", "label", "split", "ra", "dec")
COLUMNS = ("flux_density", "size")
TOUCHING = np.ones((3, 3))


class FirstSourcesSettings(Settings):
    """Settings of the ``first_sources`` builder."""

    file_name: Text
    """The ``.npz`` file with the images."""
    rms: Positive = 0.15
    """Noise of the survey, which is taken to be that of each image [mJy/beam]."""
    beam: Arcsec = 5.4
    """FWHM of the round Gaussian beam [arcsec]."""
    test_splits: tuple[Text, ...] = ("test",)
    """Splits of the file that make the test split; all others are for training."""
    turns: Repeats = 1
    """How many examples are made of each source for training: one as it was observed, the others
    turned by a random angle and mirrored.  Those for the test are never turned."""
    least_flux_share: Share = 0.5
    """Sources of whose image a smaller share of the light is within the stamp are passed over."""
    classes: tuple[Text, ...] = ("FRI", "FRII", "Compact", "Bent")
    """Names of the classes in the order of their numbers."""


class FirstSources(Builder, name="first_sources"):
    """Observed, clipped stamps of radio sources with their class, in mJy per pixel."""

    Settings = FirstSourcesSettings
    clipping = (CLIP, FAINT)

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        self._check_settings()
        self._read(self.locate(settings.file_name))
        pixels = settings.beam / recipe.stamp.pixel_scale
        self._beam_area = np.pi / (4 * np.log(2)) * pixels**2
        self._noise_sigma = settings.rms / self._beam_area
        # Closer than that, a source is in the stamp of the other.
        side = recipe.stamp.size * recipe.stamp.pixel_scale
        self._source = _same_sources(self._images, self._ra, self._dec, 0.5 * side)
        known = set(self._source[self._test].tolist())
        # Row by row, so that the turned examples of a source follow one another.
        self._numbers = [
            (row, turn) for row, (source, test) in enumerate(
                zip(self._source.tolist(), self._test.tolist(), strict=True))
            if test or source not in known for turn in range(1 if test else settings.turns)]
        self._prepared = functools.lru_cache(maxsize=1)(self._prepare)

    def _check_settings(self):
        stamp, path = self.recipe.stamp, self.recipe.path
        if abs(stamp.pixel_scale / PIXEL_SCALE - 1) > 1e-6:
            raise GalSimConfigError(f"The recipe {path}: the images of FIRST have pixels of "
                                    f"{PIXEL_SCALE} arcsec, and first_sources keeps them; "
                                    f"stamp.pixel_scale is {stamp.pixel_scale:g}.")
        unknown = [column.name for column in self.recipe.columns if column.name not in COLUMNS]
        if unknown:
            raise GalSimConfigError(f"The recipe {path} asks for the column {', '.join(unknown)}; "
                                    f"first_sources offers {', '.join(COLUMNS)}.")

    def _read(self, path):
        where = f"The file {path} of the recipe {self.recipe.path}"
        try:
            content = np.load(path)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as err:
            raise GalSimConfigError(f"{where} cannot be read: {err}") from err
        missing = [key for key in KEYS if key not in getattr(content, "files", ())]
        if missing:
            raise GalSimConfigError(f"{where} lacks {', '.join(missing)}.")
        with content:
            self._images, self._label, split, self._ra, self._dec = (content[key] for key in KEYS)
        shape, size = self._images.shape, self.recipe.stamp.size
        if len(shape) != 3 or shape[1] != shape[2] or self._images.dtype != np.uint8:
            raise GalSimConfigError(f"{where} has images of shape {shape} and type "
                                    f"{self._images.dtype}, not [n, s, s] and uint8.")
        if shape[1] < size:
            raise GalSimConfigError(f"{where} has images of {shape[1]} pixels, smaller than the "
                                    f"stamps of {size}.")
        for key, values in zip(KEYS[1:], (self._label, split, self._ra, self._dec), strict=True):
            if values.shape != shape[:1]:
                raise GalSimConfigError(f"{where} has {shape[0]} images, but '{key}' has the shape "
                                        f"{values.shape}.")
        wrong = (self._label < -1) | (self._label >= len(self.settings.classes))
        if np.any(wrong):
            raise GalSimConfigError(
                f"{where} has the label {self._label[wrong][0]} in row {np.flatnonzero(wrong)[0]}, "
                f"but classes names {len(self.settings.classes)}.")
        absent = sorted(set(self.settings.test_splits) - set(split.tolist()))
        if absent:
            raise GalSimConfigError(f"{where} has no split {', '.join(absent)}; there are: "
                                    f"{', '.join(sorted(set(split.tolist())))}.")
        self._test = np.isin(split, self.settings.test_splits)

    def __len__(self):
        return len(self._numbers)

    def psfs(self):
        stamp = self.recipe.stamp
        beam = galsim.Gaussian(fwhm=self.settings.beam)
        return psf_image(beam, stamp.psf_size, stamp.pixel_scale)[None]

    def noise_correlations(self):
        # Noise that was white over the field of view, seen through the beam.
        sigma = np.sqrt(2) * galsim.Gaussian(fwhm=self.settings.beam).sigma
        lags = (np.arange(CORRELATION_SIZE) - CORRELATION_SIZE // 2) * self.recipe.stamp.pixel_scale
        along = np.exp(-0.5 * (lags / sigma)**2)
        return np.outer(along, along)[None]

    def example(self, number):
        row, turn = self._numbers[number]
        light = self._prepared(row)
        if light is None:
            return None
        stamp = self._observed(light if turn == 0 else self._turned(light, row, turn))
        columns = dict(flux_density=float(stamp.sum()),
                       size=self.recipe.stamp.pixel_scale * extent(stamp))
        if columns["flux_density"] <= 0:
            return None
        return Example(
            stamp=stamp, psf_index=0, noise_sigma=self._noise_sigma,
            columns={column.name: columns[column.name] for column in self.recipe.columns},
            source=int(self._source[row]), test=bool(self._test[row]),
            label=int(self._label[row]))

    def _prepare(self, row):
        """What is above the threshold in an image, without islands of noise.

        Returns:
            (excess, ratio): the excess in units of (peak - threshold)/255, float64, shape [s, s],
            at least 1 or 0, and the `noise_ratio`; or None where the source cannot be used.
        """
        image = self._images[row]
        if not np.any(image):
            return None
        ratio = noise_ratio(image, self._beam_area,
                            np.random.default_rng([self.recipe.seed, row]))
        # Values were truncated: half a level is missing on average, but for the peak.
        excess = np.where((image > 0) & (image < LEVELS), image + 0.5, image)
        light = self._light(excess, ratio)
        excess[light == 0] = 0.0
        share = self._middle(light).sum() / max(light[_disc(len(light))].sum(), 1e-30)
        return None if share < self.settings.least_flux_share else (excess, ratio)

    def _light(self, excess, ratio):
        """Flux densities of what is significant [mJy/pixel]; ``excess`` as `_prepare` has it."""
        sigmas = np.where(excess > 0, CLIP + excess / (LEVELS * ratio), 0.0)
        return self._noise_sigma * clipped(sigmas, 1.0, *self.clipping)

    def _observed(self, light):
        return self._middle(self._light(*light))

    def _middle(self, image):
        size = self.recipe.stamp.size
        corner = (len(image) - size) // 2
        return image[corner:corner + size, corner:corner + size]

    def _turned(self, light, row, turn):
        """The same source at another angle; ``light`` as `_prepare` has it."""
        excess, ratio = light
        rng = np.random.default_rng([self.recipe.seed, row, turn])
        # As much of the image as may come to lie in the stamp.
        size = len(excess)
        reach = min(size, int(np.ceil(np.sqrt(2) * self.recipe.stamp.size)) + 8)
        reach -= (size - reach) % 2
        corner = (size - reach) // 2
        cut = excess[corner:corner + reach, corner:corner + reach]
        if rng.random() < 0.5:
            cut = cut[:, ::-1]
        angle = rng.uniform(0, 360)
        # The excess is continuous where the image was clipped, the light itself has a step of
        # 3 sigma; yet interpolated it spreads beyond the edge, so that this is turned by itself.
        inside = ndimage.rotate((cut > 0).astype(float), angle, reshape=False, order=1) >= 0.5
        cut = ndimage.rotate(cut, angle, reshape=False, order=3)
        return np.where(inside, np.maximum(cut, 1.0), 0.0), ratio


def _disc(size):
    """The disc that fits into an image, bool, shape [size, size]."""
    axis = np.arange(size) - 0.5 * (size - 1)
    return np.hypot(axis[:, None], axis) <= 0.5 * size


def extent(stamp):
    """The largest distance between two pixels with light, and one pixel more [pixels]."""
    rows, columns = np.nonzero(stamp)
    if not len(rows):
        return 0.0
    # The two ends of such a line are the first or last of their rows.
    ends = []
    for row in np.unique(rows):
        inside = columns[rows == row]
        ends += [(row, inside.min()), (row, inside.max())]
    ends = np.array(ends, float)
    apart = ends[:, None] - ends
    return float(np.sqrt((apart**2).sum(-1).max())) + 1.0


def _same_sources(images, ra, dec, apart):
    """Number the sources that images show, of which some may show the same.

    Parameters:
        images:     Shape [n, s, s].
        ra, dec:    Shape [n] [degrees].
        apart:      Those closer than this go together [arcsec]; exact copies always do.

    Returns:
        int, shape [n]: the row in which each source is found first.
    """
    ra, dec = np.radians(ra), np.radians(dec)
    places = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    pairs = cKDTree(places).query_pairs(np.radians(apart / 3600), output_type="ndarray").tolist()
    first = {}
    for row, image in enumerate(images):
        # An image without light says nothing about which source it is.
        if image.any():
            pairs.append((first.setdefault(image.tobytes(), row), row))
    one, other = np.array(pairs, int).reshape(-1, 2).T
    count = len(images)
    _, groups = connected_components(
        coo_array((np.ones(len(one)), (one, other)), shape=(count, count)), directed=False)
    _, rows, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return rows[inverse]


@functools.lru_cache
def _value_probabilities():
    """How probable each value of a pixel of noise is, shape [RATIOS, 256]; 255 has all above."""
    edges = CLIP + np.arange(1, LEVELS + 1) / (LEVELS * RATIOS[:, None])
    above = stats.norm.sf(edges)
    noise = np.concatenate([1 - above[:, :1], above[:, :-1] - above[:, 1:], above[:, -1:]], axis=1)
    stray = np.concatenate([[0.0], 1 / np.arange(1, LEVELS + 1)])
    return (1 - STRAY) * noise + STRAY * stray / stray.sum()


def noise_ratio(image, beam_area, rng=None):
    """Estimate the noise of a clipped image: sigma/(peak - 3 sigma).

    Away from islands larger than half a beam, which are light, the values of pixels are those of
    the tail of a Gaussian above 3 sigma, in steps of (peak - 3 sigma)/255.  Their likelihood is
    that of independent pixels, a few of them astray.  On Gaussian noise this finds some 20 per cent
    too little, as a few of its islands are larger; in images of FIRST faint sources make up for it:
    against images whose threshold is known its median is 7 per cent high, and two thirds of them
    are within 25 per cent.  Bright sources, of some 300 sigma and more,
    leave no noise above one step: then there is an upper limit only.  The prior follows the counts
    of sources, as many brighter than S as 1/S.

    Parameters:
        image:      Values from 0 to 255, uint8, shape [s, s].
        beam_area:  Area of the beam [pixels].
        rng:        A numpy Generator: draw from the posterior, so that sources with a limit do not
                    all have the same peak.  [default: its mean, of the logarithm]

    Returns:
        a float, within `RATIOS`.
    """
    islands, _ = ndimage.label(image, TOUCHING)
    large = np.bincount(islands.ravel()) > 0.5 * beam_area
    large[0] = False
    # Beyond the edge of an island its light goes on for about a beam, below the threshold.
    near = ndimage.binary_dilation(large[islands], iterations=int(np.ceil(np.sqrt(beam_area))))
    counts = np.bincount(image[~near], minlength=LEVELS + 1)
    weight = np.log(_value_probabilities()) @ counts + np.log(RATIOS)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    if rng is not None:
        return float(rng.choice(RATIOS, p=weight))
    return float(np.exp(weight @ np.log(RATIOS)))
