"""One step of each phase of each model family, and an export: what the quick tests have of both.

The long tests of `fit`, of the export and of the families examine what comes out.
"""

import json

import galsim
import numpy as np
import pytest
import tensorflow as tf

import galsim_deep
from galsim_deep_training.export.module import export
from galsim_deep_training.families import make_family
from galsim_deep_training.families.base import ModelFamily, Signature
from galsim_deep_training.fit import fit, restore

FAMILIES = [kind for kind, family in ModelFamily.kinds().items()
            if family.__module__.startswith("galsim_deep_training.")]


def weights(network):
    return [variable.numpy() for variable in network.variables]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_of_each_phase(name, make_recipe, new_run, add_embeddings, without_graphs):
    def short(content):
        for settings in content["fit"].values():
            settings.update(steps=1)

    recipe, run = make_recipe(short, family=name), new_run()
    add_embeddings(run / "data.h5", recipe)
    family, untrained = fit(recipe, run, progress=False), make_family(recipe)
    log = [json.loads(line) for line in (run / "fit.jsonl").read_text().splitlines()]
    assert [entry["phase"] for entry in log] == [phase.name for phase in family.phases]
    for network, values in family.networks.items():
        assert any(np.any(value != first) for value, first in zip(
            weights(values), weights(untrained.networks[network]), strict=True)), network
    again = restore(recipe, run)
    for network, values in family.networks.items():
        for value, restored in zip(weights(values), weights(again.networks[network]), strict=True):
            np.testing.assert_array_equal(value, restored)


class RoundGalaxies(ModelFamily, kind="round_galaxies"):
    """Gaussians of the requested size, with a random number that decides how concentrated."""

    latent_size = 1

    def signatures(self):
        size = self.recipe.stamp.size
        axis = tf.range(size, dtype=tf.float32) - 0.5 * (size - 1)
        squared = tf.square(axis)[:, None] + tf.square(axis)

        def sample(flux_radius, mag_auto, zphot, random_normal):
            sigma = flux_radius / 1.1774 * tf.exp(0.05 * random_normal[:, 0])
            light = tf.exp(-0.5 * squared / tf.square(sigma)[:, None, None])
            flux = 10.0 ** (-0.4 * (mag_auto - 25.94))
            light *= (flux / tf.reduce_sum(light, axis=[1, 2]))[:, None, None]
            return dict(image=light[..., None])

        return dict(sample=Signature(sample, dict(
            self.column_specs(), random_normal=tf.TensorSpec([None, 1], tf.float32))))


def test_export_of_a_family_without_weights(make_recipe, new_run, tmp_path):
    """The galaxies of the module are those of the formula, in both of its graphs."""
    recipe = make_recipe(lambda content: content.update(
        model=dict(kind="round_galaxies"), fit={}))
    folder = export(recipe, new_run(), tmp_path / "hub" / "round")
    model = galsim_deep.GenerativeGalaxyModel(folder)
    assert (folder / "samples.png").exists() and (folder / "README.md").exists()
    galaxy, = model.sample(dict(flux_radius=[3.0], mag_auto=[21.0], zphot=[0.5]), seeds=[4])
    np.testing.assert_allclose(galaxy.flux, 10 ** (-0.4 * (21.0 - 25.94)), rtol=1e-4)
    radius = galsim.Image(galaxy.image.array, scale=1.0).calculateHLR()
    np.testing.assert_allclose(radius, 3.0, rtol=0.15)
