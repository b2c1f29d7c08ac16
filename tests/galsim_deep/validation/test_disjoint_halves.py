"""Two modules with the same latents: the same, others, and those that cannot be compared."""

import types

import galsim
import numpy as np
import pytest

from galsim_deep.validation.disjoint_halves import compare_halves

TABLE = dict(flux_radius=np.linspace(5, 8, 6), mag_auto=np.full(6, 22.0))
CARD = types.SimpleNamespace(columns=(types.SimpleNamespace(name="a"),), latent_size=4,
                             pixel_scale=0.03, name="made up")


def made_up(spread, card=CARD):
    """A module of discs with knots at the places that the latents say, and its own knots."""

    def sample(columns, normal):
        y, x = np.indices((64, 64)) - 31.5
        images = []
        for n, numbers in enumerate(normal):
            own = np.random.default_rng(n).normal(size=4) if spread else 0
            places = 8 * np.reshape(np.tanh(numbers + spread * own), (2, 2))
            light = np.exp(-np.hypot(x, y) / 6)
            for place in places:
                light = light + 0.5 * np.exp(
                    -0.5 * ((x - place[0])**2 + (y - place[1])**2) / 2**2)
            images.append(light)
        return dict(image=np.array(images, np.float32)[..., None])

    return types.SimpleNamespace(card=card, sample=sample)


def test_models_that_agree():
    result = compare_halves(made_up(0.0), made_up(0.0), dict(a=np.zeros(6)))
    assert result["images"] == pytest.approx(1, abs=1e-6)
    assert result["images_others"] < 0.99
    assert result["n_structure"] == 6
    assert result["structure"] == pytest.approx(1, abs=1e-6)
    assert result["structure_others"] < 0.9


def test_models_that_do_not():
    result = compare_halves(made_up(0.0), made_up(5.0), dict(a=np.zeros(12)))
    assert result["structure"] < 0.9


def test_the_seed_decides(shapes_module):
    once, again, other = (compare_halves(shapes_module, shapes_module, TABLE, seed)
                          for seed in (1, 1, 2))
    assert once == pytest.approx(again, nan_ok=True)
    assert once["images_others"] != other["images_others"]


def test_modules_that_cannot_be_compared(shapes_module, tiny):
    with pytest.raises(galsim.GalSimError, match="Compare two fits of one recipe"):
        compare_halves(shapes_module, tiny._module, TABLE)
