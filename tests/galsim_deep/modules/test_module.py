"""Modules on disk: whole, equal to their networks, loadable; first small ones, then the shipped."""

import json
import os
import pickle
import shutil

import galsim
import numpy as np
import pytest

import galsim_deep
from galsim_deep.modules.card import CARD_PATH, read_card, write_card
from galsim_deep.modules.module import GPU_ROWS, PROBE_PATH, Module, load
from galsim_deep.modules.resolve import available, resolve

SHIPPED = sorted(name for name, folder in available(offline=True).items() if folder)
COMPACT = "sample (compact graph)"


@pytest.fixture
def copied(tiny_folder, tmp_path):
    """A copy of the small module without classes, to be changed."""
    return shutil.copytree(tiny_folder, tmp_path / "module")


@pytest.fixture
def shapes_module(shapes_folder, without_compact_graph, tmp_path):
    """``shapes_module(compact)``: the module with classes, with its compact graph or without."""

    def module(compact=True):
        return Module(shapes_folder if compact
                      else without_compact_graph(shapes_folder, tmp_path / "without"))

    return module


def shapes_inputs(count=13):
    rng = np.random.default_rng(4)
    columns = dict(flux_radius=rng.uniform(4, 12, count).astype(np.float32),
                   mag_auto=rng.uniform(21, 25, count).astype(np.float32))
    return columns, rng.standard_normal((count, 3), np.float32)


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("damage, fact", [
    (lambda f: (f / "variables" / "variables.index").unlink(), "variables.index is missing"),
    (lambda f: (f / PROBE_PATH).write_text("other"), "probe.npz has changed"),
    (lambda f: shutil.rmtree(f / "variables"), "variables.index is missing"),
])
def test_damage_is_found(copied, damage, fact):
    Module(copied)
    damage(copied)
    with pytest.raises(galsim.GalSimError, match=fact) as caught:
        Module(copied)
    assert str(copied) in str(caught.value)


def test_files_that_the_card_does_not_list_are_not_read(copied):
    """Reading this one would take hours."""
    (copied / "extra").touch()
    os.truncate(copied / "extra", 2**40)
    Module(copied)


def test_files_of_absurd_sizes_are_not_read(copied):
    os.truncate(copied / "saved_model.pb", 2**40)
    with pytest.raises(galsim.GalSimError, match=r"\d{13} bytes"):
        Module(copied)


def test_a_module_is_loaded_once(copied, edit_card):
    module = load(copied)
    assert load(str(copied)) is module
    edit_card(copied, summary="Exported again.")
    os.utime(copied / CARD_PATH, (1, 1))  # two writes may share a tick of the clock
    assert load(copied) is not module
    assert load(copied).card.summary == "Exported again."
    with pytest.raises(galsim.GalSimError):
        load(copied / "nothing")


def test_a_graph_that_cannot_be_loaded(copied):
    module = Module(copied)
    shutil.rmtree(copied / "variables")
    with pytest.raises(galsim.GalSimError, match=str(copied)):
        module.probe()


# ---- signatures -----------------------------------------------------------------------------


def test_call(shapes_module):
    """TensorFlow runs any signature; images have a band axis."""
    module, (columns, normal) = shapes_module(), shapes_inputs(2)
    outputs = module.call("decode", latent=normal[:, :2], galaxy_class=np.int32([0, 2]), **columns)
    assert outputs["image"].shape == (2, 32, 32, 1)
    psf = np.zeros((2, 17, 17, 1), np.float32)
    psf[:, 8, 8] = 1
    encoded = module.call("encode", image=outputs["image"], psf=psf,
                          noise_sigma=np.full((2, 1), 0.01, np.float32), **columns)
    assert encoded["mean"].shape == encoded["scale"].shape == (2, 2)
    np.testing.assert_array_equal(encoded["log_class_probability"].argmax(axis=1), [0, 2])
    weights = module.call("prior", galaxy_class=[0, 2], **columns)
    np.testing.assert_allclose(
        np.exp(weights["log_class_probability"]), [0.5, 0.2], rtol=1e-5)


def test_unknown_signature(shapes_module):
    with pytest.raises(galsim.GalSimValueError) as caught:
        shapes_module().call("paint", x=np.zeros(1))
    assert caught.value.value == "paint"
    assert {"sample", "decode", "prior", "encode"} <= {*caught.value.allowed_values}


@pytest.mark.parametrize("kind, signature", [("encoder", "embed"), ("density", "log_prob")])
def test_only_generators_are_sampled(copied, edit_card, kind, signature):
    module = Module(edit_card(copied, kind=kind, signatures=[signature], latent=None))
    for call in (lambda: module.check(1), lambda: module.sample({}, np.zeros((1, 6), np.float32))):
        with pytest.raises(galsim.GalSimValueError) as caught:
            call()
        assert (caught.value.value, caught.value.allowed_values) == (kind, ["generator"])


def test_probes(tiny_folder, shapes_folder):
    for folder, signatures in ((tiny_folder, {"sample"}),
                               (shapes_folder, {"sample", "decode", "prior", "encode"})):
        differences = Module(folder).probe()
        assert set(differences) == {*signatures, COMPACT}
        assert max(differences.values()) < 1e-5


def test_no_probe(copied):
    (copied / PROBE_PATH).unlink()
    write_card(copied, read_card(copied).model_dump(exclude={"files"}))
    with pytest.raises(galsim.GalSimError, match=PROBE_PATH):
        Module(copied).probe()


@pytest.fixture
def rewritten_probe(shapes_folder, tmp_path):
    """``rewritten_probe(change)``: the module with classes with a probe that was changed."""

    def rewrite(change):
        folder = shutil.copytree(shapes_folder, tmp_path / "module")
        with np.load(folder / PROBE_PATH) as probe:
            content = dict(probe)
        change(content)
        np.savez(folder / PROBE_PATH, **content)
        write_card(folder, read_card(folder).model_dump(exclude={"files"}))
        return Module(folder)

    return rewrite


def test_a_probe_of_other_classes(rewritten_probe):
    """Whole numbers count as they are, also where all of them are zero."""
    def change(content):
        content["sample/outputs/galaxy_class"][:] = 0

    differences = rewritten_probe(change).probe()
    assert differences["sample"] == differences[COMPACT] == 2
    assert differences["decode"] < 1e-5


def test_a_probe_of_nothing_but_zeros(rewritten_probe):
    """An image of zeros has no peak to divide by."""
    def change(content):
        content["decode/outputs/image"][1] = 0

    module = rewritten_probe(change)
    with np.load(module.folder / PROBE_PATH) as probe:
        flux = 10.0 ** (-0.4 * (probe["decode/inputs/mag_auto"][1] - 25.94))
    assert 1e-3 * flux < module.probe()["decode"] < flux


# ---- sampling -------------------------------------------------------------------------------


@pytest.mark.parametrize("compact", [True, False])
def test_sample(tiny_folder, without_compact_graph, tmp_path, compact):
    module = Module(tiny_folder if compact
                    else without_compact_graph(tiny_folder, tmp_path / "without"))
    assert (module.compact is None) == (not compact)
    columns, normal = shapes_inputs()
    columns["zphot"] = np.full(13, 0.5, np.float32)
    normal = np.concatenate([normal, normal], axis=1)
    outputs = module.sample(columns, normal)
    assert set(outputs) == {"image"}
    assert outputs["image"].shape == (13, 32, 32, 1) and outputs["image"].dtype == np.float32
    expected = module.call("sample", random_normal=normal, **columns)["image"]
    np.testing.assert_allclose(outputs["image"], expected, atol=1e-5 * expected.max())


def test_classes_are_drawn_where_none_is_chosen(shapes_module):
    module, (columns, normal) = shapes_module(), shapes_inputs()
    outputs = module.sample(columns, normal)
    no_choice = np.full(13, -1, np.int32)
    for name, values in module.sample(columns, normal, no_choice).items():
        np.testing.assert_array_equal(values, outputs[name])
    in_tensorflow = module.call("sample", random_normal=normal, galaxy_class=no_choice, **columns)
    np.testing.assert_array_equal(in_tensorflow["galaxy_class"], outputs["galaxy_class"])
    np.testing.assert_allclose(outputs["image"], in_tensorflow["image"],
                               atol=1e-5 * outputs["image"].max())


def test_classes_without_a_compact_graph(shapes_module):
    module, (columns, normal) = shapes_module(compact=False), shapes_inputs()
    assert module.compact is None
    classes = np.resize(np.int32([0, 1, 2, -1]), 13)
    expected = shapes_module().sample(columns, normal, classes)
    for twin in (module, pickle.loads(pickle.dumps(module))):
        outputs = twin.sample(columns, normal, classes)
        np.testing.assert_array_equal(outputs["galaxy_class"], expected["galaxy_class"])
        np.testing.assert_allclose(outputs["image"], expected["image"],
                                   atol=1e-5 * expected["image"].max())


@pytest.mark.parametrize("compact", [True, False])
def test_classes_that_were_drawn(shapes_module, compact):
    """As input they make the same images; a class that was chosen is the one in the outputs."""
    module, (columns, normal) = shapes_module(compact), shapes_inputs(40)
    outputs = module.sample(columns, normal)
    drawn = outputs["galaxy_class"]
    assert drawn.dtype == np.int32 and drawn.shape == (40,) and set(drawn) == {0, 1, 2}
    np.testing.assert_array_equal(
        module.sample(columns, normal, drawn)["image"], outputs["image"])
    chosen = np.resize(np.int32([2, -1]), 40)
    np.testing.assert_array_equal(module.sample(columns, normal, chosen)["galaxy_class"],
                                  np.where(chosen < 0, drawn, chosen))
    for row in range(0, 40, 7):  # alone as among others
        part = {name: values[row:row + 1] for name, values in columns.items()}
        assert module.sample(part, normal[row:row + 1])["galaxy_class"] == drawn[row]


# ---- cards that do not agree with the graph -------------------------------------------------


def check_disagreement(folder, fact):
    """Both `check` and `sample` must say in what card and graph do not agree."""
    module = Module(folder)
    columns = {column.name: np.ones(1, np.float32) for column in module.card.columns}
    normal = np.zeros((1, module.card.latent.size), np.float32)
    for call in (lambda: module.check(1), lambda: module.sample(columns, normal)):
        with pytest.raises(galsim.GalSimError, match=fact) as caught:
            call()
        assert f"{folder} does not agree with its card" in str(caught.value)


DISAGREEMENTS = {
    "latent": (dict(latent=dict(size=7)),
               r"input random_normal of sample is \[N, 6\] instead of \[N, 7\]"),
    "stamp": (dict(stamp=dict(sizes=[64], pixel_scale=0.03)),
              r"image of sample is \[N, 32, 32, 1\] instead of \[N, 64, 64, 1\]"),
    "largest stamp": (dict(stamp=dict(sizes=[32, 48], pixel_scale=0.03)),
                      r"image of sample is .* instead of \[N, 48, 48, 1\]"),
    "smallest stamp": (dict(stamp=dict(sizes=[16, 32], pixel_scale=0.03)),
                       "the card has several stamp sizes, but no stamp.trained_size"),
    "bands": (dict(bands=[dict(name=name, zero_point=25.0) for name in ("F606W", "F814W")]),
              r"image of sample is .* instead of \[N, 32, 32, 2\]"),
}


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("changes, fact", DISAGREEMENTS.values(), ids=DISAGREEMENTS)
def test_a_card_that_does_not_fit_the_graph(
        tiny_folder, without_compact_graph, edit_card, tmp_path, compact, changes, fact):
    copy_module = shutil.copytree if compact else without_compact_graph
    folder = copy_module(tiny_folder, tmp_path / "other")
    check_disagreement(edit_card(folder, **changes), fact)


@pytest.mark.parametrize("compact", [True, False])
def test_a_card_without_one_of_the_columns(
        tiny_folder, without_compact_graph, edit_card, tmp_path, compact):
    copy_module = shutil.copytree if compact else without_compact_graph
    folder = copy_module(tiny_folder, tmp_path / "other")
    columns = json.loads((folder / CARD_PATH).read_text())["columns"]
    check_disagreement(edit_card(folder, columns=columns[:2]),
                       "sample has the input zphot, which neither the card")


@pytest.mark.parametrize("compact", [True, False])
def test_a_card_without_the_classes_of_the_graph(
        shapes_folder, without_compact_graph, edit_card, tmp_path, compact):
    copy_module = shutil.copytree if compact else without_compact_graph
    folder = copy_module(shapes_folder, tmp_path / "other")
    check_disagreement(edit_card(folder, classes=None),
                       "sample has the input galaxy_class, which neither the card")


@pytest.mark.parametrize("compact", [True, False])
def test_a_card_with_classes_that_the_graph_lacks(
        tiny_folder, without_compact_graph, edit_card, tmp_path, compact):
    copy_module = shutil.copytree if compact else without_compact_graph
    folder = copy_module(tiny_folder, tmp_path / "other")
    classes = [dict(name="any", description="", share=1.0)]
    check_disagreement(edit_card(folder, classes=classes), "sample has no input galaxy_class")


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("outputs, fact", [
    ({"image": (None, 32, 32, 1)}, r"no output galaxy_class \[N\]"),
    ({"image": (None, 32, 32), "galaxy_class": (None,)}, r"image of sample is \[N, 32, 32\] "),
    ({"picture": None, "galaxy_class": (None,)}, r"no output image \[N, 32, 32, 1\]"),
    ({"image": None, "galaxy_class": (None,), "pixel_scale": (None, 1)},
     r"pixel_scale of sample is \[N, 1\] instead of \[N\]")], ids=str)
def test_a_graph_with_other_outputs(shapes_module, monkeypatch, compact, outputs, fact):
    module = shapes_module(compact)
    runner = module.compact if compact else module.tensorflow
    monkeypatch.setattr(runner, "signature_outputs", lambda signature: outputs)
    with pytest.raises(galsim.GalSimError, match=fact):
        module.sample(*shapes_inputs())


@pytest.mark.parametrize("change, numbers", [(99, "99 to 101"), (-1, "-1 to 1"), (np.nan, "nan")])
def test_classes_that_are_not_on_the_card(shapes_module, monkeypatch, change, numbers):
    """A program that looks up their names must not take another class, from the end of the card."""
    module = shapes_module()
    call = module.compact.call
    monkeypatch.setattr(module.compact, "call", lambda *inputs: {
        name: values + (change if name == "galaxy_class" else 0)
        for name, values in call(*inputs).items()})
    with pytest.raises(galsim.GalSimError, match=f"{numbers}.* on its card are 0 to 2"):
        module.sample(*shapes_inputs(), np.arange(13, dtype=np.int32) % 3)


# ---- GPUs -----------------------------------------------------------------------------------


def test_large_batches_go_to_a_gpu(tiny_folder, monkeypatch):
    """By TensorFlow, which here computes on the CPU what it would there; small ones do not."""
    module, rows = Module(tiny_folder), []
    monkeypatch.setattr("galsim_deep.modules.module.is_gpu_available", lambda: True)
    call = module.tensorflow.call

    def counted(signature, inputs):
        rows.append(len(inputs["zphot"]))
        return call(signature, inputs)

    monkeypatch.setattr(module.tensorflow, "call", counted)
    columns, normal = shapes_inputs(GPU_ROWS)
    columns["zphot"] = np.full(GPU_ROWS, 0.5, np.float32)
    normal = np.concatenate([normal, normal], axis=1)
    large = module.sample(columns, normal)["image"]
    assert rows == [1, GPU_ROWS]  # one row to compare it with the card
    small = module.sample({name: values[:-1] for name, values in columns.items()},
                          normal[:-1])["image"]
    assert rows == [1, GPU_ROWS]
    peak = small.max(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(large[:-1] / peak, small / peak, atol=2e-5)


# ---- shipped modules ------------------------------------------------------------------------

ROWS = 12


GENERATORS = [name for name in SHIPPED if read_card(resolve(f"hub:{name}")).kind == "generator"]


@pytest.fixture(scope="module", params=GENERATORS)
def module(request):
    return Module(resolve(f"hub:{request.param}"))


def inputs(module, count, level="0.5"):
    """Typical inputs; at the level "0.05" bright galaxies, large ones among them."""
    rng = np.random.default_rng(1)
    brightness = {column.name for column in module.card.columns if column.quantity == "magnitude"}
    other = {"0.5": "0.5", "0.05": "0.75"}[level]
    rows = {column.name: np.full(
        count, column.quantiles[level if column.name in brightness else other], np.float32)
        for column in module.card.columns}
    latent = module.card.latent
    rows[latent.name] = rng.standard_normal((count, latent.size), np.float32)
    if module.card.classes:
        rows["galaxy_class"] = np.full(count, -1, np.int32)
    return rows


def test_some_are_shipped():
    assert {"acs_flow_vae", "acs_mpcc", "first_mpcc", "first_vdvae"} <= set(GENERATORS)
    assert "first_encoder" in SHIPPED


@pytest.mark.long
@pytest.mark.parametrize("name", sorted({*SHIPPED} - {*GENERATORS}))
def test_encoders_and_densities_equal_their_networks(name):
    other = Module(resolve(f"hub:{name}"))
    differences = other.probe()
    assert set(differences) == {*other.card.signatures} and max(differences.values()) < 1e-5
    assert sum(path.stat().st_size for path in other.folder.rglob("*") if path.is_file()) < 1e7


@pytest.mark.long
def test_graphs_equal_the_networks_that_they_were_exported_from(module):
    differences = module.probe()
    in_compact = {f"{name} (compact graph)" for name in module.compact.signatures()}
    # Of a compact graph that chooses stamps, large ones are not in the probe.
    assert {name for name in differences if name not in in_compact} == {*module.card.signatures}
    assert len(differences) > len(module.card.signatures)
    for signature, difference in differences.items():
        # Steps uphill multiply rounding errors.
        assert difference < (1e-2 if signature == "encode" else 1e-5)


@pytest.mark.long
def test_loads_with_tensorflow_hub(module):
    hub = pytest.importorskip("tensorflow_hub")
    sample = hub.load(str(module.folder)).signatures["sample"]
    rows = inputs(module, 3)
    image = sample(**rows)["image"].numpy()
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, module.call("sample", **rows)["image"],
                               atol=1e-6 * image.max())


@pytest.mark.long
def test_shape_and_determinism(module):
    rows = inputs(module, 5)
    size = module.card.trained_size
    image = module.call("sample", **rows)["image"]
    assert image.shape == (5, size, size, 1)
    np.testing.assert_array_equal(image, module.call("sample", **rows)["image"])


@pytest.mark.long
def test_serving_default_is_sample(module):
    rows = inputs(module, 2)
    np.testing.assert_array_equal(module.call("serving_default", **rows)["image"],
                                  module.call("sample", **rows)["image"])


@pytest.mark.long
def test_declared_signatures_exist(module):
    for name in module.card.signatures:
        assert module.tensorflow.signature_inputs(name)


def test_below_ten_megabytes(module):
    assert sum(path.stat().st_size for path in module.folder.rglob("*")) < 10e6


def blurred(stamps):
    """Stamps [N, S, S, 1] as a PSF shows them."""
    return np.stack([
        galsim.Convolve(galsim.InterpolatedImage(galsim.Image(stamp[..., 0].copy(), scale=1.0)),
                        galsim.Gaussian(sigma=1.5)).drawImage(
            nx=len(stamp), ny=len(stamp), scale=1.0, method="no_pixel").array[..., None]
        for stamp in stamps])


@pytest.mark.long
def test_encode_and_decode_meet(module):
    """A generated galaxy is found from its observation: closer than another galaxy of its row."""
    if not {"encode", "decode"} <= set(module.card.signatures):
        pytest.skip(f"{module.card.name} has no encoder")
    rows = inputs(module, 12)
    for column in module.card.columns:
        if column.quantity == "magnitude":
            rows[column.name][:] = column.quantiles["0.05"]
    sampled = module.call("sample", **rows)
    # Large galaxies are drawn with larger pixels than ``encode`` takes.
    scale = sampled.get("pixel_scale", np.full(12, module.card.stamp.pixel_scale))
    kept = np.flatnonzero(np.isclose(scale, module.card.stamp.pixel_scale))[:6]
    assert len(kept) == 6
    image = sampled["image"][kept]
    columns = {column.name: rows[column.name][kept] for column in module.card.columns}
    size = module.tensorflow.signature_inputs("encode")["psf"][1]
    axis = np.arange(size) - size // 2
    psf = np.exp(-0.5 * (axis[:, None]**2 + axis**2) / 1.5**2).astype(np.float32)
    psf = np.repeat((psf / psf.sum())[None, ..., None], 6, axis=0)
    observed = blurred(image)
    encoded = module.call("encode", image=observed, psf=psf,
                          noise_sigma=np.full((6, 1), 2.6e-3, np.float32), **columns)
    assert (encoded["scale"] > 0).all()
    if module.card.classes:
        columns["galaxy_class"] = encoded["log_class_probability"].argmax(axis=-1).astype(np.int32)
    decoded = module.call("decode", latent=encoded["mean"], **columns)["image"]
    # As observed: the encoder cannot know what the PSF hides.
    error = np.square(blurred(decoded) - observed).sum(axis=(1, 2, 3))
    other = np.square(np.roll(observed, 1, axis=0) - observed).sum(axis=(1, 2, 3))
    assert error.sum() < 0.5 * other.sum()


@pytest.fixture(scope="module")
def shipped(module):
    """The model of the module."""
    return galsim_deep.GenerativeGalaxyModel(module.folder)


@pytest.fixture(scope="module")
def spread(shipped):
    """Rows over the middle of the training sample."""
    return {column.name: np.linspace(column.quantiles["0.05"], column.quantiles["0.75"], ROWS)
            for column in shipped.card.columns}


def choices(shipped):
    """Classes as drawn, and each class."""
    return [None, *range(len(shipped.classes))]


def test_images(shipped, spread):
    """Light is positive and falls to zero at the edge; all is finite."""
    for galaxy_class in choices(shipped):
        images = shipped.images(spread, seeds=np.arange(ROWS), galaxy_class=galaxy_class)
        assert np.isfinite(images).all() and (images >= 0).all()
        rim = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
        assert rim.max() < 1e-3 * images.max()


def test_the_same_seed_is_the_same_image_alone_and_in_a_batch(shipped, spread):
    for galaxy_class in choices(shipped):
        images = shipped.images(spread, seeds=np.arange(ROWS), galaxy_class=galaxy_class)
        again = shipped.images(spread, seeds=np.arange(ROWS), galaxy_class=galaxy_class)
        np.testing.assert_array_equal(again, images)
        row = {name: values[7:8] for name, values in spread.items()}
        alone = shipped.images(row, seeds=[7], galaxy_class=galaxy_class)
        # The stamps of a table are as large as its largest one.
        margin = (images.shape[1] - alone.shape[1]) // 2
        padded = np.pad(alone[0], [(margin, margin), (margin, margin), (0, 0)])
        np.testing.assert_array_equal(padded, images[7])


@pytest.mark.long
def test_classes_have_names_and_look_different(shipped, spread):
    if not shipped.classes:
        pytest.skip("the module has no classes")
    assert all(galaxy_class.description for galaxy_class in shipped.card.classes)
    images = [shipped.images(spread, seeds=np.arange(ROWS), galaxy_class=name)
              for name in shipped.classes]
    # Galaxies of some classes are larger.
    size = max(stamps.shape[1] for stamps in images)
    margins = [(size - stamps.shape[1]) // 2 for stamps in images]
    images = [np.pad(stamps, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
              for stamps, margin in zip(images, margins, strict=True)]
    for number, stamps in enumerate(images):
        for other in images[:number]:
            assert np.abs(stamps - other).sum() > 0.05 * stamps.sum()
    many = {name: np.tile(values, 50) for name, values in spread.items()}
    drawn = shipped.draw_classes(many, seeds=np.arange(50 * ROWS))
    shares = np.bincount(drawn, minlength=len(shipped.classes)) / len(drawn)
    expected = np.array([galaxy_class.share for galaxy_class in shipped.card.classes])
    assert (shares > 0.2 * expected).all()
