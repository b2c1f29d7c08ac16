"""Configurations for the tests of the config types, and how to run them."""

import subprocess
import sys
import textwrap

import pytest
import yaml


@pytest.fixture(scope="session")
def make_config(tiny_folder):
    """``make_config(gal, count, module, **top)``: a configuration of ``count`` objects.

    ``gal`` are fields of the galaxy; those that are None are left out.  The module is the small one
    without classes, unless another folder or handle is given.
    """

    def make(gal=None, count=4, module=tiny_folder, **top):
        fields = dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5) | (gal or {})
        return dict(
            modules=["galsim_deep"],
            input=dict(generative_model=dict(file_name=str(module))),
            gal=dict(type="GenerativeModelGalaxy",
                     **{name: value for name, value in fields.items() if value is not None}),
            psf=dict(type="Gaussian", sigma=0.06),
            image=dict(type="Tiled", nx_tiles=count, ny_tiles=1, stamp_size=48, pixel_scale=0.03,
                       random_seed=1234),
            **top)

    return make


@pytest.fixture(scope="session")
def make_config_with_classes(make_config, shapes_folder):
    """The same for the small module with classes, with ids from 40 on."""

    def make(gal=None, **top):
        gal = dict(id=dict(type="Sequence", first=40), zphot=None) | (gal or {})
        return make_config(gal, module=shapes_folder, **top)

    return make


@pytest.fixture(scope="session")
def make_files(make_config):
    """``make_files(folder, base=None)``: a configuration (or this one) of two files with noise.

    It uses a shipped module, so that the bits are those of a real network.
    """

    def make(folder, base=None):
        base = base or make_config(
            dict(flux_radius=None, hlr=0.2), count=6, module="hub:acs_flow_vae")
        base["image"]["noise"] = dict(type="Gaussian", sigma=0.001)
        name = dict(type="NumberedFile", root="image", num=dict(type="Sequence", last=1),
                    ext=".fits")
        base["output"] = dict(file_name=name, dir=str(folder), nfiles=2)
        return base

    return make


@pytest.fixture(scope="session")
def read_files():
    """``read_files(folder)``: the bytes of the images that a configuration wrote there."""
    return lambda folder: [
        path.read_bytes()[2880:] for path in sorted(folder.glob("image*.fits"))]


@pytest.fixture(scope="session")
def run_galsim():
    """``run_galsim(folder, configuration)``: run the command ``galsim`` in a fresh process."""

    def run(folder, configuration, *arguments):
        path = folder / "config.yaml"
        path.write_text(textwrap.dedent(configuration) if isinstance(configuration, str)
                        else yaml.safe_dump(configuration))
        done = subprocess.run([sys.executable, "-m", "galsim", str(path), *arguments], cwd=folder,
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run
