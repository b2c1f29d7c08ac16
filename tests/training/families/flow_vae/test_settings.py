"""Settings of the networks of the Flow-VAE."""

import galsim
import pytest

from galsim_deep_training.families import choose_family


@pytest.mark.parametrize("change, key", [
    (dict(autoencoder=dict(kind="unknown")), "model.autoencoder.kind"),
    (dict(flow=dict(kind="map_coupling")), "model.flow.kind"),  # a flow of maps
    (dict(detail_flow=dict(kind="spline_coupling")), "model.detail_flow.kind"),
    (dict(refinement=-1), "model.refinement"),
    (dict(refinment=3), "model.refinment")])
def test_what_cannot_be_built_is_refused(change, key, make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match=key):
        choose_family(make_recipe(lambda content: content["model"].update(change)))


def test_kinds_have_their_own_defaults(make_recipe):
    def change(content):
        content["model"]["flow"] = dict(kind="affine_coupling")
        del content["model"]["detail_flow"]

    settings = choose_family(make_recipe(change)).settings
    assert settings.flow.settings == settings.flow.cls.Settings()
    assert settings.detail_flow.kind == "map_coupling"
