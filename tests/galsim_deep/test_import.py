"""What ``import galsim_deep`` brings along, and that both halves keep to their side."""

import subprocess
import sys
from pathlib import Path

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


def test_sampling_needs_no_tensorflow():
    script = ("import galsim_deep, sys; sys.modules['tensorflow'] = None; "
              "model = galsim_deep.GenerativeGalaxyModel('hub:acs_flow_vae'); "
              "row = dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5); "
              "galaxy, = model.sample(row, seeds=[1]); galaxy.drawImage(scale=0.2)")
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_is_needed_where_tensorflow_is_not_installed(plain):
    script = ("import galsim, galsim_deep, sys; sys.modules['tensorflow'] = None; "
              "model = galsim_deep.GenerativeGalaxyModel(sys.argv[1])\n"
              "try: model.sample(dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5))\n"
              "except galsim.GalSimError as err: print(err)")
    done = subprocess.run([sys.executable, "-c", script, str(plain)], check=True,
                          capture_output=True, text=True)
    assert "galsim-deep[tensorflow]" in done.stdout


def test_the_plugin_never_imports_the_workshop():
    for path in Path(galsim_deep.__file__).parent.glob("*.py"):
        assert "galsim_deep_training" not in path.read_text(), path


def test_tensorflow_is_imported_in_one_place():
    for path in Path(galsim_deep.__file__).parent.glob("*.py"):
        lines = [line.strip() for line in path.read_text().splitlines()]
        imports = [line for line in lines if line.startswith(("import tensorflow",
                                                              "from tensorflow"))]
        assert bool(imports) == (path.name == "engine.py"), path
