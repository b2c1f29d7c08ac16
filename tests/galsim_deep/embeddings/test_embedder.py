"""Modules as functions from stamps to embeddings."""

import galsim
import numpy as np
import pytest

from galsim_deep.embeddings import Embedder
from galsim_deep.embeddings.stamps import Stamps
from galsim_deep.modules.module import load
from galsim_deep.modules.resolve import resolve

from .conftest import radio_sources

COLUMNS = dict(flux_density=np.full(4, 20.0), size=np.full(4, 40.0))


@pytest.fixture(scope="module")
def images():
    return radio_sources(4)[0]


@pytest.fixture(scope="module")
def psf():
    beam = galsim.Gaussian(fwhm=5.4).drawImage(nx=33, ny=33, scale=1.8, dtype=float).array
    return beam / beam.sum()


def test_the_mean_of_encode(embedder, images, psf):
    """The embedding by a generator is the mean that its signature ``encode`` gives."""
    found = embedder.embed(images, psf, 0.02, COLUMNS)
    expected = load(resolve("hub:first_mpcc")).call(
        "encode", image=images[..., None], psf=np.broadcast_to(psf[..., None], (4, 33, 33, 1)),
        noise_sigma=np.full((4, 1), 0.02), **COLUMNS)["mean"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_embedding_does_not_depend_on_the_others(embedder, images, psf):
    together = embedder.embed(images, psf, 0.02, COLUMNS)
    alone = embedder.embed(images[2:3], psf, 0.02, {k: v[:1] for k, v in COLUMNS.items()})
    np.testing.assert_allclose(alone[0], together[2], rtol=1e-4, atol=1e-5)


def test_the_mean_over_the_symmetries(embedder, images, psf):
    """Turned and mirrored stamps then have the same embedding."""
    found = embedder.embed(images, psf, 0.02, COLUMNS, symmetries=True)
    turned = embedder.embed(np.rot90(images, 1, axes=(1, 2)), psf, 0.02, COLUMNS, symmetries=True)
    mirrored = embedder.embed(images[:, ::-1], psf, 0.02, COLUMNS, symmetries=True)
    for other in (turned, mirrored):
        np.testing.assert_allclose(other, found, atol=1e-4)


def test_the_range_of_pixel_values(embedder, images, monkeypatch):
    """A module of images from 0 to 1 does not take bytes; a little more is interpolation."""
    stamp = embedder.card.stamp.model_copy(update=dict(value_range=(0.0, 1.0)))
    monkeypatch.setattr(embedder, "card", embedder.card.model_copy(update=dict(stamp=stamp)))
    scaled = images / images.max()
    embedder.embed(1.05 * scaled, None, 0.02, COLUMNS)
    with pytest.raises(galsim.GalSimError, match="from 0 to 255; .* from 0 to 1.*full-scale"):
        embedder.embed(255 * scaled, None, 0.02, COLUMNS)


def test_psf_images_of_another_size(embedder, images, psf):
    """They are cut or padded about their middle."""
    found = embedder.embed(images, psf, 0.02, COLUMNS)
    padded = embedder.embed(images, np.pad(psf, 6), 0.02, COLUMNS)
    np.testing.assert_allclose(padded, found, atol=1e-4)


@pytest.mark.parametrize("change, words", [
    (dict(images=np.zeros((0, 96, 96))), "no stamps to embed"),
    (dict(images=np.zeros((2, 64, 64))), r"shape \(64, 64, 1\).*takes \(96, 96, 1\)"),
    (dict(images=np.full((2, 96, 96), np.nan)), "not finite"),
    (dict(noise_sigma=0.0), "noise of some stamps is not a positive number")])
def test_bad_input(embedder, images, change, words):
    arguments = dict(dict(images=images, noise_sigma=0.02, columns=COLUMNS), **change)
    with pytest.raises(galsim.GalSimError, match=words):
        embedder.embed(**arguments)


def test_a_column_that_is_needed(embedder, images, monkeypatch):
    card = embedder.card
    columns = [column.model_copy(update=dict(optional=False)) for column in card.columns]
    monkeypatch.setattr(embedder, "card", card.model_copy(update=dict(columns=columns)))
    with pytest.raises(galsim.GalSimError, match="needs the column 'flux_density'"):
        embedder.embed(images, noise_sigma=0.02, columns={})


def test_a_module_that_does_not_encode(monkeypatch):
    module = load(resolve("hub:first_mpcc"))
    card = module.card.model_copy(update=dict(signatures=("sample",)))
    monkeypatch.setattr(module, "card", card)
    with pytest.raises(galsim.GalSimError, match="first_mpcc .kind generator. does not turn stamps"
                                                 ".*signatures sample"):
        Embedder("hub:first_mpcc")


def test_stamps(embedder, images, psf):
    stamps = Stamps(images[..., None], np.broadcast_to(psf, (4, 33, 33)), np.full(4, 0.02), COLUMNS,
                    np.arange(4))
    np.testing.assert_array_equal(
        embedder.embed_stamps(stamps), embedder.embed(images, psf, 0.02, COLUMNS))


def test_optional_columns_may_be_missing():
    """The module replaces what is not known."""
    embedder = Embedder("hub:first_vdvae")
    images = np.zeros((2, 64, 64), np.float32)
    images[:, 28:36, 30:34] = 0.5
    known = embedder.embed(images, noise_sigma=0.015, columns=dict(flux_density=16.0, size=20.0))
    found = embedder.embed(images, noise_sigma=0.015)
    assert found.shape == known.shape and np.isfinite(found).all()
    np.testing.assert_array_equal(found, embedder.embed(
        images, noise_sigma=0.015, columns=dict(flux_density=np.nan, size=np.nan)))
