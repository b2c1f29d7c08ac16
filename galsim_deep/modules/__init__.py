"""Trained modules on disk: their cards, how handles lead to them, and what runs their graphs.

>>> from galsim_deep.modules import Module
>>> from galsim_deep.modules.resolve import resolve
>>> module = Module(resolve("hub:acs_flow_vae"))
>>> module.card.kind
'generator'
"""

__all__ = ["Card", "HandleError", "Module", "available", "cache_dir", "installed_folders",
           "read_card", "rewrite_card", "write_card"]

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cache import cache_dir
    from .card import Card, read_card, write_card
    from .errors import HandleError
    from .index import installed_folders
    from .module import Module
    from .resolve import available
    from .rewrite import rewrite_card

_FILES = dict(
    Card="card", HandleError="errors", Module="module", available="resolve", cache_dir="cache",
    installed_folders="index", read_card="card", rewrite_card="rewrite", write_card="card")


def __getattr__(name: str) -> Any:
    # Imported on first use: cards need pydantic, which takes longer to import than the rest of the
    # package without it.
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_FILES[name]}", __name__), name)
