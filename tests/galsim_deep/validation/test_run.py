"""A whole validation of the shipped module on real galaxies, from the folder to the numbers."""

import json
import shutil

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.cli import main
from galsim_deep.measure.statistics import STATISTICS
from galsim_deep.modules.card import CARD_PATH, read_card
from galsim_deep.modules.module import Module
from galsim_deep.modules.resolve import resolve
from galsim_deep.modules.rewrite import rewrite_card
from galsim_deep.modules.runners.litert import LiteRTRunner
from galsim_deep.validation import RealSample, Settings, card_figures, validate, write_report

pytestmark = pytest.mark.long

COUNT = 4


@pytest.fixture(scope="module")
def galaxies(reference_data):
    return reference_data / "cosmos_f814w_50"


@pytest.fixture(scope="module")
def validation(galaxies):
    return validate("hub:acs_flow_vae", RealSample(galaxies, count=COUNT), processes=2)


def test_three_samples_drawn_alike(validation):
    """Parametric fits leave noise behind; generated galaxies have the flux that was requested."""
    stamps, galaxies = validation.measurements.stamps, validation.galaxies
    sigma = np.array([galaxies.observation(n).noise_sigma for n in range(COUNT)])
    for name in ("real", "generated", "parametric"):
        ring = np.concatenate([stamps[name][:, :3].reshape(COUNT, -1),
                               stamps[name][:, -3:].reshape(COUNT, -1)], axis=1)
        np.testing.assert_allclose(np.median(ring.std(axis=1) / sigma), 1.0, atol=0.1)
    requested = 10 ** (-0.4 * (validation.measurements.columns["mag_auto"] - 25.94))
    # The wings of some reach beyond the real stamp.
    np.testing.assert_allclose(stamps["profile"].sum(axis=(1, 2)), requested, rtol=0.05)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def same(first, second):
    assert json.dumps(first.results) == json.dumps(second.results)
    for part in ("numbers", "stamps"):
        mine, theirs = (getattr(one.measurements, part) for one in (first, second))
        assert list(mine) == list(theirs)
        for name, values in mine.items():
            np.testing.assert_array_equal(values, theirs[name], strict=True)
    for part in ("values", "flags"):
        mine, theirs = (getattr(one.measurements, part) for one in (first, second))
        for sample, entries in mine.items():
            for name, values in entries.items():
                np.testing.assert_array_equal(values, theirs[sample][name], strict=True)
    return True


@pytest.fixture(scope="module")
def in_one_process(galaxies, cache):
    return validate("hub:acs_flow_vae", RealSample(galaxies, count=COUNT), processes=1,
                    cache=cache)


def test_independent_of_the_number_of_processes_and_of_a_cache(validation, in_one_process):
    assert same(validation, in_one_process)


def test_the_same_from_a_cache(validation, in_one_process, galaxies, cache, monkeypatch):
    from galsim_deep.validation import measure_observed

    monkeypatch.setattr(measure_observed, "measure_observed", None)  # nothing is measured again
    again = validate("hub:acs_flow_vae", RealSample(galaxies, count=COUNT), processes=1,
                     cache=cache)
    assert same(again, validation)


def test_another_seed_gives_other_galaxies(validation, galaxies, cache):
    other = validate("hub:acs_flow_vae", RealSample(galaxies, count=2), processes=1,
                     settings=Settings(seed=2), cache=cache)
    assert not np.isin(other.measurements.values["generated"]["size"],
                       validation.measurements.values["generated"]["size"]).any()


def test_results(validation):
    results = validation.results
    assert results["real"] == dict(
        name="cosmos_f814w_50", n=COUNT, sources=COUNT,
        left_out={"not selected at random": 50 - COUNT}, natural=False, stamp_size=[128],
        pixel_scale=[0.03])
    assert [row["statistic"] for row in results["verdict"]["all"]] == [
        statistic.name for statistic in STATISTICS]
    # So few galaxies are not judged.
    assert {row["mark"] for row in results["verdict"]["all"]} == {"too small"}
    assert results["conditioning"]["magnitude"]["noiseless"][0]["scatter"] < 1e-3
    assert results["reconstruction"]["all"]["n"] == COUNT
    assert 0.9 < results["reconstruction"]["all"]["parametric"]["value"] < 1.3
    assert "noiseless" not in results and "classes" not in results
    assert "skipped" in results["memorisation"]
    latents = validation.section("latents").samples
    assert latents.real.shape == latents.generated.shape == (COUNT, 5)


def test_command_writes_report_and_card(galaxies, tmp_path, cache, capsys):
    module = tmp_path / "module"
    shutil.copytree(resolve("hub:acs_flow_vae"), module)
    rewrite_card(module, validation={"elsewhere": {"galaxies": 3.0}})
    assert main(["validate", str(module), "--real", str(galaxies), "--output",
                 str(tmp_path / "report"), "--count", "2", "--processes", "1", "--quiet",
                 "--write-card", "--column", "mag_auto=MAG", "--seed", "2",
                 "--cache", str(cache)]) == 0
    assert str(tmp_path / "report" / "report.html") in capsys.readouterr().out
    card = read_card(module)
    assert set(card.validation) == {"elsewhere", "cosmos_f814w_50"}
    assert card.validation["cosmos_f814w_50"]["galaxies"] == 2
    Module(module)  # the files are those that the card lists
    assert "mean_g_over_real" in (module / "README.md").read_text()


@pytest.mark.parametrize("arguments, words", [
    (["--real", "no_such_folder"], ["no_such_folder"]),
    (["--real", "{galaxies}", "--column", "mag_auto=R_BEST"], ["R_BEST", "HSC_i"]),
    (["--real", "{galaxies}", "--column", "redshift=ZPHOT"], ["redshift", "zphot"]),
    (["--real", "{galaxies}", "--column", "ZPHOT"], ["COLUMN=NAME"]),
    (["--real", "{galaxies}", "--training", "absent.h5"], ["absent.h5"]),
    (["--real", "{galaxies}", "--cache", "/dev/null/cache"], ["/dev/null/cache", "written"]),
])
def test_what_cannot_be_read(arguments, words, galaxies, tmp_path, capsys):
    arguments = [argument.format(galaxies=galaxies) for argument in arguments]
    assert main(["validate", "acs_flow_vae", "--output", str(tmp_path / "r"), *arguments]) == 1
    message = capsys.readouterr().err
    assert all(word in message for word in words)


@pytest.mark.parametrize("option, value", [
    ("--count", "0"), ("--processes", "-1"), ("--zero-point", "nan"), ("--split", "valid")])
def test_wrong_usage(option, value, galaxies, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["validate", "acs_flow_vae", "--real", str(galaxies), "--output", str(tmp_path),
              option, value])
    assert option in capsys.readouterr().err


# ---- galaxies that are damaged, cut, or on other pixels ---------------------------------------


@pytest.fixture
def altered(galaxies, tmp_path):
    """``altered(change)``: a copy of five real galaxies; ``change(table, images, psfs)``."""
    from astropy.io import fits

    def make(change):
        folder = tmp_path / "altered"
        folder.mkdir()
        table = Table.read(galaxies / "real_galaxy_catalog.fits")
        rows = np.flatnonzero(table["MAG"] < 24.7)[:5]
        images, psfs = (
            [fits.getdata(galaxies / table[name][row].strip(), table[number][row]).copy()
             for row in rows]
            for name, number in [("GAL_FILENAME", "GAL_HDU"), ("PSF_FILENAME", "PSF_HDU")])
        table = table[rows]
        change(table, images, psfs)
        table["GAL_HDU"] = table["PSF_HDU"] = np.arange(5)
        for name, arrays in [("images.fits", images), ("psfs.fits", psfs)]:
            fits.HDUList([fits.PrimaryHDU(arrays[0]), *map(fits.ImageHDU, arrays[1:])]).writeto(
                folder / name)
        table["GAL_FILENAME"], table["PSF_FILENAME"] = "images.fits", "psfs.fits"
        table.write(folder / "real_galaxy_catalog.fits")
        for name in ("real_galaxy_catalog_fits.fits", "acs_I_unrot_sci_20_cf.fits"):
            shutil.copy(galaxies / name, folder)
        return folder

    return make


def test_garbage_is_flagged(altered, tmp_path):
    """One row each: a NaN pixel, a constant stamp, noise, no variance, no PSF."""
    def change(table, images, psfs):
        images[0][10, 10] = np.nan
        images[1][:] = 0.5
        images[2][:] = np.random.default_rng(1).normal(
            0, np.sqrt(table["NOISE_VARIANCE"][2]), images[2].shape)
        table["NOISE_VARIANCE"][3] = np.nan
        psfs[4][:] = np.nan

    validation = validate("hub:acs_flow_vae", altered(change), processes=1)
    flags = validation.measurements.flags["real"]
    raised = [sorted(name for name in flags if flags[name][row]) for row in range(5)]
    assert raised[0] == ["not_finite"]
    assert raised[2] == ["not_detected"]
    assert raised[3] == raised[4] == ["not_usable"]
    assert np.isnan(validation.measurements.values["real"]["g"][[0, 2, 3, 4]]).all()
    # A constant stamp is a bright square on the padding: measured, and cut by its own edge.
    assert "truncated" in raised[1]
    assert write_report(validation, tmp_path / "report").is_file()


def test_nothing_but_garbage(altered, tiny_folder):
    def change(table, images, psfs):
        table["NOISE_VARIANCE"] = 0.0

    with pytest.raises(galsim.GalSimError, match="5 .*altered.*noise"):
        validate(tiny_folder, altered(change), processes=1)


def test_galaxies_are_cut_where_the_real_one_is(altered):
    """The real stamps end a few pixels around the galaxy; so does the light of all samples."""
    def change(table, images, psfs):
        for n, image in enumerate(images):
            middle = np.array(image.shape) // 2
            images[n] = image[middle[0] - 8:middle[0] + 8, middle[1] - 8:middle[1] + 8].copy()
        table["NOISE_VARIANCE"] = table["NOISE_VARIANCE"] * 1e-4

    validation = validate("hub:acs_flow_vae", RealSample(altered(change), count=3), processes=1)
    outside = np.ones((128, 128), bool)
    outside[56:72, 56:72] = False
    sigma = validation.galaxies.observation(0).noise_sigma
    for name in ("real", "generated", "parametric"):
        stamps = validation.measurements.stamps[name]
        assert stamps[:, outside].std() < 2 * sigma
        assert (stamps[:, ~outside].max(axis=1) > 20 * sigma).all()
    assert validation.measurements.flags["real"]["truncated"].all()
    # The fit uses the observed pixels only: chi-square counts 256 pixels.
    assert (validation.measurements.numbers["chi2_parametric"] > 2).any()


def test_galaxies_in_other_pixels(altered, tmp_path):
    """A catalogue of twice the pixel scale: stamps of half the pixels, no reconstruction."""
    def change(table, images, psfs):
        table["PIXEL_SCALE"] = np.float32(0.06)

    validation = validate("hub:acs_flow_vae", RealSample(altered(change), count=2), processes=1)
    assert set(validation.galaxies.stamp_sizes) == {64}
    np.testing.assert_allclose(validation.galaxies.pixel_scales, 0.06)
    assert "64 of 0.06" in validation.results["no_reconstruction"]
    assert validation.measurements.stamps["profile"].shape == (2, 64, 64)
    assert write_report(validation, tmp_path / "report").is_file()


# ---- modules with classes ---------------------------------------------------------------------


def test_results_of_classes(shapes_validation):
    """The shapes distinguish the classes, and the encoder finds them in bright galaxies."""
    classes = shapes_validation.results["classes"]
    assert [one["name"] for one in classes["of_class"]] == ["disc", "bulge", "ring"]
    assert classes["frequencies"]["p"] > 1e-3 and classes["frequencies"]["draws"] == 20000
    assert classes["reliable"] == 40
    for name in ("gini", "concentration", "m20"):
        for kind in ("generated", "real", "generated_found"):
            share = classes["explained"][name][kind]
            assert share["value"] > 0.85 > 2 * share["chance"][1]
    assert classes["recovered"]["reliable"]["value"] == 1.0
    for one in classes["of_class"]:
        generated, real = (one[sample]["statistics"]["concentration"]["median"]["value"]
                           for sample in ("generated", "real"))
        assert generated == pytest.approx(real, abs=0.15)
    # The encoder finds the position, so that the decoded galaxy is the galaxy itself.
    assert 0.8 < shapes_validation.results["reconstruction"]["mag < 21.5"][
        "reconstructed"]["value"] < 1.5


def test_command_on_a_module_with_classes(shapes_folder, shapes_file, shapes_cache, tmp_path,
                                          capsys):
    """There are too few galaxies to judge, but the frequencies of classes are tested."""
    module = tmp_path / "module"
    shutil.copytree(shapes_folder, module)
    assert main(["validate", str(module), "--real", str(shapes_file), "--output",
                 str(tmp_path / "report"), "--count", "3", "--processes", "1", "--quiet",
                 "--write-card", "--cache", str(shapes_cache)]) == 0
    printed = capsys.readouterr().out
    assert "classes of 20000 draws" in printed and "2 degrees of freedom" in printed
    figures = read_card(module).validation["shapes (test)"]
    assert "class_chi_square_p" in figures and "eta2_gini_generated" not in figures
    assert "class_recovered" in figures
    assert "class_recovered" in (module / "README.md").read_text()


def without(folder, path, *signatures):
    """A copy of a module that does not have some of its signatures."""
    shutil.copytree(folder, path)
    card = json.loads((path / CARD_PATH).read_text())
    card["signatures"] = [name for name in card["signatures"] if name not in signatures]
    (path / CARD_PATH).write_text(json.dumps(card))
    return path


def test_classes_that_cannot_be_found(shapes_folder, shapes_file, shapes_cache, tmp_path):
    """Without encoder and prior the section is shorter, and the page says why."""
    module = without(shapes_folder, tmp_path / "module", "encode", "prior")
    validation = validate(module, RealSample(shapes_file, count=3), processes=1,
                          cache=shapes_cache)
    classes = validation.results["classes"]
    assert "recovered" not in classes and classes["frequencies"]["p"] is None
    assert "encode" in validation.results["no_reconstruction"]
    assert validation.section("classes").classification.encoded == {}
    page = write_report(validation, tmp_path / "report").read_text()
    assert validation.results["no_reconstruction"] in page.replace("&#39;", "'")
    table = Table.read(tmp_path / "report" / "galaxies.fits")
    assert "generated_class" in table.colnames and "real_class_found" not in table.colnames
    assert not {"class_recovered", "class_chi_square_p"} & card_figures(validation.results).keys()


def test_classes_that_are_not_on_the_card_are_noticed_before_anything_is_measured(
        shapes_folder, shapes_file, monkeypatch):
    from galsim_deep.validation import measurements

    call = LiteRTRunner.call
    monkeypatch.setattr(LiteRTRunner, "call", lambda *inputs: {
        name: values + (name == "galaxy_class") for name, values in call(*inputs).items()})
    monkeypatch.setattr(measurements, "measure_galaxy", lambda task: pytest.fail("measured"))
    with pytest.raises(galsim.GalSimError, match="to 3; those on its card are 0 to 2"):
        validate(shapes_folder, shapes_file, processes=1)


# ---- modules that cannot be validated ---------------------------------------------------------


def test_a_module_of_several_bands(shapes_folder, shapes_file, edit_card, tmp_path):
    folder = edit_card(shutil.copytree(shapes_folder, tmp_path / "module"), bands=[
        dict(name=name, zero_point=25.94) for name in ("F814W", "F606W")])
    with pytest.raises(galsim.GalSimError, match="F814W, F606W"):
        validate(folder, shapes_file)


def test_a_module_that_does_not_generate(shapes_folder, shapes_file, edit_card, tmp_path):
    folder = edit_card(shutil.copytree(shapes_folder, tmp_path / "module"), kind="encoder",
                       signatures=["embed"])
    with pytest.raises(galsim.GalSimError, match="makes no galaxies.*encoder"):
        validate(folder, shapes_file)
