"""Encode and decode: the best profile that a module with an encoder has for a real galaxy."""

__all__ = ["Reconstructor"]

from collections.abc import Sequence

import numpy as np
from galsim import GalSimError

from ..modules.module import Module
from ..observations.observation import Observation
from ..observations.psf import resized_psf
from ..observations.real_galaxies import RealGalaxies


class Reconstructor:
    """Runs the signatures ``encode`` and ``decode`` of a module on observations.

    Parameters:
        module:     The module, of one band.
        galaxies:   The real galaxies whose observations are to be encoded.

    Raises:
        galsim.GalSimError: if the module cannot encode these galaxies; it says why.

    Example::

        reconstructor = Reconstructor(module, galaxies)
        profiles = reconstructor.reconstruct([galaxies.observation(n) for n in range(8)])

    The stamps must be those that the module takes:

        >>> Reconstructor(comparison.module, comparison.galaxies)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        galsim.errors.GalSimError: The module acs_flow_vae encodes stamps of 128 pixels ...
    """

    def __init__(self, module: Module, galaxies: RealGalaxies) -> None:
        card = module.card
        for signature in ("encode", "decode"):
            if signature not in card.signatures:
                raise GalSimError(f"The module {card.name} has no signature '{signature}'.")
        same_pixels = np.isclose(galaxies.pixel_scales, card.pixel_scale, rtol=1e-5)
        if not ((galaxies.stamp_sizes == card.trained_size) & same_pixels).all():
            raise GalSimError(
                f"The module {card.name} encodes stamps of {card.trained_size} pixels of "
                f"{card.pixel_scale} arcsec; these are {_range(galaxies.stamp_sizes)} of "
                f"{_range(galaxies.pixel_scales)}.")
        self._columns = [column.name for column in card.columns]
        outputs = module.tensorflow.signature_outputs("encode")
        if card.classes and "log_class_probability" not in outputs:
            raise GalSimError(f"The encoder of {card.name} has no output log_class_probability, so "
                              "the classes of real galaxies are not known.")
        inputs = module.tensorflow.signature_inputs("encode")
        unknown = sorted(inputs.keys() - {"image", "psf", "noise_sigma", *self._columns})
        if unknown:
            raise GalSimError(f"The encoder of {card.name} has the inputs {', '.join(unknown)}, "
                              "which the validation does not know.")
        self._inputs = inputs
        self._classes = len(card.classes)
        self._module = module

    def encode(self, observations: Sequence[Observation]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of the posterior of the latent vectors of stamps.

        Parameters:
            observations:   n observations in the flux unit of the module
                            (`FluxUnits.to_module`).  Pixels that are not finite are set to zero.

        Returns:
            (mean, scale), float32 [n, K] each.
        """
        outputs = self._encoder_outputs(observations)
        return outputs["mean"], outputs["scale"]

    def classes(self, observations: Sequence[Observation]) -> np.ndarray:
        """The most probable class of each stamp, by a module with classes.

        Parameters are those of `encode`.

        Returns:
            the numbers of the classes, int [n]; -1 if the encoder's output is not finite.
        """
        return self._most_probable(self._encoder_outputs(observations))

    def reconstruct(self, observations: Sequence[Observation]) -> np.ndarray:
        """The best light profiles for stamps, before PSF.

        A module with classes decodes the mean latent vector as the most probable class.

        Parameters are those of `encode`.

        Returns:
            float32, shape [n, S, S], in the flux unit of the module.
        """
        outputs = self._encoder_outputs(observations)
        inputs = dict(latent=outputs["mean"], **self._conditions(observations))
        if self._classes:
            inputs["galaxy_class"] = np.maximum(self._most_probable(outputs), 0).astype(np.int32)
        return self._module.call("decode", **inputs)["image"][..., 0]

    def _encoder_outputs(self, observations: Sequence[Observation]) -> dict[str, np.ndarray]:
        """All outputs of the signature ``encode``, by name."""
        stamps = np.stack([observation.stamp for observation in observations])
        inputs = dict(
            image=np.nan_to_num(stamps, posinf=0, neginf=0)[..., None],
            noise_sigma=np.array([[observation.noise_sigma] for observation in observations]),
            **self._conditions(observations))
        if "psf" in self._inputs:
            shape = self._inputs["psf"]
            size = shape[1] if shape is not None else None
            inputs["psf"] = np.stack([
                resized_psf(observation.psf, size or len(observation.psf))
                for observation in observations])[..., None]
        return self._module.call("encode", **{
            name: np.asarray(inputs[name], np.float32) for name in self._inputs})

    def _most_probable(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """The most probable classes, int [n]; -1 if the probabilities are not finite."""
        probability = outputs["log_class_probability"]
        has_classes = np.isfinite(probability).any(axis=1) & ~np.isnan(probability).any(axis=1)
        return np.where(has_classes, np.argmax(probability, axis=1), -1)

    def _conditions(self, observations: Sequence[Observation]) -> dict[str, np.ndarray]:
        """The columns, {name: float32 [n]}."""
        return {name: np.array([observation.columns[name] for observation in observations],
                               np.float32) for name in self._columns}


def _range(values: np.ndarray) -> str:
    """The smallest and the largest value as text; one if they are the same."""
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
