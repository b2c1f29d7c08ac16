"""The grid in the frame of the galaxy: flux, positions and widths survive the interpolation."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.rendering.grid import GalaxyGrid, _cubic

STAMP = 64


def matrix(*entries):
    return tf.constant(np.reshape(entries, (1, 2, 2)), tf.float32)


def rotation(degrees):
    """Moves what lies at this angle to the x axis."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return matrix(cosine, -sine, sine, cosine)


@pytest.fixture(scope="module")
def grid():
    return GalaxyGrid(STAMP, cells=48, half_width=4.0)


def gaussian(grid, x=0.0, y=0.0, sigma_x=0.8, sigma_y=0.8):
    light = np.exp(-0.5 * (((grid.x - x) / sigma_x) ** 2 + ((grid.y - y) / sigma_y) ** 2))
    return (light / light.sum()).astype(np.float32)[None]


def moments(image):
    """Centroid and central second moments of an image about its middle: x, y, xx, yy, xy."""
    y, x = np.indices(image.shape) - 0.5 * (len(image) - 1)
    total = image.sum()
    cx, cy = (image * x).sum() / total, (image * y).sum() / total
    return (cx, cy, *((image * a * b).sum() / total
                      for a, b in [(x - cx, x - cx), (y - cy, y - cy), (x - cx, y - cy)]))


def test_axis_is_centred_and_spans_the_width(grid):
    assert grid.axis.shape == (48,)
    assert np.isclose(grid.axis.sum(), 0, atol=1e-5)
    assert np.isclose(grid.axis[-1] + grid.step / 2, 4.0)


@pytest.mark.parametrize("scale", [1.5, 3.0, 6.0, 9.0])
def test_to_stamp_keeps_flux_position_and_width(grid, scale):
    image = grid.to_stamp(gaussian(grid), tf.constant([scale]), tf.constant([[1.3, -0.4]]))
    assert image.shape == (1, STAMP, STAMP)
    image = image.numpy()[0]
    x, y, xx, yy, xy = moments(image)
    assert np.isclose(image.sum(), 1.0, rtol=2e-3)
    assert np.allclose([x, y], [1.3, -0.4], atol=0.02)
    assert np.allclose([xx, yy], (0.8 * scale) ** 2, rtol=0.02)
    assert abs(xy) < 0.01 * xx


@pytest.mark.parametrize("scale", [2.0, 5.7, 6.3, 7.1])
def test_uniform_light_stays_uniform(grid, scale):
    sheet = np.full((1, 48, 48), 1.0, np.float32)
    image = grid.to_stamp(sheet, tf.constant([scale]), tf.zeros([1, 2])).numpy()[0]
    middle = image[STAMP // 2 - 4:STAMP // 2 + 4, STAMP // 2 - 4:STAMP // 2 + 4]
    # Flux in a pixel: that of a cell times the ratio of their areas.
    assert np.allclose(middle, 1.0 / (grid.step * scale) ** 2, rtol=5e-3)


def test_from_stamp_and_back(grid):
    scale = tf.constant([4.0])
    y, x = np.indices((STAMP, STAMP)) - 0.5 * (STAMP - 1)
    stamp = np.exp(-0.5 * ((x / 4) ** 2 + ((y - 2) / 3) ** 2)).astype(np.float32)[None]
    on_grid = grid.from_stamp(stamp, scale)
    area = (grid.step * 4.0) ** 2
    again = grid.to_stamp(on_grid * area, scale, tf.zeros([1, 2])).numpy()
    assert np.allclose(again, stamp, atol=0.01)


def test_image_of_another_size_keeps_its_middle(grid):
    psf = np.zeros((1, 21, 21), np.float32)
    psf[0, 10, 10] = 1.0
    on_grid = grid.from_stamp(psf, tf.constant([3.0])).numpy()[0]
    assert np.allclose(on_grid, on_grid[::-1, ::-1], atol=1e-6)
    assert on_grid.max() == on_grid[23:25, 23:25].max()


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 250])
def test_resample_rotates(grid, degrees):
    angle = np.radians(degrees)
    position = 1.5 * np.array([np.cos(angle), np.sin(angle)])
    blob = gaussian(grid, *position, sigma_x=0.3, sigma_y=0.3)
    rotated = grid.resample(blob, rotation(degrees)).numpy()[0]
    x, y, *_ = moments(rotated)
    assert np.allclose([x * grid.step, y * grid.step], [1.5, 0.0], atol=0.01)
    assert np.isclose(rotated.sum(), 1.0, rtol=2e-3)


def test_rotation_and_its_inverse_cancel(grid):
    light = gaussian(grid, 0.4, -0.2, 1.0, 0.5)
    again = grid.resample(grid.resample(light, rotation(37)), rotation(-37)).numpy()
    assert np.allclose(again, light, atol=0.05 * light.max())


@pytest.mark.parametrize("degrees", [0, 53, 200])
def test_portable_resampling_agrees(grid, degrees):
    light = np.random.default_rng(1).uniform(size=(2, 48, 48)).astype(np.float32)
    matrices = tf.tile(rotation(degrees), [2, 1, 1])
    np.testing.assert_allclose(grid.resample_portable(light, matrices),
                               grid.resample(light, matrices), atol=2e-3)


def test_resample_accepts_channels(grid):
    light = np.random.default_rng(1).uniform(size=(2, 48, 48)).astype(np.float32)
    matrices = tf.tile(rotation(53), [2, 1, 1])
    channels = grid.resample(np.stack([light, 2 * light], axis=-1), matrices)
    np.testing.assert_allclose(channels[..., 1], 2 * grid.resample(light, matrices), atol=1e-5)


@pytest.mark.parametrize("method", ["resample", "resample_portable"])
def test_matrix_with_nan_leaves_the_image_unchanged(grid, method):
    light = gaussian(grid, 0.4, -0.2, 1.0, 0.5)
    unchanged = getattr(grid, method)(light, matrix(np.nan, 0.0, 0.0, 1.0))
    np.testing.assert_allclose(unchanged, light, atol=1e-6)


def test_resample_stretches_and_mirrors(grid):
    blob = gaussian(grid, 0.6, 0.4, 0.6, 0.5)
    squeezed = grid.resample(blob, matrix(1.0, 0.0, 0.0, -2.0)).numpy()[0]
    x, y, xx, yy, _ = moments(squeezed)
    assert np.allclose([x * grid.step, y * grid.step], [0.6, -0.2], atol=0.01)
    assert np.isclose(xx / yy, (0.6 / 0.25) ** 2, rtol=0.05)
    assert np.isclose(squeezed.sum(), 0.5, rtol=2e-3)


RATIOS = [0.15, 0.3, 0.6, 0.85, 1.0, 1.3]


@pytest.mark.parametrize("ratio", RATIOS)
def test_squeeze_keeps_the_flux_of_a_point_at_any_place(grid, ratio):
    points = np.zeros((10, 48, 48), np.float32)
    for row, point in enumerate(points):
        point[19 + row, 21] = 1.0
    squeezed = grid.squeeze(points, tf.fill([10], ratio)).numpy()
    np.testing.assert_allclose(squeezed.sum(axis=(1, 2)), 1.0, rtol=0.06)
    for row, image in enumerate(squeezed):
        y = (image.sum(axis=1) @ grid.axis) / image.sum()
        assert y == pytest.approx(ratio * grid.axis[19 + row], abs=0.2 * grid.step)


@pytest.mark.parametrize("ratio", RATIOS)
def test_squeeze_changes_the_width_along_y_only(grid, ratio):
    light = gaussian(grid, 0.3, 0.4, 0.6, 0.7)
    narrow = grid.squeeze(light, tf.constant([ratio])).numpy()[0]
    x, y, xx, yy, _ = moments(narrow)
    assert np.allclose([x * grid.step, y * grid.step], [0.3, 0.4 * ratio], atol=0.01)
    assert np.isclose(xx, (0.6 / grid.step) ** 2, rtol=0.02)
    assert np.isclose(yy, (0.7 * ratio / grid.step) ** 2, rtol=0.05, atol=0.2)


@pytest.mark.parametrize("scale", [2.0, 17.0])
def test_no_shift_equals_a_shift_of_zero(grid, scale):
    light = gaussian(grid, 0.4, -0.2, 1.0, 0.5)
    default = grid.to_stamp(light, tf.constant([scale])).numpy()
    explicit = grid.to_stamp(light, tf.constant([scale]), tf.zeros([1, 2])).numpy()
    np.testing.assert_allclose(default, explicit, atol=1e-7)


def test_kernel_of_keys():
    """Keys (1981), eq. 15."""
    x = np.linspace(-2.5, 2.5, 101)
    s = np.abs(x)
    expected = np.where(s < 1, 1.5 * s**3 - 2.5 * s**2 + 1,
                        np.where(s < 2, -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2, 0))
    np.testing.assert_allclose(_cubic(tf.constant(x, tf.float32)), expected, atol=2e-6)


def test_gradients_reach_light_scale_and_shift(grid):
    light, scale = tf.Variable(gaussian(grid, 0.3)), tf.Variable([3.0])
    shift = tf.Variable([[0.2, 0.1]])
    with tf.GradientTape() as tape:
        rotated = grid.resample_portable(light, rotation(53))
        loss = tf.reduce_sum(grid.to_stamp(rotated, scale, shift) ** 2)
    for gradient in tape.gradient(loss, [light, scale, shift]):
        assert np.isfinite(gradient.numpy()).all() and np.abs(gradient.numpy()).max() > 0


def test_gradients_of_both_resamplings_agree(grid):
    """TensorFlow's gradient uses the same kernel for the inverse: the adjoint, but smoother."""
    light = tf.Variable(gaussian(grid, 0.3))
    x = np.linspace(-1, 1, 48, dtype=np.float32)
    upstream = (np.cos(2 * x) * np.sin(3 * x + 0.4)[:, None])[None]
    with tf.GradientTape(persistent=True) as tape:
        images = [method(light, rotation(53)) for method in (grid.resample_portable, grid.resample)]
    gradients = [tape.gradient(image, light, upstream).numpy()[:, 8:-8, 8:-8].ravel()
                 for image in images]
    assert np.corrcoef(*gradients)[0, 1] > 0.98
