"""Export of a model with classes: an MPCC, fitted, restored, written and sampled."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

import galsim_deep
from galsim_deep.modules.module import PROBE_PATH, Module
from galsim_deep_training.export.module import export
from galsim_deep_training.export.probe import check
from galsim_deep_training.fit import restore

pytestmark = pytest.mark.long

NAMES = ["plain", "odd", "bright"]
COUNT = 6
TABLE = dict(flux_radius=np.linspace(3.2, 5.0, COUNT), mag_auto=np.linspace(20.5, 23.5, COUNT),
             zphot=np.linspace(0.2, 1.8, COUNT))
COLUMNS = {name: tf.constant(values, tf.float32) for name, values in TABLE.items()}


def named(content):
    content["name"] = "classed"
    content["model"]["classes"]["names"] = [
        dict(name=name, description=f"what is {name}") for name in NAMES]


@pytest.fixture(scope="module")
def classed(make_recipe):
    return make_recipe(named, family="mpcc")


@pytest.fixture(scope="module")
def fitted(classed, fit_once):
    # Names of classes do not change a fit.
    return fit_once("mpcc-unconditional", classed)


@pytest.fixture(scope="module")
def family(fitted):
    return fitted[0]


@pytest.fixture(scope="module")
def run(fitted):
    return fitted[1]


@pytest.fixture(scope="module")
def folder(classed, run, family, tmp_path_factory):
    return export(classed, run, tmp_path_factory.mktemp("hub") / classed.name)


@pytest.fixture(scope="module")
def model(folder):
    return galsim_deep.GenerativeGalaxyModel(folder)


@pytest.fixture(scope="module")
def normal(family):
    return np.random.default_rng(4).standard_normal((COUNT, family.latent_size)).astype(np.float32)


def test_restored_is_what_was_fitted(classed, run, family, normal):
    """What is not trained as well: statistics of norms, norms of kernels."""
    again = restore(classed, run)
    wanted = tf.constant([0, 1, 2, -1, -1, -1])
    for one, other in zip(family.sample_classes(normal, COLUMNS, wanted),
                          again.sample_classes(normal, COLUMNS, wanted), strict=True):
        np.testing.assert_array_equal(one, other)
    latent = tf.constant(normal[:, :family.settings.latent_size])
    np.testing.assert_array_equal(
        family.log_class_probability(latent, COLUMNS),
        again.log_class_probability(latent, COLUMNS))


def test_probe(folder, family):
    module = Module(folder)
    differences = module.probe()
    assert set(differences) == {"sample", "sample (compact graph)", "decode", "prior", "encode"}
    assert all(np.isfinite(list(differences.values())))
    check(module, family)
    with np.load(module.folder / PROBE_PATH) as probe:
        assert probe["sample/inputs/galaxy_class"].tolist() == [-1, 1, 2]


def test_card_names_the_classes(model, family, run):
    classes = model.card.classes
    assert [galaxy_class.name for galaxy_class in classes] == list(model.classes) == NAMES
    assert classes[1].description == "what is odd"
    assert sum(galaxy_class.share for galaxy_class in classes) == pytest.approx(1.0, abs=1e-5)
    assert "classes.png" in model.card.files
    page = (model._module.folder / "README.md").read_text()
    assert all(name in page for name in NAMES)
    picture = tf.io.decode_png((model._module.folder / "classes.png").read_bytes()).numpy()
    assert np.ptp(picture) > 100


@pytest.mark.parametrize("count", [1, COUNT])
def test_a_class_is_what_the_network_makes_of_it(count, folder, family, normal):
    """By the compact graph, which also takes part of a batch."""
    module = Module(folder)
    columns = {name: np.float32(values[:count]) for name, values in TABLE.items()}
    for galaxy_class in range(3):
        asked = np.full(count, galaxy_class, np.int32)
        outputs = module.sample(columns, normal[:count], asked)
        expected = family.sample(tf.constant(normal), COLUMNS,
                                 tf.fill([COUNT], galaxy_class)).numpy()[:count]
        peak = expected.max(axis=(1, 2), keepdims=True)
        # Kernels are kept with 16 bits.
        np.testing.assert_allclose(
            outputs["image"][..., 0] / peak, expected / peak, atol=5e-3)
        assert (outputs["galaxy_class"] == galaxy_class).all()


def test_the_natural_mix_is_what_its_classes_make(model):
    seeds = np.arange(COUNT)
    drawn = model.draw_classes(TABLE, seeds=seeds)
    assert set(drawn) <= {0, 1, 2}
    np.testing.assert_array_equal(
        model.images(TABLE, seeds=seeds), model.images(TABLE, seeds=seeds, galaxy_class=drawn))
    by_name = model.images(TABLE, seeds=seeds, galaxy_class=[NAMES[number] for number in drawn])
    np.testing.assert_array_equal(by_name, model.images(TABLE, seeds=seeds, galaxy_class=drawn))


def test_an_unknown_class_is_refused(model):
    with pytest.raises(galsim.GalSimError, match="0 'plain', 1 'odd'.*spiral"):
        model.sample(TABLE, seeds=range(COUNT), galaxy_class="spiral")


def test_a_row_of_a_batch_is_a_batch_of_one(model):
    seeds = np.arange(COUNT)
    together = np.array(list(model.images(TABLE, seeds=seeds, galaxy_class=1)))
    row = {name: values[3:4] for name, values in TABLE.items()}
    alone, = model.images(row, seeds=seeds[3:4], galaxy_class=1)
    np.testing.assert_allclose(alone, together[3], atol=1e-6 * together[3].max())


def test_what_encode_finds_decodes(folder, dataset, family):
    """Class probabilities sum to one, and ``decode`` takes latents and classes."""
    module, rows = Module(folder), dataset.read(dataset.test_indices[:4])
    columns = {column.name: rows[column.name] for column in family.recipe.columns}
    outputs = module.call("encode", image=rows["stamp"][..., None], psf=rows["psf"][..., None],
                          noise_sigma=rows["noise_sigma"][:, None], **columns)
    log_probability = outputs["log_class_probability"]
    np.testing.assert_allclose(np.exp(log_probability).sum(axis=-1), 1.0, rtol=1e-5)
    image = module.call(
        "decode", latent=outputs["mean"],
        galaxy_class=log_probability.argmax(axis=-1).astype(np.int32), **columns)["image"]
    flux = 10 ** (-0.4 * (columns["mag_auto"] - family.recipe.band.zero_point))
    np.testing.assert_allclose(image.sum(axis=(1, 2, 3)), flux, rtol=1e-4)


def test_prior_says_where_classes_lie(folder, family):
    module, size = Module(folder), family.settings.latent_size
    columns = {name: np.full(3, values[0], np.float32) for name, values in TABLE.items()}
    outputs = module.call("prior", galaxy_class=np.arange(3, dtype=np.int32), **columns)
    mean, deviation = (part[0].numpy() for part in family.prior.components(tf.zeros([1, 0])))
    assert outputs["mean"].shape == (3, size)
    np.testing.assert_allclose(outputs["mean"], mean, atol=1e-3)
    np.testing.assert_allclose(outputs["scale"], deviation, atol=1e-3)
    np.testing.assert_allclose(np.exp(outputs["log_class_probability"]).sum(), 1.0, rtol=1e-3)
