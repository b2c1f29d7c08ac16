"""The comparison of a module's galaxies with real ones: its inputs, units, seeds and measurements.

`compare` opens module and real galaxies, generates a galaxy for each real one, and measures all of
them.  The sections of the report (`galsim_deep.validation.sections`) turn the measurements of a
`Comparison` into numbers and figures.
"""

__all__ = ["KEPT_STAMPS", "Comparison", "RealSample", "compare"]

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from galsim import GalSimError

from ..modules.card import Card
from ..modules.module import Module, load
from ..modules.resolve import resolve
from ..observations.flux_units import FluxUnits
from ..observations.real_galaxies import (
    DATA_SET_SUFFIXES,
    UNSEEN,
    RealGalaxies,
    is_collection,
    open_real_galaxies,
)
from ..runtime.threads import available_cores
from .bins import Bin, magnitude_bins
from .cache import Cache
from .measurements import Measurements, measure_galaxies
from .random_streams import RandomStreams
from .reconstructor import Reconstructor
from .settings import Settings
from .two_sample import bootstrap_weights

KEPT_STAMPS = 1000
"""Number of galaxies whose stamps are kept, for figures, latents and the search for copies."""


@dataclasses.dataclass(frozen=True)
class RealSample:
    """Which real galaxies to compare with.

    Attributes:
        path:           A folder that `galsim.RealGalaxyCatalog` reads, an HDF5 data set of
                        ``galsim-deep-train data``, or the collection of real galaxies.
        count:          Largest number of galaxies, chosen at random.  None: all.
        columns:        {column of the module: its name in the catalogue}.  Default: the same names.
        split:          ``test`` or ``train``: which part of a data set.
        zero_point:     AB magnitude of unit flux in the stamps.  None: that of the module.  The
                        collection states one for each galaxy.
        parts:          Which parts of the collection of real galaxies.

    Example::

        >>> RealSample("COSMOS_25.2_training_sample", count=1000).split
        'test'
    """

    path: str | os.PathLike
    count: int | None = None
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    split: str = "test"
    zero_point: float | None = None
    parts: Sequence[str] = UNSEEN


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Real galaxies, the galaxies generated for them, and everything that was measured on both.

    Attributes:
        module:                 The module.
        galaxies:               The real galaxies.
        training:               The galaxies that the module was trained on; None if they are not
                                given.
        settings:               The `Settings`.
        units:                  The flux units of the real stamps and of the module.
        streams:                The random numbers.
        reconstructor:          Encodes and decodes real galaxies; None if the module cannot.
        no_reconstruction:      The reason why the module cannot reconstruct real galaxies; empty
                                if it can.
        measurements:           The `Measurements` of all galaxies.
        progress:               Whether sections that take long should show a progress bar.

    Example, for a ``comparison`` of twenty galaxies of magnitude 22:

        >>> [(galaxies.name, int(galaxies.rows.sum())) for galaxies in comparison.bins]
        [('all', 20), ('mag < 23', 20), ('21.5 < mag < 22.5', 20)]
        >>> comparison.bright_to_faint(count=4)
        array([ 0,  6, 12, 19])
    """

    module: Module
    galaxies: RealGalaxies
    training: RealGalaxies | None
    settings: Settings
    units: FluxUnits
    streams: RandomStreams
    reconstructor: Reconstructor | None
    no_reconstruction: str
    measurements: Measurements
    progress: bool = False

    @property
    def card(self) -> Card:
        """The card of the module."""
        return self.module.card

    @functools.cached_property
    def magnitudes(self) -> np.ndarray | None:
        """The magnitudes of the real galaxies, float64 [N]; None if they are no column."""
        column = self.card.column_of("magnitude")
        return None if column is None else self.measurements.columns[column.name]

    @functools.cached_property
    def bins(self) -> tuple[Bin, ...]:
        """The magnitude bins, the whole sample first."""
        return magnitude_bins(self.magnitudes, len(self.measurements), self.settings)

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """Bootstrap weights of the galaxies, float64 [B, N], shared by most sections."""
        return bootstrap_weights(self.measurements.source, self.settings.bootstraps,
                                 self.streams.sequence("bootstrap"))

    def bright_to_faint(self, count: int, share: float = 1.0) -> np.ndarray:
        """Galaxies to show, from bright to faint, evenly distributed over the sample.

        Parameters:
            count:      Largest number of galaxies.
            share:      Only among this share of the galaxies, the brightest.  [default: 1, all]

        Returns:
            their indices among the galaxies whose stamps are kept, int [at most count].
        """
        # Stamps without any finite pixel cannot be shown.
        shown = np.flatnonzero(
            [np.isfinite(stamp).any() for stamp in self.measurements.stamps["real"]])
        if self.magnitudes is not None:
            shown = shown[np.argsort(self.magnitudes[shown])]
        shown = shown[:max(min(count, len(shown)), round(share * len(shown)))]
        return shown[np.unique(
            np.linspace(0, len(shown) - 1, min(count, len(shown))).astype(int))]


def compare(file_name: str | os.PathLike, real: str | os.PathLike | RealSample, *,
            training: str | os.PathLike | None = None, settings: Settings | None = None,
            processes: int | None = None, progress: bool = False,
            cache: str | os.PathLike | None = None) -> Comparison:
    """Generate a galaxy for each real one, and measure both and the parametric fits.

    For each real galaxy, one is generated for its catalogue columns and drawn on pixels of the same
    size, with the same PSF and new noise of the same level and correlation; so is its best
    parametric fit.  All three are measured alike.

    Parameters:
        file_name, real, training, settings, processes, progress, cache:    Those of
            `galsim_deep.validation.validate`.

    Returns:
        a `Comparison`.

    Raises:
        galsim.GalSimError: if module or galaxies cannot be read or compared.
    """
    settings = settings or Settings()
    sample = real if isinstance(real, RealSample) else RealSample(real)
    store = Cache.at(cache)
    module = load(resolve(file_name))
    card = module.card
    card.check_generator()
    if len(card.bands) > 1:
        raise GalSimError(
            f"The module {card.name} has the bands {', '.join(band.name for band in card.bands)}. "
            "This release validates modules of one band only.")
    galaxies = open_real_galaxies(sample.path, card, count=sample.count, seed=settings.seed,
                                  columns=sample.columns, split=sample.split, parts=sample.parts)
    trained_on = _training_galaxies(sample, training, card, settings.seed)
    units = FluxUnits.between(sample.zero_point, card.band().zero_point)
    streams = RandomStreams(settings.seed)
    reconstructor, reason = None, ""
    try:
        reconstructor = Reconstructor(module, galaxies)
    except GalSimError as err:
        reason = str(err)
    measurements = measure_galaxies(
        galaxies, module, reconstructor, units, streams, processes=processes or available_cores(),
        keep=min(KEPT_STAMPS, len(galaxies)), progress=progress, cache=store)
    return Comparison(
        module=module, galaxies=galaxies, training=trained_on, settings=settings, units=units,
        streams=streams, reconstructor=reconstructor, no_reconstruction=reason,
        measurements=measurements, progress=progress)


def _training_galaxies(sample: RealSample, training: str | os.PathLike | None, card: Card,
                       seed: int) -> RealGalaxies | None:
    """The training galaxies; None if none are given and the real ones are no data set."""
    if training is not None:
        return open_real_galaxies(training, card, columns=sample.columns, split="train", seed=seed,
                                  parts=("seen",))
    if is_collection(sample.path):
        return open_real_galaxies(sample.path, card, columns=sample.columns, seed=seed,
                                  parts=("seen",))
    if Path(sample.path).suffix not in DATA_SET_SUFFIXES:
        return None
    try:
        return open_real_galaxies(sample.path, card, columns=sample.columns, split="train",
                                  seed=seed)
    except GalSimError:  # a file of test galaxies only
        return None
