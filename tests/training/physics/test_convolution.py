"""Convolution: agreement with GalSim and with the definition."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.observations.psf import psf_image
from galsim_deep_training.data.dataset import with_symmetry
from galsim_deep_training.physics.convolution import convolve, psf_transfer

SCALE, SIZE, PSF_SIZE = 0.03, 128, 65

GAUSSIAN = galsim.Gaussian(fwhm=0.1)
MOFFAT = galsim.Moffat(beta=4.5, fwhm=0.12)
OBLONG = galsim.Moffat(beta=4.5, fwhm=0.12).shear(g1=0.1, g2=0.15)
# Smoothed, so that it is band-limited by the Nyquist frequency of the pixels.
DISC = galsim.Convolve(galsim.Exponential(half_light_radius=0.25), galsim.Gaussian(sigma=0.04))
CLUMPY = galsim.Add(
    DISC.shear(g1=0.3, g2=-0.1),
    0.4 * galsim.Gaussian(sigma=0.05).shift(0.31, -0.22),
    0.2 * galsim.Gaussian(sigma=0.08).shear(g2=0.4).shift(-0.4, -0.1)).shift(0.07, 0.11)


SMOOTH = galsim.Add(
    galsim.Gaussian(sigma=0.15).shear(g1=0.2, g2=-0.1),
    0.4 * galsim.Gaussian(sigma=0.1).shift(0.31, -0.22)).shift(0.07, 0.11)


def drawn(profile, size=SIZE):
    return profile.drawImage(nx=size, ny=size, scale=SCALE, method="no_pixel", dtype=float).array


def convolved(images, psfs):
    images, psfs = np.asarray(images, np.float32), np.asarray(psfs, np.float32)
    return convolve(tf.constant(images), psf_transfer(tf.constant(psfs), images.shape[1])).numpy()


def interpolated(profile):
    """The same light as an interpolated image, as the profiles of modules are.

    Use it for profiles that are smooth and vanish at the edge: GalSim's quintic interpolant is not
    exact at the scale of a pixel.
    """
    return galsim.InterpolatedImage(galsim.Image(drawn(profile), scale=SCALE), flux=profile.flux)


@pytest.mark.parametrize("psf", [GAUSSIAN, MOFFAT, OBLONG], ids=["gaussian", "moffat", "oblong"])
@pytest.mark.parametrize("galaxy", [
    DISC, DISC.shift(0.1, -0.2), CLUMPY, interpolated(SMOOTH),
], ids=["disc", "off centre", "clumpy", "image"])
def test_equals_galsim(galaxy, psf):
    expected = drawn(galsim.Convolve(galaxy, psf))
    result = convolved([drawn(galaxy)], [psf_image(psf, PSF_SIZE, SCALE)])[0]
    assert result.shape == (SIZE, SIZE)
    np.testing.assert_allclose(result, expected, atol=1e-4 * expected.max())


def test_two_interpolated_images():
    psf = psf_image(OBLONG.dilate(1.5), PSF_SIZE, SCALE)
    galaxy = interpolated(SMOOTH)
    expected = drawn(galsim.Convolve(
        galaxy, galsim.InterpolatedImage(galsim.Image(psf, scale=SCALE), flux=1.0)))
    result = convolved([drawn(SMOOTH)], [psf])[0]
    np.testing.assert_allclose(result, expected, atol=1e-4 * expected.max())


def test_each_galaxy_has_its_own_psf():
    galaxies = [drawn(DISC), drawn(CLUMPY), drawn(DISC)]
    psfs = [psf_image(psf, PSF_SIZE, SCALE) for psf in (GAUSSIAN, OBLONG, MOFFAT)]
    together = convolved(galaxies, psfs)
    assert together.shape == (3, SIZE, SIZE) and together.dtype == np.float32
    for row in range(3):
        alone = convolved(galaxies[row:row + 1], psfs[row:row + 1])[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-6 * alone.max())
    assert np.abs(together[0] - together[2]).max() > 0.01 * together[0].max()


@pytest.mark.parametrize("size, psf_size", [(32, 17), (31, 17), (32, 1), (16, 33)])
def test_equals_the_definition(size, psf_size):
    """For even and odd sizes, and PSFs larger than the stamp."""
    rng = np.random.default_rng(3)
    image, psf = rng.random((size, size)), rng.random((psf_size, psf_size))
    half = psf_size // 2
    padded = np.pad(image, half)
    expected = np.zeros((size, size))
    for y in range(psf_size):
        for x in range(psf_size):
            expected += psf[psf_size - 1 - y, psf_size - 1 - x] * padded[y:y + size, x:x + size]
    np.testing.assert_allclose(convolved([image], [psf])[0], expected, atol=1e-5 * expected.max())


def test_a_point_becomes_the_psf():
    psf = psf_image(OBLONG, 17, SCALE)
    point = np.zeros((32, 32))
    point[20, 11] = 5.0
    result = convolved([point], [psf])[0]
    np.testing.assert_allclose(result[12:29, 3:20], 5.0 * psf, atol=1e-6)
    result[12:29, 3:20] = 0.0
    np.testing.assert_allclose(result, 0.0, atol=1e-6)


def test_nothing_wraps_around():
    """Light that leaves the stamp on one side does not enter on the other."""
    for corner in [(0, 0), (0, 31), (31, 0), (31, 31)]:
        point = np.zeros((32, 32))
        point[corner] = 1.0
        result = convolved([point], [np.full((17, 17), 1 / 17**2)])[0]
        near = np.zeros((32, 32), bool)
        near[(slice(0, 9) if corner[0] == 0 else slice(23, 32)),
             (slice(0, 9) if corner[1] == 0 else slice(23, 32))] = True
        np.testing.assert_allclose(result[near], 1 / 17**2, atol=1e-7)
        np.testing.assert_allclose(result[~near], 0.0, atol=1e-7)


def test_flux_is_conserved():
    galaxy = np.zeros((64, 64))
    galaxy[20:44, 20:44] = np.random.default_rng(5).random((24, 24))
    result = convolved([galaxy], [psf_image(OBLONG, 33, SCALE)])[0]
    assert result.sum() == pytest.approx(galaxy.sum(), rel=1e-5)


@pytest.mark.parametrize("symmetry", range(8))
def test_commutes_with_rotations_and_reflections(symmetry):
    """Augmentation applies the same symmetry to a stamp and its PSF."""
    galaxy, psf = drawn(CLUMPY, 64), psf_image(OBLONG, 33, SCALE)
    before = convolved([with_symmetry(galaxy, symmetry)], [with_symmetry(psf, symmetry)])[0]
    after = with_symmetry(convolved([galaxy], [psf])[0], symmetry)
    np.testing.assert_allclose(before, after, atol=2e-6 * after.max())


def test_linear():
    rng = np.random.default_rng(6)
    first, second, psf = rng.random((32, 32)), rng.random((32, 32)), rng.random((17, 17))
    combined = convolved([2 * first - 3 * second], [psf])[0]
    separate = convolved([first, second], [psf, psf])
    np.testing.assert_allclose(
        combined, 2 * separate[0] - 3 * separate[1], atol=1e-4 * separate.max())


def test_gradient():
    """d (sum of w * result) / d image is w correlated with the PSF."""
    rng = np.random.default_rng(7)
    image, psf, weight = (rng.random((1, n, n)).astype(np.float32) for n in (16, 5, 16))
    image = tf.constant(image)
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = tf.reduce_sum(weight * convolve(image, psf_transfer(tf.constant(psf), 16)))
    expected = convolved(weight, psf[:, ::-1, ::-1])
    np.testing.assert_allclose(tape.gradient(value, image), expected, rtol=1e-4)
