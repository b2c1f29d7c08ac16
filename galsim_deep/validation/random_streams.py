"""The random numbers of a validation: one seed, and a named stream for each purpose."""

__all__ = ["STREAMS", "RandomStreams"]

import dataclasses
import zlib
from collections.abc import Iterable

import numpy as np

STREAMS = {
    "posterior samples": "draws from the posterior of each encoded stamp [number of the draw]",
    "choice of training galaxies": "the training galaxies that are searched for copies",
    "canonical images": "noise that is added to canonical images [number of the sample]",
    "canonical training images": "the same for training galaxies",
    "planted copies": "copies of training galaxies that the search should find [number of the set]",
    "bootstrap at natural size": "bootstrap samples of galaxies at their natural size",
    "bootstrap": "bootstrap samples of sources",
    "halves": "random halves of the real sample, for the floor [name of the statistic]",
    "halves for the classifier": "random halves of the real sample, for the classifier",
    "halves for the mean of ratios": "random halves, for the floor of the mean distance ratio",
    "bootstrap of noiseless stamps": "bootstrap samples for the comparison without noise",
    "bootstrap of classes": "bootstrap samples for the section on classes",
    "class frequencies": "rows and latents of the galaxies whose class is counted",
    "shuffled classes": "classes that are assigned at random [number of the comparison]",
}
"""The streams: {name: what it determines [what selects one of several generators]}.

Besides these there are the noise of stamps, `RandomStreams.noise`, and the latents of generated
galaxies, `RandomStreams.galaxy_seeds`.  Real galaxies are chosen and padded with noise by
`galsim_deep.observations.real_galaxies`.
"""


@dataclasses.dataclass(frozen=True)
class RandomStreams:
    """Random number generators that depend on one seed, and on nothing else.

    Attributes:
        seed:   The seed of the validation, a non-negative integer.

    Example::

        >>> streams = RandomStreams(seed=1)
        >>> bool(streams.generator("bootstrap").random() == streams.generator("bootstrap").random())
        True
        >>> bool(streams.generator("halves", "g").random()
        ...      == streams.generator("halves", "gini").random())
        False
    """

    seed: int

    def sequence(self, stream: str, *indices: int | str) -> np.random.SeedSequence:
        """The seed of a stream, for functions that make their own generator.

        Parameters:
            stream:     One of `STREAMS`.
            indices:    Numbers or names that select one of several generators of the stream.

        Raises:
            KeyError:   There is no such stream.
        """
        if stream not in STREAMS:
            raise KeyError(f"There is no random stream '{stream}'. Add it to "
                           "galsim_deep.validation.random_streams.STREAMS.")
        # A spawn key sets these apart from the noise of stamps, which has none.
        return np.random.SeedSequence(self.seed, spawn_key=[
            key if isinstance(key, int) else zlib.crc32(key.encode())
            for key in (stream, *indices)])

    def generator(self, stream: str, *indices: int | str) -> np.random.Generator:
        """A new generator of a stream.  Parameters are those of `sequence`."""
        return np.random.default_rng(self.sequence(stream, *indices))

    def noise(self, galaxy: int, sample: int) -> np.random.Generator:
        """A new generator for the noise that is added to a stamp.

        Parameters:
            galaxy:     The index of the galaxy in the sample of real galaxies.
            sample:     1 for the generated stamp, 2 for the parametric one; none is added to the
                        real stamp.
        """
        return np.random.default_rng([self.seed, galaxy, sample])

    def galaxy_seeds(self, galaxies: Iterable[int]) -> list[int]:
        """The seeds of generated galaxies, as `galsim_deep.latents.keys_from_seeds` takes them.

        Parameters:
            galaxies:   Their n indices in the sample of real galaxies.

        Returns:
            n integers.
        """
        return [(self.seed << 32) + int(number) for number in galaxies]
