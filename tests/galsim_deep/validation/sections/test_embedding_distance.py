"""The distance of embeddings of real and generated galaxies."""

import dataclasses

import galsim
import numpy as np
import pytest

from galsim_deep.validation.sections.embedding_distance import EmbeddingDistance


@pytest.fixture(scope="module")
def comparison(shapes_validation):
    return shapes_validation.comparison


def with_stamps(comparison, generated):
    """The same comparison with other generated stamps."""
    stamps = dict(comparison.measurements.stamps, generated=generated)
    return dataclasses.replace(comparison, measurements=dataclasses.replace(
        comparison.measurements, stamps=stamps))


@pytest.mark.long
def test_galaxies_of_the_module_are_as_close_as_real_ones(comparison):
    found = EmbeddingDistance(comparison).compute()["embedding"]
    distance, floor = found["distance"], found["floor"]
    assert found["n"] == 48 and floor["value"] > 0
    assert distance["value"] < floor["value"] + 5 * (distance["error"] + floor["error"])


@pytest.mark.long
def test_other_galaxies_are_farther(comparison):
    real = comparison.measurements.stamps["real"]
    same, other = (EmbeddingDistance(with_stamps(comparison, stamps)).compute()["embedding"]
                   for stamps in (real, np.flip(real, axis=0) * 3.0))
    assert same["distance"]["value"] == pytest.approx(same["floor"]["value"])
    assert other["distance"]["value"] > 0.05


@pytest.mark.long
def test_stamps_that_are_not_finite_are_left_out(comparison):
    broken = comparison.measurements.stamps["real"].copy()
    broken[3, 5, 5] = np.nan
    assert EmbeddingDistance(
        with_stamps(comparison, broken)).compute()["embedding"]["n"] == 47


def test_an_encoder_for_other_pixels(comparison):
    settings = dataclasses.replace(comparison.settings, encoder="hub:first_mpcc")
    section = EmbeddingDistance(dataclasses.replace(comparison, settings=settings))
    with pytest.raises(galsim.GalSimError, match="first_mpcc takes pixels of 1.8 arcsec"):
        section.compute()


def test_a_column_with_another_meaning(comparison):
    section = EmbeddingDistance(comparison)
    card = section.embedder.card
    column = next(column for column in card.columns if column.name in section.embedder.columns)
    other = column.model_copy(update=dict(quantity="other", unit="mJy"))
    section.embedder.card = card.model_copy(update=dict(columns=tuple(
        other if entry is column else entry for entry in card.columns)))
    with pytest.raises(galsim.GalSimError, match=rf"column '{column.name}' as a other \[mJy\]"):
        section.compute()


def test_without_an_encoder_there_is_no_such_section(comparison):
    settings = dataclasses.replace(comparison.settings, encoder=None)
    assert not EmbeddingDistance.applies_to(dataclasses.replace(comparison, settings=settings))
    assert [*EmbeddingDistance.card_figures({})] == [
        ("embedding_distance", None), ("embedding_distance_floor", None)]
