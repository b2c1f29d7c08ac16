"""The builder of embeddings: they are those that the module gives for the stamps in the file."""

import shutil

import galsim
import numpy as np
import pytest
from scipy import ndimage

from galsim_deep.modules import Module
from galsim_deep.modules.card import read_card
from galsim_deep.modules.resolve import resolve
from galsim_deep_training.data.build import CHUNK, build
from galsim_deep_training.data.builders import make_builder
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.data.identity import data_settings_hash

COUNT = CHUNK + 3
EMPTY = 2  # the image that cannot be used
MODULE = "hub:first_mpcc"


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A file of FIRST sources: two lobes of different distances and angles, one image empty."""
    rng, size = np.random.default_rng(4), 100
    images = np.zeros((COUNT, size, size))
    for image in images:
        angle, apart = rng.uniform(0, np.pi), rng.uniform(2, 15)
        for side, peak in ((-1, 1.0), (1, rng.uniform(0.3, 1.0))):
            y, x = (int(round(size / 2 + side * apart * f(angle))) for f in (np.sin, np.cos))
            image[y, x] = peak
    images = ndimage.gaussian_filter(images, (0, 1.3, 1.3))
    images = np.where(images > 0.02 * images.max(axis=(1, 2), keepdims=True), images, 0.0)
    images = np.floor(255 * images / images.max(axis=(1, 2), keepdims=True)).astype(np.uint8)
    images[EMPTY] = 0
    path = tmp_path_factory.mktemp("sources") / "sources.npz"
    np.savez(path, images=images, label=np.arange(COUNT) % 4, ra=0.5 * np.arange(COUNT),
             dec=np.full(COUNT, 30.0), split=np.where(np.arange(COUNT) % 4, "train", "test"))
    return path


@pytest.fixture
def of(make_recipe, sources):
    """``of(change, **data)``: a recipe of embeddings of these sources."""
    def make(change=None, **data):
        def changed(content):
            content["stamp"] = dict(size=96, pixel_scale=1.8, psf_size=33)
            content["bands"] = [dict(name="1.4 GHz", zero_point=16.4)]
            content["columns"] = [
                dict(name="flux_density", unit="mJy", quantity="flux", meaning="",
                     valid_range=[0, 1000]),
                dict(name="size", unit="arcsec", quantity="largest_angular_size", meaning="",
                     as_observed=True, valid_range=[0, 1000])]
            content["data"] = dict(dict(kind="embeddings", module=MODULE), **(data or dict(
                stamps=dict(kind="first_sources", file_name=str(sources)))))
            if change is not None:
                change(content)
        return make_recipe(changed)

    return make


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def built(recipe, path, processes=1):
    build(recipe, path, processes=processes, progress=False)
    return Dataset(path)


@pytest.mark.long
def test_embeddings_are_those_of_the_module(of, sources, tmp_path):
    dataset = built(of(), tmp_path / "data.h5")
    assert len(dataset) == COUNT - 1 and dataset.clipping == (3.0, 5.0)
    rows = dataset.read(np.arange(len(dataset)))
    mean = Module(resolve(MODULE)).call(
        "encode", image=rows["stamp"][..., None], psf=rows["psf"][..., None],
        noise_sigma=rows["noise_sigma"][:, None],
        **{name: rows[name] for name in ("flux_density", "size")})["mean"]
    np.testing.assert_allclose(dataset.embedding, mean, atol=1e-4)
    np.testing.assert_array_equal(rows["embedding"], dataset.embedding)
    assert dataset.embedding.std(axis=0).max() > 0.1
    card = read_card(resolve(MODULE))
    assert dataset.embedder == dict(name=card.name, version=card.version,
                                    weights_sha256=card.weights_sha256)
    # Besides, it is the data set of the builder of the stamps.
    plain = built(of(lambda content: content.update(data=content["data"]["stamps"])),
                  tmp_path / "plain.h5")
    assert plain.embedding is None and plain.embedder is None and "embedding" not in plain.read([0])
    for name, values in plain.read(np.arange(len(plain))).items():
        np.testing.assert_array_equal(rows[name], values, err_msg=name)
    np.testing.assert_array_equal(dataset.test_indices, plain.test_indices)


@pytest.mark.long
def test_the_file_does_not_depend_on_the_number_of_processes(of, tmp_path):
    recipe = of()
    one, two = (built(recipe, tmp_path / f"{count}.h5", count) for count in (1, 2))
    np.testing.assert_array_equal(one.embedding, two.embedding)
    np.testing.assert_array_equal(one.read([3])["stamp"], two.read([3])["stamp"])


@pytest.mark.long
def test_stamps_of_a_data_set(of, tmp_path):
    """They have the embeddings that they would have from their builder."""
    first = built(of(), tmp_path / "first.h5")
    plain = of(lambda content: content.update(data=content["data"]["stamps"]))
    build(plain, tmp_path / "plain.h5", processes=1, progress=False)
    again = built(of(file_name=str(tmp_path / "plain.h5")), tmp_path / "again.h5", processes=2)
    for name, values in first.read(np.arange(len(first))).items():
        np.testing.assert_array_equal(again.read(np.arange(len(again)))[name], values, name)
    np.testing.assert_array_equal(again.source, first.source)
    np.testing.assert_array_equal(again.test_indices, first.test_indices)
    assert again.clipping == first.clipping


@pytest.mark.long
def test_a_module_in_a_folder_beside_the_recipe(of):
    recipe = of(lambda content: content["data"].update(module="modules/mine"))
    shutil.copytree(resolve(MODULE), recipe.path.parent / "modules" / "mine")
    builder = make_builder(recipe)
    (example,) = builder.complete([builder.example(0)])
    assert example.embedding.shape == (35,)


def test_no_example(of):
    assert make_builder(of()).complete([]) == []


def test_a_module_that_is_not_there(of):
    recipe = of(lambda content: content["data"].update(module="hub:first_vdvea"))
    with pytest.raises(galsim.GalSimError, match="first_vdvea"):
        make_builder(recipe)


@pytest.mark.parametrize("change, words", [
    (lambda stamp: stamp.update(size=64), "stamps of 96 pixels.*stamp.size is 64"),
    (lambda stamp: stamp.update(pixel_scale=1.5), "1.5")])
def test_stamps_that_the_module_does_not_take(of, change, words):
    with pytest.raises(galsim.GalSimConfigError, match=words):
        make_builder(of(lambda content: change(content["stamp"])))


def test_pixels_that_the_module_does_not_take(of, sources, tmp_path):
    plain = of(lambda content: content.update(data=content["data"]["stamps"]))
    build(plain, tmp_path / "plain.h5", processes=1, progress=False)
    recipe = of(lambda content: content["data"].update(module="hub:acs_mpcc"))
    with pytest.raises(galsim.GalSimConfigError, match=r"acs_mpcc.*data.module"):
        make_builder(recipe)


def test_a_column_that_the_module_needs(of):
    recipe = of(lambda content: content["columns"].pop())
    with pytest.raises(galsim.GalSimConfigError, match="first_mpcc.*size"):
        make_builder(recipe)


@pytest.mark.parametrize("data", [
    dict(), dict(file_name="a.h5", stamps=dict(kind="images", file_name="a.npz"))])
def test_one_origin_of_stamps(of, data):
    recipe = of(lambda content: content.update(
        data=dict(kind="embeddings", module=MODULE, **data)))
    with pytest.raises(galsim.GalSimConfigError, match="either 'stamps'.*or 'file_name'"):
        make_builder(recipe)


def test_settings_of_the_builder_of_the_stamps(of):
    recipe = of(stamps=dict(kind="first_sources", file_name="a.npz", turn=2))
    with pytest.raises(galsim.GalSimConfigError, match="data.stamps.turn: .*no such key"):
        make_builder(recipe)


@pytest.mark.parametrize("change, words", [
    (lambda content: content["stamp"].update(psf_size=31), "PSF images of 33"),
    (lambda content: content["columns"].append(dict(
        name="redshift", unit="", quantity="redshift", meaning="", valid_range=[0, 5])),
     "lacks the columns redshift")])
def test_a_data_set_of_another_recipe(of, tmp_path, change, words):
    plain = of(lambda content: content.update(data=content["data"]["stamps"]))
    build(plain, tmp_path / "plain.h5", processes=1, progress=False)
    recipe = of(change, file_name=str(tmp_path / "plain.h5"))
    with pytest.raises(galsim.GalSimConfigError, match=words):
        make_builder(recipe)


def test_the_hash_tells_modules_and_stamps_apart(of):
    """A data set of other embeddings is another one."""
    hashes = {data_settings_hash(recipe) for recipe in (
        of(), of(lambda content: content["data"].update(module="hub:other")),
        of(lambda content: content["data"]["stamps"].update(turns=2)))}
    assert len(hashes) == 3
