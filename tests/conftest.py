"""What all tests share: the reference data, small modules, loaded models, and an HTTP server."""

import ast
import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import galsim
import numpy as np
import pytest
from filelock import FileLock

import galsim_deep
from galsim_deep.modules.card import CARD_PATH
from galsim_deep.modules.runners.litert import COMPACT_GRAPH_PATH
from galsim_deep.observations.collection import CollectedGalaxy

REFERENCE_DATA = Path(os.environ.get(
    "GALSIM_DEEP_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

LONG_FIXTURES = {"shapes_validation"}
"""Fixtures that take so long that each test which uses one is a long one."""


def pytest_collection_modifyitems(items):
    """Long tests start first, so that no process is left alone with one at the end.

    Of the files that need the fit of the tiny recipe, one comes first and the others last, so that
    no process waits for the one that fits.
    """
    for item in items:
        if LONG_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.long)
    need_the_fit = list(dict.fromkeys(
        item.path for item in items if "command" in item.fixturenames))

    def order(item):
        is_first, is_later = item.path in need_the_fit[:1], item.path in need_the_fit[1:]
        return item.get_closest_marker("long") is None, is_later - is_first

    items.sort(key=order)


@pytest.fixture
def environment_without_coverage():
    """Environment of a process in which coverage is not measured, since that writes files of its
    own and must not be interrupted."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


@pytest.fixture(scope="session")
def reference_data():
    """The folder of real galaxies, which are not part of the project."""
    if not REFERENCE_DATA.is_dir():
        pytest.skip(f"the reference data are not at {REFERENCE_DATA}")
    return REFERENCE_DATA


@pytest.fixture(scope="session")
def collected():
    """``collected(name, **changes)``: a galaxy for a collection, an exponential disc."""
    def make(name, **changes):
        return CollectedGalaxy(**(collected_values(name) | changes))

    return make


def collected_values(name):
    """What a `CollectedGalaxy` of this name is made from."""
    psf = galsim.Gaussian(fwhm=0.1).drawImage(nx=9, ny=9, scale=0.03, dtype=float).array
    galaxy = galsim.Exponential(half_light_radius=0.12, flux=100.0).shear(
        q=0.6, beta=0 * galsim.degrees)
    image = galsim.Convolve(galaxy, galsim.Gaussian(fwhm=0.1)).drawImage(
        nx=24, ny=24, scale=0.03, method="no_pixel", dtype=float).array
    correlation = np.zeros((7, 7))
    correlation[3, 2:5] = 0.25, 1.0, 0.25
    return dict(
        image=image, usable=np.ones((24, 24), bool), psf=psf / psf.sum(), psf_scale=0.03,
        noise_correlation=correlation, name=name, survey="made", band="F814W", group=0,
        held_out=False, judge_only=False, pixel_scale=0.03, noise_sigma=0.02, photon_variance=0.0,
        zero_point=26.0, cut=False, x=11.5, y=11.5, radius_used=11.0, ellipse_axis_ratio=0.6,
        ellipse_angle=0.0, magnitude=21.0, redshift=0.5, half_light_radius=0.12, flux_radius=0.14,
        lost_light=0.0, sersic_n=1.0, axis_ratio=0.6, position_angle=0.0, signal_to_noise=100.0,
        wavelength=804.0, rest_wavelength=536.0, ra=np.nan, dec=np.nan,
        original_pixel_scale=0.03, original_redshift=0.5, visual_class="", p_bar=np.nan,
        pitch_angle=np.nan, notes="", noise_inside=0.02)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """``with shared(name) as folder``: one folder for all processes of a test run.

    Only one process at a time is inside of the ``with``.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    @contextlib.contextmanager
    def hold(name):
        with FileLock(root / f"{name}.lock", timeout=1200):
            folder = root / name
            folder.mkdir(exist_ok=True)
            yield folder

    return hold


@pytest.fixture(scope="session")
def imported_names():
    """``imported_names(path, root)``: what a Python file below a folder imports, by full names."""

    def names(path, root):
        parts = path.relative_to(root).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                start = ".".join(parts[:len(parts) - node.level]) if node.level else ""
                module = ".".join(filter(None, (start, node.module)))
                yield from (f"{module}.{alias.name}" for alias in node.names)

    return names


# ---- modules --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def small_modules(shared):
    """A folder with small modules: shapes, tiny, scaled, fitting.  Tests must not change them."""
    with shared("small_modules") as folder:
        complete = folder / "complete"
        if not complete.exists():
            script = Path(__file__).with_name("module_with_classes.py")
            # -P: Python would take the folder galsim_deep beside the script for the package.
            done = subprocess.run([sys.executable, "-P", str(script), str(folder / "shapes"),
                                   str(folder / "tiny"), str(folder / "scaled"),
                                   str(folder / "fitting")],
                                  capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            complete.touch()
    return folder


@pytest.fixture(scope="session")
def tiny_folder(small_modules):
    """The folder of a small module with the columns of the shipped ones, and without classes."""
    return small_modules / "tiny"


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """The model of the small module without classes."""
    return galsim_deep.GenerativeGalaxyModel(tiny_folder)


@pytest.fixture(scope="session")
def shapes_folder(small_modules):
    """The folder of a small module with classes: disc, bulge and ring."""
    return small_modules / "shapes"


@pytest.fixture(scope="session")
def shapes(shapes_folder):
    """The model of the small module with classes."""
    return galsim_deep.GenerativeGalaxyModel(shapes_folder)


@pytest.fixture(scope="session")
def scaled_folder(small_modules):
    """The folder of a small module that gives each galaxy a pixel scale of its own.

    The scale [arcsec] is a hundredth of the column ``flux_radius``.
    """
    return small_modules / "scaled"


@pytest.fixture(scope="session")
def scaled(scaled_folder):
    """The model of the small module with a pixel scale for each galaxy."""
    return galsim_deep.GenerativeGalaxyModel(scaled_folder)


@pytest.fixture(scope="session")
def fitting_folder(small_modules):
    """The folder of a small module of elliptical Gaussians, on stamps that fit them.

    Their standard deviation is ``flux_radius``; stamps of 16, 32 or 64 pixels hold 3.5 of these.
    The axis ratio is the column of this name, which tables may lack: one half.
    """
    return small_modules / "fitting"


@pytest.fixture(scope="session")
def fitting(fitting_folder):
    """The model of the small module that draws on stamps of several sizes."""
    return galsim_deep.GenerativeGalaxyModel(fitting_folder)


@pytest.fixture(scope="session")
def model():
    """The model of a shipped module."""
    return galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")


@pytest.fixture(scope="session")
def edit_card():
    """``edit_card(folder, name=value, ...)``: change a card by hand, and leave out what is None."""

    def edit(folder, **changes):
        path = folder / CARD_PATH
        content = json.loads(path.read_text()) | changes
        path.write_text(json.dumps(
            {name: value for name, value in content.items() if value is not None}))
        return folder

    return edit


@pytest.fixture(scope="session")
def without_compact_graph(edit_card):
    """``without_compact_graph(folder, path)``: copy a module without its compact graph."""

    def copy(folder, path):
        shutil.copytree(folder, path)
        (path / COMPACT_GRAPH_PATH).unlink()
        files = json.loads((path / CARD_PATH).read_text())["files"]
        del files[COMPACT_GRAPH_PATH]
        return edit_card(path, files=files)

    return copy


@pytest.fixture(scope="session")
def demanding(tiny_folder, edit_card, tmp_path_factory):
    """The folder of a copy of the small module that requires all of its columns."""
    folder = shutil.copytree(tiny_folder, tmp_path_factory.mktemp("demanding") / "module")
    columns = json.loads((folder / CARD_PATH).read_text())["columns"]
    return edit_card(folder, columns=[dict(column, optional=False) for column in columns])


@pytest.fixture(scope="session")
def plain(tiny_folder, without_compact_graph, tmp_path_factory):
    """The folder of a copy of the small module without a compact graph."""
    return without_compact_graph(tiny_folder, tmp_path_factory.mktemp("plain") / "module")


@pytest.fixture
def table():
    """A catalogue of seven galaxies, all in range."""
    return dict(flux_radius=np.linspace(4.0, 12.0, 7), mag_auto=np.linspace(21.0, 25.0, 7),
                zphot=np.linspace(0.2, 1.5, 7))


# ---- downloads ------------------------------------------------------------------------------


class Server:
    """Serves the bytes in ``files``, and keeps the paths of all requests.

    ``missing`` bytes are announced and not sent; where ``unannounced``, no size is announced; where
    ``silent``, no request is answered.
    """

    def __init__(self):
        self.files, self.requests, self.headers = {}, [], []
        self.missing, self.unannounced, self.silent = 0, False, False
        self._ends = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):
                self.requests.append(handler.path)
                self.headers.append(handler.headers)
                if self.silent:
                    self._ends.wait()
                    return
                body = self.files.get(handler.path)
                if body is None:
                    handler.send_error(404)
                    return
                handler.send_response(200)
                if not self.unannounced:
                    handler.send_header("Content-Length", str(len(body) + self.missing))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def put(self, path, data):
        """Serve some bytes, and return their URL."""
        self.files[path] = data
        return self.address + path

    def stop(self):
        self._ends.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server():
    """A `Server` at an address of this machine."""
    server = Server()
    yield server
    server.stop()
