"""The data set file: it is read as it was written, and batches are reproducible."""

import dataclasses
import subprocess
import sys

import galsim
import h5py
import numpy as np
import pytest

from galsim_deep.observations.noise import NoiseField, relative_power
from galsim_deep_training.data import dataset as dataset_module
from galsim_deep_training.data.dataset import BUFFER, Dataset, DatasetWriter, with_symmetry
from galsim_deep_training.data.example import Example
from galsim_deep_training.recipe import Stamp

STAMP = Stamp(size=6, pixel_scale=0.05, psf_size=3)
COLUMNS = ("size", "mag")
PSFS = np.random.default_rng(0).random((3, 3, 3))
# White noise, and noise that is correlated along one diagonal more than along the other.
CORRELATIONS = np.array([[[0, 0, 0], [0, 1, 0], [0, 0, 0]],
                         [[0.1, 0.3, 0.2], [0.15, 1, 0.15], [0.2, 0.3, 0.1]]])


def make_example(n):
    rng = np.random.default_rng([1, n])
    return Example(
        stamp=rng.standard_normal((6, 6)), psf_index=n % 3, noise_sigma=0.1 + n, source=n // 2,
        test=n // 2 % 5 == 0, columns=dict(size=float(n), mag=-float(n), unused=0.0),
        noiseless=rng.random((6, 6)) if n // 2 % 5 == 0 else None, noise_index=n % 2,
        label=n % 4 - 1, pixel_scale=0.05 + 0.01 * n if n % 3 else None)


@pytest.fixture
def path(tmp_path):
    """23 examples, two from each source; every fifth source is for testing."""
    path = tmp_path / "new" / "data.h5"
    with DatasetWriter(path, STAMP, COLUMNS, PSFS, "abc", 5, CORRELATIONS) as writer:
        for n in range(23):
            writer.add(make_example(n))
    return path


@pytest.fixture
def small(path):
    return Dataset(path)


def test_round_trip(small):
    assert len(small) == 23
    assert small.stamp_size == 6 and small.pixel_scale == 0.05
    np.testing.assert_allclose(small.psfs, PSFS, rtol=1e-7)
    assert small.psfs.dtype == np.float32
    assert small.psf_index.tolist() == [n % 3 for n in range(23)]
    assert small.source.tolist() == [n // 2 for n in range(23)]
    assert small.test_indices.tolist() == [0, 1, 10, 11, 20, 21]
    assert sorted([*small.test_indices, *small.train_indices]) == list(range(23))
    assert set(small.columns) == {"size", "mag"}
    batch = small.read([7, 2, 7])
    assert set(batch) == {"stamp", "psf", "noise_sigma", "noise_power", "pixel_scale", "label",
                          "size", "mag"}
    assert all(value.dtype == np.float32 for value in batch.values())
    for row, n in enumerate([7, 2, 7]):
        example = make_example(n)
        np.testing.assert_allclose(batch["stamp"][row], example.stamp, rtol=1e-6)
        np.testing.assert_array_equal(batch["psf"][row], small.psfs[n % 3])
        assert batch["noise_sigma"][row] == np.float32(0.1 + n)
        np.testing.assert_allclose(batch["noise_power"][row],
                                   relative_power(CORRELATIONS[n % 2], 6), rtol=1e-5)
        assert batch["size"][row] == n and batch["mag"][row] == -n
        assert batch["label"][row] == n % 4 - 1
        assert batch["pixel_scale"][row] == np.float32(0.05 + 0.01 * n)
    # Examples that have no pixel scale of their own have that of the recipe.
    np.testing.assert_allclose(
        small.pixel_scales, [0.05 + 0.01 * n if n % 3 else 0.05 for n in range(23)], rtol=1e-6)
    assert small.label.dtype == np.int32
    assert small.label.tolist() == [n % 4 - 1 for n in range(23)]


def test_unknown_classes(tmp_path, path):
    example = make_example(0)
    with DatasetWriter(tmp_path / "data.h5", STAMP, COLUMNS, PSFS) as writer:
        writer.add(Example(example.stamp, 0, 1.0, example.columns, source=0, test=False))
    with h5py.File(path, "r+") as file:  # a file from before there were labels
        del file["label"]
    for dataset in (Dataset(tmp_path / "data.h5"), Dataset(path)):
        assert np.all(dataset.label == -1) and len(dataset.label) == len(dataset)
        np.testing.assert_array_equal(dataset.read([0])["label"], [-1])


def test_stamps_without_noise(small):
    indices, stamps = small.noiseless()
    np.testing.assert_array_equal(indices, small.test_indices)
    assert stamps.dtype == np.float32
    for n, stamp in zip(indices, stamps, strict=True):
        np.testing.assert_allclose(stamp, make_example(n).noiseless, rtol=1e-6)


def test_the_attributes_of_the_file(path):
    with h5py.File(path) as file:
        assert dict(file.attrs) == dict(format_version=3, pixel_scale=0.05, recipe_sha256="abc",
                                        seed=5)


def test_no_stamp_is_known_without_noise(tmp_path):
    path = tmp_path / "data.h5"
    with DatasetWriter(path, STAMP, COLUMNS, PSFS) as writer:
        writer.add(dataclasses.replace(make_example(0), noiseless=None))
    indices, stamps = Dataset(path).noiseless()
    assert indices.shape == (0,) and stamps.shape == (0, 6, 6)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_unfinished_file_is_not_left_behind(tmp_path, error):
    path = tmp_path / "data.h5"
    with pytest.raises(error):
        with DatasetWriter(path, STAMP, COLUMNS, PSFS) as writer:
            writer.add(make_example(0))
            assert not path.exists()
            raise error
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import os, resource, sys
import numpy as np
from galsim import GalSimError
from galsim_deep_training.data.dataset import DatasetWriter
from galsim_deep_training.data.example import Example
from galsim_deep_training.recipe import Stamp

limit, path = int(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
stamp = Stamp(size=32, pixel_scale=0.1, psf_size=3)
example = Example(np.ones((32, 32)), 0, 1.0, dict(size=1.0), source=0, test=False)
try:
    with DatasetWriter(path, stamp, ["size"], np.ones((3, 3, 3))) as writer:
        for _ in range(1000):
            writer.add(example)
except GalSimError as err:
    print(err)
"""


# Full while the file is begun, with the first examples, with later ones, when it is closed.
@pytest.mark.long
@pytest.mark.parametrize("limit", [1_000, 100_000, 1_000_000, 2_000_000, 3_500_000, 4_250_000])
def test_a_full_disk(limit, tmp_path, environment_without_coverage):
    """The error is one line, no file is left behind, and the process ends normally."""
    path = tmp_path / "data.h5"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(limit), str(path)],
                          capture_output=True, text=True, timeout=120,
                          env=environment_without_coverage)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{path} cannot be written: File too large. Free some space, or choose another place.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_disk_with_just_enough_room(tmp_path, environment_without_coverage):
    path = tmp_path / "data.h5"
    subprocess.run([sys.executable, "-c", FULL_DISK, "5000000", str(path)], check=True,
                   timeout=120, env=environment_without_coverage)
    assert len(Dataset(path)) == 1000 and path.stat().st_size > 4_250_000


def test_an_interrupt_while_the_disk_is_written(tmp_path, monkeypatch):
    """HDF5 finishes its operation before the interrupt is raised."""
    with pytest.raises(KeyboardInterrupt):
        with DatasetWriter(tmp_path / "data.h5", STAMP, COLUMNS, PSFS) as writer:
            def interrupted(disk, rest):
                raise KeyboardInterrupt

            monkeypatch.setattr(dataset_module._Disk, "_write_all", interrupted)
            for n in range(BUFFER):
                writer.add(make_example(n))
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_one_file(tmp_path):
    path = tmp_path / "data.h5"
    with DatasetWriter(path, STAMP, COLUMNS, PSFS) as writer:
        with pytest.raises(galsim.GalSimError, match=f"{path} .*another process"):
            DatasetWriter(path, STAMP, COLUMNS, PSFS)
        writer.add(make_example(0))
    assert len(Dataset(path)) == 1


def test_unwritable_paths(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(galsim.GalSimError, match="file/data.h5"):
        DatasetWriter(tmp_path / "file" / "data.h5", STAMP, COLUMNS, PSFS)
    (tmp_path / "data.h5").mkdir()
    with pytest.raises(galsim.GalSimError, match="data.h5"):
        with DatasetWriter(tmp_path / "data.h5", STAMP, COLUMNS, PSFS) as writer:
            writer.add(make_example(0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.h5", "file"]


def test_a_finished_file_outlives_a_failure(path):
    with pytest.raises(galsim.GalSimError, match="source 0, .*data.h5, lacks the column absent"):
        with DatasetWriter(path, STAMP, ("absent",), PSFS) as writer:
            writer.add(make_example(0))
    assert len(Dataset(path)) == 23
    assert [file.name for file in path.parent.iterdir()] == ["data.h5"]


@pytest.mark.parametrize("name, change", [
    ("stamp", dict(stamp=np.full((6, 6), np.nan))), ("noise_sigma", dict(noise_sigma=np.inf)),
    ("mag", dict(columns=dict(size=1.0, mag=np.nan)))])
def test_values_that_are_not_finite(name, change, tmp_path):
    wrong = dataclasses.replace(make_example(8), **change)
    with pytest.raises(galsim.GalSimError, match=f"source 4.*'{name}' that is not finite"):
        with DatasetWriter(tmp_path / "data.h5", STAMP, COLUMNS, PSFS) as writer:
            writer.add(make_example(0))
            writer.add(wrong)
    assert not list(tmp_path.iterdir())


def test_embeddings(tmp_path):
    """They are read with their examples, and are those of the stamps as stored."""
    embeddings = np.random.default_rng(2).standard_normal((BUFFER + 4, 3)).astype(np.float32)
    with DatasetWriter(tmp_path / "data.h5", STAMP, COLUMNS, PSFS, "", 0, CORRELATIONS) as writer:
        for n, embedding in enumerate(embeddings):
            writer.add(dataclasses.replace(make_example(n), embedding=embedding))
    dataset = Dataset(tmp_path / "data.h5")
    np.testing.assert_array_equal(dataset.embedding, embeddings)
    batch = dataset.read([7, 2, 7], augment=np.random.default_rng(1))
    np.testing.assert_array_equal(batch["embedding"], embeddings[[7, 2, 7]])


def test_without_embeddings(small):
    assert small.embedding is None and "embedding" not in small.read([0])


@pytest.mark.parametrize("first, second, words", [
    (np.ones(3), np.ones(2), r"shape \(2,\).*first example one of \(3,\)"),
    (np.ones(3), None, "shape None"), (None, np.ones(3), "first example one of None"),
    (np.ones((3, 2)), None, r"shape \(3, 2\)"), (np.array([np.nan]), None, "'embedding'.*finite")])
def test_embeddings_that_differ(first, second, words, tmp_path):
    with (pytest.raises(galsim.GalSimError, match=words),
          DatasetWriter(tmp_path / "data.h5", STAMP, COLUMNS, PSFS) as writer):
        for n, embedding in enumerate((first, second)):
            writer.add(dataclasses.replace(make_example(n), embedding=embedding))
    assert not (tmp_path / "data.h5").exists()


def test_a_data_set_without_examples(tmp_path):
    with pytest.raises(galsim.GalSimError, match="data.h5 would be empty: none of the galaxies"):
        with DatasetWriter(tmp_path / "data.h5", STAMP, COLUMNS, PSFS):
            pass
    assert not list(tmp_path.iterdir())


def test_a_new_file_takes_the_place_of_the_old(path):
    with DatasetWriter(path, STAMP, COLUMNS, PSFS) as writer:
        writer.add(make_example(0))
    assert len(Dataset(path)) == 1


def test_unreadable_files(tmp_path, path):
    with pytest.raises(galsim.GalSimError, match="absent.h5.*galsim-deep-train data"):
        Dataset(tmp_path / "absent.h5")
    for version in (2, 4):
        with h5py.File(path, "r+") as file:
            file.attrs["format_version"] = version
        with pytest.raises(galsim.GalSimError, match=f"data.h5 .*{version}.*3"):
            Dataset(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["format_version"]
    with pytest.raises(galsim.GalSimError):
        Dataset(path)


# ---- batches --------------------------------------------------------------------------------


def test_an_epoch_visits_each_example_once(small):
    count = len(small.train_indices)
    for size in (1, 4, count, count + 3, 3 * count):
        epochs = np.concatenate([small.batch_indices(step, size, seed=9)
                                 for step in range(-(-3 * count // size))])
        for epoch in range(3):
            visited = epochs[epoch * count:(epoch + 1) * count]
            assert sorted(visited) == small.train_indices.tolist()


def test_batches_among_some_of_the_examples(small):
    chosen = small.train_indices[1::3]
    steps = 2 * len(chosen)
    drawn = np.concatenate([small.batch_indices(step, 2, 9, chosen) for step in range(steps)])
    np.testing.assert_array_equal(np.unique(drawn, return_counts=True)[1], 4)
    assert set(drawn) == set(chosen)
    batch = next(small.batches(2, 9, augmented=False, among=chosen))
    expected = small.read(small.batch_indices(0, 2, 9, chosen))
    np.testing.assert_array_equal(batch["stamp"], expected["stamp"])


def test_the_deepest_examples(small):
    assert np.array_equal(small.deepest(1.0), small.train_indices)
    few = small.deepest(0.3)
    others = np.setdiff1d(small.train_indices, few)
    assert small.noise_sigma[few].max() <= small.noise_sigma[others].min()


def test_epochs_and_seeds_differ(small):
    count = len(small.train_indices)
    orders = {tuple(small.batch_indices(epoch, count, seed)) for epoch in (0, 1) for seed in (9, 8)}
    assert len(orders) == 4


def test_batches_are_a_function_of_seed_and_step(small):
    def batches(seed, start):
        return list(small.batches(5, seed, start, stop=9))

    whole = batches(9, 0)
    assert len(whole) == 9
    for start in (1, 4, 8):
        for one, other in zip(whole[start:], batches(9, start), strict=True):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
    assert not any(np.array_equal(one["stamp"], other["stamp"])
                   for one, other in zip(whole, batches(8, 0), strict=True))


def test_each_batch_is_augmented_differently(small):
    def symmetries(seed, step):
        batch = next(small.batches(8, seed, step))
        plain = small.read(small.batch_indices(step, 8, seed))["stamp"]
        return tuple(next(k for k in range(8) if np.array_equal(with_symmetry(stamp, k), shown))
                     for stamp, shown in zip(plain, batch["stamp"], strict=True))

    found = [symmetries(9, step) for step in range(5)] + [symmetries(8, step) for step in range(5)]
    assert len(set(found)) == 10
    assert set(np.ravel(found)) == set(range(8))


def test_batches_go_on_for_ever(small):
    batches = small.batches(5, 9, start=10**6)
    assert next(batches)["stamp"].shape == (5, 6, 6)


def test_batches_hold_no_test_example(small):
    held_out = {small.columns["size"][n] for n in small.test_indices}
    seen = {size for batch in small.batches(5, 9, stop=12) for size in batch["size"]}
    assert len(seen) == 17 and not seen & held_out


def test_the_eight_symmetries():
    array = np.arange(16.0).reshape(4, 4)
    found = [with_symmetry(array, symmetry) for symmetry in range(8)]
    np.testing.assert_array_equal(found[0], array)
    assert len({tuple(one.ravel()) for one in found}) == 8
    expected = [np.rot90(a, k) for a in (array, array.T) for k in range(4)]
    assert {tuple(a.ravel()) for a in found} == {tuple(a.ravel()) for a in expected}


def test_stamp_and_psf_are_turned_alike(small):
    indices = np.arange(23)
    plain, augmented = small.read(indices), small.read(indices, np.random.default_rng(4))
    symmetries = set()
    for n in indices:
        fits = [symmetry for symmetry in range(8) if np.array_equal(
            augmented["stamp"][n], with_symmetry(plain["stamp"][n], symmetry))]
        assert len(fits) == 1
        np.testing.assert_array_equal(augmented["psf"][n], with_symmetry(plain["psf"][n], fits[0]))
        symmetries.update(fits)
    assert len(symmetries) > 5
    for name in ("noise_sigma", "size", "mag"):
        np.testing.assert_array_equal(augmented[name], plain[name])
    # The PSFs are shared by many examples: turning must not reach those that are kept.
    np.testing.assert_array_equal(small.read(indices)["psf"], plain["psf"])


@pytest.mark.long
def test_the_noise_is_turned_with_the_stamp(small):
    """The stored power is the mean power of noise images that were rotated with the stamp."""
    indices = np.tile(np.arange(1, 23, 2), 20)
    plain = small.read(indices)
    batch = small.read(indices, np.random.default_rng(4))
    # Noise of the stored correlation in place of the stamps: its power for each symmetry.
    rng, field = np.random.default_rng(1), NoiseField(CORRELATIONS[1], 6)
    noise = np.array([field.draw(rng) for _ in range(20_000)])
    seen = set()
    for n in range(len(indices)):
        symmetry = next(k for k in range(8) if np.array_equal(
            batch["stamp"][n], with_symmetry(plain["stamp"][n], k)))
        if symmetry not in seen:
            seen.add(symmetry)
            shown = np.array([with_symmetry(one, symmetry) for one in noise])
            power = (np.abs(np.fft.rfft2(shown))**2).mean(axis=0) / 36
            np.testing.assert_allclose(batch["noise_power"][n], power, rtol=0.06)
    assert seen == set(range(8))
    powers = {batch["noise_power"][n].tobytes() for n in range(len(indices))}
    assert len(powers) == 4  # a correlation function does not change by half a turn


def test_more_examples_than_are_written_at_a_time(tmp_path):
    path = tmp_path / "data.h5"
    with DatasetWriter(path, STAMP, COLUMNS, PSFS, noise_correlation=CORRELATIONS) as writer:
        for n in range(2 * BUFFER + 3):
            writer.add(make_example(n))
    dataset = Dataset(path)
    assert len(dataset) == 2 * BUFFER + 3
    np.testing.assert_array_equal(dataset.columns["size"], np.arange(len(dataset)))
    indices, stamps = dataset.noiseless()
    np.testing.assert_array_equal(indices, dataset.test_indices)
    np.testing.assert_allclose(stamps[-1], make_example(indices[-1]).noiseless, rtol=1e-6)


def test_the_data_set_of_a_recipe(recipe, data_file, make_recipe):
    """It is refused for another recipe, unless that makes the same data set."""
    assert len(Dataset.of(recipe, data_file)) > 40

    def more_steps(content):
        content["fit"]["flow"]["steps"] += 1
        content["summary"] = content["columns"][0]["meaning"] = "other words"

    assert len(Dataset.of(make_recipe(more_steps), data_file)) > 40
    for key, value in [("seed", 4), ("size", 48), ("examples", 41), ("offset", 0.2)]:
        def change(content, key=key, value=value):
            part = dict(seed=content, size=content["stamp"], offset=content["columns"][2]).get(
                key, content["data"])
            part[key] = value

        other = make_recipe(change)
        with pytest.raises(galsim.GalSimError, match=f"{other.path}.*galsim-deep-train data"):
            Dataset.of(other, data_file)
