"""Galaxies at their natural size: what is cut out, filled in and added, and which are left out."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.half_light import measured_radius
from galsim_deep.observations.real_galaxies import is_collection, open_real_galaxies


@pytest.fixture(scope="module")
def galaxies(natural_file, tiny):
    return open_real_galaxies(natural_file, tiny.card, parts=("held-out", "judges", "seen"))


def test_parts(natural_file, tiny, galaxies):
    assert list(galaxies.natural.parts) == ["held-out"] * 2 + ["judges"] * 2 + ["seen"] * 3
    unseen = open_real_galaxies(natural_file, tiny.card)
    assert set(unseen.natural.parts) == {"held-out", "judges"} and "seen" not in unseen.name
    with pytest.raises(galsim.GalSimConfigError, match="held-out, judges, seen, not everything"):
        open_real_galaxies(natural_file, tiny.card, parts=("everything",))


def test_what_is_out_of_range_is_left_out_and_counted(galaxies):
    (reason, number), = galaxies.left_out.items()
    assert "mag_auto is outside of the range" in reason and number == 1


def test_columns(galaxies):
    """The tiny module has the observed radius in pixels of 0.03 arcsec."""
    np.testing.assert_allclose(galaxies.columns["flux_radius"], 0.31 / 0.03)
    assert np.isnan(galaxies.columns["zphot"][0])  # it draws redshifts that are not known
    assert (galaxies.columns["zphot"][1:] == 0.5).all()


def test_a_size_before_the_psf(natural_file, tiny):
    card = tiny.card.model_copy(update=dict(columns=tuple(
        column.model_copy(update=dict(as_observed=False, unit="arcsec", valid_range=(0.1, 1.0)))
        if column.quantity == "half_light_radius" else column for column in tiny.card.columns)))
    galaxies = open_real_galaxies(natural_file, card)
    for number, radius in enumerate(galaxies.columns["flux_radius"]):
        observation = galaxies.observation(number)
        psf = measured_radius(observation.psf) * observation.pixel_scale
        assert radius == pytest.approx(np.sqrt(0.31**2 - psf**2), rel=0.01)


def test_pixels_and_sizes_differ(galaxies):
    assert list(galaxies.pixel_scales[:2]) == [0.06, 0.03]
    for number in range(len(galaxies)):
        observation = galaxies.observation(number)
        assert observation.stamp.shape == (galaxies.stamp_sizes[number],) * 2
        assert observation.psf.sum() == pytest.approx(1)


def test_others_are_drawn_at_the_place_of_the_galaxy(galaxies):
    """The galaxy itself, drawn anew, is what was observed but for its noise."""
    observation = galaxies.observation(4)
    model = observation.convolved(
        galsim.Exponential(half_light_radius=0.3, flux=94.6).shear(g1=0.4 / 7))
    residual = (observation.stamp - model) / observation.noise_sigma
    assert residual.std() == pytest.approx(1, abs=0.05)


def test_a_neighbour_is_filled_in(galaxies):
    observation = galaxies.observation(1)
    assert (~observation.usable).sum() == 36 and observation.stamp.max() < 5
    model = observation.convolved(galsim.Exponential(half_light_radius=0.3, flux=94.6))
    drawn = observation.drawn_like(model, np.random.default_rng(1))
    # Filled in from the other side, which has the light of the model and noise.
    residual = (drawn - model)[~observation.usable]
    assert 0.5 < residual.std() / observation.noise_sigma < 2
    assert np.isnan(observation.known(drawn)[~observation.usable]).all()
    assert (np.isnan(observation.known(drawn)) == ~(
        observation.usable & observation.footprint)).all()


def test_an_image_without_sky_gets_the_noise_of_cosmos(galaxies):
    observation = galaxies.observation(0)
    corner = observation.stamp[:12, :12]
    # A pixel of 0.06 arcsec is the sum of four with correlated noise.
    expected = 0.003 * np.sqrt(4 + 8 * 0.3 + 4 * 0.1)
    assert observation.noise_sigma == pytest.approx(expected)
    assert corner.std() == pytest.approx(expected, rel=0.3)
    assert not galaxies.natural.has_wings[0] and galaxies.natural.has_wings[1:].all()


def test_in_the_flux_unit_of_the_module(natural_file, tiny, galaxies):
    band = tiny.card.bands[0].model_copy(update=dict(zero_point=28.44))
    other = open_real_galaxies(natural_file, tiny.card.model_copy(update=dict(bands=(band,))))
    ours, theirs = galaxies.observation(1), other.observation(1)
    np.testing.assert_allclose(theirs.stamp, 10 * ours.stamp, rtol=1e-6)
    assert theirs.noise_sigma == pytest.approx(10 * ours.noise_sigma)
    # The variance of photons, 1e-5 per flux, is 100 times larger for a flux 10 times larger.
    assert theirs.photon_variance == pytest.approx(10 * ours.photon_variance)


def test_what_is_a_collection(natural_file, shapes_file, tmp_path):
    assert is_collection(natural_file)
    assert not is_collection(shapes_file) and not is_collection(tmp_path / "nothing.h5")
