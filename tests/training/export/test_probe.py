"""The probe: inputs and outputs by which anybody can check a module."""

import dataclasses
import shutil
from contextlib import nullcontext

import galsim
import numpy as np
import pytest

from galsim_deep.modules.card import read_card, write_card
from galsim_deep.modules.module import PROBE_PATH, Module
from galsim_deep_training.export.probe import check
from galsim_deep_training.families.flow_vae.family import FlowVAE

pytestmark = pytest.mark.long


@pytest.fixture
def with_probe_changed(module_folder, tmp_path):
    """``with_probe_changed(output, change)``: a copy of the module, with another peak of an output.

    The largest value of the second row is larger by this fraction.
    """
    def copy(output, change):
        folder = shutil.copytree(module_folder, tmp_path / "tiny")
        with np.load(folder / PROBE_PATH) as stored:
            content = dict(stored)
        place = np.unravel_index(content[output][1].argmax(), content[output][1].shape)
        content[output][(1, *place)] *= 1 + change
        np.savez(folder / PROBE_PATH, **content)
        return folder

    return copy


def test_probe(module, family):
    differences = module.probe()
    assert set(differences) == {
        "sample", "sample (compact graph)", "decode", "encode", "log_prob"}
    assert all(difference < 1e-5 for name, difference in differences.items() if name != "encode")
    check(module, family)
    with np.load(module.folder / PROBE_PATH) as stored:
        assert np.isnan(stored["sample/inputs/zphot"]).sum() == 1
        assert np.isfinite(stored["sample/outputs/image"]).all()
        assert stored["sample/outputs/image"].shape == (3, 32, 32, 1)
        # Latents of galaxies, not of noise, are decoded.
        np.testing.assert_array_equal(stored["decode/inputs/latent"], stored["encode/outputs/mean"])


@pytest.mark.parametrize("change, output", [
    (1e-4, "sample/outputs/image"), (-1e-4, "decode/outputs/image"),
    (np.nan, "sample/outputs/image"),
    (1e-4, "log_prob/outputs/log_prob"), (0.1, "encode/outputs/mean")])
def test_check(change, output, module, family, with_probe_changed):
    folder = with_probe_changed(output, change)
    with pytest.raises(galsim.GalSimError, match=PROBE_PATH):
        Module(folder)
    # A card that vouches for it does not help.
    write_card(folder, read_card(folder).model_dump(exclude={"files"}))
    wrong = Module(folder)
    wrong.tensorflow = module.tensorflow  # the graphs are the same, and loaded
    with pytest.raises(galsim.GalSimError, match=f"'{output.split('/')[0]}'"):
        check(wrong, family)


def test_a_signature_states_how_much_may_differ(module, family, with_probe_changed, monkeypatch):
    folder = with_probe_changed("decode/outputs/image", 1e-4)
    write_card(folder, read_card(folder).model_dump(exclude={"files"}))
    wrong = Module(folder)
    wrong.tensorflow = module.tensorflow
    signatures = family.signatures()
    for tolerance, fits in ((1e-5, False), (1e-3, True)):
        monkeypatch.setattr(family, "signatures", lambda tolerance=tolerance: dict(
            signatures, decode=dataclasses.replace(signatures["decode"], tolerance=tolerance)))
        with nullcontext() if fits else pytest.raises(galsim.GalSimError, match="'decode'"):
            check(wrong, family)


def test_the_tolerances_are_those_of_the_module_format(family):
    assert {name: signature.tolerance for name, signature in family.signatures().items()} == dict(
        sample=1e-5, decode=1e-5, encode=1e-2, log_prob=1e-5)
    unrefined = FlowVAE(family.settings.model_copy(update=dict(refinement=0)), family.recipe)
    assert unrefined.signatures()["encode"].tolerance == 1e-5
