"""The Flow-VAE: what its settings do, and the published configuration."""

from pathlib import Path

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families import choose_family, make_family
from galsim_deep_training.recipe import read_recipe

RECIPES = Path(__file__).parents[4] / "training" / "recipes"


def batch_for(family, count, seed=1):
    """Noise and a PSF: enough to take a step."""
    stamp, rng = family.recipe.stamp, np.random.default_rng(seed)
    psf = galsim.Gaussian(sigma=1.3).drawImage(
        nx=stamp.psf_size, ny=stamp.psf_size, scale=1.0).array
    low_high = {c.name: c.valid_range for c in family.recipe.columns}
    return {name: tf.constant(value, tf.float32) for name, value in dict(
        stamp=0.01 * rng.standard_normal((count, stamp.size, stamp.size)),
        psf=np.repeat(psf[None], count, axis=0), noise_sigma=np.full(count, 0.01),
        noise_power=np.ones((count, stamp.size, stamp.size // 2 + 1)),
        **{name: rng.uniform(0.7 * low + 0.3 * high, 0.5 * (low + high), count)
           for name, (low, high) in low_high.items()}).items()}


@pytest.mark.long
def test_the_published_configuration_is_built_and_steps():
    """Table 1 of Lanusse et al. 2021."""
    recipe = read_recipe(RECIPES / "lanusse2021.yaml")
    family = make_family(recipe)
    settings, auto, fit = family.settings, family.autoencoder.settings, family.fit
    assert (auto.stages, auto.blocks) == (7, 2)
    assert (auto.depth, auto.max_depth, auto.latent_size) == (16, 512, 16)
    assert (fit["autoencoder"].steps, fit["autoencoder"].batch_size) == (125_000, 64)
    assert (fit["autoencoder"].optimizer, fit["autoencoder"].schedule) == (
        "adafactor", "square_root")
    assert (fit["autoencoder"].free_bits, fit["autoencoder"].total_variation) == (4, 0.01)
    assert settings.flow.kind == "masked_autoregressive"
    assert (settings.flow.settings.layers, settings.flow.settings.hidden) == (8, 256)
    assert fit["flow"].steps == 50_000
    # Sixteen channels at full resolution, 512 at the bottom, one dense layer to 2 x 16 numbers.
    assert family.autoencoder.encoder.exit.kernel.shape == (512, 32)
    batch = batch_for(family, 2)
    for phase, data in zip(family.phases[:2], [batch, dict(
            latent=tf.random.stateless_normal([8, 16], (1, 2)),
            conditions=tf.random.stateless_normal([8, 3], (3, 4)), blur=tf.zeros([8, 16]))],
            strict=True):
        before = [variable.numpy() for variable in phase.variables]
        for number in (0, phase.settings.steps - 1):  # with all aids, and without
            scalars = phase.step(data, tf.constant(number))
            assert all(np.isfinite(value) for value in scalars.values())
        changed = [np.any(variable.numpy() != old)
                   for variable, old in zip(phase.variables, before, strict=True)]
        # A flow starts as the identity: at first its last layers alone have a gradient.
        assert np.mean(changed) > (0.9 if phase.name == "autoencoder" else 0.3)
    image = family.sample(tf.random.stateless_normal([1, family.latent_size], (5, 6)),
                          {c.name: batch[c.name][:1] for c in recipe.columns})
    assert image.shape == (1, 128, 128) and np.all(image.numpy() >= 0)


@pytest.mark.parametrize("phase, name", [
    ("autoencoder", "model_error"), ("structure", "model_error"), ("flow", "vector_jitter")])
def test_errors_that_are_negative(phase, name, make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match=f"fit.{phase}.{name}: "):
        choose_family(make_recipe(lambda c: c["fit"][phase].update({name: -0.1})))


def test_a_recipe_without_columns_is_refused(make_recipe):
    """Before any network is made."""
    def change(content):
        content["columns"] = []
        content["model"]["autoencoder"] = dict(kind="lanusse2021")
        content["fit"]["autoencoder"]["model_error"] = 0.0
        del content["fit"]["structure"], content["fit"]["matching"]

    with pytest.raises(galsim.GalSimConfigError, match="has no columns"):
        make_family(make_recipe(change))
