"""Random streams are reproducible and independent of each other."""

import zlib

import numpy as np
import pytest

from galsim_deep.measure.statistics import STATISTICS
from galsim_deep.validation.random_streams import STREAMS, RandomStreams


def first(generator):
    return generator.integers(2**62)


def test_a_stream_is_that_of_the_seed():
    assert first(RandomStreams(1).generator("halves", 3)) == first(
        RandomStreams(1).generator("halves", 3))
    assert first(RandomStreams(1).generator("halves", 3)) != first(
        RandomStreams(2).generator("halves", 3))
    sequence = RandomStreams(1).sequence("halves", 3)
    assert first(np.random.default_rng(sequence)) == first(RandomStreams(1).generator("halves", 3))


def test_known_numbers():
    """Changed numbers would change the results of every validation."""
    assert first(RandomStreams(7).noise(5, 2)) == first(np.random.default_rng([7, 5, 2]))
    assert RandomStreams(7).galaxy_seeds(np.array([0, 3])) == [7 << 32, (7 << 32) + 3]
    expected = np.random.SeedSequence(7, spawn_key=[zlib.crc32(b"halves"), zlib.crc32(b"gini")])
    assert first(RandomStreams(7).generator("halves", "gini")) == first(
        np.random.default_rng(expected))


def test_no_two_streams_are_equal():
    streams = RandomStreams(1)
    numbers = [first(streams.generator(name)) for name in STREAMS]
    numbers += [first(streams.generator(name, 1)) for name in STREAMS]
    numbers += [first(streams.generator("halves", statistic.name)) for statistic in STATISTICS]
    numbers += [first(streams.noise(galaxy, sample)) for galaxy in range(300) for sample in (1, 2)]
    assert len(set(numbers)) == len(numbers)


def test_a_stream_has_to_be_known():
    with pytest.raises(KeyError, match="stream 'colours'"):
        RandomStreams(1).generator("colours")
