"""The flows of splines: what a recipe sets of them, and what it may leave out."""

import pydantic
import pytest

from galsim_deep_training.networks.flows import Flow

KINDS = {"spline_coupling": (6, 128), "masked_autoregressive_spline": (4, 256)}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults(kind):
    layers, hidden = KINDS[kind]
    flow_type = Flow.named(kind)
    flow = flow_type(flow_type.Settings(), latent_size=4)
    assert len(flow.conditioners) == layers
    assert list(flow.conditioners[0].widths[:-1]) == [hidden, hidden]
    assert (flow.univariate.bins, flow.univariate.bound) == (8, 5.0)


@pytest.mark.parametrize("kind", KINDS)
def test_settings(kind):
    flow_type = Flow.named(kind)
    flow = flow_type(
        flow_type.Settings(layers=2, hidden=8, bins=3, bound=2.5), latent_size=4)
    assert (flow.univariate.bins, flow.univariate.bound) == (3, 2.5)
    with pytest.raises(pydantic.ValidationError, match="bins"):
        flow_type.Settings(bins=1)
