"""Random streams: reproducible, apart from each other, and as in earlier releases."""

import numpy as np
import pytest

from galsim_deep.validation.random_streams import STREAMS, RandomStreams


def first(generator):
    return generator.integers(2**62)


def test_a_stream_is_that_of_the_seed():
    assert first(RandomStreams(1).generator("halves", 3)) == first(
        RandomStreams(1).generator("halves", 3))
    assert first(RandomStreams(1).generator("halves", 3)) != first(
        RandomStreams(2).generator("halves", 3))


@pytest.mark.parametrize("stream, indices, seeds", [
    ("bootstrap", (), [7, 10]), ("halves", (4,), [7, 11, 4]),
    ("shuffled classes", (2,), [7, 21, 2])])
def test_numbered_streams_keep_their_numbers(stream, indices, seeds):
    """A changed number would change the results of every validation."""
    expected = first(np.random.default_rng(seeds))
    assert first(RandomStreams(7).generator(stream, *indices)) == expected
    assert first(np.random.default_rng(RandomStreams(7).sequence(stream, *indices))) == expected


def test_noise_and_galaxies_keep_their_numbers():
    assert first(RandomStreams(7).noise(5, 2)) == first(np.random.default_rng([7, 5, 2]))
    assert RandomStreams(7).galaxy_seeds(np.array([0, 3])) == [7 << 32, (7 << 32) + 3]


def test_streams_of_other_names_need_no_number():
    names = ["colours", "colours of halves", *STREAMS]
    numbers = [first(RandomStreams(1).generator(name)) for name in names]
    # The two streams of the section on classes share a number.
    assert len(set(numbers)) == len(names) - 1
    assert first(RandomStreams(1).generator("colours", 1)) != numbers[0]
