"""Settings of the equivariant transformer VAE."""

import pytest

from galsim_deep_training.families.et_vae.settings import ETVAESettings


@pytest.mark.parametrize("settings, words", [
    (dict(radii=12), "radii should be a multiple of 8"),
    (dict(angles=24), "angles one of 16"), (dict(channels=[]), "at least one"),
    (dict(pose_channels=[]), "at least one"), (dict(answers=["smooth"]), "at least two"),
    (dict(answers=["smooth", "smooth"]), "different columns")])
def test_settings_that_do_not_fit(settings, words):
    with pytest.raises(ValueError, match=words):
        ETVAESettings(**settings)
