"""The whole validation of a module: the comparison with real galaxies, and all sections."""

__all__ = ["Validation", "validate"]

import dataclasses
import os
from typing import Any

import galsim
import numpy as np
from galsim import GalSimError

from .._version import __version__
from ..modules.card import Card
from ..observations.real_galaxies import RealGalaxies
from .comparison import Comparison, RealSample, compare
from .measurements import Measurements
from .sections import SECTIONS
from .sections.base import Section
from .settings import Settings


@dataclasses.dataclass(frozen=True, eq=False)
class Validation:
    """The result of a validation.

    Attributes:
        comparison:     The `Comparison`: module, real galaxies, and all measurements.
        sections:       The `Section` objects of the report, in the order of the page.
        results:        All numbers of the report, as in report.json.

    Example::

        validation = validate("hub:acs_flow_vae", "COSMOS_25.2_training_sample")
        print(validation.results["classifier"]["all"]["generated"])

    Sections compute what they show from the measurements of a ``comparison``:

        >>> sections = tuple(kind(comparison) for kind in SECTIONS if kind.applies_to(comparison))
        >>> validation = Validation(comparison, sections, results={})
        >>> validation.section("flags").compute()["failures"]["truncated"]
        {'real': 0, 'generated': 3, 'parametric': 0}
    """

    comparison: Comparison
    sections: tuple[Section, ...]
    results: dict[str, Any]

    @property
    def card(self) -> Card:
        """The card of the module."""
        return self.comparison.card

    @property
    def galaxies(self) -> RealGalaxies:
        """The real galaxies."""
        return self.comparison.galaxies

    @property
    def measurements(self) -> Measurements:
        """The measurements of all galaxies."""
        return self.comparison.measurements

    def section(self, name: str) -> Section:
        """A section by its name.

        Raises:
            KeyError: if the report has no such section.
        """
        for section in self.sections:
            if section.name == name:
                return section
        raise KeyError(f"The report has no section '{name}'; it has: "
                       f"{', '.join(section.name for section in self.sections)}.")


def validate(file_name: str | os.PathLike, real: str | os.PathLike | RealSample, *,
             training: str | os.PathLike | None = None, settings: Settings | None = None,
             processes: int | None = None, progress: bool = False,
             cache: str | os.PathLike | None = None) -> Validation:
    """Compare the galaxies of a module with real ones.

    For each real galaxy, one is generated for its catalogue columns and drawn on pixels of the same
    size, with the same PSF and new noise of the same level and correlation; so is its best
    parametric fit.  All three are measured alike.  Worker processes are spawned: in a script, call
    this under ``if __name__ == "__main__":``.

    Parameters:
        file_name:      The handle of the module.
        real:           The real galaxies: a folder that `galsim.RealGalaxyCatalog` reads, an HDF5
                        data set, or a `RealSample`, which says more.
        training:       The data set that the module was trained on, to search for copies.
                        [default: ``real``, if that is a data set]
        settings:       The options: bins, seed, number of bootstrap samples.
        processes:      Number of worker processes; the result does not depend on it.
                        [default: one for each core]
        progress:       Whether to show progress bars.
        cache:          A folder that keeps the measurements of the real galaxies and of their
                        parametric fits, for the next module that is compared with them.  The result
                        does not depend on it.  [default: None]

    Returns:
        a `Validation`.

    Raises:
        galsim.GalSimError: if module or galaxies cannot be read or compared, or a package of the
                            extra ``validate`` is missing.

    Example::

        if __name__ == "__main__":
            validation = validate("hub:acs_flow_vae",
                                  RealSample("COSMOS_25.2_training_sample", count=2000))
            write_report(validation, "report")
    """
    _check_packages()
    settings = settings or Settings()
    comparison = compare(file_name, real, training=training, settings=settings,
                         processes=processes, progress=progress, cache=cache)
    sections = tuple(kind(comparison) for kind in SECTIONS if kind.applies_to(comparison))
    card, galaxies = comparison.card, comparison.galaxies
    results: dict[str, Any] = dict(
        format_version=1, galsim_deep=__version__, galsim=galsim.__version__,
        module=dict(name=card.name, version=card.version, family=card.family,
                    saved_model_sha256=card.files["saved_model.pb"]),
        real=dict(name=galaxies.name, n=len(galaxies), sources=len(np.unique(galaxies.source)),
                  left_out=galaxies.left_out, natural=galaxies.natural is not None,
                  stamp_size=_limits(galaxies.stamp_sizes),
                  pixel_scale=_limits(galaxies.pixel_scales)),
        settings=dataclasses.asdict(settings),
        bins=[dict(name=magnitude_bin.name, low=magnitude_bin.low, high=magnitude_bin.high,
                   n=int(magnitude_bin.rows.sum()),
                   sources=len(np.unique(galaxies.source[magnitude_bin.rows])))
              for magnitude_bin in comparison.bins])
    for section in sections:
        numbers = section.compute()
        taken = results.keys() & numbers.keys()
        if taken:
            raise ValueError(f"The section '{section.name}' computes {', '.join(sorted(taken))}, "
                             "which is already in report.json.")
        results.update(numbers)
    return Validation(comparison, sections, results)


def _limits(values: np.ndarray) -> list[float]:
    """The smallest and the largest value; only one if they are the same."""
    return np.unique([values.min(), values.max()]).tolist()


def _check_packages() -> None:
    """Raise a `galsim.GalSimError` if a package of the extra ``validate`` is missing."""
    try:
        import h5py  # noqa: F401
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import sep  # noqa: F401
        import sklearn  # noqa: F401
        import statmorph  # noqa: F401
        import tqdm  # noqa: F401
    except ImportError as err:
        raise GalSimError(f"The validation needs the package {err.name}. Install the extra "
                          "'validate' of galsim-deep (see README.md).") from None
