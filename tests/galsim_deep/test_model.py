"""GenerativeGalaxyModel: what it returns, what it depends on, what it refuses."""

import copy
import itertools
import pickle
import shutil
import subprocess
import sys
import warnings

import galsim
import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table

import galsim_deep
from galsim_deep.table import read_classes


@pytest.fixture(scope="module")
def model(tiny):
    """The small module: nothing here depends on what was learned."""
    return tiny


def flux_of(magnitude):
    return 10 ** (-0.4 * (np.asarray(magnitude) - 25.94))


def row_of(table, row):
    return {name: values[row:row + 1] for name, values in table.items()}


def test_attributes(model):
    assert model.columns == model.getColumns() == ("flux_radius", "mag_auto", "zphot")
    assert model.classes == ()
    assert model.stamp_size == model.card.stamp_size == 32
    assert model.pixel_scale == model.pixel_size == model.card.pixel_scale == 0.03
    assert model.quantities == [*model.columns]
    assert model.getCard() is model.card
    assert not model.needs_tensorflow()


def test_images(model, table):
    images = model.images(table, rng=galsim.BaseDeviate(1))
    assert images.shape == (7, 32, 32, 1)
    assert images.dtype == np.float32
    assert np.isfinite(images).all()
    assert (images >= 0).all()
    np.testing.assert_allclose(images.sum(axis=(1, 2, 3)), flux_of(table["mag_auto"]), rtol=1e-4)


def test_outputs(model, shapes, table):
    """All that a module gives, computed once."""
    outputs = model.outputs(table, seeds=range(7))
    assert list(outputs) == ["image"]
    np.testing.assert_array_equal(outputs["image"], model.images(table, seeds=range(7)))
    outputs = shapes.outputs(table, seeds=range(7))
    assert set(outputs) == {"image", "galaxy_class"}
    np.testing.assert_array_equal(outputs["image"], shapes.images(table, seeds=range(7)))
    np.testing.assert_array_equal(
        outputs["galaxy_class"], shapes.draw_classes(table, seeds=range(7)))
    assert outputs["galaxy_class"].dtype == np.int32


def test_profiles_are_ordinary_interpolated_images(model, table):
    galaxies = model.sample(table, seeds=range(7))
    images = model.images(table, seeds=range(7))[..., 0]
    for galaxy, image, magnitude in zip(galaxies, images, table["mag_auto"], strict=True):
        assert isinstance(galaxy, galsim.InterpolatedImage)
        assert galaxy.flux == pytest.approx(flux_of(magnitude), rel=1e-4)
        np.testing.assert_allclose(galaxy.image.array, image, atol=1e-6 * image.max())
        drawn = galsim.Convolve(galaxy, galsim.Gaussian(sigma=0.1)).drawImage(
            nx=256, ny=256, scale=model.pixel_scale)
        assert drawn.array.sum() == pytest.approx(galaxy.flux, rel=0.01)


# ---- a pixel scale for each galaxy ----------------------------------------------------------


def test_each_galaxy_has_its_own_pixel_scale(scaled, table):
    """The same Gaussian in pixels has a size in arcsec that is proportional to the scale."""
    # Of one seed: the stamps differ in flux only.
    table = {name: table[name] for name in scaled.columns}
    outputs = scaled.outputs(table, seeds=7 * [5])
    assert set(outputs) == {"image", "pixel_scale"}
    scales = outputs["pixel_scale"]
    np.testing.assert_allclose(scales, table["flux_radius"] / 100, rtol=1e-6)
    galaxies = scaled.sample(table, seeds=7 * [5])
    padded = scaled.sample(table, noise=1e-12, noise_pad_size=2.0, seeds=7 * [5])
    streamed = [galaxy for part in scaled.stream(table, seeds=7 * [5], chunk=3)
                for galaxy in part]
    assert streamed == galaxies
    for galaxy, noisy, scale, stamp in zip(galaxies, padded, scales, outputs["image"], strict=True):
        assert galaxy.image.scale == noisy.image.scale == pytest.approx(float(scale), rel=1e-12)
        drawn = galaxy.drawImage(nx=32, ny=32, scale=float(scale), method="no_pixel").array
        np.testing.assert_allclose(drawn, stamp[..., 0], atol=1e-4 * stamp.max())
        assert galaxy.calculateHLR() == pytest.approx(
            galaxies[0].calculateHLR() * scale / scales[0], rel=1e-3)


def test_half_light_radii_are_imposed_whatever_the_pixel_scale(scaled, table):
    table = {name: table[name] for name in scaled.columns}
    for galaxy in scaled.sample(table, seeds=range(7), half_light_radius=0.3):
        assert galaxy.calculateHLR() == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("radius", [-1.0, 0.0, 1e7])
def test_pixel_scales_that_cannot_be_used(scaled, radius):
    """Not finite, zero, or a thousand times that of the whole sky."""
    table = dict(flux_radius=[5.0, radius], mag_auto=22.0)
    for draw in (scaled.sample, scaled.outputs):
        with (pytest.warns(galsim.GalSimWarning, match="flux_radius"),
              pytest.raises(galsim.GalSimValueError, match="pixel_scale.*row 1") as caught):
            draw(table, seeds=[1, 2])
        assert caught.value.value == dict(flux_radius=radius, mag_auto=22.0)



# ---- a stamp that fits each galaxy ----------------------------------------------------------

SIGMAS = [1.5, 12.0, 4.0, 2.2, 6.0, 1.0, 3.0, 2.0, 4.5, 20.0]
FITTING_SIZES = [16, 64, 32, 16, 64, 16, 32, 16, 32, 64]


@pytest.fixture
def ellipses():
    return dict(flux_radius=SIGMAS, mag_auto=22.0)


def test_small_galaxies_are_on_small_stamps(fitting, ellipses):
    galaxies = fitting.sample(ellipses, seeds=range(10))
    assert [len(galaxy.image.array) for galaxy in galaxies] == FITTING_SIZES
    assert fitting.stamp_size == 64
    for galaxy, sigma in zip(galaxies, SIGMAS, strict=True):
        # Larger pixels are for galaxies that the largest stamp does not hold.
        assert galaxy.image.scale == pytest.approx(0.03 * max(1.0, 7 * sigma / 64), rel=1e-6)
        assert galaxy.flux == pytest.approx(flux_of(22.0), rel=1e-5)
        # An axis ratio of one half.
        x, y = np.indices(galaxy.image.array.shape) - 0.5 * (len(galaxy.image.array) - 1)
        second = np.average(x**2 + y**2, weights=galaxy.image.array) * galaxy.image.scale**2
        assert second == pytest.approx(1.25 * (0.03 * sigma) ** 2, rel=0.03)


def test_galaxies_do_not_depend_on_the_stamps_of_others(fitting, ellipses):
    together = fitting.sample(ellipses, seeds=range(10))
    for row, galaxy in enumerate(together):
        alone = fitting.sample(dict(flux_radius=SIGMAS[row], mag_auto=22.0), seeds=[row])
        assert alone == [galaxy]
    streamed = [galaxy for part in fitting.stream(ellipses, seeds=range(10), chunk=4)
                for galaxy in part]
    assert streamed == together


def test_arrays_of_stamps_of_several_sizes(fitting, ellipses):
    """Smaller ones are surrounded by zeros."""
    outputs = fitting.outputs(ellipses, seeds=range(10))
    assert outputs["image"].shape == (10, 64, 64, 1)
    galaxies = fitting.sample(ellipses, seeds=range(10))
    for image, scale, galaxy in zip(
            outputs["image"][..., 0], outputs["pixel_scale"], galaxies, strict=True):
        margin = (64 - len(galaxy.image.array)) // 2
        np.testing.assert_array_equal(image[margin:64 - margin, margin:64 - margin],
                                      galaxy.image.array)
        assert np.sum(image != 0) <= np.sum(galaxy.image.array != 0)
        assert scale == galaxy.image.scale
    small = fitting.images(dict(flux_radius=[1.0, 2.0], mag_auto=22.0), seeds=[1, 2])
    assert small.shape == (2, 16, 16, 1)


def test_options_belong_to_rows_on_any_stamps(fitting, ellipses):
    flux, radius = np.geomspace(1, 100, 10), np.linspace(0.1, 0.5, 10)
    galaxies = fitting.sample(ellipses, seeds=range(10), flux=flux, half_light_radius=radius)
    padded = fitting.sample(ellipses, seeds=range(10), flux=flux, noise=1e-12, noise_pad_size=2.0)
    for galaxy, noisy, wanted, size in zip(galaxies, padded, flux, radius, strict=True):
        assert galaxy.flux == noisy.flux == pytest.approx(wanted)
        assert galaxy.calculateHLR() == pytest.approx(size, rel=0.05)


def test_a_column_that_tables_may_lack(fitting):
    lacking, missing, given = (
        fitting.images(dict(flux_radius=[3.0], mag_auto=22.0, **columns), seeds=[4])
        for columns in ({}, dict(axis_ratio=np.nan), dict(axis_ratio=[0.5])))
    np.testing.assert_array_equal(lacking, missing)
    np.testing.assert_allclose(lacking, given, atol=1e-6 * given.max())
    other = fitting.images(dict(flux_radius=3.0, mag_auto=22.0, axis_ratio=0.9), seeds=[4])
    assert np.abs(other - given).max() > 0.1 * given.max()
    with pytest.raises(galsim.GalSimKeyError, match="mag_auto"):
        fitting.images(dict(flux_radius=3.0))
    with pytest.warns(galsim.GalSimWarning, match="Axis_Ratio"):
        fitting.images(dict(flux_radius=3.0, mag_auto=22.0, Axis_Ratio=0.9))


def position_angle(image):
    axis = np.arange(len(image)) - 0.5 * (len(image) - 1)
    xx, yy, xy = (np.sum(image * weight) for weight in (
        axis**2, axis[:, None] ** 2, axis * axis[:, None]))
    return 0.5 * np.degrees(np.arctan2(2 * xy, xx - yy)) % 180


@pytest.mark.parametrize("wanted", [
    [20.0, 100.0, np.nan], [20 * galsim.degrees, 100 * galsim.degrees, None],
    np.array([20.0, 100.0, np.nan]) * u.deg, np.radians([20.0, 280.0, np.nan]) * u.rad],
    ids=["degrees", "angles", "quantity", "radians"])
def test_position_angles(fitting, wanted):
    table = dict(flux_radius=[3.0, 6.0, 4.0], mag_auto=22.0)
    drawn = fitting.images(table, seeds=[1, 2, 3])
    asked = fitting.images(table, seeds=[1, 2, 3], position_angle=wanted)
    angles = [position_angle(image[..., 0].astype(float)) for image in asked]
    np.testing.assert_allclose(angles[:2], [20.0, 100.0], atol=0.1)
    np.testing.assert_array_equal(asked[2], drawn[2])
    # In other respects they are the same galaxies.
    one = fitting.images(table, seeds=[1, 2, 3], position_angle=30.0)
    assert all(position_angle(image[..., 0].astype(float)) == pytest.approx(30.0, abs=0.1)
               for image in one)


def test_position_angles_that_cannot_be_used(fitting, tiny, table):
    row = dict(flux_radius=3.0, mag_auto=22.0)
    with pytest.raises(galsim.GalSimValueError, match="position_angle"):
        fitting.sample(row, position_angle=[1.0, 2.0])
    with pytest.raises(galsim.GalSimValueError, match="position_angle"):
        fitting.sample(row, position_angle=2.0 * u.arcsec / u.s)
    with pytest.raises(galsim.GalSimValueError, match="Rotate its profiles"):
        tiny.sample(table, position_angle=10.0)


# ---- the same seed, the same galaxy ---------------------------------------------------------


def test_same_rng_state_same_galaxies(model, table):
    images = model.images(table, rng=galsim.BaseDeviate(5))
    np.testing.assert_array_equal(images, model.images(table, rng=galsim.BaseDeviate(5)))
    assert not np.array_equal(images, model.images(table, rng=galsim.BaseDeviate(6)))


def test_rng_advances_and_rows_are_drawn_in_order(model, table):
    rng = galsim.BaseDeviate(5)
    first = {name: values[:3] for name, values in table.items()}
    rest = {name: values[3:] for name, values in table.items()}
    parts = np.concatenate([model.images(first, rng=rng), model.images(rest, rng=rng)])
    np.testing.assert_array_equal(parts, model.images(table, rng=galsim.BaseDeviate(5)))


def test_an_integer_is_a_seed_of_the_rng(model, table):
    np.testing.assert_array_equal(
        model.images(table, rng=5), model.images(table, rng=galsim.BaseDeviate(5)))


def test_without_rng_galaxies_differ(model, table):
    assert not np.array_equal(model.images(table), model.images(table))


@pytest.fixture(scope="module")
def forty(model):
    """A catalogue of forty galaxies with an ``id``, and their images, drawn together."""
    rng = np.random.default_rng(0)
    columns = {c.name: rng.uniform(*c.valid_range, 40) for c in model.card.columns}
    catalogue = Table(dict(columns, id=rng.permutation(10_000)[:40]))
    return catalogue, model.images(catalogue, seeds=catalogue["id"])


@pytest.mark.parametrize("chunk", [1, 2, 7, 33, 40])
def test_a_galaxy_belongs_to_its_seed(model, forty, chunk):
    catalogue, together = forty
    order = np.random.default_rng(1).permutation(40)
    shuffled = catalogue[order]
    parts = np.concatenate([
        model.images(shuffled[i:i + chunk], seeds=shuffled["id"][i:i + chunk])
        for i in range(0, 40, chunk)])
    np.testing.assert_array_equal(parts, together[order])


@pytest.mark.parametrize("seeded", [True, False])
@pytest.mark.parametrize("chunk", [1, 9, 64])
def test_a_stream_is_the_sample_in_parts(model, forty, seeded, chunk):
    catalogue, _ = forty
    options = dict(flux=np.linspace(1, 2, 40), half_light_radius=0.4)
    options.update(dict(seeds=catalogue["id"]) if seeded else dict(rng=5))
    parts = list(model.stream(catalogue, chunk=chunk, **options))
    assert [len(part) for part in parts[:-1]] == [chunk] * (len(parts) - 1)
    assert [galaxy for part in parts for galaxy in part] == model.sample(catalogue, **options)


def test_errors_of_a_stream_come_at_once(model, table):
    table["mag_auto"][-1] = np.inf
    with pytest.raises(galsim.GalSimValueError, match="mag_auto"):
        model.stream(table, chunk=2)
    with pytest.raises(galsim.GalSimRangeError) as caught:
        model.stream(table, chunk=0)
    assert caught.value.value == 0
    table["mag_auto"][-1] = 24.0
    with pytest.raises(TypeError, match="colour"):
        model.stream(table, colour=1)
    with pytest.raises(galsim.GalSimError, match="foo"):
        model.stream(table, x_interpolant="foo")
    with pytest.raises(galsim.GalSimIncompatibleValuesError):
        model.stream(table, noise_pad_size=6.0)


def test_progress_of_a_stream(model, table, capsys):
    assert [len(part) for part in model.stream(table, chunk=4, progress=True)] == [4, 3]
    assert "7/7" in capsys.readouterr().err


def test_another_seed_is_another_galaxy(model, table):
    same_rows = {name: np.repeat(values[:1], 4) for name, values in table.items()}
    images = model.images(same_rows, seeds=[1, 2, 1, 1 + 2**32])
    np.testing.assert_array_equal(images[0], images[2])
    for other in (images[1], images[3]):
        assert np.max(np.abs(images[0] - other)) > 1e-3 * images[0].max()


@pytest.mark.long
def test_another_process(model, table, tmp_path):
    script = (
        "import sys, numpy as np, galsim_deep\n"
        "model = galsim_deep.GenerativeGalaxyModel(sys.argv[1])\n"
        "table = dict(flux_radius=np.linspace(4., 12., 7), mag_auto=np.linspace(21., 25., 7),\n"
        "             zphot=np.linspace(.2, 1.5, 7))\n"
        "np.save(sys.argv[2], model.images(table, seeds=range(7)))\n")
    subprocess.run([sys.executable, "-c", script, model.file_name, tmp_path / "images.npy"],
                   check=True)
    np.testing.assert_array_equal(
        np.load(tmp_path / "images.npy"), model.images(table, seeds=range(7)))


# ---- imposed quantities ---------------------------------------------------------------------


@pytest.mark.parametrize("flux", [3.0, np.geomspace(1e-3, 1e5, 7)])
def test_flux_is_imposed(model, table, flux):
    galaxies = model.sample(table, seeds=range(7), flux=flux)
    for galaxy, wanted in zip(galaxies, np.broadcast_to(flux, 7), strict=True):
        assert galaxy.flux == pytest.approx(wanted, rel=1e-6)
        assert galaxy.kValue(0, 0).real == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("radius", [0.08, 0.2, np.linspace(0.1, 1.0, 7)])
def test_half_light_radius_is_imposed(model, table, radius):
    galaxies = model.sample(table, seeds=range(7), half_light_radius=radius, flux=2.0)
    for galaxy, wanted in zip(galaxies, np.broadcast_to(radius, 7), strict=True):
        measured = galaxy.calculateHLR(size=1024, scale=galaxy.image.scale / 8)
        assert measured == pytest.approx(wanted, rel=0.01)
        assert galaxy.flux == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("interpolant", ["linear", "cubic", "nearest", "lanczos3"])
def test_half_light_radius_of_other_interpolants(model, interpolant):
    """The smallest galaxies are hardly larger than a pixel: how it is filled in matters."""
    rows = dict(flux_radius=np.full(4, 2.7), mag_auto=np.full(4, 23.0), zphot=np.full(4, 0.7))
    for galaxy in model.sample(rows, seeds=range(4), half_light_radius=0.3,
                               x_interpolant=interpolant):
        measured = galaxy.calculateHLR(scale=0.015, size=400, centroid=galaxy.centroid)
        assert measured == pytest.approx(0.3, rel=0.01)


def test_imposing_keeps_the_shape(model, table):
    as_drawn = model.sample(table, seeds=range(7))
    imposed = model.sample(table, seeds=range(7), flux=2.0, half_light_radius=0.3)
    for galaxy, other in zip(as_drawn, imposed, strict=True):
        np.testing.assert_allclose(
            galaxy.image.array / galaxy.image.array.max(),
            other.image.array / other.image.array.max(), atol=1e-6)


def test_options_reach_the_profile(model, table):
    gsparams = galsim.GSParams(folding_threshold=1e-3)
    galaxy = model.sample(table, seeds=range(7), x_interpolant="lanczos5", k_interpolant="linear",
                          pad_factor=2.0, gsparams=gsparams)[0]
    assert isinstance(galaxy.x_interpolant, galsim.Lanczos)
    assert isinstance(galaxy.k_interpolant, galsim.Linear)
    assert galaxy.gsparams == gsparams


def test_noise_padding(model, table):
    """Noise outside of the stamp, different for each galaxy, the same for the same seed."""
    def padded():
        return model.sample(table, seeds=range(7), noise=1e-2, noise_pad_size=12.0)

    width = model.stamp_size * model.pixel_scale
    corners = [g.drawImage(nx=20, ny=20, scale=model.pixel_scale, method="no_pixel",
                           offset=(-0.75 * width / model.pixel_scale, 0)).array
               for g in padded()]
    assert all(0 < corner.std() < 1 for corner in corners)
    assert not np.array_equal(corners[0], corners[1])
    assert padded() == padded()


# ---- behaviour of GalSim objects ------------------------------------------------------------


def check_object(obj, names=None):
    """GalSim's rules: copies, pickles and evaluated reprs are equal, and hash alike."""
    names = dict(galsim=galsim, galsim_deep=galsim_deep, np=np, array=np.array, float32=np.float32,
                 float64=np.float64, **(names or {}))
    # A repr must hold the whole stamp to be evaluated.
    with np.printoptions(threshold=10**6, precision=20, floatmode="unique"):
        text = repr(obj)
    for twin in [pickle.loads(pickle.dumps(obj)), copy.copy(obj), copy.deepcopy(obj),
                 eval(text, names)]:
        assert twin == obj
        assert hash(twin) == hash(obj)
    assert obj != object()
    assert object() != obj


def test_profiles_obey_galsims_rules(model, table):
    galaxies = model.sample(table, seeds=range(7))
    for galaxy in galaxies:
        check_object(galaxy)
    galaxies += model.sample(table, seeds=range(10, 17))
    galaxies += model.sample(table, seeds=range(7), flux=3.0)
    galaxies += model.sample(table, seeds=range(7), half_light_radius=0.3)
    galaxies += model.sample(table, seeds=range(7), gsparams=galsim.GSParams(kvalue_accuracy=1e-6))
    for galaxy, other in itertools.combinations(galaxies, 2):
        assert galaxy != other
        assert hash(galaxy) != hash(other)


def test_profiles_obey_galsims_checks(model, table):
    galaxy = model.sample(table, seeds=range(7))[0]
    assert galaxy.kValue(0, 0) == pytest.approx(galaxy.flux, rel=1e-10)
    assert galaxy.positive_flux - galaxy.negative_flux == pytest.approx(galaxy.flux, rel=1e-10)
    assert isinstance(galaxy.flux, float)
    assert isinstance(galaxy.centroid, galsim.PositionD)
    assert galaxy.withGSParams(galaxy.gsparams) is galaxy
    finer = galaxy.withGSParams(folding_threshold=1e-4)
    assert finer != galaxy
    assert finer.withGSParams(galaxy.gsparams) == galaxy
    drawn = galaxy.drawImage(nx=200, ny=200, scale=0.1, method="phot", n_photons=200_000,
                             rng=galsim.BaseDeviate(1))
    assert drawn.array.sum() == pytest.approx(galaxy.flux, rel=0.03)


def test_model_obeys_galsims_rules(model):
    check_object(model)
    assert str(model) == f"galsim_deep.GenerativeGalaxyModel({model.file_name!r})"
    check_object(galsim_deep.GenerativeGalaxyModel(model.file_name, offline=True))


def test_models_of_the_same_module_are_equal(model, tiny_folder, shapes, tmp_path):
    copied = shutil.copytree(tiny_folder, tmp_path / "module")
    assert galsim_deep.GenerativeGalaxyModel(copied) == model
    assert model != shapes


def test_pickles_survive_a_change_of_folder(model, tiny_folder, tmp_path, monkeypatch):
    shutil.copytree(tiny_folder, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(galsim_deep.GenerativeGalaxyModel("mine"))
    monkeypatch.chdir("/")
    assert pickle.loads(pickled) == model


def test_pickled_model_samples_alike(model, table):
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        twin.images(table, seeds=range(7)), model.images(table, seeds=range(7)))


# ---- tables ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Table, QTable, dict, lambda t: Table(t).as_array(),
                                  lambda t: Table(t).to_pandas()])
def test_kinds_of_table(model, table, kind):
    np.testing.assert_array_equal(model.images(kind(table), seeds=range(7)),
                                  model.images(table, seeds=range(7)))


def test_one_row(model, table):
    expected = model.images(table, seeds=range(7))[2:3]
    scalars = {name: float(values[2]) for name, values in table.items()}
    for row in (Table(table)[2], Table(table).to_pandas().iloc[2], scalars):
        np.testing.assert_array_equal(model.images(row, seeds=[2]), expected)
    assert len(model.sample(scalars)) == 1


def test_empty_table(model, shapes):
    empty = Table(names=["flux_radius", "mag_auto", "zphot"])
    assert model.sample(empty) == []
    assert model.sample(empty, seeds=[]) == []
    assert model.images(empty).shape == (0, 32, 32, 1)
    assert [*model.stream(empty)] == []
    outputs = shapes.outputs(empty)
    assert outputs["image"].shape == (0, 32, 32, 1)
    assert outputs["galaxy_class"].shape == (0,) and outputs["galaxy_class"].dtype == np.int32


def test_one_table(model, table):
    for tables in ({}, dict(table=table, cat=table)):
        with pytest.raises(galsim.GalSimIncompatibleValuesError):
            model.sample(**tables)
    assert model.sample(cat=table, seeds=range(7)) == model.sample(table, seeds=range(7))


# ---- bad input: an error that says what and where, before a graph runs ----------------------


def with_value(table, column, row, value):
    values = np.array(table[column], dtype=object if isinstance(value, str) else float)
    values[row] = value
    return dict(table, **{column: values})


BAD = {
    "missing column": (lambda t: {k: t[k] for k in ("flux_radius", "zphot")}, {},
                       galsim.GalSimKeyError, ["mag_auto"]),
    "unit": (lambda t: QTable(dict(t, flux_radius=t["flux_radius"]), units={"flux_radius": "kg"}),
             {}, galsim.GalSimValueError, ["flux_radius", "kg", "pix"]),
    "infinity": (lambda t: with_value(t, "zphot", 4, np.inf), {},
                 galsim.GalSimValueError, ["zphot", "4", "inf"]),
    "text": (lambda t: with_value(t, "zphot", 2, "high"), {},
             galsim.GalSimValueError, ["zphot", "2", "high"]),
    "few seeds": (dict, dict(seeds=[1, 2]), galsim.GalSimValueError, ["seeds", "2", "7"]),
    "bad seed": (dict, dict(seeds=[1, 2, 3, 4.5, 5, 6, 7]),
                 galsim.GalSimValueError, ["seeds", "3", "4.5"]),
    "range": (lambda t: with_value(t, "mag_auto", 5, 12.0), dict(strict=True),
              galsim.GalSimRangeError, ["mag_auto", "5", "12.0", "18", "26"]),
    "flux": (dict, dict(flux=-1.0), galsim.GalSimValueError, ["flux", "-1"]),
    "size": (dict, dict(half_light_radius=[1, 1, 1, 0, 1, 1, 1]), galsim.GalSimValueError,
             ["half_light_radius", "3", "0"]),
    "tiny size": (dict, dict(half_light_radius=5e-324), galsim.GalSimValueError,
                  ["half_light_radius", "0", "5e-324"]),
    "huge size": (dict, dict(half_light_radius=1e300), galsim.GalSimValueError,
                  ["half_light_radius", "0", "1e+300"]),
    "rng": (dict, dict(rng=1.5), galsim.GalSimValueError, ["rng", "1.5"]),
    "truth for rng": (dict, dict(rng=True), galsim.GalSimValueError, ["rng", "True"]),
    "large rng": (dict, dict(rng=2**80), galsim.GalSimRangeError, ["rng", str(2**80)]),
    "rng of 33 bits": (dict, dict(rng=2**32 + 5), galsim.GalSimRangeError, ["rng", "4294967301"]),
    "rng and seeds": (dict, dict(rng=galsim.BaseDeviate(1), seeds=range(7)),
                      galsim.GalSimIncompatibleValuesError, ["rng", "seeds"]),
    "noise of no kind": (dict, dict(noise_pad_size=3.0), galsim.GalSimIncompatibleValuesError,
                         ["noise"]),
    "kind": (lambda t: 17, {}, galsim.GalSimValueError, ["table", "int"]),
    "interpolant": (dict, dict(x_interpolant=5), galsim.GalSimValueError, ["x_interpolant", "5"]),
    "interpolants": (dict, dict(k_interpolant=["linear"]), galsim.GalSimValueError,
                     ["k_interpolant", "linear"]),
    "text for padding": (dict, dict(pad_factor="large"), galsim.GalSimValueError,
                         ["pad_factor", "large"]),
    "list for padding": (dict, dict(pad_factor=[4]), galsim.GalSimValueError, ["pad_factor", "4"]),
    "no padding": (dict, dict(pad_factor=0), galsim.GalSimRangeError, ["pad_factor", "0"]),
    "endless padding": (dict, dict(pad_factor=np.inf), galsim.GalSimRangeError,
                        ["pad_factor", "inf"]),
    "padding that is no number": (dict, dict(pad_factor=np.nan), galsim.GalSimRangeError,
                                  ["pad_factor", "nan"]),
    "gsparams": (dict, dict(gsparams=dict(maximum_fft_size=4096)), galsim.GalSimValueError,
                 ["gsparams", "4096"]),
}


@pytest.fixture
def no_graph(monkeypatch):
    """No graph may run."""
    for name in ("sample", "check", "call"):
        monkeypatch.setattr(f"galsim_deep.modules.module.Module.{name}",
                            lambda *_, **__: pytest.fail("a graph ran"))


@pytest.mark.parametrize("case", BAD)
def test_bad_input(model, table, case, no_graph):
    make, options, error, words = BAD[case]
    with pytest.raises(error) as caught:
        model.sample(make(table), **options)
    assert isinstance(caught.value, galsim.GalSimError)
    for word in words:
        assert word in str(caught.value), word


def test_a_missing_value_of_a_column_that_is_required(demanding, table):
    model = galsim_deep.GenerativeGalaxyModel(demanding)
    with pytest.raises(galsim.GalSimValueError, match=r"mag_auto.*3.*nan"):
        model.sample(with_value(table, "mag_auto", 3, np.nan))


def test_a_missing_value_of_an_optional_column_is_drawn(model, table):
    """The other rows are not affected, and this row has a galaxy of another magnitude."""
    whole = model.sample(table, seeds=range(7))
    missing = with_value(table, "mag_auto", 3, np.nan)
    galaxies = model.sample(missing, seeds=range(7))
    assert [galaxy == other for galaxy, other in zip(whole, galaxies, strict=True)] == [
        number != 3 for number in range(7)]
    faintest, brightest = flux_of([26.0, 18.0])
    assert 0.99 * faintest < galaxies[3].flux < 1.01 * brightest
    assert model.sample(missing, seeds=range(7))[3] == galaxies[3]
    assert model.sample(missing, seeds=range(10, 17))[3].flux != galaxies[3].flux


def test_value_outside_of_the_range_warns(model, table):
    with pytest.warns(galsim.GalSimWarning, match="mag_auto.*18.*26"):
        galaxies = model.sample(with_value(table, "mag_auto", 5, 27.0), seeds=range(7))
    assert len(galaxies) == 7


@pytest.mark.parametrize("kind, signature", [("encoder", "embed"), ("density", "log_prob")])
def test_modules_that_are_no_generators_are_refused(tiny_folder, tmp_path, edit_card, kind,
                                                    signature):
    folder = edit_card(shutil.copytree(tiny_folder, tmp_path / "module"), kind=kind,
                       signatures=[signature], latent=None)
    with pytest.raises(galsim.GalSimValueError, match="generator") as caught:
        galsim_deep.GenerativeGalaxyModel(folder)
    assert caught.value.value == kind
    assert signature in str(caught.value)


def test_modules_of_several_bands_are_refused(tiny_folder, tmp_path, edit_card):
    bands = [dict(name=name, zero_point=25.94) for name in ("F606W", "F814W")]
    folder = edit_card(shutil.copytree(tiny_folder, tmp_path / "module"), bands=bands)
    with pytest.raises(galsim.GalSimValueError, match="bands") as caught:
        galsim_deep.GenerativeGalaxyModel(folder)
    assert caught.value.value == ["F606W", "F814W"]


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("changes", [
    dict(stamp=dict(sizes=[64], pixel_scale=0.03)), dict(latent=dict(size=2**20))], ids=str)
def test_nothing_is_drawn_for_a_card_that_does_not_fit(
        shapes_folder, without_compact_graph, edit_card, tmp_path, monkeypatch, compact, changes):
    copy_module = shutil.copytree if compact else without_compact_graph
    folder = edit_card(copy_module(shapes_folder, tmp_path / "module"), **changes)
    monkeypatch.setattr("galsim_deep.model.draw_latents",
                        lambda *_: pytest.fail("random numbers were drawn"))
    damaged = galsim_deep.GenerativeGalaxyModel(folder)
    table = dict(flux_radius=np.full(100, 5.0), mag_auto=22.0)
    for draw in (damaged.images, damaged.sample, damaged.draw_classes):
        with pytest.raises(galsim.GalSimError, match=f"{folder} .*agree"):
            draw(table, rng=galsim.BaseDeviate(8))


@pytest.mark.parametrize("handle", [None, 3, b"hub:acs_flow_vae"])
def test_what_is_no_handle(handle):
    with pytest.raises(galsim.GalSimValueError, match="file_name must be"):
        galsim_deep.GenerativeGalaxyModel(handle)


def test_stamps_that_are_not_finite_are_refused(model, table):
    bright = with_value(table, "mag_auto", 4, -200.0)  # the flux overflows
    for draw in (model.images, model.sample, lambda rows: [*model.stream(rows, chunk=2)]):
        with (pytest.warns(galsim.GalSimWarning, match="mag_auto"),
              pytest.raises(galsim.GalSimValueError, match="row 4") as caught):
            draw(bright)
        assert caught.value.value["mag_auto"] == -200.0


@pytest.mark.parametrize("options", [{}, dict(noise=1e-6, noise_pad_size=3.0)], ids=str)
def test_stamps_without_flux_make_no_profiles(shapes, table, options):
    """The row is that of the table, whichever part of it is drawn; arrays may be zero."""
    faint = with_value(table, "mag_auto", 4, 200.0)  # the flux underflows
    with pytest.warns(galsim.GalSimWarning, match="mag_auto"):
        assert not shapes.images(faint)[4].any()
    for draw in (shapes.sample, lambda rows, **options: [
            *shapes.stream(rows, chunk=3, **options)]):
        with (pytest.warns(galsim.GalSimWarning, match="mag_auto"),
              pytest.raises(galsim.GalSimValueError, match="zero total flux in row 4 ") as caught):
            draw(faint, **options)
        assert caught.value.value["mag_auto"] == 200.0


# ---- classes --------------------------------------------------------------------------------

NAMES = ("disc", "bulge", "ring")
MIXED = ["ring", 0, None, "disc", 1.0, -1, b"bulge"]
MIXED_NUMBERS = [2, 0, -1, 0, 1, -1, 1]


def test_names_of_the_classes(shapes, model):
    assert shapes.classes == NAMES
    assert model.classes == ()


@pytest.mark.parametrize("number, name", [*enumerate(NAMES)])
def test_a_class_by_number_and_by_name(shapes, table, number, name):
    images = shapes.images(table, seeds=range(7), galaxy_class=name)
    for galaxy_class in (number, float(number), str(number), name.encode(), [number] * 7):
        np.testing.assert_array_equal(
            shapes.images(table, seeds=range(7), galaxy_class=galaxy_class), images)
    in_table = dict(table, galaxy_class=name)
    np.testing.assert_array_equal(shapes.images(in_table, seeds=range(7)), images)
    hollow = images[-1, 15:17, 15:17].max() < 0.5 * images[-1].max()
    assert hollow == (name == "ring")


def test_classes_that_are_not_chosen_are_drawn(shapes, table):
    """With the shares of the card, by the random numbers of the galaxy alone."""
    drawn = shapes.images(table, seeds=range(7))
    for no_choice in (-1, "", [np.nan] * 7, np.ma.masked_all(7, int), [None] * 7):
        images = shapes.images(dict(table, galaxy_class=no_choice), seeds=range(7))
        np.testing.assert_array_equal(images, drawn)
    chosen = [shapes.images(table, seeds=range(7), galaxy_class=name) for name in NAMES]
    same = np.array([(images == drawn).all(axis=(1, 2, 3)) for images in chosen])
    assert (same.sum(axis=0) == 1).all() and (same.sum(axis=1) < 7).all()


def test_shares_of_the_classes(shapes):
    table, count = dict(flux_radius=8.0, mag_auto=np.full(2000, 22.0)), 2000
    drawn = shapes.images(table, seeds=range(count))
    for galaxy_class in shapes.card.classes:
        images = shapes.images(table, seeds=range(count), galaxy_class=galaxy_class.name)
        share = np.mean((images == drawn).all(axis=(1, 2, 3)))
        assert share == pytest.approx(galaxy_class.share, abs=0.04)


@pytest.mark.parametrize("classes", [MIXED, MIXED_NUMBERS, np.array(MIXED, object)], ids=str)
def test_rows_of_several_classes(shapes, table, classes):
    """Each is the galaxy that it would be alone."""
    images = shapes.images(dict(table, galaxy_class=classes), seeds=range(7))
    for row, number in enumerate(MIXED_NUMBERS):
        alone = shapes.images(row_of(table, row), seeds=[row], galaxy_class=number)
        np.testing.assert_array_equal(images[row], alone[0])


@pytest.mark.parametrize("classes", [None, "ring", 0, MIXED], ids=str)
def test_classes_take_no_random_numbers(shapes, table, classes):
    rng, other = galsim.BaseDeviate(5), galsim.BaseDeviate(5)
    shapes.images(table, rng=rng, galaxy_class=classes)
    shapes.images(table, rng=other)
    assert rng == other


@pytest.mark.parametrize("classes", [None, "ring", MIXED, MIXED_NUMBERS], ids=str)
def test_a_truth_catalogue(shapes, table, classes):
    """With the classes that were drawn as input, the galaxies are the same."""
    drawn = shapes.draw_classes(table, seeds=range(7), galaxy_class=classes)
    assert drawn.dtype == np.int32 and drawn.shape == (7,)
    np.testing.assert_array_equal(shapes.images(table, seeds=range(7), galaxy_class=drawn),
                                  shapes.images(table, seeds=range(7), galaxy_class=classes))
    if classes is not None:
        in_table = shapes.draw_classes(dict(table, galaxy_class=classes), seeds=range(7))
        np.testing.assert_array_equal(in_table, drawn)
        chosen = read_classes(classes, NAMES, 7)
        np.testing.assert_array_equal(drawn[chosen >= 0], chosen[chosen >= 0])
    else:
        assert len({*drawn}) > 1


def test_a_truth_catalogue_by_a_generator(shapes, table):
    rng = galsim.BaseDeviate(5)
    drawn = shapes.draw_classes(table, rng=rng.duplicate())
    galaxies = shapes.sample(table, rng=rng)
    assert galaxies == shapes.sample(table, rng=5, galaxy_class=drawn)
    other = galsim.BaseDeviate(5)
    shapes.draw_classes(table, rng=other)
    assert rng == other  # it is left where `sample` leaves it
    np.testing.assert_array_equal(shapes.draw_classes(cat=table, rng=5), drawn)


def test_a_truth_catalogue_of_many_and_of_none(shapes):
    table = dict(flux_radius=8.0, mag_auto=np.full(2000, 22.0))
    drawn = shapes.draw_classes(table, seeds=range(2000))
    for number, galaxy_class in enumerate(shapes.card.classes):
        assert np.mean(drawn == number) == pytest.approx(galaxy_class.share, abs=0.04)
    none = shapes.draw_classes(dict(flux_radius=[], mag_auto=[]))
    assert none.shape == (0,) and none.dtype == np.int32


def test_profiles_and_streams_of_classes(shapes, table):
    galaxies = shapes.sample(table, seeds=range(7), galaxy_class=MIXED, flux=2.0)
    in_table = dict(table, galaxy_class=MIXED_NUMBERS)
    assert galaxies == shapes.sample(in_table, seeds=range(7), flux=2.0)
    for stream in (
            shapes.stream(table, seeds=range(7), galaxy_class=MIXED, chunk=3, flux=2.0),
            shapes.stream(in_table, seeds=range(7), chunk=3, flux=2.0)):
        assert [galaxy for part in stream for galaxy in part] == galaxies


def test_a_model_with_classes_obeys_galsims_rules(shapes, table):
    check_object(shapes)
    twin = pickle.loads(pickle.dumps(shapes))
    assert twin.classes == shapes.classes
    np.testing.assert_array_equal(twin.images(table, seeds=range(7), galaxy_class=MIXED),
                                  shapes.images(table, seeds=range(7), galaxy_class=MIXED))


CLASSES_IN_PROCESSES = """
import multiprocessing, sys
import galsim_deep, numpy as np

model = galsim_deep.GenerativeGalaxyModel(sys.argv[1])
table = dict(flux_radius=np.linspace(4., 12., 20), mag_auto=np.linspace(21., 25., 20),
             galaxy_class=np.array(["ring", 0, None, "disc", -1] * 4, object))

def images(seed):
    return model.images(table, seeds=range(seed, seed + 20))

if __name__ == "__main__":
    here = [images(seed) for seed in (1, 2)]
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            np.testing.assert_array_equal(pool.map(images, [1, 2]), here)
    assert "tensorflow" not in sys.modules
"""


@pytest.mark.long
def test_classes_in_other_processes(shapes_folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(CLASSES_IN_PROCESSES)
    done = subprocess.run([sys.executable, str(script), str(shapes_folder)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


BAD_CLASSES = {
    "name in a column": (dict(galaxy_class=[0, 1, "spiral", 0, 0, 0, 0]), {},
                         ["'spiral'", "row 2"]),
    "number in a column": (dict(galaxy_class=[0, 1, 2, 3, 0, 0, 0]), {}, ["'3'", "row 3"]),
    "fraction": (dict(galaxy_class=np.linspace(0, 2, 7)), {}, ["row 1", "0.33"]),
    "name": ({}, dict(galaxy_class="spiral"), ["'spiral'"]),
    "number": ({}, dict(galaxy_class=-2), ["'-2'"]),
    "truth": ({}, dict(galaxy_class=True), ["'True'"]),
}


@pytest.mark.parametrize("call", ["sample", "stream", "images", "outputs", "draw_classes"])
@pytest.mark.parametrize("case", BAD_CLASSES)
def test_unknown_classes(shapes, table, case, call, no_graph):
    columns, options, words = BAD_CLASSES[case]
    with pytest.raises(galsim.GalSimValueError) as caught:
        getattr(shapes, call)(dict(table, **columns), **options)
    for word in [*words, *NAMES]:
        assert word in str(caught.value)


def test_the_argument_counts_and_not_the_column(shapes, table):
    """Whatever the column holds."""
    seeds = np.arange(7)
    for column in (["Sb"] * 7, ["ring"] * 7):
        np.testing.assert_array_equal(
            shapes.images(dict(table, galaxy_class=column), seeds=seeds, galaxy_class="disc"),
            shapes.images(table, seeds=seeds, galaxy_class="disc"))


def test_one_class_or_one_for_each_row(shapes, table):
    with pytest.raises(galsim.GalSimValueError, match="'galaxy_class' must .* 7 row.* Value 2"):
        shapes.sample(table, galaxy_class=["disc", "disc"])


def test_a_module_without_classes(model, table):
    """A column of that name is ignored like any other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(
            model.images(dict(table, galaxy_class=["Sb"] * 7), seeds=range(7)),
            model.images(table, seeds=range(7)))
    for galaxy_class in ("disc", 0, -1):
        with pytest.raises(galsim.GalSimValueError, match="no classes"):
            model.sample(table, galaxy_class=galaxy_class)
    for options in ({}, dict(galaxy_class=0)):
        with pytest.raises(galsim.GalSimValueError, match="no classes"):
            model.draw_classes(table, seeds=range(7), **options)
