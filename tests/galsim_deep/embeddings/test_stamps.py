"""Reading stamps for a module."""

import galsim
import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from galsim_deep.cli import main
from galsim_deep.embeddings import read_stamps
from galsim_deep.embeddings.stamps import pictures


@pytest.fixture
def card(embedder):
    return embedder.card


def test_arrays(sources, card):
    stamps = read_stamps(sources, card)
    with np.load(sources) as content:
        np.testing.assert_array_equal(stamps.images[..., 0], content["images"])
        np.testing.assert_array_equal(stamps.columns["label"], content["label"])
        np.testing.assert_array_equal(stamps.noise_sigma, content["noise_sigma"])
    assert stamps.names.tolist() == list(range(40))


def test_arrays_of_another_size(tmp_path, card):
    """Small images are padded about their middle, large ones are cut."""
    image = np.zeros((1, 40, 40))
    image[0, 20, 19] = 3.0
    np.savez(tmp_path / "small.npz", images=image)
    np.savez(tmp_path / "large.npz", images=np.pad(image, [(0, 0), (40, 40), (40, 40)]), id=["x"])
    small, large = (read_stamps(tmp_path / f"{name}.npz", card) for name in ("small", "large"))
    assert small.images.shape == (1, 96, 96, 1) and small.images[0, 48, 47, 0] == 3.0
    np.testing.assert_array_equal(small.images, large.images)
    assert large.names.tolist() == ["x"]


def test_the_value_of_the_full_scale(sources, card):
    half, full = (read_stamps(sources, card, full_scale=scale).images for scale in (2.0, 1.0))
    np.testing.assert_allclose(2 * half, full)


def test_the_zero_point_of_stamps(sources, card):
    """Stamps and their noise are converted to the flux unit of the module."""
    own, other = (read_stamps(sources, card, zero_point=zero_point)
                  for zero_point in (card.zero_point, card.zero_point + 2.5))
    np.testing.assert_allclose(own.images, 10 * other.images, rtol=1e-5)
    np.testing.assert_allclose(own.noise_sigma, 10 * other.noise_sigma)
    np.testing.assert_array_equal(own.images, read_stamps(sources, card).images)


def test_some_of_the_stamps(sources, card):
    some = read_stamps(sources, card, count=7, seed=3)
    again = read_stamps(sources, card, count=7, seed=3)
    assert len(some) == 7 and np.all(np.diff(some.names) > 0)
    np.testing.assert_array_equal(some.names, again.names)
    assert set(some.names) != set(read_stamps(sources, card, count=7, seed=4).names)


def write_data_set(path, pixel_scale=1.8):
    """Six stamps of random numbers, two of which are in the test split; returns the stamps."""
    with h5py.File(path, "w") as file:
        file.attrs.update(format_version=3, pixel_scale=pixel_scale)
        n, rng = 6, np.random.default_rng(1)
        stamps = rng.random((n, 96, 96)).astype(np.float32)
        for name, value in dict(
                stamp=stamps, psf=np.ones((2, 5, 5)) / 25, psf_index=np.arange(n) % 2,
                noise_sigma=np.full(n, 0.1), noise_correlation=np.ones((1, 1, 1)),
                noise_index=np.zeros(n, int), source=np.arange(n), test=np.arange(n) < 2,
                pixel_scale=np.full(n, pixel_scale), noiseless_index=np.zeros(0, int),
                noiseless=np.zeros((0, 96, 96))).items():
            file[name] = value
        file["columns/size"] = np.arange(n) + 20.0
        file["columns/flux_density"] = np.full(n, 30.0)
    return stamps


def test_a_data_set(tmp_path, card):
    path = tmp_path / "data.h5"
    stamps = write_data_set(path)
    test, train = (read_stamps(path, card, split=split) for split in ("test", "train"))
    assert test.names.tolist() == [0, 1] and train.names.tolist() == [2, 3, 4, 5]
    np.testing.assert_array_equal(test.images[..., 0], stamps[:2])
    assert test.psf.shape == (2, 5, 5) and test.columns["size"].tolist() == [20.0, 21.0]
    assert len(read_stamps(path, card, split="all")) == 6
    with pytest.raises(galsim.GalSimError, match="parts test, train and all, not 'valid'"):
        read_stamps(path, card, split="valid")


def test_sampled_galaxies(tmp_path, card):
    """The FITS file of ``galsim-deep sample``; its light is before the PSF."""
    Table(dict(flux_density=[20.0, 50.0], size=[40.0, 60.0], id=[5, 9])).write(
        tmp_path / "catalogue.fits")
    assert main(["sample", "first_mpcc", "--catalog", str(tmp_path / "catalogue.fits"), "--output",
                 str(tmp_path / "sample.fits")]) == 0
    stamps = read_stamps(tmp_path / "sample.fits", card)
    with fits.open(tmp_path / "sample.fits", mode="update") as hdus:
        np.testing.assert_array_equal(stamps.images[..., 0], hdus[0].data)
        hdus[0].header["ZEROPNT"] += 2.5
    assert stamps.names.tolist() == [5, 9] and stamps.columns["size"].tolist() == [40.0, 60.0]
    fainter = read_stamps(tmp_path / "sample.fits", card)
    np.testing.assert_allclose(10 * fainter.images, stamps.images, rtol=1e-5)


def test_galaxies_observed_like_those_of_a_data_set(tmp_path, card):
    images = np.zeros((3, 64, 64), np.float32)
    images[:, 30:34, 30:34] = 50.0
    fits.HDUList([fits.PrimaryHDU(images), fits.table_to_hdu(Table(dict(id=[1, 2, 3])))]).writeto(
        tmp_path / "sample.fits")
    write_data_set(tmp_path / "data.h5")
    found = read_stamps(tmp_path / "sample.fits", card, like=tmp_path / "data.h5")
    assert found.images.shape == (3, 96, 96, 1) and found.psf.shape == (3, 5, 5)
    assert found.noise_sigma.tolist() == pytest.approx([0.1] * 3)
    # The PSF, of 5 x 5 equal pixels, smooths the edges of the square.
    assert found.images.sum(axis=(1, 2, 3)) == pytest.approx(16 * 50.0, rel=0.05)
    assert 20.0 < found.images.max() < 40.0
    write_data_set(tmp_path / "other.h5", pixel_scale=0.9)
    with pytest.raises(galsim.GalSimError, match="other.h5 have pixels of 0.9 arcsec"):
        read_stamps(tmp_path / "sample.fits", card, like=tmp_path / "other.h5")


@pytest.mark.parametrize("content, arguments, words", [
    (dict(images=np.zeros((0, 96, 96))), {}, "has no stamps"),
    (dict(stamps=np.zeros((2, 96, 96))), {}, "no array 'images'.*it has: stamps"),
    (dict(images=np.zeros((2, 96, 90))), {}, "no array 'images' of shape"),
    (dict(images=np.zeros((2, 96, 96, 3))), {}, "have 3 bands.*takes 1"),
    (dict(images=np.zeros((2, 96, 96))), dict(pixel_scale=0.2),
     r"pixels of 0.2 arcsec.*pixels of 1.8 arcsec"),
    (dict(images=np.zeros((2, 96, 96))), dict(columns=dict(size="r")), "no column 'r'"),
    (dict(images=np.zeros((2, 96, 96)), id=np.arange(3)), {}, r"'id'.*\(3,\).*each of the 2"),
    (dict(images=np.zeros((2, 96, 96)), psf=np.ones((3, 5, 5))), {}, r"'psf'.*\(3, 5, 5\)"),
    (dict(images=np.zeros((2, 96, 96)), psf=np.ones((4, 4))), {}, r"'psf'.*odd number")])
def test_bad_files(tmp_path, card, content, arguments, words):
    np.savez(tmp_path / "stamps.npz", **content)
    with pytest.raises(galsim.GalSimError, match=words):
        read_stamps(tmp_path / "stamps.npz", card, **arguments)


def test_a_file_that_is_not_there(tmp_path, card):
    with pytest.raises(galsim.GalSimError, match="none.npz cannot be read"):
        read_stamps(tmp_path / "none.npz", card)


def test_pictures():
    rng = np.random.default_rng(1)
    images = np.zeros((2, 96, 96, 1), np.float32)
    images[:, 10:20, 30:40] = 5.0
    found = pictures(images + 0.1 * rng.standard_normal(images.shape), np.full(2, 0.1))
    assert found.shape == (2, 48, 48, 3) and found.dtype == np.uint8
    # The first row is at the bottom.
    assert found[0, 48 - 8, 17].min() > 200 and found[0, 8, 17].max() < 120
    colour = np.zeros((1, 64, 64, 3), np.float32)
    colour[..., 0] = 1.0
    assert pictures(colour)[0, 5, 5].tolist() == [255, 0, 0]
