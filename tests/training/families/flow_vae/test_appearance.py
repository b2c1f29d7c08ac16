"""Summary statistics: their invariances, and known values for known profiles."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.flow_vae.appearance import NAMES, appearance

SIZE = 64


def drawn(profile, **shape):
    """A profile without pixel, centred on the stamp, [1, S, S]."""
    return profile.shear(galsim.Shear(**shape)).drawImage(
        nx=SIZE, ny=SIZE, scale=1.0, method="no_pixel").array[None]


def disc(radius=6.0, **shape):
    return drawn(galsim.Exponential(half_light_radius=radius), **shape)


def measured(profiles, radius=6.0):
    """The statistics by name, [N] each."""
    statistics = appearance(tf.constant(profiles, tf.float32), tf.fill([len(profiles)], radius))
    assert statistics.shape == (len(profiles), len(NAMES))
    return dict(zip(NAMES, statistics.numpy().T, strict=True))


def with_knots(seed=0, fraction=0.1):
    positions = np.random.default_rng(seed).normal(0, 5, (8, 2))
    knots = sum(drawn(galsim.Gaussian(sigma=1.0).shift(*xy)) for xy in positions) / 8
    return (1 - fraction) * disc() + fraction * knots


def assert_same(first, second, names=NAMES, atol=1e-3):
    for name in names:
        np.testing.assert_allclose(first[name], second[name], atol=atol, err_msg=name)


def test_invariant_under_flux():
    assert_same(measured(disc()), measured(300 * disc()))


@pytest.mark.parametrize("change", [
    lambda image: image[:, ::-1], lambda image: image.transpose(0, 2, 1),
    lambda image: np.rot90(image, 1, (1, 2))])
def test_invariant_under_rotation_and_reflection(change):
    image = with_knots()
    assert_same(measured(image), measured(change(image).copy()))


def test_apertures_scale_with_the_radius():
    names = [name for name in NAMES if name.startswith("inside")]
    assert_same(measured(disc(5.0), 5.0), measured(disc(7.0), 7.0), names, atol=0.07)


def test_light_within_an_aperture():
    image = disc()
    y, x = np.indices((SIZE, SIZE)) - 31.5
    fraction = (image[0] * (np.hypot(x, y) < 1.5 * 6.0)).sum() / image.sum()
    logit = measured(image)["inside_1.5"]
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), fraction, atol=0.01)


@pytest.mark.parametrize("name", ["ellipticity_0.7", "ellipticity_1.5"])
def test_ellipticity_grows_with_shear(name):
    ellipticity = measured(np.concatenate([disc(g1=g) for g in (0.0, 0.2, 0.4)]))[name]
    assert ellipticity[0] < 0.02 and np.all(np.diff(ellipticity) > 0.03)


def test_knots_make_profiles_asymmetric():
    smooth, knotty = measured(disc()), measured(with_knots())
    for n in range(4):
        assert knotty[f"asymmetry_{n}"] > smooth[f"asymmetry_{n}"] + 3
    fractions = np.concatenate([with_knots(fraction=fraction) for fraction in (0.05, 0.1, 0.2)])
    # Power is quadratic in the light.
    np.testing.assert_allclose(
        np.diff(measured(fractions)["asymmetry_2"]), 2 * np.log(2), atol=0.1)


def test_concentrated_profiles_have_a_higher_peak():
    peak = measured(np.concatenate([disc(6.0), drawn(galsim.DeVaucouleurs(6.0, flux=1.0))]))["peak"]
    assert peak[1] > peak[0] + 1


def test_gradients_are_finite_for_round_and_symmetric_profiles_too():
    images = tf.constant(np.concatenate([disc(), with_knots()]), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(appearance(images, tf.fill([2], 6.0)))
    assert np.isfinite(tape.gradient(total, images)).all()
