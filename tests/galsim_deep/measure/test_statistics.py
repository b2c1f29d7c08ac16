"""The statistics of images whose values are known, their symmetries, and stamps that are no galaxy.

Values come from closed forms, from one-dimensional integrals over a profile, or from sums over
pixels with the published definitions; none comes from the code that is tested.
"""

import functools

import galsim
import numpy as np
import pytest
from scipy import integrate, ndimage, optimize

from galsim_deep.measure.statistics import FLAGS, STATISTICS, measure

_SIZE, _SCALE, _NOISE = 96, 0.03, 1e-4
_MOMENTS = [statistic.name for statistic in STATISTICS if statistic.group == "moments"]
_MORPHOLOGY = [statistic.name for statistic in STATISTICS if statistic.group == "morphology"]
_Y, _X = np.indices((_SIZE, _SIZE)) - _SIZE // 2  # zero in the middle of a pixel


# ---- the images, all with a peak of about one -----------------------------------------------


def gaussian(sigma, x0=0.0, y0=0.0):
    return np.exp(-((_X - x0) ** 2 + (_Y - y0) ** 2) / (2 * sigma**2))


def sheared(g1, g2, sigma=6.0):
    image = galsim.Gaussian(sigma=sigma).shear(g1=g1, g2=g2).drawImage(
        nx=_SIZE, ny=_SIZE, scale=1.0, method="no_pixel", dtype=float).array
    return image / image.max()


def exponential(scale=4.5):
    """Drawn as pixels see it, since it has a cusp."""
    image = galsim.Exponential(scale_radius=scale).shift(0.5, 0.5).drawImage(
        nx=_SIZE, ny=_SIZE, scale=1.0, dtype=float).array
    return image / image.max()


def disc(radius, slope=0.0):
    """A uniform disc, or one that falls linearly by this much towards its edge."""
    fine = np.arange(-_SIZE * 2, _SIZE * 2) / 4 + 0.125 - 0.5
    r = np.hypot(*np.meshgrid(fine, fine))
    image = (r < radius) * (1 - slope * r / radius)
    return image.reshape(_SIZE, 4, _SIZE, 4).mean(axis=(1, 3))


def pair(ratio, sigma=5.0, separation=21):
    """Two Gaussians on pixels that are ``separation`` apart."""
    left = -(separation // 2)
    return gaussian(sigma, left) + ratio * gaussian(sigma, left + separation)


_PROFILES = {
    "gaussian": lambda r: np.exp(-(r**2) / 72),
    "exponential": lambda r: np.exp(-r / 4.5),
    "cone": lambda r: max(1 - r / 24, 0.0),
}

IMAGES = {
    "gaussian": gaussian(6.0),
    "sheared": sheared(0.3, -0.2),
    "exponential": exponential(),
    "disc": disc(20.0),
    "tilted disc": disc(20.0, 0.5),
    "cone": disc(24.0, 1.0),
    "equal pair": pair(1.0),
    "unequal pair": pair(0.8),
}

# The wings of an exponential have to drown before the edge, or there is no sky to be seen.
NOISE = {"exponential": 2e-3}


@pytest.fixture(scope="session")
def measured(observe):
    """``measured(name)``: the statistics of one of `IMAGES`, with hardly any noise.

    ``factor`` scales the stamp and its noise, ``turns`` turns it by as many right angles.
    """

    @functools.cache
    def measure_image(name, factor=1.0, turns=0):
        noise_sigma = NOISE.get(name, _NOISE)
        observation = observe(size=_SIZE, noise_sigma=noise_sigma * factor, pixel_scale=_SCALE)
        noise = observe(size=_SIZE, noise_sigma=noise_sigma).noise(np.random.default_rng(3))
        stamp = np.rot90((IMAGES[name] + noise) * factor, turns)
        values, flags = measure(stamp, observation)
        assert not any(flags.values()), flags
        return values

    return measure_image


# ---- moments --------------------------------------------------------------------------------


def test_moments_of_a_gaussian(measured):
    found = measured("gaussian")
    assert found["size"] == pytest.approx(6 * _SCALE, rel=1e-4)
    assert found["rho4"] == pytest.approx(2.0, rel=1e-3)
    assert found["amplitude"] == pytest.approx(np.log10(2 * np.pi * 36), abs=1e-4)
    assert found["g"] == pytest.approx(0.0, abs=1e-4)


def test_moments_of_a_sheared_gaussian(measured):
    """A shear keeps the area, and with it the determinant radius."""
    found = measured("sheared")
    assert found["size"] == pytest.approx(6 * _SCALE, rel=1e-3)
    assert (found["g1"], found["g2"]) == pytest.approx((0.3, -0.2), abs=5e-4)
    assert found["g"] == pytest.approx(np.sqrt(0.13), abs=5e-4)
    assert found["rho4"] == pytest.approx(2.0, rel=2e-3)


def test_the_radius_of_a_convolved_gaussian_adds_in_quadrature(observe):
    observation = observe(size=_SIZE, pixel_scale=0.05, psf_sigma=2.0)
    image = observation.convolved(galsim.Gaussian(sigma=0.2, flux=50.0))
    found, _ = measure(image + observation.noise(np.random.default_rng(1)), observation)
    assert found["size"] == pytest.approx(np.hypot(0.2, 0.1), rel=1e-3)
    assert found["amplitude"] == pytest.approx(np.log10(50), abs=1e-3)


def test_moments_of_a_disc(measured):
    """With u = R^2 / 2 s^2, a round weight adapts where the weighted mean square radius is s^2:
    2 (1 - (1 + u) exp(-u)) = 1 - exp(-u).
    """
    u = optimize.brentq(lambda u: 1 - (1 + 2 * u) * np.exp(-u), 0.5, 3)
    found = measured("disc")
    assert found["size"] == pytest.approx(20 / np.sqrt(2 * u) * _SCALE, rel=2e-3)
    fourth = 4 * (2 - (u**2 + 2 * u + 2) * np.exp(-u)) / (1 - np.exp(-u))
    assert found["rho4"] == pytest.approx(fourth, rel=2e-3)
    # The amplitude is twice the weighted flux.
    weighted = 2 * np.pi * (400 / (2 * u)) * (1 - np.exp(-u))
    assert found["amplitude"] == pytest.approx(np.log10(2 * weighted), abs=1e-3)


# ---- concentration, Gini, M20 ---------------------------------------------------------------


def round_profile(profile):
    """C, Gini and M20 of a round profile that falls outwards, by integrals over the radius.

    The Petrosian radius is where the profile falls to 0.2 of its mean inside; concentration counts
    light within 1.5 of these, Gini and M20 the light within one.
    """

    def integral(power, low, high):
        return integrate.quad(lambda r: profile(r) * r**power, low, high, limit=200)[0]

    def encloses(fraction, within):
        return optimize.brentq(
            lambda r: integral(1, 0, r) - fraction * integral(1, 0, within), 1e-6, within)

    petrosian = optimize.brentq(
        lambda r: profile(r) - 0.2 * 2 * integral(1, 0, r) / r**2, 0.5, 40)
    within = 1.5 * petrosian
    concentration = 5 * np.log10(encloses(0.8, within) / encloses(0.2, within))
    # Gini = 1 - 2 (area below the Lorenz curve); the faintest light is outermost.
    total = integral(1, 0, petrosian)
    below = integrate.quad(lambda r: integral(1, r, petrosian) / total * 2 * r / petrosian**2,
                           0, petrosian)[0]
    brightest = encloses(0.2, petrosian)
    m20 = np.log10(integral(3, 0, brightest) / integral(3, 0, petrosian))
    return dict(concentration=concentration, gini=1 - 2 * below, m20=m20)


def test_round_profile_of_a_gaussian():
    """The integrals above against closed forms, in a = r^2 / 2 s^2."""
    edge = optimize.brentq(lambda a: a * np.exp(-a) / (1 - np.exp(-a)) - 0.2, 0.5, 5)
    found = round_profile(_PROFILES["gaussian"])
    share = 1 - np.exp(-edge)
    gini = 1 - 2 * (1 - (1 + edge) * np.exp(-edge)) / (edge * share)
    assert found["gini"] == pytest.approx(gini, rel=1e-4)
    inner = -np.log(1 - 0.2 * share)
    m20 = np.log10((1 - (1 + inner) * np.exp(-inner)) / (1 - (1 + edge) * np.exp(-edge)))
    assert found["m20"] == pytest.approx(m20, rel=1e-4)
    wide = 1 - np.exp(-2.25 * edge)
    radii = [np.sqrt(-np.log(1 - f * wide)) for f in (0.2, 0.8)]
    assert found["concentration"] == pytest.approx(5 * np.log10(radii[1] / radii[0]), rel=1e-4)


@pytest.mark.parametrize("name", _PROFILES)
def test_concentration_gini_and_m20_of_round_profiles(measured, name):
    expected, found = round_profile(_PROFILES[name]), measured(name)
    assert found["concentration"] == pytest.approx(expected["concentration"], abs=0.05)
    assert found["gini"] == pytest.approx(expected["gini"], abs=0.01)
    assert found["m20"] == pytest.approx(expected["m20"], abs=0.04)


def test_concentration_of_an_exponential(measured):
    """Of all its light, 5 log10(r80 / r20) = 2.80; within 1.5 Petrosian radii a little less."""
    assert 2.6 < measured("exponential")["concentration"] < 2.80


def test_concentration_of_a_disc(measured):
    """The radii go as the root of the light inside, so that r80 = 2 r20."""
    assert measured("disc")["concentration"] == pytest.approx(5 * np.log10(2), abs=0.01)


def test_gini_of_a_disc_counts_the_dark_pixels(measured):
    """A uniform disc has a Gini of zero but for the dark pixels inside of the Petrosian radius.

    Where all light is shared equally and a share z has none, Gini is z.
    """

    def ratio(radius):
        # The mean in a ring one pixel wide to the mean inside; the disc ends within the ring.
        ring = (400 - (radius - 0.5) ** 2) / (2 * radius)
        return ring / (400 / radius**2)

    petrosian = optimize.brentq(lambda r: ratio(r) - 0.2, 20.01, 20.49)
    assert measured("disc")["gini"] == pytest.approx(1 - (20 / petrosian) ** 2, abs=0.015)


def test_gini_and_m20_of_a_tilted_disc(measured):
    """By the definitions, with the pixels inside of the disc.

    Gini is the mean absolute difference of two pixels over twice their mean.
    """
    image = IMAGES["tilted disc"]
    inside = np.hypot(_X, _Y) < 20.2
    pixels = image[inside]
    gini = np.abs(pixels[:, None] - pixels).sum() / (
        2 * pixels.mean() * len(pixels) * (len(pixels) - 1))
    light = np.where(inside, image, 0.0)
    spread = light * (_X**2 + _Y**2)
    order = np.argsort(light, axis=None)[::-1]
    brightest = order[np.cumsum(light.ravel()[order]) < 0.2 * light.sum()]
    m20 = np.log10(spread.ravel()[brightest].sum() / spread.sum())
    found = measured("tilted disc")
    assert found["gini"] == pytest.approx(gini, abs=0.02)
    assert found["m20"] == pytest.approx(m20, abs=0.05)


# ---- asymmetry ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["gaussian", "sheared", "exponential", "disc", "cone", "equal pair"])
def test_asymmetry_of_a_symmetric_galaxy_is_zero(measured, name):
    assert measured(name)["asymmetry"] == pytest.approx(0.0, abs=5e-3)


def test_asymmetry_of_an_unequal_pair(measured):
    """The smallest share of light that differs after a half turn, on the line through both."""
    x = np.linspace(-60, 60, 24001)

    def light(x):
        return np.exp(-((x + 10) ** 2) / 50) + 0.8 * np.exp(-((x - 11) ** 2) / 50)

    shares = [np.abs(light(x) - light(2 * centre - x)).sum() / light(x).sum()
              for centre in np.linspace(-3, 3, 121)]
    assert 0.15 < min(shares) < 2 * 0.2 / 1.8
    assert measured("unequal pair")["asymmetry"] == pytest.approx(min(shares), rel=0.02)


# ---- M, I, D --------------------------------------------------------------------------------


def segment_mid(image):
    """The pixels brighter than 0.2 of their own mean (Freeman et al. 2013, section 4.3)."""
    levels = np.sort(image, axis=None)[::-1]
    means = np.cumsum(levels) / np.arange(1, levels.size + 1)
    return image >= levels[np.argmax(levels < 0.2 * means) - 1]


def test_one_clump_has_neither_multimode_nor_intensity(measured):
    for name in ("gaussian", "sheared", "exponential", "cone"):
        found = measured(name)
        assert (found["multimode"], found["intensity"]) == (0.0, 0.0)


def test_deviation_of_a_galaxy_on_a_pixel_is_zero(measured):
    for name in ("gaussian", "exponential", "cone"):
        assert measured(name)["deviation"] == pytest.approx(0.0, abs=0.01)


def test_deviation_of_a_galaxy_between_pixels(measured):
    """The brightest pixel is half a pixel off in x and in y."""
    area = segment_mid(IMAGES["sheared"]).sum()
    expected = np.sqrt(0.5) * np.sqrt(np.pi / area)
    assert measured("sheared")["deviation"] == pytest.approx(expected, rel=0.03)


def test_an_equal_pair_has_equal_areas_and_intensities(measured):
    found = measured("equal pair")
    assert found["multimode"] == pytest.approx(1.0, abs=0.02)
    assert found["intensity"] == pytest.approx(1.0, abs=0.01)
    area = segment_mid(IMAGES["equal pair"]).sum()
    assert found["deviation"] == pytest.approx(10.5 * np.sqrt(np.pi / area), rel=0.02)


def test_an_unequal_pair_by_hand(measured):
    image = IMAGES["unequal pair"]
    segment = segment_mid(image)
    assert segment[48, 38] and segment[48, 59] and segment[48, 38:60].all()
    light = np.where(segment, image, 0.0)
    # The clumps meet at the dimmest pixel between the peaks.
    valley = 38 + np.argmin(image[48, 38:60])
    left, right = light[:, :valley].sum(), light[:, valley:].sum()
    found = measured("unequal pair")
    assert found["intensity"] == pytest.approx(right / left, rel=0.03)
    assert found["intensity"] == pytest.approx(0.8, abs=0.03)
    # M: the areas of the two clumps above the level that makes A2^2 / A1 largest.
    best = 0, None
    for level in np.unique(light[segment]):
        clumps, count = ndimage.label(light >= level, np.ones((3, 3)))
        if count == 2:
            second, first = sorted(np.bincount(clumps.ravel())[1:])
            best = max(best, (second**2 / first, second / first))
    assert 0.7 < best[1] < 0.95
    assert found["multimode"] == pytest.approx(best[1], abs=0.01)
    centroid = (light * (_X + 48)).sum() / light.sum()
    expected = (centroid - 38) * np.sqrt(np.pi / segment.sum())
    assert found["deviation"] == pytest.approx(expected, rel=0.02)


# ---- symmetries -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sheared", "unequal pair"])
@pytest.mark.parametrize("factor", [2.0**40, 1e-7])
@pytest.mark.long
def test_statistics_do_not_depend_on_units(measured, name, factor):
    before = measured(name)
    after = dict(measured(name, factor=factor))
    after["amplitude"] -= np.log10(factor)
    assert after == pytest.approx(before, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ["sheared", "unequal pair"])
@pytest.mark.long
def test_a_quarter_turn_changes_the_sign_of_the_ellipticity_alone(measured, name):
    before = dict(measured(name))
    after = measured(name, turns=1)
    before.update(g1=-before["g1"], g2=-before["g2"])
    # What is smoothed is cut at whole pixels, and the centre lies anywhere within one.
    after = dict(after)
    assert after.pop("smoothness") == pytest.approx(before.pop("smoothness"), abs=4e-3)
    assert after == pytest.approx(before, rel=2e-3, abs=5e-4)


@pytest.mark.long
def test_the_pixel_scale_only_changes_the_radius(observe, measured):
    observation = observe(size=_SIZE, noise_sigma=_NOISE, pixel_scale=2 * _SCALE)
    noise = observe(size=_SIZE, noise_sigma=_NOISE).noise(np.random.default_rng(3))
    after, _ = measure(IMAGES["sheared"] + noise, observation)
    assert after.pop("size") == pytest.approx(2 * measured("sheared")["size"])
    before = dict(measured("sheared"))
    del before["size"]
    assert after == before


def test_a_measurement_is_repeatable_and_leaves_the_stamp_alone(observe):
    observation = observe(size=_SIZE, noise_sigma=0.01)
    stamp = IMAGES["unequal pair"] + observation.noise(np.random.default_rng(5))
    before = stamp.copy()
    first = measure(stamp, observation)
    np.random.seed(1)
    assert measure(stamp, observation) == first
    np.testing.assert_array_equal(stamp, before)


@pytest.mark.long
def test_a_neighbour_changes_nothing(observe, measured):
    observation = observe(size=_SIZE, noise_sigma=_NOISE)
    noise = observation.noise(np.random.default_rng(3))
    stamp = IMAGES["gaussian"] + noise + 0.5 * gaussian(1.8, 41, -41)
    found, flags = measure(stamp, observation)
    assert not any(flags.values())
    assert found == pytest.approx(measured("gaussian"), rel=0.01, abs=0.005)


# ---- stamps that are no galaxy --------------------------------------------------------------


def noise_of(observe, level=_NOISE, seed=3):
    return observe(size=_SIZE, noise_sigma=level).noise(np.random.default_rng(seed))


def spoiled(value):
    image = IMAGES["gaussian"].copy()
    image[3, 5] = value
    return image


@pytest.mark.parametrize("make, flag", [
    (lambda noise: np.zeros((_SIZE, _SIZE)), "constant"),
    (lambda noise: np.full((_SIZE, _SIZE), 7.0), "constant"),
    (lambda noise: np.full((_SIZE, _SIZE), -7.0), "constant"),
    (lambda noise: spoiled(np.nan), "not_finite"),
    (lambda noise: spoiled(np.inf), "not_finite"),
    (lambda noise: spoiled(-np.inf), "not_finite"),
    (lambda noise: np.full((_SIZE, _SIZE), np.nan), "not_finite"),
    (lambda noise: -IMAGES["gaussian"], "not_detected"),
    (lambda noise: gaussian(3.0, 40, 40), "not_detected"),
    (lambda noise: noise, "not_detected"),
    (lambda noise: noise - IMAGES["gaussian"], "not_detected"),
    (lambda noise: noise * 1e-3 - 0.01, "not_detected"),
])
@pytest.mark.filterwarnings("error")
def test_nothing_is_measured_on_what_is_no_galaxy(observe, make, flag):
    values, flags = measure(make(noise_of(observe)), observe(size=_SIZE))
    assert [name for name, set_ in flags.items() if set_] == [flag]
    assert list(values) == [statistic.name for statistic in STATISTICS]
    assert np.isnan(list(values.values())).all()
    assert list(flags) == list(FLAGS)


def test_a_single_pixel_is_flagged(observe):
    """It is narrower than adaptive moments can be, and statmorph takes it for a cosmic ray."""
    stamp = noise_of(observe)
    stamp[48, 48] = 1.0
    values, flags = measure(stamp, observe(size=_SIZE))
    assert [name for name, set_ in flags.items() if set_] == ["moments_failed",
                                                              "morphology_failed"]
    assert np.isnan(list(values.values())).all()


@pytest.mark.long
def test_a_galaxy_away_from_the_middle(observe, measured):
    stamp = np.roll(IMAGES["gaussian"], 26, axis=1) + noise_of(observe, 1e-2)
    values, flags = measure(stamp, observe(size=_SIZE, noise_sigma=1e-2))
    assert flags["off_centre"] and not flags["moments_failed"]
    assert values["size"] == pytest.approx(measured("gaussian")["size"], rel=0.02)


@pytest.mark.long
def test_a_truncated_galaxy(observe):
    """It fills the stamp: moments would be those of the stamp, there is no sky for statmorph."""
    values, flags = measure(gaussian(30.0) + noise_of(observe), observe(size=_SIZE))
    assert [name for name, set_ in flags.items() if set_] == [
        "moments_failed", "morphology_failed", "truncated"]
    assert np.isnan([values[name] for name in (*_MOMENTS, *_MORPHOLOGY)]).all()


def test_a_galaxy_cut_by_an_edge(observe):
    """Measured all the same, as far as it is there."""
    stamp = gaussian(12.0, 20, 0) + noise_of(observe, 1e-2)
    values, flags = measure(stamp, observe(size=_SIZE, noise_sigma=1e-2))
    assert [name for name, set_ in flags.items() if set_] == ["truncated"]
    assert np.isfinite(list(values.values())).all()


def test_moments_that_fail_leave_the_morphology(observe, monkeypatch):
    def fail(*args, **kwargs):
        raise galsim.GalSimHSMError("no")

    monkeypatch.setattr(galsim.hsm, "FindAdaptiveMom", fail)
    values, flags = measure(IMAGES["gaussian"] + noise_of(observe), observe(size=_SIZE))
    assert [name for name, set_ in flags.items() if set_] == ["moments_failed"]
    assert np.isnan([values[name] for name in _MOMENTS]).all()
    assert np.isfinite([values[name] for name in _MORPHOLOGY]).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.long
def test_any_layout_of_a_stamp_is_read(observe, measured, kind):
    observation = observe(size=_SIZE, noise_sigma=_NOISE)
    noise = observation.noise(np.random.default_rng(3))
    stamp = np.asfortranarray((IMAGES["gaussian"] + noise).astype(kind))
    values, _ = measure(stamp, observation)
    assert values == pytest.approx(measured("gaussian"), rel=1e-3, abs=1e-3)
