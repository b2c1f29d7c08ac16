"""The probe: inputs and outputs by which anybody can check a module."""

import shutil

import galsim
import numpy as np
import pytest

from galsim_deep.modules.card import read_card, write_card
from galsim_deep.modules.module import PROBE_PATH, Module
from galsim_deep_training.export import probe
from galsim_deep_training.export.probe import check

pytestmark = pytest.mark.long


def test_probe(module):
    differences = module.probe()
    assert set(differences) == {
        "sample", "sample (compact graph)", "decode", "encode", "log_prob"}
    assert all(difference < 1e-5 for name, difference in differences.items() if name != "encode")
    check(module)
    with np.load(module.folder / PROBE_PATH) as stored:
        assert np.isnan(stored["sample/inputs/zphot"]).sum() == 1
        assert np.isfinite(stored["sample/outputs/image"]).all()
        assert stored["sample/outputs/image"].shape == (4, 32, 32, 1)
        # Latents of galaxies, not of noise, are decoded.
        np.testing.assert_array_equal(stored["decode/inputs/latent"], stored["encode/outputs/mean"])


@pytest.mark.parametrize("change, output", [
    (1e-4, "sample/outputs/image"), (-1e-4, "decode/outputs/image"),
    (np.nan, "sample/outputs/image"),
    (1e-4, "log_prob/outputs/log_prob"), (0.1, "encode/outputs/mean")])
def test_check(change, output, module, module_folder, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(module_folder, folder)
    with np.load(folder / PROBE_PATH) as stored:
        content = dict(stored)
    place = np.unravel_index(content[output][1].argmax(), content[output][1].shape)
    content[output][(1, *place)] *= 1 + change
    np.savez(folder / PROBE_PATH, **content)
    with pytest.raises(galsim.GalSimError, match=PROBE_PATH):
        Module(folder)
    # A card that vouches for it does not help.
    write_card(folder, read_card(folder).model_dump(exclude={"files"}))
    wrong = Module(folder)
    wrong.tensorflow = module.tensorflow  # the graphs are the same, and loaded
    with pytest.raises(galsim.GalSimError, match=f"'{output.split('/')[0]}'"):
        check(wrong)


def test_the_tolerance_is_that_of_the_module_format():
    assert probe.TOLERANCE == 1e-5
