"""What the self-supervised encoders share, for each of them."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.embeddings import Embedder
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.export.module import export
from galsim_deep_training.families import make_family
from galsim_deep_training.fit import fit
from galsim_deep_training.fitting.graphs import as_graph

KINDS = ("simclr", "byol", "simsiam")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def family(kind, make_recipe):
    return make_family(make_recipe(family=kind))


def test_the_unit_of_the_flux_does_not_matter(family, data_file):
    batch = Dataset(data_file).read(np.arange(4))
    found = family.embed(batch["stamp"], batch["noise_sigma"])
    other = family.embed(50.0 * batch["stamp"], 50.0 * batch["noise_sigma"])
    np.testing.assert_allclose(other, found, rtol=1e-3, atol=1e-5)


def test_a_fit_reduces_the_loss_and_does_not_collapse(kind, make_recipe, data_file):
    def change(content):
        content["fit"]["views"].update(steps=60, learning_rate=0.01, warm_up=5, clip=10.0)
    family, dataset = make_family(make_recipe(change, family=kind)), Dataset(data_file)
    (phase,) = family.phases
    step, evaluate = as_graph(phase.step), as_graph(phase.evaluate)
    losses = [float(step(batch, tf.constant(number))["loss"]) for number, batch in zip(
        range(60), phase.batches(dataset, 0), strict=False)]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.05
    phase.finish(dataset)
    batch = dataset.read(np.arange(len(dataset)))
    assert float(evaluate(batch)["spread"]) > 0.05


def test_several_bands(kind, make_recipe):
    def change(content):
        content["bands"] = [dict(name=name, zero_point=25.0) for name in "gri"]
        content["columns"] = []
        content["data"] = dict(kind="images", file_name="images.npz")
    family = make_family(make_recipe(change, family=kind))
    assert family.signatures()["embed"].inputs["image"].shape[1:] == (32, 32, 3)
    assert family.embed(tf.ones([2, 32, 32, 3]), tf.ones([2])).shape == (2, 6)


@pytest.mark.long
def test_a_module_embeds_stamps(new_run, make_recipe, tmp_path):
    """From the fit to a module on disk, which gives what the networks give."""
    recipe, run = make_recipe(family="simclr"), new_run()
    fitted = fit(recipe, run, progress=False)
    embedder = Embedder(export(recipe, run, tmp_path / "tiny"))
    assert embedder.card.kind == "encoder" and set(embedder.inputs) == {"image", "noise_sigma"}
    batch = Dataset(run / "data.h5").read(np.arange(5))
    found = embedder.embed(batch["stamp"], noise_sigma=batch["noise_sigma"])
    expected = fitted.embed(batch["stamp"], batch["noise_sigma"]).numpy()
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
