"""Parametric fits: galaxies with known parameters, real galaxies, and stamps without a galaxy."""

import astropy.io.fits
import galsim
import numpy as np
import pytest

from galsim_deep.measure.parametric import fit_parametric, fit_sersic
from galsim_deep.observations.observation import Observation

SCALE = 0.03
# As wide as that of Hubble's camera, pixel included, a bit elliptical, and without light beyond the
# edge of its stamp, so that its pixels tell all.
PSF = galsim.Convolve(
    galsim.Gaussian(sigma=0.037, flux=0.75) + galsim.Gaussian(sigma=0.12, flux=0.25),
    galsim.Pixel(SCALE)).shear(g1=0.03, g2=-0.02)


@pytest.fixture(scope="module")
def psf():
    image = PSF.drawImage(nx=65, ny=65, scale=SCALE, method="no_pixel", dtype=float).array
    return image / image.sum()


def seen(profile, size=128):
    """A profile through the true PSF, without noise."""
    accurate = galsim.GSParams(folding_threshold=1e-3, maximum_fft_size=16384)
    return galsim.Convolve(profile, PSF, gsparams=accurate).drawImage(
        nx=size, ny=size, scale=SCALE, method="no_pixel", dtype=float).array


def observation(stamp, psf, noise_sigma, seed=None):
    if seed is not None:
        stamp = stamp + noise_sigma * np.random.default_rng(seed).standard_normal(stamp.shape)
    return Observation(0, stamp, psf, SCALE, noise_sigma, {})


def sersic(n, radius=0.45, q=0.6, angle=0.5, flux=30.0, shift=(0.02, -0.035)):
    return galsim.Sersic(n, half_light_radius=radius, flux=flux).shear(
        q=q, beta=angle * galsim.radians).shift(*shift)


def two_parts():
    bulge = galsim.DeVaucouleurs(half_light_radius=0.2, flux=12.0).shear(
        q=0.8, beta=1.0 * galsim.radians)
    disc = galsim.Exponential(half_light_radius=0.6, flux=25.0).shear(
        q=0.4, beta=-0.4 * galsim.radians)
    return (bulge + disc).shift(-0.03, 0.01)


@pytest.mark.parametrize("n", [0.5, 1.0, 2.5, 4.0])
def test_known_sersic(psf, n):
    fit = fit_sersic(seen(sersic(n)), SCALE, psf, 1e-3)
    (found,) = fit.components
    assert fit.success and fit.kind == "sersic"
    assert found.flux == pytest.approx(30.0, rel=0.01)
    assert found.half_light_radius == pytest.approx(0.45, rel=0.01)
    assert found.n == pytest.approx(n, rel=0.01)
    assert found.q == pytest.approx(0.6, abs=0.005)
    assert found.angle == pytest.approx(0.5, abs=0.005)
    assert fit.centre == pytest.approx((0.02, -0.035), abs=0.02 * SCALE)


@pytest.mark.long
@pytest.mark.parametrize("n, radius, q", [
    (1.0, 0.06, 0.7), (1.0, 1.2, 0.2), (4.0, 1.0, 0.5), (0.4, 0.8, 0.9)])
def test_small_large_and_flat_sersic(psf, n, radius, q):
    """From two pixels to a galaxy with much of its light outside of the stamp."""
    fit = fit_sersic(seen(sersic(n, radius, q)), SCALE, psf, 1e-3)
    (found,) = fit.components
    assert found.flux == pytest.approx(30.0, rel=0.02)
    assert found.half_light_radius == pytest.approx(radius, rel=0.02)
    assert found.n == pytest.approx(n, rel=0.02)
    assert found.q == pytest.approx(q, rel=0.02)


def test_known_sersic_on_a_small_oblong_stamp(psf):
    fit = fit_sersic(seen(sersic(1.0, 0.3))[20:103, :120], SCALE, psf, 1e-3)
    (found,) = fit.components
    assert fit.stamp.shape == (83, 120)
    assert found.half_light_radius == pytest.approx(0.3, rel=0.01)
    # The middle of these rows is 2.5 pixels below the middle of all, that of the columns 4.
    expected = (0.02 + 4 * SCALE, -0.035 + 2.5 * SCALE)
    assert fit.centre == pytest.approx(expected, abs=0.02 * SCALE)


@pytest.mark.parametrize("n", [0.5, 1.0, 4.0])
def test_sersic_without_psf(n):
    stamp = sersic(n, 0.3).drawImage(
        nx=128, ny=128, scale=SCALE, method="no_pixel", dtype=float).array
    fit = fit_sersic(stamp, SCALE)
    (found,) = fit.components
    assert fit.success
    assert found.flux == pytest.approx(30.0, rel=1e-3)
    assert found.half_light_radius == pytest.approx(0.3, rel=1e-3)
    assert found.n == pytest.approx(n, rel=1e-3)
    np.testing.assert_allclose(fit.stamp, stamp, atol=1e-4 * stamp.max())


def test_known_bulge_and_disc(psf):
    fit = fit_parametric(observation(seen(two_parts()), psf, 1e-3, seed=1))
    assert fit.kind == "bulge+disc" and fit.success
    bulge, disc = fit.components
    assert (bulge.n, disc.n) == (4.0, 1.0)
    assert bulge.flux == pytest.approx(12.0, rel=0.03)
    assert disc.flux == pytest.approx(25.0, rel=0.02)
    assert bulge.half_light_radius == pytest.approx(0.2, rel=0.03)
    assert disc.half_light_radius == pytest.approx(0.6, rel=0.01)
    assert (bulge.q, disc.q) == pytest.approx((0.8, 0.4), abs=0.02)
    assert disc.angle == pytest.approx(-0.4, abs=0.01)
    assert fit.centre == pytest.approx((-0.03, 0.01), abs=0.02 * SCALE)
    assert fit.chi2 == pytest.approx(1.0, abs=0.04)
    # Which no single profile could.
    assert fit_sersic(observation(seen(two_parts()), psf, 1e-3, seed=1).stamp,
                      SCALE, psf, 1e-3).chi2 > fit.chi2 + 0.05


@pytest.mark.long
@pytest.mark.parametrize("n", [0.7, 1.0, 2.5, 4.0])
def test_one_component_for_one_component(psf, n):
    fit = fit_parametric(observation(seen(sersic(n)), psf, 3e-3, seed=2))
    assert fit.kind == "sersic" and fit.success
    # The standard deviation for 128^2 pixels is 0.011.
    assert fit.chi2 == pytest.approx(1.0, abs=0.04)


@pytest.mark.long
def test_two_components_too_faint_to_tell(psf):
    faint = observation(seen(two_parts()), psf, 0.1, seed=3)
    assert fit_parametric(faint).kind == "sersic"


# The interpolation of the PSF by GalSim is not quite as good as its pixels allow, which shows where
# a profile is no wider than a pixel.
@pytest.mark.parametrize("profile, tolerance", [
    (sersic(0.5), 1e-3), (sersic(1.0), 1e-3), (sersic(4.0), 8e-3), (two_parts(), 8e-3)])
def test_stamp_is_what_galsim_draws(psf, profile, tolerance):
    observed = observation(seen(profile), psf, 1e-3)
    fit = fit_parametric(observed)
    drawn = observed.convolved(fit.profile())
    np.testing.assert_allclose(fit.stamp, drawn, atol=tolerance * drawn.max())
    assert drawn.sum() == pytest.approx(fit.stamp.sum(), rel=3e-3)
    # And closer still to what is drawn through the PSF before it was sampled.
    direct = seen(fit.profile())
    np.testing.assert_allclose(fit.stamp, direct, atol=2e-3 * direct.max())


def test_chi2_is_that_of_the_stamp(psf):
    observed = observation(seen(sersic(1.0)), psf, 0.01, seed=4)
    observed.stamp[3, 5] = np.nan
    fit = fit_parametric(observed)
    assert fit.chi2 == pytest.approx(
        np.nanmean((observed.stamp - fit.stamp) ** 2) / 0.01**2, rel=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("profile", [sersic(2.0), two_parts()])
def test_flux_does_not_matter(psf, profile):
    observed = observation(seen(profile), psf, 2e-3, seed=5)
    fit = fit_parametric(observed)
    other = fit_parametric(observation(1e3 * observed.stamp, psf, 2.0))
    assert other.kind == fit.kind
    assert other.chi2 == pytest.approx(fit.chi2, rel=1e-5)
    np.testing.assert_allclose(other.stamp, 1e3 * fit.stamp, atol=fit.stamp.max())
    for before, after in zip(fit.components, other.components, strict=True):
        assert after.flux == pytest.approx(1e3 * before.flux, rel=1e-3)
        assert after.half_light_radius == pytest.approx(before.half_light_radius, rel=1e-3)


def test_turned_by_90_degrees(psf):
    stamp = observation(seen(sersic(1.5)), psf, 5e-3, seed=6).stamp
    fit = fit_sersic(stamp, SCALE, psf, 5e-3)
    # Rows go up, so that this turns +x into +y.
    turned = fit_sersic(np.rot90(stamp, -1), SCALE, np.rot90(psf, -1), 5e-3)
    (before,), (after,) = fit.components, turned.components
    x, y = fit.centre
    assert turned.centre == pytest.approx((-y, x), abs=1e-5)
    assert np.cos(2 * (after.angle - before.angle)) == pytest.approx(-1, abs=1e-4)
    assert (after.q, after.n) == pytest.approx((before.q, before.n), rel=1e-3)
    np.testing.assert_allclose(turned.stamp, np.rot90(fit.stamp, -1), atol=2e-3 * fit.stamp.max())


def test_nan_pixels_are_left_out(psf):
    stamp = seen(sersic(1.0))
    stamp[62:66, 70:73] = np.nan
    stamp[:, 100:] = np.nan
    fit = fit_sersic(stamp, SCALE, psf, 1e-3)
    (found,) = fit.components
    assert fit.success and np.isfinite(fit.stamp).all()
    assert found.flux == pytest.approx(30.0, rel=0.01)
    assert found.half_light_radius == pytest.approx(0.45, rel=0.01)
    assert found.n == pytest.approx(1.0, rel=0.01)


def ramp():
    return np.tile(np.arange(64.0), (64, 1))


@pytest.mark.parametrize("stamp", [
    np.zeros((64, 64)), np.ones((64, 64)), -np.ones((64, 64)), np.full((64, 64), np.nan), ramp(),
    np.full((64, 64), np.inf), np.random.default_rng(7).standard_normal((64, 64)),
    np.where(ramp() + ramp().T == 0, 1.0, np.nan)],
    ids=["zero", "constant", "negative", "nan", "ramp", "inf", "noise", "one pixel"])
def test_nothing_to_fit(psf, stamp):
    for fit in (fit_parametric(observation(stamp, psf, 1.0)), fit_sersic(stamp, SCALE)):
        assert not fit.success
        assert fit.stamp.shape == stamp.shape and np.isfinite(fit.stamp).all()
        assert np.isfinite(fit.chi2)


def test_no_profile_of_nothing(psf):
    fit = fit_sersic(np.zeros((64, 64)), SCALE, psf)
    assert fit.components == ()
    with pytest.raises(galsim.GalSimError, match="no profile"):
        fit.profile()


@pytest.mark.long
@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_extreme_units(psf, factor):
    fit = fit_parametric(observation(factor * seen(sersic(1.0)), psf, 1e-3))
    assert fit.success and np.isfinite(fit.stamp).all() and np.isfinite(fit.chi2)
    assert fit.components[0].n == pytest.approx(1.0, rel=0.01)


def test_galaxy_cut_by_the_edge(psf):
    stamp = observation(seen(sersic(1.0, shift=(1.9, 0.3))), psf, 1e-3, seed=8).stamp
    fit = fit_parametric(observation(stamp, psf, 1e-3))
    assert np.isfinite(fit.stamp).all()
    assert fit.centre == pytest.approx((1.9, 0.3), abs=0.05)
    assert fit.chi2 < 1.1


@pytest.mark.parametrize("change, message", [
    (dict(noise_sigma=0.0), "noise_sigma"), (dict(noise_sigma=np.nan), "noise_sigma"),
    (dict(pixel_scale=-1.0), "pixel_scale"), (dict(stamp=np.zeros(5)), "two dimensions"),
    (dict(psf=np.ones((4, 4))), "odd"), (dict(psf=np.full((3, 3), np.nan)), "finite")])
def test_what_cannot_be_used(psf, change, message):
    given = dict(stamp=np.ones((32, 32)), pixel_scale=SCALE, psf=psf, noise_sigma=1.0) | change
    with pytest.raises(galsim.GalSimError, match=message):
        fit_sersic(**given)


@pytest.mark.long
def test_real_galaxies(reference_data):
    """Better than a round exponential of the flux and the half-light radius that was measured."""
    folder = reference_data / "cosmos_f814w_50"
    catalogue = galsim.RealGalaxyCatalog("real_galaxy_catalog.fits", dir=str(folder))
    columns = astropy.io.fits.getdata(folder / "real_galaxy_catalog.fits")
    for i in range(0, 48, 8):
        stamp = catalogue.getGalImage(i).array.astype(float)
        effective = catalogue.getPSF(i).drawImage(
            nx=65, ny=65, scale=SCALE, method="no_pixel", dtype=float).array
        noise_sigma = float(np.sqrt(columns["NOISE_VARIANCE"][i]))
        observed = observation(stamp, effective / effective.sum(), noise_sigma)
        fit = fit_parametric(observed)
        assert fit.success
        image = galsim.Image(np.ascontiguousarray(stamp), scale=SCALE)
        round_one = observed.convolved(galsim.Exponential(
            half_light_radius=image.calculateHLR(), flux=stamp.sum()))
        assert fit.chi2 < np.mean((stamp - round_one) ** 2) / noise_sigma**2
