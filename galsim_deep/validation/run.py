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
from . import memory
from .conditioning import magnitude_column
from .examine import SAMPLES
from .measurements import Measurements, measure_survey
from .reconstruction import Reconstructor
from .summary import Settings, summarise
from .survey import HDF5, Survey, open_survey

KEEP = 1000
"""Of how many galaxies stamps are kept, for figures, latents and the search for copies."""
MEMORY_BRIGHT = 22.5
"""Copies are searched for among galaxies up to this magnitude, where noise hides little."""
MEMORY_TRAINING = 4000


@dataclasses.dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
        card:           The card of the module.
        survey:         The real galaxies, a `Survey`.
        measurements:   All that was measured, galaxy by galaxy, a `Measurements`.
        latents:        {"real" or "generated": float32 [K, L]}: encoded stamps, one draw of the
                        posterior each; empty if the module does not encode.
        results:        All numbers of the report, as in report.json.
    """

    card: Card
    survey: Survey
    measurements: Measurements
    latents: dict
    results: dict


def validate(file_name, real, *, count=None, seed=1, processes=None, columns=None, split="test",
             training=None, zero_point=None, settings=None, progress=False):
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

    Returns:
        a `Validation`.

    Raises a `galsim.GalSimError` where module or galaxies cannot be read, or a package of the extra
    ``validate`` is missing.
    """
    _check_packages()
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
    measurements = measure_survey(
        survey, module, reconstructor, gain=gain, seed=seed,
        processes=processes or _cores(), keep=min(KEEP, len(survey)), progress=progress)
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
    results["memorisation"] = _memorisation(
        survey, trained, measurements, card, seed)
    latents = {}
    if reconstructor is not None:
        latents = _latents(reconstructor, survey, measurements, gain, seed)
    return Validation(card, survey, measurements, latents, results)


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


def _memorisation(survey, trained, measurements, card, seed):
    """Distances to the nearest training galaxy; or why they are not known.

    The parametric sample is looked at as well: it has memorised nothing, but is as smooth as can
    be, and smooth galaxies are near to any other.
    """
    column = magnitude_column(card)
    if column is None:
        return dict(skipped="the module has no magnitude among its columns")
    if trained is None:
        return dict(skipped="no training galaxies were given")
    if survey.recipe_sha256 and survey.recipe_sha256 == trained.recipe_sha256 and np.isin(
            survey.source, trained.source).any():
        return dict(skipped="the real galaxies are training galaxies themselves")
    among = np.flatnonzero(trained.columns[column.name] < MEMORY_BRIGHT)
    among = np.random.default_rng([seed, 4]).permutation(among)[:MEMORY_TRAINING]
    kept = len(measurements.stamps["real"])
    bright = np.flatnonzero(measurements.columns[column.name][:kept] < MEMORY_BRIGHT)
    seen = [survey.observation(int(n)) for n in bright]
    stamps = {sample: measurements.stamps[sample][bright] for sample in SAMPLES}
    images = {sample: _canonical(seen, stamps[sample], [seed, 5, number])
              for number, sample in enumerate(SAMPLES)}
    known = {sample: np.flatnonzero([image is not None for image in found])
             for sample, found in images.items()}
    images = {sample: [found[n] for n in known[sample]] for sample, found in images.items()}
    old = [trained.observation(int(n)) for n in among]
    old_images = _canonical(old, [one.stamp for one in old], [seed, 6])
    old_known = [n for n, image in enumerate(old_images) if image is not None]
    if not old_known or not len(known["real"]) or not len(known["generated"]):
        return dict(skipped="too few galaxies are bright and large enough")
    old_images = [old_images[n] for n in old_known]
    old_sources = trained.source[among[old_known]]
    held_out_sources = measurements.source[bright[known["real"]]]
    found = {sample: memory.memorisation(images[sample], images["real"], old_images, old_sources,
                                         held_out_sources, seed=seed)
             for sample in SAMPLES[1:]}
    return memory_results(found)


def memory_results(found):
    """What `memory.memorisation` found on the generated and on the parametric sample, as one dict.

    Parameters:
        found:      {sample: the dict of `memory.memorisation`}.

    Returns:
        a dict of ``copies``, ``strangers``, ``held_out`` and one entry a sample, each a dict of
        ``n``, ``median`` and, for the last, the shares; and ``n_training``.
    """
    def number(one, name):
        return dict(value=one[name], error=one[f"{name}_error"])

    common = found["generated"]
    results = dict(
        n_training=common["n_training"],
        copies=dict(n=common["n_copies"], median=number(common, "copies_median")),
        strangers=dict(n=common["n_copies"], median=number(common, "strangers_median")),
        held_out=dict(n=common["n_held_out"], median=number(common, "held_out_median"),
                      share_copies=number(common, "held_out_share_copies")))
    for sample, one in found.items():
        results[sample] = dict(
            n=one["n_generated"], median=number(one, "generated_median"),
            share_copies=number(one, "share_copies"), share_nearer=number(one, "share_nearer"))
    return results


def _canonical(observations, stamps, seed):
    rng = np.random.default_rng(seed)
    return [memory.canonical(seen, stamp, rng)
            for seen, stamp in zip(observations, stamps, strict=True)]


def _latents(reconstructor, survey, measurements, gain, seed):
    """Encode the real and the generated stamps that were kept: one posterior draw each."""
    found = {}
    seen = [survey.observation(n) for n in range(len(measurements.stamps["real"]))]
    seen = [dataclasses.replace(one, noise_sigma=one.noise_sigma / gain) for one in seen]
    for number, sample in enumerate(("real", "generated")):
        mean, scale = reconstructor.encode(measurements.stamps[sample] / gain, seen)
        rng = np.random.default_rng([seed, 3, number])
        found[sample] = mean + scale * rng.standard_normal(mean.shape).astype(np.float32)
    return found
