"""Sources observed again: compared with the direct observation of the same galaxies."""

import functools

import galsim
import numpy as np
import pytest
from scipy import fft

from galsim_deep.measure.structure import small_scale_power
from galsim_deep.observations.psf import psf_image
from galsim_deep_training.data.observer import LARGEST_AMPLIFICATION, NEEDED, Observer
from galsim_deep_training.data.sources.sharpened import sharpened
from galsim_deep_training.data.sources.source import Source, SourceNoise

SCALE, SIZE, FLUX = 0.03, 96, 3.0
# Like that of HST/ACS: diffraction, the pixel, and some blurring.
TELESCOPE = galsim.Convolve(galsim.OpticalPSF(lam_over_diam=0.068, obscuration=0.33),
                            galsim.Pixel(0.04), galsim.Gaussian(fwhm=0.05))
PSFS = [psf_image(psf, 65, SCALE) for psf in (TELESCOPE, TELESCOPE.shear(g1=0.03, g2=-0.02))]

# Size of a pixel of the stamp, width of its PSF, half-light radius of the galaxy [arcsec].
SURVEYS = {"fine": (0.03, 0.07, 0.4), "wide": (0.03, 0.14, 0.5), "coarse": (0.06, 0.12, 0.8)}


def galaxy(radius):
    """A disc, a bulge and forty knots that end at five half-light radii, of unit flux."""
    rng = np.random.default_rng(1)
    knots = [galsim.Gaussian(half_light_radius=0.04 * radius, flux=0.1 / 40).shift(
        *np.clip(rng.normal(0, 0.8 * radius, 2), -2 * radius, 2 * radius)) for _ in range(40)]
    disc = galsim.Sersic(1.0, half_light_radius=radius, flux=0.7, trunc=5 * radius)
    bulge = galsim.Sersic(2.0, half_light_radius=0.25 * radius, flux=0.2, trunc=2 * radius)
    whole = galsim.Add([disc.shear(q=0.6, beta=40 * galsim.degrees), bulge, *knots])
    return whole.shift(-whole.centroid)


@functools.cache
def source_psf(scale, fwhm):
    """In pixels of half the size of those of the stamp."""
    return psf_image(galsim.Convolve(
        galsim.OpticalPSF(lam_over_diam=0.75 * fwhm, obscuration=0.3), galsim.Pixel(scale),
        galsim.Gaussian(fwhm=0.4 * fwhm)), 161, 0.5 * scale)


def make_source(profile, radius, scale, fwhm, noise=1e-4, stamp=None, share=None):
    """A source as it would be observed and prepared."""
    size = 2 * int(np.ceil(8 * radius / scale)) if stamp is None else len(stamp)
    psf = source_psf(scale, fwhm)
    if stamp is None:
        # The PSF is the image, as it is for those who observe.
        observed = galsim.Convolve(profile, galsim.InterpolatedImage(
            galsim.Image(psf, scale=0.5 * scale), x_interpolant="lanczos15", flux=1.0,
            calculate_stepk=False, calculate_maxk=False))
        stamp = observed.drawImage(nx=size, ny=size, scale=scale, method="no_pixel",
                                   dtype=float).array
    return Source(
        name="made", survey="made", group=0, weight=1.0,
        sharp=sharpened(stamp, scale, psf, 0.5 * scale), radius=radius, circularised=radius,
        noise=SourceNoise(noise, scale, np.array([0.0, 100.0]), np.ones(2), np.float32(
            np.ones((size, size)) if share is None else share)),
        extent=5.5 * radius / np.sqrt(0.6), sersic_n=1.0, axis_ratio=0.6, redshift=0.5)


@pytest.fixture(scope="module")
def sources():
    return {name: make_source(galaxy(radius), radius, scale, fwhm)
            for name, (scale, fwhm, radius) in SURVEYS.items()}


@pytest.fixture(scope="module")
def observer():
    return Observer(SIZE, SCALE, PSFS)


def jacobian(dilation, angle=0.5):
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return dilation * galsim.Shear(g1=0.03, g2=0.02).getMatrix() @ rotation


def directly(profile, matrix, offset, psf, fine=8):
    """The transformed galaxy, drawn on a fine grid and convolved with a PSF image."""
    field = 2 * SIZE
    drawn = profile.transform(*matrix.ravel()).withFlux(FLUX).shift(*offset).drawImage(
        nx=fine * field, ny=fine * field, scale=SCALE / fine, method="no_pixel", dtype=float).array
    k = fft.fftfreq(field)
    shift = np.exp(1j * np.pi * k * (fine - 1) / fine)
    chosen = np.rint(k * field).astype(int) % (fine * field)
    spectrum = fft.fft2(drawn)[np.ix_(chosen, chosen)] * np.outer(shift, shift)
    kernel = np.zeros((field, field))
    lags = np.arange(65) - 32
    kernel[np.ix_(lags, lags)] = psf
    image = fft.ifft2(spectrum * fft.fft2(kernel)).real
    corner = (field - SIZE) // 2
    return image[corner:corner + SIZE, corner:corner + SIZE]


def transfer(size):
    """The transfer function of the first PSF for an image of this size, and its frequencies."""
    kernel = np.zeros((size, size))
    lags = np.arange(65) - 32
    kernel[np.ix_(lags, lags)] = PSFS[0]
    k = np.hypot(fft.fftfreq(size, SCALE)[:, None], fft.rfftfreq(size, SCALE))
    return np.abs(fft.rfft2(kernel)), k


@pytest.mark.parametrize("share", [0.4, 1.0])
@pytest.mark.parametrize("name", SURVEYS)
def test_a_transplant_is_the_direct_observation(name, share, sources, observer):
    """To 1e-3 of the peak, and to 5 % in power, at all wavelengths that the survey resolves."""
    source, radius = sources[name], SURVEYS[name][2]
    dilation = share * min(observer.largest_dilation(source, 1), 0.45 / radius)
    matrix, offset = jacobian(dilation), (0.01, -0.005)
    image = observer.observe(source, matrix, offset, FLUX, 1).image
    expected = directly(galaxy(radius), matrix, offset, PSFS[1])
    assert np.abs(image - expected).max() < 2e-3 * expected.max()
    # Of detail of which the survey passes less than `NEEDED`, some is missing.
    needed = transfer(SIZE)[0] > NEEDED
    difference = fft.irfft2(fft.rfft2(image - expected) * needed, image.shape)
    assert np.abs(difference).max() < 1e-3 * expected.max()
    np.testing.assert_allclose(small_scale_power(image, FLUX, SCALE),
                               small_scale_power(expected, FLUX, SCALE), rtol=0.05)
    assert image.sum() == pytest.approx(expected.sum(), rel=2e-3)


def test_a_reflection(sources, observer):
    matrix = jacobian(0.5) @ np.diag([1.0, -1.0])
    image = observer.observe(sources["fine"], matrix, (0.0, 0.0), FLUX, 0).image
    expected = directly(galaxy(0.4), matrix, (0.0, 0.0), PSFS[0])
    assert np.abs(image - expected).max() < 1e-3 * expected.max()


def test_the_largest_dilation(sources, observer):
    """Up to it, the survey's PSF is at most so much sharper than the dilated one of the source."""
    passed, k = transfer(observer.field)
    needed = passed > NEEDED
    largest = {}
    for name, source in sources.items():
        largest[name] = observer.largest_dilation(source, 0)
        frequency = largest[name] * k[needed]
        # No detail beyond the Nyquist frequency of the source is needed.
        assert frequency.max() < 0.5 / SURVEYS[name][0]
        ratio = passed[needed] / source.sharp.transfer_at(frequency)
        assert ratio.max() < 1.001 * LARGEST_AMPLIFICATION
    assert largest["fine"] > 1.3 * largest["wide"] and largest["fine"] > 1.3 * largest["coarse"]


def test_what_is_not_known_is_missing(sources, observer):
    """A source that is enlarged further is blurred, and its noise is not amplified."""
    source = sources["wide"]
    matrix = jacobian(1.8 * observer.largest_dilation(source, 0))
    transplant = observer.observe(source, matrix, (0.0, 0.0), FLUX, 0)
    expected = small_scale_power(directly(galaxy(0.5), matrix, (0.0, 0.0), PSFS[0]), FLUX, SCALE)
    ratio = small_scale_power(transplant.image, FLUX, SCALE) / expected
    assert ratio[0] < 0.1 and np.all(np.diff(ratio) > 0)
    white = np.square(FLUX * source.noise.sigma / 1.8 / observer.largest_dilation(source, 0))
    assert transplant.leaked_power.max() < 1.01 * LARGEST_AMPLIFICATION**2 * white


@pytest.mark.parametrize("share", ["everywhere", "half"])
def test_the_noise_of_the_source_in_the_transplant(observer, share):
    """Noise alone, observed again, has the power that the transplant says, where it says."""
    size, scale, dilation = 96, 0.06, 0.5
    where = np.ones((size, size))
    if share == "half":
        where[:, :size // 2] = 0.0
    rng, matrix = np.random.default_rng(11), dilation * np.eye(2)
    # The flux comes from a bright pixel, whose transplant is subtracted.
    point = np.zeros((size, size))
    point[size // 2 - 1:size // 2 + 1, size // 2 - 1:size // 2 + 1] = 0.25

    def observed(stamp):
        source = make_source(None, 0.6, scale, 0.12, noise=1e-3, stamp=stamp, share=where)
        # No shift to the centroid: noise moves that.
        source.__dict__["profile"] = galsim.InterpolatedImage(
            galsim.Image(source.sharp.image, scale=source.sharp.pixel_scale),
            calculate_stepk=False, calculate_maxk=False)
        # Its flux is not exactly one.
        flux = FLUX * float(source.sharp.image.sum())
        return observer.observe(source, matrix, (0.0, 0.0), flux, 0)

    quiet = observed(point)
    images = []
    for _ in range(100):
        noise = 1e-3 * where * rng.standard_normal(where.shape)
        images.append(observed(point + noise).image - quiet.image)
    images = np.array(images)
    # The source covers this part of the stamp.
    inner = slice(SIZE // 2 - 32, SIZE // 2 + 32)
    level = np.square(images[:, inner, inner]).mean(0)
    power = quiet.leaked_power
    full = np.concatenate([power, power[:, 1:-1]], axis=1).mean()
    np.testing.assert_allclose(level[:, 40:].mean(), full, rtol=0.1)
    if share == "half":
        np.testing.assert_allclose(quiet.leaked_share[inner, inner][:, 40:], 1.0, atol=1e-6)
        assert quiet.leaked_share[inner, inner][:, :28].max() < 1e-6
        assert level[:, :20].mean() < 0.02 * full
        return
    np.testing.assert_allclose(quiet.leaked_share[inner, inner], 1.0, atol=1e-6)
    # At each wavelength, compared with noise that is drawn with that power.
    field = (observer.field, observer.field)
    drawn = np.array([observer.cut(fft.irfft2(fft.rfft2(rng.standard_normal(field))
                                              * np.sqrt(power), field)) for _ in range(100)])
    window = np.outer(*2 * [np.hanning(64)])
    found, expected = (np.square(np.abs(fft.rfft2(noise[:, inner, inner] * window))).mean(0)
                       for noise in (images, drawn))
    k = np.hypot(fft.fftfreq(64, SCALE)[:, None], fft.rfftfreq(64, SCALE))
    for low, high in ((2, 4), (4, 6), (6, 8)):
        ring = (k > low) & (k < high)
        assert found[ring].mean() == pytest.approx(expected[ring].mean(), rel=0.12)


def test_light_does_not_wrap_around(observer):
    """A star near one edge leaves the opposite edge dark, also beyond the edge."""
    star = make_source(galsim.Gaussian(sigma=0.02), 0.2, 0.03, 0.07)
    for x in (0.48 * SIZE, 0.53 * SIZE):
        image = observer.observe(star, np.eye(2), (x * SCALE, 0.0), FLUX, 0).image
        assert image[:, -1].sum() > 0.01 * FLUX
        assert np.abs(image[:, :8]).max() < 1e-4 * FLUX


def test_flux_and_position(sources, observer):
    """The offset is that of the centroid."""
    image = observer.observe(sources["fine"], jacobian(0.3), (0.3, -0.15), FLUX, 0).image
    y, x = (np.indices(image.shape) - 0.5 * (SIZE - 1)) * SCALE
    assert image.sum() == pytest.approx(FLUX, rel=5e-3)
    assert (x * image).sum() / image.sum() == pytest.approx(0.3, abs=3e-3)
    assert (y * image).sum() / image.sum() == pytest.approx(-0.15, abs=3e-3)
    twice = observer.observe(sources["fine"], jacobian(0.3), (0.3, -0.15), 2 * FLUX, 0).image
    np.testing.assert_allclose(twice, 2 * image, atol=1e-9)


def test_the_stamp_is_the_middle_of_the_field(observer):
    field = np.zeros((observer.field, observer.field))
    field[observer.field // 2, observer.field // 2] = 1.0
    stamp = observer.cut(field)
    assert stamp.shape == (SIZE, SIZE) and stamp[SIZE // 2, SIZE // 2] == 1.0
