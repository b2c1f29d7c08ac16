"""The flows of splines: what a recipe sets of them, and what it may leave out."""

import pydantic
import pytest

from galsim_deep_training.networks.flows import make_flow

KINDS = {"spline_coupling": (6, 128), "masked_autoregressive_spline": (4, 256)}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults(kind):
    layers, hidden = KINDS[kind]
    flow = make_flow(kind, 4, seed=1)
    assert len(flow.conditioners) == layers
    assert list(flow.conditioners[0].widths[:-1]) == [hidden, hidden]
    assert (flow.univariate.bins, flow.univariate.bound) == (8, 5.0)


@pytest.mark.parametrize("kind", KINDS)
def test_settings(kind):
    flow = make_flow(kind, 4, seed=1, layers=2, hidden=8, bins=3, bound=2.5)
    assert (flow.univariate.bins, flow.univariate.bound) == (3, 2.5)
    with pytest.raises(pydantic.ValidationError, match="bins"):
        make_flow(kind, 4, seed=1, bins=1)
