"""The equivariant transformer VAE: turned images, position angles and its modules."""

import numpy as np
import pytest
import tensorflow as tf
from galsim import GalSimConfigError, GalSimError

from galsim_deep.embeddings import Embedder
from galsim_deep.embeddings.stamps import Stamps
from galsim_deep.embeddings.tables import table_of
from galsim_deep.modules import Module
from galsim_deep_training.export import export
from galsim_deep_training.families import make_family

SIZE = 32


def spirals(angle=0.0):
    """Three images with structure at an angle [deg], from x towards y, [3, S, S]."""
    y, x = np.indices((SIZE, SIZE)) - 0.5 * (SIZE - 1)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = c * x + s * y, -s * x + c * y
    disc = np.exp(-0.02 * (x**2 + (y / 0.6)**2))
    # Without structure that pixels do not resolve, which is not the same after a turn.
    r = np.hypot(x, y)
    arms = 1 + 0.5 * (1 - np.exp(-0.1 * r**2)) * np.cos(2 * np.arctan2(y, x) - r / 4.0)
    knot = np.exp(-0.1 * ((x - 5)**2 + (y - 3)**2))
    return tf.constant(np.stack([disc, disc * arms, 0.8 * disc + 0.2 * knot]), tf.float32)


@pytest.fixture(scope="module")
def family(make_recipe, awaken):
    def change(content):
        content["model"].update(angles=48, radii=16)
    family = make_family(make_recipe(change, family="et_vae"))
    for network in family.networks.values():
        awaken(network)
    return family


@pytest.mark.parametrize("angle", [11.0, 45.0, 90.0, 160.0])
def test_latents_of_turned_images(family, angle):
    mean, scale, position_angle = family.latents(spirals())
    turned_mean, turned_scale, turned_angle = family.latents(spirals(angle))
    spread = np.sqrt(np.mean(np.var(mean, axis=0)))
    assert np.sqrt(np.mean(np.square(turned_mean - mean))) < 0.1 * spread
    np.testing.assert_allclose(turned_scale, scale, rtol=0.05)
    moved = (turned_angle - position_angle - angle + 90) % 180 - 90
    assert np.abs(moved).max() < 2.0
    assert ((0 <= position_angle) & (position_angle < 180)).numpy().all()


def test_a_position_angle_that_is_imposed(family):
    """The same galaxy at another angle, the same after half a turn."""
    mean, _, _ = family.latents(spirals()[:1])
    made = {angle: family.decode(mean, tf.constant([np.float32(angle)])).numpy()[0, ..., 0]
            for angle in (0, 90, 360)}
    # Positive angles are from x towards y: rows are y.
    np.testing.assert_allclose(made[90], np.rot90(made[0], k=-1), atol=1e-4)
    np.testing.assert_allclose(made[360], made[0], atol=1e-4)
    assert np.abs(made[90] - made[0]).max() > 1e-3


def test_signatures(family):
    signatures = family.signatures()
    images = tf.repeat(spirals()[..., None], 1, axis=-1)
    outputs = signatures["embed"].call(image=images)
    assert outputs["embedding"].shape == (3, 4) and outputs["position_angle"].shape == (3,)
    np.testing.assert_allclose(np.sum(outputs["vote_fractions"], axis=1), 1.0, rtol=1e-5)
    made = signatures["decode"].call(latent=outputs["embedding"],
                                     position_angle=outputs["position_angle"])["image"]
    assert made.shape == (3, SIZE, SIZE, 1)


def test_without_votes(make_recipe):
    def change(content):
        del content["model"]["answers"], content["fit"]["votes"]
    family = make_family(make_recipe(change, family="et_vae"))
    assert [phase.name for phase in family.phases] == ["autoencoder"]
    assert "vote_fractions" not in family.signatures()["embed"].call(image=spirals()[..., None])


def test_an_answer_that_is_no_column(make_recipe):
    with pytest.raises(GalSimConfigError, match="model.answers, names bar, which are not"):
        make_family(make_recipe(
            lambda c: c["model"].update(answers=["bar", "mag_auto"]), family="et_vae"))


@pytest.mark.long
def test_the_module(make_recipe, fit_once, tmp_path):
    """Fitted, exported and loaded, it tells position angles, and draws galaxies at others."""
    recipe = make_recipe(family="et_vae")
    family, run = fit_once("et_vae", recipe)
    folder = export(recipe, run, tmp_path / "hub" / "tiny")
    embedder = Embedder(folder)
    assert embedder.has_position_angle and embedder.inputs == ("image",)
    mean, _, angle = family.latents(spirals())
    np.testing.assert_allclose(embedder.embed(spirals()), mean, atol=1e-4)
    found = embedder.position_angles(spirals())
    assert np.abs((found - angle + 90) % 180 - 90).max() < 0.1
    made = Module(folder).call("decode", latent=mean, position_angle=angle + 30)["image"]
    np.testing.assert_allclose(made, family.decode(mean, angle + 30), atol=1e-4)
    stamps = Stamps(images=spirals().numpy()[..., None], names=np.arange(3), columns={},
                    psf=None, noise_sigma=None)
    np.testing.assert_array_equal(table_of(embedder, stamps).column("position_angle"), found)


def test_modules_without_position_angle():
    embedder = Embedder("hub:first_encoder")
    assert not embedder.has_position_angle
    with pytest.raises(GalSimError, match="first_encoder does not tell the position angle"):
        embedder.position_angles(np.ones([1, 64, 64]))
