"""What the tests of the validation share: comparisons with measurements that were made up."""

import types

import numpy as np
import pytest

from galsim_deep.measure.statistics import FLAGS, STATISTICS
from galsim_deep.observations.flux_units import FluxUnits
from galsim_deep.validation.comparison import Comparison
from galsim_deep.validation.galaxy import SAMPLES
from galsim_deep.validation.measurements import Measurements
from galsim_deep.validation.random_streams import RandomStreams
from galsim_deep.validation.settings import Settings

NUMBERS = ("measured_size", "measured_magnitude", "not_finite", "negative", "edge_flux",
           "ring_flux", "offset_x", "offset_y", "e1", "e2", "subpixel_size", "subpixel_flux",
           "subpixel_g", "response_real", "response_generated", "response_parametric",
           "response_profile")


@pytest.fixture(scope="session")
def make_measurements():
    """``make_measurements(real, generated, parametric)``: of {statistic: [N]} for each sample."""

    def make(real, generated, parametric):
        n = len(real["g"])
        values = dict(zip(SAMPLES, (real, generated, parametric), strict=True))
        return Measurements(
            columns=dict(flux_radius=np.full(n, 8.0), mag_auto=np.full(n, 22.0), zphot=np.ones(n)),
            source=np.arange(n), values=values,
            flags={sample: {flag: np.zeros(n, bool) for flag in FLAGS} for sample in values},
            numbers={name: np.ones(n) for name in NUMBERS}, stamps={})

    return make


@pytest.fixture(scope="session")
def random_measurements(make_measurements):
    """``random_measurements(count)``: the same normal numbers for all samples."""

    def make(count):
        values = {statistic.name: np.random.default_rng(1).normal(size=count)
                  for statistic in STATISTICS}
        return make_measurements(values, values, values)

    return make


@pytest.fixture(scope="session")
def card(tiny_folder):
    """The card of a module with the columns flux_radius, mag_auto and zphot."""
    from galsim_deep.modules.card import read_card

    return read_card(tiny_folder)


@pytest.fixture(scope="session")
def without_magnitude(card):
    """The same card without the magnitude, so that there are no magnitude bins."""
    return card.model_copy(update=dict(columns=tuple(
        column for column in card.columns if column.quantity != "magnitude")))


@pytest.fixture(scope="session")
def make_comparison():
    """``make_comparison(card, measurements, settings)``: with nothing but these."""

    def make(card, measurements, settings=None, galaxies=None, **parts):
        settings = settings or Settings()
        return Comparison(
            module=types.SimpleNamespace(card=card), galaxies=galaxies, settings=settings,
            measurements=measurements, streams=RandomStreams(settings.seed),
            **dict(dict(training=None, units=FluxUnits(), reconstructor=None,
                        no_reconstruction=""), **parts))

    return make
