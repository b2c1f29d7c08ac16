"""What every canvas promises, and what is particular to each."""

import types

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.canvases import Canvas
from galsim_deep_training.recipe import Column, Stamp

SIZE = 48
COLUMNS = dict(flux_density=tf.constant([5.0, 80.0, 900.0]), size=tf.constant([16.0, 30.0, 44.0]),
               flux_radius=tf.constant([4.0, 5.0, 6.5]), mag_auto=tf.constant([21.0, 22.0, 23.0]))
SETTINGS = {"galaxy_frame": dict(psf_radius=2.0, cells=24), "plain": dict(fineness=2),
            "sky": dict(cells=16)}


def recipe():
    return types.SimpleNamespace(
        path="recipe.yaml",
        stamp=Stamp(size=SIZE, pixel_scale=1.0, band="b", zero_point=25.0, psf_size=17),
        columns=[Column(name=name, unit="", meaning="", valid_range=(0.1, 1e4))
                 for name in COLUMNS])


def canvas(kind, **settings):
    cls, chosen = Canvas.chosen(
        dict(SETTINGS[kind], kind=kind, **settings), recipe(), "model.canvas")
    made = cls(chosen, recipe())
    made.prepare(types.SimpleNamespace(mean_psf=lambda: gaussian(17, 1.5)))
    return made


def gaussian(size, sigma):
    return galsim.Gaussian(sigma=sigma).drawImage(
        nx=size, ny=size, scale=1.0, method="no_pixel", dtype=float).array


@pytest.fixture(params=sorted(SETTINGS))
def each(request):
    return canvas(request.param)


def numbers(canvas, seed=1, size=1.0):
    rng = np.random.default_rng(seed)
    return [tf.constant(size * rng.standard_normal((3, cells * fine, cells * fine)), tf.float32)
            for cells, fine in canvas.drawn]


def painted(canvas, seed=1, turn=None, columns=COLUMNS):
    rng = np.random.default_rng(seed + 1)
    turn = rng.standard_normal((3, canvas.turn_size)) if turn is None else turn
    return canvas.paint(numbers(canvas, seed), tf.zeros([3, canvas.scalars]),
                        tf.constant(turn, tf.float32), columns)


def test_all_are_tested():
    assert set(Canvas.kinds()) == set(SETTINGS)


def test_paint(each):
    images = painted(each).numpy()
    assert images.shape == (3, SIZE, SIZE) and images.dtype == np.float32
    assert np.isfinite(images).all() and (images >= 0).all()


def test_look(each):
    psfs = np.repeat(gaussian(17, 1.5)[None], 3, axis=0).astype(np.float32)
    views, turn = each.look(painted(each), psfs, tf.fill([3], 0.01), COLUMNS)
    assert turn.shape == (3, each.turn_size)
    for view, (cells, fineness) in zip(views, each.seen, strict=True):
        assert view.shape[:3] == (3, cells * fineness, cells * fineness)
        assert np.isfinite(view.numpy()).all() and np.abs(view.numpy()).max() < 30


def test_gradients_go_from_what_is_seen_to_what_is_painted(each):
    given = numbers(each)
    psfs = np.repeat(gaussian(17, 1.5)[None], 3, axis=0).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        image = each.paint(given, tf.zeros([3, each.scalars]), tf.ones([3, each.turn_size]),
                           COLUMNS)
        views, _ = each.look(image, psfs, tf.fill([3], 0.01), COLUMNS)
        loss = tf.add_n([tf.reduce_sum(view[..., :2] ** 2) for view in views])
    for gradient in tape.gradient(loss, given):
        assert np.isfinite(gradient.numpy()).all() and np.abs(gradient.numpy()).max() > 0


@pytest.mark.parametrize("kind, column, flux", [
    ("sky", "flux_density", lambda value: value),
    ("galaxy_frame", "mag_auto", lambda value: 10 ** (-0.4 * (value - 25.0)))])
def test_flux_is_as_asked(kind, column, flux):
    images = painted(canvas(kind)).numpy()
    np.testing.assert_allclose(images.sum(axis=(1, 2)), flux(COLUMNS[column].numpy()), rtol=1e-4)
    for edge in (images[:, 0], images[:, :, -1]):
        np.testing.assert_array_equal(edge, 0.0)


@pytest.mark.parametrize("kind", ["sky", "galaxy_frame"])
def test_how_a_source_lies_is_undone(kind):
    """Seen, a source is the same however it was laid on the sky; and how it lay is found."""
    made = canvas(kind)
    light = np.zeros((3, SIZE, SIZE), np.float32)
    source = galsim.Gaussian(sigma=3.0).shear(g1=0.5)
    # One end longer and brighter, a little to one side: it has an orientation and a handedness.
    source += 0.5 * galsim.Gaussian(sigma=1.5).shift(6.0, 2.0)
    angles = [0.0, 40.0, 250.0]
    for row, angle in enumerate(angles):
        laid = source.rotate(angle * galsim.degrees)
        light[row] = laid.drawImage(nx=SIZE, ny=SIZE, scale=1.0, dtype=float).array
    light *= 900.0
    columns = {name: value[1] * tf.ones([3]) for name, value in COLUMNS.items()}
    psfs = np.repeat(gaussian(17, 1.5)[None], 3, axis=0).astype(np.float32)
    views, turn = made.look(light, psfs, tf.fill([3], 0.01), columns)
    view = views[0].numpy()[..., 0]
    for row in (1, 2):
        assert np.corrcoef(view[0].ravel(), view[row].ravel())[0, 1] > 0.99
    angle = np.degrees(np.arctan2(turn[:, 1], turn[:, 0]))
    np.testing.assert_allclose((angle - angle[0] - angles + 180) % 360 - 180, 0.0, atol=4.0)
    # Mirrored, it is seen the same way, with the other parity.
    _, mirrored = made.look(light[:, ::-1], psfs, tf.fill([3], 0.01), columns)
    np.testing.assert_array_equal(mirrored[:, 2], -turn[:, 2])


def test_generated_sources_are_seen_as_they_were_painted():
    """The way a source was laid is undone, and nothing else: its axis stays."""
    made = canvas("sky")
    upright = np.maximum(4 * np.abs(made.frame.x), np.abs(made.frame.y)) < 0.6
    across = np.tile(np.float32(30.0 * upright), (3, 1, 1))
    turn = tf.constant([[1.0, 0.0, 1.0], [0.5, 0.8, -1.0], [-2.0, 0.3, 1.0]])
    columns = {name: value[1] * tf.ones([3]) for name, value in COLUMNS.items()}
    light = made.paint([across], tf.zeros([3, made.scalars]), turn, columns)
    views, found = made.look(light, None, tf.fill([3], 0.01), columns, turn)
    np.testing.assert_allclose(np.hypot(found[:, 0], found[:, 1]), 1.0, rtol=1e-5)
    for view in views[0].numpy()[..., 1]:
        assert (made.frame.y**2 * view).sum() > 5 * (made.frame.x**2 * view).sum()
        assert np.corrcoef(view.ravel(), views[0][0, ..., 1].numpy().ravel())[0, 1] > 0.98


def seen_of(source, contour):
    """Width and flux of what is above a contour, in an image of pixels of one arcsec."""
    image = source.drawImage(nx=SIZE, ny=SIZE, scale=1.0, method="no_pixel", dtype=float).array
    above = image > contour
    return 2 * np.sqrt(above.sum() / np.pi), image[above].sum()


def test_what_the_beam_makes_of_a_point_is_not_painted():
    """Through the beam, sources are as large and bright as columns say, and before it points."""
    faintest, beam = 1.0, 6.0
    psf = galsim.Gaussian(fwhm=beam)
    contour = faintest * psf.xValue(0, 0)
    size, flux = np.transpose([seen_of(psf * total, contour) for total in (5.0, 80.0, 900.0)])
    columns = dict(flux_density=tf.constant(flux, tf.float32), size=tf.constant(size, tf.float32))

    def light(**settings):
        made = canvas("sky", **settings)
        blank = [tf.zeros_like(one) for one in numbers(made)]
        return made.paint(blank, tf.zeros([3, made.scalars]), tf.ones([3, 3]), columns).numpy()

    middle = slice(SIZE // 2 - 3, SIZE // 2 + 3)
    points, wide = light(beam=beam, faintest=faintest), light()
    assert (points[:, middle, middle].sum(axis=(1, 2)) > 0.9 * flux).all()
    assert (points.max(axis=(1, 2))[1:] > 3 * wide.max(axis=(1, 2))[1:]).all()
    for image, *asked in zip(points, size, flux, strict=True):
        source = galsim.InterpolatedImage(galsim.Image(image, scale=1.0))
        np.testing.assert_allclose(seen_of(galsim.Convolve(source, psf), contour), asked, rtol=0.05)


@pytest.mark.parametrize("flux", [3.0, 10.0, 100.0, 3000.0])
def test_the_flux_of_a_wide_source_is_what_is_seen_of_it(flux):
    beam = 3.0
    made = canvas("sky", beam=beam, faintest=1.0)
    columns = dict(flux_density=tf.fill([3], flux), size=tf.fill([3], 30.0))
    light = painted(made, columns=columns).numpy()
    psf = galsim.Gaussian(fwhm=beam)
    for image in light:
        source = galsim.InterpolatedImage(galsim.Image(image, scale=1.0))
        _, found = seen_of(galsim.Convolve(source, psf), psf.xValue(0, 0))
        # Of the faintest, more than a third would have to be unseen.
        assert found == pytest.approx(flux, rel=0.03) or image.sum() == pytest.approx(1.5 * flux)
    assert (light.sum(axis=(1, 2)) >= 0.999 * flux).all()
    if flux > 1000:
        assert (light.sum(axis=(1, 2)) < 1.05 * flux).all()


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_what_the_beam_makes_of_a_long_source_is_less(parts):
    """The frame holds all parts, none of which is as bright as all would be in one point."""
    flux, beam = 60.0, 6.0
    psf = galsim.Gaussian(fwhm=beam)
    along = (np.arange(parts) - 0.5 * (parts - 1)) * 1.5 * beam
    source = flux / parts * galsim.Add([galsim.DeltaFunction().shift(x, 0) for x in along])
    seen = galsim.Convolve(source, psf).drawImage(
        nx=SIZE, ny=SIZE, scale=1.0, method="no_pixel", dtype=float).array
    size = 1.0 + np.ptp(np.nonzero(seen > psf.xValue(0, 0))[1])
    columns = dict(flux_density=tf.constant([flux]), size=tf.constant([size], tf.float32))
    half = canvas("sky", beam=beam, faintest=1.0)._scale_painted(columns).numpy()[0]
    assert 2 * half == pytest.approx(np.ptp(along), abs=0.25 * beam)


def test_halos_that_nobody_sees_are_left_out():
    """A bright point in the middle of a frame full of light."""
    made = canvas("sky", beam=3.0, faintest=1.0)
    middle = np.hypot(made.frame.x, made.frame.y) < 0.3
    given = np.tile(1.0 - made.envelope + 30.0 * middle, (3, 1, 1))
    columns = dict(flux_density=tf.constant([20.0, 20.0, 2e4]), size=tf.fill([3], 30.0))
    images = made.paint([tf.constant(given, tf.float32)], None, tf.ones([3, 3]), columns).numpy()
    y, x = np.mgrid[:SIZE, :SIZE] - 0.5 * (SIZE - 1)
    outside = np.hypot(x, y) > 9
    shares = (images * outside).sum(axis=(1, 2)) / images.sum(axis=(1, 2))
    # The same light is above the contour in a bright source.
    assert shares[0] == shares[1] < 0.2 * shares[2]


@pytest.mark.parametrize("seen, kept", [(0.2, 0.1), (0.375, 0.5), (0.52, 1.0), (0.9, 1.0)])
def test_how_much_of_a_halo_is_left(seen, kept):
    """By how bright it is in the beam, over the contour."""
    made = canvas("sky", beam=3.0, faintest=1.0)
    light = np.full((1, SIZE, SIZE), seen * made.contour, np.float32)
    light[:, 24, 24] += 100.0
    flux = light.sum(axis=(1, 2), keepdims=True)
    found = made._as_seen(tf.constant(light), tf.constant(flux)).numpy()
    ratio = found[0, 12, 12] / found[0, 24, 24] * light[0, 24, 24] / light[0, 12, 12]
    assert ratio == pytest.approx(kept, rel=0.02)


def test_a_beam_needs_a_contour():
    with pytest.raises(galsim.GalSimConfigError, match="model.canvas.*5 arcsec and not 'faintest'"):
        canvas("sky", beam=5.0)
    with pytest.raises(galsim.GalSimConfigError, match="model.canvas.*'faintest' and not 'beam'"):
        canvas("sky", faintest=1.0)


def test_neighbours_do_not_decide_how_a_source_lies():
    made = canvas("sky", focus=0.4)
    source = galsim.Gaussian(sigma=3.0).shear(g1=0.5)
    image = source.drawImage(nx=SIZE, ny=SIZE, scale=1.0, dtype=float).array
    both = image + (0.4 * galsim.Gaussian(sigma=1.5)).shift(3.0, 20.0).drawImage(
        nx=SIZE, ny=SIZE, scale=1.0, dtype=float).array
    stamps = np.stack([image, both, both]).astype(np.float32)
    psfs = np.repeat(gaussian(17, 1.5)[None], 3, axis=0).astype(np.float32)
    _, turn = made.look(stamps, psfs, tf.fill([3], 1e-5), COLUMNS)
    assert np.abs(turn[1, 1]) < 0.1


def test_plain_images_are_between_zero_and_one():
    made = canvas("plain")
    image = made.paint([100 * one for one in numbers(made)], None, tf.zeros([3, 0]), {})
    assert image.numpy().min() == 0.0 and image.numpy().max() == 1.0
    views, _ = made.look(image, None, None, {})
    assert views[0].numpy().min() == -1.0 and views[0].numpy().max() == 1.0
    assert not made.any_way_up
