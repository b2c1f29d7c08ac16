"""The demo: a catalogue like COSMOS for the columns of any module, drawn with a PSF and noise."""

import galsim
import numpy as np
import pytest

from galsim_deep import GenerativeGalaxyModel, demo
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
    ("arcsec", 0.03, 1.0), ("arcmin", 0.1, 1 / 60), ("pix", 0.1, 10.0)])
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


@pytest.fixture(scope="module")
def table(card):
    return demo.catalogue(card, 4000, galsim.BaseDeviate(3))


def test_columns_of_the_catalogue(table):
    assert list(table) == ["hlr", "mag_auto", "zphot", "sersic_n", "axis_ratio"]
    assert np.isnan(table["sersic_n"]).all() and np.isnan(table["axis_ratio"]).all()
    for name, low, high in [("hlr", 0.0899, 0.6001), ("mag_auto", 20.0, 25.0),
                            ("zphot", 0.05, 4.0)]:
        assert table[name].shape == (4000,)
        assert table[name].min() >= low and table[name].max() <= high


def test_number_counts(table):
    """They grow by a factor of exp(0.45) per magnitude."""
    counts, _ = np.histogram(table["mag_auto"], np.arange(20, 26))
    np.testing.assert_allclose(counts[1:] / counts[:-1], np.exp(0.45), rtol=0.2)


def test_faint_galaxies_are_small_and_far(table):
    faint = table["mag_auto"] > 24
    assert np.median(table["hlr"][faint]) < 0.8 * np.median(table["hlr"][~faint])
    assert np.median(table["zphot"][faint]) > 1.2 * np.median(table["zphot"][~faint])


def test_the_seed_determines_the_catalogue(card):
    one, same, other = (demo.catalogue(card, 5, galsim.BaseDeviate(seed)) for seed in (1, 1, 2))
    for name in ("hlr", "mag_auto", "zphot"):
        np.testing.assert_array_equal(one[name], same[name])
        assert not np.any(one[name] == other[name])


def test_scene(tiny_folder):
    one, same, other = (demo.draw_scene(str(tiny_folder), count=3, seed=seed)
                        for seed in (1, 1, 2))
    assert one == same and one != other
    assert (one.array.shape, one.scale) == ((demo.SIZE, demo.SIZE), demo.PIXEL_SCALE)
    # Most pixels are empty sky.
    assert np.median(one.array) == pytest.approx(0.0, abs=0.001)
    assert np.percentile(one.array, 84) == pytest.approx(demo.NOISE, rel=0.05)


def test_galaxies_of_the_scene(tiny_folder, card, monkeypatch):
    """Their light is in the scene, but for what lies beyond its edge."""
    monkeypatch.setattr(demo, "NOISE", 0.0)
    scene = demo.draw_scene(str(tiny_folder), count=3, seed=1)
    table = demo.catalogue(card, 3, galsim.BaseDeviate(1))
    flux = 10 ** (-0.4 * (table["mag_auto"] - 25.94))
    assert 0.5 * flux.sum() < scene.array.sum() < 1.02 * flux.sum()


def test_a_scene_of_one_class(shapes_folder):
    by_name, by_number, other = (
        demo.draw_scene(str(shapes_folder), count=2, seed=1, galaxy_class=galaxy_class)
        for galaxy_class in ("ring", 2, "disc"))
    assert by_name == by_number and by_name != other


def test_files(tiny_folder, tmp_path):
    fits, png = demo.run(tmp_path / "new" / "folder", str(tiny_folder), seed=4)
    assert [fits.name, png.name] == ["galsim_deep_demo.fits", "galsim_deep_demo.png"]
    assert galsim.fits.read(str(fits)) == demo.draw_scene(str(tiny_folder), seed=4)
    assert png.read_bytes().startswith(b"\x89PNG")
