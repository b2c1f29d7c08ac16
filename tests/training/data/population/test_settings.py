"""What recipes may say about a population."""

import galsim
import pytest

from galsim_deep_training.data.population import Catalogue, Counts, PopulationSettings
from galsim_deep_training.settings import parse


@pytest.mark.parametrize("settings", [Catalogue, Counts])
@pytest.mark.parametrize("content", [
    dict(file_name="galaxies.h5"), dict(file_name="galaxies.csv", path="catalogues/a")])
def test_tables_of_hdf5_files_are_named(settings, content):
    content = content | (dict(slope=0.5) if settings is Counts else {})
    with pytest.raises(galsim.GalSimConfigError, match="recipe x.yaml .*path: should name"):
        parse(settings, content, "recipe x.yaml")


def test_a_table_of_an_hdf5_file():
    assert Catalogue(file_name="a.h5", path="catalogues/b").path == "catalogues/b"
    assert Counts(slope=0.5).file_name is None


@pytest.mark.parametrize("change, message", [
    (dict(half_light_radius=[0.5, 0.5]), "half_light_radius"),
    (dict(half_light_radius=[0.0, 0.5]), "half_light_radius"), (dict(even_share=1.5), "even_share"),
    (dict(magnitudes=[28, 16]), "magnitudes")])
def test_wrong_settings(change, message):
    content = dict(magnitudes=[16, 28], counts=dict(slope=0.5), half_light_radius=[0.05, 5],
                   redshift=[0, 6], catalogs=[dict(file_name="a.csv")])
    parse(PopulationSettings, content, "recipe x.yaml")
    with pytest.raises(galsim.GalSimConfigError, match=message):
        parse(PopulationSettings, content | change, "recipe x.yaml")
