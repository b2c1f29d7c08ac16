"""Folders of real galaxies: which file is the catalogue, and where a column comes from."""

import shutil
from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from galsim_deep.observations.noise import read_correlation
from galsim_deep.observations.real_catalog import RealCatalog


def main_table(**columns):
    n = 3
    return Table(dict(
        dict(IDENT=[7, 3, 5], MAG=[20.0, 21.0, 22.0], BAND=["F814W"] * n, WEIGHT=np.ones(n),
             GAL_FILENAME=["images.fits"] * n, PSF_FILENAME=["psfs.fits"] * n,
             GAL_HDU=np.arange(n), PSF_HDU=np.arange(n), PIXEL_SCALE=np.full(n, 0.03),
             NOISE_MEAN=np.zeros(n), NOISE_VARIANCE=np.ones(n)), **columns))


def fits_table(**columns):
    """In another order than the main table."""
    return Table(dict(dict(IDENT=[3, 5, 7], flux_radius=[6.0, 12.0, 3.0]), **columns))


@pytest.fixture
def write(tmp_path):
    """``write(name=table, ...)``: a folder with tables of these names."""

    def write_tables(**tables):
        for name, table in tables.items():
            table.write(tmp_path / f"{name}.fits")
        return tmp_path

    return write_tables


def test_a_folder_and_its_catalogue_are_the_same(write):
    folder = write(real_galaxy_catalog=main_table(), real_galaxy_catalog_fits=fits_table())
    for path in (folder, str(folder), folder / "real_galaxy_catalog.fits"):
        catalog = RealCatalog(path)
        assert catalog.path == folder / "real_galaxy_catalog.fits"
        assert len(catalog) == 3
        assert isinstance(catalog.galaxies, galsim.RealGalaxyCatalog)
        np.testing.assert_array_equal(catalog.galaxies.ident, ["7", "3", "5"])


def test_columns_are_joined_on_the_identity(write):
    catalog = RealCatalog(write(cat=main_table(), cat_fits=fits_table()))
    np.testing.assert_array_equal(catalog.column("flux_radius"), [3.0, 6.0, 12.0])
    np.testing.assert_array_equal(catalog.column("MAG"), [20.0, 21.0, 22.0])
    assert catalog.column("IDENT").dtype == np.float64


def test_a_galaxy_without_a_fit_has_nan(write):
    lacking = fits_table()[[0, 2]]
    catalog = RealCatalog(write(cat=main_table(), cat_fits=lacking))
    np.testing.assert_array_equal(catalog.column("flux_radius"), [3.0, 6.0, np.nan])


def test_masked_values_are_nan(write):
    number = MaskedColumn([4, 5, 6], mask=[False, True, False])
    value = MaskedColumn([0.4, 0.5, 0.6], mask=[True, False, False])
    catalog = RealCatalog(write(cat=main_table(), cat_fits=fits_table(n=number, z=value)))
    np.testing.assert_array_equal(catalog.column("n"), [6, 4, np.nan])
    np.testing.assert_array_equal(catalog.column("z"), [0.6, np.nan, 0.5])


def test_a_column_read_is_a_copy(write):
    catalog = RealCatalog(write(cat=main_table(), cat_fits=fits_table()))
    catalog.column("MAG")[:] = 0
    np.testing.assert_array_equal(catalog.column("MAG"), [20.0, 21.0, 22.0])


@pytest.mark.parametrize("name", ["FLUX_RADIUS", "Flux_Radius"])
def test_case_does_not_matter(write, name):
    catalog = RealCatalog(write(cat=main_table(), cat_fits=fits_table()))
    np.testing.assert_array_equal(catalog.column(name), [3.0, 6.0, 12.0])


def test_a_magnitude_is_found_as_mag(write):
    catalog = RealCatalog(write(cat=main_table(), cat_fits=fits_table()))
    np.testing.assert_array_equal(
        catalog.column("mag_r", quantity="magnitude"), [20.0, 21.0, 22.0])
    with pytest.raises(galsim.GalSimConfigError, match="'mag_r'"):
        catalog.column("mag_r")


def test_other_names_are_for_the_user_to_state(write):
    """Of the format, only MAG is known to be a magnitude."""
    main = main_table(mag_i=[1.0, 2.0, 3.0])
    main.remove_column("MAG")
    catalog = RealCatalog(write(cat=main, cat_fits=fits_table()))
    with pytest.raises(galsim.GalSimConfigError, match="'mag_auto'.* mag_i"):
        catalog.column("mag_auto", quantity="magnitude")
    np.testing.assert_array_equal(catalog.column("mag_i"), [1.0, 2.0, 3.0])


def test_a_name_goes_before_what_stands_for_it(write):
    fits = fits_table(mag_auto=[23.0, 24.0, 25.0])
    catalog = RealCatalog(write(cat=main_table(), cat_fits=fits))
    np.testing.assert_array_equal(
        catalog.column("mag_auto", quantity="magnitude"), [25.0, 23.0, 24.0])
    np.testing.assert_array_equal(catalog.column("mag"), [20.0, 21.0, 22.0])


def test_a_catalogue_without_fits(write):
    catalog = RealCatalog(write(real_galaxy_catalog=main_table()))
    np.testing.assert_array_equal(catalog.column("mag"), [20.0, 21.0, 22.0])


@pytest.mark.parametrize("name", ["flux_radius", "sersicfit"])
def test_a_missing_column_is_named_with_those_there(write, name):
    """A column of vectors is no number of a galaxy."""
    fits = fits_table(sersicfit=np.ones((3, 8)), zphot=np.ones(3))
    del fits["flux_radius"]
    catalog = RealCatalog(write(cat=main_table(), cat_fits=fits))
    with pytest.raises(galsim.GalSimConfigError, match=name) as raised:
        catalog.column(name)
    for there in ("MAG", "zphot", "cat.fits"):
        assert there in str(raised.value)


def test_a_column_of_text_is_no_column_of_numbers(write):
    catalog = RealCatalog(write(cat=main_table(), cat_fits=fits_table()))
    with pytest.raises(galsim.GalSimError, match="BAND"):
        catalog.column("BAND")


def test_fits_without_identities(write):
    fits = fits_table()
    del fits["IDENT"]
    with pytest.raises(galsim.GalSimError, match="IDENT"):
        RealCatalog(write(cat=main_table(), cat_fits=fits)).column("flux_radius")


# ---- which file -----------------------------------------------------------------------------


def test_other_tables_in_the_folder_do_not_matter(write):
    folder = write(real_galaxy_catalog=main_table(), real_galaxy_catalog_fits=fits_table(),
                   real_galaxy_catalog_selection=fits_table(), other=fits_table())
    assert RealCatalog(folder).path.name == "real_galaxy_catalog.fits"


def test_two_catalogues_in_a_folder(write):
    folder = write(one=main_table(), one_fits=fits_table(), two=main_table(),
                   two_fits=fits_table())
    with pytest.raises(galsim.GalSimError, match="one.fits, two.fits"):
        RealCatalog(folder)
    assert RealCatalog(folder / "two.fits").path.name == "two.fits"


def test_a_folder_without_a_catalogue(write):
    with pytest.raises(galsim.GalSimError, match="found: none"):
        RealCatalog(write(stars=main_table()))


def test_no_folder(tmp_path):
    with pytest.raises(galsim.GalSimError, match=str(tmp_path / "nowhere")):
        RealCatalog(tmp_path / "nowhere")


def test_a_file_that_is_no_table(tmp_path):
    path = tmp_path / "real_galaxy_catalog.fits"
    path.write_text("galaxies")
    with pytest.raises(galsim.GalSimError, match=f"{path}.*galsim.RealGalaxyCatalog"):
        RealCatalog(path)


@pytest.mark.parametrize("column", ["GAL_FILENAME", "PIXEL_SCALE", "IDENT"])
def test_a_table_of_something_else(write, column):
    table = main_table()
    del table[column]
    with pytest.raises(galsim.GalSimError, match=f"real_galaxy_catalog.fits .*{column}"):
        RealCatalog(write(real_galaxy_catalog=table))


def test_damaged_fits(write):
    folder = write(real_galaxy_catalog=main_table())
    (folder / "real_galaxy_catalog_fits.fits").write_text("fits")
    with pytest.raises(galsim.GalSimError, match=f"{folder}.*galsim.RealGalaxyCatalog"):
        RealCatalog(folder)


def test_the_catalogue_of_cosmos(reference_data):
    catalog = RealCatalog(reference_data / "cosmos_f814w_50")
    assert len(catalog) == 50
    for name, low, high in [("flux_radius", 2, 40), ("mag_auto", 20, 26.1), ("zphot", 0, 6)]:
        values = catalog.column(name, quantity="magnitude" if "mag" in name else "other")
        values = values[np.isfinite(values)]
        assert len(values) > 40 and low < values.min() and values.max() < high


# ---- stamps, PSFs and noise -------------------------------------------------------------------


def test_stamps_and_psfs(write_catalog, tmp_path):
    catalog = RealCatalog(write_catalog(tmp_path / "folder"))
    np.testing.assert_array_equal(catalog.stamp(0), np.arange(31.0 * 31).reshape(31, 31))
    expected = galsim.Gaussian(fwhm=0.12).drawImage(nx=21, ny=21, scale=0.05, dtype=float).array
    psf = catalog.psf_image(2, 21)
    np.testing.assert_allclose(psf, expected / expected.sum(), atol=2e-3 * psf.max())
    # Other pixels: the same PSF, more finely sampled.
    finer = catalog.psf_image(2, 41, 0.025)
    assert finer.sum() == pytest.approx(1.0)
    assert finer.max() == pytest.approx(psf.max() / 4, rel=0.03)


def test_noise_levels(write_catalog, tmp_path):
    path = write_catalog(tmp_path / "folder")
    table = Table.read(path)
    table["NOISE_VARIANCE"] = [4.0, 0.0, np.nan]
    table.write(path, overwrite=True)
    np.testing.assert_array_equal(RealCatalog(path).noise_sigma, [2.0, np.nan, np.nan])


def test_white_noise_has_no_file(write_catalog, tmp_path):
    catalog = RealCatalog(write_catalog(tmp_path / "folder"))
    assert catalog.noise_file(1) is None and catalog.noise_correlation(1) is None


def test_the_correlation_of_the_noise(write_catalog, tmp_path):
    """The file's own correlation; it is read once, and not for a galaxy without variance."""
    path = write_catalog(tmp_path / "folder")
    share = Path(galsim.meta_data.share_dir)
    shutil.copy(share / "acs_I_unrot_sci_20_cf.fits", path.parent)
    table = Table.read(path)
    table["NOISE_FILENAME"] = ["acs_I_unrot_sci_20_cf.fits"] * 3
    table["NOISE_VARIANCE"][0] = 0.0
    table.write(path, overwrite=True)
    catalog = RealCatalog(path)
    assert catalog.noise_correlation(0) is None
    correlation = catalog.noise_correlation(1, 9)
    assert catalog.noise_correlation(2, 9) is correlation
    np.testing.assert_allclose(
        correlation, read_correlation(share / "acs_I_unrot_sci_20_cf.fits", 9), atol=2e-3)


def test_pixels_of_the_catalogue_are_converted(write):
    """Single precision turns 0.03 into 0.029999999."""
    scales = np.array([0.03, 0.05, 0.06], np.float32)
    catalog = RealCatalog(write(cat=main_table(PIXEL_SCALE=scales), cat_fits=fits_table()))
    np.testing.assert_array_equal(catalog.pixel_scales, [0.03, 0.05, 0.06])
    np.testing.assert_allclose(catalog.column("flux_radius", 0.03), [3.0, 10.0, 24.0])
