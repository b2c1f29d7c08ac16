"""The test stamps with the least noise."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.shared.deepest_stamps import deepest_stamps


@pytest.mark.parametrize("share, count", [(1.0, 10), (0.3, 3), (1e-6, 1)])
def test_rows_stay_together(share, count):
    rng = np.random.default_rng(2)
    sigma, stamp = rng.permutation(10.0 + np.arange(10)), rng.standard_normal((10, 4, 4))
    chosen = deepest_stamps(dict(noise_sigma=tf.constant(sigma), stamp=tf.constant(stamp)), share)
    order = np.argsort(sigma)[:count]
    np.testing.assert_array_equal(chosen["noise_sigma"], sigma[order])
    np.testing.assert_array_equal(chosen["stamp"], stamp[order])
