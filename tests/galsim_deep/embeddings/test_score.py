"""Log-likelihoods of embeddings by a density."""

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.embeddings import EmbeddingTable, score
from galsim_deep.embeddings.score import Scores
from galsim_deep.modules.card import read_card
from galsim_deep.modules.resolve import resolve


def test_outliers_and_order():
    rng = np.random.default_rng(1)
    scores = Scores(np.array([0.0, -50.0, 1.0]), rng.normal(size=1000))
    assert scores.outliers.tolist() == [False, True, False]
    assert scores.order.tolist() == [1, 0, 2]
    assert scores.threshold == pytest.approx(-2.33, abs=0.3)


def test_a_generator_is_no_density(table):
    with pytest.raises(galsim.GalSimError, match="first_mpcc is a generator, and not a density"):
        score("hub:first_mpcc", table())


def test_tables_of_another_module(table):
    other = EmbeddingTable(Table(dict(embedding=np.zeros((3, 2)))))
    with pytest.raises(galsim.GalSimError, match="6 and 2 numbers"):
        table().check_like(other)


def test_a_density_of_embeddings_of_another_module(table):
    """first_maf is the density of embeddings by first_encoder, which have 128 numbers."""
    card = read_card(resolve("hub:first_encoder"))
    assert read_card(resolve("hub:first_maf")).embedder.name == card.name
    own, other = table(length=128), table(length=128)
    own.table.meta.update(MODULE=card.name, MODVERS=card.version,
                          SAVEDSHA=card.weights_sha256[:16])
    assert np.isfinite(score("hub:first_maf", own).log_prob).all()
    other.table.meta.update(MODULE="my_encoder", MODVERS="0.3.0", SAVEDSHA="0" * 16)
    with pytest.raises(galsim.GalSimError, match=r"by my_encoder 0\.3\.0, .* first_encoder"):
        score("hub:first_maf", other)


def test_tables_with_and_without_symmetries(table):
    plain, other = table(), table()
    plain.table.meta["SYMMETRY"], other.table.meta["SYMMETRY"] = "False", "True"
    with pytest.raises(galsim.GalSimError, match="with --symmetries, and the other without"):
        plain.check_like(other)
