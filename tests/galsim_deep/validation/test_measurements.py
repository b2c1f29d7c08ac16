"""Measurements of all galaxies as arrays."""

import numpy as np

from galsim_deep.observations.flux_units import FluxUnits
from galsim_deep.validation.measurements import measure_galaxies
from galsim_deep.validation.random_streams import RandomStreams


def test_a_statistic_counts_where_all_samples_have_it(make_measurements, random_measurements):
    samples = [{name: values.copy() for name, values in random_measurements(6).values[
        "real"].items()} for _ in range(3)]
    samples[0]["gini"][0] = samples[1]["gini"][1] = samples[2]["m20"][2] = np.nan
    measurements = make_measurements(*samples)
    assert np.flatnonzero(~measurements.measured("gini")).tolist() == [0, 1]
    assert np.flatnonzero(~measurements.measured("gini", "m20")).tolist() == [0, 1, 2]


def test_stamps_of_the_first_galaxies_are_kept(shapes_galaxies, shapes_module, shapes_validation):
    """The others are measured alike, whatever is kept."""
    streams = RandomStreams(1)

    class Few(type(shapes_galaxies)):
        def __init__(self):
            vars(self).update(vars(shapes_galaxies))
            self.source = shapes_galaxies.source[:5]
            self.columns = {name: values[:5] for name, values in shapes_galaxies.columns.items()}

    measurements = measure_galaxies(
        Few(), shapes_module, None, FluxUnits(), streams, keep=2)
    assert measurements.stamps["real"].shape == (2, 32, 32)
    whole = shapes_validation.measurements
    for sample, statistics in measurements.values.items():
        for name, values in statistics.items():
            np.testing.assert_array_equal(values, whole.values[sample][name][:5])
    assert "chi2_reconstructed" not in measurements.numbers
