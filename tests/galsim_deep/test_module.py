"""Modules on disk, for every module that is shipped: whole, equal to their networks, loadable."""

import json
import os
import pickle
import shutil

import galsim
import numpy as np
import pytest

import galsim_deep
from galsim_deep import handles
from galsim_deep.card import CARD_PATH, read_card, write_card
from galsim_deep.engine import gpu_here
from galsim_deep.module import GPU_ROWS, PROBE_PATH, Module
from galsim_deep.sampler import COMPACT_PATH

SHIPPED = sorted(name for name, folder in handles.available(offline=True).items() if folder)
ROWS = 12


@pytest.fixture(scope="module", params=SHIPPED)
def module(request):
    return Module(handles.resolve(f"hub:{request.param}"))


def inputs(module, count, level="0.5"):
    """Typical columns; at the level "0.05" bright galaxies, large ones among them."""
    rng = np.random.default_rng(1)
    other = {"0.5": "0.5", "0.05": "0.75"}[level]
    columns = {column.name: np.full(
        count, column.quantiles[level if column.unit == "mag" else other], np.float32)
        for column in module.card.columns}
    latent = module.card.latent
    return dict(columns, **{latent.name: rng.standard_normal((count, latent.size), np.float32)})


def test_graph_equals_the_network_it_was_exported_from(module):
    found = module.probe()
    compact = {f"compact {name}" for name in {"sample", "cluster"} & {*module.card.signatures}}
    assert "sample" in found and set(found) == {*module.card.signatures, *compact}
    for signature, difference in found.items():
        # Steps uphill carry on what was rounded.
        assert difference < (1e-2 if signature == "encode" else 1e-5)


def test_loads_with_tensorflow_hub(module):
    hub = pytest.importorskip("tensorflow_hub")
    sample = hub.load(str(module.folder)).signatures["sample"]
    rows = inputs(module, 3)
    image = sample(**rows)["image"].numpy()
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, module.engine.call("sample", **rows)["image"],
                               atol=1e-6 * image.max())


def test_shape_and_determinism(module):
    rows = inputs(module, 5)
    size = module.card.stamp_size
    image = module.engine.call("sample", **rows)["image"]
    assert image.shape == (5, size, size)
    np.testing.assert_array_equal(image, module.engine.call("sample", **rows)["image"])


def test_serving_default_is_sample(module):
    rows = inputs(module, 2)
    np.testing.assert_array_equal(module.engine.call("serving_default", **rows)["image"],
                                  module.engine.call("sample", **rows)["image"])


def test_declared_signatures_exist(module):
    for name in module.card.signatures:
        assert module.engine.signature_inputs(name)


def test_unknown_signature(module):
    with pytest.raises(galsim.GalSimValueError, match="sample"):
        module.engine.call("paint", x=np.zeros(1))


def test_below_ten_megabytes(module):
    assert sum(path.stat().st_size for path in module.folder.rglob("*")) < 10e6


def blurred(stamps):
    return np.stack([
        galsim.Convolve(galsim.InterpolatedImage(galsim.Image(stamp, scale=1.0)),
                        galsim.Gaussian(sigma=1.5)).drawImage(
            nx=len(stamp), ny=len(stamp), scale=1.0, method="no_pixel").array
        for stamp in stamps])


def test_encode_and_decode_meet(module):
    """A generated galaxy, observed, is found again: better than another galaxy of the column."""
    if not {"encode", "decode"} <= set(module.card.signatures):
        pytest.skip(f"{module.card.name} has no encoder")
    rows = inputs(module, 4, level="0.05")
    columns = {column.name: rows[column.name] for column in module.card.columns}
    image = module.engine.call("sample", **rows)["image"]
    size = module.engine.signature_inputs("encode")["psf"][1]
    axis = np.arange(size) - size // 2
    psf = np.exp(-0.5 * (axis[:, None]**2 + axis**2) / 1.5**2).astype(np.float32)
    psf = np.repeat((psf / psf.sum())[None], 4, axis=0)
    observed = blurred(image)
    found = module.engine.call("encode", image=observed, psf=psf,
                               noise_sigma=np.full(4, 2.6e-3, np.float32), **columns)
    assert (found["scale"] > 0).all()
    if module.card.clusters:
        columns["cluster"] = found["log_membership"].argmax(axis=-1).astype(np.int32)
    again = module.engine.call("decode", latent=found["mean"], **columns)["image"]
    # As observed: what the PSF hides, the encoder cannot know.
    error = np.square(blurred(again) - observed).sum(axis=(1, 2))
    other = np.square(np.roll(observed, 1, axis=0) - observed).sum(axis=(1, 2))
    assert error.sum() < 0.5 * other.sum()


@pytest.fixture(scope="module")
def shipped(module):
    """The model of the module."""
    return galsim_deep.GenerativeGalaxyModel(module.folder)


@pytest.fixture(scope="module")
def spread(shipped):
    """Rows over the middle of the training sample."""
    return {column.name: np.linspace(column.quantiles["0.05"], column.quantiles["0.95"], ROWS)
            for column in shipped.card.columns}


def classes(shipped):
    """The natural mix, and each class."""
    return [None, *range(len(shipped.clusters))]


def test_some_are_shipped():
    assert {"acs_flow_vae", "acs_mpcc", "first_mpcc"} <= set(SHIPPED)


def test_images(shipped, spread):
    """Light is positive and falls to zero at the edge; all is finite."""
    for cluster in classes(shipped):
        images = shipped.images(spread, seeds=np.arange(ROWS), cluster=cluster)
        assert np.isfinite(images).all() and (images >= 0).all()
        rim = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
        assert rim.max() < 1e-3 * images.max()


def test_the_same_seed_is_the_same_image_alone_and_in_a_batch(shipped, spread):
    for cluster in classes(shipped):
        images = shipped.images(spread, seeds=np.arange(ROWS), cluster=cluster)
        again = shipped.images(spread, seeds=np.arange(ROWS), cluster=cluster)
        np.testing.assert_array_equal(again, images)
        row = {name: values[7:8] for name, values in spread.items()}
        alone = shipped.images(row, seeds=[7], cluster=cluster)
        np.testing.assert_allclose(alone[0], images[7], atol=1e-6 * images[7].max())


def test_classes_have_names_and_look_different(shipped, spread):
    if not shipped.clusters:
        pytest.skip("the module has no classes")
    assert all(one.description for one in shipped.card.clusters)
    images = [shipped.images(spread, seeds=np.arange(ROWS), cluster=name)
              for name in shipped.clusters]
    for number, one in enumerate(images):
        for other in images[:number]:
            assert np.abs(one - other).sum() > 0.05 * one.sum()
    many = {name: np.tile(values, 50) for name, values in spread.items()}
    drawn = shipped.draw_clusters(many, seeds=np.arange(50 * ROWS))
    shares = np.bincount(drawn, minlength=len(shipped.clusters)) / len(drawn)
    assert (shares > 0.2 * np.array([one.share for one in shipped.card.clusters])).all()


@pytest.mark.parametrize("changes, word", [
    (dict(latent=dict(name="random_normal", size=7)), "sample takes"),
    (dict(latent=dict(name="noise", size=32)), "sample takes"),
    (dict(stamp_size=64), "it gives .*'image'.*, the card says .*64, 64"),
])
def test_a_card_that_does_not_fit_the_graph(module, tmp_path, changes, word):
    folder = shutil.copytree(module.folder, tmp_path / "module")
    path = folder / CARD_PATH
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    damaged = Module(folder)
    columns = {column.name: np.ones(1, np.float32) for column in damaged.card.columns}
    with pytest.raises(galsim.GalSimError, match=word):
        damaged.check(1)
    with pytest.raises(galsim.GalSimError, match=word):
        damaged.sample(columns, np.zeros((1, damaged.card.latent.size), np.float32))


def test_a_graph_that_cannot_be_loaded(module, tmp_path):
    folder = shutil.copytree(module.folder, tmp_path / "module")
    whole = Module(folder)
    shutil.rmtree(folder / "variables")
    with pytest.raises(galsim.GalSimError, match="cannot load"):
        whole.probe()


@pytest.mark.parametrize("damage, word", [
    (lambda f: (f / "variables" / "variables.index").unlink(), "variables.index is missing"),
    (lambda f: (f / "README.md").write_text("other"), "README.md has changed"),
])
def test_damage_is_seen(module, tmp_path, damage, word):
    folder = shutil.copytree(module.folder, tmp_path / "module")
    Module(folder)
    damage(folder)
    with pytest.raises(galsim.GalSimError, match=word):
        Module(folder)


def test_files_that_the_card_does_not_list_are_not_read(model, tmp_path):
    """Which would take hours here."""
    folder = shutil.copytree(model._module.folder, tmp_path / "module")
    (folder / "extra").touch()
    os.truncate(folder / "extra", 2**40)
    Module(folder)


def test_files_of_absurd_sizes_are_not_read(model, tmp_path):
    folder = shutil.copytree(model._module.folder, tmp_path / "module")
    os.truncate(folder / "saved_model.pb", 2**40)
    with pytest.raises(galsim.GalSimError, match=r"\d{13} bytes, and a module has.*module again"):
        Module(folder)


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("changes", [
    dict(stamp_size=64), dict(latent=dict(name="random_normal", size=2**20))])
def test_nothing_is_drawn_for_a_card_that_does_not_fit(shapes_folder, tmp_path, compact, changes):
    folder = plain_copy(shapes_folder, tmp_path / "module").folder if not compact else (
        shutil.copytree(shapes_folder, tmp_path / "module"))
    card = json.loads((folder / CARD_PATH).read_text())
    (folder / CARD_PATH).write_text(json.dumps(card | changes))
    damaged = galsim_deep.GenerativeGalaxyModel(folder)
    rng, table = galsim.BaseDeviate(8), dict(flux_radius=np.full(100, 5.0), mag_auto=22.0)
    for draw in (damaged.images, damaged.sample, damaged.draw_clusters):
        with pytest.raises(galsim.GalSimError, match="does not agree with its card"):
            draw(table, rng)
    assert rng == galsim.BaseDeviate(8)


def test_large_batches_go_to_a_gpu(model, monkeypatch):
    """By TensorFlow, which here computes on the CPU what it would there; small ones do not."""
    module, asked = Module(model._module.folder), []
    monkeypatch.setattr("galsim_deep.module.gpu_here", lambda: True)
    sample = module.engine.sample
    monkeypatch.setattr(module.engine, "sample",
                        lambda inputs: asked.append(len(inputs["zphot"])) or sample(inputs))
    rng, count = np.random.default_rng(3), GPU_ROWS
    columns = {column.name: rng.uniform(
        column.quantiles["0.25"], column.quantiles["0.75"], count).astype(np.float32)
        for column in module.card.columns}
    normal = rng.standard_normal((count, module.card.latent.size)).astype(np.float32)
    large = module.sample(columns, normal)
    assert asked == [1, count]  # one row to check it against the card
    small = module.sample({name: values[:-1] for name, values in columns.items()}, normal[:-1])
    assert asked == [1, count]
    peak = small.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(large[:-1] / peak, small / peak, atol=2e-5)


@pytest.mark.parametrize("visible", ["", "-1"])
def test_no_gpu_where_none_is_to_be_seen(monkeypatch, visible):
    """Nor is TensorFlow imported to ask."""
    monkeypatch.setattr("galsim_deep.engine._DRIVERS", (__file__,))
    monkeypatch.setattr("galsim_deep.engine._tensorflow_has_gpu", lambda _: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_here()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert not gpu_here()


# ---- modules with classes -------------------------------------------------------------------


def shapes_inputs(count=13):
    rng = np.random.default_rng(4)
    columns = dict(flux_radius=rng.uniform(4, 12, count).astype(np.float32),
                   mag_auto=rng.uniform(21, 25, count).astype(np.float32))
    return columns, rng.standard_normal((count, 3), np.float32)


def test_probe_of_a_module_with_classes(shapes_folder):
    found = Module(shapes_folder).probe()
    assert set(found) == {"sample", "cluster", "decode", "prior", "encode", "compact sample",
                          "compact cluster"}
    assert max(found.values()) < 1e-5


def test_no_class_asked_for_is_the_natural_mix(shapes_folder):
    module, (columns, normal) = Module(shapes_folder), shapes_inputs()
    anything = np.full(13, -1, np.int32)
    images = module.sample(columns, normal)
    np.testing.assert_array_equal(module.sample(columns, normal, anything), images)
    rows = dict(columns, random_normal=normal)
    natural = module.engine.call("sample", **rows)["image"]
    for found in (images, module.engine.call("cluster", **rows, cluster=anything)["image"]):
        np.testing.assert_allclose(found, natural, atol=1e-5 * natural.max())


def plain_copy(folder, path):
    """A copy of a module without its compact graph."""
    copy = shutil.copytree(folder, path)
    (copy / COMPACT_PATH).unlink()
    card = json.loads((copy / CARD_PATH).read_text())
    del card["files"][COMPACT_PATH]
    (copy / CARD_PATH).write_text(json.dumps(card))
    return Module(copy)


def test_classes_without_a_compact_graph(shapes_folder, tmp_path):
    plain, columns, normal = plain_copy(shapes_folder, tmp_path / "module"), *shapes_inputs()
    assert plain.sampler is None
    asked = np.resize(np.int32([0, 1, 2, -1]), 13)
    expected = Module(shapes_folder).sample(columns, normal, asked)
    for runner in (plain, pickle.loads(pickle.dumps(plain))):
        np.testing.assert_allclose(runner.sample(columns, normal, asked), expected,
                                   atol=1e-5 * expected.max())


@pytest.mark.parametrize("compact", [True, False])
def test_classes_that_were_drawn(shapes_folder, tmp_path, compact):
    """They make the images that the natural mix has; what was asked for is what is given."""
    module, (columns, normal) = Module(shapes_folder), shapes_inputs(40)
    if not compact:
        module = plain_copy(shapes_folder, tmp_path / "module")
    drawn = module.draw_clusters(columns, normal)
    assert drawn.dtype == np.int32 and drawn.shape == (40,) and set(drawn) == {0, 1, 2}
    np.testing.assert_array_equal(module.sample(columns, normal, drawn),
                                  module.sample(columns, normal))
    asked = np.resize(np.int32([2, -1]), 40)
    found = module.draw_clusters(columns, normal, asked)
    np.testing.assert_array_equal(found, np.where(asked < 0, drawn, asked))
    for row in range(0, 40, 7):  # alone as among others
        part = {name: values[row:row + 1] for name, values in columns.items()}
        assert module.draw_clusters(part, normal[row:row + 1]) == drawn[row]


def rewritten_probe(folder, path, change):
    """A copy of a module whose probe was changed, by ``change(content)``."""
    copy = shutil.copytree(folder, path)
    with np.load(copy / PROBE_PATH) as probe:
        content = dict(probe)
    change(content)
    np.savez(copy / PROBE_PATH, **content)
    write_card(copy, read_card(copy).model_dump(exclude={"files"}))
    return Module(copy)


def test_a_probe_of_other_classes(shapes_folder, tmp_path):
    """Whole numbers count as they are, also where all of them are zero."""
    def change(content):
        content["cluster/outputs/cluster"][:] = 0

    found = rewritten_probe(shapes_folder, tmp_path / "module", change).probe()
    assert found["cluster"] == found["compact cluster"] == 2
    assert found["sample"] < 1e-5


def test_a_probe_of_nothing_but_zeros(shapes_folder, tmp_path):
    """No division by the largest of them."""
    def change(content):
        content["sample/outputs/image"][1] = 0

    module = rewritten_probe(shapes_folder, tmp_path / "module", change)
    with np.load(module.folder / PROBE_PATH) as probe:
        magnitude = probe["sample/inputs/mag_auto"][1]
    peak = 10.0 ** (-0.4 * (magnitude - 25.94))
    assert 1e-3 * peak < module.probe()["sample"] < peak


@pytest.mark.parametrize("compact", [True, False])
def test_a_graph_that_does_not_say_what_it_drew(shapes_folder, tmp_path, monkeypatch, compact):
    module = (Module(shapes_folder) if compact
              else plain_copy(shapes_folder, tmp_path / "module"))
    runner = module.sampler if compact else module.engine
    monkeypatch.setattr(runner, "sample_outputs", lambda: {"image": (None, 32, 32)})
    with pytest.raises(galsim.GalSimError, match=r"gives \{'image'.*\}, the card says.*'cluster'"):
        module.sample(*shapes_inputs())


@pytest.mark.parametrize("compact", [True, False])
def test_a_card_that_does_not_know_of_classes_of_the_graph(shapes_folder, tmp_path, compact):
    """The signature ``sample`` takes none; a compact graph that does is not the card's."""
    folder = shutil.copytree(shapes_folder, tmp_path / "module")
    card = json.loads((folder / CARD_PATH).read_text())
    del card["clusters"]
    if not compact:
        del card["files"][COMPACT_PATH]
    (folder / CARD_PATH).write_text(json.dumps(card))
    damaged = Module(folder)
    if not compact:
        assert damaged.sample(*shapes_inputs()).shape == (13, 32, 32)
        return
    with pytest.raises(galsim.GalSimError, match="sample takes.*cluster"):
        damaged.sample(*shapes_inputs())


def test_a_graph_that_does_not_know_of_classes_of_the_card(module, tmp_path):
    if module.card.clusters:
        pytest.skip(f"{module.card.name} has classes")
    folder = shutil.copytree(module.folder, tmp_path / "module")
    card = json.loads((folder / CARD_PATH).read_text())
    card["signatures"].append("cluster")
    card["clusters"] = [dict(name="any", description="", share=1.0)]
    (folder / CARD_PATH).write_text(json.dumps(card))
    damaged = Module(folder)
    columns = {column.name: np.ones(1, np.float32) for column in damaged.card.columns}
    with pytest.raises(galsim.GalSimError, match="sample takes"):
        damaged.sample(columns, np.zeros((1, damaged.card.latent.size), np.float32))
