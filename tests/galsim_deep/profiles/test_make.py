"""Profiles from stamps draw what GalSim's own profiles draw, and have the flux and size asked for.
"""

import galsim
import numpy as np
import pytest

from galsim_deep.profiles.make import make_profile, make_profiles

PSF = galsim.Moffat(beta=3.0, fwhm=0.7)


def test_drawn_as_galsim_draws_them(stamps):
    for ours, stamp in zip(make_profiles(stamps[:8], 0.03), stamps, strict=False):
        theirs = make_profile(stamp, 0.03, pad_factor=ours._pad_factor)
        drawn, expected = (galsim.Convolve(profile, PSF).drawImage(nx=48, ny=48, scale=0.2).array
                           for profile in (ours, theirs))
        np.testing.assert_allclose(drawn, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("psf, scale", [
    (PSF, 0.2), (galsim.Moffat(beta=3.0, fwhm=0.16), 0.1), (galsim.Gaussian(fwhm=0.08), 0.03)])
def test_padding_is_enough(module_stamps, psf, scale):
    """Compact galaxies are padded less than large ones, and none too little."""
    pad_factors = set()
    for ours, more in zip(make_profiles(module_stamps[:20], 0.03),
                          make_profiles(module_stamps[:20], 0.03, pad_factor=8.0), strict=True):
        pad_factors.add(ours._pad_factor)
        assert more._pad_factor == 8.0
        if ours._pad_factor < 4.0:  # GalSim's own factor
            drawn, expected = (galsim.Convolve(profile.shear(g1=0.1), psf).drawImage(
                nx=64, ny=64, scale=scale).array for profile in (ours, more))
            np.testing.assert_allclose(drawn, expected, atol=1e-4 * expected.max())
    assert min(pad_factors) == 2.0 and len(pad_factors) > 1


def test_pixel_scales_of_each_stamp(stamps):
    scales = np.float32([0.03, 0.05, 0.2])
    for profile, stamp, scale in zip(
            make_profiles(stamps[:3], scales), stamps, scales.tolist(), strict=False):
        alone, = make_profiles(stamp[None], scale)
        assert profile == alone and profile.image.scale == scale


def test_a_galaxy_does_not_keep_the_stamps_of_its_batch(stamp):
    batch = np.stack([stamp] * 5)
    profile = make_profiles(batch, 0.03)[2]
    batch[:] = 0
    assert profile._stamp.base is None
    np.testing.assert_array_equal(profile.image.array, stamp)


def test_options_reach_the_profiles(stamp):
    profile, = make_profiles(stamp[None], 0.03, x_interpolant="linear", k_interpolant="quintic",
                             pad_factor=1.5)
    theirs = make_profile(stamp, 0.03, x_interpolant="linear", pad_factor=1.5)
    assert profile.x_interpolant == theirs.x_interpolant
    assert profile._xim.bounds == theirs._xim.bounds
    assert profile.stepk == pytest.approx(theirs.stepk)


@pytest.mark.parametrize("make", [
    lambda stamp, **imposed: make_profile(stamp, 0.03, **imposed),
    lambda stamp, **imposed: make_profiles(
        stamp[None], 0.03, **{name: [value] for name, value in imposed.items()})[0]],
    ids=["make_profile", "make_profiles"])
class TestImposed:
    def test_nothing(self, make, stamp):
        profile = make(stamp)
        assert profile.flux == pytest.approx(stamp.sum(), rel=1e-6)
        assert profile.image.scale == 0.03

    def test_flux_and_half_light_radius(self, make, stamp):
        before = stamp.copy()
        profile = make(stamp, flux=8.0, half_light_radius=0.6)
        assert profile.flux == pytest.approx(8.0, rel=1e-6)
        assert profile.calculateHLR(
            size=512, scale=0.02, centroid=profile.centroid) == pytest.approx(0.6, rel=0.01)
        np.testing.assert_array_equal(stamp, before)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_stamps(size):
    profile, = make_profiles(np.ones((1, size, size), np.float32), 0.03)
    assert profile.drawImage(nx=32, ny=32, scale=0.03).array.sum() == pytest.approx(
        size**2, rel=0.05)


@pytest.mark.parametrize("options, error", [
    (dict(pad_factor=0.0), galsim.GalSimRangeError),
    (dict(pad_factor=-1.0), galsim.GalSimRangeError),
    (dict(x_interpolant="best"), galsim.GalSimError),
    (dict(gsparams=3), TypeError)], ids=str)
def test_options_that_cannot_be(options, error):
    """They are refused even where there is nothing to make."""
    with pytest.raises(error):
        make_profiles(np.zeros((0, 8, 8), np.float32), 0.03, **options)


def test_less_padding_than_the_stamp(stamp):
    profile, = make_profiles(stamp[None], 0.03, pad_factor=0.5)
    assert len(profile._xim.array) == len(stamp)
    assert profile.drawImage(nx=32, ny=32).array.sum() > 0


def test_no_stamps():
    assert make_profiles(np.zeros((0, 8, 8), np.float32), 0.03) == []


def test_a_stamp_without_light_is_refused_by_its_row(stamp):
    with pytest.raises(galsim.GalSimValueError) as caught:
        make_profiles(np.stack([stamp, 0 * stamp]), 0.03)
    assert caught.value.value == 1
