"""Variants of the tiny MPCC recipe, and a recipe whose classes are labels."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import yaml

from galsim_deep_training.data.build import build
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family
from galsim_deep_training.fit import fit
from galsim_deep_training.recipe import read_recipe

# Changes of the tiny recipe: variants of the thesis, and of how columns enter.
VARIANTS = {
    "conditional": dict(model=dict(conditional=True)),
    "unconditional": dict(),
    "one class": dict(model=dict(classes=dict(number=1)),
                      adversarial=dict(prior_learning_rate=1.0)),
    "split": dict(model=dict(conditional=True, latent_size=6, generator=dict(injection="split"))),
    # Here the prior is moved by the step of the generator only.
    "class": dict(model=dict(generator=dict(injection="class")),
                  adversarial=dict(prior_learning_rate=1e-9)),
    "even": dict(model=dict(conditional=True), adversarial=dict(
        evenness=0.5, discriminator_steps=1, encoder_steps=1)),
    "own trunk": dict(model=dict(encoder=dict(share_trunk=False)),
                      adversarial=dict(discriminator_steps=3, encoder_steps=1)),
}


def update(content, changes):
    """Update a dict of dicts."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            update(content[key], value)
        else:
            content[key] = value


@pytest.fixture(scope="session")
def variant():
    """``variant(name)``: a function that changes the content of the tiny recipe to a variant."""
    def change_to(name):
        def change(content):
            changes = VARIANTS[name]
            update(content["model"], changes.get("model", {}))
            update(content["fit"]["adversarial"], changes.get("adversarial", {}))
            if content["model"]["conditional"]:
                del content["fit"]["flow"]
        return change
    return change_to


@pytest.fixture(scope="session")
def make(make_recipe, variant, data_file):
    """``make(name)``: a newly made family of a variant, prepared, and its data set.

    ``change`` changes the content of the recipe further.
    """
    def of(name, change=lambda content: None):
        def both(content):
            variant(name)(content)
            change(content)

        recipe = make_recipe(both, family="mpcc")
        dataset = Dataset.of(recipe, data_file)
        family = make_family(recipe)
        family.prepare(dataset)
        return family, dataset
    return of


@pytest.fixture(scope="session")
def fit_of(make_recipe, variant, fit_once):
    """``fit_of(name)``: (recipe, family) of a variant, fitted once in a test run."""
    @functools.cache
    def of(name):
        recipe = make_recipe(variant(name), family="mpcc")
        return recipe, fit_once(f"mpcc-{name.replace(' ', '-')}", recipe)[0]
    return of


@pytest.fixture(scope="session")
def batch_of():
    """``batch_of(dataset, count)``: a batch of training examples."""
    def read(dataset, count=8):
        return {name: tf.constant(value)
                for name, value in dataset.read(dataset.train_indices[:count]).items()}
    return read


@pytest.fixture(scope="session")
def values():
    """``values(networks)``: the trainable weights of networks as arrays, by name."""
    def of(networks):
        return {f"{name}/{number}": variable.numpy() for name, network in networks.items()
                for number, variable in enumerate(network.trainable_variables)}
    return of


@pytest.fixture(scope="session")
def bars(shared):
    """A recipe of images of two labelled classes, bars along x and along y, and its folder."""
    with shared("bars") as folder:
        rng = np.random.default_rng(1)
        label = np.arange(60) % 2
        images = np.zeros((60, 8, 8), np.float32)
        for image, is_along_y in zip(images, label, strict=True):
            image[rng.integers(2, 6)] = 1.0
            if is_along_y:
                image[:] = image.T.copy()
        phase = dict(steps=10, batch_size=8)
        if not (folder / "recipe.yaml").exists():
            np.savez(folder / "bars.npz", images=images, labels=label)
            (folder / "recipe.yaml").write_text(yaml.safe_dump(dict(
                name="bars", version="0.0.1", summary="Bars.", seed=1,
                stamp=dict(size=8, pixel_scale=1.0, psf_size=1),
                bands=[dict(name="none", zero_point=0.0)], columns=[],
                training_data=dict(description="Bars.", citation="none", licence="CC0"),
                data=dict(kind="images", file_name="bars.npz", labels="labels"),
                model=dict(
                    kind="mpcc", canvas=dict(kind="plain"), latent_size=4,
                    classes=dict(number=2, supervised=True, names=[
                        dict(name="along x", description="bars along x"),
                        dict(name="along y", description="bars along y")]),
                    generator=dict(start=2, channels=8, injection="class"),
                    discriminator=dict(channels=8, halvings=1), encoder=dict(hidden=8)),
                fit=dict(inference=phase, class_weights=phase, adversarial=dict(
                    phase, discriminator_steps=1, encoder_steps=1, least_diversity=0.0)))))
        recipe = read_recipe(folder / "recipe.yaml")
        if not (folder / "run" / "data.h5").exists():
            build(recipe, folder / "run" / "data.h5", processes=1, progress=False)
        return recipe, folder / "run"


@pytest.fixture
def labelled(bars):
    """A newly made family of the recipe ``bars``, prepared, and its data set."""
    recipe, run = bars
    dataset = Dataset.of(recipe, run / "data.h5")
    family = make_family(recipe)
    family.prepare(dataset)
    return family, dataset


@pytest.fixture(scope="session")
def fitted_bars(bars, shared):
    """The fitted family of the recipe ``bars``."""
    recipe, run = bars
    with shared("bars"):
        return fit(recipe, run, progress=False)
