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
        if card.clusters and "log_membership" not in module.engine.signature_outputs("encode"):
            raise GalSimError(f"The encoder of {card.name} gives no log_membership, so that "
                              "nothing is known of the classes of real galaxies.")
        inputs = module.engine.signature_inputs("encode")
        unknown = sorted(inputs.keys() - {"image", "psf", "noise_sigma", *self._columns})
        if unknown:
            raise GalSimError(f"The encoder of {card.name} asks for {', '.join(unknown)}, which "
                              "the validation does not know.")
        self._inputs = inputs
        self._classes = len(card.clusters)
        self._module = module

    def encode(self, stamps, observations):
        """Mean and scale of the latents of stamps, each float32 [n, L].

        Parameters:
            stamps:         In flux units of the module, shape [n, S, S].  Pixels that are not
                            finite are taken as zero.
            observations:   The n `Observation` whose PSF, noise and columns the stamps have, the
                            noise in the same units.
        """
        found = self._encoded(stamps, observations)
        return found["mean"], found["scale"]

    def classes(self, stamps, observations):
        """The class that each stamp is most probably of, by a module that has classes.

        Parameters are those of `encode`.

        Returns:
            ids, int [n]; -1 where the encoder finds nothing finite.
        """
        return self._most_probable(self._encoded(stamps, observations))

    def reconstruct(self, stamps, observations):
        """The best light profiles for stamps, float32 [n, S, S], before PSF.

        Parameters are those of `encode`.  Of a module with classes it is the profile of the most
        probable one.
        """
        found = self._encoded(stamps, observations)
        given = dict(latent=found["mean"], **self._conditions(observations))
        if self._classes:
            given["cluster"] = np.maximum(self._most_probable(found), 0).astype(np.int32)
        return self._module.engine.call("decode", **given)["image"]

    def _encoded(self, stamps, observations):
        """All that ``encode`` gives, by name."""
        given = dict(
            image=np.nan_to_num(np.asarray(stamps), posinf=0, neginf=0),
            noise_sigma=[seen.noise_sigma for seen in observations],
            **self._conditions(observations))
        if "psf" in self._inputs:
            size = self._inputs["psf"][1]
            given["psf"] = np.stack([_fitted(seen.psf, size) for seen in observations])
        return self._module.engine.call("encode", **{
            name: np.asarray(given[name], np.float32) for name in self._inputs})

    def _most_probable(self, found):
        """The most probable classes, int [n]; -1 where the encoder found nothing finite."""
        membership = found["log_membership"]
        if membership.shape[1:] != (self._classes,):
            raise GalSimError(
                f"The encoder of {self._module.card.name} tells {membership.shape[1]} classes "
                f"apart, its card {self._classes}. Get the module again.")
        known = np.isfinite(membership).any(axis=1) & ~np.isnan(membership).any(axis=1)
        return np.where(known, np.argmax(membership, axis=1), -1)

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
