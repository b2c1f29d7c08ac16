"""The generated galaxies of a validation."""

import types

import galsim
import numpy as np
import pytest

from galsim_deep.validation.generate import generate, generator_inputs
from galsim_deep.validation.random_streams import RandomStreams

STREAMS = RandomStreams(1)


def test_a_galaxy_depends_on_its_place_and_not_on_its_block(shapes_galaxies, shapes_module):
    together, classes = generate(shapes_galaxies, shapes_module, STREAMS, [3, 17, 5])
    assert together.shape == (3, 32, 32) and together.dtype == np.float32
    for n, number in enumerate((3, 17, 5)):
        alone, galaxy_class = generate(shapes_galaxies, shapes_module, STREAMS, [number])
        np.testing.assert_array_equal(alone[0], together[n])
        assert galaxy_class[0] == classes[n]
    other, _ = generate(shapes_galaxies, shapes_module, RandomStreams(2), [3])
    assert not np.array_equal(other[0], together[0])


def test_columns_are_those_of_the_real_galaxies(shapes_galaxies, shapes_module):
    columns, normal = generator_inputs(shapes_galaxies, shapes_module, STREAMS, [4, 2])
    assert normal.shape == (2, 3) and normal.dtype == np.float32
    np.testing.assert_array_equal(
        columns["mag_auto"], shapes_galaxies.columns["mag_auto"][[4, 2]].astype(np.float32))


def test_a_requested_class(shapes_galaxies, shapes_module):
    for number in range(3):
        _, classes = generate(shapes_galaxies, shapes_module, STREAMS, range(9), number)
        assert (classes == number).all()


def test_a_module_without_classes(shapes_galaxies, tiny):
    galaxies = types.SimpleNamespace(columns=dict(shapes_galaxies.columns, zphot=np.ones(48)))
    images, classes = generate(galaxies, tiny._module, STREAMS, [0, 1])
    assert images.shape == (2, 32, 32) and classes is None


def test_galaxies_of_other_pixel_scales(shapes_galaxies, scaled):
    """A validation compares stamps on the pixels of the card, so it refuses these."""
    galaxies = types.SimpleNamespace(columns=dict(shapes_galaxies.columns))
    with pytest.raises(galsim.GalSimError, match="scaled gives galaxies pixel scales from 0.0"):
        generate(galaxies, scaled._module, STREAMS, range(9))
    galaxies.columns["flux_radius"] = np.full(48, 3.0)  # 0.03 arcsec, as on the card
    assert generate(galaxies, scaled._module, STREAMS, range(9))[0].shape == (9, 32, 32)
