"""Stamps of radio sources, and a table of their embeddings by a module that is shipped."""

import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.embeddings import Embedder, EmbeddingTable

SIZE = 96


def radio_sources(count, seed=1):
    """Double sources of two kinds: far apart (1) or close together (0); in mJy per pixel."""
    rng = np.random.default_rng(seed)
    axis = np.arange(SIZE) - 0.5 * (SIZE - 1)
    images, labels = [], []
    for number in range(count):
        apart = (3.0, 14.0)[number % 2] * rng.uniform(0.8, 1.2)
        angle = rng.uniform(0, np.pi)
        image = np.zeros((SIZE, SIZE))
        for side in (-1, 1):
            dx, dy = axis - side * apart * np.cos(angle), axis - side * apart * np.sin(angle)
            image += rng.uniform(0.5, 1) * np.outer(np.exp(-0.5 * (dy / 1.6)**2),
                                                    np.exp(-0.5 * (dx / 1.6)**2))
        images.append(np.where(image > 0.03, image, 0.0))
        labels.append(("close", "wide")[number % 2])
    return np.array(images, np.float32), np.array(labels)


@pytest.fixture(scope="session")
def embedder():
    return Embedder("hub:first_mpcc")


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """An ``.npz`` file of 40 sources with labels and the columns of the module."""
    images, labels = radio_sources(40)
    path = tmp_path_factory.mktemp("sources") / "sources.npz"
    light = images.sum(axis=(1, 2))
    size = np.array([1.8 * (2 * np.hypot(*np.nonzero(image)[::1])).max() / 2 for image in images])
    np.savez(path, images=images, label=labels, flux_density=light,
             size=np.clip(size, 10, 200), noise_sigma=np.full(40, 0.016))
    return path


@pytest.fixture
def table():
    """``table(count, ...)``: a table of embeddings in two groups, with pictures."""
    def make(count=40, seed=1, length=6, **columns):
        rng = np.random.default_rng(seed)
        kind = np.arange(count) % 2
        embedding = rng.normal(size=(count, length)) + 4.0 * kind[:, None] * np.eye(length)[0]
        content = dict(id=100 + np.arange(count), embedding=embedding,
                       kind=np.array(["a", "b"])[kind], value=embedding[:, 1],
                       thumbnail=rng.integers(0, 255, (count, 8, 8, 3), dtype=np.uint8))
        return EmbeddingTable(Table(dict(content, **columns)))

    return make
