"""Real galaxies from a catalogue folder and from a data set file."""

import shutil

import galsim
import h5py
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.observations.clipping import clipped
from galsim_deep.observations.real_galaxies import PSF_SIZE, open_real_galaxies

COLUMNS = {"flux_radius", "mag_auto", "zphot"}


@pytest.fixture
def card(model):
    """That of a module on stamps of 128 pixels, whose sizes are those of SExtractor."""
    radius, magnitude, redshift = map(
        model.card.column_of, ("half_light_radius", "magnitude", "redshift"))
    radius = radius.model_copy(update=dict(name="flux_radius", unit="pix", as_observed=True))
    return model.card.model_copy(update=dict(
        stamp=model.card.stamp.model_copy(update=dict(size=128)),
        columns=(radius, magnitude, redshift)))


def same(first, second):
    """Whether two observations are the same."""
    return (np.array_equal(first.stamp, second.stamp) and np.array_equal(first.psf, second.psf)
            and first.columns == second.columns and first.source == second.source
            and first.noise_sigma == second.noise_sigma)


# ---- the galaxies of COSMOS -----------------------------------------------------------------


@pytest.fixture
def cosmos(reference_data):
    return reference_data / "cosmos_f814w_50"


def test_all_galaxies_of_cosmos(cosmos, card):
    galaxies = open_real_galaxies(cosmos, card)
    assert len(galaxies) == 50 and galaxies.left_out == {}
    assert set(galaxies.pixel_scales) == {0.03} and set(galaxies.stamp_sizes) == {128}
    assert set(galaxies.columns) == COLUMNS
    np.testing.assert_array_equal(galaxies.source, np.arange(50))
    observation = galaxies.observation(17)
    assert (observation.number, observation.source) == (17, 17)
    assert observation.columns == {name: galaxies.columns[name][17] for name in COLUMNS}
    assert observation.noiseless is None


def test_sizes_before_the_psf(cosmos, card, model):
    """Sizes of a module whose column does not contain the PSF; shapes that it may lack are NaN."""
    galaxies = open_real_galaxies(cosmos, model.card)
    observed = 0.03 * open_real_galaxies(cosmos, card).columns["flux_radius"]
    assert len(galaxies) == 50 and np.isnan(galaxies.columns["sersic_n"]).all()
    smaller = galaxies.columns["hlr"] / observed
    assert np.all((smaller > 0.5) & (smaller < 1))
    # The PSF has a radius of some 0.07 arcsec, so that it matters for small galaxies.
    assert np.all(smaller[observed > 0.5] > 0.98) and np.any(smaller < 0.9)


def test_stamps_are_those_of_the_catalogue_and_noise_around_them(cosmos, card):
    """Bit by bit in the middle; what is added has the variance and correlation of the rest."""
    galaxies = open_real_galaxies(cosmos, card)
    catalog = galsim.RealGalaxyCatalog("real_galaxy_catalog.fits", dir=str(cosmos))
    added = []
    for number in range(50):
        observation, image = galaxies.observation(number), catalog.getGalImage(number).array
        assert observation.stamp.shape == (128, 128) and np.isfinite(observation.stamp).all()
        assert observation.noise_sigma == pytest.approx(np.sqrt(catalog.variance[number]))
        height, width = (min(128, n) for n in image.shape)
        y, x = (128 - height) // 2, (128 - width) // 2
        cut_y, cut_x = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        np.testing.assert_array_equal(
            observation.stamp[y:y + height, x:x + width],
            image[cut_y:cut_y + height, cut_x:cut_x + width])
        # Not even at its edges does the image move by more than half a pixel.
        assert abs(2 * y + height - 128) <= 1 and abs(2 * x + width - 128) <= 1
        if y > 3:
            added.append((observation.stamp[:y] / observation.noise_sigma,
                          observation.noise_correlation))
    assert len(added) > 20
    assert np.concatenate([rows.ravel() for rows, _ in added]).std() == pytest.approx(1, rel=0.03)
    neighbours = np.mean([(rows[:, 1:] * rows[:, :-1]).mean() for rows, _ in added])
    assert added[0][1].shape[0] % 2 == 1
    middle = added[0][1].shape[0] // 2
    assert added[0][1][middle, middle] == 1
    expected = added[0][1][middle, middle + 1]
    assert 0.1 < expected < 0.9
    assert neighbours == pytest.approx(expected, abs=0.03)


def test_psfs_are_those_of_the_catalogue(cosmos, card):
    galaxies = open_real_galaxies(cosmos, card)
    catalog = galsim.RealGalaxyCatalog("real_galaxy_catalog.fits", dir=str(cosmos))
    for number in (0, 31):
        psf = galaxies.observation(number).psf
        assert psf.shape == (PSF_SIZE, PSF_SIZE) and psf.sum() == pytest.approx(1.0)
        assert np.unravel_index(psf.argmax(), psf.shape) == (PSF_SIZE // 2, PSF_SIZE // 2)
        drawn = catalog.getPSFImage(number).array
        expected = drawn.max() / drawn.sum()
        assert psf.max() == pytest.approx(expected, rel=0.1)


def test_padding_is_that_of_the_seed(cosmos, card):
    first, again, other, turned = (
        open_real_galaxies(cosmos, card, seed=seed) for seed in (1, 1, 2, 1))
    numbers = range(0, 50, 5)
    before = [first.observation(number) for number in numbers]
    assert all(same(one, again.observation(n)) for one, n in zip(before, numbers, strict=True))
    assert same(first.observation(0), before[0])
    assert not all(same(one, other.observation(n))
                   for one, n in zip(before, numbers, strict=True))
    # In whatever order galaxies are asked for, to the last digits.
    for one, number in list(zip(before, numbers, strict=True))[::-1]:
        np.testing.assert_allclose(turned.observation(number).stamp, one.stamp, atol=1e-12)
    # No two galaxies share their noise.
    corners = {tuple(observation.stamp[0, :4]) for observation in before}
    assert len(corners) == len(before)


@pytest.mark.parametrize("variance", [0.0, np.nan])
def test_a_galaxy_without_variance_does_not_spoil_the_others(cosmos, card, tmp_path, variance):
    """All of them have one noise file, which the first one that is asked for opens."""
    folder = shutil.copytree(cosmos, tmp_path / "cosmos")
    table = Table.read(folder / "real_galaxy_catalog.fits")
    table["NOISE_VARIANCE"][0] = variance
    table.write(folder / "real_galaxy_catalog.fits", overwrite=True)
    galaxies = open_real_galaxies(folder, card)
    assert np.isnan(galaxies.observation(0).noise_sigma)
    assert np.isfinite(galaxies.observation(1).noise_correlation).all()
    assert np.isfinite(galaxies.observation(1).stamp).all()


@pytest.mark.long
def test_a_count_takes_the_same_galaxies_for_the_same_seed(cosmos, card):
    whole = open_real_galaxies(cosmos, card)
    first, again, other = (open_real_galaxies(cosmos, card, count=12, seed=s) for s in (1, 1, 2))
    assert len(first) == 12 and first.left_out == {"not selected at random": 38}
    np.testing.assert_array_equal(first.source, again.source)
    assert len(np.unique(first.source)) == 12 and (np.diff(first.source) > 0).all()
    assert set(first.source) != set(other.source)
    # The columns and the stamps are those of these galaxies.
    for name in COLUMNS:
        np.testing.assert_array_equal(first.columns[name], whole.columns[name][first.source])
    assert same(first.observation(3), whole.observation(first.source[3]))
    assert open_real_galaxies(cosmos, card, count=50).left_out == {}
    assert len(open_real_galaxies(cosmos, card, count=1000)) == 50


# ---- a small catalogue of other pixels ------------------------------------------------------


@pytest.fixture
def catalog(write_catalog, tmp_path):
    """Pixels of 0.05 arcsec, stamps of 31, 90 and 40; the last galaxy lacks its redshift."""
    return write_catalog(tmp_path / "galaxies").parent


def test_pixels_of_a_catalogue_become_those_of_the_module(catalog, card):
    galaxies = open_real_galaxies(catalog, card)
    assert set(galaxies.pixel_scales) == {0.05}
    # The extent of the module is 128 pixels of 0.03 arcsec.
    assert set(galaxies.stamp_sizes) == {76}
    np.testing.assert_allclose(galaxies.columns["flux_radius"], np.array([3.0, 6.0]) / 0.6)
    np.testing.assert_array_equal(galaxies.columns["mag_auto"], [20, 21])
    np.testing.assert_array_equal(galaxies.columns["zphot"], [0.7, 0.3])


def test_a_galaxy_that_lacks_a_column_is_left_out(catalog, card):
    galaxies = open_real_galaxies(catalog, card)
    assert len(galaxies) == 2 and galaxies.left_out == {"a column is missing": 1}
    np.testing.assert_array_equal(galaxies.source, [0, 1])
    galaxies = open_real_galaxies(catalog, card, count=1)
    assert galaxies.left_out == {"a column is missing": 1, "not selected at random": 1}


def test_stamps_are_padded_and_cut_about_their_middle(catalog, card):
    galaxies = open_real_galaxies(catalog, card, columns=dict(zphot="mag"))
    assert len(galaxies) == 3
    small, large, even = (galaxies.observation(number).stamp for number in range(3))
    np.testing.assert_array_equal(small[22:53, 22:53], np.arange(31.0 * 31).reshape(31, 31))
    np.testing.assert_array_equal(large, np.arange(90.0 * 90).reshape(90, 90)[7:83, 7:83])
    np.testing.assert_array_equal(even[18:58, 18:58], np.arange(1600.0).reshape(40, 40))
    for stamp, sigma, first in [(small, 2, 22), (even, 4, 18)]:
        padding = np.concatenate([stamp[:first].ravel(), stamp[:, :first].ravel()])
        assert padding.std() == pytest.approx(sigma, rel=0.06)
        assert padding.mean() == pytest.approx(0, abs=0.3 * sigma)
    observation = galaxies.observation(1)
    assert observation.noise_sigma == 3.0 and observation.pixel_scale == 0.05
    assert observation.noise_correlation is None or np.array_equal(
        observation.noise_correlation > 0.5, np.pad([[True]], len(
            observation.noise_correlation) // 2))


def test_the_psf_is_drawn_in_pixels_of_the_survey(catalog, card):
    """Effective PSFs: the pixel of the galaxies is not applied again."""
    psf = open_real_galaxies(catalog, card).observation(0).psf
    expected = galsim.Gaussian(fwhm=0.12).drawImage(
        nx=PSF_SIZE, ny=PSF_SIZE, scale=0.05, dtype=float).array
    np.testing.assert_allclose(psf, expected / expected.sum(), atol=2e-3 * expected.max())


def test_columns_can_be_renamed(catalog, card):
    galaxies = open_real_galaxies(
        catalog, card, columns=dict(zphot="NOISE_VARIANCE", mag_auto="mag"))
    np.testing.assert_array_equal(galaxies.columns["zphot"], [4, 9, 16])
    np.testing.assert_array_equal(galaxies.columns["mag_auto"], [20, 21, 22])


def test_the_magnitude_of_the_catalogue_stands_for_one_magnitude_only(catalog, card):
    """That of another band is not made up."""
    assert (open_real_galaxies(catalog, card).columns["mag_auto"][:2] == [20, 21]).all()
    magnitude = card.column_of("magnitude")
    other = magnitude.model_copy(update=dict(name="mag_r"))
    with pytest.raises(galsim.GalSimConfigError, match="'mag_auto'"):
        open_real_galaxies(catalog, card.model_copy(update=dict(columns=(magnitude, other))))


def test_a_missing_column_says_what_is_there(catalog, card):
    with pytest.raises(galsim.GalSimConfigError, match="'redshift'") as raised:
        open_real_galaxies(catalog, card, columns=dict(zphot="redshift"))
    assert "ZPHOT" in str(raised.value) and "NOISE_VARIANCE" in str(raised.value)


def test_a_column_that_the_module_lacks(catalog, card):
    with pytest.raises(galsim.GalSimConfigError, match=f"{card.name} .*redshift; .*zphot"):
        open_real_galaxies(catalog, card, columns=dict(redshift="zphot"))


def test_two_catalogues_in_a_folder(write_catalog, catalog, card):
    write_catalog(catalog, name="more")
    with pytest.raises(galsim.GalSimError, match="more.fits, real_galaxy_catalog.fits"):
        open_real_galaxies(catalog, card)
    assert len(open_real_galaxies(catalog / "more.fits", card)) == 2


def test_mixed_pixel_scales(catalog, card):
    table = Table.read(catalog / "real_galaxy_catalog.fits")
    table["PIXEL_SCALE"][1] = 0.03
    table.write(catalog / "real_galaxy_catalog.fits", overwrite=True)
    galaxies = open_real_galaxies(catalog, card)
    np.testing.assert_array_equal(galaxies.pixel_scales, [0.05, 0.03])
    assert galaxies.stamp_sizes[1] == card.trained_size
    for number, (scale, size) in enumerate(
            zip(galaxies.pixel_scales, galaxies.stamp_sizes, strict=True)):
        observation = galaxies.observation(number)
        assert observation.pixel_scale == scale and observation.stamp.shape == (size, size)


def test_no_galaxy_that_can_be_used(catalog, card):
    table = Table.read(catalog / "real_galaxy_catalog_fits.fits")
    table["ZPHOT"] = np.nan
    table.write(catalog / "real_galaxy_catalog_fits.fits", overwrite=True)
    with pytest.raises(galsim.GalSimError, match="no galaxy"):
        open_real_galaxies(catalog, card)


def test_nothing_there(tmp_path, card):
    with pytest.raises(galsim.GalSimError, match="nowhere"):
        open_real_galaxies(tmp_path / "nowhere", card)
    with pytest.raises(galsim.GalSimError, match="nowhere.h5"):
        open_real_galaxies(tmp_path / "nowhere.h5", card)


# ---- a data set file ------------------------------------------------------------------------

_TEST = np.array([True, False, False, True, True, False, True, False])
_NOISELESS = [6, 1, 3]  # rows that are known without noise, in no order
_CORRELATIONS = np.array([[[0, 0, 0], [0, 1, 0], [0, 0, 0]],
                          [[0, 0.25, 0], [0.5, 1, 0.5], [0, 0.25, 0]]])


def data_set(path):
    """Eight galaxies of 16 pixels, in the layout of ``galsim-deep-train data``."""
    number = np.arange(8)
    with h5py.File(path, "w") as file:
        file.attrs.update(format_version=3, pixel_scale=0.03, seed=1, recipe_sha256="")
        file["stamp"] = (number[:, None, None] + np.zeros((8, 16, 16))).astype("f4")
        file["psf"] = np.eye(3, dtype="f4")[:, None] * np.ones((3, 3, 1), "f4") / 3
        file["psf_index"] = number % 3
        file["noise_sigma"] = (1 + number / 10).astype("f4")
        file["noise_correlation"] = _CORRELATIONS.astype("f4")
        file["noise_index"] = number // 4
        file["source"] = number // 2 + 100
        file["test"] = _TEST
        for i, name in enumerate(sorted(COLUMNS)):
            file[f"columns/{name}"] = (10 * i + number).astype("f4")
        file["pixel_scale"] = 0.03 * (1 + number // 2)
        file["noiseless_index"] = _NOISELESS
        file["noiseless"] = np.float32(
            np.array(_NOISELESS)[:, None, None] / 2 + np.zeros((3, 16, 16)))
    return path


@pytest.fixture
def file(tmp_path):
    return data_set(tmp_path / "data.h5")


@pytest.mark.parametrize("split, rows", [("test", [0, 3, 4, 6]), ("train", [1, 2, 5, 7])])
def test_both_parts_of_a_data_set(file, card, split, rows):
    galaxies = open_real_galaxies(file, card, split=split)
    assert len(galaxies) == 4 and galaxies.left_out == {}
    assert set(galaxies.stamp_sizes) == {16}
    np.testing.assert_array_equal(galaxies.pixel_scales, 0.03 * (1 + np.array(rows) // 2))
    np.testing.assert_array_equal(galaxies.source, np.array(rows) // 2 + 100)
    for number, row in enumerate(rows):
        observation = galaxies.observation(number)
        assert observation.stamp.shape == (16, 16) and observation.stamp.dtype == float
        assert (observation.stamp == row).all()
        assert observation.noise_sigma == pytest.approx(1 + row / 10)
        assert observation.pixel_scale == galaxies.pixel_scales[number]
        if row < 4:  # white
            assert observation.noise_correlation is None
        else:
            np.testing.assert_array_equal(observation.noise_correlation, _CORRELATIONS[1])
        np.testing.assert_allclose(observation.psf, np.eye(3)[row % 3] / 3 * np.ones((3, 1)))
        assert (observation.number, observation.source) == (number, row // 2 + 100)
        assert observation.columns == {
            name: 10.0 * i + row for i, name in enumerate(sorted(COLUMNS))}
        if row in _NOISELESS:
            assert observation.noiseless.shape == (16, 16)
            assert (observation.noiseless == row / 2).all()
        else:
            assert observation.noiseless is None


def test_what_was_clipped_clips_what_is_drawn_like_it(file, card):
    model = np.zeros((16, 16))
    model[4, 4:7] = 10.0, 4.5, 1.0
    plain = open_real_galaxies(file, card).observation(1).drawn_like(
        model, np.random.default_rng(1))
    with h5py.File(file, "a") as opened:
        opened.attrs["clipping"] = (3.0, 5.0)
    seen = open_real_galaxies(file, card).observation(1)
    found = seen.drawn_like(model, np.random.default_rng(1))
    assert np.count_nonzero(plain) == 256
    np.testing.assert_array_equal(found, clipped(plain, seen.noise_sigma, 3.0, 5.0))
    assert found[4, 4] == plain[4, 4] and np.count_nonzero(found) < 10


def test_a_count_of_a_data_set(file, card):
    first, again = (open_real_galaxies(file, card, count=2, seed=5) for _ in range(2))
    assert len(first) == 2 and first.left_out == {"not selected at random": 2}
    rows = [first.observation(n).stamp[0, 0] for n in range(2)]
    assert rows == [again.observation(n).stamp[0, 0] for n in range(2)]
    assert set(rows) <= {0, 3, 4, 6}
    subsets = {tuple(open_real_galaxies(file, card, count=2, seed=s).columns["zphot"])
               for s in range(12)}
    assert len(subsets) > 2


def test_what_lacks_a_column_is_left_out_of_a_data_set(file, card):
    with h5py.File(file, "a") as opened:
        opened["columns/zphot"][3] = np.nan
        opened["columns/zphot"][5] = np.nan  # of the other part
    galaxies = open_real_galaxies(file, card)
    assert galaxies.left_out == {"a column is missing": 1}
    assert [galaxies.observation(n).stamp[0, 0] for n in range(3)] == [0, 4, 6]
    assert (galaxies.observation(2).noiseless == 3.0).all()


def test_columns_of_a_data_set_can_be_renamed(file, card):
    galaxies = open_real_galaxies(file, card, columns=dict(zphot="mag_auto"))
    np.testing.assert_array_equal(galaxies.columns["zphot"], galaxies.columns["mag_auto"])


def test_a_data_set_without_a_column(file, card):
    with h5py.File(file, "a") as opened:
        opened.move("columns/zphot", "columns/redshift")
    with pytest.raises(galsim.GalSimConfigError, match="column 'zphot'.*redshift"):
        open_real_galaxies(file, card)
    assert len(open_real_galaxies(file, card, columns=dict(zphot="redshift"))) == 4


def test_a_data_set_of_another_version(file, card):
    with h5py.File(file, "a") as opened:
        opened.attrs["format_version"] = 1
    with pytest.raises(galsim.GalSimError, match="version 1; .* version 3"):
        open_real_galaxies(file, card)


def test_a_file_that_is_not_hdf5(tmp_path, card):
    path = tmp_path / "data.h5"
    path.write_text("galaxies")
    with pytest.raises(galsim.GalSimError, match="data.h5 .*HDF5"):
        open_real_galaxies(path, card)


@pytest.mark.parametrize("part", ["stamp", "psf", "psf_index", "noise_sigma", "noise_correlation",
                                  "noise_index", "source", "test",
                                  "columns", "noiseless_index", "noiseless"])
def test_a_data_set_that_lacks_a_part(file, card, part):
    with h5py.File(file, "a") as opened:
        del opened[part]
    with pytest.raises(galsim.GalSimError, match=f"lacks {part}"):
        open_real_galaxies(file, card)


@pytest.mark.parametrize("attribute, fact", [
    ("format_version", "no format"), ("pixel_scale", "lacks pixel_scale")])
def test_an_hdf5_file_of_something_else(file, card, attribute, fact):
    with h5py.File(file, "a") as opened:
        del opened.attrs[attribute]
    with pytest.raises(galsim.GalSimError, match=fact):
        open_real_galaxies(file, card)


def test_a_part_that_is_none(file, card):
    with pytest.raises(galsim.GalSimError, match="valid"):
        open_real_galaxies(file, card, split="valid")


def test_a_data_set_without_a_test_part(file, card):
    with h5py.File(file, "a") as opened:
        opened["test"][:] = False
    with pytest.raises(galsim.GalSimError, match="no galaxy"):
        open_real_galaxies(file, card)
