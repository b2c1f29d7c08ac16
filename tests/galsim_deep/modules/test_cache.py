"""The folder that keeps modules."""

import galsim
import pytest

from galsim_deep.modules.cache import cache_dir, cached_module, module_place, scratch_folder
from galsim_deep.modules.errors import HandleError

SHA256 = "0123456789abcdef" * 4


def test_place_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GALSIM_DEEP_CACHE", str(tmp_path / "cache"))
    assert cache_dir() == tmp_path / "cache"
    assert not cache_dir().exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GALSIM_DEEP_CACHE", "~/there")
    assert cache_dir() == tmp_path / "there"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GALSIM_DEEP_CACHE", "relative")
    assert cache_dir() == tmp_path / "relative"
    monkeypatch.delenv("GALSIM_DEEP_CACHE")
    assert "galsim-deep" in str(cache_dir())


@pytest.mark.parametrize("top", [".", "toy"])
def test_cached_module(cache, make_module, top):
    assert cached_module(SHA256) is None
    module = make_module(module_place(SHA256) / top)
    assert cached_module(SHA256) == module
    assert cache in module.parents


@pytest.mark.parametrize("sha256", ["", "..", "../modules", SHA256.upper(), SHA256 + "/..", "*"])
def test_a_checksum_is_no_path(sha256, cache, make_module):
    """An index may state anything in its place."""
    make_module(module_place(SHA256))
    make_module(cache / "modules" / "toy")
    assert cached_module(sha256) is None


def test_scratch_folder(cache):
    with scratch_folder("modules") as folder:
        assert folder.parent == cache / "modules"
        (folder / "file").touch()
    assert [*(cache / "modules").iterdir()] == []
    with pytest.raises(KeyError), scratch_folder("modules") as folder:
        raise KeyError
    assert not folder.exists()


def test_a_cache_that_cannot_be_written(cache):
    cache.write_text("a file is in the way")
    with pytest.raises(HandleError, match="GALSIM_DEEP_CACHE") as caught, scratch_folder("modules"):
        pass
    assert isinstance(caught.value, galsim.GalSimError)
    assert str(cache) in str(caught.value)
