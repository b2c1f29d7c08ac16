"""Encode and decode, of a module with classes: the class goes along."""

import dataclasses
import json
import shutil

import galsim
import numpy as np
import pytest

from galsim_deep.card import CARD_PATH
from galsim_deep.module import Module
from galsim_deep.validation.reconstruction import Reconstructor

BRIGHT = 40


@pytest.fixture(scope="module")
def seen(shapes_survey):
    return [shapes_survey.observation(number) for number in range(BRIGHT)]


@pytest.fixture(scope="module")
def kinds(shapes_survey):
    return shapes_survey._file.columns["kind"][:BRIGHT].astype(int)


@pytest.fixture
def reconstructor(shapes_module, shapes_survey):
    return Reconstructor(shapes_module, shapes_survey)


def test_classes_are_found(reconstructor, seen, kinds):
    found = reconstructor.classes([one.stamp for one in seen], seen)
    assert found.dtype.kind == "i" and set(kinds) == {0, 1, 2}
    np.testing.assert_array_equal(found, kinds)


def test_what_is_decoded_is_of_the_class_that_was_found(reconstructor, shapes_module, seen, kinds):
    stamps = [one.stamp for one in seen]
    images = reconstructor.reconstruct(stamps, seen)
    mean, scale = reconstructor.encode(stamps, seen)
    assert mean.shape == scale.shape == (BRIGHT, 2)
    columns = {name: np.float32([one.columns[name] for one in seen])
               for name in ("flux_radius", "mag_auto")}
    for kind in range(3):
        alone = shapes_module.engine.call("decode", latent=mean, **columns,
                                   cluster=np.full(BRIGHT, kind, np.int32))["image"]
        same = np.array([np.array_equal(*pair) for pair in zip(images, alone, strict=True)])
        np.testing.assert_array_equal(same, kinds == kind)


def test_nothing_is_found_where_nothing_is_known(reconstructor, seen):
    blind = [dataclasses.replace(seen[0], noise_sigma=np.nan), seen[1]]
    stamps = [one.stamp for one in blind]
    assert reconstructor.classes(stamps, blind)[0] == -1
    assert reconstructor.classes(stamps, blind)[1] >= 0
    assert reconstructor.reconstruct(stamps, blind).shape == (2, 32, 32)


def test_an_encoder_of_other_classes(shapes_folder, shapes_survey, seen, tmp_path):
    folder = shutil.copytree(shapes_folder, tmp_path / "module")
    card = json.loads((folder / CARD_PATH).read_text())
    card["clusters"] = [dict(name=name, description="", share=0.25) for name in "abcd"]
    (folder / CARD_PATH).write_text(json.dumps(card))
    with pytest.raises(galsim.GalSimError, match="tells 3 classes apart, its card 4"):
        Reconstructor(Module(folder), shapes_survey).classes([seen[0].stamp], seen[:1])


def test_an_encoder_that_finds_no_classes(shapes_module, shapes_survey, monkeypatch):
    monkeypatch.setattr(shapes_module.engine, "signature_outputs", lambda _: {"mean", "scale"})
    with pytest.raises(galsim.GalSimError, match="shapes gives no log_membership"):
        Reconstructor(shapes_module, shapes_survey)


@pytest.mark.parametrize("signature", ["encode", "decode"])
def test_a_module_that_cannot(shapes_folder, shapes_survey, tmp_path, signature):
    folder = shutil.copytree(shapes_folder, tmp_path / "module")
    card = json.loads((folder / CARD_PATH).read_text())
    card["signatures"].remove(signature)
    (folder / CARD_PATH).write_text(json.dumps(card))
    with pytest.raises(galsim.GalSimError, match=f"no signature '{signature}'"):
        Reconstructor(Module(folder), shapes_survey)
