"""The transplant builder: light, sizes, morphology, noise and the split of what it makes."""

import shutil
from pathlib import Path

import galsim
import numpy as np
import pytest
import yaml
from astropy.table import Table

from galsim_deep.measure.half_light import measured_radius
from galsim_deep.observations.noise import read_correlation
from galsim_deep_training.data.build import build
from galsim_deep_training.data.builders import make_builder
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.recipe import read_recipe

# Numbers of the galaxies that the sources 0, 1, 2, 3, 5, ... show: 4 and 9 are too faint.
GROUPS = {0: {0, 5}, 2: {2, 8, 11}}
FAINT = {4, 9}


@pytest.fixture(scope="module")
def builder(recipe):
    return make_builder(recipe)


@pytest.fixture(scope="module")
def quiet(make_recipe, survey, tmp_path_factory):
    """The same builder for a survey without noise."""
    folder = tmp_path_factory.mktemp("quiet") / "survey"
    shutil.copytree(survey, folder)
    table = Table.read(folder / "real_galaxy_catalog.fits")
    table["NOISE_VARIANCE"] = 0.0
    table.write(folder / "real_galaxy_catalog.fits", overwrite=True)

    def change(content):
        content["data"]["psf_catalogs"] = [str(folder / "real_galaxy_catalog.fits")]

    return make_builder(make_recipe(change))


@pytest.fixture
def changed(make_recipe):
    """``changed(test_psfs=0.5, ...)``: the builder of a recipe with other settings."""
    def make(**settings):
        def change(content):
            for key, value in settings.items():
                part = content["data"]
                *keys, last = key.split("__")
                for name in keys:
                    part = part[name]
                part[last] = value

        return make_builder(make_recipe(change))

    return make


def made(builder, numbers):
    return [example for example in map(builder.example, numbers) if example is not None]


def test_columns_describe_the_stamp(quiet):
    examples = made(quiet, range(0, 52, 3))
    assert len(examples) > 12
    for example in examples:
        assert example.columns.keys() == {"flux_radius", "mag_auto", "zphot"}
        assert example.columns["flux_radius"] == pytest.approx(
            measured_radius(example.stamp), rel=1e-4)
        flux = 10 ** (-0.4 * (example.columns["mag_auto"] - 25.94))
        assert example.stamp.sum() == pytest.approx(flux, rel=0.03)
        assert 20.0 <= example.columns["mag_auto"] <= 24.0
        assert 3.2 <= example.columns["flux_radius"] <= 5.3
        assert 0.03 <= example.columns["zphot"] <= 5.0


def test_the_truth_has_the_flux_of_its_magnitude(quiet):
    for example in made(quiet, range(40, 52)):
        flux = 10 ** (-0.4 * (example.columns["mag_auto"] - 25.94))
        # So small a stamp does not hold all of it.
        assert example.truth.sum() == pytest.approx(flux, rel=0.03)


def test_the_stamp_is_the_truth_through_the_psf(quiet):
    """The truth, drawn by GalSim through the PSF stored with it, is the noiseless stamp."""
    for example in made(quiet, range(40, 44)):
        psf = galsim.InterpolatedImage(galsim.Image(quiet.psfs()[example.psf_index], scale=0.03))
        truth = galsim.InterpolatedImage(galsim.Image(example.truth, scale=0.03))
        image = galsim.Convolve(truth, psf).drawImage(
            nx=32, ny=32, scale=0.03, method="no_pixel", dtype=float).array
        np.testing.assert_allclose(image, example.stamp, atol=0.02 * image.max())


def test_noise(builder, quiet, survey):
    """Its level is that of the galaxy of the PSF, its correlation that of the file."""
    variance = Table.read(survey / "real_galaxy_catalog.fits")["NOISE_VARIANCE"]
    expected = read_correlation(survey / "acs_I_unrot_sci_20_cf.fits")
    np.testing.assert_array_equal(builder.noise_correlations(), expected[None])
    scaled = []
    for number in range(52):
        noisy, noiseless = builder.example(number), quiet.example(number)
        assert noisy.noise_sigma == pytest.approx(np.sqrt(variance[noisy.psf_index]))
        assert noisy.noise_index == 0
        scaled.append((noisy.stamp - noiseless.stamp) / noisy.noise_sigma)
        assert noisy.columns == noiseless.columns
    scaled = np.array(scaled)
    # Some eight pixels belong together.
    sigma = 1 / np.sqrt(scaled.size / 8)
    assert abs(scaled.mean()) < 5 * sigma
    assert abs(scaled.std() - 1) < 5 * sigma
    assert (scaled[:, 1:] * scaled[:, :-1]).mean() == pytest.approx(expected[17, 16], abs=5 * sigma)
    assert (scaled[:, :, 1:] * scaled[:, :, :-1]).mean() == pytest.approx(
        expected[16, 17], abs=5 * sigma)
    assert (scaled[:, 1:, 2:] * scaled[:, :-1, :-2]).mean() == pytest.approx(
        expected[17, 18], abs=5 * sigma)


def test_white_noise(changed):
    builder = changed(noise_correlation=None)
    assert builder.noise_correlations().shape == (1, 33, 33)
    assert np.count_nonzero(builder.noise_correlations()) == 1


@pytest.mark.long
def test_depth(changed, survey):
    """Training examples may have less noise; test examples and new ones never do."""
    builder = changed(depth=dict(share=0.5, deepest=0.05), examples=400)
    level = np.sqrt(Table.read(survey / "real_galaxy_catalog.fits")["NOISE_VARIANCE"])

    def factors(examples):
        return np.array([e.noise_sigma / level[e.psf_index] for e in examples])

    depth = factors(map(builder.example, range(400)))
    deeper = depth[depth < 0.9999]
    assert len(deeper) / 400 == pytest.approx(0.5, abs=0.1)
    assert deeper.min() >= 0.05 and deeper.max() <= 1
    # As many above as below the middle of the logarithm.
    assert np.mean(deeper < np.sqrt(0.05)) == pytest.approx(0.5, abs=0.15)
    np.testing.assert_allclose(factors(map(builder.example, range(400, 412))), 1.0)
    new = [builder.new_example(n, sources) for n in range(4) for sources in
           ("held-out", "training")]
    np.testing.assert_allclose(factors(new), 1.0)


def test_sources_have_the_drawn_morphology(builder, monkeypatch):
    """Sources with a similar Sersic index and axis ratio are chosen."""
    from galsim_deep_training.data.population import Drawn

    rng = np.random.default_rng(1)
    builder = make_builder(builder.recipe)
    count = 60
    radii, n, q = np.full(count, 0.5), rng.uniform(-0.7, 1.4, count), rng.uniform(0.2, 1, count)
    monkeypatch.setattr(type(builder), "_traits", (radii, n, q, np.ones(count)))
    asked, found = [], []
    for _ in range(400):
        wanted = Drawn(22.0, 4.0, 0.5, float(np.exp(rng.uniform(-0.7, 1.4))), rng.uniform(0.2, 1))
        source = builder._pick_source(wanted, 0.1, np.arange(count), rng)
        asked.append((np.log(wanted.sersic_n), wanted.axis_ratio))
        found.append((n[source], q[source]))
    asked, found = np.array(asked), np.array(found)
    for trait in range(2):
        assert np.corrcoef(asked[:, trait], found[:, trait])[0, 1] > 0.7


def test_sources_that_shrink_are_preferred(builder, monkeypatch):
    from galsim_deep_training.data.population import Drawn

    builder = make_builder(builder.recipe)
    radii = np.repeat([0.05, 0.2, 1.0], 40)
    alike = np.zeros(120)
    monkeypatch.setattr(type(builder), "_traits", (radii, alike, alike + 0.5, alike + 1))
    wanted, rng = Drawn(22.0, 4.0, 0.5, 1.0, 0.5), np.random.default_rng(1)

    def chosen(radius, candidates):
        return np.array([radii[builder._pick_source(wanted, radius, candidates, rng)]
                         for _ in range(300)])

    found = chosen(0.18, np.arange(120))
    assert not np.any(found == 0.05)  # it would have to be enlarged
    assert np.mean(found == 1.0) > 0.8
    # If all sources had to be enlarged, it is one of the ten largest.
    assert set(chosen(0.18, np.arange(50))) == {0.2}


def test_the_corners_hold_noise_only(dataset):
    stamps = dataset.read(np.arange(len(dataset)))
    corners = np.concatenate([stamps["stamp"][:, rows, columns].reshape(len(dataset), -1)
                              for rows in (slice(3), slice(-3, None))
                              for columns in (slice(3), slice(-3, None))], axis=1)
    scaled = corners / stamps["noise_sigma"][:, None]
    # The wings of the PSF reach the corners of so small a stamp.
    assert np.median(np.abs(scaled)) == pytest.approx(0.6745, rel=0.1)


def test_split(builder, dataset):
    train = set(dataset.source[dataset.train_indices])
    test = set(dataset.source[dataset.test_indices])
    assert train and test and not train & test
    # Ten sources show seven galaxies, and galaxies are what is counted.
    assert train | test <= set(range(7))
    psfs = [set(dataset.psf_index[rows]) for rows in (dataset.train_indices, dataset.test_indices)]
    assert len(psfs[1]) == 3 and not psfs[0] & psfs[1]
    indices, truth = dataset.truth()
    np.testing.assert_array_equal(indices, dataset.test_indices)
    assert len(truth) == len(indices)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_groups_are_in_one_split_for_every_seed(seed, make_recipe):
    def change(content):
        content["seed"] = seed
        content["data"]["test_sources"] = 0.5

    builder = make_builder(make_recipe(change))
    sides = [{builder._sources[i].row for i in side} for side in (builder._train, builder._test)]
    assert sides[0] | sides[1] == set(range(12)) - FAINT
    for group in GROUPS.values():
        assert group <= sides[0] or group <= sides[1]
    groups = {source.row: source.group for source in builder._sources}
    assert len(set(groups.values())) == 7
    for group in GROUPS.values():
        assert len({groups[row] for row in group}) == 1
    made = [{builder.example(n).source for n in numbers} for numbers in (range(24), range(40, 52))]
    assert not made[0] & made[1]
    assert made[0] <= {groups[row] for row in sides[0]}


@pytest.mark.parametrize("sources", ["held-out", "training"])
def test_new_examples(builder, sources):
    """They show sources of the requested split, through PSFs that training does not use."""
    side = {"training": builder._train, "held-out": builder._test}[sources]
    groups = {builder._sources[i].group for i in side}
    for number in range(10):
        example, again = builder.new_example(number, sources), builder.new_example(number, sources)
        np.testing.assert_array_equal(example.stamp, again.stamp)
        assert example.source in groups and example.psf_index in builder._test_psfs
        assert example.test and example.truth is not None


def test_psfs_in_both_splits(changed):
    builder = changed(test_psfs=0.0)
    np.testing.assert_array_equal(builder._train_psfs, np.arange(12))
    np.testing.assert_array_equal(builder._test_psfs, np.arange(12))


def test_test_examples_come_last(builder):
    assert len(builder) == 52
    for number, test in [(0, False), (39, False), (40, True), (51, True)]:
        example = builder.example(number)
        if example is not None:
            assert example.test is test and (example.truth is not None) is test


def test_galaxies_are_displaced_and_rotated(quiet):
    """All examples of a source differ."""
    seen = {}
    for example in made(quiet, range(40)):
        y, x = np.indices(example.stamp.shape) - 15.5
        centroid = [(axis * example.stamp).sum() / example.stamp.sum() for axis in (x, y)]
        seen.setdefault(example.source, []).append(centroid)
    centroids = np.array(max(seen.values(), key=len))
    assert len(centroids) > 3
    assert len(np.unique(centroids.round(6), axis=0)) == len(centroids)


def test_an_example_depends_on_its_number_only(builder, recipe):
    backwards = {number: builder.example(number) for number in (45, 7, 3)}
    afresh = make_builder(recipe)
    for number in (3, 7, 45):
        one, other = backwards[number], afresh.example(number)
        np.testing.assert_array_equal(one.stamp, other.stamp)
        assert one.columns == other.columns and one.source == other.source


def test_columns_that_it_cannot_make(make_recipe):
    def change(content):
        content["columns"][2].update(name="bulge_to_total", quantity="other")

    with pytest.raises(galsim.GalSimConfigError, match="'bulge_to_total'.*half_light_radius"):
        make_builder(make_recipe(change))


def test_sizes_have_to_include_the_psf(make_recipe):
    """They are measured on the convolved stamp."""
    def change(content):
        del content["columns"][0]["as_observed"]

    with pytest.raises(galsim.GalSimConfigError,
                       match="'flux_radius' without 'as_observed: true'.*transplant builder"):
        make_builder(make_recipe(change))


def test_columns_are_found_by_their_quantity(make_recipe, builder):
    """Whatever their names, and in their units."""
    def change(content):
        size, magnitude, redshift = content["columns"]
        size.update(name="r50", unit="arcsec", valid_range=[0.05, 0.5])
        magnitude["name"] = "brightness"
        content["columns"] = [redshift, size, magnitude]

    other = make_builder(make_recipe(change))
    for number in (0, 45):
        example, original = other.example(number), builder.example(number)
        assert example.columns == dict(
            zphot=original.columns["zphot"], brightness=original.columns["mag_auto"],
            r50=pytest.approx(0.03 * original.columns["flux_radius"]))
        np.testing.assert_array_equal(example.stamp, original.stamp)


@pytest.mark.parametrize("setting", ["sources__made__file_name", "psf_catalogs",
                                     "noise_correlation", "population__catalogs"])
def test_missing_files(setting, changed, survey):
    value = {"psf_catalogs": ["absent.fits"], "population__catalogs": [dict(
        file_name="absent.fits", magnitude="mag")]}.get(setting, "absent.fits")
    with pytest.raises(galsim.GalSimError, match="absent.fits"):
        changed(**{setting: value})


@pytest.mark.parametrize("settings, message", [
    (dict(examples=0), r"data\.examples: .*from 1 to .*0"),
    (dict(test_examples=-1), "test_examples"),
    (dict(test_sources=0.0), "test_sources is 0"),
    (dict(test_sources=1.0), "7 .*test_sources is 1"),
    (dict(test_psfs=0.99), "12 .*test_psfs is 0.99"),
    (dict(test_psfs=-0.5), "test_psfs"),
    (dict(depth=dict(share=2.0)), "depth.share"),
    (dict(depth=dict(deepest=0.0)), "depth.deepest"),
    (dict(enlargement=0.0), "enlargement"),
    (dict(psf_catalogs=[]), "psf_catalogs"),
    (dict(same=[dict(other=[1])]), "'other'.*made"),
    (dict(sources__made__images="stamps"), "'stamps'.*images, magnitudes"),
    (dict(sources__made__faintest=10.0), "no source"),
    (dict(sources__made__leave_out=[12]), r"\[12\] .*sources.npz"),
    (dict(sources__made__magnitudes=None), "magnitude"),
    (dict(population__observed_radius=[5.0, 5.0]), "population.observed_radius"),
    (dict(population__flat_share=1.5), "flat_share"),
    (dict(population__catalogs=[]), "population"),
], ids=str)
def test_settings_that_make_no_sense(settings, message, changed):
    with pytest.raises(galsim.GalSimConfigError, match=message):
        changed(**settings)


def test_no_test_split(changed):
    """Without test examples and held-out sources there is nothing to hold out."""
    builder = changed(test_examples=0, test_sources=0.0)
    assert len(builder) == 40 and len(builder._train) == 10
    assert builder.new_example(0, "training").test
    with pytest.raises(galsim.GalSimConfigError, match="test_sources"):
        builder.new_example(0, "held-out")


def test_a_seed_below_zero(make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match="seed"):
        make_recipe(lambda content: content.update(seed=-1))


# ---- with real galaxies ---------------------------------------------------------------------


@pytest.mark.long
def test_the_shipped_recipe(reference_data, write_recipe, tmp_path):
    """A few examples of the data set of hub:acs_flow_vae, from real galaxies and PSFs."""
    shipped = Path(__file__).parents[4] / "training" / "recipes" / "acs_flow_vae.yaml"
    text = shipped.read_text().replace("../../../shared/data", str(reference_data))
    content = yaml.safe_load(text)
    settings = content["data"]
    settings.update(examples=16, test_examples=8)
    # Two dozen of its sources: preparing all of them takes half a minute.
    settings["sources"]["hst"]["faintest"] = 21.2
    settings["sources"]["hudf"]["leave_out"] = list(range(8, 86))
    assert build(read_recipe(write_recipe(content)), tmp_path / "data.h5",
                 progress=False) == (24, 0)
    dataset = Dataset(tmp_path / "data.h5")
    assert dataset.stamp_size == 128 and dataset.psfs.shape == (150, 65, 65)
    np.testing.assert_allclose(dataset.psfs.sum(axis=(1, 2)), 1.0, rtol=1e-5)
    batch = dataset.read(np.arange(len(dataset)))
    assert all(np.isfinite(values).all() for values in batch.values())
    # The noise of COSMOS, and up to twenty times less in training.
    test = dataset.test_indices
    assert np.all((batch["noise_sigma"][test] > 1e-3) & (batch["noise_sigma"][test] < 5e-3))
    assert np.all((batch["noise_sigma"] > 5e-5) & (batch["noise_sigma"] < 5e-3))
    corners = np.concatenate([batch["stamp"][:, :8, :8], batch["stamp"][:, -8:, -8:]], axis=1)
    sigma = 1.4826 * np.median(np.abs(corners.reshape(len(dataset), -1)), axis=1)
    small = batch["flux_radius"] < 10
    assert np.median((sigma / batch["noise_sigma"])[small]) == pytest.approx(1, abs=0.2)
    indices, truth = dataset.truth()
    flux = 10 ** (-0.4 * (dataset.columns["mag_auto"][indices] - 25.94))
    assert np.all(truth.sum(axis=(1, 2)) / flux > 0.85)
    assert np.all(truth.sum(axis=(1, 2)) / flux < 1.001)
