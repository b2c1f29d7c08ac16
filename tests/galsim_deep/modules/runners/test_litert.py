"""The compact graph: the same bits in any batch, order and process, without TensorFlow."""

import gzip
import pickle
import shutil
import signal
import subprocess
import sys

import flatbuffers
import galsim
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from galsim_deep.modules.runners import litert as module
from galsim_deep.modules.runners.litert import COMPACT_GRAPH_PATH, ROWS, LiteRTRunner, graph_name
from galsim_deep.modules.runners.tensorflow import TensorFlowRunner

MOST = ROWS[-1]


@pytest.fixture(scope="module")
def runner(tiny_folder):
    return LiteRTRunner(tiny_folder)


@pytest.fixture(scope="module")
def inputs(tiny):
    """The inputs of forty galaxies; every fifth lacks a column."""
    rng = np.random.default_rng(6)
    columns = {column.name: rng.uniform(*column.valid_range, 40).astype(np.float32)
               for column in tiny.card.columns}
    columns[tiny.columns[-1]][::5] = np.nan
    return dict(columns, random_normal=rng.standard_normal(
        (40, tiny.card.latent.size), np.float32))


@pytest.fixture(scope="module")
def images(runner, inputs):
    return runner.call("sample", inputs)["image"]


def cut(inputs, part):
    return {name: values[part] for name, values in inputs.items()}


def test_images(images):
    assert images.shape == (40, 32, 32, 1)
    assert images.dtype == np.float32 and np.isfinite(images).all() and (images >= 0).all()


def test_shapes(runner, tiny, shapes_folder):
    assert runner.signature_inputs("sample") == dict(
        dict.fromkeys(tiny.columns, (None,)), random_normal=(None, tiny.card.latent.size))
    assert runner.signature_outputs("sample") == dict(image=(None, 32, 32, 1))
    with_classes = LiteRTRunner(shapes_folder)
    assert with_classes.signature_inputs("sample")["galaxy_class"] == (None,)
    assert with_classes.signature_outputs("sample") == dict(
        image=(None, 32, 32, 1), galaxy_class=(None,))


@pytest.mark.parametrize("method", ["call", "signature_inputs", "signature_outputs"])
def test_other_signatures(runner, inputs, method):
    arguments = [inputs] if method == "call" else []
    with pytest.raises(galsim.GalSimValueError) as caught:
        getattr(runner, method)("decode", *arguments)
    assert caught.value.value == "decode"


@pytest.mark.parametrize("count", [1, 2, MOST - 1, MOST, MOST + 1, 2 * MOST + 3, 39])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bits_do_not_depend_on_the_others(runner, inputs, images, count, threads, monkeypatch):
    monkeypatch.setattr(module, "threads", lambda: threads)
    np.testing.assert_array_equal(
        runner.call("sample", cut(inputs, slice(count)))["image"], images[:count])


def test_bits_do_not_depend_on_the_order(runner, inputs, images):
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_array_equal(
        runner.call("sample", cut(inputs, order))["image"], images[order])


def test_no_rows(runner, inputs):
    assert runner.call("sample", cut(inputs, slice(0)))["image"].shape == (0, 32, 32, 1)


def test_all_outputs_in_one_call(shapes_folder):
    """Rows that are computed twice, since the last block reaches back, come out the same."""
    runner, count = LiteRTRunner(shapes_folder), MOST + 3
    rng = np.random.default_rng(2)
    outputs = runner.call("sample", dict(
        flux_radius=np.linspace(4, 12, count, dtype=np.float32),
        mag_auto=np.linspace(21, 25, count, dtype=np.float32),
        random_normal=rng.standard_normal((count, 3), np.float32),
        galaxy_class=np.arange(count, dtype=np.int32) % 3))
    assert outputs["galaxy_class"].dtype == np.int32
    assert outputs["galaxy_class"].tolist() == [row % 3 for row in range(count)]
    assert outputs["image"].shape == (count, 32, 32, 1)


def test_the_same_as_the_saved_model(tiny_folder, inputs, images):
    expected = TensorFlowRunner(tiny_folder).call("sample", inputs)["image"]
    peak = expected.max(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(images / peak, expected / peak, atol=1e-5)


def test_pickled(runner, inputs, images):
    twin = pickle.loads(pickle.dumps(runner))
    np.testing.assert_array_equal(
        twin.call("sample", cut(inputs, slice(3)))["image"], images[:3])


PROCESSES = '''
import hashlib, multiprocessing, os, sys
import galsim_deep, numpy as np

os.environ["GALSIM_DEEP_THREADS"] = "2"
model = galsim_deep.GenerativeGalaxyModel(sys.argv[1])
table = dict(flux_radius=np.linspace(4, 12, 20), mag_auto=np.linspace(21, 25, 20),
             zphot=np.linspace(0.2, 1.5, 20))

def bits(seed):
    images = model.images(table, seeds=range(seed, seed + 20))
    return hashlib.sha256(images.tobytes()).hexdigest()

if __name__ == "__main__":
    here = [bits(seed) for seed in (1, 2, 3)]  # with threads of its own, which no child inherits
    for method in ("fork", "spawn", "forkserver"):
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


@pytest.mark.long
@pytest.mark.skipif(not hasattr(module.os, "fork"), reason="there is no fork here")
def test_children_sample_after_their_parent_has(tiny_folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PROCESSES)
    done = subprocess.run([sys.executable, str(script), str(tiny_folder)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


INTERRUPTS = '''
import _thread, faulthandler, os, random, signal, sys, time
from pathlib import Path
import numpy as np
from galsim_deep.modules.runners.litert import LiteRTRunner

INTERRUPTS, ROWS = 300, 40
faulthandler.dump_traceback_later(300, exit=True)  # where the process waits for ever
os.environ["GALSIM_DEEP_THREADS"] = "3"
runner, rng = LiteRTRunner(Path(sys.argv[1])), np.random.default_rng(1)
inputs = dict(
    flux_radius=np.linspace(4, 12, ROWS, dtype=np.float32),
    mag_auto=np.linspace(21, 25, ROWS, dtype=np.float32),
    galaxy_class=np.full(ROWS, -1, np.int32),
    random_normal=rng.standard_normal((ROWS, 3), np.float32))

def sample():
    return runner.call("sample", inputs)["image"]

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
while _thread._count() > threads:  # none is left waiting for ever
    time.sleep(0.01)
child = os.fork()
if not child:
    os._exit(0 if np.array_equal(sample(), expected) else 1)
assert os.waitpid(child, 0)[1] == 0
'''


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
def test_interrupts_at_any_moment(shapes_folder, tmp_path, environment_without_coverage):
    """Do no harm to later calls, forked children, or the end of the process."""
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTS)
    done = subprocess.run([sys.executable, str(script), str(shapes_folder)], capture_output=True,
                          text=True, env=environment_without_coverage)
    assert done.returncode == 0, done.stderr


# ---- damaged graphs -------------------------------------------------------------------------


NO_GRAPH = gzip.compress(b"no graph" * 100)


@pytest.mark.parametrize("content", [
    b"", b"nothing", NO_GRAPH, NO_GRAPH[:-9], NO_GRAPH[:20] + b"damaged" * 5],
    ids=["empty", "not gzip", "not a graph", "cut off", "damaged"])
def test_a_graph_that_cannot_be_loaded(tiny_folder, inputs, tmp_path, content):
    folder = shutil.copytree(tiny_folder, tmp_path / "module")
    (folder / COMPACT_GRAPH_PATH).write_bytes(content)
    with pytest.raises(galsim.GalSimError) as caught:
        LiteRTRunner(folder).call("sample", inputs)
    assert str(folder / COMPACT_GRAPH_PATH) in str(caught.value)


def test_a_graph_that_is_missing(tmp_path, inputs):
    with pytest.raises(galsim.GalSimError, match=COMPACT_GRAPH_PATH):
        LiteRTRunner(tmp_path).call("sample", inputs)


def test_a_graph_that_unpacks_to_any_size(tiny_folder, inputs, monkeypatch):
    monkeypatch.setattr(module, "MAX_GRAPH_BYTES", 2**10)
    with pytest.raises(galsim.GalSimError, match="1024 bytes"):
        LiteRTRunner(tiny_folder).call("sample", inputs)


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
def test_a_damaged_graph(tiny_folder, tmp_path, damage):
    """The signatures for one row and for many are damaged in the file."""
    graph = schema.ModelT.InitFromPackedBuf(
        gzip.decompress((tiny_folder / COMPACT_GRAPH_PATH).read_bytes()), 0)
    graphs = {signature.signatureKey.decode(): signature for signature in graph.signatureDefs}
    damage(graphs[graph_name("sample", ROWS[0])], graphs[graph_name("sample", ROWS[-1])])
    builder = flatbuffers.Builder(2**20)
    builder.Finish(graph.Pack(builder), b"TFL3")
    path = tmp_path / COMPACT_GRAPH_PATH
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(bytes(builder.Output()), 1))
    runner = LiteRTRunner(tmp_path)
    with pytest.raises(galsim.GalSimError, match="damaged") as caught:
        runner.signature_inputs("sample")
        runner.signature_outputs("sample")
    assert str(path) in str(caught.value)
