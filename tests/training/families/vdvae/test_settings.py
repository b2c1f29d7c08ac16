"""Settings of the very deep VAE."""

import pytest

from galsim_deep_training.families.vdvae.settings import VDVAESettings


@pytest.mark.parametrize("change", [dict(details=[0, 1]), dict(
    encoder_blocks=[1], decoder_blocks=[1], channels=[4], details=[0])])
def test_each_stage_needs_all_numbers(change):
    with pytest.raises(ValueError, match="one number for each stage"):
        VDVAESettings(**dict(VDVAESettings().model_dump(), **change))
