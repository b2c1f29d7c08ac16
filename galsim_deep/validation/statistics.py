"""What is measured on every stamp, real, generated or parametric: `STATISTICS`, by `measure`.

Second moments are the adaptive ones of Hirata & Seljak (2003), by `galsim.hsm`.  Concentration and
asymmetry (Conselice 2003), Gini and M20 (Lotz et al. 2004), and M, I, D (Freeman et al. 2013) are
those of statmorph (Rodriguez-Gomez et al. 2019), with the segmentation of `segmentation.segment`.
"""

__all__ = ["FLAGS", "STATISTICS", "Statistic", "measure"]

import dataclasses
import warnings

import numpy as np

from .moments import adaptive_moments
from .segmentation import segment


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number measured on a stamp.

    Attributes:
        name:       Its key in tables and in report.json.
        label:      Its name in figures and pages.
        unit:       Unit, empty for a pure number.
        source:     ``moments`` or ``morphology``: how it is measured.
    """

    name: str
    label: str
    unit: str
    source: str


STATISTICS = (
    Statistic("size", "determinant radius", "arcsec", "moments"),
    Statistic("g1", "g1", "", "moments"),
    Statistic("g2", "g2", "", "moments"),
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
)

FLAGS = {
    "not_finite": "pixels that are not finite; nothing is measured",
    "not_usable": "noise level or PSF of the real galaxy make no sense; nothing is measured",
    "constant": "all pixels are equal; nothing is measured",
    "not_detected": "no galaxy stands out of the noise; nothing is measured",
    "moments_failed": "adaptive moments do not converge, or to more than a quarter of the stamp; "
                      "no moments",
    "morphology_failed": "statmorph flags the measurement as bad; no morphology",
    "truncated": "the galaxy reaches the edge of what was observed; measured all the same",
    "off_centre": "the galaxy is outside of the stamp's central quarter; measured all the same",
}
"""What can be wrong with a stamp.  All are counted in the report."""


def measure(stamp, observation):
    """Measure all statistics of a stamp.

    Parameters:
        stamp:          As observed, shape [S, S].
        observation:    The `Observation` whose PSF and noise the stamp has.

    Returns:
        (values, flags): a dict with every `STATISTICS`, NaN where it could not be measured, and a
        dict with every one of `FLAGS`, True where it applies.
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
    moments = _moments(stamp, region, observation.pixel_scale)
    morphology = _morphology(stamp, region, observation.noise_sigma)
    flags.update(moments_failed=moments is None, morphology_failed=morphology is None)
    values.update(moments or {})
    values.update(morphology or {})
    return values, flags


def _moments(stamp, region, pixel_scale):
    """Adaptive moments, from the centroid of the segment; None where there are none."""
    found = adaptive_moments(stamp, region.centroid, ignored=region.neighbours)
    if found is None:
        return None
    shape = found.observed_shape
    return dict(size=found.moments_sigma * pixel_scale, g1=shape.g1, g2=shape.g2, g=shape.g,
                rho4=found.moments_rho4, amplitude=np.log10(found.moments_amp))


def _morphology(stamp, region, noise_sigma):
    """The statistics of statmorph, or None where it flags them as bad (2) or worse."""
    from statmorph import SourceMorphology

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of is in its flag
        try:
            found = SourceMorphology(
                stamp, region.galaxy.astype(int), 1, mask=region.neighbours,
                weightmap=np.full(stamp.shape, noise_sigma),
                # The Sersic fit of statmorph is not used here.
                sersic_fitting_args=dict(maxiter=1))
        except Exception:  # it raises whatever its parts do on images that are no galaxies
            return None
    if found.flag >= 2:
        return None
    values = {statistic.name: float(found[statistic.name])
              for statistic in STATISTICS if statistic.source == "morphology"}
    # Statmorph writes -99 where a number cannot be had.
    values = {name: np.nan if value == -99 else value for name, value in values.items()}
    return values if np.isfinite(list(values.values())).all() else None
