"""The cache: what is put in comes out, and nothing else does."""

import concurrent.futures
import pickle
from pathlib import Path

import galsim
import numpy as np
import pytest

from galsim_deep.validation.cache import Cache, key_of

ARRAYS = dict(stamp=np.arange(12, dtype=np.float32).reshape(3, 4), number=np.float64(0.1),
              flag=np.True_, nan=np.array([np.nan, -0.0]))
KEY = key_of(dict(stamp=np.arange(3.0), seed=1))


@pytest.fixture
def cache(tmp_path):
    return Cache.at(tmp_path / "new" / "folder")


def only_file(cache):
    (path,) = (path for path in cache.folder.rglob("*") if path.is_file())
    return path


def test_what_is_put_in_comes_out(cache):
    assert cache.get(KEY) is None
    cache.put(KEY, ARRAYS)
    found = cache.get(KEY)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype and found[name].shape == np.shape(array)
        assert found[name].tobytes() == array.tobytes()
    assert cache.get(key_of(dict(stamp=np.arange(3.0), seed=2))) is None


@pytest.mark.parametrize("damage", [
    lambda content: content[:-10],
    lambda content: b"",
    lambda content: content + b"x",
    lambda content: content[:1000] + bytes([content[1000] ^ 1]) + content[1001:],
    lambda content: b"Something else that lies here. " * 100,
])
def test_damaged_entries_are_none(cache, damage):
    cache.put(KEY, dict(ARRAYS, large=np.arange(1000)))
    path = only_file(cache)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get(KEY) is None
    cache.put(KEY, ARRAYS)
    assert cache.get(KEY).keys() == ARRAYS.keys()


def test_an_entry_under_the_name_of_another_is_none(cache):
    cache.put(KEY, ARRAYS)
    other = key_of(dict(stamp=np.arange(4.0)))
    path = cache.folder / other[:2] / other[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(only_file(cache).read_bytes())
    assert cache.get(other) is None


def write(cache):
    for _ in range(5):
        cache.put(KEY, dict(large=np.arange(100_000)))
        if not np.array_equal(cache.get(KEY)["large"], np.arange(100_000)):
            return False
    return True


def test_several_may_write_the_same_entry(cache):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write, [cache] * 4))
    assert only_file(cache)


def test_a_cache_travels_to_other_processes(cache, monkeypatch, tmp_path):
    cache.put(KEY, ARRAYS)
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(pickle.dumps(cache)).get(KEY).keys() == ARRAYS.keys()


@pytest.mark.parametrize("one, other", [
    (dict(a=1), dict(a=2)), (dict(a=1), dict(b=1)), (dict(a=1), dict(a=1.0)), (dict(a=1), {}),
    (dict(a=None), dict(a=np.zeros(0))), (dict(a="x"), dict(a="y")),
    (dict(a=np.zeros((2, 3))), dict(a=np.zeros((3, 2)))),
    (dict(a=np.zeros(2), b=np.zeros(3)), dict(a=np.zeros(3), b=np.zeros(2))),
    (dict(a=np.zeros(2, np.float32)), dict(a=np.zeros(2, np.int32))),
])
def test_keys_tell_ingredients_apart(one, other):
    assert key_of(one) != key_of(other)


def test_keys_do_not_depend_on_order_or_layout():
    array = np.arange(6.0).reshape(2, 3)
    assert key_of(dict(a=array, b=1)) == key_of(dict(b=1, a=np.asfortranarray(array)))


@pytest.mark.parametrize("value", [dict(a=1), [None, 1], np.array(["x", None])])
def test_no_keys_of_addresses(value):
    with pytest.raises(TypeError, match="psf"):
        key_of(dict(psf=value))


def test_no_cache():
    assert Cache.at(None) is None


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(galsim.GalSimError, match=str(tmp_path / "file" / "cache")):
        Cache.at(tmp_path / "file" / "cache")


def test_a_cache_that_fails_later_only_warns(cache):
    cache.folder.joinpath(KEY[:2]).touch()  # a file where a folder should be
    with pytest.warns(galsim.GalSimWarning, match=str(cache.folder)) as warned:
        cache.put(KEY, ARRAYS)
        cache.put(KEY[:2] + 62 * "0", ARRAYS)
    assert cache.get(KEY) is None
    assert len({str(one.message) for one in warned}) == 1


def test_a_cache_on_a_full_disk(cache, monkeypatch):
    """Nothing half-written is found, nor left behind."""
    def write(path, content):
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.warns(galsim.GalSimWarning, match=f"{cache.folder}.*No space"):
        cache.put(KEY, ARRAYS)
    assert cache.get(KEY) is None
    assert not any(path.is_file() for path in cache.folder.rglob("*"))
