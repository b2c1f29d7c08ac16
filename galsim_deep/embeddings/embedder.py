"""Modules as functions from stamps to embeddings."""

__all__ = ["Embedder"]

import os
from collections.abc import Mapping

import numpy as np
from galsim import GalSimError
from numpy.typing import ArrayLike, NDArray

from ..modules.card import Card
from ..modules.module import load
from ..modules.resolve import resolve
from .stamps import Stamps

POSITION_ANGLE = "position_angle"
VALUE_TOLERANCE = 0.1
"""By how much of the range of pixel values of a module stamps may exceed it."""
ROWS = 256
"""Stamps that are prepared at a time; the module divides them further."""


class Embedder:
    """A module that turns stamps into embeddings.

    The embedding is the output of ``embed`` of an encoder, the mean that ``encode`` of a generator
    gives, or for a density of stamps the log-probability, a vector of one number.

    Parameters:
        handle:     A handle: ``hub:NAME``, a folder, an archive or a URL.

    Attributes:
        card:       The `galsim_deep.modules.card.Card` of the module.
        signature:  The signature that is used: ``embed``, ``encode`` or ``log_prob``.
        inputs:     The names of its inputs.
        has_position_angle:     Whether it tells the position angle of a galaxy.

    Raises:
        galsim.GalSimError: if the module cannot be had, or does not take stamps.

    Example::

        >>> embedder = Embedder("hub:first_mpcc")
        >>> embedder.signature, embedder.size, sorted(embedder.inputs)
        ('encode', 96, ['flux_density', 'image', 'noise_sigma', 'psf', 'size'])
    """

    def __init__(self, handle: str | os.PathLike) -> None:
        self._module = load(resolve(handle))
        self.card: Card = self._module.card
        self.signature = self._choose()
        self.inputs = tuple(self._module.tensorflow.signature_inputs(self.signature))
        self._output = dict(embed="embedding", encode="mean").get(self.signature, "log_prob")
        self.has_position_angle = POSITION_ANGLE in self._module.tensorflow.signature_outputs(
            self.signature)

    def _choose(self) -> str:
        signatures = self.card.signatures
        for name in ("embed", "encode"):
            if name in signatures:
                return name
        if (self.card.kind == "density"
                and "image" in self._module.tensorflow.signature_inputs("log_prob")):
            return "log_prob"
        raise GalSimError(
            f"The module {self.card.name} (kind {self.card.kind}) does not turn stamps into "
            f"embeddings: it has the signatures {', '.join(signatures)}, and not 'embed' or "
            "'encode'. Use a module that has one of these; 'galsim-deep info' lists signatures.")

    @property
    def size(self) -> int:
        """Pixels on a side of the stamps that the module takes."""
        return self.card.trained_size

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the module needs, by name."""
        return tuple(column.name for column in self.card.columns if column.name in self.inputs)

    def embed(self, images: ArrayLike, psf: ArrayLike | None = None,
              noise_sigma: ArrayLike | None = None,
              columns: Mapping[str, ArrayLike] | None = None,
              symmetries: bool = False) -> NDArray[np.float32]:
        """Embed stamps.

        Parameters:
            images:         Stamps in the flux units of the module, [N, S, S] or [N, S, S, B].
            psf:            Their PSF images, [N, P, P] or [N, P, P, B]; [P, P] if all have the
                            same.  [default: a point]
            noise_sigma:    Standard deviation of the noise in a pixel, [N], [N, B] or a number.
                            [default: 1 % of the peak of each stamp, where the module needs it]
            columns:        The columns of the card that the module needs, [N] each; optional ones
                            may be missing, or NaN where a value is not known.
            symmetries:     Whether to average the embeddings over the eight symmetries of the
                            square, so that they do not depend on the orientation by such a turn.

        Returns:
            float32 [N, D].

        Raises:
            galsim.GalSimError: if there is no stamp, a value is not finite, a column is missing, or
                the stamps are not of the size, bands and range of values of the module.
        """
        images, inputs = self._checked(images, psf, noise_sigma, columns)
        turned = range(8) if symmetries else range(1)
        total = np.zeros(1)
        for symmetry in turned:
            total = total + self._call(self._output, _turned(images, symmetry), {
                name: _turned(value, symmetry) if name == "psf" else value
                for name, value in inputs.items()}).astype(float)
        return (total / len(turned)).astype(np.float32)

    def position_angles(self, images: ArrayLike, psf: ArrayLike | None = None,
                        noise_sigma: ArrayLike | None = None,
                        columns: Mapping[str, ArrayLike] | None = None) -> NDArray[np.float32]:
        """The position angles of the galaxies in stamps, from x towards y [deg], [N].

        The parameters, and further errors, are those of `embed`.

        Raises a `galsim.GalSimError` if the module does not tell it (`has_position_angle`).
        """
        if not self.has_position_angle:
            raise GalSimError(f"The module {self.card.name} does not tell the position angle of "
                              "galaxies. Use one of the family 'et_vae'.")
        return self._call(POSITION_ANGLE, *self._checked(images, psf, noise_sigma, columns))

    def _checked(self, images: ArrayLike, psf: ArrayLike | None, noise_sigma: ArrayLike | None,
                 columns: Mapping[str, ArrayLike] | None
                 ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Stamps [N, S, S, B] and the other inputs of the signature; see `embed` for errors."""
        images = np.asarray(images, np.float32)
        bands = len(self.card.bands)
        if images.ndim == 3:
            images = images[..., None]
        shape = (self.size, self.size, bands)
        if not len(images):
            raise GalSimError("There are no stamps to embed: the table or file is empty.")
        if images.shape[1:] != shape:
            raise GalSimError(
                f"The stamps have the shape {images.shape[1:]} (pixels, pixels, bands); the module "
                f"{self.card.name} takes {shape}.")
        if not np.isfinite(images).all():
            raise GalSimError("Some pixels of the stamps are not finite. Fill them in first.")
        self._check_values(images)
        inputs: dict[str, np.ndarray] = {}
        if "noise_sigma" in self.inputs:
            inputs["noise_sigma"] = self._noise(images, noise_sigma)
        if "psf" in self.inputs:
            inputs["psf"] = self._psf(len(images), psf)
        values = dict(columns or {})
        optional = {column.name for column in self.card.columns if column.optional}
        for name in self.columns:
            if name not in values and name in optional:
                values[name] = np.nan
            if name not in values:
                raise GalSimError(
                    f"The module {self.card.name} needs the column '{name}' to embed stamps; there "
                    f"are: {', '.join(values) or 'none'}. Add the column.")
            inputs[name] = np.broadcast_to(
                np.asarray(values[name], np.float32), [len(images)])
        return images, inputs

    def _check_values(self, images: np.ndarray) -> None:
        if self.card.stamp.value_range is None:
            return
        low, high = self.card.stamp.value_range
        # Interpolated images exceed the range by a little.
        margin = VALUE_TOLERANCE * (high - low)
        if images.min() < low - margin or images.max() > high + margin:
            raise GalSimError(
                f"The pixels of the stamps have values from {images.min():.4g} to "
                f"{images.max():.4g}; the module {self.card.name} takes values from {low:g} to "
                f"{high:g}. Divide the stamps by their largest possible value (--full-scale of "
                "'galsim-deep embed').")

    def embed_stamps(self, stamps: Stamps, symmetries: bool = False) -> NDArray[np.float32]:
        """Embed `Stamps`; see `embed` for the result and the errors."""
        noise = stamps.noise_sigma
        # Images without noise, such as pictures, have zero.
        return self.embed(stamps.images, stamps.psf,
                          None if noise is None or not np.any(noise) else noise,
                          stamps.columns, symmetries)

    def _call(self, output: str, images: np.ndarray, inputs: Mapping[str, np.ndarray]
              ) -> np.ndarray:
        """An output of the signature for stamps, [N, ...]."""
        parts = [self._module.call(
                     self.signature, image=images[rows],
                     **{name: value[rows] for name, value in inputs.items()})[output]
                 for rows in (slice(first, first + ROWS) for first in range(0, len(images), ROWS))]
        found = np.concatenate(parts)
        return found[:, None] if output == "log_prob" else found

    def _noise(self, images: np.ndarray, noise_sigma: ArrayLike | None) -> np.ndarray:
        if noise_sigma is None:
            peak = np.abs(images).max(axis=(1, 2))
            sigma = np.where(peak > 0, 0.01 * peak, 1.0)
        else:
            sigma = np.asarray(noise_sigma, np.float32)
            if sigma.ndim == 1:
                sigma = sigma[:, None]
        sigma = np.broadcast_to(sigma, [len(images), images.shape[-1]]).astype(np.float32)
        if not (np.isfinite(sigma).all() and (sigma > 0).all()):
            raise GalSimError("The noise of some stamps is not a positive number. The module needs "
                              "the standard deviation of the noise in a pixel of each stamp.")
        return sigma

    def _psf(self, count: int, psf: ArrayLike | None) -> np.ndarray:
        _, size, _, bands = self._module.tensorflow.signature_inputs(self.signature)["psf"] or (
            None, None, None, None)
        if size is None or bands is None:
            size, bands = 1, len(self.card.bands)
        if psf is None:
            image = np.zeros((1, size, size, 1), np.float32)
            image[:, size // 2, size // 2] = 1.0
        else:
            image = np.asarray(psf, np.float32)
            if image.ndim == 2:
                image = image[None]
            if image.ndim == 3:
                image = image[..., None]
            image = _resized(image, size)
        return np.broadcast_to(image, [count, size, size, bands])


def _turned(images: np.ndarray, symmetry: int) -> np.ndarray:
    """Images [N, S, S, B] after one of the eight symmetries of the square."""
    images = np.rot90(images, symmetry % 4, axes=(1, 2))
    return images[:, :, ::-1] if symmetry >= 4 else images


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    """PSF images [N, P, P, B], P odd, cut or padded with zeros about the middle to another size."""
    old = images.shape[1]
    if size < old:
        cut = (old - size) // 2
        images = images[:, cut:cut + size, cut:cut + size]
        return images / images.sum(axis=(1, 2), keepdims=True)
    pad = (size - old) // 2
    return np.pad(images, [(0, 0), (pad, size - old - pad), (pad, size - old - pad), (0, 0)])
