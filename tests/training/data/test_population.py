"""The population: drawn galaxies have the counts and the correlations of the catalogues."""

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep_training.data.population import Catalogue, Counts, Population, PopulationSettings
from galsim_deep_training.settings import parse

JOINT = dict(magnitude="mag", observed_radius="fr", redshift="z")
ALL = dict(JOINT, sersic_n="n", axis_ratio="q")


@pytest.fixture
def table():
    """At a given magnitude, large galaxies are near and flat, and have a high Sersic index."""
    rng = np.random.default_rng(1)
    mag = rng.uniform(20.0, 25.0, 300)
    apart = rng.standard_normal(300)
    return dict(
        mag=mag, fr=np.exp(2.0 - 0.2 * (mag - 22) + 0.3 * apart),
        z=np.exp(-0.5 + 0.15 * (mag - 22) - 0.4 * apart),
        n=np.exp(0.4 * apart + 0.1 * rng.standard_normal(300)),
        q=np.clip(0.6 - 0.15 * apart + 0.03 * rng.standard_normal(300), 0.1, 1))


@pytest.fixture
def make(tmp_path, table):
    """``make(**settings)``: a `Population`."""
    Table(table).write(tmp_path / "all.csv", format="ascii.csv")

    def population(catalogs=None, **settings):
        catalogs = catalogs or [Catalogue(file_name="all.csv", **ALL)]
        return Population(
            PopulationSettings(**dict(dict(
                magnitudes=(20.0, 25.0), counts=Counts(slope=0.7), observed_radius=(0.5, 60.0),
                redshift=(0.0, 6.0), catalogs=catalogs), **settings)),
            0.03, lambda name: tmp_path / name, "recipe x.yaml")

    return population


def drawn(population, count=4000, seed=2):
    rng = np.random.default_rng(seed)
    rows = [population.draw(rng) for _ in range(count)]
    return {name: np.array([getattr(row, name) for row in rows])
            for name in ("magnitude", "observed_radius", "redshift", "sersic_n", "axis_ratio")}


def test_counts_rise_by_the_slope(make):
    magnitude = drawn(make())["magnitude"]
    assert magnitude.min() >= 20 and magnitude.max() <= 25
    brighter = np.expm1(0.7 * 2.5) / np.expm1(0.7 * 5)
    assert np.mean(magnitude < 22.5) == pytest.approx(brighter, abs=0.03)


def test_flat_share(make):
    assert np.mean(drawn(make(flat_share=1.0))["magnitude"] < 22.5) == pytest.approx(0.5, abs=0.03)
    brighter = np.expm1(0.7 * 2.5) / np.expm1(0.7 * 5)
    found = np.mean(drawn(make(flat_share=0.6))["magnitude"] < 22.5)
    assert found == pytest.approx(0.6 * 0.5 + 0.4 * brighter, abs=0.03)


@pytest.mark.long
def test_counts_of_a_catalogue_and_beyond(make, tmp_path):
    """The counts have a step; beyond the faintest galaxy they are exponential."""
    rng = np.random.default_rng(3)
    known = np.concatenate([rng.uniform(20, 22, 2000), rng.uniform(22, 23, 4000)])
    Table(dict(F=known)).write(tmp_path / "counts.fits")
    found = drawn(make(counts=Counts(slope=0.7, file_name="counts.fits", magnitude="F")),
                  12_000)["magnitude"]
    number = np.histogram(found, [20, 21, 22, 23, 24, 25])[0]
    assert number[1] / number[0] == pytest.approx(1, abs=0.25)
    assert number[2] / number[1] == pytest.approx(4, rel=0.2)
    # From the flat counts of the last half magnitude, whose middle is 0.3 before the end.
    assert number[3] / number[2] == pytest.approx(
        np.exp(0.7 * 0.3) * np.expm1(0.7) / 0.7, rel=0.12)
    assert number[4] / number[3] == pytest.approx(np.exp(0.7), rel=0.1)


def test_correlations_are_kept(make, table):
    """Trends with magnitude, the scatter about them, and correlations with n and q."""
    found = drawn(make(flat_share=1.0))

    def about(mag, values):
        trend = np.polyfit(mag, values, 1)
        return trend[0], values - np.polyval(trend, mag)

    left = {}
    for name, key in [("observed_radius", "fr"), ("redshift", "z")]:
        offset = 0.1 if key == "z" else 0.0
        slope, left[name] = about(found["magnitude"], np.log(found[name] + offset))
        expected, real = about(table["mag"], np.log(table[key] + offset))
        assert slope == pytest.approx(expected, abs=0.04)
        assert left[name].std() == pytest.approx(real.std(), rel=0.12)
    assert np.corrcoef(left["observed_radius"], left["redshift"])[0, 1] < -0.8
    assert np.corrcoef(left["observed_radius"], np.log(found["sersic_n"]))[0, 1] > 0.6
    assert np.corrcoef(left["observed_radius"], found["axis_ratio"])[0, 1] < -0.6
    assert np.all((found["axis_ratio"] >= 0.1) & (found["axis_ratio"] <= 1))


def test_ranges_are_kept(make):
    found = drawn(make(observed_radius=(5.0, 8.0), redshift=(0.4, 0.9)), 500)
    assert found["observed_radius"].min() >= 5 and found["observed_radius"].max() <= 8
    assert found["redshift"].min() >= 0.4 and found["redshift"].max() <= 0.9


def test_a_range_that_is_not_reached(make):
    with pytest.raises(galsim.GalSimConfigError, match="x.yaml"):
        drawn(make(observed_radius=(500.0, 600.0)), 1)


def test_fainter_than_the_catalogue(make):
    """The trends are extrapolated, with the scatter of the faintest galaxies."""
    found = drawn(make(magnitudes=(26.0, 26.5)), 500)
    assert np.log(found["observed_radius"]).mean() == pytest.approx(2.0 - 0.2 * 4.25, abs=0.15)


def test_morphology_of_another_catalogue(make, tmp_path, table):
    """A catalogue without redshift, with intrinsic sizes in arcsec and an ellipticity."""
    Table({name: table[name] for name in ("mag", "fr", "z")}).write(tmp_path / "joint.fits")
    intrinsic = 0.03 * np.sqrt(np.clip(table["fr"]**2 - 6.25, 0.01, None))
    Table(dict(mag=table["mag"], hlr=intrinsic, n=table["n"], g=(1 - table["q"])
               / (1 + table["q"]))).write(tmp_path / "fits.csv", format="ascii.csv")
    found = drawn(make([
        Catalogue(file_name="joint.fits", **JOINT),
        Catalogue(file_name="fits.csv", magnitude="mag", half_light_radius="hlr", sersic_n="n",
                  ellipticity="g")], flat_share=1.0))
    large = np.log(found["observed_radius"]) + 0.2 * (found["magnitude"] - 22)
    assert np.corrcoef(large, np.log(found["sersic_n"]))[0, 1] > 0.5
    assert np.corrcoef(large, found["axis_ratio"])[0, 1] < -0.5


def test_a_catalogue_of_galsim(make, survey):
    """With a catalogue of fits beside it, of which failed fits are not used."""
    population = make([Catalogue(file_name=str(survey / "real_galaxy_catalog.fits"),
                                 magnitude="MAG", observed_radius="flux_radius", redshift="ZPHOT"),
                       Catalogue(file_name="all.csv", magnitude="mag", half_light_radius="fr",
                                 sersic_n="n", axis_ratio="q")])
    assert len(population._joint._magnitude) == 11


def test_the_random_numbers_decide_the_galaxies(make):
    first, again, other = drawn(make(), 20), drawn(make(), 20), drawn(make(), 20, seed=3)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


@pytest.mark.parametrize("change, message", [
    (dict(redshift="Z"), "all.csv .*'Z'"),
    (dict(file_name="none.csv"), "none.csv"),
    (dict(sersic_n=None), "300 galaxies .* 0 with"),
    (dict(redshift=None), " 0 galaxies with"),
])
def test_unusable_catalogues(change, message, make):
    with pytest.raises(galsim.GalSimConfigError, match=f"x.yaml.*{message}"):
        make([Catalogue(**dict(dict(file_name="all.csv", **ALL), **change))])


def test_counts_need_the_name_of_a_column():
    with pytest.raises(galsim.GalSimConfigError, match="recipe x.yaml .*magnitude: .*counts.fits"):
        parse(Counts, dict(slope=0.7, file_name="counts.fits"), "recipe x.yaml")
