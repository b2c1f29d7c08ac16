"""The compact graph: the same bits however it is asked, in every process, without TensorFlow."""

import gzip
import pickle
import shutil
import subprocess
import sys
import textwrap

import galsim
import numpy as np
import pytest

from galsim_deep import sampler as module
from galsim_deep.sampler import COMPACT_PATH, ROWS, Sampler

MOST = ROWS[-1]


@pytest.fixture(scope="module")
def folder(model):
    return model._module.folder


@pytest.fixture(scope="module")
def sampler(folder):
    return Sampler(folder)


@pytest.fixture(scope="module")
def inputs(model):
    """Of forty galaxies; every fifth lacks a column."""
    rng = np.random.default_rng(6)
    found = {column.name: rng.uniform(*column.valid_range, 40).astype(np.float32)
             for column in model.card.columns}
    found[model.columns[-1]][::5] = np.nan
    return dict(found, random_normal=rng.standard_normal(
        (40, model.card.latent.size), np.float32))


@pytest.fixture(scope="module")
def images(sampler, inputs):
    return sampler.sample(inputs)


def cut(inputs, part):
    return {name: values[part] for name, values in inputs.items()}


def test_images(images, model):
    assert images.shape == (40, model.stamp_size, model.stamp_size)
    assert images.dtype == np.float32 and np.isfinite(images).all() and (images >= 0).all()


def test_inputs(sampler, model):
    wanted = {name: (None,) for name in model.columns}
    assert sampler.sample_inputs() == dict(wanted, random_normal=(None, model.card.latent.size))


@pytest.mark.parametrize("count", [1, 2, MOST - 1, MOST, MOST + 1, 2 * MOST + 3, 39])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bits_do_not_depend_on_the_others(sampler, inputs, images, count, threads, monkeypatch):
    monkeypatch.setattr(module, "threads", lambda: threads)
    np.testing.assert_array_equal(sampler.sample(cut(inputs, slice(count))), images[:count])


def test_bits_do_not_depend_on_the_order(sampler, inputs, images):
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_array_equal(sampler.sample(cut(inputs, order)), images[order])


def test_the_same_as_the_saved_model(model, inputs, images):
    expected = model._module.engine.sample(inputs)
    peak = expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(images / peak, expected / peak, atol=1e-5)


def test_pickled(sampler, inputs, images):
    again = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(again.sample(cut(inputs, slice(3))), images[:3])


PROCESSES = '''
import hashlib, multiprocessing, os, sys
import galsim_deep, numpy as np

os.environ["GALSIM_DEEP_THREADS"] = "2"
model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
table = dict(flux_radius=np.linspace(4, 12, 20), mag_auto=np.linspace(21, 25, 20),
             zphot=np.linspace(0.2, 1.5, 20))

def bits(seed):
    images = model.images(table, seeds=range(seed, seed + 20))
    return hashlib.sha256(images.tobytes()).hexdigest()

if __name__ == "__main__":
    here = [bits(seed) for seed in (1, 2, 3)]  # with threads of its own, which no child inherits
    for method in sys.argv[1:]:
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(bits, [1, 2, 3]) == here, method
    from distributed import Client, LocalCluster
    with (LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster,
          Client(cluster) as client):
        assert client.gather(client.map(bits, [1, 2, 3])) == here, "Dask"
    child = os.fork()
    if not child:
        os._exit(0 if bits(2) == here[1] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert bits(1) == here[0]
    assert "tensorflow" not in sys.modules
'''


@pytest.mark.skipif(not hasattr(module.os, "fork"), reason="there is no fork here")
def test_children_sample_after_their_parent_has(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(PROCESSES))
    done = subprocess.run([sys.executable, str(script), "fork", "spawn", "forkserver"],
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("content", [b"", b"nothing", gzip.compress(b"no graph" * 100)])
def test_a_graph_that_cannot_be_loaded(folder, inputs, tmp_path, content):
    shutil.copytree(folder, tmp_path / "module")
    (tmp_path / "module" / COMPACT_PATH).write_bytes(content)
    with pytest.raises(galsim.GalSimError, match="cannot be loaded.*Get the module again"):
        Sampler(tmp_path / "module").sample(inputs)


def test_inputs_that_do_not_fit(sampler, inputs):
    with pytest.raises(galsim.GalSimError, match="cannot be run"):
        sampler.sample(dict(cut(inputs, slice(2)), colour=np.ones(2, np.float32)))
