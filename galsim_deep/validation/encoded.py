"""Latents of encoded stamps, real and generated: those few that say most of a galaxy."""

__all__ = ["Latents", "encode_kept", "informative"]

import dataclasses

import numpy as np

from .measurements import BLOCK

COUNT = 5
"""Latents that are kept: as many as a corner plot shows."""


@dataclasses.dataclass(frozen=True)
class Latents:
    """One draw of the posterior of each stamp, for the latents that say most.

    Attributes:
        which:      Their places among all latents of the encoder, most informative first, int [c].
        real:       Float32 [K, c]: of the real stamps that were kept.
        generated:  The same of the generated stamps.
    """

    which: np.ndarray
    real: np.ndarray
    generated: np.ndarray


def encode_kept(reconstructor, survey, measurements, gain, seed):
    """Encode the real and the generated stamps that were kept.

    Parameters:
        reconstructor:  A `Reconstructor`.
        survey:         The `Survey`.
        measurements:   The `Measurements` of it.
        gain:           Flux of the survey's stamps over flux of the module, for one galaxy.
        seed:           Random seed.

    Returns:
        a `Latents`.  How many latents there are is for the encoder to say: it need not be the size
        of the module's random input.
    """
    stamps = {sample: measurements.stamps[sample] / gain for sample in ("real", "generated")}
    real = _encoded(reconstructor, survey, stamps["real"], gain)
    which = informative(*real)
    real = [part[:, which] for part in real]
    generated = _encoded(reconstructor, survey, stamps["generated"], gain, which)
    drawn = [mean + scale * np.random.default_rng([seed, 3, number]).standard_normal(
                 mean.shape, np.float32)
             for number, (mean, scale) in enumerate((real, generated))]
    return Latents(which, *drawn)


def informative(mean, scale, count=COUNT):
    """The latents that tell galaxies apart best.

    Those whose posterior is narrowest compared with how far its mean moves from galaxy to galaxy.
    The posterior of a latent that a module does not use hardly moves; latents whose width is the
    same for all galaxies, as that of numbers that are measured and not inferred, come last.

    Parameters:
        mean, scale:    Of the posterior, shape [N, L].  Rows that are not finite do not count.
        count:          How many at most.

    Returns:
        their places, most informative first, int [min(count, L)].
    """
    good = np.isfinite(mean).all(axis=1) & np.isfinite(scale).all(axis=1)
    if not good.any():
        return np.arange(min(count, mean.shape[1]))
    spread = mean[good].std(axis=0, dtype=float)
    width = scale[good].mean(axis=0, dtype=float)
    ratio = np.divide(width, spread, out=np.full(len(spread), np.inf), where=spread > 0)
    ratio[np.ptp(scale[good], axis=0) == 0] = np.inf
    return np.argsort(ratio, kind="stable")[:count]


def _encoded(reconstructor, survey, stamps, gain, which=slice(None)):
    """Mean and scale, each float32 [K, c]; in blocks, since there may be thousands of latents."""
    parts = []
    for first in range(0, len(stamps), BLOCK):
        block = stamps[first:first + BLOCK]
        seen = [survey.observation(first + n) for n in range(len(block))]
        seen = [dataclasses.replace(one, noise_sigma=one.noise_sigma / gain) for one in seen]
        parts.append([part[:, which] for part in reconstructor.encode(block, seen)])
    mean, scale = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mean, scale
