"""Stamps of the samples side by side."""

import dataclasses

import numpy as np

from galsim_deep.validation.sections.samples import COUNT, Samples
from galsim_deep.validation.tiles import GAP


def test_a_column_for_each_galaxy(shapes_validation):
    figure, = shapes_validation.section("samples").figures(shapes_validation.results)
    axis = figure.drawing.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "real", "generated", "parametric", "profile,\nno PSF or noise"]
    assert axis.images[0].get_array().shape == (
        4 * (32 + GAP) - GAP, COUNT * (32 + GAP) - GAP, 3)


def test_the_stamp_without_noise_is_shown_where_it_is_known(shapes_validation):
    measurements = shapes_validation.measurements
    stamps = dict(measurements.stamps, noiseless=measurements.stamps["profile"])
    comparison = dataclasses.replace(
        shapes_validation.comparison, measurements=dataclasses.replace(measurements, stamps=stamps))
    figure, = Samples(comparison).figures({})
    labels = [label.get_text() for label in figure.drawing.axes[0].get_yticklabels()]
    assert labels[-1] == "real,\nno noise"


def test_no_galaxy_can_be_shown(shapes_validation):
    measurements = shapes_validation.measurements
    stamps = {name: np.full_like(values, np.nan) for name, values in measurements.stamps.items()}
    comparison = dataclasses.replace(
        shapes_validation.comparison, measurements=dataclasses.replace(measurements, stamps=stamps))
    assert list(Samples(comparison).figures({})) == []
