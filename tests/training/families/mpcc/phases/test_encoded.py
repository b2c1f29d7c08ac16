"""What the phases have in common that learn from encoded stamps."""

import pytest

from galsim_deep_training.families.mpcc.encoded import encoded
from galsim_deep_training.families.mpcc.phases.class_weights import ClassWeightsPhase
from galsim_deep_training.families.mpcc.phases.encoded import EncodedSettings
from galsim_deep_training.families.mpcc.phases.latent_flow import MixtureFlow

PHASES = [ClassWeightsPhase, MixtureFlow]


@pytest.mark.long
@pytest.mark.parametrize("phase_type", PHASES)
def test_it_learns_from_the_deepest_stamps(phase_type, make):
    family, dataset = make("unconditional")
    phase = phase_type(family, EncodedSettings(steps=1, batch_size=64, deepest_share=0.25))
    batch = next(phase.batches(dataset, 0))
    deepest = dataset.deepest(0.25)
    assert len(deepest) == round(0.25 * len(dataset.train_indices))
    expected = encoded(family, dataset, deepest, phase.seed)["conditions"]
    rows = {tuple(row) for row in expected.round(4)}
    assert {tuple(row) for row in batch["conditions"].round(4)} <= rows
    assert len(rows) == len(deepest)


@pytest.mark.long
@pytest.mark.parametrize("phase_type", PHASES)
def test_the_network_that_is_fitted_and_saved(phase_type, make):
    """Its name in checkpoints is that of the attribute of the family."""
    family, _ = make("unconditional")
    phase = phase_type(family, EncodedSettings(steps=1))
    (name, network), = phase.networks.items()
    assert network is getattr(family, name)
    assert phase.variables == network.trainable_variables
