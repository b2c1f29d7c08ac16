"""The labelled radio sources of MiraBest and FR-DEEP as stamps of a module of FIRST sources."""

import dataclasses
import os

import galsim
import numpy as np

from galsim_deep.embeddings import Stamps
from galsim_deep.modules.card import Card
from galsim_deep.observations.clipping import clipped
from galsim_deep.observations.psf import psf_image
from galsim_deep_training.data.builders.first_sources import (
    CLIP,
    LEVELS,
    PIXEL_SCALE,
    SIGNIFICANT,
    extent,
    noise_ratio,
)

BEAM, RMS = 5.4, 0.15
"""FWHM of the beam [arcsec], noise [mJy/beam]."""
AREA = np.pi / (4 * np.log(2)) * (BEAM / PIXEL_SCALE)**2
"""Area of the beam [pixels]."""
PSF_SIZE = 33
"""Pixels on a side of PSF images."""
TEST_SOURCES = 104
"""Sources in the test set of MiraBest in Andrianomena 2023."""


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled images.

    Attributes:
        images:     As published, but with the threshold subtracted, uint8 [N, 150, 150].
        label:      FRI or FRII, [N].
        test:       Whether it is in the test set, bool [N].
    """

    images: np.ndarray
    label: np.ndarray
    test: np.ndarray


def mirabest(path: str | os.PathLike, basic: str | os.PathLike) -> Labelled:
    """The confident sources of MiraBest (Miraghaei & Best 2017; Porter & Scaife 2023): 832.

    The test set is the test batch that the authors published (of the data set without the rarer
    kinds), filled up to 104 sources at random.

    Parameters:
        path:   ``.npz`` with images [1255, 150, 150], label (three digits), ra and dec.
        basic:  ``.npz`` with split and filename of the authors' batches.
    """
    with np.load(path) as content:
        images, label, ra, dec = (content[key] for key in ("images", "label", "ra", "dec"))
    with np.load(basic) as content:
        names = content["filename"][content["split"] == "test_batch"]
    places = np.array([[float(part) for part in name[:-4].split("_")[1:3]] for name in names])
    apart = np.hypot((ra[:, None] - places[:, 0]) * np.cos(np.radians(dec))[:, None],
                     dec[:, None] - places[:, 1])
    confident = np.array([kind[0] in "12" and kind[1] == "0" for kind in label])
    test = np.zeros(len(ra), bool)
    test[apart.argmin(axis=0)[apart.min(axis=0) < 0.002]] = True
    test &= confident
    for row in np.random.default_rng(27).permutation(len(ra)):
        if test.sum() < TEST_SOURCES and confident[row]:
            test[row] = True
    # In these images the threshold was not subtracted before they were scaled.
    prepared = np.stack([without_threshold(image) for image in images[confident]])
    kinds = np.array(["FRI" if kind[0] == "1" else "FRII" for kind in label[confident]])
    return Labelled(prepared, kinds, test[confident])


def frdeep(path: str | os.PathLike) -> Labelled:
    """The sources of FR-DEEP (Tang, Scaife & Leahy 2019), as NVSS or as FIRST saw them: 600.

    A pixel of NVSS has 15 arcsec; a module of FIRST sources sees it as one of 1.8 arcsec, at which
    the sources have about the size on the stamp that FIRST sources have.
    """
    with np.load(path) as content:
        # In these images the threshold was not subtracted either.
        images = np.stack([without_threshold(image) if image.any() else image
                           for image in content["images"]])
        return Labelled(images, np.array(["FRI", "FRII"])[content["label"]],
                        content["split"] == "test_batch")


def without_threshold(image: np.ndarray) -> np.ndarray:
    """An image of 8 bits less its smallest value above zero, with a peak of 255."""
    lowest = int(image[image > 0].min())
    excess = np.where(image > 0, image.astype(float) - lowest + 1, 0.0)
    return np.floor(255 * excess / excess.max()).astype(np.uint8)


def fitted(images: np.ndarray, size: int) -> np.ndarray:
    """Images that are shown at half their scale where more than a tenth of the light would be
    outside of the middle ``size`` pixels; the same shape."""
    found = []
    for image in images:
        cut = (len(image) - size) // 2
        if image[cut:-cut, cut:-cut].sum(dtype=float) < 0.9 * image.sum(dtype=float):
            small = image.reshape(len(image) // 2, 2, -1, 2).mean(axis=(1, 3))
            pad = (len(image) - len(small)) // 2
            small = np.pad(small, [(pad, len(image) - len(small) - pad)] * 2)
            image = np.round(255 * small / max(small.max(), 1e-30)).astype(np.uint8)
        found.append(image)
    return np.stack(found)


def radio_stamps(labelled: Labelled, card: Card, seed: int = 1) -> Stamps:
    """Images as the stamps that a module of FIRST sources was trained on, in mJy per pixel.

    The noise of each image is estimated as for the training data (`noise_ratio`); the columns are
    measured on the stamps.

    Parameters:
        labelled:   The images.
        card:       The card of the module.
        seed:       Seed of the peaks of sources whose noise is not known.
    """
    size = card.trained_size
    sigma = RMS / AREA
    stamps = []
    for row, image in enumerate(fitted(labelled.images, size)):
        ratio = noise_ratio(image, AREA, np.random.default_rng([seed, row]))
        excess = np.where((image > 0) & (image < LEVELS), image + 0.5, image)
        signal = np.where(excess > 0, CLIP + excess / (LEVELS * ratio), 0.0)
        kept = clipped(signal, 1.0, CLIP, SIGNIFICANT)
        # The noise of a faint source may be overestimated, so that nothing is significant.
        light = sigma * (kept if kept.any() else signal)
        cut = (len(light) - size) // 2
        light = light[cut:cut + size, cut:cut + size] if cut >= 0 else np.pad(light, -cut)
        stamps.append(light)
    images = np.array(stamps, np.float32)
    columns = dict(flux_density=np.maximum(images.sum(axis=(1, 2)), 0.1),
                   size=PIXEL_SCALE * np.array([max(extent(image), 1.0) for image in images]),
                   label=labelled.label, test=labelled.test)
    psf = psf_image(galsim.Gaussian(fwhm=BEAM), PSF_SIZE, PIXEL_SCALE)
    return Stamps(images[..., None], np.broadcast_to(psf, [len(images), *psf.shape]),
                  np.full(len(images), sigma), columns, np.arange(len(images)))
