"""Figures of classes, also where there is little to show."""

import dataclasses

import numpy as np
import pytest

from galsim_deep.validation.class_figures import FIGURES, class_samples, class_statistics
from galsim_deep.validation.classify import ClassSamples
from galsim_deep.validation.tiles import GAP


def test_samples(shapes_validation):
    figure = class_samples(shapes_validation)
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "disc\n50 %", "bulge\n30 %", "ring\n20 %"]
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        "as observed", "profile, no PSF or noise"]
    picture = axis.images[0].get_array()
    assert picture.shape == (3 * (32 + GAP) - GAP, 12 * (32 + GAP) - GAP, 3)


def test_statistics(shapes_validation):
    figure = class_statistics(shapes_validation)
    assert [axis.get_ylabel() for axis in figure.axes] == ["Gini", "C", "M20"]
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == [
        "disc", "bulge", "ring"]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["generated", "real"]
    # Rings are less concentrated than discs, in both.
    medians = [line.get_ydata()[0] for line in figure.axes[1].lines
               if len(line.get_ydata()) == 2 and np.ptp(line.get_ydata()) == 0]
    assert min(medians) < 1.9 < 2.3 < max(medians)


def test_no_encoder_and_no_samples(shapes_validation):
    classes = shapes_validation.classes
    nothing = np.zeros((3, 0, 32, 32), np.float32)
    bare = dataclasses.replace(shapes_validation, classes=dataclasses.replace(
        classes, found={}, samples=ClassSamples(np.zeros(0, int), nothing, nothing)))
    assert class_samples(bare) is None
    legend = class_statistics(bare).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["generated"]


@pytest.mark.parametrize("drawn", [0, 2])
def test_classes_that_nobody_is_of(shapes_validation, tmp_path, drawn):
    classes = shapes_validation.classes
    one = dataclasses.replace(shapes_validation, classes=dataclasses.replace(
        classes, drawn=np.full_like(classes.drawn, drawn)))
    for name, figure_of, _ in FIGURES:
        figure_of(one).savefig(tmp_path / f"{name}.png")


def test_nothing_could_be_measured(shapes_validation, tmp_path):
    data = shapes_validation.measurements
    values = {sample: {name: np.full(len(data), np.nan) for name in one}
              for sample, one in data.values.items()}
    none = dataclasses.replace(shapes_validation,
                               measurements=dataclasses.replace(data, values=values))
    class_statistics(none).savefig(tmp_path / "figure.png")
