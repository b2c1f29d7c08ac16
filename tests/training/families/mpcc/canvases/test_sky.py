"""Sources on a patch of sky: columns that are measured through a beam, and halos."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

SIZE = 48


def draw(source):
    """An image of pixels of one arcsec."""
    return source.drawImage(
        nx=SIZE, ny=SIZE, scale=1.0, method="no_pixel", dtype=float).array


def above_contour(source, contour):
    """Width and flux of what is above a contour."""
    image = draw(source)
    above = image > contour
    return 2 * np.sqrt(above.sum() / np.pi), image[above].sum()


def as_profile(image):
    return galsim.InterpolatedImage(galsim.Image(image, scale=1.0))


def test_generated_sources_are_rotated_back_by_their_own_angle(make_canvas, columns):
    """Their major axis may then lie along y."""
    canvas = make_canvas("sky")
    across_x = np.maximum(4 * np.abs(canvas.grid.x), np.abs(canvas.grid.y)) < 0.6
    outputs = np.tile(np.float32(30.0 * across_x), (3, 1, 1))
    latents = tf.constant([[1.0, 0.0, 1.0], [0.5, 0.8, -1.0], [-2.0, 0.3, 1.0]])
    same = {name: value[1] * tf.ones([3]) for name, value in columns.items()}
    light = canvas.render([outputs], tf.zeros([3, canvas.scalars]), latents, same)
    views, known = canvas.view(light, None, tf.fill([3], 0.01), same, latents)
    np.testing.assert_allclose(np.hypot(known[:, 0], known[:, 1]), 1.0, rtol=1e-5)
    for view in views[0].numpy()[..., 1]:
        assert (canvas.grid.y**2 * view).sum() > 5 * (canvas.grid.x**2 * view).sum()
        assert np.corrcoef(view.ravel(), views[0][0, ..., 1].numpy().ravel())[0, 1] > 0.98


def test_a_point_source_is_rendered_as_a_point(make_canvas, random_outputs):
    """Through the beam, sources have the size and the flux of their columns."""
    contour_flux, beam = 1.0, 6.0
    psf = galsim.Gaussian(fwhm=beam)
    contour = contour_flux * psf.xValue(0, 0)
    size, flux = np.transpose([above_contour(psf * total, contour) for total in (5.0, 80.0, 900.0)])
    columns = dict(flux_density=tf.constant(flux, tf.float32), size=tf.constant(size, tf.float32))

    def light(**settings):
        canvas = make_canvas("sky", **settings)
        outputs = [tf.zeros_like(output) for output in random_outputs(canvas)]
        return canvas.render(
            outputs, tf.zeros([3, canvas.scalars]), tf.ones([3, 3]), columns).numpy()

    middle = slice(SIZE // 2 - 3, SIZE // 2 + 3)
    points, extended = light(beam=beam, contour_flux=contour_flux), light()
    assert (points[:, middle, middle].sum(axis=(1, 2)) > 0.9 * flux).all()
    assert (points.max(axis=(1, 2))[1:] > 3 * extended.max(axis=(1, 2))[1:]).all()
    for image, *expected in zip(points, size, flux, strict=True):
        observed = above_contour(galsim.Convolve(as_profile(image), psf), contour)
        np.testing.assert_allclose(observed, expected, rtol=0.05)


@pytest.mark.parametrize("flux", [3.0, 10.0, 100.0, 3000.0])
def test_the_flux_above_the_contour_is_that_of_the_column(flux, make_canvas, rendered):
    beam = 3.0
    canvas = make_canvas("sky", beam=beam, contour_flux=1.0)
    columns = dict(flux_density=tf.fill([3], flux), size=tf.fill([3], 30.0))
    light = rendered(canvas, columns=columns).numpy()
    psf = galsim.Gaussian(fwhm=beam)
    for image in light:
        _, above = above_contour(galsim.Convolve(as_profile(image), psf), psf.xValue(0, 0))
        # Of the faintest sources, more than the allowed share would be below the contour.
        assert above == pytest.approx(flux, rel=0.03) or image.sum() == pytest.approx(1.5 * flux)
    assert (light.sum(axis=(1, 2)) >= 0.999 * flux).all()
    if flux > 1000:
        assert (light.sum(axis=(1, 2)) < 1.05 * flux).all()


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_the_beam_widens_an_extended_source_less_than_a_point(parts, make_canvas):
    """The frame contains all its parts, each of which is fainter than one point would be."""
    flux, beam = 60.0, 6.0
    psf = galsim.Gaussian(fwhm=beam)
    places = (np.arange(parts) - 0.5 * (parts - 1)) * 1.5 * beam
    source = flux / parts * galsim.Add([galsim.DeltaFunction().shift(x, 0) for x in places])
    image = draw(galsim.Convolve(source, psf))
    size = 1.0 + np.ptp(np.nonzero(image > psf.xValue(0, 0))[1])
    columns = dict(flux_density=tf.constant([flux]), size=tf.constant([size], tf.float32))
    canvas = make_canvas("sky", beam=beam, contour_flux=1.0)
    radius = canvas.rendered_radius(columns).numpy()[0]
    assert 2 * radius == pytest.approx(np.ptp(places), abs=0.25 * beam)


def test_halos_below_the_contour_are_suppressed(make_canvas):
    """Of a bright point in the middle of a frame that is full of light."""
    canvas = make_canvas("sky", beam=3.0, contour_flux=1.0)
    radius = np.hypot(canvas.grid.x, canvas.grid.y)
    ln_envelope = -radius / canvas.settings.scale_length
    outputs = np.tile(1.0 - ln_envelope + 30.0 * (radius < 0.3), (3, 1, 1))
    columns = dict(flux_density=tf.constant([20.0, 20.0, 2e4]), size=tf.fill([3], 30.0))
    images = canvas.render(
        [tf.constant(outputs, tf.float32)], None, tf.ones([3, 3]), columns).numpy()
    y, x = np.mgrid[:SIZE, :SIZE] - 0.5 * (SIZE - 1)
    outside = np.hypot(x, y) > 9
    shares = (images * outside).sum(axis=(1, 2)) / images.sum(axis=(1, 2))
    # In a bright source the same light is above the contour.
    assert shares[0] == shares[1] < 0.2 * shares[2]


@pytest.mark.parametrize("settings, missing", [
    (dict(beam=5.0), "contour_flux"), (dict(contour_flux=1.0), "beam")])
def test_beam_and_contour_belong_together(settings, missing, make_canvas):
    with pytest.raises(galsim.GalSimConfigError, match=f"model.canvas.*{missing}"):
        make_canvas("sky", **settings)


def test_neighbours_do_not_change_the_orientation(make_canvas, psfs, columns):
    canvas = make_canvas("sky", weight_sigma=0.4)
    source = galsim.Gaussian(sigma=3.0).shear(g1=0.5)
    neighbour = (0.4 * galsim.Gaussian(sigma=1.5)).shift(3.0, 20.0)
    alone, both = (profile.drawImage(nx=SIZE, ny=SIZE, scale=1.0, dtype=float).array
                   for profile in (source, source + neighbour))
    stamps = np.stack([alone, both, both]).astype(np.float32)
    _, latents = canvas.view(stamps, psfs, tf.fill([3], 1e-5), columns)
    assert np.abs(latents[1, 1]) < 0.1
