"""The population: drawn galaxies have the counts and the correlations of the catalogues."""

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep_training.data.population import Catalogue, Counts, Population, PopulationSettings

NAMES = ("magnitude", "half_light_radius", "redshift", "sersic_n", "axis_ratio")


@pytest.fixture
def table():
    """At a given magnitude, large galaxies are near and flat, and have a high Sersic index."""
    rng = np.random.default_rng(1)
    magnitude = rng.uniform(20.0, 25.0, 3000)
    apart = rng.standard_normal(3000)
    return dict(
        magnitude=magnitude,
        half_light_radius=np.exp(-1.2 - 0.2 * (magnitude - 22) + 0.3 * apart),
        redshift=np.exp(-0.5 + 0.15 * (magnitude - 22) - 0.4 * apart),
        sersic_n=np.exp(0.4 * apart + 0.1 * rng.standard_normal(3000)),
        axis_ratio=np.clip(0.6 - 0.1 * apart + 0.03 * rng.standard_normal(3000), 0.1, 1))


@pytest.fixture
def make(tmp_path, table):
    """``make(**settings)``: a `Population`."""
    Table(table).write(tmp_path / "all.csv", format="ascii.csv")

    def population(catalogs=None, **settings):
        return Population(
            PopulationSettings(**dict(dict(
                magnitudes=(20.0, 25.0), counts=Counts(slope=0.7), half_light_radius=(0.01, 10.0),
                redshift=(0.0, 8.0), catalogs=catalogs or [Catalogue(file_name="all.csv")]),
                **settings)),
            lambda name: tmp_path / name, "recipe x.yaml")

    return population


def drawn(population, count=4000, seed=2):
    rng = np.random.default_rng(seed)
    rows = [population.draw(rng) for _ in range(count)]
    return {name: np.array([getattr(row, name) for row in rows]) for name in NAMES}


def about_the_trend(magnitude, values):
    trend = np.polyfit(magnitude, values, 1)
    return trend[0], values - np.polyval(trend, magnitude)


def test_counts_rise_by_the_slope(make):
    magnitude = drawn(make())["magnitude"]
    assert magnitude.min() >= 20 and magnitude.max() <= 25
    brighter = np.expm1(0.7 * 2.5) / np.expm1(0.7 * 5)
    assert np.mean(magnitude < 22.5) == pytest.approx(brighter, abs=0.03)


def test_counts_of_a_catalogue_and_beyond(make, tmp_path):
    """The counts have a step; beyond the faintest galaxy they are exponential."""
    rng = np.random.default_rng(3)
    known = np.concatenate([rng.uniform(20, 22, 2000), rng.uniform(22, 23, 4000)])
    Table(dict(F=known)).write(tmp_path / "counts.fits")
    found = drawn(make(counts=Counts(slope=0.7, file_name="counts.fits", magnitude="F")),
                  10_000)["magnitude"]
    number = np.histogram(found, [20, 21, 22, 23, 24, 25])[0]
    assert number[1] / number[0] == pytest.approx(1, abs=0.25)
    assert number[2] / number[1] == pytest.approx(4, rel=0.2)
    # From the flat counts of the last half magnitude, whose middle is 0.3 before the end.
    assert number[3] / number[2] == pytest.approx(
        np.exp(0.7 * 0.3) * np.expm1(0.7) / 0.7, rel=0.12)
    assert number[4] / number[3] == pytest.approx(np.exp(0.7), rel=0.1)


def test_correlations_are_kept(make, table):
    """Trends with magnitude, the scatter about them, and the correlations with n and q."""
    found = drawn(make(counts=Counts(slope=0.0)))
    left = {}
    for name, offset in [("half_light_radius", 0.0), ("redshift", 0.1)]:
        slope, left[name] = about_the_trend(found["magnitude"], np.log(found[name] + offset))
        expected, real = about_the_trend(table["magnitude"], np.log(table[name] + offset))
        assert slope == pytest.approx(expected, abs=0.03)
        assert left[name].std() == pytest.approx(real.std(), rel=0.06)
    size = left["half_light_radius"]
    assert np.corrcoef(size, left["redshift"])[0, 1] < -0.95
    # 0.97 and -0.95 in the catalogue.
    assert np.corrcoef(size, np.log(found["sersic_n"]))[0, 1] > 0.88
    assert np.corrcoef(size, found["axis_ratio"])[0, 1] < -0.84
    assert np.log(found["sersic_n"]).std() == pytest.approx(
        np.log(table["sersic_n"]).std(), rel=0.06)


def test_shape_and_redshift_given_the_others(make):
    population, rng = make(), np.random.default_rng(4)
    # Of a galaxy that is 1.5 standard deviations larger than others of its magnitude.
    size = np.exp(-1.2 + 1.5 * 0.3)
    redshifts = [population.draw_redshift(rng, 22.0, size) for _ in range(300)]
    assert np.median(redshifts) == pytest.approx(np.exp(-0.5 - 1.5 * 0.4), rel=0.1)
    shapes = np.array([population.draw_shape(rng, 22.0, size, np.median(redshifts))
                       for _ in range(300)])
    assert np.median(np.log(shapes[:, 0])) == pytest.approx(1.5 * 0.4, abs=0.1)
    assert np.median(shapes[:, 1]) == pytest.approx(0.6 - 1.5 * 0.1, abs=0.03)


def test_beyond_the_catalogue(make):
    """Sizes follow the extrapolated trend, and shapes stay as they are at the faint end."""
    found = drawn(make(magnitudes=(27.0, 27.5)), 1000)
    # Without the extrapolation it would be larger by 0.45.
    assert np.log(found["half_light_radius"]).mean() == pytest.approx(
        -1.2 - 0.2 * 5.27, abs=0.12)
    assert np.log(found["half_light_radius"]).std() == pytest.approx(0.3, rel=0.12)
    assert np.log(found["sersic_n"]).mean() == pytest.approx(0.0, abs=0.06)
    assert found["axis_ratio"].mean() == pytest.approx(0.6, abs=0.02)


def test_what_was_seen(make):
    population = make()
    assert population.seen(22.0, np.exp(-1.2), np.exp(-0.5))
    magnitude, size = np.array([22.0, 27.0]), np.array([3.0, 0.15])
    assert not population.seen(magnitude, size, np.ones(2)).any()
    assert population.seen(magnitude[:, None], size, 1.0).shape == (2, 2)
    assert population.magnitudes_seen["size"] == pytest.approx((20, 25), abs=0.01)


def test_evenly_spread_galaxies(make, table):
    """Bright, large and distant galaxies are as frequent as others."""
    found = drawn(make(even_share=1.0), 3000)
    assert np.mean(found["magnitude"] < 22.5) == pytest.approx(0.5, abs=0.03)
    for name, offset in [("half_light_radius", 0.0), ("redshift", 0.1)]:
        _, left = about_the_trend(found["magnitude"], np.log(found[name] + offset))
        _, real = about_the_trend(table["magnitude"], np.log(table[name] + offset))
        # Uniform from -2.33 to 2.33 standard deviations.
        assert left.std() == pytest.approx(2 * 2.33 / np.sqrt(12) * real.std(), rel=0.08)
    half = drawn(make(even_share=0.5), 3000)["magnitude"]
    brighter = np.expm1(0.7 * 2.5) / np.expm1(0.7 * 5)
    assert np.mean(half < 22.5) == pytest.approx(0.5 * 0.5 + 0.5 * brighter, abs=0.03)


@pytest.mark.parametrize("even_share", [0.0, 1.0])
def test_ranges_are_kept(make, even_share):
    found = drawn(make(half_light_radius=(0.2, 0.4), redshift=(0.4, 0.9), even_share=even_share),
                  500)
    for name, low, high in [("half_light_radius", 0.2, 0.4), ("redshift", 0.4, 0.9)]:
        assert found[name].min() >= low - 1e-9 and found[name].max() <= high + 1e-9


def test_a_range_that_is_not_reached(make):
    with pytest.raises(galsim.GalSimConfigError, match="x.yaml"):
        drawn(make(half_light_radius=(9.0, 10.0)), 1)


def test_shapes_of_another_catalogue(make, tmp_path, table):
    """A catalogue without redshifts, with sizes that are all too small, and an ellipticity."""
    Table({name: table[name] for name in NAMES[:3]}).write(tmp_path / "joint.fits")
    q = table["axis_ratio"]
    Table(dict(mag=table["magnitude"], hlr=0.8 * table["half_light_radius"], n=table["sersic_n"],
               g=(1 - q) / (1 + q))).write(tmp_path / "fits.csv", format="ascii.csv")
    found = drawn(make([
        Catalogue(file_name="joint.fits"),
        Catalogue(file_name="fits.csv", magnitude="mag", half_light_radius="hlr", sersic_n="n",
                  ellipticity="g")], counts=Counts(slope=0.0)))
    _, size = about_the_trend(found["magnitude"], np.log(found["half_light_radius"]))
    assert np.corrcoef(size, np.log(found["sersic_n"]))[0, 1] > 0.7
    assert np.corrcoef(size, found["axis_ratio"])[0, 1] < -0.7


def test_the_random_numbers_decide_the_galaxies(make):
    first, again, other = drawn(make(), 20), drawn(make(), 20), drawn(make(), 20, seed=3)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


@pytest.mark.parametrize("lacks, message", [
    ("sersic_n", "3000 galaxies .* 0 with"), ("redshift", " 0 galaxies with"),
    ("half_light_radius", " 0 galaxies with .* 0 with")])
def test_too_few_galaxies(lacks, message, make, table, tmp_path):
    Table({name: values for name, values in table.items() if name != lacks}).write(
        tmp_path / "part.csv", format="ascii.csv")
    with pytest.raises(galsim.GalSimConfigError, match=f"x.yaml.*{message}"):
        make([Catalogue(file_name="part.csv")])
