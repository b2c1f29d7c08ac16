"""The autoencoder in the frame of the galaxy: its sizes, and what it cannot draw."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families.flow_vae.autoencoders.galaxy_frame import (
    GalaxyFrameAutoencoder,
    GalaxyFrameSettings,
)
from galsim_deep_training.families.shared.signatures import POSITION_ANGLE_SCALE
from galsim_deep_training.networks.conditions import Conditions

TINY = dict(latent_size=4, psf_radius=2.0, cells=8, core_cells=4, channels=[8, 8, 4],
            maps=[2, 1, 1], encoder_channels=[4, 4, 4], hidden=16, start=4)


@pytest.fixture(scope="module")
def dataset_file(data_file):
    return Dataset(data_file)


@pytest.fixture(scope="module")
def make(recipe, dataset_file):
    """``make(**settings)``: an autoencoder that has been prepared, as it is before its fit."""
    def make_prepared(**settings):
        conditions = Conditions(recipe.columns)
        conditions.adapt(dataset_file.columns)
        made = GalaxyFrameAutoencoder(
            GalaxyFrameSettings(**{**TINY, **settings}), recipe, conditions)
        made.prepare(dataset_file)
        return made
    return make_prepared


@pytest.fixture(scope="module")
def tiny(make):
    return make()


@pytest.fixture(scope="module")
def batch(dataset_file):
    return {name: tf.constant(value)
            for name, value in dataset_file.read(dataset_file.test_indices[:5]).items()}


def test_sizes(tiny):
    assert tiny.detail_shapes == [(2, 2, 2), (4, 4, 1), (8, 8, 1)]
    assert (tiny.pose_size, tiny.vector_size, tiny.detail_size) == (7, 4, 8 + 16 + 64)
    assert tiny.latent_size == 7 + 4 + 88


def test_the_position_angle_is_measured(tiny, batch):
    """Its latents have a fixed small scale, and cosine and sine are those of an angle."""
    mean, scale = tiny.encode(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
    np.testing.assert_allclose(np.hypot(mean[:, 0], mean[:, 1]), 1.0, rtol=1e-4)
    np.testing.assert_allclose(scale[:, :3], POSITION_ANGLE_SCALE)


def test_size_and_flux_are_those_of_the_columns(tiny, batch):
    """The flux of a profile is that of the magnitude, and ln(flux) is scaled by its latent."""
    latent = np.zeros((5, tiny.latent_size), np.float32)
    latent[:, 0] = 1.0
    plain = tiny.decode(tf.constant(latent), batch).numpy().sum(axis=(1, 2))
    flux = 10 ** (-0.4 * (batch["mag_auto"].numpy() - 25.94))
    np.testing.assert_allclose(plain, flux, rtol=1e-4)
    latent[:, tiny.pose_size - 1] = 2.0
    brighter = tiny.decode(tf.constant(latent), batch).numpy().sum(axis=(1, 2))
    np.testing.assert_allclose(
        brighter / plain, np.exp(2.0 * tiny.settings.pose_scale), rtol=1e-4)


@pytest.mark.long
def test_without_maps_the_vector_is_all(make, batch):
    made = make(maps=[0, 0, 0])
    assert made.detail_size == 0
    inference = made.infer(batch, tf.zeros([5, made.latent_size]), 1.0)
    assert sorted(inference.kl) == ["pose", "vector"]
    mean, _ = made.encode(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
    assert made.decode(mean, batch).shape == batch["stamp"].shape


def test_a_core_has_to_fit_into_the_grid(recipe):
    content = dict(TINY, kind="galaxy_frame", core_cells=10)
    with pytest.raises(galsim.GalSimConfigError, match="core_cells"):
        GalaxyFrameAutoencoder.choose(content, recipe, "model.autoencoder")


@pytest.mark.parametrize("cells", [6, 2, 1028])
def test_cells_are_halved_twice(cells, recipe):
    with pytest.raises(galsim.GalSimConfigError, match=f"cells: .*4 .*{cells}"):
        GalaxyFrameAutoencoder.choose(
            dict(TINY, kind="galaxy_frame", cells=cells), recipe, "model.autoencoder")
