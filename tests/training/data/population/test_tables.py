"""Catalogues of several kinds are read alike."""

import galsim
import h5py
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep_training.data.population import Catalogue, Counts
from galsim_deep_training.data.population.tables import magnitudes, read_rows

TABLE = Table(dict(magnitude=[20.0, 21.0, -99.0, 23.0], half_light_radius=[0.5, -1.0, 0.3, 0.2],
                   redshift=[0.0, 0.5, 1.0, -1.0], sersic_n=[1.0, 2.0, 3.0, 4.0]))
ROWS = np.array([[20.0, 0.5, 0.0, 1.0, np.nan], [21.0, np.nan, 0.5, 2.0, np.nan],
                 [23.0, 0.2, np.nan, 4.0, np.nan]])


@pytest.fixture
def read(tmp_path):
    TABLE.write(tmp_path / "a.csv")
    TABLE.write(tmp_path / "a.fits")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["catalogues/a"] = np.asarray(TABLE)

    def rows(**settings):
        return read_rows(Catalogue(**settings), lambda name: tmp_path / name, "recipe x.yaml")

    return rows


@pytest.mark.parametrize("source", [
    dict(file_name="a.csv"), dict(file_name="a.fits"),
    dict(file_name="a.h5", path="catalogues/a")])
def test_columns_have_the_names_of_the_quantities(read, source):
    """What is not known, or negative, is NaN; rows without magnitude are left out."""
    np.testing.assert_array_equal(read(**source), ROWS)


def test_a_range_of_magnitudes(read):
    np.testing.assert_array_equal(read(file_name="a.csv", magnitudes=[20.5, 30]), ROWS[1:])


def test_other_names_and_an_ellipticity(read):
    rows = read(file_name="a.csv", sersic_n="redshift", ellipticity="half_light_radius")
    np.testing.assert_array_equal(rows[:, 3], [np.nan, 0.5, np.nan])
    assert rows[0, 4] == pytest.approx(1 / 3)


def test_a_catalogue_of_galsim(survey):
    """With a catalogue of fits beside it."""
    rows = read_rows(Catalogue(file_name="real_galaxy_catalog.fits", magnitude="MAG",
                               redshift="ZPHOT"), lambda name: survey / name, "recipe x.yaml")
    assert np.isfinite(rows[:, 0]).all() and np.isfinite(rows[:, 2]).any()


def test_magnitudes_of_counts(read, tmp_path):
    counts = Counts(slope=0.5, file_name="a.h5", path="catalogues/a")
    assert len(magnitudes(counts, lambda name: tmp_path / name, "recipe x.yaml")) == 4


@pytest.mark.parametrize("settings, message", [
    (dict(file_name="a.csv", redshift="Z"), "a.csv .*'Z'"), (dict(file_name="b.csv"), "b.csv"),
    (dict(file_name="a.h5", path="catalogues/b"), "no table 'catalogues/b'.*catalogues/a"),
    (dict(file_name="b.h5", path="catalogues/b"), "b.h5")])
def test_unusable_catalogues(read, settings, message):
    with pytest.raises(galsim.GalSimConfigError, match=f"x.yaml.*{message}"):
        read(**settings)
