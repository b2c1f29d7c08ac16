"""A whole validation of the shipped module on real galaxies, from the folder to the report."""

import dataclasses
import json
import re
import shutil

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.card import CARD_PATH, read_card
from galsim_deep.cli import main
from galsim_deep.handles import resolve
from galsim_deep.module import Module
from galsim_deep.validation import chief_figures, validate, write_report
from galsim_deep.validation.copies import memory_results
from galsim_deep.validation.memory import memorisation
from galsim_deep.validation.statistics import STATISTICS

COUNT = 4


@pytest.fixture(scope="module")
def galaxies(reference_data):
    return reference_data / "cosmos_f814w_50"


@pytest.fixture(scope="module")
def validation(galaxies):
    return validate("hub:acs_flow_vae", galaxies, count=COUNT, processes=2)


@pytest.fixture(scope="module")
def report(validation, tmp_path_factory):
    """The report, as if there had been training galaxies to look for copies of."""
    images = np.random.default_rng(1).normal(size=(30, 8, 8))
    images /= np.sqrt((images**2).sum(axis=(1, 2), keepdims=True))
    found = memorisation(images[:10], images[10:15], images, np.arange(30) // 3)
    results = dict(validation.results,
                   memorisation=memory_results(dict(generated=found, parametric=found)))
    return write_report(dataclasses.replace(validation, results=results),
                        tmp_path_factory.mktemp("report"))


def test_three_samples_drawn_alike(validation):
    """Parametric fits leave noise behind; generated galaxies have the flux that was asked for."""
    stamps, survey = validation.measurements.stamps, validation.survey
    sigma = np.array([survey.observation(n).noise_sigma for n in range(COUNT)])
    for name in ("real", "generated", "parametric"):
        ring = np.concatenate([stamps[name][:, :3].reshape(COUNT, -1),
                               stamps[name][:, -3:].reshape(COUNT, -1)], axis=1)
        np.testing.assert_allclose(np.median(ring.std(axis=1) / sigma), 1.0, atol=0.1)
    asked = 10 ** (-0.4 * (validation.measurements.columns["mag_auto"] - 25.94))
    np.testing.assert_allclose(stamps["profile"].sum(axis=(1, 2)), asked, rtol=1e-3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def same(one, other):
    assert json.dumps(one.results) == json.dumps(other.results)
    for part in ("numbers", "stamps"):
        assert list(getattr(one.measurements, part)) == list(getattr(other.measurements, part))
        for name, values in getattr(one.measurements, part).items():
            np.testing.assert_array_equal(
                values, getattr(other.measurements, part)[name], strict=True)
    for part in ("values", "flags"):
        for sample, found in getattr(one.measurements, part).items():
            for name, values in found.items():
                np.testing.assert_array_equal(
                    values, getattr(other.measurements, part)[sample][name], strict=True)
    return True


@pytest.fixture(scope="module")
def alone(galaxies, cache):
    return validate("hub:acs_flow_vae", galaxies, count=COUNT, processes=1, cache=cache)


def test_independent_of_the_number_of_processes_and_of_a_cache(validation, alone):
    assert same(validation, alone)


def test_the_same_from_a_cache(validation, alone, galaxies, cache, monkeypatch):
    from galsim_deep.validation import observed

    monkeypatch.setattr(observed, "examine_observed", None)  # nothing is measured again
    again = validate("hub:acs_flow_vae", galaxies, count=COUNT, processes=1, cache=cache)
    assert same(again, validation)


def test_another_seed_other_galaxies(validation, galaxies, cache):
    other = validate("hub:acs_flow_vae", galaxies, count=2, processes=1, seed=2, cache=cache)
    assert not np.isin(other.measurements.values["generated"]["size"],
                       validation.measurements.values["generated"]["size"]).any()


def test_results(validation):
    results = validation.results
    assert results["real"] == dict(
        name="cosmos_f814w_50", n=COUNT, sources=COUNT, left_out={"not asked for": 50 - COUNT},
        stamp_size=128, pixel_scale=0.03)
    assert [row["statistic"] for row in results["verdict"]["all"]] == [s.name for s in STATISTICS]
    # So few galaxies judge nothing.
    assert {row["mark"] for row in results["verdict"]["all"]} == {"too small"}
    assert results["conditioning"]["magnitude"]["noiseless"][0]["scatter"] < 1e-3
    assert results["reconstruction"]["all"]["n"] == COUNT
    assert 0.9 < results["reconstruction"]["all"]["parametric"]["value"] < 1.3
    assert "truth" not in results
    assert "skipped" in results["memorisation"]
    assert validation.latents.real.shape == validation.latents.generated.shape == (COUNT, 5)


def test_report(report, validation):
    folder = report.parent
    numbers = json.loads((folder / "report.json").read_text())
    assert numbers["verdict"]["all"][0]["real"]["value"] == pytest.approx(
        validation.results["verdict"]["all"][0]["real"]["value"])
    page = report.read_text()
    assert 'name="viewport"' in page
    assert "<small>KS</small>" in page
    # Self-contained: nothing is fetched, every picture is in the page and beside it.
    assert not re.search(r'(src|href)="(?!data:)', page)
    pictures = sorted(path.name for path in folder.glob("*.png"))
    assert len(pictures) == page.count("<img ") >= 9
    for statistic in STATISTICS:
        assert statistic.label in page
    assert "nan" not in re.sub(r'src="[^"]*"', "", page).lower().split()


def test_table_of_galaxies(report, validation):
    table = Table.read(report.parent / "galaxies.fits")
    assert len(table) == COUNT
    np.testing.assert_array_equal(table["generated_g"], validation.measurements.values
                                  ["generated"]["g"])
    assert table["real_truncated"].dtype == bool


def test_report_of_memorisation(report):
    assert "Among 30 bright training stamps" in report.read_text()


def test_chief_figures_are_finite_numbers(validation):
    figures = chief_figures(validation.results)
    assert figures["galaxies"] == COUNT
    assert {"mean_g_over_real", "mean_size_over_real_error", "size_scatter"} < figures.keys()
    assert np.isfinite(list(figures.values())).all()


def test_command_writes_report_and_card(galaxies, tmp_path, cache, capsys):
    module = tmp_path / "module"
    shutil.copytree(resolve("hub:acs_flow_vae"), module)
    other = {"elsewhere": {"galaxies": 3.0}}
    from galsim_deep.card import rewrite
    rewrite(module, quality=other)
    assert main(["validate", str(module), "--real", str(galaxies), "--output",
                 str(tmp_path / "report"), "--count", "2", "--processes", "1", "--quiet",
                 "--write-card", "--column", "mag_auto=MAG", "--seed", "2",
                 "--cache", str(cache)]) == 0
    assert str(tmp_path / "report" / "report.html") in capsys.readouterr().out
    card = read_card(module)
    assert set(card.quality) == {"elsewhere", "cosmos_f814w_50"}
    assert card.quality["cosmos_f814w_50"]["galaxies"] == 2
    Module(module)  # the files are those that the card vouches for
    assert "| mean_g_over_real | " in (module / "README.md").read_text()


@pytest.mark.parametrize("arguments, words", [
    (["--real", "no_such_folder"], ["no_such_folder"]),
    (["--real", "{galaxies}", "--column", "mag_auto=R_BEST"], ["R_BEST", "HSC_i"]),
    (["--real", "{galaxies}", "--column", "redshift=ZPHOT"], ["redshift", "zphot"]),
    (["--real", "{galaxies}", "--column", "ZPHOT"], ["COLUMN=NAME"]),
    (["--real", "{galaxies}", "--training", "absent.h5"], ["absent.h5"]),
    (["--real", "{galaxies}", "--cache", "/dev/null/cache"], ["/dev/null/cache", "written"]),
])
def test_what_cannot_be_read(arguments, words, galaxies, tmp_path, capsys):
    arguments = [one.format(galaxies=galaxies) for one in arguments]
    assert main(["validate", "acs_flow_vae", "--output", str(tmp_path / "r"), *arguments]) == 1
    message = capsys.readouterr().err
    assert all(word in message for word in words)


def test_another_zero_point(galaxies, cache):
    """Stamps in other units, and told so: all that has no unit stays as it was."""
    def ratio(zero_point):
        return validate("hub:acs_flow_vae", galaxies, count=1, processes=1, seed=4,
                        zero_point=zero_point, cache=cache).measurements

    ours, theirs = ratio(None), ratio(25.94 + 2.5)
    # Ten times the flux is claimed for the generated galaxy beside the same real one.
    assert theirs.stamps["generated"].sum() > 5 * ours.stamps["generated"].sum()
    np.testing.assert_allclose(theirs.stamps["profile"], 10 * ours.stamps["profile"], rtol=1e-5)


def test_a_module_without_encoder(galaxies, cache, monkeypatch):
    from galsim_deep.validation import run

    def refuse(module, survey):
        raise galsim.GalSimError("it has no signature 'encode'")

    monkeypatch.setattr(run, "Reconstructor", refuse)
    found = validate("hub:acs_flow_vae", galaxies, count=1, processes=1, seed=4, cache=cache)
    assert "encode" in found.results["no_reconstruction"]
    assert "reconstruction" not in found.results
    assert found.latents is None


@pytest.mark.parametrize("option, value", [
    ("--count", "0"), ("--processes", "-1"), ("--zero-point", "nan"), ("--split", "valid")])
def test_wrong_usage(option, value, galaxies, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["validate", "acs_flow_vae", "--real", str(galaxies), "--output", str(tmp_path),
              option, value])
    assert option in capsys.readouterr().err


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

    found = validate("hub:acs_flow_vae", altered(change), processes=1)
    flags = found.measurements.flags["real"]
    raised = [sorted(name for name in flags if flags[name][row]) for row in range(5)]
    assert raised[0] == ["not_finite"]
    assert raised[2] == ["not_detected"]
    assert raised[3] == raised[4] == ["not_usable"]
    assert np.isnan(found.measurements.values["real"]["g"][[0, 2, 3, 4]]).all()
    # A constant stamp is a bright square on the padding: measured, and cut by its own edge.
    assert "truncated" in raised[1]
    assert "Not looked into: " in write_report(found, tmp_path / "report").read_text()


def test_nothing_but_garbage(altered):
    def change(table, images, psfs):
        table["NOISE_VARIANCE"] = 0.0

    with pytest.raises(galsim.GalSimError, match="None of the 5 galaxies of altered .* noise"):
        validate("hub:acs_flow_vae", altered(change), processes=1)


def test_galaxies_are_cut_where_the_real_one_is(altered):
    """The real stamps end a few pixels around the galaxy; so does the light of all samples."""
    def change(table, images, psfs):
        for n, image in enumerate(images):
            middle = np.array(image.shape) // 2
            images[n] = image[middle[0] - 8:middle[0] + 8, middle[1] - 8:middle[1] + 8].copy()
        table["NOISE_VARIANCE"] = table["NOISE_VARIANCE"] * 1e-4

    found = validate("hub:acs_flow_vae", altered(change), processes=1, count=3)
    outside = np.ones((128, 128), bool)
    outside[56:72, 56:72] = False
    sigma = found.survey.observation(0).noise_sigma
    for name in ("real", "generated", "parametric"):
        stamps = found.measurements.stamps[name]
        assert stamps[:, outside].std() < 2 * sigma
        assert (stamps[:, ~outside].max(axis=1) > 20 * sigma).all()
    assert found.measurements.flags["real"]["truncated"].all()
    # The fit looks at what was observed only: chi-square counts 256 pixels.
    assert (found.measurements.numbers["chi2_parametric"] > 2).any()


def test_galaxies_in_other_pixels(altered, tmp_path):
    """A catalogue of twice the pixel scale: stamps of half the pixels, no reconstruction."""
    def change(table, images, psfs):
        table["PIXEL_SCALE"] = np.float32(0.06)

    found = validate("hub:acs_flow_vae", altered(change), processes=1, count=2)
    assert found.survey.stamp_size == 64 and found.survey.pixel_scale == 0.06
    assert "64 of 0.06" in found.results["no_reconstruction"]
    assert found.measurements.stamps["profile"].shape == (2, 64, 64)
    assert write_report(found, tmp_path / "report").is_file()


# ---- modules with classes -------------------------------------------------------------------


def test_results_of_classes(shapes_validation):
    """Their shapes tell them apart, and the encoder finds them where there is something to see."""
    found = shapes_validation.results["classes"]
    assert [one["name"] for one in found["of_class"]] == ["disc", "bulge", "ring"]
    assert found["frequencies"]["p"] > 1e-3 and found["frequencies"]["draws"] == 20000
    assert found["reliable"] == 40
    for name in ("gini", "concentration", "m20"):
        one = found["explained"][name]
        for kind in ("generated", "real", "generated_found"):
            assert one[kind]["value"] > 0.85 > 2 * one[kind]["chance"][1]
    assert found["recovered"]["reliable"]["value"] == 1.0
    for one in found["of_class"]:
        generated, real = (one[sample]["statistics"]["concentration"]["median"]["value"]
                           for sample in ("generated", "real"))
        assert generated == pytest.approx(real, abs=0.15)
    # The encoder knows the places; what it decodes is the galaxy itself.
    assert 0.8 < shapes_validation.results["reconstruction"]["mag < 21.5"][
        "reconstructed"]["value"] < 1.5


def test_report_of_classes(shapes_validation, tmp_path):
    page = write_report(shapes_validation, tmp_path).read_text()
    text = re.sub(r'src="[^"]*"', "", page)
    section = text[text.index("<h2>Classes</h2>"):text.index("<h2>Reconstruction</h2>")]
    for words in ("disc", "bulge", "ring", "An exponential disc.", "Galaxies of each class",
                  "Is the class found again?", "degrees"):
        assert words in section
    assert not re.search(r"\b(nan|None|undefined)\b", section)
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert len(pictures) == page.count("<img ")
    assert {"class_samples.png", "class_statistics.png"} < {*pictures}
    assert section.count("<img ") == 2
    numbers = json.loads((tmp_path / "report.json").read_text())["classes"]
    assert numbers["frequencies"]["drawn"] == shapes_validation.results["classes"][
        "frequencies"]["drawn"]
    table = Table.read(tmp_path / "galaxies.fits")
    np.testing.assert_array_equal(table["generated_cluster"], shapes_validation.classes.drawn)
    assert {"real_cluster_found", "generated_cluster_found"} < {*table.colnames}


def test_figures_of_classes_on_the_card(shapes_validation):
    figures = chief_figures(shapes_validation.results)
    for name in ("gini", "concentration", "m20"):
        assert figures[f"eta2_{name}_generated"] > 0.85
        assert {f"eta2_{name}_real", f"eta2_{name}_real_error",
                f"eta2_{name}_generated_found"} < figures.keys()
    assert 0.001 < figures["class_chi_square_p"] <= 1
    assert figures["class_recovered"] > 0.8
    assert np.isfinite(list(figures.values())).all()


def test_command_on_a_module_with_classes(shapes_folder, shapes_file, shapes_cache, tmp_path,
                                          capsys):
    """Too few galaxies to judge anything; the classes are drawn as they should be all the same."""
    module = tmp_path / "module"
    shutil.copytree(shapes_folder, module)
    assert main(["validate", str(module), "--real", str(shapes_file), "--output",
                 str(tmp_path / "report"), "--count", "3", "--processes", "1", "--quiet",
                 "--write-card", "--cache", str(shapes_cache)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"classes of 20000 draws: chi-square [0-9.]+ with 2 degrees of freedom, "
                     r"p = 0\.[0-9]+", printed)
    quality = read_card(module).quality["shapes (test)"]
    assert "class_chi_square_p" in quality and "eta2_gini_generated" not in quality
    assert "class_recovered" in quality
    assert "| class_recovered | " in (module / "README.md").read_text()


def without(folder, path, *signatures):
    """A copy of a module that does not have some of its signatures."""
    shutil.copytree(folder, path)
    card = json.loads((path / CARD_PATH).read_text())
    card["signatures"] = [name for name in card["signatures"] if name not in signatures]
    (path / CARD_PATH).write_text(json.dumps(card))
    return path


def test_classes_that_cannot_be_found(shapes_folder, shapes_file, shapes_cache, tmp_path):
    """Without encoder and prior there is less to say, and the page says why."""
    module = without(shapes_folder, tmp_path / "module", "encode", "prior")
    found = validate(module, shapes_file, count=3, processes=1, cache=shapes_cache)
    classes = found.results["classes"]
    assert "recovered" not in classes and classes["frequencies"]["p"] is None
    assert found.classes.found == {}
    page = write_report(found, tmp_path / "report").read_text()
    assert "has no signature 'encode'" in page.replace("&#39;", "'")
    assert "does not say how frequent" in page
    table = Table.read(tmp_path / "report" / "galaxies.fits")
    assert "generated_cluster" in table.colnames and "real_cluster_found" not in table.colnames
    assert not {"class_recovered", "class_chi_square_p"} & chief_figures(found.results).keys()


def test_a_module_that_draws_what_is_not_on_its_card(shapes_folder, shapes_file, monkeypatch):
    """It is found out before an hour of measuring."""
    from galsim_deep.module import Module
    from galsim_deep.validation import run

    draw = Module.draw_clusters
    monkeypatch.setattr(Module, "draw_clusters", lambda *inputs: draw(*inputs) + 1)
    monkeypatch.setattr(run, "measure_survey", lambda *_, **__: pytest.fail("measured"))
    with pytest.raises(galsim.GalSimError, match="draws classes from 1 to 3; its card has 3"):
        validate(shapes_folder, shapes_file)


def test_without_classes_nothing_is_said_of_them(validation, report):
    assert validation.classes is None and "classes" not in validation.results
    assert "<h2>Classes</h2>" not in report.read_text()
    assert not list(report.parent.glob("class_*"))
    table = Table.read(report.parent / "galaxies.fits")
    assert not [name for name in table.colnames if "cluster" in name]
    assert not [name for name in chief_figures(validation.results) if "class" in name]
