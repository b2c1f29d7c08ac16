"""What ``import galsim_deep`` imports, and which parts of the package import what."""

import subprocess
import sys
from pathlib import Path

import pytest

import galsim_deep

SLOW = ["tensorflow", "tensorflow_hub", "keras", "tensorflow_probability", "pydantic", "pooch",
        "matplotlib", "h5py", "pandas", "scipy", "ai_edge_litert", "tqdm"]


def test_import_is_light():
    script = ("import galsim, sys; before = set(sys.modules); import galsim_deep; "
              "print(*(set(sys.modules) - before))")
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True,
                          text=True)
    new = done.stdout.split()
    assert "galsim_deep.model" in new
    assert not {name.split(".")[0] for name in new} & set(SLOW)


def test_making_a_model_needs_no_tensorflow():
    script = ("import galsim_deep, sys; galsim_deep.GenerativeGalaxyModel('hub:acs_flow_vae'); "
              "sys.exit('tensorflow' in sys.modules)")
    subprocess.run([sys.executable, "-c", script], check=True)


def test_names_of_the_modules_package():
    """They are imported on first use."""
    import galsim_deep.modules

    for name in galsim_deep.modules.__all__:
        assert callable(getattr(galsim_deep.modules, name))
    with pytest.raises(ImportError):
        from galsim_deep.modules import nothing  # noqa: F401


def test_sampling_needs_no_tensorflow():
    script = ("import galsim_deep, sys; sys.modules['tensorflow'] = None; "
              "model = galsim_deep.GenerativeGalaxyModel('hub:acs_flow_vae'); "
              "row = dict(hlr=0.2, mag_auto=22.0, zphot=0.5); "
              "galaxy, = model.sample(row, seeds=[1]); galaxy.drawImage(scale=0.2)")
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_is_needed_where_tensorflow_is_not_installed(plain):
    script = ("import galsim, galsim_deep, sys; sys.modules['tensorflow'] = None; "
              "model = galsim_deep.GenerativeGalaxyModel(sys.argv[1])\n"
              "try: model.sample(dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5))\n"
              "except galsim.GalSimError as err: print(err)")
    done = subprocess.run([sys.executable, "-c", script, str(plain)], check=True,
                          capture_output=True, text=True)
    assert "extra 'tensorflow' of galsim-deep" in done.stdout


PACKAGE = Path(galsim_deep.__file__).parent
# A room imports only rooms before it.
ROOMS = [("runtime",), ("observations",), ("measure",), ("modules",), ("profiles",),
         ("table", "latents", "model"), ("config",), ("picture",), ("embeddings",),
         ("validation",),
         ("cli", "demo")]
RANKS = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path, imported_names):
    """Neither upward, nor from the training half; TensorFlow in one place alone."""
    place = path.relative_to(PACKAGE).with_suffix("").parts
    for name in imported_names(path, PACKAGE.parent):
        assert not name.startswith("galsim_deep_training")
        if name.split(".")[0] == "tensorflow":
            assert place == ("modules", "runners", "tensorflow")
        if name.startswith("galsim_deep.") and place[0] in RANKS:
            room = name.split(".")[1]
            assert room not in RANKS or RANKS[room] <= RANKS[place[0]], name


def test_all_rooms_are_known():
    rooms = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES}
    # `hub_modules` is installed inside of the package, and holds no code.
    assert rooms - {"__init__", "__main__", "_version", "hub_modules"} == set(RANKS)
