import galsim
import numpy as np
import pytest

from galsim_deep_training.data.build import build
from galsim_deep_training.data.builders import make_builder
from galsim_deep_training.data.dataset import Dataset


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "images.npz"
    rng = np.random.default_rng(1)
    np.savez(path, images=rng.integers(0, 17, (20, 8, 8)), labels=np.arange(20) % 3)
    return path


@pytest.fixture
def of(make_recipe, images):
    def make(**settings):
        def change(content):
            content["data"] = dict(dict(kind="images", file_name=str(images), full_scale=16.0),
                                   **settings)
            content["columns"] = []
            content["stamp"].update(size=8, psf_size=1)

        return make_recipe(change)

    return make


def test_images_and_labels(of, images, tmp_path):
    build(of(labels="labels", test_share=0.25), tmp_path / "data.h5", processes=1, progress=False)
    dataset, content = Dataset(tmp_path / "data.h5"), np.load(images)
    rows = dataset.read(np.arange(20))
    np.testing.assert_allclose(rows["stamp"], content["images"] / 16.0, rtol=1e-6)
    np.testing.assert_array_equal(rows["label"], content["labels"])
    assert len(dataset.test_indices) == 5 and not dataset.columns
    assert (rows["noise_sigma"] == 0).all() and (rows["psf"] == 1).all()


def test_without_labels_classes_are_not_known(of, tmp_path):
    build(of(), tmp_path / "data.h5", processes=1, progress=False)
    assert (Dataset(tmp_path / "data.h5").label == -1).all()


@pytest.mark.parametrize("settings, words", [
    (dict(images="stamps"), "stamps"), (dict(labels="kinds"), "kinds")])
def test_missing_keys(of, settings, words, tmp_path):
    with pytest.raises(galsim.GalSimConfigError, match=words):
        build(of(**settings), tmp_path / "data.h5", processes=1, progress=False)


@pytest.mark.parametrize("labels, words", [
    (np.arange(19), r"\(19,\).*20"), (np.arange(21), r"\(21,\)"),
    (np.eye(20), r"\(20, 20\)"), (np.arange(20.0) + 0.5, "whole numbers"),
    (np.full(20, np.nan), "whole numbers"), (np.full(20, "disc"), "<U4")])
def test_wrong_labels(of, images, labels, words, tmp_path):
    with np.load(images) as content:
        np.savez(tmp_path / "images.npz", images=content["images"], labels=labels)
    with pytest.raises(galsim.GalSimConfigError, match=words):
        build(of(file_name=str(tmp_path / "images.npz"), labels="labels"), tmp_path / "data.h5",
              processes=1, progress=False)


@pytest.mark.parametrize("share", [-0.5, 0.0, 1.0, 1.5])
def test_a_share_is_held_out(of, share, tmp_path):
    with pytest.raises(galsim.GalSimConfigError, match="test_share"):
        build(of(test_share=share), tmp_path / "data.h5", processes=1, progress=False)


@pytest.mark.parametrize("full_scale, words", [(256.0, "0 to 0.0625"), (8.0, "0 to 2")])
def test_a_wrong_full_scale(of, tmp_path, full_scale, words):
    with pytest.raises(galsim.GalSimConfigError, match=words):
        build(of(full_scale=full_scale), tmp_path / "data.h5", processes=1, progress=False)


def test_images_of_another_size(make_recipe, images, tmp_path):
    def change(content):
        content["data"] = dict(kind="images", file_name=str(images))
        content.update(columns=[])

    with pytest.raises(galsim.GalSimConfigError, match=r"\(8, 8\).*32"):
        build(make_recipe(change), tmp_path / "data.h5", processes=1, progress=False)


def test_images_have_no_columns(of, make_recipe, images):
    recipe = of()
    columns = make_recipe().columns
    with pytest.raises(galsim.GalSimConfigError,
                       match="columns flux_radius, mag_auto, zphot; .*'images' makes none"):
        make_builder(recipe.model_copy(update=dict(columns=columns)))
