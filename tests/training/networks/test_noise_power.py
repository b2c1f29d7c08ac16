"""The spectrum of the noise that goes with a module."""

import numpy as np

from galsim_deep_training.networks.noise_power import NoisePower


def test_white_until_it_has_seen_some():
    np.testing.assert_array_equal(NoisePower(8).spectrum(), np.ones((1, 8, 5)))


def test_that_of_the_training_stamps(dataset):
    power = NoisePower(32)
    power.adapt(dataset)
    found = power.spectrum().numpy()
    expected = dataset.read(dataset.train_indices)["noise_power"].mean(axis=0)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    # COSMOS noise is correlated: stronger at large scales, weaker at small ones; in all, that of
    # white noise of the same variance.  All but the first and last column count twice.
    times = np.where(np.arange(17) % 16 == 0, 1.0, 2.0)
    assert found[0, 1, 1] > 1 > found[0, 16, 16]
    mean = np.average(found[0], weights=np.broadcast_to(times, (32, 17)))
    np.testing.assert_allclose(mean, 1.0, atol=0.02)
