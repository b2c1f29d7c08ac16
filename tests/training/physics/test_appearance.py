"""What galaxies look like in a few numbers."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.physics.appearance import NAMES, appearance

SIZE = 64


def drawn(profile, **shape):
    """Without pixel, in the middle of the stamp, [1, S, S]."""
    return profile.shear(galsim.Shear(**shape)).drawImage(
        nx=SIZE, ny=SIZE, scale=1.0, method="no_pixel").array[None]


def disc(radius=6.0, **shape):
    return drawn(galsim.Exponential(half_light_radius=radius), **shape)


def measured(profiles, radius=6.0):
    """{name: [N]}."""
    found = appearance(tf.constant(profiles, tf.float32), tf.fill([len(profiles)], radius))
    assert found.shape == (len(profiles), len(NAMES))
    return dict(zip(NAMES, found.numpy().T, strict=True))


def with_knots(seed=0, share=0.1):
    place = np.random.default_rng(seed).normal(0, 5, (8, 2))
    knots = sum(drawn(galsim.Gaussian(sigma=1.0).shift(*at)) for at in place) / 8
    return (1 - share) * disc() + share * knots


def test_flux_does_not_matter():
    one, other = measured(disc()), measured(300 * disc())
    for name in NAMES:
        np.testing.assert_allclose(one[name], other[name], atol=1e-3, err_msg=name)


@pytest.mark.parametrize("change", [
    lambda image: image[:, ::-1], lambda image: image.transpose(0, 2, 1),
    lambda image: np.rot90(image, 1, (1, 2))])
def test_position_angle_and_handedness_do_not_matter(change):
    image = with_knots()
    one, other = measured(image), measured(change(image).copy())
    for name in NAMES:
        np.testing.assert_allclose(one[name], other[name], atol=1e-3, err_msg=name)


def test_a_larger_galaxy_that_is_asked_for_looks_the_same():
    one, other = measured(disc(5.0), 5.0), measured(disc(7.0), 7.0)
    for name in [name for name in NAMES if name.startswith("inside")]:
        np.testing.assert_allclose(one[name], other[name], atol=0.07, err_msg=name)


def test_light_inside_circles():
    image = disc()
    y, x = np.indices((SIZE, SIZE)) - 31.5
    share = (image[0] * (np.hypot(x, y) < 1.5 * 6.0)).sum() / image.sum()
    found = measured(image)["inside_1.5"]
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), share, atol=0.01)


def test_elongation_grows_with_shear():
    images = np.concatenate([disc(g1=g) for g in (0.0, 0.2, 0.4)])
    for name in ("elongation_0.7", "elongation_1.5"):
        found = measured(images)[name]
        assert found[0] < 0.02 and np.all(np.diff(found) > 0.03)


def test_knots_show():
    smooth, knotty = measured(disc()), measured(with_knots())
    for n in range(4):
        assert knotty[f"asymmetry_{n}"] > smooth[f"asymmetry_{n}"] + 3
    many = measured(np.concatenate([with_knots(share=share) for share in (0.05, 0.1, 0.2)]))
    # Power is a square.
    np.testing.assert_allclose(np.diff(many["asymmetry_2"]), 2 * np.log(2), atol=0.1)


def test_peak():
    found = measured(np.concatenate([disc(6.0), drawn(galsim.DeVaucouleurs(6.0, flux=1.0))]))
    assert found["peak"][1] > found["peak"][0] + 1


def test_gradients_are_finite():
    """Also of a galaxy that is quite round and symmetric."""
    images = tf.constant(np.concatenate([disc(), with_knots()]), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(appearance(images, tf.fill([2], 6.0)))
    assert np.isfinite(tape.gradient(total, images)).all()
