"""steps.matching: images of one galaxy are found, at any orientation."""

import galsim
import numpy as np
import pytest
from steps.matching import alike, same_galaxies


def knotty(collected, name, seed, degrees=0.0, flip=False, noise=0.01, **changes):
    """A disc with knots of its own."""
    rng = np.random.default_rng(seed)
    parts = [galsim.Exponential(half_light_radius=0.6, flux=100.0)]
    for _ in range(25):
        x, y = rng.normal(0.0, 0.5, 2)
        parts.append(galsim.Gaussian(sigma=0.04, flux=rng.uniform(0.5, 3.0)).shift(x, y))
    galaxy = galsim.Add(parts).rotate(degrees * galsim.degrees)
    if flip:
        galaxy = galaxy.transform(1, 0, 0, -1)
    image = galsim.Convolve(galaxy, galsim.Gaussian(fwhm=0.1)).drawImage(
        nx=161, ny=161, scale=0.03, method="no_pixel", dtype=float).array
    image += np.random.default_rng(seed + 100).normal(0.0, noise, image.shape)
    values = dict(image=image, usable=np.ones(image.shape, bool), x=80.0, y=80.0,
                  radius_used=70.0, ellipse_axis_ratio=1.0, flux_radius=0.6, noise_inside=noise)
    return collected(name, **(values | changes))


def test_images_of_one_galaxy(collected):
    galaxies = [knotty(collected, "one", 1), knotty(collected, "two", 2),
                knotty(collected, "turned", 1, degrees=72.0),
                knotty(collected, "mirrored", 1, degrees=31.0, flip=True),
                knotty(collected, "three", 3)]
    assert alike(galaxies) == [(0, 2), (0, 3), (2, 3)]
    assert same_galaxies(galaxies) == [0, 1, 0, 0, 2]


def test_other_pixels_and_a_shift(collected):
    one = knotty(collected, "one", 1)
    half = knotty(collected, "half", 1)
    image = half.image[:160, :160].reshape(80, 2, 80, 2).sum((1, 3))
    coarse = collected("coarse", image=image, usable=np.ones(image.shape, bool), x=39.0, y=40.0,
                       radius_used=35.0, ellipse_axis_ratio=1.0, flux_radius=0.62,
                       pixel_scale=0.06, original_pixel_scale=0.06, noise_inside=0.02)
    assert alike([one, coarse]) == [(0, 1)]


@pytest.mark.parametrize("change", [
    dict(magnitude=23.0),  # much fainter in the same band
    dict(flux_radius=1.2),  # much larger
    dict(psf_scale=0.3),  # hardly resolved
])
def test_images_that_cannot_be_of_one_galaxy(collected, change):
    galaxies = [knotty(collected, "one", 1), knotty(collected, "two", 1, **change)]
    assert alike(galaxies) == []


def test_positions_and_known_groups(collected):
    places = [(150.0, 2.0), (150.0002, 2.0), (150.1, 2.0), (np.nan, np.nan), (np.nan, np.nan)]
    galaxies = [knotty(collected, f"g{k}", k, ra=ra, dec=dec, psf_scale=0.3)
                for k, (ra, dec) in enumerate(places)]
    assert same_galaxies(galaxies) == [0, 0, 1, 2, 3]
    known = [("g1", "g4"), ("g3", "not in the collection")]
    assert same_galaxies(galaxies, known) == [0, 0, 1, 2, 0]
