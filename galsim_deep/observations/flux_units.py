"""The flux units of real stamps and of a module, and the conversion between them."""

__all__ = ["FluxUnits"]

import dataclasses

import numpy as np

from .observation import Observation


@dataclasses.dataclass(frozen=True)
class FluxUnits:
    """Converts between the flux units of real stamps and those of a module.

    Attributes:
        gain:   Flux of a galaxy in the unit of the stamps, over its flux in the unit of the module.

    Example::

        >>> units = FluxUnits.between(28.44, 25.94)
        >>> round(units.gain, 3)
        10.0
    """

    gain: float = 1.0

    @classmethod
    def between(cls, stamps: float | None, module: float) -> "FluxUnits":
        """The conversion between two zero points.

        Parameters:
            stamps:     AB magnitude of unit flux in the real stamps; None for that of the module.
            module:     AB magnitude of unit flux in the module.
        """
        if stamps is None:
            return cls()
        return cls(10 ** (0.4 * (stamps - module)))

    def to_module(self, observation: Observation, stamp: np.ndarray | None = None) -> Observation:
        """An observation in the flux unit of the module.

        Parameters:
            observation:    In the unit of the stamps.
            stamp:          Replaces the observed stamp, in the unit of the stamps, shape [S, S].
                            [default: None, the observed one]

        Returns:
            an `Observation` whose stamps and noise are converted.
        """
        stamp = observation.stamp if stamp is None else stamp
        return dataclasses.replace(
            observation, stamp=stamp / self.gain, noise_sigma=observation.noise_sigma / self.gain,
            noiseless=(None if observation.noiseless is None
                       else self.image_to_module(observation.noiseless)))

    def image_to_module(self, image: np.ndarray) -> np.ndarray:
        """An image of real stamps in the flux unit of the module, of the same shape."""
        return image / self.gain

    def image_to_stamps(self, image: np.ndarray) -> np.ndarray:
        """An image of the module in the flux unit of the real stamps, of the same shape."""
        return image * self.gain
