"""The random numbers of a validation: one seed, and a named stream for each purpose."""

__all__ = ["RandomStreams"]

import dataclasses
import zlib
from collections.abc import Iterable

import numpy as np

STREAMS = {
    "posterior sample": 3,
    "choice of training galaxies": 4,
    "canonical images": 5,
    "canonical training images": 6,
    "bootstrap": 10,
    "halves": 11,
    "halves for the classifier": 12,
    "bootstrap of true profiles": 13,
    "halves for the mean of ratios": 14,
    "bootstrap of classes": 20,
    "class frequencies": 20,
    "shuffled classes": 21,
}
"""The numbers of the streams that have one.  They stay as they are, so that a validation gives the
same numbers as before; a stream that is not listed is numbered by a checksum of its name.

========================================  ========================================================
Stream [and its indices]                  Use
========================================  ========================================================
``posterior sample`` [sample]             a draw from the posterior of each encoded stamp
``choice of training galaxies``           which training galaxies are searched for copies
``canonical images`` [sample]             noise that is added to canonical images
``canonical training images``             the same for training galaxies
``bootstrap``                             bootstrap samples of sources
``halves`` [statistic]                    random halves of the real sample, for the floor
``halves for the classifier``             random halves of the real sample, for the classifier
``bootstrap of true profiles``            bootstrap samples for the comparison with true profiles
``halves for the mean of ratios``         random halves for the floor of the mean distance ratio
``bootstrap of classes``                  bootstrap samples for the section on classes
``class frequencies``                     rows and latent vectors of the galaxies whose class is
                                          counted
``shuffled classes`` [kind]               classes that are assigned at random
========================================  ========================================================

Real galaxies are chosen and padded with noise by `galsim_deep.observations.real_galaxies`.
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
        >>> bool(streams.generator("halves", 0).random() == streams.generator("halves", 1).random())
        False
    """

    seed: int

    def sequence(self, stream: str, *indices: int) -> np.random.SeedSequence:
        """The seed of a stream, for functions that make their own generator.

        Parameters:
            stream:     Its name, such as those of `STREAMS`.
            indices:    Numbers that select one of several generators of the stream.
        """
        number = STREAMS.get(stream, zlib.crc32(stream.encode()))
        return np.random.SeedSequence([self.seed, number, *indices])

    def generator(self, stream: str, *indices: int) -> np.random.Generator:
        """A new generator of a stream.  Parameters are those of `sequence`."""
        return np.random.default_rng(self.sequence(stream, *indices))

    def noise(self, galaxy: int, sample: int) -> np.random.Generator:
        """A new generator for the noise of a stamp.

        Parameters:
            galaxy:     The place of the galaxy in the sample of real galaxies.
            sample:     0 for the real, 1 for the generated and 2 for the parametric stamp.
        """
        return np.random.default_rng([self.seed, galaxy, sample])

    def galaxy_seeds(self, galaxies: Iterable[int]) -> list[int]:
        """The seeds of generated galaxies, as `galsim_deep.latents.keys_from_seeds` takes them.

        Parameters:
            galaxies:   Their n places in the sample of real galaxies.

        Returns:
            n integers.
        """
        return [(self.seed << 32) + int(number) for number in galaxies]
