"""A StampProfile is GalSim's InterpolatedImage in all but memory, in this version of GalSim."""

import os
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import galsim
import numpy as np
import pytest

from galsim_deep.profiles import _galsim_internals as internals
from galsim_deep.profiles._galsim_internals import HELD_BYTES, StampProfile, _bytes, _held
from galsim_deep.profiles.make import make_profile, make_profiles


def as_galsim_makes_it(profile, stamp):
    """GalSim's own profile with the stamp, flux, padding and extents of this one."""
    return galsim.InterpolatedImage(
        galsim.Image(stamp.astype(float), scale=profile._wcs.scale), flux=profile.flux,
        pad_factor=profile._pad_factor, _force_stepk=profile.stepk, _force_maxk=profile.maxk)


# ---- what is relied on ----------------------------------------------------------------------


def test_galsim_has_what_is_used():
    internals.check_galsim.__wrapped__()


@pytest.mark.parametrize("name", [*internals._METHODS, *internals._PROPERTIES, "_sbp", "_getMaxK"])
def test_a_name_that_galsim_no_longer_has(name, monkeypatch):
    """The error comes before the first profile, and says which name it is."""
    monkeypatch.delattr(galsim.InterpolatedImage, name)
    with pytest.raises(galsim.GalSimError) as caught:
        internals.check_galsim.__wrapped__()
    assert name in str(caught.value) and galsim.__version__ in str(caught.value)


def test_an_attribute_that_galsim_no_longer_sets(monkeypatch):
    monkeypatch.setattr(internals, "_ATTRIBUTES", internals._ATTRIBUTES | {"_padding"})
    with pytest.raises(galsim.GalSimError) as caught:
        internals.check_galsim.__wrapped__()
    assert "_padding" in str(caught.value)


def test_every_attribute_of_galsim_is_set(stamp):
    """A version of GalSim whose __init__ sets further ones would need them here as well."""
    profile, = make_profiles(stamp[None], 0.03)
    theirs = as_galsim_makes_it(profile, stamp)
    assert set(vars(theirs)) == internals._ATTRIBUTES
    assert set(vars(profile._padded())) - set(vars(theirs)) == {"_stamp", "_pad_size"}
    for name in internals._ATTRIBUTES:
        assert getattr(profile, name) == getattr(theirs, name), name


def test_every_use_of_the_padded_image_is_overridden():
    """Others than these would make the profile keep its padded image for good."""
    names = {name for name, value in vars(galsim.InterpolatedImage).items()
             for code in [getattr(getattr(value, "fget", value), "__code__", None)]
             if code is not None and "_sbp" in code.co_names}
    assert names - {"_getMaxK", "_sbp"} == {*internals._METHODS, *internals._PROPERTIES}
    assert names <= set(vars(StampProfile))


# ---- the same as GalSim's -------------------------------------------------------------------


def test_equality_hash_and_repr_are_galsims(stamp):
    ours, = make_profiles(stamp[None], 0.03, flux=[8.0])
    theirs = as_galsim_makes_it(ours, stamp)
    assert isinstance(ours, galsim.InterpolatedImage)
    assert ours == theirs and theirs == ours and hash(ours) == hash(theirs)
    assert repr(ours) == repr(theirs)
    other, = make_profiles(stamp[None], 0.03, flux=[9.0])
    assert ours != other and other != theirs


def test_other_gsparams(stamp):
    ours, = make_profiles(stamp[None], 0.03, flux=[8.0])
    ours, theirs = (profile.withGSParams(folding_threshold=0.05, maxk_threshold=0.01)
                    for profile in (ours, make_profile(stamp, 0.03, flux=8.0)))
    assert ours.stepk == pytest.approx(theirs.stepk)
    assert ours.gsparams == theirs.gsparams


def test_everything_drawn_is_the_same_bit_for_bit(stamps):
    psf = galsim.Moffat(beta=3.0, fwhm=0.7)
    for profile, stamp in zip(make_profiles(stamps[:4], 0.03, flux=[5.0] * 4), stamps,
                              strict=False):
        theirs = as_galsim_makes_it(profile, stamp)
        results = []
        for one in (profile, theirs):
            photons = one.shoot(100, galsim.BaseDeviate(5))
            results.append([
                one.drawImage(nx=32, ny=32, scale=0.03, method="no_pixel").array,
                galsim.Convolve(one.shear(g1=0.1), psf).drawImage(nx=32, ny=32, scale=0.2).array,
                one.drawKImage(nx=16, ny=16, scale=2.0).array, photons.x, photons.flux,
                one.xValue(0.1, 0.2), one.kValue(3.0, 2.0), one.centroid.x, one.centroid.y,
                one.positive_flux, one.negative_flux, one.max_sb])
        for ours, expected in zip(*results, strict=True):
            np.testing.assert_array_equal(ours, expected)


# ---- memory ---------------------------------------------------------------------------------


def test_a_profile_keeps_nothing_but_its_stamp(stamp):
    profile, = make_profiles(stamp[None], 0.03)
    assert len(pickle.dumps(profile)) < 1.5 * stamp.nbytes + 4000
    profile.drawImage(nx=32, ny=32)
    assert len(pickle.dumps(profile)) < 1.5 * stamp.nbytes + 4000
    again = pickle.loads(pickle.dumps(profile))
    assert isinstance(again, StampProfile) and again == profile and hash(again) == hash(profile)
    assert again.drawImage(nx=32, ny=32) == profile.drawImage(nx=32, ny=32)


@pytest.fixture
def room_for_three(stamp, monkeypatch):
    """The bytes that each thread may keep, reduced to three profiles of this stamp."""
    profile, = make_profiles(stamp[None], 0.03)
    monkeypatch.setattr(internals, "HELD_BYTES", 3 * _bytes(profile) + 1)
    monkeypatch.setattr(internals, "_held", internals._HeldProfiles())
    return internals._held


def test_those_drawn_last_are_kept(stamp, room_for_three):
    profiles = make_profiles(np.stack([stamp] * 6), 0.03)
    before = [set(vars(profile)) for profile in profiles]
    images = []
    for profile in profiles:
        images.append(profile.drawImage(nx=32, ny=32))
        profiles[0].drawImage(nx=32, ny=32)  # again and again
        assert room_for_three.bytes <= internals.HELD_BYTES
    assert [*room_for_three.profiles] == [id(profiles[k]) for k in (4, 5, 0)]
    assert room_for_three.bytes == sum(
        _bytes(profile) for profile, _ in room_for_three.profiles.values())
    assert profiles[1].drawImage(nx=32, ny=32) == images[1]
    # The profiles themselves keep nothing.
    assert [set(vars(profile)) for profile in profiles] == before


def test_what_is_kept_is_counted_as_it_is(stamp):
    """The padded image, and its transform of about the same size."""
    profile, = make_profiles(stamp[None], 0.03)
    assert _bytes(profile) == 2 * profile._padded()._xim.array.nbytes


def test_a_large_profile_is_kept_alone(stamp, room_for_three):
    small, large = make_profiles(stamp[None], 0.03) + make_profiles(
        stamp[None], 0.03, pad_factor=16.0)
    for profile in (small, large):
        profile.drawImage(nx=32, ny=32)
    assert [*room_for_three.profiles] == [id(large)]
    small.drawImage(nx=32, ny=32)
    assert [*room_for_three.profiles] == [id(small)]
    assert room_for_three.bytes == _bytes(small)


@pytest.mark.long
def test_memory_is_bounded_whatever_is_drawn():
    """Resident memory in a process that draws many more profiles than it may keep."""
    script = textwrap.dedent("""
        import galsim, numpy as np, resource
        from galsim_deep.profiles import _galsim_internals as internals
        from galsim_deep.profiles.make import make_profiles
        stamp = galsim.Gaussian(sigma=5).drawImage(nx=128, ny=128, scale=1).array
        def draw(count):
            for profile in make_profiles(np.stack([stamp] * count), 0.03, pad_factor=4):
                profile.drawImage(nx=16, ny=16)
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        draw(1)
        before = draw(2)
        print((draw(40) - before) / internals.HELD_BYTES)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          timeout=200, check=True)
    assert float(done.stdout) < 1.5  # 40 profiles take 2.5 times as much


def test_what_others_keep_stays(stamp, room_for_three):
    """A profile convolved in real space reads the padded image as long as it lives."""
    profiles = make_profiles(np.stack([stamp] * 10), 0.03)
    smooth = galsim.Convolve(profiles[0], galsim.Pixel(0.1), real_space=True)
    before = smooth.xValue(0, 0)
    for profile in profiles[1:]:
        profile.drawImage(nx=32, ny=32)
    # Memory that was set free is written to.
    others = [np.full((192, 192), 7.0) for _ in range(50)]
    assert smooth.xValue(0, 0) == before and len(others) == 50


# ---- threads and processes ------------------------------------------------------------------


def test_threads_draw(stamps):
    """Several threads, whether they share profiles or not."""
    profiles = make_profiles(stamps[:4], 0.03)
    expected = [profile.drawImage(nx=32, ny=32).array.copy() for profile in profiles] * 32
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for image, wanted in zip(pool.map(
                    lambda profile: profile.drawImage(nx=32, ny=32).array, profiles * 32),
                    expected, strict=True):
                np.testing.assert_array_equal(image, wanted)
    finally:
        sys.setswitchinterval(before)


def test_each_thread_keeps_its_own(stamp):
    profile, = make_profiles(stamp[None], 0.03)
    profile.drawImage(nx=32, ny=32)
    assert id(profile) in _held.profiles and _held.bytes <= HELD_BYTES
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: len(_held.profiles)).result() == 0


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_children_draw_while_threads_of_their_parent_do(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent("""
        import os, threading, time, galsim, galsim_deep, numpy as np
        from galsim_deep.profiles.make import make_profiles
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
            for _ in range(3000):
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    break
                time.sleep(0.01)
            else:
                os.kill(child, 9)
                os._exit(5)
            assert status == 0
        os._exit(0)
    """))
    assert subprocess.run([sys.executable, str(script)], timeout=400).returncode == 0
