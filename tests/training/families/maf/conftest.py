"""Data sets of embeddings whose density is known, and families for them."""

import numpy as np
import pytest

from galsim_deep_training.data.dataset import Dataset, DatasetWriter
from galsim_deep_training.data.example import Example
from galsim_deep_training.data.identity import data_settings_hash
from galsim_deep_training.families import make_family

COVARIANCE = np.array([[4.0, 1.2], [1.2, 0.5]])
MEAN = np.array([3.0, -1.0])


def _write_dataset(path, recipe, embeddings, columns, test_share=0.25):
    stamp, count = recipe.stamp, len(next(iter(columns.values())))
    psf = np.zeros((1, stamp.psf_size, stamp.psf_size))
    psf[0, stamp.psf_size // 2, stamp.psf_size // 2] = 1.0
    with DatasetWriter(path, stamp, list(columns), psf, data_settings_hash(recipe)) as writer:
        for number in range(count):
            writer.add(Example(
                stamp=np.zeros([stamp.size, stamp.size]), psf_index=0, noise_sigma=1.0,
                columns={name: values[number] for name, values in columns.items()}, source=number,
                test=number < test_share * count,
                embedding=None if embeddings is None else embeddings[number]))
    return Dataset(path)


@pytest.fixture
def write_dataset():
    """``write_dataset(path, recipe, embeddings, columns)``: a data set of empty stamps, with
    ``embeddings`` [N, K], or None for none."""
    return _write_dataset


@pytest.fixture
def gaussian_columns():
    """The columns of 400 galaxies."""
    rng = np.random.default_rng(5)
    return dict(flux_radius=rng.uniform(1.5, 7.0, 400), mag_auto=rng.uniform(20.0, 24.0, 400),
                zphot=rng.uniform(0.1, 2.0, 400))


@pytest.fixture
def maf_recipe(make_recipe):
    """``maf_recipe(change, fit=..., **model)``: a recipe of embeddings of two numbers."""
    def make(change=None, fit=None, **model):
        def changed(content):
            content["stamp"].update(size=8, psf_size=3)
            content["model"] = dict(dict(kind="maf", latent_size=2), **model)
            content["fit"] = dict(density=dict(dict(steps=12, batch_size=8), **(fit or {})))
            if change is not None:
                change(content)
        return make_recipe(changed, family="maf")

    return make


@pytest.fixture
def gaussian(maf_recipe, gaussian_columns, tmp_path):
    """A data set of 400 embeddings that follow a Gaussian of `MEAN` and `COVARIANCE`."""
    embeddings = np.random.default_rng(6).multivariate_normal(MEAN, COVARIANCE, 400)
    return _write_dataset(tmp_path / "data.h5", maf_recipe(), embeddings, gaussian_columns)


@pytest.fixture
def prepared(gaussian):
    """``prepared(recipe)``: its family, after `prepare` on the Gaussian data set."""
    def make(recipe):
        family = make_family(recipe)
        family.prepare(gaussian)
        return family

    return make
