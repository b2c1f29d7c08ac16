"""The noise power spectrum that is saved with a module."""

import numpy as np

from galsim_deep_training.physics.noise_power import NoisePower


def test_is_white_before_it_is_adapted():
    np.testing.assert_array_equal(NoisePower(8).spectrum(), np.ones((1, 8, 5)))


def test_is_the_mean_over_training_stamps(dataset):
    power = NoisePower(32)
    power.adapt(dataset)
    spectrum = power.spectrum().numpy()[0]
    expected = dataset.read(dataset.train_indices)["noise_power"].mean(axis=0)
    np.testing.assert_allclose(spectrum, expected, rtol=1e-5)
    # COSMOS noise is correlated: stronger at large scales, weaker at small ones. The mean over the
    # full plane is one; all columns of `rfft2` but the first and the last stand for two of it.
    multiplicity = np.where(np.arange(17) % 16 == 0, 1.0, 2.0)
    assert spectrum[1, 1] > 1 > spectrum[16, 16]
    mean = np.average(spectrum, weights=np.broadcast_to(multiplicity, (32, 17)))
    np.testing.assert_allclose(mean, 1.0, atol=0.02)
