"""Tests mirror the packages: ``galsim_deep/a/b.py`` is tested by ``galsim_deep/a/test_b.py``."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"galsim_deep": "galsim_deep", "training/galsim_deep_training": "training",
            "training/sources": "training/sources"}

NOT_TESTED = {
    "galsim_deep/validation/settings.py": "numbers without behaviour",
    "training/galsim_deep_training/data/example.py": "a dataclass without behaviour",
    "training/sources/steps/observed.py": "a dataclass without behaviour",
    **{f"training/sources/surveys/{name}.py": "what is used of a set: test_real_galaxies.py"
       for name in ("acs", "ceers", "cosmosweb", "nearby")},
}
"""Source files without a test file of their own, each with the reason."""

WITHOUT_SOURCE = {
    "docs/test_build.py": "the documentation",
    "docs/test_pages.py": "the documentation",
    "docs/test_recipe_keys.py": "the documentation",
    "examples/test_examples.py": "the examples",
    "galsim_deep/test_galsim_hub_defects.py": "defects of GalSim-Hub, in many files",
    "galsim_deep/test_import.py": "what an import of the package loads",
    "test_column_names.py": "names of columns in all files",
    "test_docstrings.py": "docstrings of all files",
    "test_end_to_end.py": "from data to a catalogue of images",
    "test_mirror.py": "this file",
    "test_packaging.py": "what is installed",
    "test_public_interface.py": "the names that the packages offer",
    "training/export/test_module_with_classes.py":
        "all files of the export, for a model with classes, which needs a fit of its own",
    "training/networks/flows/test_spline_flows.py": "what both flows of splines share",
    "training/test_short_fit.py": "one step of each phase, and an export, for the quick tests",
    "training/test_import.py": "which part of the training package imports which",
    "training/sources/test_real_galaxies.py": "the collection in the repository",
    "training/test_validation.py": "galsim_deep.validation of what galsim_deep_training writes",
}
"""Test files without a source file of their own, each with what they test."""


def source_files():
    """{path of a source file: path of its test file}, relative to the root and to ``tests``."""
    return {
        str(source.relative_to(ROOT)): str(Path(tests) / source.relative_to(
            ROOT / package).with_name(f"test_{source.name.removeprefix('_')}"))
        for package, tests in PACKAGES.items() for source in sorted((ROOT / package).rglob("*.py"))
        if not source.name.startswith("__") and source.name != "_version.py"}


def is_public(node):
    return (isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and not node.name.startswith("_"))


def has_public_names(source):
    return any(is_public(node) for node in ast.parse((ROOT / source).read_text()).body)


SOURCE_FILES = source_files()


@pytest.mark.parametrize("source", SOURCE_FILES)
def test_every_source_file_has_its_test_file(source):
    """But those that have neither a function nor a class which others could use."""
    is_tested = (ROOT / "tests" / SOURCE_FILES[source]).is_file()
    assert is_tested or source in NOT_TESTED or not has_public_names(source), (
        f"Write tests/{SOURCE_FILES[source]}, or add {source} to NOT_TESTED with a reason.")
    assert not (is_tested and source in NOT_TESTED), f"Take {source} out of NOT_TESTED."


def test_every_test_file_has_its_source_file():
    tests = {str(path.relative_to(ROOT / "tests")) for path in (ROOT / "tests").rglob("test_*.py")}
    assert tests - set(SOURCE_FILES.values()) == set(WITHOUT_SOURCE)


def test_files_that_are_excepted_exist():
    assert set(NOT_TESTED) <= set(SOURCE_FILES)
