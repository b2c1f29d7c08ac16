"""Units of lengths on the sky."""

import pytest
from astropy.units import UnitConversionError

from galsim_deep.observations.units import arcsec_of, is_pixel


@pytest.mark.parametrize("unit, pixel, arcsec", [
    ("pix", True, 0.03), ("pixel", True, 0.03), ("arcsec", False, 1.0), ("mas", False, 0.001),
    ("deg", False, 3600.0)])
def test_sizes_of_units(unit, pixel, arcsec):
    assert is_pixel(unit) == pixel
    assert arcsec_of(unit, 0.03) == pytest.approx(arcsec, rel=1e-12)


@pytest.mark.parametrize("unit", ["mag", ""])
def test_what_is_no_length_on_the_sky(unit):
    assert not is_pixel(unit)
    with pytest.raises(UnitConversionError):
        arcsec_of(unit, 0.03)
