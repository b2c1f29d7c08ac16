"""Pages with pictures: what the commands on embeddings write for people to look at."""

__all__ = ["Page", "Strip"]

import base64
import dataclasses
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.atomic_files import replace_file

if TYPE_CHECKING:
    import matplotlib.figure
    from astropy.table import Table

ENLARGED = 2
"""Factor by which thumbnails are enlarged on a page."""


@dataclasses.dataclass(frozen=True, eq=False)
class Strip:
    """A row of pictures with a text below each.

    >>> Strip("one galaxy", [np.zeros((4, 4, 3), np.uint8)], ["0.97"]).texts
    ['0.97']
    """

    title: str
    pictures: Sequence[NDArray[np.uint8]]
    texts: Sequence[str]


class Page:
    """A page of sections; pictures are part of the file.

    Parameters:
        title:      The title.
        lead:       One or two sentences below it.

    >>> page = Page("Galaxies that look alike", "By cosine similarity.")
    >>> page.section("The first one", strips=[Strip("", [np.zeros((4, 4, 3), np.uint8)], ["1"])])
    >>> "<h2>The first one</h2>" in page.html()
    True
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self.title, self.lead = title, lead
        self._sections: list[dict[str, Any]] = []

    def section(self, title: str, text: str = "", table: "Table | None" = None,
                figures: Sequence[tuple[str, "matplotlib.figure.Figure"]] = (),
                strips: Sequence[Strip] = ()) -> None:
        """Add a section.

        Parameters:
            title:      Its title.
            text:       A text below the title.
            table:      A table to show; numbers that are not whole get four digits.
            figures:    (caption, matplotlib figure) of each figure.
            strips:     Rows of pictures.
        """
        self._sections.append(dict(
            title=title, text=text, table=None if table is None else _cells(table),
            figures=[dict(caption=caption, picture=_figure(figure)) for caption, figure in figures],
            strips=[dict(title=strip.title, pictures=[
                dict(data=_png(picture), width=ENLARGED * picture.shape[1], text=text)
                for picture, text in zip(strip.pictures, strip.texts, strict=True)])
                for strip in strips]))

    def html(self) -> str:
        """The page."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("galsim_deep.embeddings", "."), autoescape=True,
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        return environment.get_template("page.html.j2").render(
            title=self.title, lead=self.lead, sections=self._sections)

    def write(self, path: str | os.PathLike) -> Path:
        """Write the page to a file, which appears when it is complete."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as fresh:
            fresh.write_text(self.html(), encoding="utf-8")
        return path


def _cells(table: "Table") -> dict[str, Any]:
    def text(value: Any) -> str:
        if isinstance(value, (float, np.floating)):
            return f"{value:.4g}".replace("-", "−")
        return str(value)

    return dict(names=table.colnames, rows=[[text(row[name]) for name in table.colnames]
                                            for row in table])


def _png(picture: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def _figure(figure: "matplotlib.figure.Figure") -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode()
