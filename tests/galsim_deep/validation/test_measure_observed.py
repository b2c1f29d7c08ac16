"""What is measured on a real galaxy: the same from the cache, and measured again if it must be."""

import ast
import dataclasses
import shutil
import sys
from pathlib import Path

import galsim
import numpy as np
import pytest

import galsim_deep
from galsim_deep.observations.flux_units import FluxUnits
from galsim_deep.validation import measure_observed as module
from galsim_deep.validation.cache import Cache
from galsim_deep.validation.galaxy import GalaxyMeasurements
from galsim_deep.validation.measure_observed import measure_observed, measure_observed_cached
from galsim_deep.validation.random_streams import RandomStreams

STREAMS, UNITS = RandomStreams(3), FluxUnits(2.0)


@pytest.fixture(scope="module")
def galaxy(observe):
    """A faint disc that is known without noise, in correlated noise, cut at one edge."""
    disc = galsim.Exponential(half_light_radius=0.25, flux=3.0).shear(g1=0.2)
    footprint = np.ones((64, 64), bool)
    footprint[:2] = False
    correlation = np.zeros((3, 3))
    correlation[1] = [0.3, 1.0, 0.3]
    empty = observe(size=64, noise_sigma=0.002, footprint=footprint, noise_correlation=correlation)
    noiseless = empty.convolved(disc)
    return dataclasses.replace(empty, noiseless=noiseless,
                               stamp=empty.drawn_like(noiseless, np.random.default_rng(1)))


@pytest.fixture(scope="module")
def measurements(galaxy):
    return measure_observed(galaxy, STREAMS, UNITS)


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


def test_what_is_measured(measurements):
    assert set(measurements.values) == set(measurements.flags) == {"real", "parametric"}
    assert measurements.numbers["chi2_parametric"] == pytest.approx(1.0, abs=0.1)
    assert measurements.numbers["sersic_failed_noiseless"] == 0
    assert (measurements.numbers["power_noiseless"] > 0).all()
    assert set(measurements.stamps) == {"parametric", "model_parametric"}


def test_the_same_from_the_cache(galaxy, measurements, tmp_path, monkeypatch):
    cache = Cache.at(tmp_path)
    assert same(measure_observed_cached(galaxy, STREAMS, UNITS, cache), measurements)
    monkeypatch.setattr(module, "measure_observed", None)  # nothing is measured again
    again = measure_observed_cached(galaxy, STREAMS, UNITS, cache)
    assert same(again, measurements)
    assert isinstance(again.flags["real"]["truncated"], bool)


def other(value):
    """Something that is not the same."""
    if value is None:
        return (3.0, 5.0)
    if isinstance(value, tuple):
        return (value[0] + 1, *value[1:])
    return not value if isinstance(value, bool) else value + 1


def changes(galaxy):
    """(name, arguments, whether it matters): every argument, changed in one thing."""
    for field in dataclasses.fields(galaxy):
        value = getattr(galaxy, field.name)
        if field.name == "columns":
            changed = dict(zphot=1.0)
        elif isinstance(value, np.ndarray):
            changed = value.copy()
            changed.flat[0] = other(value.flat[0].item())
        else:
            changed = other(value)
        yield (field.name, (dataclasses.replace(galaxy, **{field.name: changed}), STREAMS, UNITS),
               field.name not in ("columns", "source"))
    for name in ("noiseless", "footprint", "noise_correlation"):
        yield (f"no {name}", (dataclasses.replace(galaxy, **{name: None}), STREAMS, UNITS), True)
    yield "seed", (galaxy, RandomStreams(4), UNITS), True
    yield "gain", (galaxy, STREAMS, FluxUnits(2.5)), True
    yield "natural", (galaxy, STREAMS, UNITS, None, True), True


def test_all_that_matters_is_in_the_key(galaxy, tmp_path, monkeypatch):
    """Also what is added to an `Observation` later on."""
    calls = []
    result = GalaxyMeasurements({}, {}, dict(x=1.0), {})
    monkeypatch.setattr(module, "measure_observed",
                        lambda *arguments: calls.append(arguments) or result)
    cache = Cache.at(tmp_path)
    measure_observed_cached(galaxy, STREAMS, UNITS, cache)
    for name, arguments, matters in changes(galaxy):
        before = len(calls)
        measure_observed_cached(*arguments[:3], cache, *arguments[4:])
        assert len(calls) - before == matters, name
    for name in ("_code", "_libraries"):
        before = len(calls)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda: "another")
            measure_observed_cached(galaxy, STREAMS, UNITS, cache)
        assert len(calls) - before == 1, name


def test_all_code_that_measures_is_in_the_key():
    """Whatever a file of the key imports from the package is in the key as well."""
    root = Path(galsim_deep.__file__).parent
    known = [file for name in module._CODE for file in (
        [root / name] if (root / name).is_file() else (root / name).glob("*.py"))]
    for file in known:
        for imported in imports(file, root):
            assert imported in known, f"{file} imports {imported}, which is not in the key"


def imports(file, root):
    """The files of the package that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            assert base.is_relative_to(root)
            names = [base.with_suffix(".py")] if base.with_suffix(".py").is_file() else [
                base / f"{name.name}.py" for name in node.names]
            yield from (name for name in names if name.is_file())


def test_a_change_of_the_code_changes_its_hash(monkeypatch, tmp_path):
    shutil.copytree(Path(galsim_deep.__file__).parent, tmp_path, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module.importlib.resources, "files", lambda package: tmp_path)
    hashes = {module._code.__wrapped__()}
    for name in module._CODE:
        changed = tmp_path / name
        if changed.is_dir():
            changed = sorted(changed.glob("*.py"))[-1]
        with changed.open("a") as file:
            file.write("X = 1\n")
        hashes.add(module._code.__wrapped__())
    assert len(hashes) == len(module._CODE) + 1


def test_versions_are_those_that_are_imported(monkeypatch, tmp_path):
    """Of two installations, the one that comes first on the path."""
    for folder, version in [("first", "98.0"), ("last", "99.0")]:
        place = tmp_path / folder / f"statmorph-{version}.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(f"Name: statmorph\nVersion: {version}\n")
    path = [str(tmp_path / "first"), *sys.path, str(tmp_path / "last")]
    monkeypatch.setattr(sys, "path", path)
    assert "statmorph=98.0" in module._libraries.__wrapped__()


def test_the_gain_matters_to_the_stamp_without_noise_alone(galaxy, tmp_path, monkeypatch):
    monkeypatch.setattr(
        module, "measure_observed",
        lambda galaxy, streams, units, natural: GalaxyMeasurements(
            {}, {}, dict(gain=units.gain), {}))
    cache = Cache.at(tmp_path)

    def gains(galaxy):
        return [measure_observed_cached(galaxy, STREAMS, FluxUnits(gain), cache).numbers["gain"]
                for gain in (2.0, 5.0)]

    assert gains(dataclasses.replace(galaxy, noiseless=None)) == [2.0, 2.0]
    assert gains(galaxy) == [2.0, 5.0]


def test_what_cannot_be_measured_is_not_kept(galaxy, tmp_path):
    cache = Cache.at(tmp_path)
    with pytest.raises(galsim.GalSimError):
        measure_observed_cached(
            dataclasses.replace(galaxy, noise_sigma=np.nan), STREAMS, UNITS, cache)
    assert not any(tmp_path.iterdir())
