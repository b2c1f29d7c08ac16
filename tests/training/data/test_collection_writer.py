"""galsim_deep_training.data.collection_writer: what is written is read; bad input is refused."""

import dataclasses

import galsim
import h5py
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.observations.collection import COLUMNS, Collection, Conditions, Survey
from galsim_deep_training.data.collection_writer import (
    ROUNDING,
    add_catalogue,
    rounded,
    write_collection,
)

SURVEYS = {"made": Survey("Made here", "none", "none", "public domain", "")}


def test_round_trip(collected, tmp_path):
    path = tmp_path / "galaxies.h5"
    usable = np.random.default_rng(1).uniform(size=(24, 24)) > 0.1
    galaxies = [collected("one", usable=usable, held_out=True, group=2, p_bar=0.25, notes="note"),
                collected("two", ra=150.1, visual_class="disk")]
    write_collection(path, galaxies, SURVEYS)
    collection = Collection(path)
    for galaxy in galaxies:
        read = collection.galaxy(galaxy.name)
        for name in COLUMNS:
            if name not in ("psf", "noise_correlation"):
                np.testing.assert_equal(getattr(read, name), getattr(galaxy, name), name)
        np.testing.assert_array_equal(read.usable, galaxy.usable)
        np.testing.assert_allclose(read.psf, galaxy.psf, rtol=1e-6)
        np.testing.assert_allclose(read.noise_correlation, galaxy.noise_correlation)
        np.testing.assert_allclose(read.image, galaxy.image,
                                   atol=0.5 * galaxy.noise_inside / ROUNDING)


def test_what_is_shared_is_written_once(collected, tmp_path):
    path = tmp_path / "galaxies.h5"
    wider = collected("three").psf.T + 0.1
    write_collection(path, [collected("one"), collected("two"),
                            collected("three", psf=wider / wider.sum())], SURVEYS)
    with h5py.File(path) as file:
        assert sorted(file["psfs"]) == ["one", "three"]
        assert list(file["noise_correlations"]) == ["one"]
    assert list(Collection(path).table["psf"]) == ["one", "one", "three"]


def test_the_same_galaxies_give_the_same_bytes(collected, tmp_path):
    for name in ("a.h5", "b.h5"):
        write_collection(tmp_path / name, [collected("one"), collected("two")], SURVEYS)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_rounding():
    image = np.random.default_rng(1).normal(0.0, 3.0, (50, 50))
    result = rounded(image, noise=3.0)
    assert result.dtype == np.float32
    step = 0.125  # the largest power of two that is at most 3 / 16
    np.testing.assert_array_equal(result / step, np.rint(result / step))
    assert np.abs(result - image).max() <= 0.5 * step * (1 + 1e-6)


@pytest.mark.parametrize("change, message", [
    (dict(magnitude=np.nan), "its magnitude is nan"),
    (dict(redshift=np.inf), "its redshift is inf"),
    (dict(image=np.full((24, 24), np.nan)), "pixels that are not finite"),
    (dict(image=np.zeros((24, 20))), r"shape \(24, 20\), not \[S, S\]"),
    (dict(usable=np.ones((20, 20), bool)), "'usable' has the shape"),
    (dict(x=25.0), "outside of the image"),
    (dict(noise_inside=0.0), "its noise_inside is not positive"),
    (dict(judge_only=True), "validation only, but is not held out"),
    (dict(psf=np.full((8, 8), 1 / 64)), "not .P, P. with an odd P"),
    (dict(psf=np.full((9, 9), 1.0)), "the sum of the PSF is 81"),
    (dict(noise_correlation=np.full((7, 7), 0.5)), "not 1 in a middle pixel"),
    (dict(noise_correlation=np.ones((6, 6))), "not 1 in a middle pixel"),
    (dict(survey="other"), "from the survey 'other', of which nothing is said"),
])
def test_galaxies_that_cannot_be_used_are_refused(collected, tmp_path, change, message):
    path = tmp_path / "galaxies.h5"
    with pytest.raises(galsim.GalSimError, match=message):
        write_collection(path, [collected("one"), collected("bad", **change)], SURVEYS)
    assert not path.exists()


def test_sets_of_galaxies_that_do_not_fit_together(collected, tmp_path):
    for galaxies, message in [
            ([], "at least one galaxy"),
            ([collected("one"), collected("one")], "have the name one"),
            ([collected("one"), collected("two", held_out=True)],
             "'two' and 'one' show the same galaxy, group 0")]:
        with pytest.raises(galsim.GalSimError, match=message):
            write_collection(tmp_path / "galaxies.h5", galaxies, SURVEYS)


def test_bad_conditions(collected, tmp_path):
    psf = collected("one").psf
    good = Conditions(psf=psf[None], noise_variance=np.ones(1), noise_correlation=np.ones((1, 1)),
                      zero_point=25.0, pixel_scale=0.03)
    for change, message in [(dict(psf=2 * psf[None]), "the sum of the PSF is 2"),
                            (dict(noise_variance=np.ones(2)), "not one variance")]:
        with pytest.raises(galsim.GalSimError, match=f"conditions 'acs'.*{message}"):
            write_collection(tmp_path / "galaxies.h5", [collected("one")], SURVEYS,
                             {"acs": dataclasses.replace(good, **change)})


def test_catalogues(collected, tmp_path):
    path = tmp_path / "galaxies.h5"
    first = Table({"magnitude": [25.0, 26.5], "class": ["disk", "é"]}, meta={"from": "a survey"})
    write_collection(path, [collected("one")], SURVEYS, catalogues={"faint": first})
    add_catalogue(path, "bright", Table({"redshift": [0.5]}))
    add_catalogue(path, "bright", Table({"redshift": [0.5, 0.7]}))
    collection = Collection(path)
    assert collection.catalogues == ["bright", "faint"]
    assert len(collection.catalogue("bright")) == 2
    faint = collection.catalogue("faint")
    assert list(faint["class"]) == ["disk", "é"] and faint.meta["from"] == "a survey"
    assert collection.galaxy("one").magnitude == 21.0
    with pytest.raises(galsim.GalSimError, match="no collection of galaxies"):
        add_catalogue(tmp_path / "nothing.h5", "bright", first)
