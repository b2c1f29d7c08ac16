"""The classes of the galaxies of a validation, drawn by the module or assigned by its encoder."""

__all__ = ["ClassSamples", "Classification", "classify", "draw_class_samples"]

import dataclasses
from collections.abc import Sequence

import numpy as np
from galsim import GalSimError

from ..modules.card import Card
from ..modules.module import Module
from ..observations.flux_units import FluxUnits
from ..observations.observation import Observation
from ..observations.real_galaxies import RealGalaxies
from .generate import BLOCK, Generated, generate
from .measure_generated import Task, draw_generated
from .random_streams import RandomStreams
from .reconstructor import Reconstructor


@dataclasses.dataclass(frozen=True)
class ClassSamples:
    """A few galaxies of each class, for the same catalogue rows and random numbers.

    Attributes:
        rows:       Their n indices among the real galaxies, int [n].
        generated:  As they would have been observed: for each class, n arrays of float32 [S, S].
        profile:    Before PSF and noise, likewise.

    Example, galaxy 4 as each of three classes:

        >>> images = [[np.zeros((32, 32), np.float32)] for _ in range(3)]
        >>> samples = ClassSamples(rows=np.array([4]), generated=images, profile=images)
        >>> samples.generated[2][0].shape
        (32, 32)
    """

    rows: np.ndarray
    generated: list[list[np.ndarray]]
    profile: list[list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Classification:
    """The classes of all galaxies of a validation, by their numbers.

    Attributes:
        drawn:          The class that each generated galaxy was made as, int [N].
        encoded:        {``real``, ``generated``: the class that the encoder finds most probable for
                        each stamp, int [N], -1 if it finds none}; empty if the module does not
                        encode.
        noise_sigma:    Standard deviation of the noise in a pixel of each stamp, float64 [N].

    Example, how often the encoder finds the class that was drawn:

        >>> classes = Classification(
        ...     drawn=np.array([0, 1, 1, 2]), encoded=dict(generated=np.array([0, 1, 2, 2])),
        ...     noise_sigma=np.full(4, 0.02))
        >>> float(np.mean(classes.drawn == classes.encoded["generated"]))
        0.75
    """

    drawn: np.ndarray
    encoded: dict[str, np.ndarray]
    noise_sigma: np.ndarray


def classify(galaxies: RealGalaxies, module: Module, reconstructor: Reconstructor | None,
             units: FluxUnits, streams: RandomStreams, progress: bool = False) -> Classification:
    """Find the classes of real galaxies and of those generated for them.

    Parameters:
        galaxies:       The real galaxies.
        module:         The module, which has classes.
        reconstructor:  Its encoder; None for modules that cannot encode.
        units:          The flux units of the real stamps and of the module.
        streams:        The random numbers of the validation: the generated galaxies are those that
                        were measured.
        progress:       Whether to show a progress bar.

    Returns:
        the `Classification`.
    """
    from tqdm import tqdm

    drawn: list[np.ndarray] = []
    noise_sigma: list[float] = []
    encoded: dict[str, list[np.ndarray]] = dict(real=[], generated=[])
    blocks = range(0, len(galaxies), BLOCK)
    for first in tqdm(blocks, unit="block", disable=not progress, desc="classifying"):
        numbers = range(first, min(first + BLOCK, len(galaxies)))
        observations = [galaxies.observation(number) for number in numbers]
        generated = generate(galaxies, module, streams, numbers)
        drawn.append(np.asarray(generated.classes))
        noise_sigma += [observation.noise_sigma for observation in observations]
        if reconstructor is None:
            continue
        stamps = dict(
            real=[observation.stamp for observation in observations],
            generated=[stamps["generated"] for stamps in _drawn_stamps(
                observations, generated, module.card, units, streams)])
        for sample, sample_stamps in stamps.items():
            encoded[sample].append(
                _encoded_classes(reconstructor, sample_stamps, observations, units))
    return Classification(
        drawn=np.concatenate(drawn), noise_sigma=np.array(noise_sigma, float),
        encoded={sample: np.concatenate(parts) for sample, parts in encoded.items() if parts})


def draw_class_samples(galaxies: RealGalaxies, module: Module, rows: Sequence[int] | np.ndarray,
                       units: FluxUnits, streams: RandomStreams) -> ClassSamples:
    """Draw galaxies of each class for the same real galaxies.

    Parameters:
        galaxies:       The real galaxies.
        module:         The module, which has classes.
        rows:           Indices of n galaxies among the real ones.
        units:          The flux units of the real stamps and of the module.
        streams:        The random numbers of the validation: columns, latent vector and noise of a
                        galaxy are those of the galaxy that was measured, and only the class
                        differs.

    Returns:
        the `ClassSamples`.
    """
    rows = np.asarray(rows, int)
    observations = [galaxies.observation(int(number)) for number in rows]
    stamps: dict[str, list[list[np.ndarray]]] = dict(generated=[], profile=[])
    for number in range(len(module.card.classes)):
        drawn = []
        if len(rows):
            drawn = _drawn_stamps(observations, generate(galaxies, module, streams, rows, number),
                                  module.card, units, streams)
        for name, of_classes in stamps.items():
            of_classes.append([galaxy[name].astype(np.float32) for galaxy in drawn])
    return ClassSamples(rows, **stamps)


def _drawn_stamps(observations: Sequence[Observation], generated: Generated, card: Card,
                  units: FluxUnits, streams: RandomStreams) -> list[dict[str, np.ndarray]]:
    """The stamps of `draw_generated`; NaN if the noise level or the PSF cannot be used."""
    drawn = []
    for observation, image, pixel_scale in zip(
            observations, generated.images, generated.pixel_scales, strict=True):
        try:
            drawn.append(draw_generated(Task(
                observation=observation, generated=image, reconstructed=None, card=card,
                pixel_scale=float(pixel_scale), units=units, streams=streams, keep_stamps=False)))
        except GalSimError:
            drawn.append(dict.fromkeys(
                ("generated", "profile"), np.full(observation.stamp.shape, np.nan)))
    return drawn


def _encoded_classes(reconstructor: Reconstructor, stamps: Sequence[np.ndarray],
                     observations: Sequence[Observation], units: FluxUnits) -> np.ndarray:
    """The classes that the encoder finds, int [n]; -1 for a stamp that cannot be encoded."""
    classes = reconstructor.classes([
        units.to_module(observation, stamp)
        for observation, stamp in zip(observations, stamps, strict=True)])
    usable = [np.isfinite(stamp).all() and np.isfinite(observation.psf).all()
              and observation.noise_sigma > 0
              for observation, stamp in zip(observations, stamps, strict=True)]
    return np.where(usable, classes, -1)
