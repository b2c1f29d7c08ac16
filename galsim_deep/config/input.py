"""The input type ``generative_model`` of GalSim config files."""

__all__ = ["ModelLoader"]

from typing import Any

from galsim import GalSimConfigError
from galsim.config import InputLoader, RegisterInputType

from ..model import GenerativeGalaxyModel


class ModelLoader(InputLoader):
    """Makes a `GenerativeGalaxyModel` from the fields ``file_name``, ``sha256`` and ``offline``.

    Each process has the model for itself, without a proxy: it is small until it samples, and
    workers do not wait for one another.

    Example:

        >>> config = dict(input=dict(generative_model=dict(file_name="hub:acs_flow_vae")))
        >>> galsim.config.ProcessInput(config)
        >>> model = galsim.config.GetInputObj("generative_model", config, config, "gal")
        >>> model.card.name
        'acs_flow_vae'
    """

    def __init__(self) -> None:
        super().__init__(GenerativeGalaxyModel, use_proxy=False)

    def getKwargs(self, config: dict[str, Any], base: dict[str, Any], logger: Any
                  ) -> tuple[dict[str, Any], bool]:
        """Read the fields; see `galsim.config.InputLoader.getKwargs`.

        Raises:
            GalSimConfigError:  The workers of ``nproc`` would be forked from a process in which
                                they could not sample.  GalSim would only log the errors of the
                                workers, and write no file.
        """
        kwargs, safe = super().getKwargs(config, base, logger)
        from ..modules.runners.tensorflow import is_tensorflow_started

        has_workers = any(base.get(part, {}).get("nproc", 1) != 1 for part in ("image", "output"))
        if (has_workers and is_tensorflow_started()
                and GenerativeGalaxyModel(**kwargs).needs_tensorflow()):
            raise GalSimConfigError(
                f"The module {kwargs['file_name']} has no compact graph, and is sampled by "
                "TensorFlow, which has been used in this process and would deadlock in workers "
                "that are forked from it (nproc > 1). Use nproc: 1, or run this configuration in a "
                "fresh process.")
        return kwargs, safe


RegisterInputType("generative_model", ModelLoader())
