"""The statistics that are measured on every stamp, real, generated or parametric.

Second moments are the adaptive ones of Hirata & Seljak (2003, arXiv:astro-ph/0301054), by
`galsim.hsm`.  Concentration, asymmetry and smoothness (Conselice 2003, arXiv:astro-ph/0303065),
Gini and M20 (Lotz et al. 2004, arXiv:astro-ph/0311352), and M, I and D (Freeman et al. 2013,
arXiv:1306.1238) are those of statmorph (Rodriguez-Gomez et al. 2019, arXiv:1809.08239), with the
segmentation of `galsim_deep.measure.segmentation`.

A new statistic needs an entry in `STATISTICS`.  For one that statmorph measures, the name is that
of statmorph's attribute, the group is ``morphology``, and nothing else is needed.  Three limits
apply: ``sersic_*`` cannot be used, because the Sersic fit is stopped after one iteration; lengths
are in pixels; and if one value is not finite, all statistics of statmorph are missing for that
stamp.  A moment also needs its value in `_moments`.  Any other statistic needs a group of its own:
a function in `GROUPS` that measures it, and the flag ``NAME_failed`` in `FLAGS`, where NAME is the
name of the group, for stamps on which that fails.  A validation then compares the distributions of
the statistic, shows it in its tables and writes it to ``galaxies.fits``.  Its classifier uses all
statistics, so its AUC changes with each new one.
"""

__all__ = ["FLAGS", "GROUPS", "STATISTICS", "Statistic", "measure"]

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np

from ..observations.observation import Observation
from .moments import adaptive_moments
from .segmentation import Segmentation, segment


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number measured on a stamp.

    Attributes:
        name:       Its key in tables and in report.json.
        label:      Its name in figures and pages.
        unit:       Unit, empty for a pure number.
        group:      The group of statistics that it is measured with, one of `GROUPS`: if the
                    measurement of a group fails, none of its statistics is known.
        oriented:   Whether it depends on the position angle of the galaxy.

    Example:

        >>> [statistic.name for statistic in STATISTICS if statistic.unit]
        ['size', 'amplitude']
    """

    name: str
    label: str
    unit: str
    group: str
    oriented: bool = False


STATISTICS = (
    Statistic("size", "determinant radius", "arcsec", "moments"),
    Statistic("g1", "g1", "", "moments", oriented=True),
    Statistic("g2", "g2", "", "moments", oriented=True),
    Statistic("g", "|g|", "", "moments"),
    Statistic("rho4", "rho4", "", "moments"),
    Statistic("amplitude", "log10 amplitude", "dex", "moments"),
    Statistic("multimode", "M", "", "morphology"),
    Statistic("intensity", "I", "", "morphology"),
    Statistic("deviation", "D", "", "morphology"),
    Statistic("gini", "Gini", "", "morphology"),
    Statistic("m20", "M20", "", "morphology"),
    Statistic("concentration", "C", "", "morphology"),
    Statistic("asymmetry", "A", "", "morphology"),
    Statistic("smoothness", "S", "", "morphology"),
)

FLAGS = {
    "not_finite": "pixels that are not finite; nothing is measured",
    "not_usable": "the noise level of the real galaxy is not positive, or its PSF is not finite or "
                  "not of odd size; nothing is measured",
    "constant": "all pixels are equal; nothing is measured",
    "not_detected": "no galaxy is detected above the noise; nothing is measured",
    "moments_failed": "adaptive moments do not converge, or converge to a size above a quarter of "
                      "the stamp; the moments are missing",
    "morphology_failed": "statmorph flags the measurement as bad; the morphology is missing",
    "truncated": "the galaxy reaches the edge of what was observed; measured all the same",
    "off_centre": "the centroid of the galaxy is outside of the central quarter of the stamp; "
                  "measured all the same",
}
"""The flags of a stamp: {flag: its meaning}.  The report counts all of them."""


def measure(stamp: np.ndarray, observation: Observation
            ) -> tuple[dict[str, float], dict[str, bool]]:
    """Measure all statistics of a stamp.

    Parameters:
        stamp:          As observed, shape [S, S].
        observation:    The `Observation` with the PSF, noise and footprint of the stamp.

    Returns:
        (values, flags): {name: value} of all `STATISTICS`, NaN if it could not be measured; and
        {flag: whether it applies} of all `FLAGS`.
    """
    stamp = np.ascontiguousarray(stamp, float)
    values = {statistic.name: np.nan for statistic in STATISTICS}
    flags = dict.fromkeys(FLAGS, False)
    if not np.isfinite(stamp).all():
        flags["not_finite"] = True
        return values, flags
    if stamp.max() == stamp.min():
        flags["constant"] = True
        return values, flags
    region = segment(stamp, observation)
    if region is None:
        flags["not_detected"] = True
        return values, flags
    flags.update(truncated=region.truncated, off_centre=region.off_centre)
    for group, measure_group in GROUPS.items():
        measured = measure_group(stamp, region, observation)
        flags[f"{group}_failed"] = measured is None
        values.update(measured or {})
    return values, flags


def _moments(stamp: np.ndarray, region: Segmentation, observation: Observation
             ) -> dict[str, float] | None:
    """Adaptive moments, started at the centroid of the segment; None if they do not converge."""
    moments = adaptive_moments(stamp, region.centroid, ignored=region.neighbours)
    if moments is None:
        return None
    shape = moments.observed_shape
    return dict(size=moments.moments_sigma * observation.pixel_scale, g1=shape.g1, g2=shape.g2,
                g=shape.g, rho4=moments.moments_rho4, amplitude=np.log10(moments.moments_amp))


def _morphology(stamp: np.ndarray, region: Segmentation, observation: Observation
                ) -> dict[str, float] | None:
    """The statistics of statmorph; None if statmorph flags them as bad (2) or worse."""
    from statmorph import SourceMorphology

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its flag says what it warns of
        try:
            morphology = SourceMorphology(
                stamp, region.galaxy.astype(int), 1, mask=region.neighbours,
                weightmap=np.full(stamp.shape, observation.noise_sigma),
                # The Sersic fit of statmorph is not used here.
                sersic_fitting_args=dict(maxiter=1))
        except Exception:  # parts of statmorph raise many types on images that are no galaxies
            return None
    if morphology.flag >= 2:
        return None
    values = {statistic.name: float(morphology[statistic.name])
              for statistic in STATISTICS if statistic.group == "morphology"}
    # Statmorph returns -99 for a number that it cannot measure.
    values = {name: np.nan if value == -99 else value for name, value in values.items()}
    return values if np.isfinite(list(values.values())).all() else None


_Measure = Callable[[np.ndarray, Segmentation, Observation], dict[str, float] | None]

GROUPS: dict[str, _Measure] = dict(moments=_moments, morphology=_morphology)
"""The groups of statistics: {name: function that measures a stamp, shape [S, S], and returns the
values; None if that fails}.  The flag of a failure is ``NAME_failed``."""
