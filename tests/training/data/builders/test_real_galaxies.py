"""The real-galaxy builder: pixels, noise and columns of a GalSim catalogue folder."""

import shutil
from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from galsim_deep.observations.noise import read_correlation
from galsim_deep_training.data.build import build
from galsim_deep_training.data.builders import make_builder
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.data.identity import data_settings_hash

NO_REDSHIFT, BLENDED, FAILED = 5, 3, 8
LARGER, SMALLER, ODD = 7, 1, 2  # stamps of 48, 24 and 41 pixels; the recipe asks for 32


@pytest.fixture(scope="module")
def real_recipe(make_recipe):
    return make_recipe(builder="real_galaxies")


@pytest.fixture(scope="module")
def builder(real_recipe):
    return make_builder(real_recipe)


@pytest.fixture(scope="module")
def catalog(survey):
    return galsim.RealGalaxyCatalog(str(survey / "real_galaxy_catalog.fits"))


@pytest.fixture
def changed(survey, make_recipe, tmp_path):
    """``changed(edit, **settings)``: a builder for a copy of the folder, changed by ``edit``."""
    def make(edit=lambda folder: None, **settings):
        folder = tmp_path / "survey"
        shutil.copytree(survey, folder)
        edit(folder)

        def change(content):
            content["data"].update(
                settings, catalog=str(folder / "real_galaxy_catalog.fits"))

        return make_builder(make_recipe(change, builder="real_galaxies"))

    return make


def test_a_larger_stamp_is_cropped(builder, catalog):
    original = catalog.getGalImage(LARGER).array
    stamp = builder.example(LARGER).stamp
    assert stamp.shape == (32, 32) and original.shape == (48, 48)
    np.testing.assert_allclose(stamp, original[8:-8, 8:-8], atol=1e-6 * original.max())


def test_a_smaller_stamp_is_padded_with_noise(builder, catalog):
    original = catalog.getGalImage(SMALLER).array
    example = builder.example(SMALLER)
    np.testing.assert_allclose(example.stamp[4:-4, 4:-4], original, atol=1e-6 * original.max())
    assert not np.any(example.stamp == 0.0)


def test_the_variance_of_the_padding(changed, catalog):
    """Over many draws of the noise: seeds differ by the number of the example."""
    def shrink(folder):
        # One small galaxy, listed many times.
        path = folder / "real_galaxy_catalog.fits"
        table = Table.read(path)
        table = table[np.full(60, SMALLER)]
        table["IDENT"] = np.arange(60)
        table.write(path, overwrite=True)
        path = folder / "real_galaxy_catalog_fits.fits"
        table = Table.read(path)[np.full(60, SMALLER)]
        table["IDENT"] = np.arange(60)
        table.write(path, overwrite=True)

    builder = changed(shrink)
    stamps = np.array([builder.example(number).stamp for number in range(60)])
    padding = np.ones((32, 32), bool)
    padding[3:-3, 3:-3] = False
    noise = stamps[:, padding]
    variance = catalog.variance[SMALLER]
    assert builder.example(0).noise_sigma == pytest.approx(np.sqrt(variance))
    # Neighbouring pixels are correlated, so fewer of them count than there are.
    assert noise.var() == pytest.approx(variance, rel=0.06)
    assert abs(noise.mean()) < 0.1 * np.sqrt(variance)
    correlation = np.mean(stamps[:, 0, 1:] * stamps[:, 0, :-1]) / variance
    with fits.open(catalog.noise_file_name[SMALLER]) as file:
        middle = np.array(file[0].data.shape) // 2
        expected = file[0].data[middle[0], middle[1] + 1] / file[0].data[middle[0], middle[1]]
    assert correlation == pytest.approx(expected, abs=0.05)


def test_a_stamp_of_the_other_parity_keeps_its_place(builder, catalog):
    """It is interpolated half a pixel further on, about the same true centre."""
    original = catalog.getGalImage(ODD).array
    stamp = builder.example(ODD).stamp
    crop = original[4:-4, 4:-4]
    neighbours = 0.25 * (crop[1:, 1:] + crop[1:, :-1] + crop[:-1, 1:] + crop[:-1, :-1])
    peak = np.unravel_index(neighbours.argmax(), neighbours.shape)
    assert np.unravel_index(stamp.argmax(), stamp.shape) == peak
    assert stamp.sum() == pytest.approx(crop.sum(), rel=0.02)


def test_examples(builder, catalog):
    assert len(builder) == 12
    psfs = builder.psfs()
    assert psfs.shape == (12, 17, 17)
    for number in (0, 6, 11):
        example = builder.example(number)
        assert (example.psf_index, example.source) == (number, number)
        assert example.noise_sigma == pytest.approx(np.sqrt(catalog.variance[number]))
        assert example.noiseless is None
        original = catalog.getPSFImage(number).array[8:25, 4:21]
        np.testing.assert_allclose(psfs[example.psf_index], original / original.sum(),
                                   atol=1e-4 * psfs.max())


def columns_of(builder):
    examples = [builder.example(number) for number in range(len(builder))]
    return [None if example is None else example.columns for example in examples]


def test_columns(builder, survey):
    table = Table.read(survey / "real_galaxy_catalog_fits.fits")
    for number, columns in enumerate(columns_of(builder)):
        if number == NO_REDSHIFT:
            assert columns is None
        else:
            assert columns == dict(
                flux_radius=table["flux_radius"][number], mag_auto=table["mag_auto"][number],
                zphot=table["ZPHOT"][number])


def test_columns_are_joined_by_identity(builder, changed):
    def shuffle(folder):
        path = folder / "real_galaxy_catalog_fits.fits"
        table = Table.read(path)
        table[np.random.default_rng(0).permutation(len(table))].write(path, overwrite=True)

    assert columns_of(changed(shuffle)) == columns_of(builder)


def test_galaxies_that_are_not_in_the_catalogue_of_fits(changed):
    def remove(folder):
        path = folder / "real_galaxy_catalog_fits.fits"
        table = Table.read(path)
        table[[i for i in range(12) if i not in (0, 10)]].write(path, overwrite=True)

    found = columns_of(changed(remove))
    assert [number for number in range(12) if found[number] is None] == [0, NO_REDSHIFT, 10]


def test_columns_of_the_main_catalogue(changed):
    builder = changed(columns=dict(zphot="ZPHOT", mag_auto="MAG"))
    table = Table.read(builder.locate(builder.settings.catalog))
    assert builder.example(6).columns["mag_auto"] == table["MAG"][6]

    # and without a catalogue of fits at all
    (builder.locate(builder.settings.catalog).parent / "real_galaxy_catalog_fits.fits").unlink()
    with pytest.raises(galsim.GalSimConfigError, match="'flux_radius'"):
        make_builder(builder.recipe)


def test_a_missing_column(changed):
    with pytest.raises(galsim.GalSimConfigError) as info:
        changed(columns=dict(zphot="Z_BEST"))
    for word in ("'Z_BEST'", "zphot", "real_galaxy_catalog.fits", "real_galaxy_catalog_fits.fits"):
        assert word in str(info.value)


def test_the_file(real_recipe, tmp_path):
    counts = build(real_recipe, tmp_path / "data.h5", 2, progress=False)
    assert counts == (11, 1)
    dataset = Dataset(tmp_path / "data.h5")
    assert len(dataset) == 11 and NO_REDSHIFT not in dataset.source
    np.testing.assert_array_equal(dataset.psf_index, dataset.source)
    assert len(dataset.psfs) == 12
    assert 2 <= len(dataset.test_indices) <= 3
    assert not set(dataset.source[dataset.test_indices]) & set(
        dataset.source[dataset.train_indices])
    assert dataset.noiseless()[0].shape == (0,)


@pytest.mark.parametrize("variance", [0.0, np.nan, -1.0])
def test_galaxies_of_unknown_noise_are_left_out(changed, variance):
    """Others with the same noise file are kept."""
    def edit(folder):
        path = folder / "real_galaxy_catalog.fits"
        table = Table.read(path)
        table["NOISE_VARIANCE"][0] = variance
        table.write(path, overwrite=True)

    builder = changed(edit)
    assert builder.example(0) is None
    other = builder.example(1)
    assert other.noise_sigma > 0 and np.isfinite(other.stamp).all()
    assert np.isfinite(builder.noise_correlations()).all()


def test_quality_cuts(changed, catalog):
    """Those of GalSim; examples keep to the galaxies that are left."""
    builder = changed(exclusion_level="marginal")
    left = [i for i in range(12) if i not in (BLENDED, FAILED)]
    assert len(builder) == 10 and builder.psfs().shape == (10, 17, 17)
    number = left.index(LARGER)
    example = builder.example(number)
    original = catalog.getGalImage(LARGER).array
    np.testing.assert_allclose(example.stamp, original[8:-8, 8:-8], atol=1e-6 * original.max())
    assert example.columns["mag_auto"] == pytest.approx(catalog.mag[LARGER])
    assert example.noise_sigma == pytest.approx(np.sqrt(catalog.variance[LARGER]))
    psf = catalog.getPSFImage(LARGER).array[8:25, 4:21]
    np.testing.assert_allclose(builder.psfs()[example.psf_index], psf / psf.sum(),
                               atol=1e-4 * psf.max())


def test_quality_cuts_need_their_files(changed):
    with pytest.raises(galsim.GalSimConfigError, match="'bad_stamp'.*selection"):
        changed(lambda folder: (folder / "real_galaxy_catalog_selection.fits").unlink(),
                exclusion_level="bad_stamp")


@pytest.mark.parametrize("level, count", [("none", 12), ("bad_stamp", 11), ("bad_fits", 11)])
def test_levels_of_quality_cuts(level, count, changed):
    assert len(changed(exclusion_level=level)) == count


def test_unknown_quality_cuts(changed):
    with pytest.raises(galsim.GalSimConfigError, match="'severe'"):
        changed(exclusion_level="severe")


# ---- noise, other pixels, ranges ------------------------------------------------------------


def test_the_correlation_of_the_noise(builder, catalog):
    expected = read_correlation(Path(catalog.noise_file_name[0]))
    assert builder.noise_correlations().shape == (1, 33, 33)
    np.testing.assert_allclose(builder.noise_correlations()[0], expected, atol=1e-6)
    assert all(builder.example(n).noise_index == 0 for n in (0, 6, 11))


def test_noise_files_of_several_kinds(changed):
    def second(folder):
        path = folder / "real_galaxy_catalog.fits"
        table = Table.read(path)
        image = galsim.fits.read(str(folder / "acs_I_unrot_sci_20_cf.fits"))
        image *= 2.0  # the same correlation at twice the variance
        image[image.center.x + 1, image.center.y] *= 0.5
        image[image.center.x - 1, image.center.y] *= 0.5
        image.write(str(folder / "other.fits"))
        names = [str(name) for name in table["NOISE_FILENAME"]]
        table["NOISE_FILENAME"] = [*names[:6], *["other.fits"] * 6]
        table.write(path, overwrite=True)

    builder = changed(second)
    first, other = builder.noise_correlations()
    assert first[16, 16] == other[16, 16] == 1
    assert other[16, 17] == pytest.approx(0.5 * first[16, 17], rel=1e-3)
    assert other[17, 16] == pytest.approx(first[17, 16], rel=1e-3)
    assert [builder.example(n).noise_index for n in (0, 4, 6, 11)] == [0, 0, 1, 1]


def test_a_catalogue_without_noise_files(changed):
    def without(folder):
        path = folder / "real_galaxy_catalog.fits"
        table = Table.read(path)
        table.remove_column("NOISE_FILENAME")
        table.write(path, overwrite=True)

    correlation, = changed(without).noise_correlations()
    assert correlation[16, 16] == 1
    correlation[16, 16] = 0
    assert abs(correlation).max() < 1e-6


@pytest.mark.parametrize("scale", [0.03, 0.05])
def test_pixels_of_another_size(scale, make_recipe):
    """Flux, columns, PSF and noise are those of the same sky, in the recipe's pixels."""
    def change(content):
        content["stamp"]["pixel_scale"] = scale

    builder = make_builder(make_recipe(change, builder="real_galaxies"))
    as_is = make_builder(make_recipe(builder="real_galaxies"))
    for number in (0, 7):
        example, original = builder.example(number), as_is.example(number)
        ratio = scale / 0.03
        assert example.columns["flux_radius"] == pytest.approx(
            original.columns["flux_radius"] / ratio)
        assert example.columns["mag_auto"] == original.columns["mag_auto"]
        # Interpolation reduces the noise somewhat.
        assert example.noise_sigma == pytest.approx(ratio**2 * original.noise_sigma, rel=0.1)
        if ratio == 1:
            assert example.noise_sigma == original.noise_sigma
        # The flux within the same angle is the same.
        half = round(0.4 / scale)
        here = example.stamp[16 - half:16 + half, 16 - half:16 + half].sum()
        half = round(0.4 / 0.03)
        there = original.stamp[16 - half:16 + half, 16 - half:16 + half].sum()
        assert here == pytest.approx(there, rel=0.05)
    psf, native = (b.psfs()[7] for b in (builder, as_is))
    assert psf.sum() == pytest.approx(1)
    assert psf.max() == pytest.approx(ratio**2 * native.max(), rel=0.05)


@pytest.mark.parametrize("scale", [0.02, 0.05])
def test_noise_in_pixels_of_another_size(scale, changed, make_recipe):
    """Variance and correlation describe the noise in resampled stamps."""
    def empty(folder):
        noise = galsim.getCOSMOSNoise(str(folder / "acs_I_unrot_sci_20_cf.fits"), variance=1.0,
                                      rng=galsim.BaseDeviate(4), cosmos_scale=0.03)
        images = []
        for _ in range(12):
            images.append(galsim.Image(160, 160, scale=0.03, dtype=float))
            images[-1].addNoise(noise)
        galsim.fits.writeMulti(images, str(folder / "real_galaxy_images.fits"))
        table = Table.read(folder / "real_galaxy_catalog.fits")
        table["NOISE_VARIANCE"] = 1.0
        table.write(folder / "real_galaxy_catalog.fits", overwrite=True)

    settings = changed(empty).recipe.data.settings

    def other(content):
        content["stamp"].update(pixel_scale=scale, size=96)
        content["data"] = dict(settings, kind="real_galaxies")

    builder = make_builder(make_recipe(other, builder="real_galaxies"))
    examples = [e for e in map(builder.example, range(12)) if e is not None]
    scaled = np.array([e.stamp / e.noise_sigma for e in examples])
    assert scaled.var() == pytest.approx(1, abs=0.05)
    expected = builder.noise_correlations()[0]
    for dy, dx in [(0, 1), (1, 1)]:
        found = (scaled[:, dy:, dx:] * scaled[:, :96 - dy, :96 - dx]).mean() / scaled.var()
        assert found == pytest.approx(expected[16 + dy, 16 + dx], abs=0.03)


def test_galaxies_outside_the_ranges_are_left_out(make_recipe, survey, tmp_path):
    table = Table.read(survey / "real_galaxy_catalog_fits.fits")
    middle = float(np.median(table["mag_auto"]))

    def change(content):
        content["data"]["ranges"] = dict(mag_auto=[19.5, middle])

    recipe = make_recipe(change, builder="real_galaxies")
    good = np.asarray(table["mag_auto"] <= middle) & (np.arange(12) != NO_REDSHIFT)
    counts = build(recipe, tmp_path / "data.h5", 2, progress=False)
    assert counts == (good.sum(), 12 - good.sum())
    np.testing.assert_array_equal(Dataset(tmp_path / "data.h5").source, np.flatnonzero(good))


def test_a_data_set_is_known_by_all_that_decides_its_galaxies(make_recipe):
    """The ranges of the builder do, and the unit of a column; the valid range is for the card."""
    def settings_hash(change=None):
        return data_settings_hash(make_recipe(change, builder="real_galaxies"))

    same = settings_hash(lambda content: content["columns"][1].update(valid_range=[20.5, 23.0]))
    assert same == settings_hash()
    assert settings_hash(lambda content: content["data"].update(
        ranges=dict(mag_auto=[20.5, 23.0]))) != settings_hash()
    assert settings_hash(
        lambda content: content["columns"][0].update(unit="arcsec")) != settings_hash()


@pytest.mark.parametrize("key, value", [("ranges", [0, 1]), ("columns", "MAG")])
def test_settings_of_a_column_that_the_recipe_does_not_have(key, value, changed):
    with pytest.raises(galsim.GalSimConfigError, match=rf"data\.{key}.*mag_best"):
        changed(**{key: dict(mag_best=value)})


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_the_test_fraction_is_a_share(share, changed):
    with pytest.raises(galsim.GalSimConfigError, match="test_fraction: "):
        changed(test_fraction=share)


# ---- with real galaxies ---------------------------------------------------------------------


def test_real_galaxies(reference_data, make_recipe, tmp_path):
    def change(content):
        content["stamp"].update(size=64, psf_size=65)
        content["data"] = dict(
            kind="real_galaxies", ranges=dict(flux_radius=[2.0, 100.0], zphot=[0.0, 5.0]),
            catalog=str(reference_data / "cosmos_f814w_50" / "real_galaxy_catalog.fits"),
            columns=dict(mag_auto="MAG", zphot="ZPHOT"))

    recipe = make_recipe(change, builder="real_galaxies")
    written, skipped = build(recipe, tmp_path / "data.h5", progress=False)
    assert written + skipped == 50 and written >= 40
    dataset = Dataset(tmp_path / "data.h5")
    assert dataset.psfs.shape == (50, 65, 65)
    # One noise file, so one correlation: drizzled pixels go together.
    assert dataset.noise_correlation.shape == (1, 33, 33)
    assert dataset.noise_correlation[0, 16, 17] == pytest.approx(0.476, abs=0.01)
    batch = dataset.read(np.arange(len(dataset)))
    assert all(np.isfinite(values).all() for values in batch.values())
    catalog = galsim.RealGalaxyCatalog(recipe.data.settings["catalog"])
    table = Table.read(recipe.data.settings["catalog"])
    measured = Table.read(reference_data / "cosmos_f814w_50" / "real_galaxy_catalog_fits.fits")
    cropped = 0
    for row, source in enumerate(dataset.source):
        assert batch["mag_auto"][row] == np.float32(table["MAG"][source])
        same = np.flatnonzero(measured["IDENT"] == table["IDENT"][source])[0]
        assert batch["flux_radius"][row] == np.float32(measured["flux_radius"][same])
        original = catalog.getGalImage(source).array
        if original.shape[0] % 2 == original.shape[1] % 2 == 0 and min(original.shape) >= 64:
            y, x = (np.array(original.shape) - 64) // 2
            np.testing.assert_allclose(batch["stamp"][row], original[y:y + 64, x:x + 64],
                                       atol=1e-5 * original.max())
            cropped += 1
    assert cropped >= 3


def test_a_stamp_that_is_not_finite_is_not_used(builder, monkeypatch):
    """The other galaxies of the survey are."""
    draw = galsim.GSObject.drawImage

    def damaged(*args, **options):
        image = draw(*args, **options)
        image.array[3, 4] = np.nan
        return image

    assert builder.example(0) is not None
    monkeypatch.setattr(galsim.GSObject, "drawImage", damaged)
    assert builder.example(0) is None
