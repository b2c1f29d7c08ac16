"""What every module that comes with the package promises."""

import numpy as np
import pytest

import galsim_deep
from galsim_deep.handles import installed_path

NAMES = sorted(path.parents[1].name for folder in installed_path()
               for path in folder.glob("*/assets/galsim_module.json"))
COUNT = 12


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    return galsim_deep.GenerativeGalaxyModel(f"hub:{request.param}")


@pytest.fixture(scope="module")
def table(model):
    """Rows over the middle of the training sample."""
    return {column.name: np.linspace(column.quantiles["0.05"], column.quantiles["0.95"], COUNT)
            for column in model.card.columns}


def classes(model):
    """The natural mix, and each class."""
    return [None, *range(len(model.clusters))]


def test_there_are_some():
    assert {"acs_flow_vae", "acs_mpcc"} <= set(NAMES)


def test_images(model, table):
    """Light is positive and falls to zero at the edge; all is finite."""
    for cluster in classes(model):
        images = model.images(table, seeds=np.arange(COUNT), cluster=cluster)
        assert np.isfinite(images).all() and (images >= 0).all()
        rim = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
        assert rim.max() < 1e-3 * images.max()


def test_the_same_seed_is_the_same_image_alone_and_in_a_batch(model, table):
    for cluster in classes(model):
        images = model.images(table, seeds=np.arange(COUNT), cluster=cluster)
        again = model.images(table, seeds=np.arange(COUNT), cluster=cluster)
        np.testing.assert_array_equal(again, images)
        row = {name: values[7:8] for name, values in table.items()}
        alone = model.images(row, seeds=[7], cluster=cluster)
        np.testing.assert_allclose(alone[0], images[7], atol=1e-6 * images[7].max())


def test_classes_have_names_and_look_different(model, table):
    if not model.clusters:
        pytest.skip("the module has no classes")
    assert all(one.description for one in model.card.clusters)
    images = [model.images(table, seeds=np.arange(COUNT), cluster=name) for name in model.clusters]
    for number, one in enumerate(images):
        for other in images[:number]:
            assert np.abs(one - other).sum() > 0.05 * one.sum()
    drawn = model.draw_clusters({name: np.tile(values, 50) for name, values in table.items()},
                                seeds=np.arange(50 * COUNT))
    shares = np.bincount(drawn, minlength=len(model.clusters)) / len(drawn)
    assert (shares > 0.2 * np.array([one.share for one in model.card.clusters])).all()
