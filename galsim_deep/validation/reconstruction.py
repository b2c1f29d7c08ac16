"""Encode and decode: the best image a module with an encoder has for a real galaxy."""

__all__ = ["Reconstructor"]

import numpy as np
from galsim import GalSimError


class Reconstructor:
    """Runs the signatures ``encode`` and ``decode`` of a module on observations.

    Parameters:
        module:     A `galsim_deep.module.Module`.
        survey:     The `Survey` whose observations are to be encoded.

    Raises a `galsim.GalSimError` that says why the module cannot encode the survey.
    """

    def __init__(self, module, survey):
        card = module.card
        for signature in ("encode", "decode"):
            if signature not in card.signatures:
                raise GalSimError(f"The module {card.name} has no signature '{signature}'.")
        same = np.isclose(survey.pixel_scale, card.pixel_scale, rtol=1e-5)
        if survey.stamp_size != card.stamp_size or not same:
            raise GalSimError(
                f"The module {card.name} encodes stamps of {card.stamp_size} pixels of "
                f"{card.pixel_scale} arcsec; these are {survey.stamp_size} of "
                f"{survey.pixel_scale}.")
        self._columns = [column.name for column in card.columns]
        inputs = module.engine.signature_inputs("encode")
        unknown = sorted(inputs.keys() - {"image", "psf", "noise_sigma", *self._columns})
        if unknown:
            raise GalSimError(f"The encoder of {card.name} asks for {', '.join(unknown)}, which "
                              "the validation does not know.")
        self._inputs = inputs
        self._module = module

    def encode(self, stamps, observations):
        """Mean and scale of the latents of stamps, each float32 [n, L].

        Parameters:
            stamps:         In flux units of the module, shape [n, S, S].  Pixels that are not
                            finite are taken as zero.
            observations:   The n `Observation` whose PSF, noise and columns the stamps have, the
                            noise in the same units.
        """
        given = dict(
            image=np.nan_to_num(np.asarray(stamps), posinf=0, neginf=0),
            noise_sigma=[seen.noise_sigma for seen in observations],
            **self._conditions(observations))
        if "psf" in self._inputs:
            size = self._inputs["psf"][1]
            given["psf"] = np.stack([_fitted(seen.psf, size) for seen in observations])
        found = self._module.engine.call("encode", **{
            name: np.asarray(given[name], np.float32) for name in self._inputs})
        return found["mean"], found["scale"]

    def decode(self, latent, observations):
        """The light profiles of latents, float32 [n, S, S], before PSF."""
        return self._module.engine.call(
            "decode", latent=np.asarray(latent, np.float32),
            **self._conditions(observations))["image"]

    def _conditions(self, observations):
        return {name: np.array([seen.columns[name] for seen in observations], np.float32)
                for name in self._columns}


def _fitted(psf, size):
    """Cut or pad an odd PSF image to another odd size."""
    change = (size - len(psf)) // 2
    if change >= 0:
        return np.pad(psf, change)
    cut = psf[-change:change, -change:change]
    return cut / cut.sum()
