"""The page of a module, rendered from its card."""

import pytest

from galsim_deep.modules.card import Card, read_card
from galsim_deep.modules.readme import README_PATH, render_readme, sort_column, with_error
from galsim_deep.modules.resolve import available, resolve

SHIPPED = sorted(name for name, folder in available(offline=True).items() if folder)


@pytest.fixture
def change(tiny):
    """``change(name=value, ...)``: the card of the small module with other fields."""

    def changed(**changes):
        return Card.model_validate({**tiny.card.model_dump(), **changes})

    return changed


@pytest.mark.parametrize("name", SHIPPED)
def test_pages_of_shipped_modules(name):
    """They are those of their cards."""
    folder = resolve(f"hub:{name}")
    assert (folder / README_PATH).read_text(encoding="utf-8") == render_readme(read_card(folder))


def test_page(tiny):
    lines = render_readme(tiny.card).splitlines()
    assert lines[0] == "# tiny 1"
    assert "Discs with bulges." in lines
    assert 'model = galsim_deep.GenerativeGalaxyModel("hub:tiny")' in lines
    assert ("| `flux_radius` | half light radius, as observed | pix | 2 to 20 |  | "
            "half-light radius |") in lines
    assert "* Band F814W: the flux is the sum of a stamp; AB zero point 25.94 for 1 s." in lines
    assert "* Random input: 6 standard normal numbers." in lines
    assert not any("galaxy_class" in line or "Validation" in line for line in lines)


def test_page_of_a_module_with_classes(shapes):
    lines = render_readme(shapes.card).splitlines()
    assert "| 0 | disc | 50.0 % | An exponential disc. |" in lines
    assert "![classes](classes.png)" in lines


@pytest.mark.parametrize("kind, signature", [("encoder", "embed"), ("density", "log_prob")])
def test_pages_of_other_kinds(change, kind, signature):
    """They have neither pictures of samples nor, perhaps, columns and random numbers."""
    text = render_readme(change(kind=kind, signatures=[signature], latent=None, columns=[]))
    assert f" {kind} of the family" in text and f"* Signatures: {signature}." in text
    for word in ("GenerativeGalaxyModel", "samples.png", "Random input"):
        assert word not in text


def test_validation(change):
    lines = render_readme(change(validation={
        "real": {"auc": 0.76543, "auc_error": 0.0123, "galaxies": 50},
        "training": {"auc": 0.5}})).splitlines()
    assert "| figure | real | training |" in lines
    assert "| auc | 0.7654 ± 0.012 | 0.5 |" in lines
    assert "| galaxies | 50 |  |" in lines
    assert not any("auc_error" in line for line in lines)


def test_text_from_anybody(change, tiny):
    """It has no meaning in HTML, and does not end a cell of a table."""
    columns = [column.model_dump() for column in tiny.card.columns]
    columns[0]["meaning"] = "a | b <script>"
    data = dict(description="<img src=x>", citation="<b>", licence="|")
    text = render_readme(change(
        summary="<script>alert(1)</script>", columns=columns, training_data=data,
        validation={"<i>": {"<u>": 1.0}}))
    for tag in ("<script", "<img", "<b>", "<i>", "<u>"):
        assert tag not in text
    assert "&lt;script>alert(1)&lt;/script>" in text
    assert r"a \| b &lt;script>" in text


def test_a_line_break_in_a_meaning(change, tiny):
    """The row of the table is not cut."""
    columns = [column.model_dump() for column in tiny.card.columns]
    columns[0]["meaning"] = "half-light radius\n\n# within\n| the stamp"
    lines = render_readme(change(columns=columns)).splitlines()
    assert (r"| `flux_radius` | half light radius, as observed | pix | 2 to 20 |  | "
            r"half-light radius # within \| the stamp |") in lines


@pytest.mark.parametrize("text, page", [
    ("# Discs", r"\# Discs"), ("Discs\n# Bulges\n\n* one", "Discs # Bulges * one"),
    ("![x](https://example.org/x.png)", r"!\[x\](https://example.org/x.png)"),
    ("[x]: https://example.org", r"\[x\]: https://example.org"), (r"\[x]", r"\\\[x\]"),
    ("```", r"\`\`\`"), ("1. Discs", r"1\. Discs"), ("- Discs", r"\- Discs"), ("---", r"\---"),
    ("> Discs", r"\> Discs"), ("    Discs", "Discs"), ("0.5 arcsec - #2 (a*b)", None)])
def test_a_summary_is_one_paragraph(change, text, page):
    """It adds no headings, lists and images to the page."""
    lines = render_readme(change(summary=text)).splitlines()
    assert lines[:2] == ["# tiny 1", ""] and lines[3] == ""
    assert lines[2] == (page or text)


@pytest.mark.parametrize("name, page", [
    ("a<b", "`a<b`"), ("a`b", r"a\`b"), ("a|b", r"a\|b"), ("a\nb", "a b")])
def test_names_of_columns(change, tiny, name, page):
    columns = [dict(tiny.card.columns[0].model_dump(), name=name, quantity="other")]
    lines = render_readme(change(columns=columns)).splitlines()
    assert any(line.startswith(f"| {page} | other") for line in lines)
    assert any(line.startswith(f"{page}. Bottom: ") for line in lines)


def test_sorted_from_bright_to_faint(tiny, change):
    assert sort_column(tiny.card) == ("mag_auto", True)
    others = [column.model_dump() for column in tiny.card.columns
              if column.quantity != "magnitude"]
    assert sort_column(change(columns=others)) == ("flux_radius", False)


def test_with_error():
    figures = {"auc": 0.76543, "auc_error": 0.0123, "galaxies": 50}
    assert [with_error(figures, name) for name in ("auc", "galaxies", "nothing")] == [
        "0.7654 ± 0.012", "50", ""]
