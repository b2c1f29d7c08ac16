"""The compact graph: the same bits however it is asked, in every process, without TensorFlow."""

import gzip
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading

import flatbuffers
import galsim
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from galsim_deep import sampler as module
from galsim_deep.sampler import COMPACT_PATH, ROWS, Sampler, run_in_threads, signature_of

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


INTERRUPTS = '''
import _thread, faulthandler, os, random, signal, sys, time
from pathlib import Path
import numpy as np
from galsim_deep.sampler import Sampler

INTERRUPTS, ROWS = 1000, 40
faulthandler.dump_traceback_later(100, exit=True)  # where the process waits for ever
os.environ["GALSIM_DEEP_THREADS"] = "3"
sampler, rng = Sampler(Path(sys.argv[1])), np.random.default_rng(1)
inputs = dict(
    flux_radius=np.linspace(4, 12, ROWS, dtype=np.float32), cluster=np.full(ROWS, -1, np.int32),
    mag_auto=np.linspace(21, 25, ROWS, dtype=np.float32),
    random_normal=rng.standard_normal((ROWS, 3), np.float32))

def sample():
    return sampler.sample(inputs)

class Interrupt(BaseException):
    pass

def interrupt(number, frame):
    while frame is not None:
        if frame.f_code is sample.__code__:
            raise Interrupt
        frame = frame.f_back

expected = sample()
threads = _thread._count()
signal.signal(signal.SIGALRM, interrupt)
interrupts, rng = 0, random.Random(1)
while interrupts < INTERRUPTS:
    try:
        # A short interval interrupts a call again while it ends.
        first, interval = rng.uniform(1e-4, 5e-3), rng.choice([1e-4, 1e-3, 1e-2])
        signal.setitimer(signal.ITIMER_REAL, first, interval)
        while True:
            sample()
    except (Interrupt, RuntimeError):  # a lock that is not locked, where one was interrupted
        signal.setitimer(signal.ITIMER_REAL, 0)
        interrupts += 1
np.testing.assert_array_equal(sample(), expected)
time.sleep(1)
assert _thread._count() <= threads, (_thread._count(), threads)
child = os.fork()
if not child:
    os._exit(0 if np.array_equal(sample(), expected) else 1)
assert os.waitpid(child, 0)[1] == 0
'''


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
def test_interrupts_at_any_moment_do_no_harm(shapes_folder, tmp_path):
    """Neither to later calls, nor to forked children, nor to the end of the process."""
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTS)
    done = subprocess.run([sys.executable, str(script), str(shapes_folder)], capture_output=True,
                          text=True, timeout=200)
    assert done.returncode == 0, done.stderr


def test_an_error_in_a_thread_reaches_the_caller():
    """And ends the call: what has not begun is left out."""
    begun, together = [], threading.Barrier(3, timeout=60)

    def fail_in_other_threads(item):
        begun.append(item)
        together.wait()
        if threading.get_ident() != caller:
            raise ValueError(f"item {item}")

    caller = threading.get_ident()
    with pytest.raises(ValueError, match="item [012]"):
        run_in_threads(fail_in_other_threads, range(3), 3)
    assert sorted(begun) == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_each_item_is_done_once(count):
    done = []
    run_in_threads(done.append, range(1000), count)
    assert sorted(done) == list(range(1000))


@pytest.mark.parametrize("content", [
    b"", b"nothing", gzip.compress(b"no graph" * 100), gzip.compress(b"no graph" * 100)[:-9],
    gzip.compress(b"no graph" * 100)[:20] + b"damaged" * 5])
def test_a_graph_that_cannot_be_loaded(folder, inputs, tmp_path, content):
    shutil.copytree(folder, tmp_path / "module")
    (tmp_path / "module" / COMPACT_PATH).write_bytes(content)
    with pytest.raises(galsim.GalSimError, match="cannot be loaded.*Get the module again"):
        Sampler(tmp_path / "module").sample(inputs)


def test_a_graph_that_unpacks_to_any_size(folder, inputs, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "module")
    monkeypatch.setattr(module, "MAX_GRAPH_BYTES", 2**20)
    with pytest.raises(galsim.GalSimError, match="more than 1048576 bytes. Get the module again"):
        Sampler(tmp_path / "module").sample(inputs)


def damaged_sampler(folder, path, damage):
    """The sampler of a copy of a module, with ``damage(graph of one row, of many)`` done to it."""
    graph = schema.ModelT.InitFromPackedBuf(
        gzip.decompress((folder / COMPACT_PATH).read_bytes()), 0)
    graphs = {signature.signatureKey.decode(): signature for signature in graph.signatureDefs}
    damage(graphs[signature_of(ROWS[0])], graphs[signature_of(ROWS[-1])])
    builder = flatbuffers.Builder(2**20)
    builder.Finish(graph.Pack(builder), b"TFL3")
    (path / COMPACT_PATH).parent.mkdir(parents=True)
    (path / COMPACT_PATH).write_bytes(gzip.compress(bytes(builder.Output()), 1))
    return Sampler(path)


def without_such_an_input(one, many):
    one.inputs[0].tensorIndex = 10**6


def without_such_an_output(one, many):
    one.outputs[0].tensorIndex = 10**6


def with_another_output_for_many_rows(one, many):
    many.outputs[0].name = b"picture"


def with_another_shape_for_one_row(one, many):
    one.outputs[0].tensorIndex = one.inputs[0].tensorIndex


@pytest.mark.parametrize("damage", [
    without_such_an_input, without_such_an_output, with_another_output_for_many_rows,
    with_another_shape_for_one_row])
def test_a_damaged_graph(folder, tmp_path, damage):
    sampler = damaged_sampler(folder, tmp_path / "module", damage)
    with pytest.raises(galsim.GalSimError, match="damaged.*Get the module again"):
        sampler.sample_inputs(), sampler.sample_outputs()


def test_inputs_that_do_not_fit(sampler, inputs):
    with pytest.raises(galsim.GalSimError, match="cannot be run"):
        sampler.sample(dict(cut(inputs, slice(2)), colour=np.ones(2, np.float32)))
