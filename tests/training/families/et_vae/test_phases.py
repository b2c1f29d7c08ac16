"""The phases of the equivariant transformer VAE: labels that are used, and what a fit learns."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.build import build
from galsim_deep_training.data.dataset import Dataset, with_symmetry
from galsim_deep_training.families import make_family
from galsim_deep_training.fitting.graphs import as_graph

SIZE, COUNT, WITH_VOTES = 16, 240, 160


def bars(rng, count):
    """Bars and discs at random angles, [N, S, S], and whether each is a bar, [N]."""
    is_bar = rng.random(count) < 0.5
    y, x = np.indices((SIZE, SIZE)) - 0.5 * (SIZE - 1)
    images = []
    for bar, angle in zip(is_bar, rng.uniform(0, np.pi, count), strict=True):
        u, v = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
        images.append(np.exp(-0.08 * (u / 1.5)**2 - 0.08 * (v / (0.5 if bar else 1.5))**2))
    return np.array(images, np.float32), is_bar


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A file of images, of which two thirds have votes."""
    rng = np.random.default_rng(2)
    stamps, is_bar = bars(rng, COUNT)
    known = np.arange(COUNT) < WITH_VOTES
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, images=stamps, bar=np.where(known, np.where(is_bar, 18, 2), 0),
             disc=np.where(known, np.where(is_bar, 2, 18), 0))
    return path


@pytest.fixture(scope="module")
def bar_recipe(images, recipe_content, write_recipe):
    """``bar_recipe(fit)``: a recipe of these images with votes."""
    from galsim_deep_training.recipe import read_recipe

    def make(**fit):
        content = recipe_content(family="et_vae")
        content["stamp"] = dict(size=SIZE, pixel_scale=1.0, psf_size=1)
        content["columns"] = [
            dict(name=name, unit="", meaning="votes", quantity="other", valid_range=[0, 20])
            for name in ("bar", "disc")]
        content["data"] = dict(kind="images", file_name=str(images), test_share=0.2)
        content["model"].update(answers=["bar", "disc"], latent_size=3, channels=[6, 8])
        content["fit"] = fit
        return read_recipe(write_recipe(content))

    return make


@pytest.fixture(scope="module")
def bar_data(bar_recipe, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data.h5"
    recipe = bar_recipe(votes=dict(steps=2, batch_size=4))
    build(recipe, path, processes=1, progress=False)
    return Dataset.of(recipe, path)


def fitted(recipe, dataset):
    family = make_family(recipe)
    for phase in family.phases:
        batches, step = phase.batches(dataset, 0), as_graph(phase.step)
        for number in range(phase.settings.steps):
            batch = {name: tf.constant(value) for name, value in next(batches).items()}
            step(batch, tf.constant(number))
        phase.finish(dataset)
    return family


def error(family, dataset):
    """RMS error of the fractions of test images with votes."""
    test = dataset.read(dataset.test_indices)
    (votes,) = [phase for phase in family.phases if phase.name == "votes"]
    return float(votes.votes_loss({name: tf.constant(v) for name, v in test.items()})[1]["error"])


OPTIONS = dict(batch_size=32, learning_rate=0.005, warm_up=5, average=0.9, clip=5.0)


@pytest.mark.long
@pytest.mark.parametrize("fit", [
    dict(votes=dict(OPTIONS, steps=80, labels=60)),
    dict(votes=dict(OPTIONS, steps=80, labels=60, alternate=True)),
    dict(autoencoder=dict(OPTIONS, steps=40), votes=dict(OPTIONS, steps=80, labels=60))],
    ids=["supervised", "alternating", "two-step"])
def test_it_learns_votes(fit, bar_recipe, bar_data):
    assert error(fitted(bar_recipe(**fit), bar_data), bar_data) < 0.2  # 0.4 without a fit


@pytest.mark.long
def test_it_learns_images(bar_recipe, bar_data):
    """Latents and position angle tell what an image is like."""
    family = fitted(bar_recipe(autoencoder=dict(OPTIONS, steps=150)), bar_data)
    stamps = bar_data.read(bar_data.test_indices)["stamp"]
    mean, _, angle = family.latents(stamps)
    made = family.decode(mean, angle).numpy()[..., 0]
    inside = np.hypot(*(np.indices((SIZE, SIZE)) - 0.5 * (SIZE - 1))) < 7
    left = np.mean((made - stamps)[:, inside]**2)
    assert left < 0.1 * np.mean((stamps - stamps.mean(axis=0))[:, inside]**2)


def test_only_the_labels_asked_for_are_used(bar_recipe, bar_data):
    family = make_family(bar_recipe(votes=dict(OPTIONS, steps=5, labels=10)))
    (phase,) = family.phases
    rows = phase.labelled(bar_data)
    assert len(rows) == 10 and set(rows) <= set(bar_data.train_indices)
    assert (bar_data.columns["bar"][rows] + bar_data.columns["disc"][rows] > 0).all()
    batch = next(phase.batches(bar_data, 0))
    assert (batch["bar"] + batch["disc"] > 0).all()


@pytest.mark.parametrize("alternate", [False, True])
def test_images_without_votes_fit_the_decoder(alternate, bar_recipe, bar_data):
    fit = dict(OPTIONS, steps=5, warm_up=0, labels=10, alternate=alternate)
    family = make_family(bar_recipe(votes=fit))
    (phase,) = family.phases
    before = {name: network.get_weights() for name, network in family.networks.items()}
    batch = {k: tf.constant(v) for k, v in next(phase.batches(bar_data, 0)).items()}
    as_graph(phase.step)(batch, tf.constant(0))
    changed = {name: any(np.any(new != old) for new, old in zip(
        network.get_weights(), before[name], strict=True))
        for name, network in family.networks.items()}
    assert changed == dict(pose=True, encoder=True, classifier=True, decoder=alternate)


def test_images_of_both_kinds_in_alternating_steps(bar_recipe, bar_data):
    (phase,) = make_family(bar_recipe(votes=dict(OPTIONS, steps=5, labels=10,
                                                 alternate=True))).phases
    batch = next(phase.batches(bar_data, 3))
    assert (batch["bar"] + batch["disc"] > 0).all()
    assert batch["any_stamp"].shape == batch["stamp"].shape
    with_votes = {with_symmetry(stamp, symmetry).tobytes() for symmetry in range(8)
                  for stamp in bar_data.read(phase.labelled(bar_data))["stamp"]}
    assert all(stamp.tobytes() in with_votes for stamp in batch["stamp"])
    assert sum(stamp.tobytes() in with_votes for stamp in batch["any_stamp"]) < 16


def test_too_few_labels(bar_recipe, bar_data):
    (phase,) = make_family(bar_recipe(votes=dict(OPTIONS, steps=5, labels=1000))).phases
    with pytest.raises(galsim.GalSimError, match=r"training images with votes; fit.votes .* 1000"):
        next(phase.batches(bar_data, 0))


def test_votes_without_answers(make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match="model.answers"):
        make_family(make_recipe(lambda c: c["model"].pop("answers"), family="et_vae"))


def test_the_likelihood_is_multinomial(bar_recipe, bar_data):
    """Up to its constant; images without votes do not count."""
    family = make_family(bar_recipe(votes=dict(OPTIONS, steps=5)))
    (phase,) = family.phases
    batch = {k: tf.constant(v) for k, v in bar_data.read(bar_data.train_indices[-90:]).items()}
    log_p = family.log_fractions(family.latents(batch["stamp"])[0]).numpy()
    votes = np.stack([batch["bar"], batch["disc"]], axis=-1)
    known = votes.sum(axis=1) > 0
    assert 0 < known.sum() < 90
    loss, _ = phase.votes_loss(batch)
    assert float(loss) == pytest.approx(-(votes * log_p)[known].sum(axis=1).mean(), rel=1e-5)
