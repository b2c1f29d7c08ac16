import galsim
import numpy as np
import pytest

from galsim_deep_training.data.build import build
from galsim_deep_training.data.builders import make_builder
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import choose_family


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


def test_a_file_without_images(of, tmp_path):
    np.savez(tmp_path / "none.npz", images=np.zeros((0, 8, 8)))
    with pytest.raises(galsim.GalSimConfigError, match="none.npz has no images"):
        make_builder(of(file_name=str(tmp_path / "none.npz")))


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


# ---- several bands, columns, a given test split ----------------------------------------------


@pytest.fixture
def colours(make_recipe, tmp_path):
    """``colours(edit, bands=3, **settings)``: a recipe for images of three bands, with a column."""
    rng = np.random.default_rng(2)
    content = dict(images=rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8),
                   smooth=np.arange(12.0), held_out=np.arange(12) % 3 == 0)

    def make(edit=None, bands=3, **settings):
        file = dict(content)
        if edit is not None:
            edit(file)
        np.savez(tmp_path / "colours.npz", **file)

        def change(recipe):
            recipe["data"] = dict(dict(kind="images", file_name=str(tmp_path / "colours.npz"),
                                       full_scale=255.0, test="held_out"), **settings)
            recipe["columns"] = [dict(name="smooth", unit="", meaning="votes", quantity="other",
                                      valid_range=[0, 100])]
            recipe["bands"] = [dict(name=name, zero_point=0.0) for name in "gri"[:bands]]
            recipe["stamp"].update(size=8, psf_size=1)

        return make_recipe(change), content

    return make


def test_several_bands(colours, tmp_path):
    recipe, content = colours()
    build(recipe, tmp_path / "data.h5", processes=1, progress=False)
    dataset = Dataset(tmp_path / "data.h5")
    rows = dataset.read(np.arange(12))
    np.testing.assert_allclose(rows["stamp"], content["images"] / 255.0, rtol=1e-6)
    np.testing.assert_array_equal(rows["smooth"], content["smooth"])
    np.testing.assert_array_equal(dataset.test_indices, [0, 3, 6, 9])
    assert dataset.bands == 3 and rows["psf"].shape == (12, 1, 1)
    assert dataset.noiseless()[1].shape == (0, 8, 8, 3)


def test_all_bands_are_turned_together(colours, tmp_path):
    recipe, content = colours()
    build(recipe, tmp_path / "data.h5", processes=1, progress=False)
    stamps = Dataset(tmp_path / "data.h5").read(
        np.arange(12), np.random.default_rng(5))["stamp"]
    for stamp, image in zip(stamps, content["images"] / np.float32(255.0), strict=True):
        symmetric = [np.rot90(mirrored, turn) for mirrored in (image, image[:, ::-1])
                     for turn in range(4)]
        assert sum(np.allclose(stamp, other) for other in symmetric) == 1


@pytest.mark.parametrize("edit, words", [
    (lambda file: file.pop("smooth"), "smooth"),
    (lambda file: file.update(smooth=np.arange(11.0)), r"column 'smooth'.*\(11,\)"),
    (lambda file: file.update(smooth=np.full(12, np.nan)), "column 'smooth'.*finite"),
    (lambda file: file.update(held_out=np.zeros(3)), r"array 'held_out'.*\(3,\)"),
    (lambda file: file.update(images=file["images"][..., 0]), r"\(8, 8\).*\(8, 8, 3\)")])
def test_wrong_files(colours, edit, words):
    with pytest.raises(galsim.GalSimConfigError, match=words):
        make_builder(colours(edit)[0])


def test_a_family_of_one_band_refuses_several(colours):
    with pytest.raises(galsim.GalSimConfigError, match="has 3 bands.*'flow_vae' have one"):
        choose_family(colours()[0])


def test_a_builder_of_one_band_refuses_several(make_recipe):
    def change(content):
        content["bands"] = [dict(name=name, zero_point=25.0) for name in ("F814W", "F606W")]
    with pytest.raises(galsim.GalSimConfigError, match="has 2 bands.*'transplant' makes stamps"):
        make_builder(make_recipe(change))
