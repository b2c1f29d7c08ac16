"""The page of a module for people, for a recipe unlike those that are shipped."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.modules.card import write_card
from galsim_deep.modules.module import Module
from galsim_deep_training.data.build import build
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.export.card import card_fields
from galsim_deep_training.export.module import save
from galsim_deep_training.export.page import write_page
from galsim_deep_training.families import make_family

pytestmark = pytest.mark.long

NAMES = dict(flux_radius="r_half", mag_auto="m_814", zphot="photo_z")


@pytest.fixture(scope="module")
def module(make_recipe, tmp_path_factory, sample_alone):
    """An unfitted module of real galaxies whose columns go by other names."""
    def rename(content):
        for column in content["columns"]:
            column["name"] = NAMES[column["name"]]
        content["columns"].reverse()
        content["data"]["columns"] = dict(
            r_half="flux_radius", m_814="MAG", photo_z="ZPHOT")

    recipe = make_recipe(rename, builder="real_galaxies")
    root = tmp_path_factory.mktemp("page")
    build(recipe, root / "data.h5", progress=False)
    dataset, family = Dataset.of(recipe, root / "data.h5"), make_family(recipe)
    family.prepare(dataset)
    with sample_alone():
        save(family, root / "module")
        fields = dict(card_fields(recipe, family, dataset),
                      validation={"survey": {"chi_square": 1.0625}})
    write_card(root / "module", fields)
    write_page(Module(root / "module"), dataset)
    write_card(root / "module", fields)
    return Module(root / "module")


def test_page(module):
    page = (module.folder / "README.md").read_text()
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| `")]
    assert rows == ["`photo_z`", "`m_814`", "`r_half`"]
    assert "sorted by\n`m_814`" in page
    assert "| 19.5 to 25 |" in page
    assert "| chi_square | 1.062 |\n" in page
    assert not set("{}") & set(page)


def test_pictures(module):
    """Ten profiles above, on a sky without light; below the same with noise."""
    picture = tf.io.decode_png((module.folder / "samples.png").read_bytes()).numpy()
    assert picture.shape == (2 * 34 + 2, 10 * 34 + 2, 3)
    above, below = (
        np.array([picture[y:y + 32, 2 + 34 * n:34 + 34 * n] for n in range(10)], float)
        for y in (2, 36))
    # The ring around a profile holds nothing, the middle holds a galaxy.
    ring = above[:, [0, -1]]
    np.testing.assert_array_equal(ring, np.broadcast_to(ring[0, 0, 0], ring.shape))
    assert np.all(above[:, 14:18, 14:18].max(axis=(1, 2, 3)) > ring.max() + 50)
    assert np.all(below[:, [0, -1]].std(axis=(1, 2, 3)) > 0)


# ---- modules with classes -------------------------------------------------------------------


@pytest.fixture(scope="module")
def classes(shapes_folder, data_file, tmp_path_factory):
    """A module with classes that has a page."""
    folder = shutil.copytree(shapes_folder, tmp_path_factory.mktemp("classes") / "module")
    write_page(Module(folder), Dataset(data_file))
    return folder


def test_table_of_classes(classes, module):
    page = (classes / "README.md").read_text()
    for line in ("| 0 | disc | 50.0 % | An exponential disc. |",
                 "| 2 | ring | 20.0 % | A ring with a hole. |", "![classes](classes.png)"):
        assert line in page.splitlines()
    assert "galaxy_class" not in (module.folder / "README.md").read_text()


def test_a_row_of_samples_for_each_class(classes, module):
    picture = tf.io.decode_png((classes / "classes.png").read_bytes()).numpy()
    assert picture.shape == (3 * 34 + 2, 10 * 34 + 2, 3)
    disc, bulge, ring = (
        np.array([picture[y:y + 32, 2 + 34 * n:34 + 34 * n] for n in range(10)], float)
        for y in (2, 36, 70))
    for one, other in ((disc, bulge), (bulge, ring), (ring, disc)):
        assert np.all(np.abs(one - other).max(axis=(1, 2, 3)) > 20)
    assert not (module.folder / "classes.png").exists()
