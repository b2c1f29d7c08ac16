"""Latent vectors: standard normal numbers that are a fixed function of a 64-bit key.

All randomness of a galaxy is here, outside of the network: its latent vector depends only on
its key, never on its row, batch or process, and never changes with the version of a library.  The
bits come from the counter-based generator Philox4x64-10 (Salmon et al. 2011,
doi:10.1145/2063384.2063405), whose stream NumPy guarantees; they become normal numbers by
`normal_numbers`, which uses operations that IEEE 754 defines to the last bit.
"""

__all__ = ["as_deviate", "draw_latents", "keys_from_deviate", "keys_from_seeds", "normal_numbers"]

import functools
import operator
import threading
from collections.abc import Iterable

import galsim
import numpy as np
from galsim import GalSimRangeError, GalSimValueError
from numpy.typing import ArrayLike, NDArray


def keys_from_seeds(seeds: Iterable[int]) -> NDArray[np.uint64]:
    """The keys of galaxies with given seeds: the seeds themselves, modulo 2^64.

    Parameters:
        seeds:      Python integers, shape [N].

    Returns:
        uint64 [N].

    >>> keys_from_seeds([7, -1, 2**64 + 7])
    array([                   7, 18446744073709551615,                    7],
          dtype=uint64)
    """
    return np.array([seed & 0xFFFF_FFFF_FFFF_FFFF for seed in seeds], np.uint64)


def keys_from_deviate(rng: galsim.BaseDeviate, count: int) -> NDArray[np.uint64]:
    """Draw the keys of some galaxies, two 32-bit words for each.

    Parameters:
        rng:        The random number generator; its state advances.
        count:      How many galaxies, N.

    Returns:
        uint64 [N].

    >>> keys_from_deviate(galsim.BaseDeviate(42), 2)
    array([12501940412385066472,  8944865599506582113], dtype=uint64)
    """
    words = np.array([rng.raw() for _ in range(2 * count)], np.uint64)
    return words[::2] << np.uint64(32) | words[1::2]


def as_deviate(rng: galsim.BaseDeviate | int | None) -> galsim.BaseDeviate:
    """Convert a deviate or an integer seed to a `galsim.BaseDeviate`.

    If ``rng`` is a deviate, both share their state.

    Parameters:
        rng:        A `galsim.BaseDeviate`, or an integer seed of 32 bits as GalSim takes it: 0 and
                    None mean a seed from the system.

    Raises:
        GalSimValueError:   ``rng`` is of another type.
        GalSimRangeError:   The seed does not fit into 32 bits; GalSim would ignore the other bits.

    >>> as_deviate(5) == galsim.BaseDeviate(5)
    True
    """
    if rng is None or isinstance(rng, galsim.BaseDeviate):
        return galsim.BaseDeviate(rng)
    if isinstance(rng, bool) or not hasattr(rng, "__index__"):
        raise GalSimValueError("rng must be a galsim.BaseDeviate or an integer seed.", rng)
    seed = operator.index(rng)
    if not -2**31 <= seed < 2**31:
        raise GalSimRangeError("rng takes integers of at most 32 bits. For 64-bit seeds, use the "
                               "argument seeds.", seed, -2**31, 2**31 - 1)
    return galsim.BaseDeviate(seed)


def draw_latents(keys: ArrayLike, size: int) -> NDArray[np.float32]:
    """The latent vectors of some galaxies.

    Parameters:
        keys:       64-bit keys, shape [N].
        size:       Numbers for each galaxy, L.

    Returns:
        standard normal numbers, float32 [N, L].

    >>> draw_latents([7], 3)
    array([[ 0.9792569, -1.1362473, -1.915151 ]], dtype=float32)
    """
    keys = np.asarray(keys, np.uint64)
    words = np.empty((len(keys), (size + 1) // 2), "<u8")
    for row, key in enumerate(keys):
        words[row] = _philox(key).random_raw(words.shape[1])
    halves = words.view("<u4")[:, :size]
    if halves.size <= _BLOCK:
        return normal_numbers(halves)
    latents = np.empty((len(keys), size), np.float32)
    rows = max(1, _BLOCK // size)
    for first in range(0, len(keys), rows):
        latents[first:first + rows] = normal_numbers(halves[first:first + rows])
    return latents


_BLOCK = 8192
"""Numbers transformed at once: they stay in the processor's cache."""


class _Generators(threading.local):
    """A generator for each thread.  Making one takes four times as long as setting its state."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(key=0)


_generators = _Generators()
_ZEROS = np.zeros(4, np.uint64)


def _philox(key: np.uint64) -> np.random.Philox:
    """The generator with this key, at the beginning of its stream; valid until the next call."""
    philox = _generators.philox
    philox.state = dict(
        bit_generator="Philox", state=dict(counter=_ZEROS, key=np.array([key, 0], np.uint64)),
        buffer=_ZEROS, buffer_pos=4, has_uint32=0, uinteger=0)
    return philox


# ---- from bits to normal numbers ------------------------------------------------------------

_SEGMENTS = 9
"""Binary logarithm of the number of linear segments in each octave of probability."""
_FIRST = 1022 << _SEGMENTS  # the segment of 0.5, the smallest value that is looked up


def normal_numbers(bits: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Standard normal numbers from random bits, one from each 32 bits.

    The first bit is the sign.  The others are a probability p = (m + 1/2) / 2^32, m < 2^31, and the
    size of the number is the quantile -z(p).  The quantile function is interpolated between 512
    points in each octave of p, which is right to 1e-6, a few times the precision of float32.

    Parameters:
        bits:       Uniformly distributed, any shape.

    Returns:
        float32 of the same shape, between -6.34 and 6.34; each is a fixed function of its bits.

    >>> normal_numbers(np.array([0, 2**30, 2**31 + 2**30, 2**32 - 1], np.uint32)).round(4)
    array([ 6.338 ,  0.6745, -0.6745, -6.338 ], dtype=float32)
    """
    signed = bits.view("<i4")
    scaled = (signed ^ (signed >> 31)) + 0.5  # p 2^32, between 0.5 and 2^31
    # Exponent and first digits of the mantissa number the segments of all octaves.
    segment = (scaled.view(np.int64) >> (52 - _SEGMENTS)) - _FIRST
    intercept, slope = _quantile_table()
    size = slope.take(segment)
    size *= scaled
    size += intercept.take(segment)
    return np.copysign(size, signed, out=np.empty(bits.shape, np.float32), casting="same_kind")


@functools.cache
def _quantile_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intercepts and slopes of -z(p) as linear functions of p 2^32, one pair for each segment."""
    numbers = np.arange((32 << _SEGMENTS) + 1, dtype=np.int64) + _FIRST
    edges = (numbers << (52 - _SEGMENTS)).view(np.float64)
    sizes = -_normal_quantile(edges * 2.0**-32)
    slopes = np.diff(sizes) / np.diff(edges)
    return sizes[:-1] - slopes * edges[:-1], slopes


def _normal_quantile(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quantile function of the normal distribution for p in (0, 1/2], right to 1e-7.

    Algorithm PPND7 of AS 241 (Wichura 1988, Applied Statistics 37, 477).
    """
    q = p - 0.5
    r = 0.180625 - q * q
    central = q * _polynomial(r, 3.3871327179e0, 5.0434271938e1, 1.5929113202e2,
                              5.9109374720e1) / _polynomial(
        r, 1.0, 1.7895169469e1, 7.8757757664e1, 6.7187563600e1)
    r = np.sqrt(-_logarithm(p)) - 1.6
    tail = -_polynomial(r, 1.4234372777e0, 2.7568153900e0, 1.3067284816e0,
                        1.7023821103e-1) / _polynomial(r, 1.0, 7.3700164250e-1, 1.2021132975e-1)
    return np.where(np.abs(q) <= 0.425, central, tail)


def _logarithm(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the natural logarithm from its series.

    The last bit of a library's logarithm may differ between platforms.
    """
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.7
    mantissa, exponent = np.where(low, 2.0 * mantissa, mantissa), exponent - low
    s = (mantissa - 1.0) / (mantissa + 1.0)  # ln((1 + s) / (1 - s)) = 2 (s + s^3/3 + s^5/5 + ...)
    series = _polynomial(s * s, *(1.0 / n for n in range(1, 22, 2)))
    return 2.0 * s * series + 0.6931471805599453 * exponent


def _polynomial(x: NDArray[np.float64], *coefficients: float) -> NDArray[np.float64]:
    """c0 + c1 x + c2 x^2 + ..."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total
