"""Memorisation: what the canonical frame takes out, distances, a model that repeats galaxies."""

import galsim
import numpy as np
import pytest

from galsim_deep.observations.observation import Observation
from galsim_deep.validation.memorisation import (
    canonical,
    copy_distances,
    is_caught,
    memorisation,
    nearest_distances,
    other_source_distances,
    planted_copy,
)

_SCALE = 0.03
_PSF = galsim.Gaussian(sigma=1.7 * _SCALE)


def galaxy(number):
    """A disc with clumps, of random shape."""
    rng = np.random.default_rng([7, number])
    radius = rng.uniform(0.32, 0.45)
    parts = [galsim.Exponential(half_light_radius=radius, flux=60)]
    for _ in range(5):
        x, y = 0.8 * radius * rng.standard_normal(2)
        parts.append(galsim.Gaussian(sigma=0.15 * radius, flux=rng.uniform(1, 5)).shift(x, y))
    shape = galsim.Shear(g=rng.uniform(0.1, 0.5), beta=rng.uniform(0, np.pi) * galsim.radians)
    return galsim.Add(parts).shear(shape)


def rendition(profile, rng):
    """The galaxy as it might be seen elsewhere: turned, mirrored, dilated, a bit sheared."""
    if rng.random() < 0.5:
        profile = profile.transform(1, 0, 0, -1)
    profile = profile.shear(g1=rng.uniform(-0.02, 0.02), g2=rng.uniform(-0.02, 0.02))
    return profile.rotate(rng.uniform(0, 360) * galsim.degrees).dilate(rng.uniform(0.75, 1.1))


def observe(profile, noise_sigma=0.003, rng=None):
    """The observation of a profile, and the stamp."""
    image = _PSF.drawImage(nx=33, ny=33, scale=_SCALE, method="no_pixel", dtype=float).array
    stamp = galsim.Convolve(profile, _PSF).drawImage(
        nx=128, ny=128, scale=_SCALE, method="no_pixel", dtype=float).array
    observation = Observation(
        number=0, stamp=stamp, psf=image / image.sum(), pixel_scale=_SCALE,
        noise_sigma=noise_sigma, columns={})
    if noise_sigma > 0:
        stamp = stamp + observation.noise(rng)
    return observation, stamp


def image_of(profile, seed=0, noise_sigma=0.003):
    rng = np.random.default_rng(seed)
    return canonical(*observe(profile, noise_sigma, rng), rng)


def apart(one, other):
    return nearest_distances([one], [other])[0][0]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("change, tolerance", [
    (lambda p: p.rotate(37 * galsim.degrees), 0.003),
    (lambda p: p.rotate(160 * galsim.degrees).shift(0.08, -0.05), 0.003),
    (lambda p: p.transform(0.8, 0.6, 0.6, -0.8), 0.003),
    (lambda p: 50 * p, 1e-5),
    (lambda p: p.dilate(0.75), 0.012),
    (lambda p: p.dilate(1.3), 0.012),
], ids=["turn", "turn and shift", "mirror", "flux", "smaller", "larger"])
def test_invariance(number, change, tolerance):
    """Dilation is the worst since the PSF is not dilated along, and a Gaussian only roughly."""
    profile = galaxy(number)
    one, other = (image_of(p, noise_sigma=0.0) for p in (profile, change(profile)))
    assert one.shape == (24, 24)
    assert (one**2).sum() == pytest.approx(1, abs=1e-5)
    assert apart(one, other) < tolerance
    assert apart(one, image_of(galaxy(number + 10), noise_sigma=0.0)) > 3 * 0.012


def test_the_major_axis_is_along_x():
    image = image_of(galsim.Exponential(half_light_radius=0.3).shear(
        g=0.5, beta=65 * galsim.degrees), noise_sigma=0.0)
    y, x = np.indices(image.shape) - 11.5
    assert (x**2 * image).sum() > 2 * (y**2 * image).sum()
    assert abs((x * y * image).sum()) < 1e-3 * (x**2 * image).sum()


def test_noise_is_the_same_for_bright_and_faint_and_small_and_large():
    profile = galaxy(3)
    found = []
    for flux, size in ((1, 1), (0.5, 1), (0.4, 0.8)):
        images = [image_of(flux * profile.dilate(size), seed) for seed in range(12)]
        found.append(np.mean([apart(one, other) for one, other in zip(images[:6], images[6:],
                                                                     strict=True)]))
    np.testing.assert_allclose(found, np.sqrt(2) * 0.03, rtol=0.2)


def test_no_canonical_image():
    rng = np.random.default_rng(0)
    observation, stamp = observe(galaxy(0), 0.003, rng)
    for bad in (np.zeros_like(stamp), np.ones_like(stamp), stamp * np.nan):
        assert canonical(observation, bad, rng) is None
    for _ in range(10):
        assert canonical(observation, observation.noise(rng), rng) is None
    assert canonical(observation, stamp, rng) is not None
    assert image_of(0.01 * galaxy(0)) is None
    assert image_of(galaxy(0).dilate(0.3)) is None


def test_distances_are_those_of_all_pairs():
    rng = np.random.default_rng(1)
    queries, training = rng.standard_normal((700, 6, 6)), rng.standard_normal((40, 6, 6))
    queries[5] = training[17, ::-1]
    expected = np.min([np.sqrt(((version[:, None] - training)**2).sum((2, 3))) for version in (
        queries, queries[:, ::-1], queries[:, :, ::-1], queries[:, ::-1, ::-1])], axis=0)
    distance, index = nearest_distances(queries, training)
    np.testing.assert_allclose(distance, expected.min(1), atol=0.005)
    np.testing.assert_array_equal(index, expected.argmin(1))
    assert index[5] == 17
    exclude = np.where(np.arange(700) % 2, index, -1)
    distance, index = nearest_distances(queries, training, exclude)
    expected[np.arange(700)[1::2], exclude[1::2]] = np.inf
    np.testing.assert_allclose(distance, expected.min(1), atol=0.005)
    np.testing.assert_array_equal(index, expected.argmin(1))


def test_nothing_to_match():
    one = np.ones((1, 4, 4))
    for distance, index in (nearest_distances(one, one[:0]), nearest_distances(one, one, [0])):
        assert np.isnan(distance).all() and (index == -1).all()


def test_copies_are_of_the_same_source():
    images = np.array([0.0, 10.0, 1.0, 13.0, 0.1])[:, None, None]
    np.testing.assert_allclose(
        copy_distances(images, [4, 9, 4, 9, 5]), [1, 3, 1, 3, np.nan], rtol=1e-6)


def test_other_sources_are_not_the_source_of_the_image():
    images = np.array([0.0, 10.0, 1.0, 13.0, 0.25])[:, None, None]
    np.testing.assert_allclose(
        other_source_distances(images, [4, 9, 4, 9, 5]), [0.25, 9, 0.75, 12, 0.25], rtol=1e-6)
    assert np.isnan(other_source_distances(images, [1] * 5)).all()


@pytest.fixture(scope="module")
def sets():
    """Training galaxies seen three times each, held-out ones, and those of two models."""
    rng = np.random.default_rng(11)

    def seen(numbers):
        images = [image_of(rendition(galaxy(n), rng), [5, int(rng.integers(1 << 30))])
                  for n in numbers]
        known = [n for n, image in enumerate(images) if image is not None]
        assert len(known) > 0.9 * len(images)
        return np.array([images[n] for n in known]), np.asarray(numbers)[known]

    training, sources = seen(np.repeat(np.arange(25), 3))
    return dict(
        training=training, training_sources=sources, held_out=seen(range(100, 200))[0],
        fresh=seen(range(200, 280))[0], memorised=seen(rng.integers(25, size=60))[0])


def judge(sets, generated, **kwargs):
    return memorisation(
        sets[generated], sets["held_out"], sets["training"], sets["training_sources"], **kwargs)


def test_a_model_that_makes_new_galaxies(sets):
    found = judge(sets, "fresh")
    assert 0.005 < found["share_nearer_error"] < 0.06
    assert found["share_nearer"] == pytest.approx(0.05, abs=2.5 * found["share_nearer_error"])
    # Of 25 sources, so that the limit is not known well.
    assert found["share_nearer_other_sources"] < 0.2
    assert found["share_copies"] < 0.05
    assert found["held_out_share_copies"] < 0.05
    assert found["copies_median"] < 0.7 * found["held_out_median"]
    assert found["generated_median"] == pytest.approx(
        found["held_out_median"],
        abs=3 * np.hypot(found["generated_median_error"], found["held_out_median_error"]))
    for name, key in (("generated", "fresh"), ("held_out", "held_out"), ("training", "training")):
        assert found["n_" + name] == len(sets[key])
    assert 0.9 * len(sets["training"]) < found["n_copies"] <= len(sets["training"])
    assert found["n_other_sources"] == len(sets["training"])


def test_a_model_that_repeats_the_training_set(sets):
    found = judge(sets, "memorised")
    assert found["share_nearer"] > 0.9
    assert found["share_nearer_other_sources"] > 0.9
    assert 0.3 < found["share_copies"] < 0.8
    assert found["generated_median"] == pytest.approx(found["copies_median"], rel=0.15)


def test_renditions_of_one_source_count_once_in_the_errors(sets):
    repeated = dict(sets, held_out=np.repeat(sets["held_out"][:25], 4, axis=0))
    alone = judge(dict(sets, held_out=sets["held_out"][:25]), "fresh")
    naive = judge(repeated, "fresh")
    aware = judge(repeated, "fresh", held_out_sources=np.repeat(np.arange(25), 4))
    error = "held_out_median_error"
    assert aware[error] == pytest.approx(alone[error], rel=0.3)
    assert naive[error] < 0.7 * alone[error]


def test_numbers_of_galaxies_with_a_copy_and_with_another_source(sets):
    images = sets["training"][:6]
    without_copies = memorisation(images[:2], images[:2], images, np.arange(6), count=2)
    assert without_copies["n_copies"] == 0 and without_copies["n_other_sources"] == 6
    of_one_source = memorisation(images[:2], images[:2], images, np.zeros(6, int), count=2)
    assert of_one_source["n_copies"] == 6 and of_one_source["n_other_sources"] == 0


def test_an_empty_set_gives_nan(sets):
    found = judge(dict(sets, none=sets["fresh"][:0]), "none", count=5)
    assert np.isnan(found["generated_median"]) and np.isnan(found["share_nearer"])
    assert np.isfinite(found["held_out_median"])


@pytest.mark.long
def test_a_module_that_repeats_its_training_galaxies_is_caught():
    """The positive control: stamps of training galaxies, changed by 1 to 10 %, and new galaxies."""
    rng = np.random.default_rng(5)

    def images(numbers, copies=False):
        """Canonical images of those that have one, and their numbers."""
        result = {}
        for number in numbers:
            observation, stamp = observe(galaxy(number), 0.003, rng)
            if copies:
                stamp = planted_copy(observation, stamp, rng)
            result[number] = canonical(observation, stamp, rng)
        kept = [number for number, image in result.items() if image is not None]
        return np.array([result[number] for number in kept]), kept

    (training, first), (twins, second) = images(range(24)), images(range(24), copies=True)
    (held_out, _), (new, _) = images(range(100, 124)), images(range(200, 224))
    planted, _ = images(range(24), copies=True)
    whole = np.concatenate([training, twins])
    assert len(planted) > 15
    assert is_caught(memorisation(planted, held_out, whole, first + second))
    assert not is_caught(memorisation(new, held_out, whole, first + second))
