"""The masked autoregressive flow: the configuration of Lanusse et al. 2021, section 4.2.2."""

from galsim_deep_training.networks.flows.masked_autoregressive import MaskedAutoregressiveFlow


def test_configuration_of_the_paper():
    """Eight layers, each with two masked layers of 256 units."""
    flow = MaskedAutoregressiveFlow(MaskedAutoregressiveFlow.Settings(), 16)
    flow.build((None, 3))
    assert len(flow.conditioners) == 8 and len(flow.permutations) == 7
    assert [tuple(kernel.shape) for kernel, _ in flow.conditioners[0].layer_weights] == [
        (16 + 3, 256), (256, 256), (256, 32)]
    assert flow.final is None
