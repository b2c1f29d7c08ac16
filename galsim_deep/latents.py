"""The random input of a module, drawn from the bits of GalSim's own deviates.

All randomness of a galaxy is here, outside of the graph: L standard normal numbers.
"""

__all__ = ["deviates", "draw", "one_deviate"]

import operator

import galsim
import numpy as np
from galsim import GalSimValueError

_MASK = (1 << 64) - 1


def deviates(count, rng=None, seeds=None):
    """One random number generator for each galaxy.

    Parameters:
        count:      Number of galaxies N.
        rng:        As `one_deviate` takes it: all galaxies draw from it, one after the other.
        seeds:      Integers, one a galaxy, each of which alone decides that galaxy.

    Returns:
        a list of N `galsim.BaseDeviate`.
    """
    if seeds is not None:
        return [galsim.BaseDeviate(_scrambled(seed)) for seed in seeds]
    return [one_deviate(rng)] * count


def one_deviate(rng):
    """A `galsim.BaseDeviate` that shares its state with the one that is given.

    Parameters:
        rng:        A `galsim.BaseDeviate`, or an integer, a seed as GalSim takes it: 0 and None
                    mean one from the system.
    """
    try:
        return galsim.BaseDeviate(rng if rng is None or isinstance(rng, galsim.BaseDeviate)
                                  else operator.index(rng))
    except TypeError:
        raise GalSimValueError("rng is a galsim.BaseDeviate or an integer that GalSim takes as a "
                               "seed.", rng) from None


def draw(rngs, size):
    """Draw the latent input of each galaxy.

    Parameters:
        rngs:       One `galsim.BaseDeviate` a galaxy.
        size:       L, the numbers a galaxy takes.

    Returns:
        float32, shape [N, L].
    """
    numbers = np.empty((len(rngs), size), np.float32)
    for row, rng in enumerate(rngs):
        # Not galsim.GaussianDeviate: one number at a time takes longer than the network does, and
        # its generate() starts OpenMP threads, which hang for ever in the forked child of a
        # process that has used them.  Of numpy's two classes this is the one whose numbers are
        # promised to stay as they are.  A new one for each galaxy: it draws numbers in pairs and
        # would keep a spare one.
        numbers[row] = np.random.RandomState(rng.np.bit_generator).standard_normal(size)
    return numbers


def _scrambled(seed):
    """A 64-bit seed as one that GalSim takes: 1 .. 2^31 - 1, never 0 ("from the system").

    Mixing (the finaliser of SplitMix64, Steele et al. 2014) keeps galaxies with neighbouring ids,
    and other things a simulation seeds with the same ids, from sharing random numbers.
    """
    x = (int(seed) + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return (x ^ (x >> 31)) % (2**31 - 1) + 1
