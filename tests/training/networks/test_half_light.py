import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.half_light import measured_radius
from galsim_deep_training.networks.frame import GalaxyFrame
from galsim_deep_training.networks.half_light import HalfLight

PSF = galsim.Convolve(galsim.Moffat(beta=3.0, fwhm=2.9), galsim.Pixel(1.0))


@pytest.fixture(scope="module")
def frame():
    return GalaxyFrame(128, reach=5.0)


@pytest.fixture(scope="module")
def half_light(frame):
    layer = HalfLight([frame])
    layer.adapt(PSF.drawImage(nx=65, ny=65, scale=1.0, method="no_pixel", dtype=float).array)
    return layer


def exponential(frame):
    return np.exp(-1.678 * np.hypot(frame.x, frame.y))


def flattened_with_a_knot(frame):
    disc = np.exp(-1.678 * np.hypot(frame.x, 2.5 * frame.y))
    return disc + 0.4 * np.exp(-0.5 * ((frame.x - 0.9) ** 2 + (frame.y - 0.1) ** 2) / 0.04)


def concentrated(frame):
    return np.exp(-5.0 * np.sqrt(np.hypot(frame.x, frame.y)))


@pytest.mark.parametrize("kind", [exponential, flattened_with_a_knot, concentrated])
@pytest.mark.parametrize("size", [3.4, 5.0, 8.0, 14.0, 25.0])
def test_convolved_with_the_psf_a_shape_has_the_asked_radius(frame, half_light, kind, size):
    shape = kind(frame)
    shape = (shape / shape.sum()).astype(np.float32)[None]
    middle = tf.constant([[(shape[0] * frame.x).sum(), (shape[0] * frame.y).sum()]], tf.float32)
    scale = tf.constant([np.sqrt(size**2 - 6.0)], tf.float32)
    factor = half_light([shape], middle, tf.constant([size], tf.float32), scale)
    scale *= factor
    stamp = frame.to_stamp(shape, scale, -scale[:, None] * middle).numpy()[0].astype(float)
    observed = galsim.Convolve(
        galsim.InterpolatedImage(galsim.Image(stamp, scale=1.0)), PSF).drawImage(
            nx=128, ny=128, scale=1.0, method="no_pixel", dtype=float).array
    assert np.isclose(measured_radius(observed), size, rtol=0.015)


def test_light_counts_the_same_in_whichever_frame_it_is(frame, half_light):
    close = GalaxyFrame(128, cells=80, reach=2.0)
    both = HalfLight([frame, close])
    both.table.assign(half_light.table)
    disc, inside = exponential(frame), np.hypot(close.x, close.y) < 1.5
    whole = (disc / disc.sum()).astype(np.float32)
    outside = np.where(np.hypot(frame.x, frame.y) < 1.5, 0.0, whole).astype(np.float32)
    middle = np.where(inside, exponential(close), 0.0)
    middle *= (1.0 - outside.sum()) / middle.sum()
    size, scale = tf.constant([8.0]), tf.constant([7.0])
    for x in (0.0, 0.2):
        centre = tf.constant([[x, -x]])
        one = half_light([whole[None]], centre, size, scale)
        other = both([outside[None], middle[None].astype(np.float32)], centre, size, scale)
        np.testing.assert_allclose(one, other, rtol=5e-3)


def test_a_shape_drawn_larger_needs_to_grow_less(frame, half_light):
    shape = exponential(frame)
    shape = np.repeat((shape / shape.sum()).astype(np.float32)[None], 2, axis=0)
    factor = half_light([shape], tf.zeros([2, 2]), tf.constant([8.0, 8.0]),
                        tf.constant([6.0, 9.0])).numpy()
    assert np.isclose(factor[0] / factor[1], 1.5, rtol=0.01)


def test_what_cannot_be_had_is_limited(frame, half_light):
    shape = exponential(frame)
    shape = np.repeat((shape / shape.sum()).astype(np.float32)[None], 2, axis=0)
    # Smaller than the PSF itself; far larger than the scale allows.
    factor = half_light([shape], tf.zeros([2, 2]), tf.constant([1.0, 40.0]),
                        tf.constant([4.0, 4.0])).numpy()
    assert np.allclose(factor, [0.4, 2.5])


def test_gradient_reaches_the_shape(frame, half_light):
    shape = tf.Variable(exponential(frame)[None].astype(np.float32))
    with tf.GradientTape() as tape:
        light = shape / tf.reduce_sum(shape)
        factor = half_light([light], tf.zeros([1, 2]), tf.constant([6.0]), tf.constant([5.0]))
    gradient = tape.gradient(factor, shape).numpy()
    assert np.isfinite(gradient).all()
    # Light added outside makes a shape larger, so it is drawn smaller.
    assert gradient[0, 48, 80] < 0 < gradient[0, 48, 48]


@pytest.mark.parametrize("what", ["shape", "centre", "size", "scale"])
def test_what_is_not_a_number_leaves_the_other_galaxies_alone(frame, half_light, what):
    shape = (exponential(frame) / exponential(frame).sum()).astype(np.float32)
    given = dict(shape=np.stack([shape, shape]), centre=np.zeros((2, 2), np.float32),
                 size=np.full(2, 8.0, np.float32), scale=np.full(2, 7.0, np.float32))

    def factors():
        return half_light([tf.constant(given["shape"])], tf.constant(given["centre"]),
                          tf.constant(given["size"]), tf.constant(given["scale"])).numpy()

    whole = factors()
    given[what][1] = np.nan
    assert factors()[0] == whole[0]
