"""By what a data set is known: what changes it, and what does not."""

import pytest

from galsim_deep_training.data.identity import data_settings_hash


def test_it_is_a_checksum(recipe):
    identity = data_settings_hash(recipe)
    assert len(identity) == 64 and int(identity, 16) >= 0


@pytest.mark.parametrize("change", [
    lambda c: None, lambda c: c.update(name="other", version="2", summary="other words"),
    lambda c: c["fit"]["flow"].update(steps=13), lambda c: c["model"]["flow"].update(hidden=9),
    lambda c: c["data"].update(enlargement=1.0)])
def test_what_the_data_set_does_not_depend_on(change, make_recipe, recipe):
    """Names, networks, and defaults that are spelled out."""
    assert data_settings_hash(make_recipe(change)) == data_settings_hash(recipe)


@pytest.mark.parametrize("change", [
    lambda c: c.update(seed=4), lambda c: c["data"].update(examples=41),
    lambda c: c["stamp"].update(psf_size=19), lambda c: c["bands"][0].update(zero_point=26.0),
    lambda c: c["data"]["population"].update(magnitudes=[20.0, 23.0])])
def test_what_the_data_set_depends_on(change, make_recipe, recipe):
    assert data_settings_hash(make_recipe(change)) != data_settings_hash(recipe)


def test_of_another_builder(make_recipe, recipe):
    assert data_settings_hash(make_recipe(builder="real_galaxies")) != data_settings_hash(recipe)
