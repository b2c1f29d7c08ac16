"""Physical checks of the generated profiles themselves."""

__all__ = ["Profiles"]

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..estimates import Estimate, mean, median
from .base import CardFigures, Section


class Profiles(Section):
    """Edges, centroids, position angles and sampling of the generated profiles.

    The numbers of each profile are those of `galsim_deep.validation.profile_checks`.

    Example, for a ``comparison`` whose generated profiles are zero at the edge:

        >>> Profiles(comparison).compute()["profiles"]["edge_flux"]
        {'value': 0.0, 'error': 0.0, 'largest': 0.0}
    """

    name = "profiles"

    def compute(self) -> dict[str, Any]:
        numbers, weights = self.comparison.measurements.numbers, self.comparison.weights
        offset_x, offset_y = numbers["offset_x"], numbers["offset_y"]
        e1, e2 = numbers["e1"], numbers["e2"]
        finite = np.isfinite(e1) & np.isfinite(e2)
        angle = 0.5 * np.arctan2(e2[finite], e1[finite])
        # Rayleigh's test on twice the position angle (Mardia & Jupp 2000, sect. 6.3.1).
        resultant = float(np.abs(np.exp(2j * angle).mean())) if finite.any() else float("nan")
        return dict(profiles=dict(
            profiles_with_pixels_not_finite=int((numbers["not_finite"] > 0).sum()),
            profiles_with_negative_pixels=int((numbers["negative"] > 0).sum()),
            edge_flux=_median_and_largest(numbers["edge_flux"], weights),
            ring_flux=_median_and_largest(numbers["ring_flux"], weights),
            offset=dict(x=mean(offset_x, weights), y=mean(offset_y, weights),
                        rms=float(np.sqrt(np.nanmean(0.5 * (offset_x**2 + offset_y**2))))),
            position_angle=dict(
                e1=mean(e1, weights), e2=mean(e2, weights), resultant=resultant,
                p=float(np.exp(-finite.sum() * resultant**2))),
            **{f"subpixel_{name}": _median_and_largest(numbers[f"subpixel_{name}"], weights)
               for name in ("size", "flux", "g")}))

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        profiles = results["profiles"]
        yield "edge_flux_largest", profiles["edge_flux"]["largest"]
        yield "ring_flux_median", profiles["ring_flux"]["value"]
        yield "ring_flux_largest", profiles["ring_flux"]["largest"]

    template = """
<h2>Physical checks</h2>
{% set p = results.profiles %}
<dl>
<dt>profiles with pixels that are not finite</dt><dd>{{ p.profiles_with_pixels_not_finite }}</dd>
<dt>profiles with negative pixels</dt><dd>{{ p.profiles_with_negative_pixels }}</dd>
<dt>flux in the outermost pixels</dt><dd>median {{ p.edge_flux.value | number }}, largest
{{ p.edge_flux.largest | number }} of the flux</dd>
<dt>flux in the outer ring of 4 pixels</dt><dd>median {{ p.ring_flux.value | number }}, largest
{{ p.ring_flux.largest | number }} of the flux</dd>
<dt>centroid from the true centre</dt><dd>x {{ p.offset.x | value }}, y {{ p.offset.y | value }},
rms {{ p.offset.rms | number }} pixels on an axis</dd>
<dt>isotropy of position angles</dt><dd>e1 {{ p.position_angle.e1 | value }},
e2 {{ p.position_angle.e2 | value }}; Rayleigh test p = {{ p.position_angle.p | number }}</dd>
<dt>position within a pixel</dt><dd>changes size by {{ p.subpixel_size.value | number }} (largest
{{ p.subpixel_size.largest | number }}), flux by {{ p.subpixel_flux.value | number }}, g by
{{ p.subpixel_g.value | number }} (medians)</dd>
</dl>
"""


def _median_and_largest(values: np.ndarray, weights: np.ndarray) -> Estimate:
    """The median with its error, and ``largest``, of numbers [N] that may be NaN."""
    return dict(median(values, weights), largest=float(np.nanmax(values, initial=-np.inf)))
