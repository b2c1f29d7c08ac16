"""Encode and decode, of a module with classes: the class is decoded too."""

import dataclasses
import json
import shutil

import galsim
import numpy as np
import pytest

from galsim_deep.modules.card import CARD_PATH
from galsim_deep.modules.module import Module
from galsim_deep.validation.reconstructor import Reconstructor

BRIGHT = 40


@pytest.fixture(scope="module")
def observations(shapes_galaxies):
    return [shapes_galaxies.observation(number) for number in range(BRIGHT)]


@pytest.fixture(scope="module")
def classes(shapes_galaxies):
    return shapes_galaxies._file.columns["kind"][:BRIGHT].astype(int)


@pytest.fixture
def reconstructor(shapes_module, shapes_galaxies):
    return Reconstructor(shapes_module, shapes_galaxies)


def test_classes_are_found(reconstructor, observations, classes):
    found = reconstructor.classes(observations)
    assert found.dtype.kind == "i" and set(classes) == {0, 1, 2}
    np.testing.assert_array_equal(found, classes)


def test_the_class_that_was_found_is_decoded(reconstructor, shapes_module, observations, classes):
    images = reconstructor.reconstruct(observations)
    mean, scale = reconstructor.encode(observations)
    assert mean.shape == scale.shape == (BRIGHT, 2) and images.shape == (BRIGHT, 32, 32)
    columns = {name: np.float32([observation.columns[name] for observation in observations])
               for name in ("flux_radius", "mag_auto")}
    for number in range(3):
        decoded = shapes_module.call(
            "decode", latent=mean, **columns,
            galaxy_class=np.full(BRIGHT, number, np.int32))["image"][..., 0]
        same = np.array([np.array_equal(*pair) for pair in zip(images, decoded, strict=True)])
        np.testing.assert_array_equal(same, classes == number)


def test_nothing_is_found_where_the_noise_is_not_known(reconstructor, observations):
    blind = [dataclasses.replace(observations[0], noise_sigma=np.nan), observations[1]]
    found = reconstructor.classes(blind)
    assert found[0] == -1 and found[1] >= 0
    assert reconstructor.reconstruct(blind).shape == (2, 32, 32)


def test_psfs_are_cut_and_padded(reconstructor, observations):
    """The encoder takes PSFs of 17 pixels."""
    larger = dataclasses.replace(observations[0], psf=np.pad(observations[0].psf, 4))
    smaller = dataclasses.replace(observations[0], psf=observations[0].psf[2:-2, 2:-2])
    expected, cut, padded = (reconstructor.encode([observation])[0] for observation in (
        observations[0], larger, smaller))
    np.testing.assert_allclose(cut, expected, rtol=1e-4)
    np.testing.assert_allclose(padded, expected, rtol=1e-2)


def changed(folder, path, change):
    """The module in a copy of a folder whose card ``change`` edits."""
    shutil.copytree(folder, path)
    card = json.loads((path / CARD_PATH).read_text())
    change(card)
    (path / CARD_PATH).write_text(json.dumps(card))
    return Module(path)


def test_an_encoder_of_other_classes(shapes_folder, shapes_galaxies, observations, tmp_path):
    module = changed(shapes_folder, tmp_path / "module", lambda card: card.update(
        classes=[dict(name=name, description="", share=0.25) for name in "abcd"]))
    with pytest.raises(galsim.GalSimError, match=(
            r"log_class_probability of encode is \[N, 3\] instead of \[N, 4\]")):
        Reconstructor(module, shapes_galaxies).classes(observations[:1])


def test_an_encoder_that_finds_no_classes(shapes_module, shapes_galaxies, monkeypatch):
    monkeypatch.setattr(
        shapes_module.tensorflow, "signature_outputs", lambda _: {"mean": None, "scale": None})
    with pytest.raises(galsim.GalSimError, match="log_class_probability"):
        Reconstructor(shapes_module, shapes_galaxies)


def test_an_encoder_with_other_inputs(shapes_module, shapes_galaxies, monkeypatch):
    monkeypatch.setattr(
        shapes_module.tensorflow, "signature_inputs", lambda _: {"image": None, "dust": None})
    with pytest.raises(galsim.GalSimError, match="dust"):
        Reconstructor(shapes_module, shapes_galaxies)


@pytest.mark.parametrize("signature", ["encode", "decode"])
def test_a_module_that_cannot(shapes_folder, shapes_galaxies, tmp_path, signature):
    module = changed(shapes_folder, tmp_path / "module",
                     lambda card: card["signatures"].remove(signature))
    with pytest.raises(galsim.GalSimError, match=f"'{signature}'"):
        Reconstructor(module, shapes_galaxies)


def test_stamps_of_another_size(shapes_module, shapes_galaxies, monkeypatch):
    sizes = np.full(len(shapes_galaxies), 32)
    sizes[3] = 64
    monkeypatch.setattr(shapes_galaxies, "stamp_sizes", sizes)
    with pytest.raises(galsim.GalSimError, match="32 pixels .* 32 to 64 of 0.03"):
        Reconstructor(shapes_module, shapes_galaxies)
