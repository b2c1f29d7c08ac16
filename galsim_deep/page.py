"""The page of a module for people: its ``README.md``, rendered from the card."""

__all__ = ["PAGE_PATH", "render_page", "sorted_by", "with_error"]

PAGE_PATH = "README.md"
PAGE = """# {name} {version}

{summary}

```python
model = galsim_deep.GenerativeGalaxyModel("hub:{name}")
```

![samples](samples.png)

Top: light profiles before PSF and pixel, for rows of the test catalogue sorted by
`{sorted_by}`. Bottom: the same galaxies observed as those of the training data are.

| column | unit | valid range | median of the training sample | meaning |
|---|---|---|---|---|
{columns}
{classes}
* Stamps: {stamp_size} x {stamp_size} pixels of {pixel_scale} arcsec, bands {bands}; the origin is
  at the true centre; light is before PSF and pixel and falls to zero at the edge.
* Flux: the sum of a stamp; AB zero point {zero_point} for {exposure_time:g} s.
* Random input: {latent} standard normal numbers.
* Signatures: {signatures}.
* Trained on: {description} {trained_through}
* Cite: {citation}
* Licence of the training data: {licence}.
* Family {family}; recipe {recipe}, sha256 {recipe_sha256}; made with galsim-deep {code_version}.
{quality}"""


def render_page(card):
    """The text of a module's ``README.md``.

    Parameters:
        card:       The `card.Card`.

    Returns:
        Markdown text.
    """
    return PAGE.format(
        **{name: getattr(card, name) for name in (
            "name", "version", "summary", "stamp_size", "pixel_scale", "family",
            "trained_through", "code_version")},
        **card.training_data.model_dump(),
        bands=", ".join(card.bands), signatures=", ".join(card.signatures),
        zero_point=card.flux.zero_point, exposure_time=card.flux.exposure_time,
        latent=card.latent.size, recipe=card.recipe.name, recipe_sha256=card.recipe.sha256,
        columns="\n".join(map(_column_row, card.columns)), classes=_classes(card),
        quality=_quality(card), sorted_by=sorted_by(card)[0])


def sorted_by(card):
    """By which column the rows of the pictures are sorted, from bright to faint.

    Returns:
        (name, whether it grows from bright to faint, as magnitudes do).
    """
    for column in card.columns:
        if column.unit == "mag":
            return column.name, True
    return card.columns[0].name, False


def _column_row(column):
    low, high = column.valid_range
    median = column.quantiles.get("0.5")
    return (f"| `{column.name}` | {column.unit} | {low:g} to {high:g} | "
            f"{'' if median is None else f'{median:g}'} | {column.meaning} |")


def _classes(card):
    """A table of the classes, and their picture."""
    if not card.clusters:
        return ""
    rows = [f"| {number} | {cluster.name} | {100 * cluster.share:.1f} % | {cluster.description} |"
            for number, cluster in enumerate(card.clusters)]
    return "\n".join([
        "", "| `cluster` | class | share | description |", "|---|---|---|---|", *rows, "",
        "![classes](classes.png)", "",
        "A row for each class, in this order: what it makes of the same rows of the test catalogue",
        "and of the same random numbers.", ""])


def _quality(card):
    """A table of the figures from validation, one column for each set of real galaxies."""
    if not card.quality:
        return ""
    sets = list(card.quality)
    names = list(dict.fromkeys(name for found in card.quality.values() for name in found))
    lines = ["", "## Validation", "",
             "| " + " | ".join(["figure", *sets]) + " |", "|---" * (len(sets) + 1) + "|"]
    for name in names:
        if name.endswith("_error"):
            continue
        row = [with_error(card.quality[key], name) for key in sets]
        lines.append("| " + " | ".join([name, *row]) + " |")
    return "\n".join([
        *lines, "",
        "Made by `galsim-deep validate`; its documentation says what each figure is.", ""])


def with_error(found, name):
    """A figure of the card with its error, as text; empty where there is none."""
    if name not in found:
        return ""
    error = found.get(f"{name}_error")
    return f"{found[name]:.4g}" + ("" if error is None else f" ± {error:.2g}")
