"""Change the card of an existing module."""

__all__ = ["rewrite_card"]

import os
from pathlib import Path
from typing import Any

from ..runtime.atomic_files import replace_file
from .card import CARD_PATH, Card, card_text, file_digests, read_card
from .readme import README_PATH, render_readme


def rewrite_card(folder: str | os.PathLike, **changes: Any) -> Card:
    """Change some fields of the card of a module; its ``README.md`` is rendered again.

    Both are written beside the present ones, and put into their places when they are complete, so
    that a full disk leaves the module as it was.

    Parameters:
        folder:     The folder of the module.
        **changes:  Fields of `Card`.

    Returns:
        the `Card` that was written.

    Raises a `pydantic.ValidationError` if a field has an invalid value, and a
    `galsim_deep.runtime.atomic_files.WriteError` if the files cannot be written.  Unknown fields
    are ignored.
    """
    folder = Path(folder)
    fields = {**read_card(folder).model_dump(), **changes}
    fields["files"] = file_digests(folder)
    card = Card.model_validate(fields)
    with (replace_file(folder / CARD_PATH) as fresh_card,
          replace_file(folder / README_PATH) as fresh_page):
        fresh_page.write_text(render_readme(card), encoding="utf-8")
        digest = file_digests(fresh_page.parent, [fresh_page.name])[fresh_page.name]
        files = dict(sorted({**card.files, README_PATH: digest}.items()))
        card = Card.model_validate({**fields, "files": files})
        fresh_card.write_text(card_text(card), encoding="utf-8")
    return card
