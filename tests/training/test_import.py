"""Which parts of the training package import what."""

import subprocess
import sys
from pathlib import Path

import pytest

import galsim_deep_training

PACKAGE = Path(galsim_deep_training.__file__).parent
# A room imports only rooms before it, also where it imports a type for annotations alone.
ROOMS = ["settings", "registry", "recipe", "networks", "data", "physics", "rendering", "fitting",
         "families", "fit", "export", "cli"]
# The parts of the plugin that training uses.  The export also draws galaxies of the new module.
PLUGIN = {"modules", "observations", "measure", "runtime", "config", "embeddings"}
EXPORT = {"GenerativeGalaxyModel", "__version__", "picture", "profiles"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path, imported_names):
    """Not upward, and no more of the plugin than training needs; never its validation."""
    room = room_of(path)
    for name in imported_names(path, PACKAGE.parent):
        package, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if package == "galsim_deep_training":
            assert ROOMS.index(other) <= ROOMS.index(room), name
        elif package == "galsim_deep":
            assert other in (PLUGIN | EXPORT if room == "export" else PLUGIN), name


def test_all_rooms_are_known():
    assert {room_of(path) for path in FILES} - {"__init__"} == set(ROOMS)


def test_no_family_imports_another(imported_names):
    """A family imports what families share; that imports no family."""
    for path in PACKAGE.glob("families/*/**/*.py"):
        family = path.relative_to(PACKAGE).parts[1]
        for name in imported_names(path, PACKAGE.parent):
            if name.startswith("galsim_deep_training.families."):
                assert name.split(".")[2] in {family, "base", "shared"}, (path, name)


@pytest.mark.long
def test_making_a_data_set_needs_no_tensorflow():
    """The processes that make examples stay small."""
    script = ("import sys, galsim_deep_training.data.build, galsim_deep_training.cli; "
              "sys.exit('tensorflow' in sys.modules)")
    subprocess.run([sys.executable, "-c", script], check=True)
