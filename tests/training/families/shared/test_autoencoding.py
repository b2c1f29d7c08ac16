"""The phase of an autoencoder: the terms of its loss, for an autoencoder whose results are known.
"""

import types

import galsim
import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families import choose_family
from galsim_deep_training.families.shared.autoencoder import Autoencoder, Inference
from galsim_deep_training.families.shared.autoencoding import Autoencoding

SIZE = 8
PIXELS = SIZE * SIZE


class Flat(Autoencoder):
    """Profiles of the same value in each pixel, which is its only weight."""

    latent_size = 2

    def __init__(self, level=1.0, kl=3.0, **penalties):
        layer = keras.layers.Layer()
        self.level = layer.add_weight(
            shape=(), initializer=keras.initializers.Constant(level), name="level")
        self.networks = dict(layer=layer)
        self.kl, self.penalties, self.progress = kl, penalties, None

    def infer(self, batch, normal, progress):
        self.progress = float(progress)
        count = batch["stamp"].shape[0]
        return Inference(
            self.level.value * tf.ones([count, SIZE, SIZE]),
            dict(vector=tf.fill([count], self.kl), details=tf.fill([count], 0.5)),
            {name: tf.constant(value) for name, value in self.penalties.items()})

    def encode(self, stamps, psfs, noise_sigma, columns):
        raise NotImplementedError

    def decode(self, latent, columns):
        raise NotImplementedError


@pytest.fixture(scope="module")
def make_phase(recipe):
    """``make_phase(autoencoder, ...)``: without variation and tolerated errors by default."""

    def make(autoencoder, **settings):
        family = types.SimpleNamespace(autoencoder=autoencoder, recipe=recipe)
        return Autoencoding(family, Autoencoding.Settings(**{**dict(
            steps=100, model_error=0.0, total_variation=0.0, free_bits=0.0), **settings}))

    return make


@pytest.fixture(scope="module")
def batch():
    """Two flat stamps of level 1, with a PSF of a single pixel."""
    psf = np.zeros((2, 3, 3))
    psf[:, 1, 1] = 1.0
    return {name: tf.constant(value, tf.float32) for name, value in dict(
        stamp=np.ones((2, SIZE, SIZE)), psf=psf, noise_sigma=[0.5, 0.5],
        noise_power=np.ones((2, SIZE, SIZE // 2 + 1)), flux_radius=[4.0, 4.0]).items()}


LAST = tf.constant(99)


@pytest.mark.parametrize("likelihood", ["pixel", "fourier"])
@pytest.mark.parametrize("level", [1.0, 1.5])
def test_likelihood(level, likelihood, make_phase, batch):
    loss, scalars = make_phase(Flat(level), likelihood=likelihood).loss(batch, LAST)
    chi_square = (level - 1.0) ** 2 / 0.5**2
    assert float(loss) == pytest.approx(0.5 * PIXELS * (chi_square - 1) + 3.5, abs=1e-3)
    for name in ("chi_square", "median_chi_square"):
        assert float(scalars[name]) == pytest.approx(chi_square, abs=1e-5)
    assert (float(scalars["vector"]), float(scalars["details"])) == (3.0, 0.5)


def test_free_bits_are_of_the_vector(make_phase, batch):
    """Less information than that costs as much; the rest of the latents has none."""
    losses = [float(make_phase(Flat(), free_bits=bits).loss(batch, LAST)[0])
              for bits in (0.0, 2.0, 5.0)]
    assert losses[1] == losses[0]
    assert losses[2] - losses[0] == pytest.approx(2.0, abs=1e-4)


def test_beta_rises(make_phase, batch):
    phase = make_phase(Flat(), beta_warm_up=0.5)
    losses = [float(phase.loss(batch, tf.constant(number))[0]) for number in (0, 25, 50, 99)]
    np.testing.assert_allclose(
        np.array(losses) - losses[-1], 3.5 * np.array([-0.9, -0.45, 0, 0]), atol=1e-4)
    at_once = make_phase(Flat(), beta_warm_up=0.0)
    assert float(at_once.loss(batch, tf.constant(0))[0]) == pytest.approx(losses[-1])


def test_penalties_are_added(make_phase, batch):
    loss, scalars = make_phase(Flat(penalty=7.0)).loss(batch, LAST)
    assert float(loss - make_phase(Flat()).loss(batch, LAST)[0]) == pytest.approx(7.0, abs=1e-4)
    assert float(scalars["penalty"]) == 7.0


def test_flat_profiles_have_no_variation(make_phase, batch):
    loss, scalars = make_phase(Flat(), total_variation=100.0).loss(batch, LAST)
    assert float(scalars["variation"]) == 0.0
    assert float(loss) == pytest.approx(-0.5 * PIXELS + 3.5, abs=1e-3)


def test_bright_galaxies_weigh_less(make_phase, batch):
    """Where an error of the profile is tolerated that is larger than the noise."""
    weights = [float(make_phase(Flat(level), model_error=0.1).loss(batch, LAST)[1]["weight"])
               for level in (0.01, 100.0)]
    assert weights[0] == pytest.approx(1.0, abs=0.01) and weights[1] < 0.1
    assert float(make_phase(Flat(100.0)).loss(batch, LAST)[1]["weight"]) == 1.0


def test_progress_and_gradient(make_phase, batch):
    autoencoder = Flat(1.5)
    phase = make_phase(autoencoder, schedule="constant", warm_up=0)
    phase.step(batch, tf.constant(25))
    assert autoencoder.progress == 0.25
    assert float(autoencoder.level.value) < 1.5


def test_evaluate_is_without_aids(make_phase, batch):
    autoencoder = Flat(1.5)
    scalars = make_phase(autoencoder).evaluate(batch)
    assert autoencoder.progress == 1.0
    assert float(scalars["loss"]) == pytest.approx(
        float(make_phase(Flat(1.5)).loss(batch, LAST)[0]))


def test_an_error_relative_to_what_is_not_known_is_refused(make_recipe):
    recipe = make_recipe(lambda c: (
        c["model"].update(autoencoder=dict(kind="lanusse2021", stages=3, depth=4, max_depth=8)),
        c["columns"][0].update(quantity="other")))
    with pytest.raises(galsim.GalSimConfigError, match="half_light_radius.*model_error of 0.05"):
        choose_family(recipe)
