"""Which packages and files an installation has."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"galsim_deep": "galsim_deep", "galsim_deep/hub_modules": "hub_modules",
           "galsim_deep_training": "training/galsim_deep_training"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The files that setuptools installs, from a copy of the tree with a further family."""
    tree, output = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("output")
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for folder in FOLDERS.values():
        shutil.copytree(ROOT / folder, tree / folder,
                        ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    family = tree / "training/galsim_deep_training/families/invented/networks"
    family.mkdir(parents=True)
    (family / "__init__.py").touch()
    (family.parent / "__init__.py").touch()
    subprocess.run([sys.executable, "setup.py", "build_py", "--build-lib", str(output)],
                   cwd=tree, check=True, capture_output=True, text=True)
    return {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}


def test_every_module_is_installed(installed):
    for name, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{name}/{path.relative_to(ROOT / folder).as_posix()}" in installed


def test_every_file_of_the_trained_modules_is_installed(installed):
    modules = [path.parent for path in (ROOT / "hub_modules").glob("*/saved_model.pb")]
    assert modules
    files = [path for module in modules for path in module.rglob("*") if path.is_file()]
    files.append(ROOT / "hub_modules/index.json")
    for path in files:
        assert f"galsim_deep/{path.relative_to(ROOT).as_posix()}" in installed
    assert {path.name for path in files} > {"README.md", "samples.png", "galsim_module.json"}


def test_templates_of_the_report_are_installed(installed):
    for path in (ROOT / "galsim_deep").rglob("*.j2"):
        assert path.relative_to(ROOT).as_posix() in installed


def test_a_new_family_is_found(installed):
    """A folder is all that a family is: no list names it."""
    folder = "galsim_deep_training/families/invented"
    assert {f"{folder}/__init__.py", f"{folder}/networks/__init__.py"} <= installed


def test_nothing_else_is_installed(installed):
    assert {name.split("/")[0] for name in installed} == {"galsim_deep", "galsim_deep_training"}
