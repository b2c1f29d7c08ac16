"""The class of each galaxy, and samples of each class."""

import dataclasses
import types

import numpy as np
import pytest

from galsim_deep.observations.flux_units import FluxUnits
from galsim_deep.validation.galaxy_classes import classify, draw_class_samples
from galsim_deep.validation.generate import generate
from galsim_deep.validation.random_streams import RandomStreams
from galsim_deep.validation.reconstructor import Reconstructor

BRIGHT = 40
GAIN = 3.0
STREAMS = RandomStreams(1)


@pytest.fixture(scope="module")
def section(shapes_validation):
    return shapes_validation.section("classes")


class Galaxies(types.SimpleNamespace):
    """The first of some real galaxies, with observations that ``change`` replaces."""

    def __init__(self, galaxies, change, count=None):
        count = len(galaxies) if count is None else count
        super().__init__(
            columns={name: values[:count] for name, values in galaxies.columns.items()},
            stamp_sizes=np.full(count, 32), pixel_scales=np.full(count, 0.03),
            source=galaxies.source[:count],
            observation=lambda number: change(number, galaxies.observation(number)))

    def __len__(self):
        return len(self.source)


def test_classes_of_a_validation(section, shapes_galaxies):
    """The encoder finds those of bright galaxies, generated and real."""
    classification = section.classification
    real = shapes_galaxies._file.columns["kind"].astype(int)
    assert len(classification.drawn) == len(shapes_galaxies)
    assert set(classification.drawn) == {0, 1, 2}
    np.testing.assert_array_equal(classification.encoded["real"][:BRIGHT], real[:BRIGHT])
    np.testing.assert_array_equal(
        classification.encoded["generated"][:BRIGHT], classification.drawn[:BRIGHT])
    np.testing.assert_allclose(classification.noise_sigma, 0.05, rtol=1e-6)


def test_the_drawn_classes_are_those_of_the_galaxies_that_were_measured(
        section, shapes_validation, shapes_module, shapes_galaxies):
    profiles = shapes_validation.measurements.stamps["profile"]
    drawn = generate(shapes_galaxies, shapes_module, STREAMS, range(len(profiles)))
    np.testing.assert_array_equal(profiles, drawn.images)
    np.testing.assert_array_equal(section.classification.drawn, drawn.classes)


def test_samples_of_each_class(section, shapes_validation):
    """The same rows and noise; in the class that was drawn it is the generated galaxy itself."""
    measurements, drawn = shapes_validation.measurements, section.classification.drawn
    samples = section.samples
    assert len(samples.rows) == 6 and np.shape(samples.generated) == (3, 6, 32, 32)
    # Of the brighter half, bright to faint.
    magnitude = measurements.columns["mag_auto"]
    assert (np.diff(magnitude[samples.rows]) > 0).all()
    assert magnitude[samples.rows].max() <= np.median(magnitude)
    for n, row in enumerate(samples.rows):
        for name in ("generated", "profile"):
            np.testing.assert_allclose(getattr(samples, name)[drawn[row]][n],
                                       measurements.stamps[name][row], atol=1e-5)
    flux = np.sum(samples.profile, axis=(2, 3))
    np.testing.assert_allclose(flux, np.broadcast_to(flux[0], flux.shape), rtol=1e-3)
    assert np.ptp(samples.profile, axis=0).max() > 0.1
    # The noise is the same where there is no light.
    corner = np.array(samples.generated)[:, :, :3, :3]
    assert corner.std() > 0.03 and np.ptp(corner, axis=0).max() < 0.03


def test_no_rows_no_samples(shapes_module, shapes_galaxies):
    samples = draw_class_samples(shapes_galaxies, shapes_module, [], FluxUnits(), STREAMS)
    assert samples.generated == [[], [], []]


def test_in_other_units(section, shapes_module, shapes_galaxies):
    """The same classes are found in stamps with other flux units."""
    other = Galaxies(shapes_galaxies, lambda number, observation: dataclasses.replace(
        observation, stamp=observation.stamp * GAIN, noise_sigma=observation.noise_sigma * GAIN))
    classification = classify(
        other, shapes_module, Reconstructor(shapes_module, other), FluxUnits(GAIN), STREAMS)
    np.testing.assert_array_equal(classification.drawn, section.classification.drawn)
    for sample, classes in section.classification.encoded.items():
        np.testing.assert_array_equal(
            classification.encoded[sample][:BRIGHT], classes[:BRIGHT])
    np.testing.assert_allclose(classification.noise_sigma, GAIN * 0.05, rtol=1e-6)


def test_a_module_that_does_not_encode(section, shapes_module, shapes_galaxies):
    classification = classify(shapes_galaxies, shapes_module, None, FluxUnits(), STREAMS)
    assert classification.encoded == {}
    np.testing.assert_array_equal(classification.drawn, section.classification.drawn)


@pytest.mark.parametrize("change", [
    dict(noise_sigma=np.nan), dict(psf=np.full((17, 17), np.nan)), dict(stamp="NaN")])
def test_stamps_that_make_no_sense_have_no_class(shapes_module, shapes_galaxies, change):
    def damaged(number, observation):
        if number != 3:
            return observation
        if "stamp" in change:
            observation.stamp[4, 4] = np.nan
            return observation
        return dataclasses.replace(observation, **change)

    other = Galaxies(shapes_galaxies, damaged, 8)
    classification = classify(
        other, shapes_module, Reconstructor(shapes_module, other), FluxUnits(), STREAMS)
    assert np.flatnonzero(classification.encoded["real"] < 0).tolist() == [3]
    # The generated galaxy is drawn all the same if only the real stamp is damaged.
    lost = [] if "stamp" in change else [3]
    assert np.flatnonzero(classification.encoded["generated"] < 0).tolist() == lost
    assert (classification.drawn >= 0).all()
