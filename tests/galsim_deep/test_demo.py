"""The catalogue of the demo: the columns of any module, found by what they measure."""

import galsim
import numpy as np
import pytest

from galsim_deep import GenerativeGalaxyModel
from galsim_deep.demo import catalogue
from galsim_deep.modules.card import Column


@pytest.fixture(scope="module")
def card():
    return GenerativeGalaxyModel("hub:acs_flow_vae").card


def renamed(card, **changes):
    """The card with columns of other names, in another order, changed and with others besides."""
    columns = [column.model_copy(update=dict(name=f"my_{column.quantity}")
                                 | changes.get(column.quantity, {}))
               for column in card.columns]
    return card.model_copy(update=dict(columns=tuple(columns[::-1])))


def test_columns_are_found_by_their_quantity(card):
    table = catalogue(card, 50, galsim.BaseDeviate(1))
    assert list(table) == [column.name for column in card.columns]
    other = catalogue(renamed(card), 50, galsim.BaseDeviate(1))
    for column in card.columns:
        np.testing.assert_array_equal(other[f"my_{column.quantity}"], table[column.name])


@pytest.mark.parametrize("unit, pixel_scale, factor", [
    ("arcsec", 0.03, 0.03), ("arcmin", 0.1, 0.03 / 60), ("pix", 0.1, 0.3)])
def test_sizes_in_the_unit_of_the_column(unit, pixel_scale, factor, card):
    size = card.column_of("half_light_radius")
    expected = factor * catalogue(card, 50, galsim.BaseDeviate(1))[size.name]
    other = renamed(card, half_light_radius=dict(unit=unit))
    other = other.model_copy(update=dict(
        stamp=other.stamp.model_copy(update=dict(pixel_scale=pixel_scale))))
    assert other.pixel_scale == pixel_scale
    np.testing.assert_allclose(catalogue(other, 50, galsim.BaseDeviate(1))["my_half_light_radius"],
                               expected, rtol=1e-12)


def test_columns_that_measure_something_else(card):
    colour = Column(name="colour", unit="mag", meaning="r - i", quantity="other",
                    valid_range=(0, 1), optional=True, training_quantiles=None)
    with_colour = card.model_copy(update=dict(columns=(*card.columns, colour)))
    assert np.isnan(catalogue(with_colour, 3, galsim.BaseDeviate(1))["colour"]).all()
    needed = colour.model_copy(update=dict(optional=False))
    with_colour = card.model_copy(update=dict(columns=(*card.columns, needed)))
    with pytest.raises(galsim.GalSimError, match="'colour' of acs_flow_vae .*'other'"):
        catalogue(with_colour, 3, galsim.BaseDeviate(1))
