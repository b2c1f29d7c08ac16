"""What every autoencoder promises, checked for each that is registered."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.flow_vae.autoencoders import FlowAutoencoder
from galsim_deep_training.families.flow_vae.autoencoders.base import AnySizeAutoencoder
from galsim_deep_training.fitting.precision import under_policy
from galsim_deep_training.networks.conditions import Conditions

# Every registered autoencoder needs an entry.
TINY = {
    "galaxy_frame": dict(latent_size=4, psf_radius=2.0, cells=8, core_cells=4,
                         channels=[8, 8, 4], maps=[2, 1, 1], encoder_channels=[4, 4, 4], hidden=16,
                         start=4),
    "lanusse2021": dict(latent_size=4, depth=4, max_depth=8, stages=3, blocks=1),
    "polar_frame": dict(latent_size=4, rows=16, channels=[6, 4, 4, 4], maps=[2, 1, 1, 0],
                        encoder_channels=[4, 4, 4], hidden=16, start=4),
}


def make_autoencoder(kind, settings, recipe, conditions):
    choice = FlowAutoencoder.choose(dict(settings, kind=kind), recipe, "model.autoencoder")
    return choice.make(recipe, conditions)


def normal(autoencoder, seed=3):
    return tf.constant(np.random.default_rng(seed).standard_normal(
        (5, autoencoder.latent_size)), tf.float32)


@pytest.fixture(scope="module", params=sorted(FlowAutoencoder.kinds()))
def autoencoder(request, recipe, dataset_file, awaken):
    conditions = Conditions(recipe.columns)
    conditions.adapt({name: values[dataset_file.train_indices]
                   for name, values in dataset_file.columns.items()})
    made = make_autoencoder(request.param, TINY[request.param], recipe, conditions)
    made.prepare(dataset_file)
    made.infer(read(dataset_file), normal(made), 0.5)
    for network in made.networks.values():
        awaken(network)
    return made


@pytest.fixture(scope="module")
def dataset_file(data_file):
    from galsim_deep_training.data.dataset import Dataset

    return Dataset(data_file)


@pytest.fixture(scope="module")
def batch(dataset_file):
    return read(dataset_file)


def read(dataset):
    return {name: tf.constant(value)
            for name, value in dataset.read(dataset.test_indices[:5]).items()}


def encoded(autoencoder, batch):
    return autoencoder.encode(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)


def test_sizes_add_up(autoencoder, batch):
    mean, scale = encoded(autoencoder, batch)
    assert mean.shape == scale.shape == (5, autoencoder.latent_size)
    assert np.all(scale.numpy() > 0)
    assert 0 <= autoencoder.position_angle_size <= autoencoder.pose_size


def test_what_is_generated_is_decoded_with_no_more_of_a_pose_than_an_angle(autoencoder, batch):
    latent = normal(autoencoder).numpy()
    angle, shape = (tf.constant(part) for part in (
        latent[:, :autoencoder.position_angle_size], latent[:, autoencoder.pose_size:]))
    offsets, tolerance = 0.0, 1e-5
    if isinstance(autoencoder, AnySizeAutoencoder):
        # The blur of the envelope by a pixel depends a little on the size before the imposed one.
        offsets, tolerance = imposed_offsets(autoencoder, angle, shape, batch), 0.02
    latent[:, autoencoder.position_angle_size:autoencoder.pose_size] = offsets
    found = autoencoder.generate(angle, shape, batch).numpy()
    expected = autoencoder.decode(tf.constant(latent), batch).numpy()
    assert found.shape == batch["stamp"].shape
    np.testing.assert_allclose(found, expected, atol=tolerance * expected.max())


def imposed_offsets(autoencoder, angle, shape, batch):
    """Latents of shift, size and flux that move and scale galaxies as `generate` does."""
    galaxies = autoencoder._galaxies(angle, shape, batch, None)
    radius = autoencoder.recipe.half_light_radius(batch)
    plain = radius * galaxies.orientation.major_axis_factor
    scales = np.array([galaxies.unit / plain, galaxies.flux / autoencoder.recipe.flux(batch)])
    settings = autoencoder.settings
    return np.concatenate([galaxies.shift / settings.shift_scale,
                           np.log(scales).T / settings.pose_scale], axis=1)


def test_inference(autoencoder, batch):
    found = autoencoder.infer(batch, normal(autoencoder), 0.5)
    assert found.profiles.shape == batch["stamp"].shape
    assert np.all(np.isfinite(found.profiles)) and np.all(found.profiles.numpy() >= 0)
    assert "vector" in found.kl
    for part in found.kl.values():
        assert part.shape == (5,) and np.all(part.numpy() >= 0)
    for penalty in found.penalties.values():
        assert np.isfinite(penalty)


def test_the_normal_numbers_decide(autoencoder, batch):
    one, same, other = (autoencoder.infer(batch, normal(autoencoder, seed), 0.5).profiles.numpy()
                        for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-4 * one.max()


def test_means_decoded_are_what_is_inferred_without_noise(autoencoder, batch):
    mean, _ = encoded(autoencoder, batch)
    decoded = autoencoder.decode(mean, batch).numpy()
    inferred = autoencoder.infer(batch, tf.zeros_like(mean), 1.0).profiles.numpy()
    np.testing.assert_allclose(decoded, inferred, atol=1e-5 * inferred.max())


def test_every_part_of_the_latent_counts(autoencoder, batch):
    mean, _ = encoded(autoencoder, batch)
    before = autoencoder.decode(mean, batch).numpy()
    edges = np.cumsum([0, autoencoder.pose_size, autoencoder.vector_size,
                       autoencoder.detail_size])
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        if stop > start:
            changed = mean.numpy().copy()
            changed[:, start:stop] += np.linspace(0.5, 1.0, stop - start)
            after = autoencoder.decode(tf.constant(changed), batch).numpy()
            assert np.abs(after - before).max() > 1e-4 * before.max()


def test_the_psf_counts(autoencoder, batch):
    mean, _ = encoded(autoencoder, batch)
    other, _ = encoded(autoencoder, dict(batch, psf=tf.roll(batch["psf"], 2, axis=1)))
    assert np.abs(mean - other).max() > 1e-5


def test_units_of_flux_do_not_count(autoencoder, batch):
    """The same galaxy a hundred times brighter, in noise a hundred times as strong."""
    mean, _ = encoded(autoencoder, batch)
    brighter = dict(batch, mag_auto=batch["mag_auto"] - 5.0,
                    **{name: 100.0 * batch[name] for name in ("stamp", "noise_sigma")})
    # The magnitude itself is seen as well, so this one is held.
    conditions = autoencoder.conditions
    autoencoder.conditions = lambda columns: conditions(batch)
    try:
        other, _ = encoded(autoencoder, brighter)
    finally:
        autoencoder.conditions = conditions
    np.testing.assert_allclose(other, mean, atol=1e-3)


def test_a_turned_stamp_has_a_turned_profile(autoencoder, batch):
    """By a quarter, which needs no interpolation."""
    if autoencoder.position_angle_size == 0:
        pytest.skip(f"{autoencoder.kind} does not know about position angles")
    turned = dict(batch, stamp=tf.image.rot90(batch["stamp"][..., None])[..., 0],
                  psf=tf.image.rot90(batch["psf"][..., None])[..., 0])
    before, after = encoded(autoencoder, batch)[0].numpy(), encoded(autoencoder, turned)[0].numpy()
    plain = autoencoder.decode(tf.constant(before), batch)
    wanted = tf.image.rot90(plain[..., None])[..., 0].numpy()
    found = autoencoder.decode(tf.constant(after), turned).numpy()
    np.testing.assert_allclose(after[:, :2], before[:, 1::-1] * [1, -1], atol=1e-3)
    np.testing.assert_allclose(found, wanted, atol=5e-3 * wanted.max())


def test_a_stamp_seen_in_a_mirror_has_a_mirrored_profile(autoencoder, batch):
    if autoencoder.position_angle_size == 0:
        pytest.skip(f"{autoencoder.kind} does not know about position angles")
    mirrored = dict(batch, stamp=batch["stamp"][:, ::-1], psf=batch["psf"][:, ::-1])
    before, after = encoded(autoencoder, batch)[0], encoded(autoencoder, mirrored)[0]
    wanted = autoencoder.decode(before, batch).numpy()[:, ::-1]
    found = autoencoder.decode(after, mirrored).numpy()
    np.testing.assert_allclose(found, wanted, atol=5e-3 * wanted.max())


@pytest.mark.long
@pytest.mark.parametrize("precision, error", [("mixed_bfloat16", 0.1), ("mixed_float16", 0.02)])
def test_in_16_bits_it_is_the_same_but_for_rounding(autoencoder, recipe, dataset_file, batch,
                                                    precision, error):
    with under_policy(precision):
        made = make_autoencoder(
            autoencoder.kind, TINY[autoencoder.kind], recipe, autoencoder.conditions)
        made.prepare(dataset_file)
        found = made.infer(batch, normal(made), 1.0)
    assert any(layer.compute_dtype != "float32" for network in made.networks.values()
               for layer in network._flatten_layers())
    for name, network in made.networks.items():
        network.set_weights(autoencoder.networks[name].get_weights())
    found = made.infer(batch, normal(made), 1.0)
    expected = autoencoder.infer(batch, normal(made), 1.0)
    assert found.profiles.dtype == tf.float32
    difference = np.abs(found.profiles - expected.profiles).sum(axis=(1, 2))
    assert np.all(difference < error * expected.profiles.numpy().sum(axis=(1, 2)))
    for name, value in found.kl.items():
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value, expected.kl[name], rtol=error, atol=error)


def test_what_is_not_there_is_refused(recipe):
    with pytest.raises(galsim.GalSimConfigError, match="galaxy_frame"):
        make_autoencoder("nothing", {}, recipe, None)
    with pytest.raises(galsim.GalSimConfigError, match="no_such"):
        make_autoencoder("galaxy_frame", dict(no_such=1), recipe, None)
