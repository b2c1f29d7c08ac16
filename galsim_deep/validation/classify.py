"""Of which class each galaxy is: of generated ones the module knows, of any it can be encoded."""

__all__ = ["ClassSamples", "Classified", "classify", "draw_samples"]

import dataclasses

import numpy as np
from galsim import GalSimError

from .examine import Task, draw_generated
from .measurements import BLOCK, generated_inputs


@dataclasses.dataclass(frozen=True)
class ClassSamples:
    """A few galaxies of each class, for the same rows and with the same random numbers.

    Attributes:
        rows:       Places in the survey, int [n].
        generated:  As they would have been observed, float32 [C, n, S, S].
        profile:    Before PSF and noise, float32 [C, n, S, S].
    """

    rows: np.ndarray
    generated: np.ndarray
    profile: np.ndarray


@dataclasses.dataclass(frozen=True)
class Classified:
    """The classes of all galaxies of a validation, by their ids.

    Attributes:
        drawn:          The class that each generated galaxy was made of, int [N].
        found:          {``real``, ``generated``: the class that the encoder finds most probable for
                        the stamp, int [N], -1 where it finds none}; empty if the module does not
                        encode.
        noise_sigma:    Standard deviation of the noise in a pixel of each stamp, float64 [N].
        samples:        A `ClassSamples`.
    """

    drawn: np.ndarray
    found: dict
    noise_sigma: np.ndarray
    samples: ClassSamples


def classify(survey, module, reconstructor, rows, *, gain=1.0, seed=1, progress=False):
    """Find the classes of the galaxies of a survey and of those generated for them.

    Parameters:
        survey:         A `Survey`.
        module:         The `galsim_deep.module.Module`, which has classes.
        reconstructor:  A `Reconstructor`, or None for modules that cannot encode.
        rows:           Places of the galaxies of which to draw samples of each class.
        gain, seed:     As in `measure_survey`: the generated galaxies are the same.
        progress:       Whether to show a progress bar.

    Returns:
        a `Classified`.
    """
    from tqdm import tqdm

    drawn, sigma = [], []
    found = dict(real=[], generated=[])
    starts = range(0, len(survey), BLOCK)
    for first in tqdm(starts, unit="block", disable=not progress, desc="classifying"):
        numbers = range(first, min(first + BLOCK, len(survey)))
        inputs = generated_inputs(survey, module, seed, numbers)
        seen = [survey.observation(number) for number in numbers]
        drawn.append(module.draw_clusters(*inputs))
        sigma += [one.noise_sigma for one in seen]
        if reconstructor is None:
            continue
        profiles = module.sample(*inputs)
        stamps = dict(
            real=np.stack([one.stamp for one in seen]),
            generated=np.stack([_drawn_like(one, profile, module.card, gain, seed)["generated"]
                                for one, profile in zip(seen, profiles, strict=True)]))
        for sample, them in stamps.items():
            found[sample].append(_found(reconstructor, them, seen, gain))
    return Classified(
        drawn=np.concatenate(drawn).astype(int),
        found={sample: np.concatenate(parts) for sample, parts in found.items() if parts},
        noise_sigma=np.array(sigma, float),
        samples=draw_samples(survey, module, rows, gain=gain, seed=seed))


def draw_samples(survey, module, rows, *, gain=1.0, seed=1):
    """Draw galaxies of each class for the same rows of a survey.

    Parameters:
        survey:     A `Survey`.
        module:     The `galsim_deep.module.Module`, which has classes.
        rows:       Their places in the survey, int [n].
        gain, seed: As in `measure_survey`.  The galaxies are those of the natural mix but for their
                    class, and have the same noise.

    Returns:
        a `ClassSamples`.
    """
    rows, card = np.asarray(rows, int), module.card
    seen = [survey.observation(int(number)) for number in rows]
    shape = (len(card.clusters), len(rows), survey.stamp_size, survey.stamp_size)
    stamps = dict(generated=np.empty(shape, np.float32), profile=np.empty(shape, np.float32))
    if len(rows):
        columns, normal = generated_inputs(survey, module, seed, rows)
        for number in range(len(card.clusters)):
            made = module.sample(columns, normal, np.full(len(rows), number, np.int32))
            for n, (one, profile) in enumerate(zip(seen, made, strict=True)):
                for name, stamp in _drawn_like(one, profile, card, gain, seed).items():
                    stamps[name][number, n] = stamp
    return ClassSamples(rows, **stamps)


def _drawn_like(seen, profile, card, gain, seed):
    """The stamps of `draw_generated`; NaN where noise level or PSF make no sense."""
    try:
        return draw_generated(Task(
            observation=seen, generated=profile, reconstructed=None, card=card, gain=gain,
            seed=seed, keep=False))
    except GalSimError:
        return dict.fromkeys(("generated", "profile"), np.full(seen.stamp.shape, np.nan))


def _found(reconstructor, stamps, seen, gain):
    """The classes that the encoder finds, int [n]; -1 for what is no stamp of a galaxy."""
    units = [dataclasses.replace(one, noise_sigma=one.noise_sigma / gain) for one in seen]
    ids = reconstructor.classes(stamps / gain, units)
    sound = [np.isfinite(stamp).all() and np.isfinite(one.psf).all() and one.noise_sigma > 0
             for stamp, one in zip(stamps, seen, strict=True)]
    return np.where(sound, ids, -1)
