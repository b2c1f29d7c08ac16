"""The transplant builder: light, sizes, noise, pixels and the splits of what it makes."""

from pathlib import Path

import galsim
import numpy as np
import pytest
import yaml

from galsim_deep.measure.half_light import measured_radius
from galsim_deep.observations.collection import Collection
from galsim_deep_training.data.builders import make_builder
from galsim_deep_training.data.population import Drawn
from galsim_deep_training.recipe import read_recipe

# Numbers of the galaxies of the collection: 4 and 9 are held out, and these are the same galaxy.
GROUPS = {0: {0, 5}, 2: {2, 8, 11}}
HELD_OUT = {4, 9}


@pytest.fixture(scope="module")
def builder(recipe):
    return make_builder(recipe)


@pytest.fixture(scope="module")
def changed(make_recipe):
    """``changed(test_psfs=0.5, ...)``: the builder of a recipe with other settings."""
    def make(top=(), **settings):
        def change(content):
            for name, value in dict(top).items():
                content[name].update(value)
            for key, value in settings.items():
                part = content["data"]
                *keys, last = key.split("__")
                for name in keys:
                    part = part[name]
                part[last] = value

        return make_builder(make_recipe(change))

    return make


@pytest.fixture(scope="module")
def sizes(survey):
    """A catalogue of larger galaxies than those of the survey."""
    rng = np.random.default_rng(2)
    rows = dict(magnitude=rng.uniform(20, 24, 200), half_light_radius=rng.uniform(0.25, 1.5, 200),
                redshift=rng.uniform(0.1, 2, 200), sersic_n=rng.uniform(0.6, 2, 200),
                axis_ratio=rng.uniform(0.4, 1, 200))
    path = survey / "sizes.csv"
    if not path.exists():
        lines = [",".join(rows), *(",".join(map(str, row)) for row in zip(*rows.values(),
                                                                        strict=True))]
        path.write_text("\n".join(lines))
    return dict(file_name=str(path))


def made(builder, numbers):
    return [example for example in map(builder.example, numbers) if example is not None]


def flux_of(example):
    return 10 ** (-0.4 * (example.columns["mag_auto"] - 25.94))


# ---- columns --------------------------------------------------------------------------------


def test_columns_describe_the_galaxy(builder):
    examples = made(builder, range(40, 52))
    assert len(examples) > 10
    for example in examples:
        assert example.columns.keys() == {"flux_radius", "mag_auto", "zphot"}
        # So small a stamp does not hold all of the light.
        inside = example.noiseless.sum() / flux_of(example)
        assert 0.9 < inside < 1.005
        assert 20.0 <= example.columns["mag_auto"] <= 24.0
        assert 0.03 <= example.columns["zphot"] <= 5.0


def test_sizes_are_those_before_the_psf(changed):
    """Discs of the size in the columns, through the same PSF, are as large as the transplants."""
    wide = changed(top=dict(stamp=dict(size=96)))
    ratios = []
    for example in made(wide, range(40, 52)):
        psf = galsim.InterpolatedImage(galsim.Image(wide.psfs()[example.psf_index], scale=1.0))
        disc = galsim.Exponential(half_light_radius=example.columns["flux_radius"])
        expected = galsim.Convolve(disc, psf).drawImage(
            nx=96, ny=96, scale=1.0, method="no_pixel", dtype=float).array
        ratios.append(measured_radius(example.noiseless) / measured_radius(expected))
    assert np.mean(ratios) == pytest.approx(1, abs=0.02) and np.std(ratios) < 0.02


def test_the_size_in_the_columns_is_that_of_the_same_source(builder):
    """The dilated source, drawn without PSF, has the radius that the column says."""
    by_group = {}
    for source in builder._sources:
        by_group.setdefault(source.group, []).append(source)
    for example in made(builder, range(40)):
        radius = 0.03 * example.columns["flux_radius"]
        # The population gives the radius of the ellipse, the column that of the circle.
        assert any(0.075 - 1e-9 <= radius * source.circularised / source.radius <= 0.147 + 1e-9
                   for source in by_group[example.source])


def test_columns_are_found_by_their_quantity(make_recipe, builder):
    """Whatever their names, and in their units; the shape is that of the source."""
    def change(content):
        size, magnitude, redshift = content["columns"]
        size.update(name="r50", unit="arcsec", valid_range=[0.05, 0.5])
        magnitude["name"] = "brightness"
        shapes = [dict(name="index", quantity="sersic_index"),
                  dict(name="q", quantity="axis_ratio")]
        content["columns"] = [redshift, size, magnitude, *(
            dict(shape, unit="", meaning="of a fit", valid_range=[0.1, 6.0]) for shape in shapes)]

    other = make_builder(make_recipe(change))
    shapes = {(source.group, source.sersic_n, source.axis_ratio) for source in other._sources}
    for number in (0, 45):
        example, original = other.example(number), builder.example(number)
        columns = dict(example.columns)
        assert (example.source, columns.pop("index"), columns.pop("q")) in shapes
        assert columns == dict(
            zphot=original.columns["zphot"], brightness=original.columns["mag_auto"],
            r50=pytest.approx(0.03 * original.columns["flux_radius"]))
        np.testing.assert_array_equal(example.stamp, original.stamp)


def test_galaxies_are_displaced_and_rotated(builder):
    """All examples of a source differ."""
    seen = {}
    for example in made(builder, range(40)):
        y, x = np.indices(example.stamp.shape) - 15.5
        centroid = [(axis * example.stamp).sum() / example.stamp.sum() for axis in (x, y)]
        seen.setdefault(example.source, []).append(centroid)
    centroids = np.array(max(seen.values(), key=len))
    assert len(centroids) > 3
    assert len(np.unique(centroids.round(6), axis=0)) == len(centroids)
    assert np.abs(centroids).max() < 1.5


# ---- noise ----------------------------------------------------------------------------------


def test_the_noise_is_that_of_the_survey(builder, survey):
    """Its levels and its correlation."""
    conditions = Collection(survey / "galaxies.h5").conditions("acs_f814w")
    expected = conditions.noise_correlation
    np.testing.assert_array_equal(builder.noise_correlations(), expected[None])
    examples = [builder.new_example(number, "held-out") for number in range(60)]
    levels = {round(float(level), 9) for level in np.sqrt(conditions.noise_variance)}
    assert {round(example.noise_sigma, 9) for example in examples} <= levels
    noise = np.array([(example.stamp - example.noiseless) / example.noise_sigma
                      for example in examples])
    # Some eight pixels belong together.
    sigma = 1 / np.sqrt(noise.size / 8)
    assert abs(noise.mean()) < 5 * sigma
    assert abs(noise.std() - 1) < 5 * sigma
    for dy, dx in ((1, 0), (0, 1), (1, 2)):
        product = noise[:, dy:, dx:] * noise[:, :32 - dy, :32 - dx]
        assert product.mean() == pytest.approx(expected[16 + dy, 16 + dx], abs=5 * sigma)


def test_bright_galaxies_from_noisy_sources(changed, survey_collection, tmp_path):
    """They have more noise than the survey, so that the source's own is at most 90 % of it."""
    survey_collection(tmp_path / "galaxies.h5", noise=3e-3)
    builder = changed(sources__collection=str(tmp_path / "galaxies.h5"),
                      population__magnitudes=[20.0, 24.0])
    examples = [builder.new_example(number, "held-out") for number in range(60)]
    sigma = np.array([example.noise_sigma for example in examples])
    magnitude = np.array([example.columns["mag_auto"] for example in examples])
    assert sigma.min() >= builder._sigma.min()
    assert sigma.max() > 1.2 * builder._sigma.max()
    assert sigma[magnitude > 23.7].max() <= builder._sigma.max()
    # What is added to the transplant is less than all of the noise, by what it has already.
    added = np.array([(example.stamp - example.noiseless) / example.noise_sigma
                      for example in examples])[sigma > builder._sigma.max()]
    assert added[:, 12:20, 12:20].std() < 0.97 * added[:, :4].std()


def test_all_of_the_noise_adds_up_to_that_of_the_survey(builder, monkeypatch):
    """In pixels with light of a source, which has noise of its own, and in those without."""
    observer, rng = builder._observer, np.random.default_rng(4)
    field = (observer.field, observer.field)
    sigma, original = builder._sigma.mean(), observer.observe

    def observe(source, matrix, offset, flux, psf):
        transplant = original(source, matrix, offset, flux, psf)
        # Half of the noise, in one half of the stamp only.
        power = 0.5 * sigma**2 * builder._noise_power
        share = np.zeros_like(transplant.leaked_share)
        share[:, 16:] = 1.0
        own = observer.cut(np.fft.irfft2(
            np.fft.rfft2(rng.standard_normal(field)) * np.sqrt(power), field))
        images.append(transplant.image)
        return type(transplant)(transplant.image + np.sqrt(share) * own, power, share)

    images, noise = [], []
    monkeypatch.setattr(observer, "observe", observe)
    for number in range(60):
        example = builder.new_example(number, "held-out")
        noise.append((example.stamp - images[-1]) / example.noise_sigma)
    noise = np.array(noise)
    error = 5 / np.sqrt(noise[:, :, :16].size / 8)
    assert noise[:, :, :16].std() == pytest.approx(1, abs=error)
    assert noise[:, :, 16:].std() == pytest.approx(1, abs=error)


def test_fluxes_are_in_the_unit_of_the_recipe(make_recipe, builder):
    """Another zero point scales galaxies and noise alike."""
    other = make_builder(make_recipe(lambda content: content["bands"][0].update(zero_point=28.44)))
    np.testing.assert_allclose(other.example(0).stamp, 10 * builder.example(0).stamp, rtol=1e-4,
                               atol=1e-4)
    assert other.example(0).noise_sigma == pytest.approx(10 * builder.example(0).noise_sigma)


def test_depth(changed, survey):
    """Training examples may have less noise; test examples and new ones never do."""
    builder = changed(depth=dict(share=0.5, deepest=0.05), examples=300)
    conditions = Collection(survey / "galaxies.h5").conditions("acs_f814w")
    level = np.sqrt(conditions.noise_variance).mean()

    def factors(examples):
        return np.array([example.noise_sigma / level for example in examples])

    depth = factors(map(builder.example, range(300)))
    # The levels of the survey differ by less than 5 %.
    deeper = depth[depth < 0.95]
    assert len(deeper) / 300 == pytest.approx(0.5, abs=0.1)
    assert deeper.min() >= 0.95 * 0.05
    # As many above as below the middle of the logarithm; sources with more noise are not deep.
    assert np.mean(deeper < np.sqrt(0.05)) == pytest.approx(0.5, abs=0.15)
    np.testing.assert_allclose(factors(map(builder.example, range(300, 312))), 1.0, atol=0.05)
    new = [builder.new_example(n, sources) for n in range(4) for sources in
           ("held-out", "training")]
    np.testing.assert_allclose(factors(new), 1.0, atol=0.05)


# ---- PSFs -----------------------------------------------------------------------------------


def test_sharper_psfs(changed, builder):
    """Only for training; they are the survey's, narrower."""
    sharp = changed(sharpness=dict(share=0.5, factor=0.7))
    psfs = sharp.psfs()
    assert psfs.shape == (24, 17, 17) and builder.psfs().shape == (12, 17, 17)
    np.testing.assert_allclose(psfs.sum(axis=(1, 2)), 1.0, atol=1e-9)
    np.testing.assert_allclose(psfs[:12], builder.psfs(), atol=1e-12)
    for wide, narrow in zip(psfs[:12], psfs[12:], strict=True):
        assert measured_radius(narrow) == pytest.approx(0.7 * measured_radius(wide), rel=0.12)
    used = np.array([example.psf_index for example in made(sharp, range(40))])
    assert 8 < np.sum(used >= 12) < 32
    assert set(used % 12) <= set(sharp._train_psfs)
    for example in made(sharp, range(40, 52)):
        assert example.psf_index in sharp._test_psfs


def test_psfs_in_both_splits(changed):
    builder = changed(test_psfs=0.0)
    np.testing.assert_array_equal(builder._train_psfs, np.arange(12))
    np.testing.assert_array_equal(builder._test_psfs, np.arange(12))


# ---- pixels ---------------------------------------------------------------------------------


def test_large_galaxies_have_larger_pixels(changed, sizes):
    builder = changed(population__half_light_radius=[0.25, 1.5], population__catalogs=[sizes])
    examples = made(builder, range(40))
    scales = np.array([example.pixel_scale for example in examples])
    radii = np.array([0.03 * example.columns["flux_radius"] for example in examples])
    assert scales.min() >= 0.03 and len(np.unique(scales[scales > 0.03])) > 10
    # No source is enlarged so far that its detail would be missing.
    assert (radii / scales).max() < 1.3 * builder._traits.largest[0].max()
    assert np.corrcoef(np.log(radii), np.log(scales))[0, 1] > 0.8
    for example in made(builder, range(40, 52)):
        assert 0.9 < example.noiseless.sum() / flux_of(example) < 1.01
        # Measured in its own pixels, behind a PSF that is wider by the same factor.
        psf = measured_radius(builder.psfs()[example.psf_index])
        observed = measured_radius(example.noiseless)
        radius = np.sqrt(observed**2 - psf**2) * example.pixel_scale
        assert 0.03 * example.columns["flux_radius"] == pytest.approx(radius, rel=0.15)


def test_small_galaxies_have_those_of_the_survey(builder):
    assert {example.pixel_scale for example in made(builder, range(52))} == {0.03}


# ---- sources --------------------------------------------------------------------------------


def test_sources_have_the_drawn_morphology(builder):
    """Sources with a similar Sersic index, axis ratio and redshift are chosen."""
    rng = np.random.default_rng(1)
    builder = make_builder(builder.recipe)
    count = 200
    traits = type(builder._traits)(
        circularised=np.full(count, 0.5), log_n=rng.uniform(-0.7, 1.4, count),
        axis_ratio=rng.uniform(0.2, 1, count), log_z=np.log1p(rng.uniform(0, 3, count)),
        weight=np.ones(count), largest=np.full((1, count), 14.0))
    builder.__dict__["_traits"] = traits
    asked, found = [], []
    for _ in range(400):
        wanted = Drawn(22.0, 0.1, rng.uniform(0, 3), float(np.exp(rng.uniform(-0.7, 1.4))),
                       rng.uniform(0.2, 1))
        source = builder._pick_source(wanted, 4.0, 0, np.arange(count), rng)
        asked.append((np.log(wanted.sersic_n), wanted.axis_ratio, np.log1p(wanted.redshift)))
        found.append((traits.log_n[source], traits.axis_ratio[source], traits.log_z[source]))
    asked, found = np.array(asked), np.array(found)
    for trait, least in enumerate((0.7, 0.7, 0.5)):
        assert np.corrcoef(asked[:, trait], found[:, trait])[0, 1] > least


def test_sources_are_not_enlarged_beyond_their_detail(builder):
    builder = make_builder(builder.recipe)
    alike = np.zeros(90)
    traits = type(builder._traits)(
        circularised=alike + 0.5, log_n=alike, axis_ratio=alike + 0.5,
        log_z=np.where(np.arange(90) % 2, np.nan, 0.4), weight=np.repeat([1.0, 0.1, 1.0], 30),
        largest=np.repeat([[3.0, 10.0, 12.0]], 30, axis=1))
    builder.__dict__["_traits"] = traits
    wanted, rng = Drawn(22.0, 0.15, 0.5, 1.0, 0.5), np.random.default_rng(1)
    chosen = np.array([builder._pick_source(wanted, 5.0, 0, np.arange(90), rng)
                       for _ in range(400)])
    assert chosen.min() >= 30
    # In proportion to their weight; an unknown redshift may be any.
    assert np.mean(chosen < 60) == pytest.approx(0.1 / 1.1, abs=0.05)
    assert 0.2 < np.mean(chosen % 2) < 0.6


def test_split(builder, dataset):
    train = set(dataset.source[dataset.train_indices])
    test = set(dataset.source[dataset.test_indices])
    assert train and test and not train & test
    # Ten sources show seven galaxies, and galaxies are what is counted.
    assert not (train | test) & HELD_OUT and train | test <= {0, 1, 2, 3, 6, 7, 10}
    psfs = [set(dataset.psf_index[rows]) for rows in (dataset.train_indices, dataset.test_indices)]
    assert len(psfs[1]) == 3 and not psfs[0] & psfs[1]
    indices, stamps = dataset.noiseless()
    np.testing.assert_array_equal(indices, dataset.test_indices)
    assert len(stamps) == len(indices)


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_in_one_split_for_every_seed(seed, changed, make_recipe):
    def change(content):
        content["seed"] = seed
        content["data"]["test_sources"] = 0.5

    builder = make_builder(make_recipe(change))
    sides = [{builder._sources[i].name for i in side} for side in (builder._train, builder._test)]
    names = {number: f"made-{number:02d}" for number in range(12)}
    assert sides[0] | sides[1] == {names[number] for number in set(range(12)) - HELD_OUT}
    for group in GROUPS.values():
        stamps = {names[number] for number in group}
        assert stamps <= sides[0] or stamps <= sides[1]
    examples = [{builder.example(n).source for n in numbers}
                for numbers in (range(24), range(40, 52))]
    assert not examples[0] & examples[1]


@pytest.mark.parametrize("sources", ["held-out", "training"])
def test_new_examples(builder, sources):
    """They show sources of the requested split, through PSFs that training does not use."""
    side = {"training": builder._train, "held-out": builder._test}[sources]
    groups = {builder._sources[i].group for i in side}
    for number in range(10):
        example, again = builder.new_example(number, sources), builder.new_example(number, sources)
        np.testing.assert_array_equal(example.stamp, again.stamp)
        assert example.source in groups and example.psf_index in builder._test_psfs
        assert example.test and example.noiseless is not None


def test_test_examples_come_last(builder):
    assert len(builder) == 52
    for number, test in [(0, False), (39, False), (40, True), (51, True)]:
        example = builder.example(number)
        assert example.test is test and (example.noiseless is not None) is test


def test_an_example_depends_on_its_number_only(builder, recipe):
    backwards = {number: builder.example(number) for number in (45, 7, 3)}
    afresh = make_builder(recipe)
    for number in (3, 7, 45):
        one, other = backwards[number], afresh.example(number)
        np.testing.assert_array_equal(one.stamp, other.stamp)
        assert one.columns == other.columns and one.source == other.source


def test_another_seed(builder, make_recipe):
    other = make_builder(make_recipe(lambda content: content.update(seed=4)))
    assert other.example(0).columns != builder.example(0).columns


# ---- bad settings ---------------------------------------------------------------------------


def test_columns_that_it_cannot_make(make_recipe):
    def change(content):
        content["columns"][2].update(name="bulge_to_total", quantity="other")

    with pytest.raises(galsim.GalSimConfigError, match="'bulge_to_total'.*half_light_radius"):
        make_builder(make_recipe(change))


def test_sizes_must_not_include_the_psf(make_recipe):
    def change(content):
        content["columns"][0]["as_observed"] = True

    with pytest.raises(galsim.GalSimConfigError,
                       match="'flux_radius' with 'as_observed: true'.*before the PSF"):
        make_builder(make_recipe(change))


def test_pixels_that_are_not_the_survey_s(changed):
    with pytest.raises(galsim.GalSimConfigError, match="pixel_scale.*0.05 .*acs_f814w.*0.03"):
        changed(top=dict(stamp=dict(pixel_scale=0.05)))


@pytest.mark.parametrize("setting, value", [
    ("sources__collection", "absent.h5"),
    ("population__catalogs", [dict(file_name="absent.csv")])])
def test_missing_files(setting, value, changed):
    with pytest.raises(galsim.GalSimError, match="absent"):
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
    (dict(sharpness=dict(factor=0.0)), "sharpness.factor"),
    (dict(enlargement=0.0), "enlargement"),
    (dict(conditions="euclid"), "euclid.*acs_f814w"),
    (dict(sources__weights=dict(ceers=1.0)), "ceers.*cut, sky"),
    (dict(sources__leave_out=["made-12"]), "made-12"),
    (dict(population__half_light_radius=[5.0, 5.0]), "half_light_radius"),
    (dict(population__even_share=1.5), "even_share"),
    (dict(population__catalogs=[]), "population"),
], ids=str)
def test_settings_that_make_no_sense(settings, message, changed):
    with pytest.raises(galsim.GalSimError, match=message):
        changed(**settings)


def test_no_test_split(changed):
    """Without test examples and held-out sources there is nothing to hold out."""
    builder = changed(test_examples=0, test_sources=0.0)
    assert len(builder) == 40 and len(builder._train) == 10
    assert builder.new_example(0, "training").test
    with pytest.raises(galsim.GalSimConfigError, match="test_sources"):
        builder.new_example(0, "held-out")


# ---- with real galaxies ---------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("name", ["acs_flow_vae", "acs_mpcc"])
def test_the_shipped_recipes(name, write_recipe):
    """Some examples of their data sets, of the sources of one survey: preparing all of them takes a
    minute."""
    shipped = Path(__file__).parents[4] / "training" / "recipes" / f"{name}.yaml"
    text = shipped.read_text().replace("../sources", str(shipped.parents[1] / "sources"))
    content = yaml.safe_load(text)
    sources = content["data"]["sources"]
    collection = Collection(sources["collection"])
    sources.update(weights={survey: float(survey == "hudf") for survey in collection.surveys},
                   leave_out=[])
    builder = make_builder(read_recipe(write_recipe(content)))
    table = collection.table
    used = (table["survey"] == "hudf") & ~table["held_out"]
    assert [source.name for source in builder._sources] == list(table["name"][used])
    count = content["data"]["examples"]
    for number in [*range(12), *range(count, count + 6)]:
        example = builder.example(number)
        assert np.isfinite(example.stamp).all() and example.stamp.shape == (128, 128)
        flux = 10 ** (-0.4 * (example.columns["mag_auto"] - 25.94))
        assert 0.05 < example.columns["hlr"] < 8 and 16 <= example.columns["mag_auto"] <= 28
        if example.test:
            assert 0.88 < example.noiseless.sum() / flux < 1.01
