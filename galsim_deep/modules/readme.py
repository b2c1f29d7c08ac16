"""The page of a module for people: its ``README.md``, rendered from the card."""

__all__ = ["README_PATH", "render_readme", "sort_column", "with_error"]

import re
from collections.abc import Mapping

from .card import Band, Card, Column

README_PATH = "README.md"
_GENERATOR = """```python
model = galsim_deep.GenerativeGalaxyModel("hub:{name}")
```

![samples](samples.png)

Top: light profiles before PSF and pixel, for rows of the test catalogue sorted by
{sort_column}. Bottom: the same galaxies with PSF and noise as in the training data.
"""
_ENCODER = """```python
from galsim_deep.embeddings import Embedder

embedder = Embedder("hub:{name}")
```

The command `galsim-deep embed {name} --stamps FILE --output TABLE` embeds the stamps of a file.
"""
_DENSITY = """```sh
galsim-deep score {name} TABLE --output FOLDER
```
"""
_COLUMNS = """
| column | quantity | unit | valid range | median of the training sample | meaning |
|---|---|---|---|---|---|
"""
_TEMPLATE = """# {name} {version}

{summary}

{use}{columns}
{classes}
* Stamps: {sizes} of {pixel_scale} arcsec{choice}; the origin is at the true centre{light}.
{bands}{latent}
* Signatures: {signatures}.
* Trained on: {description}{sources}
* Cite: {citation}
* Licence of the training data: {licence}.
* {kind} of the family {family}; recipe {recipe}, sha256 {recipe_sha256}; made with galsim-deep
  {code_version}.
{validation}"""


def render_readme(card: Card) -> str:
    """The text of the ``README.md`` of a module, in Markdown.

    >>> from galsim_deep.modules.card import read_card
    >>> from galsim_deep.modules.resolve import resolve
    >>> render_readme(read_card(resolve("hub:acs_flow_vae"))).startswith("# acs_flow_vae ")
    True
    """
    data = card.training_data
    if card.kind == "generator":
        use = _GENERATOR.format(name=card.name, sort_column=_code(sort_column(card)[0]))
        light = "; light is before PSF and\n  pixel and falls to zero at the edge"
    else:
        use = (_ENCODER if card.kind == "encoder" else _DENSITY).format(name=card.name)
        light = ""
    latent = f"\n* Random input: {card.latent.size} standard normal numbers." if card.latent else ""
    return _TEMPLATE.format(
        name=card.name, version=_escaped(card.version), summary=_paragraph(card.summary), use=use,
        family=_escaped(card.family), kind=f"{'An' if card.kind == 'encoder' else 'A'} {card.kind}",
        sizes=", ".join(f"{size} x {size} pixels" for size in card.stamp.sizes),
        pixel_scale=card.pixel_scale, light=light, choice=(
            ", the smallest that\n  fits each galaxy, with larger pixels if none does"
            if card.chooses_stamps else ""), bands="\n".join(map(_band_item, card.bands)),
        latent=latent, signatures=_escaped(", ".join(card.signatures)),
        description=_escaped(data.description), citation=_escaped(data.citation),
        licence=_escaped(data.licence),
        sources="" if data.sources is None else f" {data.sources} distinct galaxies.",
        recipe=_escaped(card.recipe.name), recipe_sha256=_escaped(card.recipe.sha256),
        code_version=_escaped(card.code_version),
        columns=_COLUMNS + "\n".join(map(_column_row, card.columns)) if card.columns else "",
        classes=_class_table(card),
        validation=_validation_table(card))


def _escaped(text: str) -> str:
    """Text of a card, which may come from anybody, for a place within a line or a table.

    It becomes one line, without HTML, images, links and code, and does not end a cell of a table.
    """
    line = " ".join(text.split())
    return re.sub(r"([\\`\[\]|])", r"\\\1", line).replace("<", "&lt;")


def _paragraph(text: str) -> str:
    """Text of a card that is a paragraph: neither a heading nor an item of a list."""
    return re.sub(r"^(\d*)([#>*+=~_-]|[.)](?= |$))", r"\1\\\2", _escaped(text))


def _code(name: str) -> str:
    """The name of a column as code, unless it has letters that end the code or the cell."""
    return _escaped(name) if re.search(r"[`\\|\n]", name) else f"`{name}`"


def sort_column(card: Card) -> tuple[str, bool]:
    """The column by which the rows of pictures are sorted, from bright to faint.

    Returns:
        (name, whether its values increase from bright to faint, as magnitudes do).

    >>> from galsim_deep.modules.card import read_card
    >>> from galsim_deep.modules.resolve import resolve
    >>> sort_column(read_card(resolve("hub:acs_flow_vae")))
    ('mag_auto', True)
    """
    magnitude = card.column_of("magnitude")
    if magnitude is not None:
        return magnitude.name, True
    return card.columns[0].name, False


def _column_row(column: Column) -> str:
    limits = "{:g} to {:g}".format(*column.valid_range)
    if column.usable_range != column.valid_range:
        limits += " (extrapolated: {:g} to {:g})".format(*column.usable_range)
    median = column.quantiles.get("0.5")
    quantity = column.quantity.replace("_", " ") + (", as observed" if column.as_observed else "")
    if column.may_be_absent:
        quantity += ", may be absent"
    return (f"| {_code(column.name)} | {quantity} | {_escaped(column.unit)} | "
            f"{limits} | {'' if median is None else f'{median:g}'} | "
            f"{_escaped(column.meaning)} |")


def _band_item(band: Band) -> str:
    text = (f"* Band {_escaped(band.name)}: the flux is the sum of a stamp; AB zero point "
            f"{band.zero_point} for {band.exposure_time:g} s.")
    if band.psf or band.noise:
        text += f" Trained through {_escaped(band.psf)}; {_escaped(band.noise)}."
    return text


def _class_table(card: Card) -> str:
    """A table of the classes, and their picture."""
    if not card.classes:
        return ""
    rows = [f"| {number} | {_escaped(galaxy_class.name)} | {100 * galaxy_class.share:.1f} % | "
            f"{_escaped(galaxy_class.description)} |"
            for number, galaxy_class in enumerate(card.classes)]
    return "\n".join([
        "", "| `galaxy_class` | name | share | description |", "|---|---|---|---|", *rows, "",
        "![classes](classes.png)", "",
        "One row for each class, in this order: galaxies of the class for the same rows of the "
        "test\ncatalogue and the same random numbers.", ""])


def _validation_table(card: Card) -> str:
    """A table of the figures from validation, one column for each set of real galaxies."""
    if not card.validation:
        return ""
    sets = list(card.validation)
    names = list(dict.fromkeys(name for figures in card.validation.values() for name in figures))
    lines = ["", "## Validation", "", "| " + " | ".join(["figure", *map(_escaped, sets)]) + " |",
             "|---" * (len(sets) + 1) + "|"]
    for name in names:
        if not name.endswith("_error"):
            row = [with_error(card.validation[key], name) for key in sets]
            lines.append("| " + " | ".join([_escaped(name), *row]) + " |")
    return "\n".join([
        *lines, "",
        "Made by `galsim-deep validate`; its documentation defines each figure.", ""])


def with_error(figures: Mapping[str, float], name: str) -> str:
    """A figure of the card with its error, as text; empty if there is none.

    >>> with_error({"auc_all": 0.76512, "auc_all_error": 0.0499}, "auc_all")
    '0.7651 ± 0.05'
    """
    if name not in figures:
        return ""
    error = figures.get(f"{name}_error")
    return f"{figures[name]:.4g}" + ("" if error is None else f" ± {error:.2g}")
