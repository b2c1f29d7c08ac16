"""The distance between real and generated galaxies in the embeddings of an encoder."""

__all__ = ["EmbeddingDistance"]

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from galsim import GalSimError

from ...embeddings import Embedder
from ...embeddings.distance import Distance, compare_sets
from ...embeddings.stamps import SCALE_TOLERANCE, fitted, stacked_psfs
from ...observations.flux_units import FluxUnits
from .base import CardFigures, Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..comparison import Comparison


class EmbeddingDistance(Section):
    """The Frechet distance between the embeddings of real and of generated stamps.

    Both are observed alike.  The encoder is a module that was not fitted on generated galaxies; the
    numbers are those of `galsim_deep.embeddings.distance.Distance`.

    Example, for a ``comparison`` without an encoder, the default:

        >>> EmbeddingDistance.applies_to(comparison)
        False
    """

    name = "embedding distance"

    @classmethod
    def applies_to(cls, comparison: "Comparison") -> bool:
        return comparison.settings.encoder is not None

    @functools.cached_property
    def embedder(self) -> Embedder:
        """The encoder."""
        encoder = self.comparison.settings.encoder
        assert encoder is not None  # by `applies_to`
        return Embedder(encoder)

    def compute(self) -> dict[str, Any]:
        card, galaxies = self.embedder.card, self.comparison.galaxies
        self._check_columns()
        kept = np.arange(len(self.comparison.measurements.stamps["real"]))
        scales = galaxies.pixel_scales[kept]
        alike = kept[np.abs(scales / card.pixel_scale - 1) <= SCALE_TOLERANCE]
        if len(alike) < len(kept) // 2 or not len(alike):
            raise GalSimError(
                f"The encoder {card.name} takes pixels of {card.pixel_scale:g} arcsec, and most of "
                f"the galaxies have others (the median is {np.median(scales):g}). Use an encoder "
                "for these pixels, or leave out --encoder.")
        embeddings = {sample: self._embedded(sample, alike) for sample in ("real", "generated")}
        finite = np.all([np.isfinite(values).all(axis=1) for values in embeddings.values()], axis=0)
        distance: Distance = compare_sets(
            embeddings["real"][finite], embeddings["generated"][finite],
            galaxies.source[alike[finite]], self.comparison.settings.seed)
        return dict(embedding=dict(
            encoder=card.name, version=card.version, n=int(finite.sum()),
            distance=dict(value=distance.value, error=distance.error),
            floor=dict(value=distance.floor, error=distance.floor_error)))

    def _check_columns(self) -> None:
        """Raise a `galsim.GalSimError` if a column of the encoder means something else."""
        own = {column.name: column for column in self.comparison.card.columns}
        for column in self.embedder.card.columns:
            if column.name in self.embedder.columns and column.name in own and (
                    column.unit != own[column.name].unit
                    or column.quantity != own[column.name].quantity):
                raise GalSimError(
                    f"The encoder {self.embedder.card.name} takes the column '{column.name}' as a "
                    f"{column.quantity} [{column.unit}], and for the module "
                    f"{self.comparison.card.name} it is a {own[column.name].quantity} "
                    f"[{own[column.name].unit}]. Use another encoder.")

    def _embedded(self, sample: str, numbers: np.ndarray) -> np.ndarray:
        """The embeddings of stamps of a sample, [n, D]; NaN where a pixel is not finite."""
        measurements, units = self.comparison.measurements, self.comparison.units
        observations = [self.comparison.galaxies.observation(int(number)) for number in numbers]
        size = self.embedder.size
        images = np.concatenate([
            fitted(np.asarray(measurements.stamps[sample][number], np.float32)[None, ..., None],
                   size) for number in numbers])
        # First in the flux unit of the module, then in that of the encoder.
        encoder = FluxUnits.between(self.comparison.card.band().zero_point,
                                    self.embedder.card.band().zero_point)
        images, sigma = (
            encoder.image_to_module(units.image_to_module(values))
            for values in (images, np.array([o.noise_sigma for o in observations])))
        psf = stacked_psfs([o.psf for o in observations])
        columns = {name: measurements.columns[name][numbers] for name in self.embedder.columns
                   if name in measurements.columns}
        usable = np.isfinite(images).all(axis=(1, 2, 3))
        found = self.embedder.embed(np.where(usable[:, None, None, None], images, 0.0), psf, sigma,
                                    columns)
        return np.where(usable[:, None], found, np.nan)

    @classmethod
    def card_figures(cls, results: "Mapping[str, Any]") -> CardFigures:
        embedding = results.get("embedding", {})
        yield "embedding_distance", embedding.get("distance")
        yield "embedding_distance_floor", embedding.get("floor")

    template = """
<h2>Distance of embeddings</h2>
<p>The Frechet distance between the embeddings of {{ results.embedding.n }} real and as many
generated stamps by the encoder {{ results.embedding.encoder }} {{ results.embedding.version }} is
<b>{{ results.embedding.distance | value }}</b>, in units of the variance of the real embeddings.
Two sets of real stamps have {{ results.embedding.floor | value }}. Both numbers are for random
halves of the stamps, since the distance depends on their number.</p>
<p class="note">It compares means and covariances of what the encoder knows of a galaxy. A distance
far above that of real galaxies shows that generated galaxies differ as a whole; it does not say in
what.</p>
"""
