"""Profiles from stamps: those that GalSim would make, in less time and memory."""

import os
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import galsim
import numpy as np
import pytest

from galsim_deep.profiles import HELD, StampProfile, _drawn, make_profile, make_profiles

PSF = galsim.Moffat(beta=3.0, fwhm=0.7)


@pytest.fixture(scope="module")
def stamps(model):
    """Of a model, over the ranges of its columns."""
    rng = np.random.default_rng(3)
    table = {column.name: rng.uniform(*column.valid_range, 60) for column in model.card.columns}
    return model.images(table, seeds=range(60))


def synthetic(size):
    """A compact, a wide, an off-centre and a lumpy one."""
    shapes = [galsim.Gaussian(sigma=1.0), galsim.Exponential(half_light_radius=size / 8),
              galsim.Exponential(half_light_radius=2.0).shear(g1=0.4).shift(3.0, -2.0),
              galsim.Gaussian(sigma=6.0) + 0.2 * galsim.Gaussian(sigma=0.6).shift(5.0, 4.0)]
    return np.stack([shape.withFlux(3.0).drawImage(
        nx=size, ny=size, scale=1.0, method="no_pixel").array for shape in shapes])


@pytest.fixture(scope="module", params=["model", 64, 65])
def some(request, stamps):
    return stamps if request.param == "model" else synthetic(request.param)


@pytest.fixture
def stamp():
    return synthetic(64)[2]


def test_reach_is_what_galsim_finds(some):
    """stepk the same; maxk the same, or on its safe side, which is above."""
    ours, theirs = make_profiles(some, 0.03), [make_profile(stamp, 0.03) for stamp in some]
    stepk, maxk = (np.array([getattr(one, name) / getattr(other, name) for one, other in
                             zip(ours, theirs, strict=True)]) for name in ("stepk", "maxk"))
    np.testing.assert_allclose(stepk, 1.0, rtol=1e-6)
    assert maxk.min() > 0.99
    assert np.median(maxk) < 1.1 and maxk.max() < 2.0


@pytest.mark.parametrize("params", [dict(folding_threshold=0.02), dict(maxk_threshold=1e-2)])
def test_reach_follows_gsparams(some, params):
    gsparams = galsim.GSParams(**params)
    for ours, stamp in zip(make_profiles(some[:8], 0.03, gsparams=gsparams), some, strict=False):
        theirs = make_profile(stamp, 0.03, gsparams=gsparams)
        assert ours.gsparams == gsparams
        assert ours.stepk == pytest.approx(theirs.stepk)
        assert ours.maxk > 0.99 * theirs.maxk


def test_drawn_as_galsim_draws_them(some):
    for ours, stamp in zip(make_profiles(some[:8], 0.03), some, strict=False):
        theirs = make_profile(stamp, 0.03, pad_factor=ours._pad_factor)
        drawn, expected = (galsim.Convolve(one, PSF).drawImage(nx=48, ny=48, scale=0.2).array
                           for one in (ours, theirs))
        np.testing.assert_allclose(drawn, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("psf, scale", [
    (PSF, 0.2), (galsim.Moffat(beta=3.0, fwhm=0.16), 0.1), (galsim.Gaussian(fwhm=0.08), 0.03)])
def test_padding_is_enough(stamps, psf, scale):
    """Compact galaxies are padded less than large ones, and none too little."""
    pads = set()
    for ours, more in zip(make_profiles(stamps[:20], 0.03),
                          make_profiles(stamps[:20], 0.03, pad_factor=8.0), strict=True):
        pads.add(ours._pad_factor)
        assert more._pad_factor == 8.0
        if ours._pad_factor < 4.0:  # which GalSim itself would take
            drawn, expected = (galsim.Convolve(one.shear(g1=0.1), psf).drawImage(
                nx=64, ny=64, scale=scale).array for one in (ours, more))
            np.testing.assert_allclose(drawn, expected, atol=1e-4 * expected.max())
    assert pads == {2.0, 3.0, 4.0}


def test_equal_to_galsims_own(stamp):
    ours, = make_profiles(stamp[None], 0.03, flux=[8.0])
    theirs = galsim.InterpolatedImage(
        galsim.Image(stamp.astype(float), scale=0.03), flux=8.0, pad_factor=ours._pad_factor,
        _force_stepk=ours.stepk, _force_maxk=ours.maxk)
    assert isinstance(ours, galsim.InterpolatedImage)
    assert ours == theirs and theirs == ours and hash(ours) == hash(theirs)
    assert repr(ours) == repr(theirs)
    ours, theirs = (one.withGSParams(folding_threshold=0.05, maxk_threshold=0.01)
                    for one in (ours, make_profile(stamp, 0.03, flux=8.0)))
    assert ours.stepk == pytest.approx(theirs.stepk)


def test_a_profile_holds_its_stamp_and_no_more(stamp):
    profile, = make_profiles(stamp[None], 0.03)
    assert len(pickle.dumps(profile)) < 1.5 * stamp.nbytes + 4000
    profile.drawImage(nx=32, ny=32)
    assert len(pickle.dumps(profile)) < 1.5 * stamp.nbytes + 4000
    again = pickle.loads(pickle.dumps(profile))
    assert isinstance(again, StampProfile) and again == profile and hash(again) == hash(profile)
    assert again.drawImage(nx=32, ny=32) == profile.drawImage(nx=32, ny=32)


def test_only_those_drawn_last_are_held(stamp):
    profiles = make_profiles(np.stack([stamp] * (HELD + 3)), 0.03)
    before = [set(vars(profile)) for profile in profiles]
    images = []
    for profile in profiles:
        images.append(profile.drawImage(nx=32, ny=32))
        profiles[0].drawImage(nx=32, ny=32)  # again and again
        assert len(_drawn.profiles) <= HELD
    assert id(profiles[0]) in _drawn.profiles and id(profiles[1]) not in _drawn.profiles
    assert profiles[1].drawImage(nx=32, ny=32) == images[1]
    # Nor do the profiles themselves hold anything.
    assert [set(vars(profile)) for profile in profiles] == before


def test_what_others_keep_stays(stamp):
    """A profile convolved in real space reads the padded image as long as it lives."""
    profiles = make_profiles(np.stack([stamp] * (2 * HELD)), 0.03)
    smooth = galsim.Convolve(profiles[0], galsim.Pixel(0.1), real_space=True)
    before = smooth.xValue(0, 0)
    for profile in profiles[1:]:
        profile.drawImage(nx=32, ny=32)
    rubbish = [np.full((192, 192), 7.0) for _ in range(50)]  # where memory was let go of
    assert smooth.xValue(0, 0) == before and len(rubbish) == 50


def test_threads_draw(some):
    """Several threads, whether they share profiles or not."""
    profiles = make_profiles(some[:4], 0.03) * HELD
    expected = [one.drawImage(nx=32, ny=32).array.copy() for one in profiles[:4]] * HELD
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for image, wanted in zip(pool.map(
                    lambda one: one.drawImage(nx=32, ny=32).array, profiles), expected,
                    strict=True):
                np.testing.assert_array_equal(image, wanted)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_children_draw_while_threads_of_their_parent_do(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent("""
        import os, threading, time, galsim, galsim_deep, numpy as np
        from galsim_deep.profiles import make_profiles
        stamp = galsim.Gaussian(sigma=5).drawImage(nx=128, ny=128, scale=1).array
        profiles = make_profiles(np.stack([stamp] * 100), 0.03)
        def draw():
            while True:
                for profile in make_profiles(np.stack([stamp] * 20), 0.03):
                    profile.drawImage(nx=16, ny=16)
        threading.Thread(target=draw, daemon=True).start()
        for number in range(100):
            child = os.fork()
            if not child:
                for profile in (profiles[number], *make_profiles(stamp[None], 0.03)):
                    profile.drawImage(nx=16, ny=16)
                os._exit(0)
            for _ in range(500):
                found, status = os.waitpid(child, os.WNOHANG)
                if found:
                    break
                time.sleep(0.01)
            else:
                os.kill(child, 9)
                os._exit(5)
            assert status == 0
        os._exit(0)
    """))
    assert subprocess.run([sys.executable, str(script)], timeout=200).returncode == 0


def test_a_galaxy_does_not_keep_its_table(stamp):
    many = np.stack([stamp] * 5)
    profile = make_profiles(many, 0.03)[2]
    many[:] = 0
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
    lambda stamp, **given: make_profile(stamp, 0.03, **given),
    lambda stamp, **given: make_profiles(
        stamp[None], 0.03, **{name: [value] for name, value in given.items()})[0]])
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


@pytest.mark.parametrize("size", [64, 65])
def test_light_that_is_smooth_all_over_the_stamp(size):
    """There is none in the modes of the stamp's own grid, but there is between them."""
    window = np.hanning(size)
    for stamp in (np.outer(window, window), np.ones((size, size))):
        ours, = make_profiles(stamp[None].astype(np.float32), 0.03)
        theirs = make_profile(stamp.astype(np.float32), 0.03)
        assert ours.maxk > 0.99 * theirs.maxk


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_stamps(size):
    profile, = make_profiles(np.ones((1, size, size), np.float32), 0.03)
    assert profile.drawImage(nx=32, ny=32, scale=0.03).array.sum() == pytest.approx(
        size**2, rel=0.05)


@pytest.mark.parametrize("options, error", [
    (dict(pad_factor=0.0), galsim.GalSimRangeError), (dict(pad_factor=-1.0),
                                                      galsim.GalSimRangeError),
    (dict(x_interpolant="best"), galsim.GalSimError), (dict(gsparams=3), TypeError)])
def test_options_that_cannot_be(options, error):
    with pytest.raises(error):
        make_profiles(np.zeros((0, 8, 8), np.float32), 0.03, **options)


def test_less_padding_than_the_stamp(stamp):
    profile, = make_profiles(stamp[None], 0.03, pad_factor=0.5)
    assert len(profile._xim.array) == len(stamp)
    assert profile.drawImage(nx=32, ny=32).array.sum() > 0


def test_no_stamps():
    assert make_profiles(np.zeros((0, 8, 8), np.float32), 0.03) == []


def test_no_light(stamp):
    with pytest.raises(galsim.GalSimValueError, match="without light.*1"):
        make_profiles(np.stack([stamp, 0 * stamp]), 0.03)
