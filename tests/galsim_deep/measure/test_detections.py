"""Sources within a galaxy: one, several, neighbours, and noise."""

import numpy as np

from galsim_deep.measure.detections import KERNEL, sources_within

Y, X = np.indices((96, 96))


def blob(x, y, sigma, flux=1.0):
    return flux * np.exp(-0.5 * ((X - x)**2 + (Y - y)**2) / sigma**2)


def test_a_smooth_galaxy_is_one():
    assert sources_within(blob(48, 48, 8), 0.01, (48, 48), 30, 3) == 1


def test_a_smooth_galaxy_in_noise_is_one():
    """Where its light fades into the noise there are no false sources."""
    rng, sigma = np.random.default_rng(2), 0.02
    smoothed = sigma * np.sqrt((KERNEL**2).sum())
    found = [sources_within(blob(48, 48, 12) + rng.normal(0, sigma, (96, 96)), smoothed, (48, 48),
                            45, 3) for _ in range(30)]
    assert np.mean(found) == 1


def test_knots_shred_a_galaxy():
    knots = sum(blob(x, y, 1.5) for x, y in ((36, 48), (60, 48), (48, 60)))
    assert sources_within(0.3 * blob(48, 48, 10) + knots, 0.01, (48, 48), 30, 3) >= 3


def test_only_within_the_extent():
    image = blob(48, 48, 4) + blob(78, 48, 3)
    assert sources_within(image, 0.01, (48, 48), 40, 3) == 2
    assert sources_within(image, 0.01, (48, 48), 20, 3) == 1


def test_what_is_masked_is_not_found():
    image = blob(48, 48, 4) + blob(78, 48, 3)
    assert sources_within(image, 0.01, (48, 48), 40, 3, masked=X > 66) == 1


def test_photons_of_the_galaxy_are_noise():
    image = blob(48, 48, 4, flux=0.5)
    assert sources_within(image, 0.01, (48, 48), 30, 3) == 1
    assert sources_within(image, 0.01, (48, 48), 30, 3, photon_variance=1.0) == 0


def test_noise_alone():
    """Hardly any false detection."""
    rng = np.random.default_rng(1)
    sigma = np.sqrt((KERNEL**2).sum())
    found = [sources_within(rng.normal(size=(96, 96)), sigma, (48, 48), 40, 3)
             for _ in range(50)]
    assert np.mean(found) < 0.1
    assert sources_within(np.zeros((96, 96)), 1.0, (48, 48), 40, 3) == 0
