"""Of which class each galaxy is, and samples of each class."""

import dataclasses
import types

import numpy as np
import pytest

from galsim_deep.validation.classify import classify, draw_samples
from galsim_deep.validation.measurements import generated_inputs
from galsim_deep.validation.reconstruction import Reconstructor

BRIGHT = 40
GAIN = 3.0


def test_classes_of_a_validation(shapes_validation, shapes_survey):
    """Those of bright galaxies are found, generated and real."""
    found = shapes_validation.classes
    kinds = shapes_survey._file.columns["kind"].astype(int)
    assert len(found.drawn) == len(shapes_survey) and set(found.drawn) == {0, 1, 2}
    np.testing.assert_array_equal(found.found["real"][:BRIGHT], kinds[:BRIGHT])
    np.testing.assert_array_equal(found.found["generated"][:BRIGHT], found.drawn[:BRIGHT])
    np.testing.assert_allclose(found.noise_sigma, 0.05, rtol=1e-6)


def test_drawn_are_the_classes_of_what_was_measured(
        shapes_validation, shapes_module, shapes_survey):
    profiles = shapes_validation.measurements.stamps["profile"]
    inputs = generated_inputs(shapes_survey, shapes_module, 1, range(len(shapes_survey)))
    again = shapes_module.sample(*inputs, shapes_validation.classes.drawn.astype(np.int32))
    np.testing.assert_array_equal(profiles, again)


def test_samples_of_each_class(shapes_validation, shapes_module, shapes_survey):
    """The same rows and noise; in the class that was drawn it is the generated galaxy itself."""
    measurements, drawn = shapes_validation.measurements, shapes_validation.classes.drawn
    samples = shapes_validation.classes.samples
    assert len(samples.rows) == 6 and samples.generated.shape == (3, 6, 32, 32)
    # Of the brighter half, bright to faint.
    magnitude = measurements.columns["mag_auto"]
    assert (np.diff(magnitude[samples.rows]) > 0).all()
    assert magnitude[samples.rows].max() <= np.median(magnitude)
    for n, row in enumerate(samples.rows):
        kind = drawn[row]
        for name in ("generated", "profile"):
            np.testing.assert_allclose(getattr(samples, name)[kind, n],
                                       measurements.stamps[name][row], atol=1e-5)
    inside = samples.profile.sum(axis=(2, 3))
    np.testing.assert_allclose(inside, np.broadcast_to(inside[0], inside.shape), rtol=1e-3)
    assert np.ptp(samples.profile, axis=0).max() > 0.1
    # The noise is the same where there is no light.
    corner = samples.generated[:, :, :3, :3]
    assert corner.std() > 0.03 and np.ptp(corner, axis=0).max() < 0.03


def test_no_rows_no_samples(shapes_module, shapes_survey):
    assert draw_samples(shapes_survey, shapes_module, []).generated.shape == (3, 0, 32, 32)


def test_in_other_units(shapes_module, shapes_survey, shapes_validation):
    """A survey of a third of the flux units finds the same classes."""

    def observation(number):
        seen = shapes_survey.observation(number)
        return dataclasses.replace(seen, stamp=seen.stamp * GAIN,
                                   noise_sigma=seen.noise_sigma * GAIN)

    class Other(types.SimpleNamespace):
        def __len__(self):
            return len(shapes_survey)

    other = Other(columns=shapes_survey.columns, stamp_size=32, pixel_scale=0.03,
                  observation=observation)
    found = classify(other, shapes_module, Reconstructor(shapes_module, other), [0], gain=GAIN)
    np.testing.assert_array_equal(found.drawn, shapes_validation.classes.drawn)
    for sample, ids in shapes_validation.classes.found.items():
        np.testing.assert_array_equal(found.found[sample][:BRIGHT], ids[:BRIGHT])
    np.testing.assert_allclose(found.noise_sigma, GAIN * 0.05, rtol=1e-6)


def test_a_module_that_does_not_encode(shapes_module, shapes_survey, shapes_validation):
    found = classify(shapes_survey, shapes_module, None, [0, 1])
    assert found.found == {} and found.samples.rows.tolist() == [0, 1]
    np.testing.assert_array_equal(found.drawn, shapes_validation.classes.drawn)


@pytest.mark.parametrize("change", [
    dict(noise_sigma=np.nan), dict(psf=np.full((17, 17), np.nan)), dict(stamp="NaN")])
def test_stamps_that_make_no_sense_are_of_no_class(shapes_module, shapes_survey, change):
    def observation(number):
        seen = shapes_survey.observation(number)
        if number != 3:
            return seen
        if "stamp" in change:
            seen.stamp[4, 4] = np.nan
            return seen
        return dataclasses.replace(seen, **change)

    class Other(types.SimpleNamespace):
        def __len__(self):
            return 8

    columns = {name: values[:8] for name, values in shapes_survey.columns.items()}
    other = Other(columns=columns, stamp_size=32, pixel_scale=0.03, observation=observation)
    found = classify(other, shapes_module, Reconstructor(shapes_module, other), [0])
    assert np.flatnonzero(found.found["real"] < 0).tolist() == [3]
    # The generated galaxy is drawn all the same where only the real stamp is damaged.
    lost = [] if "stamp" in change else [3]
    assert np.flatnonzero(found.found["generated"] < 0).tolist() == lost
    assert (found.drawn >= 0).all()
