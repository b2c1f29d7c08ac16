"""The whole validation of one module on one set of real galaxies."""

__all__ = ["Validation", "validate"]

import dataclasses
import os
from pathlib import Path

import galsim
import numpy as np
from galsim import GalSimError

from .. import handles
from .._version import __version__
from ..card import Card
from ..module import load
from .cache import Cache
from .class_figures import BRIGHT, COUNT
from .classes import summarise_classes
from .classify import Classified, classify
from .copies import search_copies
from .encoded import Latents, encode_kept
from .figures import bright_to_faint
from .frequencies import class_frequencies
from .measurements import Measurements, measure_survey
from .reconstruction import Reconstructor
from .summary import Settings, summarise
from .survey import HDF5, Survey, open_survey

KEEP = 1000
"""Of how many galaxies stamps are kept, for figures, latents and the search for copies."""


@dataclasses.dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
        card:           The card of the module.
        survey:         The real galaxies, a `Survey`.
        measurements:   All that was measured, galaxy by galaxy, a `Measurements`.
        latents:        The latents that say most of the stamps, an `encoded.Latents`; None if the
                        module does not encode.
        results:        All numbers of the report, as in report.json.
        classes:        The classes of all galaxies, a `classify.Classified`; None if the module has
                        none.
    """

    card: Card
    survey: Survey
    measurements: Measurements
    latents: Latents | None
    results: dict
    classes: Classified | None = None


def validate(file_name, real, *, count=None, seed=1, processes=None, columns=None, split="test",
             training=None, zero_point=None, settings=None, progress=False, cache=None):
    """Compare the galaxies of a module with real ones.

    For each real galaxy, one is generated for its catalogue columns and drawn with the same PSF
    and noise on the same stamp; so is its best parametric fit.  All three are measured alike.
    Worker processes are spawned: in a script, call this under ``if __name__ == "__main__":``.

    Parameters:
        file_name:      The handle of the module.
        real:           A folder that `galsim.RealGalaxyCatalog` reads, or an HDF5 data set.
        count:          How many real galaxies to take at most.  [default: all]
        seed:           Decides the choice of galaxies, what is generated, and all noise.
        processes:      Worker processes; the result does not depend on it.  [default: one a core]
        columns:        A dict: column of the module -> its name in the catalogue.
        split:          ``test`` or ``train``: which part of a data set.
        training:       The data set the module was trained on, to look for copies.
                        [default: ``real``, if that is a data set]
        zero_point:     AB magnitude of unit flux in the stamps.  [default: that of the module]
        settings:       A `summary.Settings`.
        progress:       Whether to show progress bars.
        cache:          A folder that keeps what was measured on the real galaxies and on their
                        parametric fits, for the next module that is compared with them.  The result
                        does not depend on it.  [default: None]

    Returns:
        a `Validation`.

    Raises a `galsim.GalSimError` where module or galaxies cannot be read, or a package of the extra
    ``validate`` is missing.
    """
    _check_packages()
    cache = Cache.at(cache)
    module = load(handles.resolve(file_name))
    card = module.card
    if len(card.bands) > 1:
        raise GalSimError(f"The module {card.name} has several bands; this release validates "
                          "modules of one band.")
    survey = open_survey(real, card, count=count, seed=seed, columns=columns, split=split)
    trained = _trained(real, training, card, columns, seed)
    settings = dataclasses.replace(settings or Settings(), seed=seed)
    gain = 1.0 if zero_point is None else 10 ** (0.4 * (zero_point - card.flux.zero_point))
    reconstructor, why = None, None
    try:
        reconstructor = Reconstructor(module, survey)
    except GalSimError as err:
        why = str(err)
    if card.clusters:
        frequencies = class_frequencies(module, survey.columns, seed)
    measurements = measure_survey(
        survey, module, reconstructor, gain=gain, seed=seed,
        processes=processes or _cores(), keep=min(KEEP, len(survey)), progress=progress,
        cache=cache)
    results = dict(
        format_version=1, galsim_deep=__version__, galsim=galsim.__version__,
        module=dict(name=card.name, version=card.version, family=card.family,
                    saved_model_sha256=card.files["saved_model.pb"]),
        real=dict(name=survey.name, n=len(survey), sources=len(np.unique(survey.source)),
                  left_out=survey.left_out, stamp_size=survey.stamp_size,
                  pixel_scale=survey.pixel_scale),
        settings=dataclasses.asdict(settings))
    results.update(summarise(measurements, card, settings))
    if why is not None:
        results["no_reconstruction"] = why
    results["memorisation"] = search_copies(survey, trained, measurements, card, seed)
    latents = None
    if reconstructor is not None:
        latents = encode_kept(reconstructor, survey, measurements, gain, seed)
    classes = None
    if card.clusters:
        rows = bright_to_faint(measurements, card, COUNT, BRIGHT)
        classes = classify(survey, module, reconstructor, rows, gain=gain, seed=seed,
                           progress=progress)
        results["classes"] = summarise_classes(measurements, classes, card, settings, frequencies,
                                               survey.pixel_scale)
    return Validation(card, survey, measurements, latents, results, classes)


def _cores():
    """The cores that this process may use: on a cluster often fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count()


def _check_packages():
    try:
        import h5py  # noqa: F401
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import sklearn  # noqa: F401
        import statmorph  # noqa: F401
        import tqdm  # noqa: F401
    except ImportError as err:
        raise GalSimError(f"The validation needs the package {err.name}: pip install "
                          "'galsim-deep[validate]'.") from None


def _trained(real, training, card, columns, seed):
    """The training galaxies, a `Survey`; None if none are given and the real ones bring none."""
    if training is not None:
        return open_survey(training, card, columns=columns, split="train", seed=seed)
    if Path(real).suffix not in HDF5:
        return None
    try:
        return open_survey(real, card, columns=columns, split="train", seed=seed)
    except GalSimError:  # a file of test examples alone
        return None
