"""The builder of radio sources: images of the FIRST survey that were clipped and scaled to 8 bits.

It reads the Radio Galaxy Dataset (Griese et al. 2023, Data in Brief 47, 108974), or an ``.npz``
file with the same content: ``images`` uint8 [n, s, s] with the sources in the middle, ``label`` [n]
the number of the class (-1 if it is not known), ``split`` [n] the name of the split, ``ra`` and
``dec`` [n] in degrees.  In these images everything below 3 sigma of the noise was set to zero, and
the rest was scaled, after subtraction of the threshold, and truncated to whole numbers:

    value = floor(255 (x - 3 sigma) / (peak - 3 sigma))

Neither the flux nor the noise is therefore in the file.  The noise relative to the peak is
estimated from the few pixels away from the sources in which the noise exceeds the threshold
(`noise_ratio`).  The flux follows, since the noise of the survey is nearly the same everywhere.
Emission above the threshold but far from any pixel above 5 sigma is mostly noise and is removed, in
the same way as from generated images (`galsim_deep.observations.clipping`).
"""

__all__ = ["FirstSources", "extent", "noise_ratio"]

import functools
import zipfile
from pathlib import Path

import galsim
import numpy as np
from astropy.table import Table
from galsim import GalSimConfigError
from scipy import ndimage, stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from galsim_deep.observations.clipping import clipped
from galsim_deep.observations.noise import CORRELATION_SIZE
from galsim_deep.observations.psf import psf_image

from ...recipe import Recipe
from ...settings import Arcsec, Positive, Repeats, Settings, Share, Text
from ..example import Example
from ..radio_galaxy_dataset import read_radio_galaxy_dataset
from .base import Builder

PIXEL_SCALE = 1.8
"""Size of a pixel of the images of FIRST [arcsec]."""
CLIP = 3.0
"""Images are zero below this value [sigma of the noise]."""
SIGNIFICANT = 5.0
"""Emission without a pixel above this value nearby is taken to be noise [sigma]."""
LEVELS = 255
"""The value of the brightest pixel of an image."""
RATIOS = np.geomspace(5e-4, 1.0, 200)
"""The noise ratios that are considered: peaks between 2000 and 4 sigma."""
STRAY = 3e-5
"""Fraction of the pixels away from large islands that contain neither blank sky nor Gaussian noise,
but faint sources or sidelobes."""
KEYS = ("images", "label", "split", "ra", "dec")
UNITS = {"flux": "mJy", "largest_angular_size": "arcsec"}
"""Quantities that columns may measure, with their units."""
NEIGHBOURS = np.ones((3, 3))
"""Pixels belong to one island if they touch at a side or a corner."""


class FirstSourcesSettings(Settings):
    """Settings of the ``first_sources`` builder."""

    file_name: Text
    """The file with the images: the ``.zip`` of the Radio Galaxy Dataset, or an ``.npz``."""
    rms: Positive = 0.15
    """Noise of the survey, which is taken to be that of each image [mJy/beam]."""
    beam: Arcsec = 5.4
    """FWHM of the circular Gaussian beam [arcsec]."""
    test_splits: tuple[Text, ...] = ("test",)
    """Splits of the file that form the test split; all others are for training."""
    turns: Repeats = 1
    """Number of examples per training source, not a number of rotations: the first example shows
    the source as it was observed, the others are rotated by a random angle and mirrored at random.
    There is one example per test source."""
    least_flux_share: Share = 0.5
    """Smallest fraction of the light of a source that must lie inside the stamp; sources with a
    smaller fraction are left out.  The fraction is relative to the light within the largest disc
    that fits into the image."""
    classes: tuple[Text, ...] = ("FRI", "FRII", "Compact", "Bent")
    """Names of the classes in the order of their numbers."""
    excluded: Text | None = None
    """A CSV file of positions, with the columns ``ra`` and ``dec`` [degrees].  Sources within half
    a stamp of one of them are left out, so that they can test what was learnt.  [default: none]"""


class FirstSources(Builder, kind="first_sources"):
    """Observed, clipped stamps of radio sources with their class, in mJy per pixel.

    See `Builder` for the parameters.

    Raises:
        galsim.GalSimConfigError: if the file cannot be read or is not laid out as described above,
            or the recipe has other pixels or columns than this builder can make.

    Example::

        >>> import tempfile
        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/first_mpcc.yaml")
        >>> image = np.zeros([100, 100], np.uint8)
        >>> image[48:53, 45:56] = 100  # eleven pixels long
        >>> image[50, 50] = 255
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/first.npz", images=[image], label=[1], split=["test"], ra=[150],
        ...              dec=[2])
        ...     builder = FirstSources(
        ...         FirstSources.Settings(file_name=f"{folder}/first.npz"), recipe)
        >>> example = builder.example(0)
        >>> example.stamp.shape, example.label, round(example.columns["size"], 1)  # [arcsec]
        ((96, 96), 1, 21.2)
    """

    Settings = FirstSourcesSettings
    settings: FirstSourcesSettings
    clipping = (CLIP, SIGNIFICANT)

    def __init__(self, settings: FirstSourcesSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self._check_recipe()
        self._read(self.locate(settings.file_name))
        fwhm = settings.beam / recipe.stamp.pixel_scale
        self._beam_area = np.pi / (4 * np.log(2)) * fwhm**2
        self._noise_sigma = settings.rms / self._beam_area
        # Two sources that are closer than this appear in the same stamp.
        side = recipe.stamp.size * recipe.stamp.pixel_scale
        self._source = _same_sources(self._images, self._ra, self._dec, 0.5 * side)
        excluded = self._excluded(0.5 * side)
        test_sources = set(self._source[self._test].tolist())
        # (row, index of the rotation), row by row: rotated examples follow their source.
        self._rotations = [
            (row, rotation) for row, (source, test) in enumerate(
                zip(self._source.tolist(), self._test.tolist(), strict=True))
            if source not in excluded and (test or source not in test_sources)
            for rotation in range(1 if test else settings.turns)]
        self._prepared = functools.lru_cache(maxsize=1)(self._prepare)

    def _check_recipe(self) -> None:
        stamp, path = self.recipe.stamp, self.recipe.path
        if abs(stamp.pixel_scale / PIXEL_SCALE - 1) > 1e-6:
            raise GalSimConfigError(f"The recipe {path}: the images of FIRST have pixels of "
                                    f"{PIXEL_SCALE} arcsec, and first_sources keeps them; "
                                    f"stamp.pixel_scale is {stamp.pixel_scale:g}.")
        for column in self.recipe.columns:
            if UNITS.get(column.quantity) != column.unit:
                available = ", ".join(f"{quantity} in {unit}" for quantity, unit in UNITS.items())
                raise GalSimConfigError(
                    f"The recipe {path} has the column '{column.name}' of the quantity "
                    f"'{column.quantity}' in the unit '{column.unit}'; first_sources offers "
                    f"{available}.")
            if column.quantity == "largest_angular_size":
                self.recipe.check_as_observed(column, "the builder first_sources")

    def _read(self, path: Path) -> None:
        where = f"The file {path} of the recipe {self.recipe.path}"
        try:
            content = _content(path)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as err:
            raise GalSimConfigError(f"{where} cannot be read: {err}") from err
        missing = [key for key in KEYS if key not in content]
        if missing:
            raise GalSimConfigError(f"{where} lacks {', '.join(missing)}.")
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
            raise GalSimConfigError(f"{where} has no split {', '.join(absent)}; its splits are: "
                                    f"{', '.join(sorted(set(split.tolist())))}.")
        self._test = np.isin(split, self.settings.test_splits)

    def _excluded(self, separation: float) -> set[int]:
        """The numbers of the sources within this distance [arcsec] of positions to be left out."""
        if self.settings.excluded is None:
            return set()
        path = self.locate(self.settings.excluded)
        try:
            positions = Table.read(path, format="ascii.csv")
            others = _on_sphere(*(np.asarray(positions[name], float) for name in ("ra", "dec")))
        except (OSError, ValueError, KeyError) as err:
            raise GalSimConfigError(f"The recipe {self.recipe.path}, data.excluded: {path} cannot "
                                    "be read as a CSV file with the columns ra and dec [degrees]: "
                                    f"{err}") from err
        distance, _ = cKDTree(others).query(_on_sphere(self._ra, self._dec))
        return set(self._source[distance < np.radians(separation / 3600)].tolist())

    def __len__(self) -> int:
        return len(self._rotations)

    def psfs(self) -> np.ndarray:
        stamp = self.recipe.stamp
        beam = galsim.Gaussian(fwhm=self.settings.beam)
        return psf_image(beam, stamp.psf_size, stamp.pixel_scale)[None]

    def noise_correlations(self) -> np.ndarray:
        # Noise that is white over the field of view, seen through the beam.
        sigma = np.sqrt(2) * galsim.Gaussian(fwhm=self.settings.beam).sigma
        lags = (np.arange(CORRELATION_SIZE) - CORRELATION_SIZE // 2) * self.recipe.stamp.pixel_scale
        correlation = np.exp(-0.5 * (lags / sigma)**2)
        return np.outer(correlation, correlation)[None]

    def example(self, number: int) -> Example | None:
        row, rotation = self._rotations[number]
        prepared = self._prepared(row)
        if prepared is None:
            return None
        excess, ratio = prepared
        if rotation > 0:
            excess = self._rotated(excess, row, rotation)
        stamp = self._middle(self._flux(excess, ratio))
        values = dict(flux=float(stamp.sum()),
                      largest_angular_size=self.recipe.stamp.pixel_scale * extent(stamp))
        if values["flux"] <= 0:
            return None
        return Example(
            stamp=stamp, psf_index=0, noise_sigma=self._noise_sigma,
            columns={column.name: values[column.quantity] for column in self.recipe.columns},
            source=int(self._source[row]), test=bool(self._test[row]),
            label=int(self._label[row]))

    def _prepare(self, row: int) -> tuple[np.ndarray, float] | None:
        """The significant emission above the threshold in an image.

        Returns:
            (excess, ratio): the excess in units of (peak - threshold)/255, float64 [s, s], each
            pixel 0 or at least 1; and the `noise_ratio`.  None if the source cannot be used.
        """
        image = self._images[row]
        if not np.any(image):
            return None
        ratio = noise_ratio(image, self._beam_area,
                            np.random.default_rng([self.recipe.seed, row]))
        # Values were truncated: half a level is missing on average, except at the peak.
        excess = np.where((image > 0) & (image < LEVELS), image + 0.5, image)
        flux = self._flux(excess, ratio)
        excess[flux == 0] = 0.0
        fraction = self._middle(flux).sum() / max(flux[_disc(len(flux))].sum(), 1e-30)
        return None if fraction < self.settings.least_flux_share else (excess, ratio)

    def _flux(self, excess: np.ndarray, ratio: float) -> np.ndarray:
        """The significant emission [mJy/pixel], [s, s]; parameters as `_prepare` returns them."""
        signal = np.where(excess > 0, CLIP + excess / (LEVELS * ratio), 0.0)
        return self._noise_sigma * clipped(signal, 1.0, *self.clipping)

    def _middle(self, image: np.ndarray) -> np.ndarray:
        """The part of an image that lies in the stamp, [S, S]."""
        size = self.recipe.stamp.size
        corner = (len(image) - size) // 2
        return image[corner:corner + size, corner:corner + size]

    def _rotated(self, excess: np.ndarray, row: int, rotation: int) -> np.ndarray:
        """The same source, rotated and perhaps mirrored; ``excess`` as `_prepare` returns it."""
        rng = np.random.default_rng([self.recipe.seed, row, rotation])
        # Only the part of the image that can be rotated into the stamp.
        size = len(excess)
        reach = min(size, int(np.ceil(np.sqrt(2) * self.recipe.stamp.size)) + 8)
        reach -= (size - reach) % 2
        corner = (size - reach) // 2
        part = excess[corner:corner + reach, corner:corner + reach]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        angle = rng.uniform(0, 360)
        # The excess is continuous at the edge of an island, while the flux has a step of 3 sigma
        # there.  Interpolated, the excess extends beyond the edge; so islands are rotated
        # separately.
        inside = ndimage.rotate((part > 0).astype(float), angle, reshape=False, order=1) >= 0.5
        part = ndimage.rotate(part, angle, reshape=False, order=3)
        return np.where(inside, np.maximum(part, 1.0), 0.0)


def _content(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a file, by name."""
    if path.suffix == ".zip":
        return read_radio_galaxy_dataset(path)
    file = np.load(path)
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise ValueError("it is not an .npz file")
    with file:
        return {key: file[key] for key in KEYS if key in file}


def _disc(size: int) -> np.ndarray:
    """The largest disc within an image, bool, shape [size, size]."""
    axis = np.arange(size) - 0.5 * (size - 1)
    return np.hypot(axis[:, None], axis) <= 0.5 * size


def extent(stamp: np.ndarray) -> float:
    """The largest angular size of a clipped source, in pixels.

    It is the largest distance between the centres of two pixels that are not zero, plus one pixel.

    Parameters:
        stamp:      Shape [S, S].

    Example::

        >>> extent(np.eye(5))
        6.65...
    """
    rows, columns = np.nonzero(stamp)
    if not len(rows):
        return 0.0
    # The most distant pixels are the first or the last of their rows.
    candidates = []
    for row in np.unique(rows):
        in_row = columns[rows == row]
        candidates += [(row, in_row.min()), (row, in_row.max())]
    ends = np.array(candidates, float)
    separations = ends[:, None] - ends
    return float(np.sqrt((separations**2).sum(-1).max())) + 1.0


def _same_sources(images: np.ndarray, ra: np.ndarray, dec: np.ndarray,
                  separation: float) -> np.ndarray:
    """Number the sources that images show; several images may show the same one.

    Parameters:
        images:         Shape [n, s, s].
        ra, dec:        Coordinates [degrees], shape [n].
        separation:     Images closer than this show the same source [arcsec]; exact copies always
                        do.

    Returns:
        int, shape [n]: the first row that shows the source.
    """
    pairs = cKDTree(_on_sphere(ra, dec)).query_pairs(
        np.radians(separation / 3600), output_type="ndarray").tolist()
    first_rows: dict[bytes, int] = {}
    for row, image in enumerate(images):
        # All empty images are equal, whatever source they belong to.
        if image.any():
            pairs.append((first_rows.setdefault(image.tobytes(), row), row))
    first, second = np.array(pairs, int).reshape(-1, 2).T
    count = len(images)
    _, groups = connected_components(
        coo_array((np.ones(len(first)), (first, second)), shape=(count, count)), directed=False)
    _, rows, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return rows[inverse]


def _on_sphere(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Coordinates [degrees], shape [n] each, as points of the unit sphere, shape [n, 3]."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


@functools.lru_cache
def _value_probabilities() -> np.ndarray:
    """Probability of each value in a pixel away from sources, for each of `RATIOS`: [RATIOS, 256].

    The last value, 255, includes everything above it.
    """
    edges = CLIP + np.arange(1, LEVELS + 1) / (LEVELS * RATIOS[:, None])
    above = stats.norm.sf(edges)
    noise = np.concatenate([1 - above[:, :1], above[:, :-1] - above[:, 1:], above[:, -1:]], axis=1)
    stray = np.concatenate([[0.0], 1 / np.arange(1, LEVELS + 1)])
    return (1 - STRAY) * noise + STRAY * stray / stray.sum()


def noise_ratio(image: np.ndarray, beam_area: float,
                rng: np.random.Generator | None = None) -> float:
    """Estimate the noise of a clipped image, sigma/(peak - 3 sigma).

    Islands larger than half a beam are emission.  Away from them, the values of pixels follow the
    tail of a Gaussian above 3 sigma, in steps of (peak - 3 sigma)/255.  Their likelihood is that of
    independent pixels, of which a small fraction does not contain noise (`STRAY`).

    On pure Gaussian noise the estimate is some 20 per cent low, since a few islands of noise are
    larger than half a beam.  In images of FIRST faint sources compensate for that: compared with
    images whose threshold is known, its median is 7 per cent high, and two thirds of the estimates
    are within 25 per cent.  Sources brighter than some 300 sigma leave no noise above one step;
    then there is an upper limit only.  The prior follows the counts of sources, N(>S) ~ 1/S.

    Parameters:
        image:      Values from 0 to 255, uint8, shape [s, s].
        beam_area:  Area of the beam [pixels].
        rng:        Random numbers to draw from the posterior, so that sources with an upper limit
                    do not all have the same peak.  [default: the posterior mean of the logarithm]

    Returns:
        a number within the range of `RATIOS`.
    """
    islands, _ = ndimage.label(image, NEIGHBOURS)
    large = np.bincount(islands.ravel()) > 0.5 * beam_area
    large[0] = False
    # Around an island its emission extends for about a beam below the threshold.
    near = ndimage.binary_dilation(large[islands], iterations=int(np.ceil(np.sqrt(beam_area))))
    counts = np.bincount(image[~near], minlength=LEVELS + 1)
    weight = np.log(_value_probabilities()) @ counts + np.log(RATIOS)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    if rng is not None:
        return float(rng.choice(RATIOS, p=weight))
    return float(np.exp(weight @ np.log(RATIOS)))
