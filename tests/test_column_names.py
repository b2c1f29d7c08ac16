"""No code knows the columns of modules by name: programs find them by the quantity they measure."""

import ast
from pathlib import Path

import pytest

from galsim_deep.modules import read_card

ROOT = Path(__file__).parent.parent
CARDS = sorted((ROOT / "hub_modules").glob("*/assets/galsim_module.json"))
# Names of columns that are also words of their own.
WORDS = {"size", "axis_ratio", "sersic_n"}
# The collection of real galaxies and GalSim's catalogues have columns of their own, one of them
# with such a name.
OTHER_COLUMNS = {ROOT / "galsim_deep/observations" / name
                 for name in ("collection.py", "collection_galaxies.py", "real_catalog.py")}
FILES = sorted({*(ROOT / "galsim_deep").rglob("*.py"),
                *(ROOT / "training/galsim_deep_training").rglob("*.py")} - OTHER_COLUMNS)


def names_in(path):
    """Identifiers and texts in a file, except for docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.update(map(id, ast.walk(node)))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        for attribute in ("id", "attr", "arg", "name"):
            if isinstance(getattr(node, attribute, None), str):
                yield getattr(node, attribute)


def columns_of_modules():
    return {column.name for card in CARDS
            for column in read_card(card.parent.parent).columns} - WORDS


def test_the_columns_of_the_modules():
    assert columns_of_modules() == {"hlr", "mag_auto", "zphot", "flux_density"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_column_is_known_by_name(path):
    columns = columns_of_modules()
    for text in names_in(path):
        assert not any(column in text for column in columns), text
