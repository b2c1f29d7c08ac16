"""Batches whose images cannot fit into memory are refused before a fit starts.

Recipes limit each number, which does not keep their product in limits.
"""

__all__ = ["MAX_BYTES", "check_batches"]

from collections.abc import Mapping, Sequence

from galsim import GalSimConfigError

from ..recipe import PhaseSettings, Recipe
from ..registry import Choice
from ..settings import Settings
from .phase import Phase

MAX_BYTES = 4 * 2**30
"""The largest size of all images of one kind in a batch.  A fit takes many times more memory: that
of the feature maps of its networks, and their gradients."""


def check_batches(recipe: Recipe, phases: Sequence[type[Phase]], fit: Mapping[str, PhaseSettings],
                  model: Settings) -> None:
    """Refuse batches of too many or too large images.

    The images are the stamps with their PSFs and noise powers, and, where a component of the model
    has settings with ``image_pixels``, what it renders or shows to networks.

    Parameters:
        recipe:     The recipe, for its stamps.
        phases:     The classes of its phases.
        fit:        The settings of each, by its name.
        model:      The settings of the model family.

    Raises a `galsim.GalSimConfigError` that names the settings to change.
    """
    size, psf_size = recipe.stamp.size, recipe.stamp.psf_size
    pixels = {f"stamp.size of {size} and stamp.psf_size of {psf_size}":
              size**2 + size * (size // 2 + 1) + psf_size**2}
    for name in type(model).model_fields:
        choice = getattr(model, name)
        count = getattr(choice.settings, "image_pixels", 0) if isinstance(choice, Choice) else 0
        if count:
            pixels[f"the cells and subcells of model.{name}"] = count
    for phase in phases:
        batch_size, rows = fit[phase.name].batch_size, phase.rows(fit[phase.name])
        reads = f", and each step reads {rows} galaxies" if rows > batch_size else ""
        for cause, count in pixels.items():
            # In float32.
            if phase.reads_images and 4 * count * rows > MAX_BYTES:
                raise GalSimConfigError(
                    f"The recipe {recipe.path}, fit.{phase.name}.batch_size, is {batch_size}"
                    f"{reads}. With {cause}, the images that a step reads take "
                    f"{4 * count * rows / 2**30:.1f} GiB, more than the limit of "
                    f"{MAX_BYTES / 2**30:g} GiB. "
                    f"{_advice(MAX_BYTES * batch_size // (4 * count * rows))}")


def _advice(batch_size: int) -> str:
    smaller = "smaller images" if batch_size < 1 else (
        f"a batch_size of at most {batch_size}, or smaller images")
    return f"Take {smaller}."
