"""Export: that a module holds what was trained, and that a wrong one does not come about."""

import json
import shutil

import galsim
import numpy as np
import pytest
import tensorflow as tf

import galsim_deep
from galsim_deep import latents
from galsim_deep.modules.card import CARD_PATH, file_digests, write_card
from galsim_deep.modules.module import Module
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.export.card import card_fields
from galsim_deep_training.export.module import export, save
from galsim_deep_training.families import make_family
from galsim_deep_training.families.base import ModelFamily, Signature
from galsim_deep_training.families.shared.signatures import observation_specs
from galsim_deep_training.networks.blocks import ResidualBlock
from galsim_deep_training.rendering.drawing import Pose
from galsim_deep_training.rendering.orientation import Orientation

pytestmark = pytest.mark.long

COLUMNS = dict(
    flux_radius=np.linspace(3.2, 5.0, 5, dtype=np.float32),
    mag_auto=np.linspace(20.5, 23.5, 5, dtype=np.float32),
    zphot=np.linspace(0.2, 1.8, 5, dtype=np.float32))


@pytest.fixture(scope="module")
def signatures(module_folder):
    return tf.saved_model.load(str(module_folder)).signatures


@pytest.fixture(scope="module")
def normal(family):
    return np.random.default_rng(1).standard_normal((5, family.latent_size)).astype(np.float32)


@pytest.fixture(scope="module")
def latent(family):
    size = family.autoencoder.latent_size
    return np.random.default_rng(2).standard_normal((5, size)).astype(np.float32)


def tensors(**arrays):
    return {name: tf.constant(value) for name, value in arrays.items()}


# Where a frame is turned, places in it are rounded to 4e-6 of a cell, in each graph otherwise.
def assert_same_images(images, expected, tolerance=2e-5):
    peak = np.max(expected, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(images / peak, expected / peak, atol=tolerance)


# ---- what is in the folder ------------------------------------------------------------------


def test_files(module_folder, module):
    assert {path.name for path in module_folder.iterdir()} == {
        "saved_model.pb", "variables", "assets", "README.md", "samples.png"}
    assert file_digests(module_folder) == module.card.files
    assert len(module.card.files) >= 6
    # Nothing of the making is left beside it.
    assert [path.name for path in module_folder.parent.iterdir()] == [module_folder.name]


def test_page(module_folder, recipe):
    page = (module_folder / "README.md").read_text()
    assert page.startswith("# tiny 0.0.1\n")
    for word in ("A module for tests.", "hub:tiny", "CC0", recipe.sha256, "samples.png",
                 "25.94", *COLUMNS):
        assert word in page
    assert "{" not in page
    picture = tf.io.decode_png((module_folder / "samples.png").read_bytes()).numpy()
    assert picture.ndim == 3 and picture.shape[2] == 3 and np.ptp(picture) > 100


# ---- what it computes -----------------------------------------------------------------------


def test_sample_equals_the_network(module, family, normal):
    images = module.call("sample", random_normal=normal, **COLUMNS)["image"][..., 0]
    expected = family.sample(tf.constant(normal), tensors(**COLUMNS)).numpy()
    assert images.shape == (5, 32, 32) and images.dtype == np.float32
    assert_same_images(images, expected)
    # The fit has left its trace: this is not the bare disc that a fit starts from.
    drawing, columns = family.autoencoder.renderer.drawing, tensors(**COLUMNS)
    disc = drawing.draw(
        drawing.to_light([tf.zeros((5, grid.cells, grid.cells)) for grid in drawing.grids]),
        Pose(Orientation(tf.constant(normal[:, 0]), tf.constant(normal[:, 1]))),
        columns["flux_radius"], family.recipe.flux(columns)).numpy()
    assert np.abs(images - disc).max() > 1e-3 * disc.max()


def test_guarantees(module, normal):
    images = module.call("sample", random_normal=normal, **COLUMNS)["image"]
    assert np.all(images >= 0)
    for edge in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
        np.testing.assert_array_equal(edge, 0.0)
    flux = 10 ** (-0.4 * (COLUMNS["mag_auto"] - 25.94))
    np.testing.assert_allclose(images.sum(axis=(1, 2, 3), dtype=float), flux, rtol=1e-5)


def test_tensorflow_hub(module_folder, normal):
    """Loaded as any module of TF-Hub is, the same galaxies come out."""
    hub = pytest.importorskip("tensorflow_hub")
    loaded = hub.load(str(module_folder))
    model = galsim_deep.GenerativeGalaxyModel(module_folder)
    seeds = [11, 12, 13, 14, 15]
    random_normal = latents.draw_latents(latents.keys_from_seeds(seeds), model.card.latent.size)
    expected = model.images(COLUMNS, seeds=seeds)
    for name in ("sample", "serving_default"):
        images = loaded.signatures[name](
            **tensors(random_normal=random_normal, **COLUMNS))["image"].numpy()
        assert_same_images(images, expected)
    galaxies = model.sample(COLUMNS, seeds=seeds)
    for galaxy, image in zip(galaxies, expected, strict=True):
        assert galaxy.flux == pytest.approx(image.sum(dtype=float), rel=1e-5)


def test_inputs_are_named_like_the_columns(signatures):
    assert set(signatures) == {"sample", "serving_default", "decode", "encode", "log_prob"}
    for name, others in dict(sample={"random_normal"}, decode={"latent"}, log_prob={"latent"},
                             encode={"image", "psf", "noise_sigma"}).items():
        arguments, keywords = signatures[name].structured_input_signature
        assert not arguments and set(keywords) == {*COLUMNS, *others}
        assert all(spec.dtype == tf.float32 and spec.shape[0] is None
                   for spec in keywords.values())


def test_nothing_random_in_the_graph(signatures):
    graph = signatures["sample"].graph.as_graph_def()
    operations = {node.op for node in graph.node}
    for function in graph.library.function:
        operations |= {node.op for node in function.node_def}
    assert "Conv2D" in operations
    assert not [op for op in operations if "random" in op.lower() or "multinomial" in op.lower()]


def test_decode(module, family, latent):
    images = module.call("decode", latent=latent, **COLUMNS)["image"][..., 0]
    assert_same_images(images, family.decode(tf.constant(latent), tensors(**COLUMNS)).numpy())


def test_encode(module, family, dataset):
    # The signature takes stamps with pixels of the recipe.
    of_recipe = np.isclose(dataset.pixel_scales, dataset.pixel_scale)
    rows = dataset.read(np.flatnonzero(of_recipe)[:5])
    columns = {name: rows[name] for name in COLUMNS}
    outputs = module.call("encode", image=rows["stamp"][..., None], psf=rows["psf"][..., None],
                          noise_sigma=rows["noise_sigma"][:, None], **columns)
    assert outputs.keys() == {"mean", "scale"}
    mean, scale = family.encode(rows["stamp"], rows["psf"], rows["noise_sigma"],
                                tensors(**columns), family.settings.refinement)
    np.testing.assert_allclose(outputs["mean"], mean, atol=5e-3)
    np.testing.assert_allclose(outputs["scale"], scale, rtol=1e-4)
    assert outputs["mean"].shape == (5, family.autoencoder.latent_size)
    assert np.all(outputs["scale"] > 0)


def test_log_prob(module, family, latent):
    log_prob = module.call("log_prob", latent=latent, **COLUMNS)["log_prob"]
    assert log_prob.shape == (5,)
    expected = family.log_prob(tf.constant(latent), tensors(**COLUMNS))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4)


def test_sample_is_decode_of_a_draw_from_the_prior(module, family, normal):
    auto, conditions = family.autoencoder, family.conditions(tensors(**COLUMNS))
    angle, shape, _ = np.split(
        normal, np.cumsum([auto.position_angle_size, sum(family.prior.sizes)]), axis=1)
    drawn = family.prior(tf.constant(shape), conditions).numpy()
    assert np.abs(np.sort(drawn) - np.sort(shape)).max() > 1e-4
    pose = np.pad(angle, [(0, 0), (0, auto.pose_size - auto.position_angle_size)])
    sampled = module.call("sample", random_normal=normal, **COLUMNS)["image"]
    latent = np.concatenate([pose, drawn], axis=1)
    assert_same_images(module.call("decode", latent=latent, **COLUMNS)["image"], sampled)


def test_columns_that_are_not_given(module_folder):
    """NaN, masked or left out of a config file: drawn, given the others."""
    model = galsim_deep.GenerativeGalaxyModel(module_folder)
    some = {**COLUMNS, "flux_radius": np.full(5, np.nan)}
    images = model.images(some, seeds=[1, 2, 3, 4, 5])
    assert np.all(np.isfinite(images))
    flux = 10 ** (-0.4 * (COLUMNS["mag_auto"] - 25.94))
    np.testing.assert_allclose(images.sum(axis=(1, 2, 3), dtype=float), flux, rtol=1e-5)
    np.testing.assert_array_equal(images, model.images(some, seeds=[1, 2, 3, 4, 5]))
    assert not np.array_equal(images, model.images(some, seeds=[6, 7, 8, 9, 10]))
    config = dict(
        modules=["galsim_deep"], input=dict(generative_model=dict(file_name=str(module_folder))),
        gal=dict(type="GenerativeModelGalaxy", mag_auto=22.0, id=3),
        image=dict(type="Single", size=32, pixel_scale=0.03, random_seed=1))
    image = galsim.config.BuildImage(config)
    alone = model.sample(dict(mag_auto=22.0, flux_radius=np.nan, zphot=np.nan), seeds=[3])[0]
    assert image == alone.drawImage(galsim.ImageF(32, 32, scale=0.03))


# ---- making it again, and making it wrong ---------------------------------------------------


def test_again(recipe, fitted, module, normal, tmp_path, sample_alone):
    """The same images, and nothing is left of what was there before."""
    folder = tmp_path / "hub" / "tiny"
    folder.mkdir(parents=True)
    (folder / "stale.txt").write_text("from an older module")
    (folder / CARD_PATH).parent.mkdir()
    (folder / CARD_PATH).write_text("")
    with sample_alone():
        assert export(recipe, fitted, folder) == folder
    assert not (folder / "stale.txt").exists()
    again = Module(folder)
    np.testing.assert_array_equal(
        again.call("sample", random_normal=normal, **COLUMNS)["image"],
        module.call("sample", random_normal=normal, **COLUMNS)["image"])
    # Graphs may be written in another order, and `sample` is alone here; all else that is read is
    # the same.
    one, other = ({**json.loads(m.card.model_dump_json()), "files": 0, "signatures": 0}
                  for m in (module, again))
    assert one == other


def leaky_residual(self, x):
    return tf.nn.leaky_relu(x + self.second(self.first(x)), 0.1)


def test_a_graph_that_is_optimised_wrongly(recipe, fitted, module_folder, tmp_path, monkeypatch,
                                           sample_alone):
    """TensorFlow on CPU uses another slope than asked once all of this is fused into one."""
    folder = tmp_path / "hub" / "tiny"
    shutil.copytree(module_folder, folder)
    monkeypatch.setattr(ResidualBlock, "call", leaky_residual)
    with sample_alone(), pytest.raises(
            galsim.GalSimError, match="differs from the network by .* of the largest"):
        export(recipe, fitted, folder)
    # The module that was there is whole, and nothing else is.
    assert Module(folder).card.files == file_digests(module_folder)
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_of_a_fit_that_is_not_complete(recipe, new_run, tmp_path):
    with pytest.raises(galsim.GalSimError, match="not complete: 0 of 12 steps"):
        export(recipe, new_run(), tmp_path / "hub" / "tiny")
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("is_file", [True, False])
def test_what_is_not_a_module_is_not_replaced(is_file, recipe, fitted, tmp_path):
    """Such as a folder that happens to have the name of the recipe."""
    path = tmp_path / "tiny"
    kept = path if is_file else path / "thesis.tex"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("years of work")
    with pytest.raises(galsim.GalSimError, match=f"{path} exists and is not a module"):
        export(recipe, fitted, path)
    assert kept.read_text() == "years of work"


# ---- other kinds of modules -----------------------------------------------------------------


class Brightness(ModelFamily, kind="brightness"):
    """An encoder: the logarithm of the flux of a stamp in units of its noise."""

    module_kind = "encoder"

    def signatures(self):
        def embed(image, psf, noise_sigma, **columns):
            significance = tf.reduce_sum(image, axis=[1, 2]) / noise_sigma
            return dict(embedding=tf.math.asinh(significance) + 0.0 * psf[:, 0, 0])

        return dict(embed=Signature(embed, dict(self.column_specs(), **observation_specs(self))))


class WithoutImage(Brightness, kind="without_image"):
    """An encoder without the input that all encoders have."""

    def signatures(self):
        def embed(noise_sigma, **columns):
            return dict(embedding=noise_sigma)

        inputs = dict(self.column_specs(), noise_sigma=observation_specs(self)["noise_sigma"])
        return dict(embed=Signature(embed, inputs))


class Unprintable(Brightness, kind="unprintable"):
    """An encoder whose card cannot be shown."""

    def classes(self, dataset):
        return [dict(name="all", description="every galaxy\x1b", share=1.0)]


class StandardNormal(ModelFamily, kind="standard_normal"):
    """A density of latent vectors, which it can draw."""

    module_kind = "density"
    latent_size = 3

    def signatures(self):
        def log_prob(latent):
            return dict(log_prob=-0.5 * tf.reduce_sum(latent**2, axis=1))

        normal = tf.TensorSpec([None, self.latent_size], tf.float32)
        return dict(log_prob=Signature(log_prob, dict(latent=normal)), sample=Signature(
            lambda random_normal: dict(latent=tf.identity(random_normal)),
            dict(random_normal=normal)))


class Nothing(ModelFamily, kind="nothing"):
    """A generator without the signature that generators have."""

    def signatures(self):
        return {}


@pytest.fixture
def of_family(make_recipe, new_run):
    """``of_family(kind)``: a recipe of a family without phases, and its working folder."""
    def make(kind):
        return make_recipe(lambda content: content.update(
            model=dict(kind=kind), fit={})), new_run()
    return make


def test_an_encoder(of_family, dataset, tmp_path):
    recipe, run = of_family("brightness")
    module = Module(export(recipe, run, tmp_path / "hub" / "brightness"))
    assert (module.card.kind, module.card.latent) == ("encoder", None)
    assert module.card.signatures == ("embed",) and module.compact is None
    assert not (module.folder / "samples.png").exists()
    assert "samples.png" not in (module.folder / "README.md").read_text()
    assert module.probe()["embed"] < 1e-5
    rows = dataset.read(dataset.test_indices[:3])
    outputs = module.call(
        "embed", image=rows["stamp"][..., None], psf=rows["psf"][..., None],
        noise_sigma=rows["noise_sigma"][:, None], **{name: rows[name] for name in COLUMNS})
    expected = np.arcsinh(rows["stamp"].sum(axis=(1, 2)) / rows["noise_sigma"])
    np.testing.assert_allclose(outputs["embedding"][:, 0], expected, rtol=1e-4)


def test_a_density(of_family, tmp_path):
    recipe, run = of_family("standard_normal")
    module = Module(export(recipe, run, tmp_path / "hub" / "standard_normal"))
    assert (module.card.kind, module.card.latent.size) == ("density", 3)
    assert module.compact is None and max(module.probe().values()) < 1e-5
    drawn = module.call("sample", random_normal=np.ones((2, 3)))["latent"]
    assert module.call("log_prob", latent=drawn)["log_prob"].tolist() == [-1.5] * 2


def test_a_signature_that_is_not_that_of_the_module_format(of_family, tmp_path):
    """Compared on what was written, as by those who open the module."""
    recipe, run = of_family("without_image")
    with pytest.raises(galsim.GalSimError, match=(
            r"does not agree with its card: embed has no input image \[N, 32, 32, 1\]")):
        export(recipe, run, tmp_path / "hub" / "without_image")
    assert not (tmp_path / "hub" / "without_image").exists()


def test_a_card_that_is_not_valid(of_family, tmp_path):
    recipe, run = of_family("unprintable")
    with pytest.raises(galsim.GalSimError, match=(
            r"recipe.yaml cannot be written.* classes.0.description: .*cannot be printed")):
        export(recipe, run, tmp_path / "hub" / "unprintable")
    assert not (tmp_path / "hub" / "unprintable").exists()


def test_a_family_without_the_signature_of_its_kind(of_family, tmp_path):
    recipe, run = of_family("nothing")
    with pytest.raises(galsim.GalSimError, match="generator, which have the signature 'sample'; "
                                                 "it offers none"):
        export(recipe, run, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


# ---- stamps of several sizes ----------------------------------------------------------------


@pytest.mark.parametrize("name, signatures", [
    ("flow_vae_polar", {"sample", "decode", "encode", "log_prob"}),
    ("mpcc_polar", {"sample", "decode", "encode", "prior"})])
def test_a_module_that_chooses_stamps(name, signatures, make_recipe, data_file, awaken, tmp_path):
    """The compact graph draws what the networks draw, and the SavedModel has the other signatures.
    """
    recipe = make_recipe(family=name)
    family, dataset = make_family(recipe), Dataset.of(recipe, data_file)
    family.prepare(dataset)
    for network in family.networks.values():
        awaken(network)
    save(family, tmp_path)
    write_card(tmp_path, card_fields(recipe, family, dataset))
    module = Module(tmp_path)
    module.compare_with_card()
    assert set(module.compact.signatures()) == {"latents", "draw_16", "draw_32", "draw_48"}
    assert set(module.card.signatures) == signatures
    model = galsim_deep.GenerativeGalaxyModel(tmp_path)
    assert (model.stamp_size, module.card.trained_size) == (48, 32)
    table = dict(flux_radius=np.geomspace(1.0, 8.0, 9), mag_auto=22.0, zphot=np.nan)
    galaxies = model.sample(table, seeds=range(9))
    assert len({len(galaxy.image.array) for galaxy in galaxies}) > 1
    normal = latents.draw_latents(latents.keys_from_seeds(range(9)), family.latent_size)
    columns = {name: tf.constant(np.broadcast_to(values, 9), tf.float32)
               for name, values in table.items()}
    latent = family.latents(tf.constant(normal), columns)["latent"]
    for row, galaxy in enumerate(galaxies):
        image, scale = galaxy.image.array, galaxy.image.scale
        expected = family.draw(len(image), latent[row:row + 1], tf.constant([scale], tf.float32))
        # Kernels are stored in 16 bits.
        np.testing.assert_allclose(image, expected[0], atol=0.02 * image.max())
    assert galaxies[3] == model.sample({name: np.broadcast_to(values, 9)[3] for name, values in
                                        table.items()}, seeds=[3])[0]
    of_class = dict(galaxy_class=np.full(9, -1)) if module.card.classes else {}
    outputs = module.call("sample", random_normal=normal, **of_class, **{
        name: np.broadcast_to(values, 9) for name, values in table.items()})
    assert outputs["image"].shape == (9, 32, 32, 1) and outputs["pixel_scale"].shape == (9,)
