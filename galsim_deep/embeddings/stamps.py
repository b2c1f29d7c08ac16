"""Stamps, real or generated, in the form that modules embed."""

__all__ = ["SCALE_TOLERANCE", "Stamps", "fitted", "pictures", "read_stamps", "stacked_psfs"]

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from galsim import GalSimError
from numpy.typing import ArrayLike, NDArray

from ..modules.card import Card
from ..observations.flux_units import FluxUnits
from ..observations.psf import resized_psf
from ..observations.real_galaxies import DATA_SET_SUFFIXES, UNSEEN, open_real_galaxies
from ..observations.stamps_file import StampsFile

SCALE_TOLERANCE = 0.02
"""Relative difference of pixel scales up to which stamps are taken as they are."""
THUMBNAIL = 48
"""Pixels on a side of thumbnails."""
FITS_SUFFIXES = (".fits", ".fit", ".fits.gz")


@dataclasses.dataclass(frozen=True, eq=False)
class Stamps:
    """Stamps with what is known of them.

    Attributes:
        images:         [N, S, S, B], in the flux units of the module.
        psf:            PSF images, [N, P, P, B] or [N, P, P]; None if they are not known.
        noise_sigma:    Standard deviation of the noise in a pixel, [N]; None if it is not known.
        columns:        Catalogue columns, {name: [N]}: those of the module and others, such as
                        labels.
        names:          A name or number of each stamp, [N].

    Example::

        >>> stamps = Stamps(np.ones((3, 8, 8, 1)), names=np.arange(3))
        >>> len(stamps), len(stamps.chosen([0, 2]))
        (3, 2)
    """

    images: np.ndarray
    psf: np.ndarray | None = None
    noise_sigma: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    names: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))

    def __len__(self) -> int:
        return len(self.images)

    def chosen(self, rows: ArrayLike) -> "Stamps":
        """Some of the stamps, by their index."""
        rows = np.asarray(rows, int)
        return Stamps(self.images[rows], None if self.psf is None else self.psf[rows],
                      None if self.noise_sigma is None else self.noise_sigma[rows],
                      {name: values[rows] for name, values in self.columns.items()},
                      self.names[rows])

    def thumbnails(self, size: int = THUMBNAIL) -> NDArray[np.uint8]:
        """Pictures of the stamps, see `pictures`."""
        return pictures(self.images, self.noise_sigma, size)


def pictures(images: np.ndarray, noise_sigma: np.ndarray | None = None,
             size: int = THUMBNAIL) -> NDArray[np.uint8]:
    """Small pictures of stamps, with an arcsinh stretch; three bands are shown as red, green, blue.

    Parameters:
        images:         [N, S, S, B].
        noise_sigma:    Standard deviation of the noise, where the stretch becomes logarithmic, [N].
                        [default: 3 % of the peak of each stamp]
        size:           Pixels on a side of the pictures; stamps are averaged over whole pixels,
                        never enlarged.

    Returns:
        uint8 [N, size, size, 3]; the first row is at the bottom of the picture.

    >>> pictures(np.ones((2, 96, 96, 1))).shape
    (2, 48, 48, 3)
    """
    from ..picture import render

    factor = max(1, images.shape[1] // size)
    side = images.shape[1] // factor
    start = (images.shape[1] - side * factor) // 2
    cut = images[:, start:start + side * factor, start:start + side * factor]
    small = cut.reshape(len(images), side, factor, side, factor, -1).mean(axis=(2, 4))
    found = []
    for number, image in enumerate(small):
        if image.shape[-1] == 3:
            found.append(np.round(255 * np.clip(image / max(image.max(), 1e-30), 0, 1))[::-1]
                         .astype(np.uint8))
            continue
        light = image.mean(axis=-1)
        peak = max(float(light.max()), 1e-30)
        noise = 0.0 if noise_sigma is None else float(np.mean(noise_sigma[number])) / factor
        # Black is the noise below zero, unless there is none, as in a clipped stamp.
        floor = max(-noise, min(float(light.min()), 0.0))
        found.append(render(light, max(2.0 * noise, 0.03 * peak), peak=peak, floor=floor))
    return np.stack(found)


def read_stamps(path: str | os.PathLike, card: Card, *, split: str = "test",
                count: int | None = None, seed: int = 1, full_scale: float | None = None,
                pixel_scale: float | None = None, zero_point: float | None = None,
                like: str | os.PathLike | None = None,
                columns: Mapping[str, str] | None = None) -> Stamps:
    """Read stamps for a module.

    Parameters:
        path:           One of

                        * an HDF5 file of ``galsim-deep-train data``,
                        * the collection of real galaxies, or a folder that
                          `galsim.RealGalaxyCatalog` reads,
                        * a FITS file of ``galsim-deep sample``,
                        * an ``.npz`` file with ``images`` [n, s, s] or [n, s, s, B]; its other
                          arrays of length n are columns, and ``id``, if there is one, the names.

        card:           The card of the module.
        split:          ``test``, ``train`` or ``all``: which part of a data set.
        count:          Largest number of stamps, chosen at random.  [default: all]
        seed:           Seed of this choice, and of the noise with ``like``.
        full_scale:     In an ``.npz`` file, the pixel value that is 1 in the units of the module.
                        [default: 1]
        pixel_scale:    Size of a pixel of an ``.npz`` or FITS file [arcsec].  [default: that of
                        the FITS header, otherwise that of the module]
        zero_point:     AB magnitude of unit flux in the stamps.  [default: that of the file or of
                        the FITS header, otherwise that of the module]
        like:           A data set like whose test stamps the light of a FITS file of
                        ``galsim-deep sample``, which is before the PSF, is observed: each galaxy
                        through the PSF, noise and clipping of one of them.  The data set has the
                        flux unit of the module.  [default: None; the light is taken as it is]
        columns:        {column of the module: its name in the file}.  [default: the same name]

    Returns:
        `Stamps` of the size, bands and flux unit of the module; smaller images are padded with
        zeros, larger ones are cut about their middle.

    Raises:
        galsim.GalSimError: if the file cannot be read, is empty, has pixels of another scale, or
            arrays of different lengths.
    """
    path = Path(path)
    renamed = dict(columns or {})
    if path.suffix == ".npz":
        stamps = _of_arrays(path, card, full_scale, pixel_scale, renamed)
        stamps = _in_flux_unit(stamps, zero_point, card)
    elif path.name.endswith(FITS_SUFFIXES) and _has_cube(path):
        stamps = _of_sample(path, card, pixel_scale, zero_point, like, seed, renamed)
    elif path.suffix in DATA_SET_SUFFIXES and _is_data_set(path):
        stamps = _in_flux_unit(_of_data_set(path, card, split, renamed), zero_point, card)
    else:
        return _of_real_galaxies(path, card, split, count, seed, zero_point, renamed)
    if not len(stamps):
        raise GalSimError(f"{path} has no stamps.")
    if count is not None and count < len(stamps):
        rows = np.random.default_rng([seed, 1]).permutation(len(stamps))[:count]
        stamps = stamps.chosen(np.sort(rows))
    return stamps


def _check_scale(path: Path, scale: float, card: Card) -> None:
    if abs(scale / card.pixel_scale - 1) > SCALE_TOLERANCE:
        raise GalSimError(
            f"The stamps of {path} have pixels of {scale:g} arcsec, and the module {card.name} "
            f"takes pixels of {card.pixel_scale:g} arcsec. Resample the stamps to that scale; if "
            "they only look like stamps of that scale, say so with --pixel-scale.")


def _in_flux_unit(stamps: Stamps, zero_point: float | None, card: Card) -> Stamps:
    """Stamps in the flux unit of a module."""
    if zero_point is None:
        return stamps
    units, sigma = FluxUnits.between(zero_point, card.zero_point), stamps.noise_sigma
    return dataclasses.replace(stamps, images=units.image_to_module(stamps.images),
                               noise_sigma=None if sigma is None else units.image_to_module(sigma))


def _check_bands(path: Path, images: np.ndarray, card: Card) -> None:
    if images.shape[-1] != len(card.bands):
        raise GalSimError(f"The stamps of {path} have {images.shape[-1]} bands, and the module "
                          f"{card.name} takes {len(card.bands)}.")


def fitted(images: np.ndarray, size: int) -> np.ndarray:
    """Images [N, s, s, B] cut, or padded with zeros, about their middle to [N, size, size, B].

    >>> fitted(np.ones((1, 4, 4, 1)), 6)[0, :, 2, 0].tolist()
    [0.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    """
    old = images.shape[1]
    common = min(old, size)
    cut, pad = (old - common) // 2, (size - common) // 2
    fitted = np.zeros((len(images), size, size, images.shape[-1]), np.float32)
    fitted[:, pad:pad + common, pad:pad + common] = images[:, cut:cut + common, cut:cut + common]
    return fitted


def stacked_psfs(psfs: Sequence[np.ndarray]) -> NDArray[np.float32]:
    """PSF images [P, P] of different odd sizes, padded with zeros to the largest: [N, P, P].

    >>> stacked_psfs([np.ones((1, 1)), np.ones((3, 3))]).sum(axis=(1, 2)).tolist()
    [1.0, 9.0]
    """
    size = max(len(psf) for psf in psfs)
    return np.stack([resized_psf(np.asarray(psf, np.float32), size) for psf in psfs])


def _of_arrays(path: Path, card: Card, full_scale: float | None, pixel_scale: float | None,
               renamed: Mapping[str, str]) -> Stamps:
    try:
        with np.load(path) as file:
            content = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError) as err:
        raise GalSimError(f"The stamps {path} cannot be read: {err}") from err
    images = content.pop("images", None)
    if images is None or images.ndim not in (3, 4) or images.shape[1] != images.shape[2]:
        raise GalSimError(f"{path} has no array 'images' of shape [n, s, s] or [n, s, s, B]; it "
                          f"has: {', '.join(content) or 'nothing'}.")
    images = images.astype(np.float32) / (full_scale or 1.0)
    images = images[..., None] if images.ndim == 3 else images
    _check_bands(path, images, card)
    _check_scale(path, pixel_scale or card.pixel_scale, card)
    names = content.pop("id", np.arange(len(images)))
    if names.shape != images.shape[:1]:
        raise GalSimError(f"The array 'id' of {path} has the shape {names.shape}; one name is "
                          f"needed for each of the {len(images)} images.")
    others = {key: values for key, values in content.items() if values.shape == images.shape[:1]}
    noise = others.pop("noise_sigma", None)
    return Stamps(fitted(images, card.trained_size), _psfs_of(path, content, len(images)), noise,
                  _renamed(others, renamed), names)


def _psfs_of(path: Path, content: Mapping[str, np.ndarray], count: int) -> np.ndarray | None:
    """PSF images ``psf`` of a file: [n, P, P] or [n, P, P, B], or [P, P] for all stamps."""
    psf = content.get("psf")
    if psf is None:
        return None
    if psf.ndim == 2:
        psf = np.broadcast_to(psf, [count, *psf.shape])
    if (psf.ndim not in (3, 4) or len(psf) != count or psf.shape[1] != psf.shape[2]
            or psf.shape[1] % 2 == 0):
        raise GalSimError(f"The array 'psf' of {path} has the shape {psf.shape}; one image of an "
                          f"odd number of pixels is needed for each of the {count} images, or one "
                          "for all of them.")
    return psf


def _renamed(values: Mapping[str, np.ndarray], renamed: Mapping[str, str]
             ) -> dict[str, np.ndarray]:
    found = dict(values)
    for column, name in renamed.items():
        if name not in values:
            raise GalSimError(f"There is no column '{name}'; there are: "
                              f"{', '.join(values) or 'none'}.")
        found[column] = values[name]
    return found


def _has_cube(path: Path) -> bool:
    """Whether a FITS file has a cube of stamps, as ``galsim-deep sample`` writes it."""
    from astropy.io import fits

    try:
        with fits.open(path) as hdus:
            return len(hdus[0].shape) in (3, 4)
    except OSError as err:
        raise GalSimError(f"The stamps {path} cannot be read: {err}") from err


def _of_sample(path: Path, card: Card, pixel_scale: float | None, zero_point: float | None,
               like: Any, seed: int, renamed: Mapping[str, str]) -> Stamps:
    from astropy.io import fits
    from astropy.table import Table

    with fits.open(path) as hdus:
        images = np.asarray(hdus[0].data, np.float32)
        images = images[..., None] if images.ndim == 3 else images
        header = hdus[0].header
        table = Table.read(hdus[1]) if len(hdus) > 1 else Table()
    values = {name: np.asarray(table[name]) for name in table.colnames if table[name].ndim == 1}
    _check_bands(path, images, card)
    if zero_point is None and len(card.bands) == 1:
        zero_point = header.get("ZEROPNT")
    if zero_point is not None:
        images = FluxUnits.between(zero_point, card.zero_point).image_to_module(images)
    scales = values.get("pixel_scale", np.full(
        len(images), pixel_scale or header.get("PIXSCALE", card.pixel_scale)))
    names = values.get("id", np.arange(len(images)))
    if like is not None:
        return _observed(images, scales, card, Path(like), seed, _renamed(values, renamed), names)
    for scale in np.unique(scales):
        _check_scale(path, float(scale), card)
    return Stamps(fitted(images, card.trained_size), columns=_renamed(values, renamed),
                  names=names)


def _observed(images: np.ndarray, scales: np.ndarray, card: Card, like: Path, seed: int,
              columns: dict[str, np.ndarray], names: np.ndarray) -> Stamps:
    """The light of images [N, Z, Z, 1] as stamps of a data set were observed."""
    import galsim

    if images.shape[-1] > 1:
        raise GalSimError("Galaxies in several bands cannot be observed like those of a data set. "
                          "Embed them without --like, or one band with a module for it.")
    galaxies = open_real_galaxies(like, card)
    for scale in np.unique(galaxies.pixel_scales):
        _check_scale(like, float(scale), card)
    rng = np.random.default_rng([seed, 2])
    rows = rng.integers(len(galaxies), size=len(images))
    stamps, psfs, sigmas = [], [], []
    for number, (image, scale, row) in enumerate(zip(images, scales, rows, strict=True)):
        observation = galaxies.observation(int(row))
        profile = galsim.InterpolatedImage(
            galsim.Image(image[..., 0].astype(float), scale=float(scale)), normalization="flux")
        stamp = observation.drawn_like(
            observation.convolved(profile), np.random.default_rng([seed, 3, number]))
        # The stamps of a data set may have different sizes.
        stamps.append(fitted(stamp[None, :, :, None].astype(np.float32), card.trained_size)[0])
        psfs.append(observation.psf)
        sigmas.append(observation.noise_sigma)
    return Stamps(np.stack(stamps), stacked_psfs(psfs), np.array(sigmas), columns, names)


def _is_data_set(path: Path) -> bool:
    from ..observations.real_galaxies import is_collection

    return not is_collection(path)


def _of_data_set(path: Path, card: Card, split: str, renamed: Mapping[str, str]) -> Stamps:
    file = StampsFile(path)
    if split not in ("test", "train", "all"):
        raise GalSimError(f"A data set has the parts test, train and all, not '{split}'.")
    rows = np.flatnonzero(np.ones(len(file), bool) if split == "all"
                          else file.test == (split == "test"))
    if not len(rows):
        raise GalSimError(f"{path} has no stamps in the part '{split}'.")
    for scale in np.unique(file.pixel_scales[rows]):
        _check_scale(path, float(scale), card)
    images = np.stack([file.stamp(int(row)) for row in rows])
    images = images[..., None] if images.ndim == 3 else images
    _check_bands(path, images, card)
    values = {name: column[rows] for name, column in file.columns.items()}
    values.update(source=file.source[rows], label=file.label[rows])
    return Stamps(fitted(images, card.trained_size), file.psfs[file.psf_index[rows]],
                  file.noise_sigma[rows], _renamed(values, renamed), rows)


def _of_real_galaxies(path: Path, card: Card, split: str, count: int | None, seed: int,
                      zero_point: float | None, renamed: Mapping[str, str]) -> Stamps:
    """Galaxies of the collection or of a GalSim catalogue whose pixels are those of the module."""
    parts = {"all": (*UNSEEN, "seen"), "train": ("seen",)}.get(split, UNSEEN)
    galaxies = open_real_galaxies(path, card, columns=renamed, parts=parts)
    alike = np.flatnonzero(np.abs(galaxies.pixel_scales / card.pixel_scale - 1) <= SCALE_TOLERANCE)
    if not len(alike):
        _check_scale(path, float(np.median(galaxies.pixel_scales)), card)
    if count is not None and count < len(alike):
        alike = np.sort(np.random.default_rng([seed, 1]).permutation(alike)[:count])
    observations = [galaxies.observation(int(row)) for row in alike]
    images = [fitted(np.asarray(o.stamp, np.float32)[None, :, :, None], card.trained_size)[0]
              for o in observations]
    values = {name: column[alike] for name, column in galaxies.columns.items()}
    stamps = Stamps(np.stack(images), stacked_psfs([o.psf for o in observations]),
                    np.array([o.noise_sigma for o in observations]),
                    dict(values, source=galaxies.source[alike]), alike)
    known = observations[0].zero_point
    return _in_flux_unit(stamps, known if zero_point is None else zero_point, card)
