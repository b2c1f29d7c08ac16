"""Units of columns that hold a length on the sky: pixels of the module, or an angle."""

__all__ = ["arcsec_of", "is_pixel"]


def is_pixel(unit: str) -> bool:
    """Whether a unit, as on a card, is that of pixels.

    >>> is_pixel("pix"), is_pixel("arcsec")
    (True, False)
    """
    return unit in ("pix", "pixel")


def arcsec_of(unit: str, pixel_scale: float) -> float:
    """The size of a unit of length [arcsec].

    Parameters:
        unit:           That of pixels, or of an angle.
        pixel_scale:    Size of a pixel of the module [arcsec].

    Raises an `astropy.units.UnitConversionError` if it is neither.

    >>> arcsec_of("pix", pixel_scale=0.03), arcsec_of("arcmin", pixel_scale=0.03)
    (0.03, 60.0)
    """
    if is_pixel(unit):
        return pixel_scale
    from astropy.units import Unit

    return float(Unit(unit).to("arcsec"))
