"""The base class of the phases that are fitted to the encoded stamps of the training split."""

__all__ = ["EncodedPhase", "EncodedSettings"]

import abc
from collections.abc import Iterator

import keras
import numpy as np

from ....data.dataset import Dataset
from ....fitting.phase import GradientPhase
from ....recipe import PhaseSettings
from ....settings import PositiveShare
from ..encoded import encoded
from ..model import MPCCModel


class EncodedSettings(PhaseSettings):
    """Settings of the phases ``class_weights`` and ``flow``, which learn from encoded stamps.

    Example::

        >>> EncodedSettings(steps=1000, deepest_share=0.4).deepest_share
        0.4
    """

    deepest_share: PositiveShare = 1.0
    """Fraction of the training stamps that are used: those with the least noise."""


class EncodedPhase(GradientPhase):
    """A phase that fits one network to encoded stamps, after the phases that fit the encoder.

    Subclasses implement `batches_of` and the loss.

    Parameters:
        family:     The model.
        settings:   `EncodedSettings`.
        name:       The name of the network in checkpoints.
        network:    The network.

    Example::

        >>> from galsim_deep_training.families.mpcc.phases.latent_flow import MixtureFlow
        >>> issubclass(MixtureFlow, EncodedPhase), MixtureFlow.builds_on
        (True, ('adversarial', 'inference'))
    """

    Settings = EncodedSettings
    builds_on = ("adversarial", "inference")

    settings: EncodedSettings

    def __init__(self, family: MPCCModel, settings: EncodedSettings, name: str,
                 network: keras.Model) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed, {name: network},
                         network.trainable_variables)

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return self.batches_of(encoded(
            self.family, dataset, dataset.deepest(self.settings.deepest_share), self.seed), start)

    @abc.abstractmethod
    def batches_of(self, stamps: dict[str, np.ndarray],
                   start: int) -> Iterator[dict[str, np.ndarray]]:
        """Batches of ``encoded`` stamps, from step ``start`` on."""
