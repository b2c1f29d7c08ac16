"""Latent vectors: fixed functions of 64-bit keys, standard normal, without collisions."""

import itertools
import subprocess
import sys
import threading

import galsim
import numpy as np
import pytest
from scipy import special, stats

from galsim_deep.latents import (
    as_deviate,
    draw_latents,
    keys_from_deviate,
    keys_from_seeds,
    normal_numbers,
)

# ---- an independent implementation ----------------------------------------------------------

MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
KEY_STEPS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
LOW = np.uint64(0xFFFF_FFFF)
HALF = np.uint64(32)


def wide_product(multiplier, values):
    """The high and low 64 bits of a product, from the products of their 32-bit halves."""
    high, low = np.uint64(multiplier >> 32), np.uint64(multiplier & 0xFFFF_FFFF)
    value_high, value_low = values >> HALF, values & LOW
    lowest, middle, other = low * value_low, high * value_low, low * value_high
    carry = (lowest >> HALF) + (middle & LOW) + (other & LOW)
    return (high * value_high + (middle >> HALF) + (other >> HALF) + (carry >> HALF),
            values * np.uint64(multiplier))


def philox(keys, block):
    """Philox4x64-10 of Salmon et al. 2011 for the counter (block, 0, 0, 0) and the keys (key, 0).

    Returns four arrays of 64-bit words, one word of each for each key.
    """
    with np.errstate(over="ignore"):
        first_key, second_key = keys.copy(), np.zeros_like(keys)
        words = [np.full_like(keys, block), *(np.zeros_like(keys) for _ in range(3))]
        for _ in range(10):
            high_0, low_0 = wide_product(MULTIPLIERS[0], words[0])
            high_1, low_1 = wide_product(MULTIPLIERS[1], words[2])
            words = [high_1 ^ words[1] ^ first_key, low_1, high_0 ^ words[3] ^ second_key, low_0]
            first_key = first_key + np.uint64(KEY_STEPS[0])
            second_key = second_key + np.uint64(KEY_STEPS[1])
    return words


def latent_bits(keys, size):
    """The random bits behind a latent vector: each 64-bit word gives two, the lower half first."""
    words = [word for block in range(1, size // 8 + 2) for word in philox(keys, block)]
    halves = [half for word in words for half in (word & LOW, word >> HALF)]
    return np.stack(halves[:size], axis=1).astype(np.uint32)


def test_the_other_implementation_is_philox():
    """By the known answer of the authors' library, Random123, and by NumPy's generator."""
    words = philox(np.zeros(1, np.uint64), 0)
    assert [int(word[0]) for word in words] == [
        0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    keys = np.array([0, 1, 2**63, 2**64 - 1, 12345], np.uint64)
    for key, *words in zip(keys, *philox(keys, 1), strict=True):
        generator = np.random.Philox(key=int(key))  # begins with the counter 1
        assert [int(word) for word in words] == generator.random_raw(4).tolist()


KEYS = np.array([0, 1, 2, 7, 2**31, 2**32 + 7, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 38, 39, 100])
def test_bits_agree_with_an_independent_implementation(size):
    np.testing.assert_array_equal(
        draw_latents(KEYS, size), normal_numbers(latent_bits(KEYS, size)))


# ---- known values ---------------------------------------------------------------------------

KNOWN = np.float32([
    [1.815261, 2.2718844, -0.28440574, 0.701328, 0.34384543],
    [1.572108, -0.37556598, -0.11243327, -0.7529753, -1.7711594],
    [-0.13621461, 0.7226692, -0.46763688, -0.5748711, -2.2907982]])
KNOWN_KEYS = [2342534516359841976, 8449757073475434566]


def test_known_values():
    """A simulation must give the same galaxies years later, with other versions of libraries."""
    np.testing.assert_array_equal(draw_latents([0, 12345, 2**64 - 1], 5), KNOWN)


def test_known_keys():
    assert keys_from_seeds([0, -1, 2**64 - 1, 2**64 + 5, -2**63]).tolist() == [
        0, 2**64 - 1, 2**64 - 1, 5, 2**63]
    assert keys_from_deviate(galsim.BaseDeviate(1234), 2).tolist() == KNOWN_KEYS


# ---- from bits to normal numbers ------------------------------------------------------------


def exact(bits):
    """The normal quantile that stands for some bits, by scipy."""
    bits = bits.astype(np.int64)
    upper = bits >= 2**31
    probability = (np.where(upper, 2**32 - 1 - bits, bits) + 0.5) / 2**32
    return np.where(upper, 1, -1) * special.ndtri(probability)


@pytest.mark.parametrize("octave", range(31))
def test_normal_numbers_are_quantiles(octave):
    """To 1e-6, in each octave of probability and at the ends of all of its segments."""
    first, last = 2**octave, 2**(octave + 1)
    steps = np.linspace(first, last, 513).astype(np.int64)
    random = np.random.default_rng(octave).integers(first, last, 20_000)
    halves = np.unique(np.clip(np.concatenate([steps - 1, steps, random]), 0, 2**31 - 1))
    bits = np.concatenate([halves, 2**32 - 1 - halves]).astype(np.uint32)
    numbers = normal_numbers(bits)
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers, exact(bits), rtol=0, atol=1e-6)


def test_normal_numbers_decrease_with_the_probability_of_the_tail():
    bits = np.arange(0, 2**31, 2**15 - 1).astype(np.uint32)
    assert (np.diff(normal_numbers(bits)) <= 0).all()
    np.testing.assert_array_equal(normal_numbers(~bits), -normal_numbers(bits))


def test_latents_are_normal():
    numbers = draw_latents(np.arange(20_000), 10).ravel()
    assert numbers.dtype == np.float32
    assert stats.kstest(numbers, "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(numbers)) < 0.05


# ---- independence ---------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 2**16, 2**32, 2**48])
def test_neighbouring_seeds_are_independent(step):
    """Neither a galaxy's numbers nor those of its neighbours know of each other."""
    count, size = 20_000, 6
    drawn = draw_latents(keys_from_seeds(range(0, count * step, step)), size)
    correlation = np.corrcoef(np.concatenate([drawn[:-1], drawn[1:]], axis=1).T)
    np.fill_diagonal(correlation, 0.0)
    assert np.abs(correlation).max() < 5 / np.sqrt(count)


def test_one_bit_of_the_key_changes_half_of_the_bits():
    flipped = KEYS[:, None] ^ (np.uint64(1) << np.arange(64, dtype=np.uint64))
    bits = [latent_bits(keys, 32).view(np.uint8) for keys in (KEYS, flipped.ravel())]
    changed = np.unpackbits(bits[0][:, None] ^ bits[1].reshape(len(KEYS), 64, -1), axis=2)
    assert changed.mean() == pytest.approx(0.5, abs=0.005)
    assert np.abs(changed.mean(axis=2) - 0.5).max() < 0.1


def test_seeds_are_independent_of_galsims_own():
    """A simulation that seeds other things with the same ids gets other numbers there."""
    drawn = draw_latents(keys_from_seeds(range(1, 51)), 2)[:, 0]
    galsims = [galsim.GaussianDeviate(seed)() for seed in range(1, 51)]
    assert not np.any(np.isclose(drawn, galsims))


@pytest.mark.long
def test_ten_million_ids_do_not_collide():
    """In the first 128 bits, for ids in a row and for ids with a random upper half."""
    count = 5_000_000
    in_a_row = np.arange(count, dtype=np.uint64)
    upper_half = np.random.default_rng(1).permutation(count).astype(np.uint64) + np.uint64(2**31)
    keys = np.concatenate([in_a_row, (upper_half << HALF) + in_a_row])
    words = np.empty((len(keys), 2), np.uint64)
    for first in range(0, len(keys), 2**14):  # parts that fit into the processor's cache
        part = slice(first, first + 2**14)
        words[part].T[:] = philox(keys[part], 1)[:2]
    sample = np.random.default_rng(2).integers(0, len(keys), 1000)
    np.testing.assert_array_equal(
        draw_latents(keys[sample], 4), normal_numbers(words[sample].view("<u4")))
    # Chance makes two of the first 64 bits equal once in 370,000 such tests, and 128 bits never.
    assert (np.diff(np.sort(words[:, 0])) > 0).all()


# ---- the same bits in any batch, order, thread and process ----------------------------------

SIZE = 39


@pytest.fixture(scope="module")
def keys():
    return np.random.default_rng(3).integers(0, 2**64, 500, dtype=np.uint64)


@pytest.fixture(scope="module")
def drawn(keys):
    return draw_latents(keys, SIZE)


@pytest.mark.parametrize("rows", [1, 2, 7, 210, 499])
def test_batches(keys, drawn, rows):
    parts = [draw_latents(keys[first:first + rows], SIZE) for first in range(0, 500, rows)]
    np.testing.assert_array_equal(np.concatenate(parts), drawn)


def test_order(keys, drawn):
    order = np.random.default_rng(4).permutation(500)
    np.testing.assert_array_equal(draw_latents(keys[order], SIZE), drawn[order])


def test_a_longer_vector_begins_like_a_shorter_one(keys, drawn):
    for size in (1, 5, 38):
        np.testing.assert_array_equal(draw_latents(keys, size), drawn[:, :size])


def test_threads(keys, drawn):
    """Each has a generator of its own."""
    results, together = [None] * 4, threading.Barrier(4)

    def work(number):
        together.wait()
        results[number] = [draw_latents(keys, SIZE) for _ in range(5)]

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for latents in itertools.chain(*results):
        np.testing.assert_array_equal(latents, drawn)


PROCESSES = """
import multiprocessing, sys
import numpy as np
from galsim_deep.latents import draw_latents

keys, here = np.load(sys.argv[1]), None

def latents(part):
    return draw_latents(keys[part], 39)

if __name__ == "__main__":
    parts = [slice(first, first + 50) for first in range(0, 500, 50)]
    latents(parts[3])  # the parent has a generator in use
    with multiprocessing.get_context("fork").Pool(2) as pool:
        np.save(sys.argv[2], np.concatenate(pool.map(latents, parts)))
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork here")
def test_processes(keys, drawn, tmp_path):
    """A fresh process, and children forked from it."""
    np.save(tmp_path / "keys.npy", keys)
    subprocess.run([sys.executable, "-c", PROCESSES, str(tmp_path / "keys.npy"),
                    str(tmp_path / "latents.npy")], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "latents.npy"), drawn)


def test_no_rows():
    assert draw_latents([], 5).shape == (0, 5)
    assert draw_latents([], 5).dtype == np.float32
    assert keys_from_seeds([]).shape == keys_from_deviate(galsim.BaseDeviate(1), 0).shape == (0,)


# ---- generators -----------------------------------------------------------------------------


def test_keys_from_a_generator():
    """Two raw words each, one galaxy after the other, so that a table may be cut into parts."""
    words = raw_words(8, 10)
    keys = keys_from_deviate(galsim.BaseDeviate(8), 5)
    assert keys.dtype == np.uint64
    assert keys.tolist() == [words[2 * k] << 32 | words[2 * k + 1] for k in range(5)]
    rng = galsim.BaseDeviate(8)
    assert [*keys_from_deviate(rng, 2), *keys_from_deviate(rng, 3)] == keys.tolist()


def raw_words(seed, count):
    rng = galsim.BaseDeviate(seed)
    return [rng.raw() for _ in range(count)]


def test_the_callers_generator_advances():
    rng, other = galsim.BaseDeviate(8), galsim.BaseDeviate(8)
    keys_from_deviate(as_deviate(rng), 3)
    other.discard(6)
    assert rng == other != galsim.BaseDeviate(8)


def test_keys_of_a_generator_use_all_64_bits():
    keys = keys_from_deviate(galsim.BaseDeviate(3), 4000)
    set_bits = np.unpackbits(keys.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
    np.testing.assert_allclose(set_bits, 0.5, atol=0.05)
    assert len(np.unique(keys)) == 4000


@pytest.mark.parametrize("seed", [1, 5, -3, 2**31 - 1, -2**31, np.int64(7)])
def test_an_integer_is_a_seed_of_galsim(seed):
    assert as_deviate(seed) == galsim.BaseDeviate(int(seed))


@pytest.mark.parametrize("nothing", [None, 0])
def test_a_seed_from_the_system(nothing):
    assert as_deviate(nothing) != as_deviate(nothing)


@pytest.mark.parametrize("seed", [2**31, 2**32 + 5, -2**31 - 1, 2**80])
def test_long_seeds_of_a_generator(seed):
    """GalSim would drop all but 32 bits."""
    with pytest.raises(galsim.GalSimRangeError) as caught:
        as_deviate(seed)
    assert caught.value.value == seed


@pytest.mark.parametrize("rng", [True, 1.5, "5", [1], np.random.default_rng(1)],
                         ids=["bool", "float", "text", "list", "numpy"])
def test_what_is_no_generator(rng):
    with pytest.raises(galsim.GalSimValueError) as caught:
        as_deviate(rng)
    assert caught.value.value is rng
