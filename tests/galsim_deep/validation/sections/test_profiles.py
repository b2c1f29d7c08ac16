"""Physical checks of the generated profiles."""

import numpy as np
import pytest

from galsim_deep.validation.sections.profiles import Profiles


@pytest.fixture
def profiles(random_measurements, card, make_comparison):
    """``profiles(name=[N], ...)``: the numbers of the section for 200 profiles."""

    def compute(**numbers):
        measurements = random_measurements(200)
        measurements.numbers.update(numbers)
        return Profiles(make_comparison(card, measurements)).compute()["profiles"]

    return compute


def test_isotropic_position_angles(profiles):
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, 200)
    isotropic = profiles(e1=0.3 * np.cos(angle), e2=0.3 * np.sin(angle))["position_angle"]
    assert isotropic["p"] > 0.01
    aligned = profiles(e1=np.full(200, 0.3), e2=np.zeros(200))["position_angle"]
    assert aligned["p"] < 1e-6 and aligned["resultant"] == pytest.approx(1.0)
    assert aligned["e1"]["value"] == pytest.approx(0.3)


def test_profiles_that_are_not_sound_are_counted(profiles):
    numbers = profiles(not_finite=np.repeat([0.0, 3.0], [195, 5]),
                       negative=np.repeat([np.nan, 0.0, 2.0], [5, 190, 5]),
                       edge_flux=np.append(np.full(199, 0.01), 0.2))
    assert numbers["profiles_with_pixels_not_finite"] == 5
    assert numbers["profiles_with_negative_pixels"] == 5
    assert numbers["edge_flux"]["value"] == 0.01 and numbers["edge_flux"]["largest"] == 0.2


def test_offsets(profiles):
    numbers = profiles(offset_x=np.full(200, 3.0), offset_y=np.full(200, -4.0))
    assert numbers["offset"]["rms"] == pytest.approx(np.sqrt(12.5))
    assert numbers["offset"]["y"]["value"] == -4.0
