"""What the networks of MPCC compute together."""

import galsim
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from galsim_deep_training.families import make_family
from galsim_deep_training.networks.conditional_batch_norm import ConditionalBatchNorm
from galsim_deep_training.networks.spectral import SpectralConv, SpectralDense, layers_of

pytestmark = pytest.mark.long

COLUMNS = ("flux_radius", "mag_auto", "zphot")


def columns_of(batch, count):
    """``count`` times the columns of the first row of a batch."""
    return {name: tf.repeat(batch[name][:1], count) for name in COLUMNS}


@pytest.fixture
def recorded():
    """``recorded(family)``: a list of the classes and columns that are generated from now on.

    Only the first galaxy of each call is generated.
    """
    def record(family):
        calls, generate = [], family.generate

        def spy(latent, classes, position_angle_latents, columns, noise=None):
            calls.append(dict(classes=np.argmax(classes, axis=-1), **{
                name: value.numpy() for name, value in columns.items()}))
            return generate(latent[:1], classes[:1], position_angle_latents[:1],
                            {name: value[:1] for name, value in columns.items()})

        family.generate = spy
        return calls
    return record


def test_a_shared_trunk(make):
    shared, _ = make("conditional")
    assert shared.encoder_trunk is shared.trunk
    separate, _ = make("own trunk")
    assert separate.encoder_trunk is not separate.trunk


def test_with_one_class_the_prior_is_standard_normal(make):
    family, _ = make("one class")
    normal = tf.constant(np.random.default_rng(1).standard_normal((6, 4)), tf.float32)
    latent = family.prior.draw(normal, tf.ones([6, 1]), tf.zeros([6, 0]))
    np.testing.assert_allclose(latent, normal, rtol=1e-6)


def test_networks_do_not_depend_on_the_flow(make):
    """Recipes with and without the phase ``flow`` share the checkpoints of the other networks."""
    def weights(change):
        family, _ = make("unconditional", change)
        networks = dict(family.networks, trunk=family.trunk, discriminator=family.discriminator)
        return {name: [np.asarray(variable) for variable in network.variables]
                for name, network in networks.items() if name != "flow"}

    def without(content):
        del content["fit"]["flow"]

    def larger(content):
        content["model"]["flow"]["layers"] = 3

    expected = weights(lambda content: None)
    for change in (without, larger):
        found = weights(change)
        assert found.keys() == expected.keys()
        for name, variables in expected.items():
            for variable, other in zip(variables, found[name], strict=True):
                np.testing.assert_array_equal(other, variable, err_msg=name)


def test_missing_columns_are_those_of_the_class(make, awaken, batch_of, recorded):
    """For a requested class they are distributed as for galaxies that are drawn of that class."""
    family, dataset = make("conditional")
    awaken(family.class_weights, size=0.3)
    awaken(family.imputation, size=0.1)
    count, calls = 4000, recorded(family)
    columns = columns_of(batch_of(dataset, 1), count)
    columns.update(mag_auto=tf.fill([count], np.nan), zphot=tf.fill([count], np.nan))
    normal = tf.random.stateless_normal([count, family.latent_size], [1, 2])
    _, natural = family.sample_classes(normal, columns)
    drawn = calls[0]
    for number in range(3):
        requested = tf.where(tf.range(count) < 100, -1, number)
        _, classes = family.sample_classes(normal, columns, requested)
        generated, same = calls[-1], np.asarray(natural == classes)
        np.testing.assert_array_equal(classes[100:], number)
        np.testing.assert_array_equal(classes[:100], natural[:100])
        np.testing.assert_array_equal(generated["flux_radius"], columns["flux_radius"])
        for name in ("mag_auto", "zphot"):
            np.testing.assert_array_equal(generated[name][same], drawn[name][same])
            of_class = drawn[name][np.asarray(natural) == number]
            imputed = generated[name][~same]
            error = np.std(of_class) * np.sqrt(1 / len(of_class) + 1 / len(imputed))
            assert np.mean(imputed) == pytest.approx(np.mean(of_class), abs=5 * error)
            assert np.std(imputed) == pytest.approx(np.std(of_class), rel=0.2)


def test_drawn_classes_are_as_frequent_as_their_weights(make, awaken, batch_of, recorded):
    family, dataset = make("conditional")
    awaken(family.class_weights, size=0.5)
    columns, calls = columns_of(batch_of(dataset, 1), 20000), recorded(family)
    normal = tf.random.stateless_normal([20000, family.latent_size], [1, 2])
    family.sample(normal, columns)
    weights = np.exp(family.log_class_weights(columns, 20000))[0]
    assert np.ptp(weights) > 0.05
    counts = np.bincount(calls[0]["classes"], minlength=3)
    assert stats.chisquare(counts, 20000 * weights / weights.sum()).pvalue > 0.01


@pytest.mark.parametrize("name", ["even", "unconditional"])
def test_a_fitted_generator_treats_rows_independently(name, fit_of):
    """Spectral norms are divided out, and statistics of the normalisation are collected."""
    _, family = fit_of(name)
    layers = layers_of(family.generator, (SpectralConv, SpectralDense))
    assert layers and all(float(layer.norm) == 1.0 for layer in layers)
    norms = layers_of(family.generator, ConditionalBatchNorm)
    assert len(norms) > 1 and all(float(norm.batches) == 16 for norm in norms)
    normal = np.random.default_rng(1).standard_normal((5, family.latent_size)).astype(np.float32)
    columns = dict(flux_radius=tf.fill([5], 4.0), mag_auto=tf.fill([5], 22.0),
                   zphot=tf.fill([5], 0.6))
    together = family.sample(normal, columns).numpy()
    alone = family.sample(normal[2:3], {k: v[:1] for k, v in columns.items()}).numpy()
    np.testing.assert_allclose(alone[0], together[2], atol=1e-6 * together.max())


@pytest.mark.parametrize("model, message", [
    (dict(generator=dict(start=2, noise_maps=[1, 1, 1])),
     "noise_maps has 3 entries.*2 resolutions"),
    (dict(canvas=dict(kind="polar_frame", cells=10, subcells=1), generator=dict(start=5)),
     "canvas.*10 rows")])
def test_sizes_that_do_not_fit_a_polar_grid(model, message, make_recipe):
    def change(content):
        for name, values in model.items():
            content["model"][name].update(values)

    with pytest.raises(galsim.GalSimConfigError, match=message):
        make_family(make_recipe(change, family="mpcc_polar"))


@pytest.fixture(scope="module")
def polar(make_recipe, data_file, awaken):
    from galsim_deep_training.data.dataset import Dataset

    family = make_family(make_recipe(family="mpcc_polar"))
    family.prepare(Dataset(data_file))
    for network in family.networks.values():
        awaken(network)
    return family


@pytest.mark.parametrize("known", [True, False])
def test_requested_classes_on_stamps_of_any_size(known, polar):
    """They are drawn as by `sample`, whose other entries of columns, such as the pixel scale, are
    never missing."""
    normal = tf.constant(np.random.default_rng(4).standard_normal((3, polar.latent_size)),
                         tf.float32)
    columns = dict(flux_radius=tf.constant([2.0, 3.0, 4.0]), mag_auto=tf.fill([3], 22.0),
                   zphot=tf.fill([3], 0.5 if known else np.nan))
    galaxy_class = tf.constant([0, 2, -1])
    described = polar.latents(normal, columns, galaxy_class)
    assert described["galaxy_class"].numpy()[:2].tolist() == [0, 2]
    assert np.all(np.diff(described["extent"]) > 0)
    scale = tf.fill([3], polar.recipe.stamp.pixel_scale)
    drawn = polar.draw(32, described["latent"], scale).numpy()
    images, numbers = polar.sample_classes(
        normal, dict(columns, pixel_scale=scale), galaxy_class)
    np.testing.assert_array_equal(numbers, described["galaxy_class"])
    middle = np.s_[:, 12:20, 12:20]
    for one, other in zip(drawn[middle], images.numpy()[middle], strict=True):
        np.testing.assert_allclose(one / one.sum(), other / other.sum(), atol=1e-4)
