"""What is measured on the real galaxy: the same from the cache, and measured anew when it must."""

import ast
import dataclasses
import shutil
import sys
from pathlib import Path

import galsim
import numpy as np
import pytest

from galsim_deep.validation import observed as module
from galsim_deep.validation.cache import Cache
from galsim_deep.validation.observed import examine_observed, observed


@pytest.fixture(scope="module")
def galaxy(observe):
    """A faint disk whose true profile is known, in correlated noise, cut at one edge."""
    disk = galsim.Exponential(half_light_radius=0.25, flux=3.0).shear(g1=0.2)
    footprint = np.ones((64, 64), bool)
    footprint[:2] = False
    correlation = np.zeros((3, 3))
    correlation[1] = [0.3, 1.0, 0.3]
    seen = observe(size=64, noise_sigma=0.002, footprint=footprint, noise_correlation=correlation,
                   truth=disk.drawImage(nx=64, ny=64, scale=0.03, method="no_pixel",
                                        dtype=float).array)
    return dataclasses.replace(
        seen, stamp=seen.drawn_like(seen.convolved(disk), np.random.default_rng(1)))


@pytest.fixture(scope="module")
def found(galaxy):
    return examine_observed(galaxy, seed=3, gain=2.0)


def same(one, other):
    for part in ("values", "flags"):
        assert list(getattr(one, part)) == list(getattr(other, part))
        for sample, numbers in getattr(one, part).items():
            assert list(numbers) == list(getattr(other, part)[sample])
            np.testing.assert_array_equal(
                list(numbers.values()), list(getattr(other, part)[sample].values()))
    for part in ("numbers", "stamps"):
        assert list(getattr(one, part)) == list(getattr(other, part))
        for name, value in getattr(one, part).items():
            np.testing.assert_array_equal(value, getattr(other, part)[name], strict=True)
    return True


def test_what_is_found(found):
    assert set(found.values) == set(found.flags) == {"real", "parametric"}
    assert found.numbers["chi2_parametric"] == pytest.approx(1.0, abs=0.1)
    assert found.numbers["sersic_failed_truth"] == 0
    assert (found.numbers["power_truth"] > 0).all()
    assert set(found.stamps) == {"parametric", "model_parametric"}


def test_the_same_from_the_cache(galaxy, found, tmp_path, monkeypatch):
    cache = Cache.at(tmp_path)
    assert same(observed(galaxy, 3, 2.0, cache), found)
    monkeypatch.setattr(module, "examine_observed", None)  # nothing is measured again
    again = observed(galaxy, 3, 2.0, cache)
    assert same(again, found)
    assert isinstance(again.flags["real"]["truncated"], bool)


def other(value):
    """Something of the same type that is not the same."""
    return not value if isinstance(value, bool) else value + 1


def changes(galaxy):
    """Every argument of `observed`, changed in one thing, and whether it matters."""
    for field in dataclasses.fields(galaxy):
        value = getattr(galaxy, field.name)
        if field.name == "columns":
            yield field.name, dataclasses.replace(galaxy, columns=dict(zphot=1.0)), 3, 2.0, False
        elif isinstance(value, np.ndarray):
            value = value.copy()
            value.flat[0] = other(value.flat[0].item())
            yield field.name, dataclasses.replace(galaxy, **{field.name: value}), 3, 2.0, True
        else:
            changed = dataclasses.replace(galaxy, **{field.name: other(value)})
            yield field.name, changed, 3, 2.0, field.name != "source"
    for name in ("truth", "footprint", "noise_correlation"):
        yield f"no {name}", dataclasses.replace(galaxy, **{name: None}), 3, 2.0, True
    yield "seed", galaxy, 4, 2.0, True
    yield "gain", galaxy, 3, 2.5, True


def test_all_that_matters_is_in_the_key(galaxy, tmp_path, monkeypatch):
    """Also what is added to an `Observation` later on."""
    done = []
    monkeypatch.setattr(module, "examine_observed",
                        lambda *arguments: done.append(arguments) or examined)
    examined = module.Examined({}, {}, dict(x=1.0), {})
    cache = Cache.at(tmp_path)
    observed(galaxy, 3, 2.0, cache)
    for name, *arguments, matters in changes(galaxy):
        before = len(done)
        observed(*arguments, cache)
        assert len(done) - before == matters, name
    for name in ("_code", "_libraries"):
        before = len(done)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda: "another")
            observed(galaxy, 3, 2.0, cache)
        assert len(done) - before == 1, name


def test_all_code_that_measures_is_in_the_key():
    """Files imported by a file of the key are in the key; each of them changes it."""
    folder, found = Path(module.__file__).parent, {"observed", "observation"}
    while True:
        imported = {name for one in found for name in imports(folder / f"{one}.py")}
        if imported <= found:
            break
        found |= imported
    assert sorted(found) == list(module._CODE)


def imports(path):
    """What a file imports from its own folder; it may import nothing from folders above."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1, f"{path} imports from above, which is not in the key"
            yield from [node.module] if node.module else [one.name for one in node.names]


def test_a_change_of_the_code_changes_its_hash(monkeypatch, tmp_path):
    for path in Path(module.__file__).parent.glob("*.py"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(module.importlib.resources, "files", lambda package: tmp_path)
    found = {module._code.__wrapped__()}
    for name in module._CODE:
        with (tmp_path / f"{name}.py").open("a") as file:
            file.write("X = 1\n")
        found.add(module._code.__wrapped__())
    assert len(found) == 1 + len(module._CODE)


def test_versions_are_those_that_are_imported(monkeypatch, tmp_path):
    """Of two installations, the one that comes first on the path."""
    for folder, version in [("first", "98.0"), ("last", "99.0")]:
        place = tmp_path / folder / f"statmorph-{version}.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(f"Name: statmorph\nVersion: {version}\n")
    path = [str(tmp_path / "first"), *sys.path, str(tmp_path / "last")]
    monkeypatch.setattr(sys, "path", path)
    assert "statmorph=98.0" in module._libraries.__wrapped__()


def test_the_gain_matters_to_the_true_profile_alone(galaxy, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "examine_observed",
                        lambda *arguments: module.Examined({}, {}, dict(gain=arguments[2]), {}))
    cache = Cache.at(tmp_path)
    blind = dataclasses.replace(galaxy, truth=None)
    assert [observed(blind, 3, gain, cache).numbers["gain"] for gain in (2.0, 5.0)] == [2.0, 2.0]
    assert [observed(galaxy, 3, gain, cache).numbers["gain"] for gain in (2.0, 5.0)] == [2.0, 5.0]


def test_what_cannot_be_measured_is_not_kept(galaxy, tmp_path):
    cache = Cache.at(tmp_path)
    with pytest.raises(galsim.GalSimError):
        observed(dataclasses.replace(galaxy, noise_sigma=np.nan), 3, 2.0, cache)
    assert not any(tmp_path.iterdir())
