"""The generated galaxies of a validation."""

import types

import numpy as np

from galsim_deep.validation.generate import generate, generator_inputs
from galsim_deep.validation.random_streams import RandomStreams

STREAMS = RandomStreams(1)


def test_a_galaxy_depends_on_its_place_and_not_on_its_block(shapes_galaxies, shapes_module):
    together = generate(shapes_galaxies, shapes_module, STREAMS, [3, 17, 5])
    assert np.shape(together.images) == (3, 32, 32) and together.images[0].dtype == np.float32
    for n, number in enumerate((3, 17, 5)):
        alone = generate(shapes_galaxies, shapes_module, STREAMS, [number])
        np.testing.assert_array_equal(alone.images[0], together.images[n])
        assert alone.classes[0] == together.classes[n]
    other = generate(shapes_galaxies, shapes_module, RandomStreams(2), [3])
    assert not np.array_equal(other.images[0], together.images[0])


def test_columns_are_those_of_the_real_galaxies(shapes_galaxies, shapes_module):
    columns, normal = generator_inputs(shapes_galaxies, shapes_module, STREAMS, [4, 2])
    assert normal.shape == (2, 3) and normal.dtype == np.float32
    np.testing.assert_array_equal(
        columns["mag_auto"], shapes_galaxies.columns["mag_auto"][[4, 2]].astype(np.float32))


def test_a_requested_class(shapes_galaxies, shapes_module):
    for number in range(3):
        generated = generate(shapes_galaxies, shapes_module, STREAMS, range(9), number)
        assert (generated.classes == number).all()


def test_a_module_without_classes(shapes_galaxies, tiny):
    galaxies = types.SimpleNamespace(columns=dict(shapes_galaxies.columns, zphot=np.ones(48)))
    generated = generate(galaxies, tiny._module, STREAMS, [0, 1])
    assert np.shape(generated.images) == (2, 32, 32) and generated.classes is None
    np.testing.assert_array_equal(generated.pixel_scales, [0.03, 0.03])


def test_galaxies_of_other_pixel_scales(shapes_galaxies, scaled):
    generated = generate(shapes_galaxies, scaled._module, STREAMS, range(9))
    np.testing.assert_allclose(
        generated.pixel_scales, shapes_galaxies.columns["flux_radius"][:9] / 100, rtol=1e-6)
