"""What the networks of the Flow-VAE compute together."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families import make_family


def columns_of(family, batch):
    return {column.name: batch[column.name] for column in family.recipe.columns}


def test_columns_that_are_given_stay(tiny):
    family, batch = tiny
    columns = columns_of(family, batch)
    for name, values in family.imputed(columns).items():
        np.testing.assert_array_equal(values, columns[name])


@pytest.mark.long
@pytest.mark.parametrize("missing", [["zphot"], ["flux_radius"], ["mag_auto"],
                                     ["flux_radius", "mag_auto", "zphot"]])
def test_columns_that_are_missing_are_drawn(tiny, missing):
    family, batch = tiny
    columns = columns_of(family, batch)
    for name in missing:
        columns[name] = tf.fill([4], np.nan)
    normal = tf.random.stateless_normal([4, family.latent_size], (1, 1))
    image = family.sample(normal, columns).numpy()
    assert np.all(np.isfinite(image)) and np.all(image.sum(axis=(1, 2)) > 0)
    other = family.sample(tf.concat([normal[:, :-3], -normal[:, -3:]], axis=1), columns).numpy()
    assert np.abs(image - other).max() > 1e-4 * image.max()
    imputed = family.imputed(columns, normal[:, -3:])
    limits = zip(family.conditions.lowest.numpy(), family.conditions.highest.numpy(), strict=True)
    for column, (low, high) in zip(family.recipe.columns, limits, strict=True):
        values = imputed[column.name].numpy()
        if column.name in missing:
            assert np.all((values >= low) & (values <= high))
        else:
            np.testing.assert_array_equal(values, columns[column.name])


@pytest.mark.long
def test_the_sampled_position_angle_is_that_of_two_numbers(tiny):
    """Isotropic by construction: the rest of the galaxy does not know of it."""
    family, batch = tiny
    columns = columns_of(family, batch)
    normal = tf.random.stateless_normal([4, family.latent_size], (2, 2))
    image = family.sample(normal, columns).numpy()
    quarter = tf.concat([-normal[:, 1:2], normal[:, :1], normal[:, 2:]], axis=1)
    turned = family.sample(quarter, columns).numpy()
    peak = image.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(turned / peak, np.rot90(image, -1, axes=(1, 2)) / peak, atol=5e-3)


@pytest.mark.long
def test_refinement_finds_more_probable_latents(tiny):
    from galsim_deep_training.physics.convolution import convolve, psf_transfer
    from galsim_deep_training.physics.likelihood import fourier_chi_square

    family, batch = tiny
    columns = columns_of(family, batch)

    def negative_log_likelihood(latent):
        models = convolve(family.decode(latent, columns), psf_transfer(batch["psf"], 32))
        chi = fourier_chi_square(
            batch["stamp"], models, batch["noise_sigma"], family.noise.spectrum())
        return (chi + tf.reduce_sum(latent**2, axis=-1)).numpy()

    args = batch["stamp"], batch["psf"], batch["noise_sigma"], columns
    guess, scale = family.encode(*args)
    refined, same = family.encode(*args, refinement=20)
    np.testing.assert_array_equal(scale, same)
    assert np.all(negative_log_likelihood(refined) < negative_log_likelihood(guess))


@pytest.mark.long
def test_refinement_gets_to_a_flux_that_the_catalogue_has_wrong(tiny, monkeypatch):
    """However sure the encoder is of it."""
    family, batch = tiny
    columns = columns_of(family, batch)
    columns["mag_auto"] = columns["mag_auto"] + 0.3  # brighter than it says
    encode = family.autoencoder.encode

    def surely(*args):
        mean, scale = encode(*args)
        return mean, tf.fill(tf.shape(scale), 0.02)

    monkeypatch.setattr(family.autoencoder, "encode", surely)
    args = batch["stamp"], batch["psf"], batch["noise_sigma"], columns
    (before, _), (after, _) = (family.encode(*args, refinement=steps) for steps in (0, 20))
    flux = family.autoencoder.pose_size - 1
    moved = (after - before).numpy()[:, flux]
    assert np.median(moved) > 0.5


@pytest.mark.long
def test_what_is_measured_is_not_refined(tiny):
    family, batch = tiny
    args = batch["stamp"], batch["psf"], batch["noise_sigma"], batch
    (before, _), (after, _) = (family.encode(*args, refinement=steps) for steps in (0, 4))
    held = family.autoencoder.position_angle_size
    np.testing.assert_array_equal(after[:, :held], before[:, :held])
    assert np.all(np.abs(after[:, held:] - before[:, held:]).max(axis=1) > 1e-3)


@pytest.mark.long
@pytest.mark.parametrize("name", ["stamp", "psf", "noise_sigma"])
def test_garbage_leaves_the_other_galaxies_alone(tiny, name):
    family, batch = tiny
    clean = {key: value.numpy() for key, value in batch.items()}
    spoilt = dict(clean, **{name: clean[name].copy()})
    spoilt[name][1] = np.nan
    (good, _), (found, _) = (
        family.encode(*(tf.constant(one[key]) for key in ("stamp", "psf", "noise_sigma")),
                      columns_of(family, batch), refinement=2) for one in (clean, spoilt))
    assert np.isnan(found[1]).any()
    for row in (0, 2, 3):
        np.testing.assert_allclose(found[row], good[row], atol=1e-4)


@pytest.mark.long
def test_settings_of_one_network_do_not_decide_how_the_others_start(make_recipe):
    def start(part, names, **settings):
        family = make_family(make_recipe(lambda c: c["model"][part].update(settings)))
        return [w for name in names for w in family.networks[name].get_weights()]

    for part, change, names in [
            ("detail_flow", dict(layers=3), ("encoder", "decoder", "imputation")),
            ("flow", dict(hidden=9), ("encoder", "decoder", "imputation")),
            ("autoencoder", dict(hidden=9), ("imputation",))]:
        for one, other in zip(start(part, names), start(part, names, **change), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_densities_are_float32_whatever_the_precision(make_recipe):
    family = make_family(make_recipe(lambda c: None), precision="mixed_bfloat16")
    assert any(layer.compute_dtype == "bfloat16"
               for layer in family.autoencoder.decoder._flatten_layers())
    for flow in family.prior.flows:
        assert {layer.compute_dtype for layer in flow._flatten_layers()} == {"float32"}


@pytest.mark.long
def test_refinement_of_a_galaxy_does_not_depend_on_the_others(tiny):
    family, batch = tiny
    columns = columns_of(family, batch)
    args = batch["stamp"], batch["psf"], batch["noise_sigma"]
    together, _ = family.encode(*args, columns, refinement=5)
    alone, _ = family.encode(*(value[:1] for value in args),
                             {name: value[:1] for name, value in columns.items()}, refinement=5)
    np.testing.assert_allclose(alone, together[:1], atol=2e-3)


@pytest.mark.long
def test_log_prob_is_that_of_the_prior_but_for_the_pose(tiny):
    family, batch = tiny
    columns = columns_of(family, batch)
    auto = family.autoencoder
    latent = tf.random.stateless_normal([4, auto.latent_size], (3, 3))
    found = family.log_prob(latent, columns).numpy()
    expected = family.prior.log_prob(latent[:, auto.pose_size:], family.conditions(columns)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # Where the galaxy lies on the stamp is no property of it.
    moved = tf.concat([latent[:, :auto.pose_size] + 1.0, latent[:, auto.pose_size:]], axis=1)
    np.testing.assert_array_equal(family.log_prob(moved, columns), found)
