import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.frame import GalaxyFrame, _cubic

STAMP = 64


def matrix(*entries):
    return tf.constant(np.reshape(entries, (1, 2, 2)), tf.float32)


def turn(degrees):
    """What lies in this direction comes to lie along x."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return matrix(cosine, -sine, sine, cosine)


@pytest.fixture(scope="module")
def frame():
    return GalaxyFrame(STAMP, cells=48, reach=4.0)


def gaussian(frame, x=0.0, y=0.0, sigma_x=0.8, sigma_y=0.8):
    shape = np.exp(-0.5 * (((frame.x - x) / sigma_x) ** 2 + ((frame.y - y) / sigma_y) ** 2))
    return (shape / shape.sum()).astype(np.float32)[None]


def moments(image):
    """Centroid and second moments of a stamp about its middle: x, y, xx, yy, xy."""
    y, x = np.indices(image.shape) - 0.5 * (len(image) - 1)
    total = image.sum()
    cx, cy = (image * x).sum() / total, (image * y).sum() / total
    return (cx, cy, *((image * a * b).sum() / total
                      for a, b in [(x - cx, x - cx), (y - cy, y - cy), (x - cx, y - cy)]))


def test_axis_is_centred_and_spans_the_reach(frame):
    assert frame.axis.shape == (48,)
    assert np.isclose(frame.axis.sum(), 0, atol=1e-5)
    assert np.isclose(frame.axis[-1] + frame.step / 2, 4.0)


@pytest.mark.parametrize("scale", [1.5, 3.0, 6.0, 9.0])
def test_laid_on_a_stamp_flux_position_and_width_are_kept(frame, scale):
    image = frame.to_stamp(gaussian(frame), tf.constant([scale]), tf.constant([[1.3, -0.4]]))
    assert image.shape == (1, STAMP, STAMP)
    image = image.numpy()[0]
    x, y, xx, yy, xy = moments(image)
    assert np.isclose(image.sum(), 1.0, rtol=2e-3)
    assert np.allclose([x, y], [1.3, -0.4], atol=0.02)
    assert np.allclose([xx, yy], (0.8 * scale) ** 2, rtol=0.02)
    assert abs(xy) < 0.01 * xx


@pytest.mark.parametrize("scale", [2.0, 5.7, 6.3, 7.1])
def test_a_uniform_sheet_of_light_stays_uniform(frame, scale):
    sheet = np.full((1, 48, 48), 1.0, np.float32)
    image = frame.to_stamp(sheet, tf.constant([scale]), tf.zeros([1, 2])).numpy()[0]
    middle = image[STAMP // 2 - 4:STAMP // 2 + 4, STAMP // 2 - 4:STAMP // 2 + 4]
    # Flux in a pixel: that of a cell times their ratio of areas.
    assert np.allclose(middle, 1.0 / (frame.step * scale) ** 2, rtol=5e-3)


def test_seen_from_a_stamp_and_laid_on_it_again_is_the_same(frame):
    scale = tf.constant([4.0])
    y, x = np.indices((STAMP, STAMP)) - 0.5 * (STAMP - 1)
    stamp = np.exp(-0.5 * ((x / 4) ** 2 + ((y - 2) / 3) ** 2)).astype(np.float32)[None]
    seen = frame.from_stamp(stamp, scale)
    area = (frame.step * 4.0) ** 2
    again = frame.to_stamp(seen * area, scale, tf.zeros([1, 2])).numpy()
    assert np.allclose(again, stamp, atol=0.01)


def test_an_image_of_another_size_keeps_its_middle(frame):
    psf = np.zeros((1, 21, 21), np.float32)
    psf[0, 10, 10] = 1.0
    seen = frame.from_stamp(psf, tf.constant([3.0])).numpy()[0]
    assert np.allclose(seen, seen[::-1, ::-1], atol=1e-6)
    assert seen.max() == seen[23:25, 23:25].max()


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 250])
def test_turning_brings_the_given_direction_along_x(frame, degrees):
    angle = np.radians(degrees)
    bar = 1.5 * np.array([np.cos(angle), np.sin(angle)])
    blob = gaussian(frame, *bar, sigma_x=0.3, sigma_y=0.3)
    turned = frame.resample(blob, turn(degrees)).numpy()[0]
    x, y, *_ = moments(turned)
    assert np.allclose([x * frame.step, y * frame.step], [1.5, 0.0], atol=0.01)
    assert np.isclose(turned.sum(), 1.0, rtol=2e-3)


def test_turning_forth_and_back_is_the_identity_but_for_interpolation(frame):
    shape = gaussian(frame, 0.4, -0.2, 1.0, 0.5)
    again = frame.resample(frame.resample(shape, turn(37)), turn(-37)).numpy()
    assert np.allclose(again, shape, atol=0.05 * shape.max())


@pytest.mark.parametrize("degrees", [0, 53, 200])
def test_laying_is_resampling_in_other_operations(frame, degrees):
    shape = np.random.default_rng(1).uniform(size=(2, 48, 48)).astype(np.float32)
    both = tf.tile(turn(degrees), [2, 1, 1])
    np.testing.assert_allclose(frame.lay(shape, both), frame.resample(shape, both), atol=2e-3)
    # Several images of one galaxy at once.
    several = frame.resample(np.stack([shape, 2 * shape], axis=-1), both)
    np.testing.assert_allclose(several[..., 1], 2 * frame.resample(shape, both), atol=1e-5)


def test_an_unknown_direction_leaves_an_image_as_it_is(frame):
    shape = gaussian(frame, 0.4, -0.2, 1.0, 0.5)
    for way in (frame.lay, frame.resample):
        np.testing.assert_allclose(way(shape, matrix(np.nan, 0.0, 0.0, 1.0)), shape, atol=1e-6)


def test_stretching_and_mirroring(frame):
    blob = gaussian(frame, 0.6, 0.4, 0.6, 0.5)
    squeezed = frame.resample(blob, matrix(1.0, 0.0, 0.0, -2.0)).numpy()[0]
    x, y, xx, yy, _ = moments(squeezed)
    assert np.allclose([x * frame.step, y * frame.step], [0.6, -0.2], atol=0.01)
    assert np.isclose(xx / yy, (0.6 / 0.25) ** 2, rtol=0.05)
    assert np.isclose(squeezed.sum(), 0.5, rtol=2e-3)


@pytest.mark.parametrize("ratio", [0.15, 0.3, 0.6, 0.85, 1.0, 1.3])
def test_squeezed_a_shape_keeps_its_flux_wherever_it_is(frame, ratio):
    shapes = np.zeros((10, 48, 48), np.float32)
    for row, shape in enumerate(shapes):
        shape[19 + row, 21] = 1.0
    squeezed = frame.squeeze(shapes, tf.fill([10], ratio)).numpy()
    np.testing.assert_allclose(squeezed.sum(axis=(1, 2)), 1.0, rtol=0.06)
    for row, image in enumerate(squeezed):
        middle = (image.sum(axis=1) @ frame.axis) / image.sum()
        assert middle == pytest.approx(ratio * frame.axis[19 + row], abs=0.2 * frame.step)
    long = gaussian(frame, 0.3, 0.4, 0.6, 0.7)
    narrow = frame.squeeze(long, tf.constant([ratio])).numpy()[0]
    x, y, xx, yy, _ = moments(narrow)
    assert np.allclose([x * frame.step, y * frame.step], [0.3, 0.4 * ratio], atol=0.01)
    assert np.isclose(xx, (0.6 / frame.step) ** 2, rtol=0.02)
    assert np.isclose(yy, (0.7 * ratio / frame.step) ** 2, rtol=0.05, atol=0.2)


@pytest.mark.parametrize("scale", [2.0, 17.0])
def test_without_a_shift_is_with_a_shift_of_nothing(frame, scale):
    shape = gaussian(frame, 0.4, -0.2, 1.0, 0.5)
    plain = frame.to_stamp(shape, tf.constant([scale])).numpy()
    moved = frame.to_stamp(shape, tf.constant([scale]), tf.zeros([1, 2])).numpy()
    np.testing.assert_allclose(plain, moved, atol=1e-7)


def test_kernel():
    """The pieces of Keys (1981), eq. 15."""
    x = np.linspace(-2.5, 2.5, 101)
    s = np.abs(x)
    expected = np.where(s < 1, 1.5 * s**3 - 2.5 * s**2 + 1,
                        np.where(s < 2, -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2, 0))
    np.testing.assert_allclose(_cubic(tf.constant(x, tf.float32)), expected, atol=2e-6)


def test_gradients_reach_shapes_scale_and_shift(frame):
    shape, scale = tf.Variable(gaussian(frame, 0.3)), tf.Variable([3.0])
    shift = tf.Variable([[0.2, 0.1]])
    with tf.GradientTape(persistent=True) as tape:
        turned = frame.lay(shape, turn(53))
        resampled = frame.resample(shape, turn(53))
        loss = tf.reduce_sum(frame.to_stamp(turned, scale, shift) ** 2)
    for gradient in tape.gradient(loss, [shape, scale, shift]):
        assert np.isfinite(gradient.numpy()).all() and np.abs(gradient.numpy()).max() > 0
    both = [tape.gradient(image, shape, frame_weights()) for image in (turned, resampled)]
    # TensorFlow turns gradients back with the same kernel: the adjoint, but smoother.
    assert np.corrcoef(*(one.numpy()[:, 8:-8, 8:-8].ravel() for one in both))[0, 1] > 0.98


def frame_weights():
    """Something smooth to differentiate against."""
    x = np.linspace(-1, 1, 48, dtype=np.float32)
    return (np.cos(2 * x) * np.sin(3 * x + 0.4)[:, None])[None]
