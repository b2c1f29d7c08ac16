"""How far stamps extend: what GalSim finds, or on the safe side of it."""

import galsim
import numpy as np
import pytest

from galsim_deep.profiles.extents import half_sizes, largest_frequencies
from galsim_deep.profiles.make import make_profile, make_profiles


def test_stepk_is_galsims_and_maxk_not_below(stamps):
    ours = make_profiles(stamps, 0.03)
    theirs = [make_profile(stamp, 0.03) for stamp in stamps]
    stepk, maxk = (np.array([getattr(our, name) / getattr(their, name) for our, their in
                             zip(ours, theirs, strict=True)]) for name in ("stepk", "maxk"))
    np.testing.assert_allclose(stepk, 1.0, rtol=1e-6)
    assert maxk.min() > 0.99
    assert np.median(maxk) < 1.1 and maxk.max() < 2.0


@pytest.mark.parametrize("params", [dict(folding_threshold=0.02), dict(maxk_threshold=1e-2)])
def test_extents_follow_gsparams(stamps, params):
    gsparams = galsim.GSParams(**params)
    for ours, stamp in zip(make_profiles(stamps[:8], 0.03, gsparams=gsparams), stamps,
                           strict=False):
        theirs = make_profile(stamp, 0.03, gsparams=gsparams)
        assert ours.gsparams == gsparams
        assert ours.stepk == pytest.approx(theirs.stepk)
        assert ours.maxk > 0.99 * theirs.maxk


@pytest.mark.parametrize("size", [64, 65])
def test_light_that_is_smooth_all_over_the_stamp(size):
    """The modes of the stamp's own grid are zero, but the spectrum between them is not."""
    window = np.hanning(size)
    for stamp in (np.outer(window, window), np.ones((size, size))):
        ours, = make_profiles(stamp[None].astype(np.float32), 0.03)
        theirs = make_profile(stamp.astype(np.float32), 0.03)
        assert ours.maxk > 0.99 * theirs.maxk


def test_each_stamp_has_its_own_extent(module_stamps):
    """Nothing depends on the batch that a stamp is in, not even by rounding."""
    flux = module_stamps.sum(axis=(1, 2), dtype=float)
    for function, threshold in ((half_sizes, 0.005), (largest_frequencies, 1e-3)):
        together = function(module_stamps, flux, threshold)
        alone = [function(module_stamps[k:k + 1], flux[k:k + 1], threshold)[0]
                 for k in range(len(flux))]
        np.testing.assert_array_equal(together, alone)


def test_negative_light():
    """A profile of negative flux extends as far as its opposite."""
    stamp = galsim.Gaussian(sigma=3).drawImage(nx=32, ny=32, scale=1).array[None]
    flux = stamp.sum(axis=(1, 2), dtype=float)
    assert half_sizes(-stamp, -flux, 0.005) == half_sizes(stamp, flux, 0.005)
    assert largest_frequencies(-stamp, -flux, 1e-3) == largest_frequencies(stamp, flux, 1e-3)
