"""Names of checkpoints.

A name contains a hash of the settings that determine the result of a phase (settings hash), of

* its own settings (``fit.PHASE`` of the recipe) and its ``format``,
* the settings of the networks that it ``uses``, each with the ``format`` of its kind,
* the settings hashes of the phases that it ``builds_on``,
* the settings hash of the data set,
* the ``LAYOUT`` of the files,

all without settings that have their default value.  A phase whose settings have changed therefore
starts anew, as do those that build on it; all others keep their checkpoints.  Recipes with the same
working folder use the same checkpoints of a phase if their settings agree.  If earlier settings are
restored, the checkpoints of these settings are used again.
"""

__all__ = ["LAYOUT", "phase_checkpoint_names"]

from collections.abc import Mapping, Sequence
from typing import Any

from ..recipe import PhaseSettings
from ..registry import Choice
from ..settings import digest, without_defaults
from .phase import Phase

LAYOUT = 3
"""Version of what the files of checkpoints hold for the same phase."""


def phase_checkpoint_names(phases: Sequence[type[Phase]], fit: Mapping[str, PhaseSettings],
                           model: Choice[Any], data: str) -> dict[str, str]:
    """The names of checkpoints and logs: the name of each phase and its settings hash.

    Parameters:
        phases:     The classes of the phases of a recipe, in order.
        fit:        The settings of each, by its name.
        model:      The model family and its settings.
        data:       The settings hash of the data set.

    Returns:
        {name of the phase: name of its checkpoints}.
    """
    settings_hashes: dict[str, str] = {}
    for phase in phases:
        builds_on = [*settings_hashes] if phase.builds_on is None else [
            name for name in phase.builds_on if name in settings_hashes]
        content = dict(
            name=phase.name, format=phase.format, settings=without_defaults(fit[phase.name]),
            data=data, layout=LAYOUT,
            uses={key: _used(key, model, phase) for key in phase.uses},
            builds_on={name: settings_hashes[name] for name in builds_on})
        is_first = not settings_hashes
        if is_first or phase.uses or builds_on:
            content["family"] = [model.kind, model.cls.format]
        if is_first and phase is not model.cls.phase_types[0]:
            # It holds what the family has learnt from the data set, which an omitted phase holds
            # otherwise.
            content["is_first"] = True
        settings_hashes[phase.name] = digest(content)
    return {name: f"{name}-{settings_hash[:12]}" for name, settings_hash in settings_hashes.items()}


def _used(key: str, model: Choice[Any], phase: type[Phase]) -> Any:
    """The content of the settings under a key of the recipe, such as ``model.autoencoder``."""
    first, *path = key.split(".")
    settings = model.settings
    try:
        if first != "model":
            raise AttributeError
        for name in path:
            settings = getattr(settings, name)
    except AttributeError:
        raise ValueError(f"The attribute uses of the class {phase.__name__} contains '{key}', but "
                         f"the model family '{model.kind}' has no settings of that name. Correct "
                         "the attribute.") from None
    return without_defaults(settings)
