"""By what checkpoints are known: the settings that decide where a phase arrives, and no others.

The identity of a phase is a hash of

* its own settings (``fit.PHASE`` of the recipe) and its ``format``,
* the settings of the networks that it ``uses``, each with the ``format`` of its kind,
* the identities of the phases that it ``builds_on``,
* the identity of the data set,

all without what equals its default.  So a phase whose settings have changed starts anew, with those
that build on it; all others keep their checkpoints, and recipes that share a working folder share
what they have in common.  Going back to earlier settings finds the checkpoints that they made.
"""

__all__ = ["phase_identities"]

from collections.abc import Mapping, Sequence
from typing import Any

from ..recipe import PhaseSettings
from ..registry import Choice
from ..settings import digest, identity
from .phase import Phase


def phase_identities(phases: Sequence[type[Phase]], fit: Mapping[str, PhaseSettings],
                     model: Choice[Any], data: str) -> dict[str, str]:
    """The names of checkpoints and logs: that of each phase, and a hash of what it depends on.

    Parameters:
        phases:     The classes of the phases of a recipe, in order.
        fit:        The settings of each, by its name.
        model:      The model family and its settings.
        data:       The identity of the data set.

    Returns:
        {name of the phase: name of its checkpoints}.
    """
    digests: dict[str, str] = {}
    for phase in phases:
        builds_on = [*digests] if phase.builds_on is None else [
            name for name in phase.builds_on if name in digests]
        content = dict(
            name=phase.name, format=phase.format, settings=identity(fit[phase.name]), data=data,
            uses={key: _used(key, model, phase) for key in phase.uses},
            builds_on={name: digests[name] for name in builds_on})
        if phase.uses or builds_on:
            content["family"] = [model.kind, model.cls.format]
        digests[phase.name] = digest(content)
    return {name: f"{name}-{whole[:12]}" for name, whole in digests.items()}


def _used(key: str, model: Choice[Any], phase: type[Phase]) -> Any:
    """The identity of the settings under a key of the recipe, such as ``model.autoencoder``."""
    first, *path = key.split(".")
    settings = model.settings
    try:
        if first != "model":
            raise AttributeError
        for name in path:
            settings = getattr(settings, name)
    except AttributeError:
        raise ValueError(f"The class {phase.__name__} uses '{key}', and the model family "
                         f"'{model.kind}' has no such settings.") from None
    return identity(settings)
