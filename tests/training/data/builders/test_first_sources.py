"""The builder of radio sources: it recovers flux and noise of clipped images of 8 bits."""

import numpy as np
import pytest
from galsim import GalSimConfigError
from scipy import ndimage

from galsim_deep.observations import clipping
from galsim_deep_training.data.build import build
from galsim_deep_training.data.builders import make_builder
from galsim_deep_training.data.builders.first_sources import RATIOS, extent, noise_ratio
from galsim_deep_training.data.dataset import Dataset

SCALE, BEAM, RMS = 1.8, 5.4, 0.2  # arcsec, arcsec, mJy/beam
WIDTH = BEAM / np.sqrt(8 * np.log(2)) / SCALE  # of the beam [pixels]
AREA = 2 * np.pi * WIDTH**2
SIZE, STAMP = 120, 48
FAR, EMPTY, COPY, NEAR, CLOSE_TO_TEST = 3, 5, 7, 9, 11
TEST = (0, 4, 8)
COLUMNS = dict(flux_density=dict(unit="mJy", quantity="flux"),
               size=dict(unit="arcsec", quantity="largest_angular_size", as_observed=True),
               redshift=dict(unit="", quantity="redshift"))


def noise(rng, size):
    """White noise convolved with the beam, of unit variance."""
    field = ndimage.gaussian_filter(rng.standard_normal((size, size)), WIDTH, mode="wrap")
    return field / field.std()


def lobes(size, signal, apart=8.0, angle=0.4, places=(-1, 1)):
    """Two beams on either side of the middle, of ``signal`` and half of it."""
    axis = np.arange(size) - 0.5 * (size - 1)
    image = np.zeros((size, size))
    for place, peak in zip(places, (signal, 0.5 * signal), strict=True):
        dy, dx = axis - place * apart * np.sin(angle), axis - place * apart * np.cos(angle)
        image += peak * np.outer(*(np.exp(-0.5 * (d / WIDTH)**2) for d in (dy, dx)))
    return image


def clipped(image):
    """An image [sigma of the noise] as the files contain it, and its true noise ratio."""
    top = image.max() - 3
    values = np.where(image > 3, np.floor(255 * (image - 3) / top), 0)
    return values.astype(np.uint8), 1 / top


@pytest.fixture(scope="module")
def content():
    """The content of the file, and the images without noise [n, s, s], in units of the noise."""
    rng = np.random.default_rng(5)
    lights = [lobes(SIZE, signal, angle=n) for n, signal in enumerate(np.geomspace(25, 150, 14))]
    lights[FAR] = lobes(SIZE, 80.0, 45.0)  # both lobes are beyond the stamp
    images = np.array([clipped(light + noise(rng, SIZE))[0] for light in lights])
    images[EMPTY] = 0
    images[COPY] = images[TEST[1]]
    split = np.full(len(images), "train")
    split[list(TEST)] = "test"
    split[1] = "valid"
    # Half a degree from one another, but for two.
    ra, dec = 150 + 0.5 * np.arange(len(images)), np.full(len(images), 30.0)
    ra[NEAR] = ra[NEAR + 1] + 20 / 3600
    ra[CLOSE_TO_TEST] = ra[TEST[2]] + 20 / 3600
    label = np.arange(len(images)) % 4
    return dict(images=images, label=label, split=split, ra=ra, dec=dec), np.array(lights)


@pytest.fixture
def first(content, make_recipe, tmp_path):
    """``first(edit, **settings)``: a recipe for the file, with content changed by ``edit``."""

    def make(edit=None, columns=("flux_density", "size"), stamp=STAMP, scale=SCALE, **settings):
        file = dict(content[0])
        if edit is not None:
            edit(file)
        np.savez(tmp_path / "sources.npz", **file)

        def change(recipe):
            recipe["stamp"] = dict(size=stamp, pixel_scale=scale, psf_size=17)
            recipe["bands"] = [dict(name="1.4 GHz", zero_point=16.4)]
            recipe["columns"] = [dict(COLUMNS[name], name=name, meaning="", valid_range=[0, 1000])
                                 for name in columns]
            recipe["data"] = dict(dict(
                kind="first_sources", file_name=str(tmp_path / "sources.npz"), rms=RMS), **settings)

        return make_recipe(change)

    return make


def examples(builder):
    made = [builder.example(number) for number in range(len(builder))]
    return [example for example in made if example is not None]


def of_row(builder, row):
    return [example for example in examples(builder) if example.source == row]


# ---- the noise ------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", [12, 30, 80, 200])
def test_noise_ratio(signal):
    found = []
    for seed in range(4):
        image, ratio = clipped(lobes(300, signal) + noise(np.random.default_rng(seed), 300))
        found.append(np.log(noise_ratio(image, AREA) / ratio))
    # Slightly low: islands of noise that are as large as sources are not counted.
    assert -0.45 < np.mean(found) < 0.05 and np.max(np.abs(found)) < 0.6


def test_neighbours_are_not_noise():
    light = lobes(300, 60.0) + lobes(300, 30.0, 70.0) + lobes(300, 8.0, 100.0, 1.5)
    image, ratio = clipped(light + noise(np.random.default_rng(1), 300))
    assert noise_ratio(image, AREA) == pytest.approx(ratio, rel=0.3)


def test_a_bright_source_gives_a_limit():
    """No noise is left above the clip: only an upper limit of the noise ratio is known."""
    image, ratio = clipped(lobes(300, 900.0) + noise(np.random.default_rng(1), 300))
    assert RATIOS[0] < noise_ratio(image, AREA) < 1 / 300
    rng = np.random.default_rng(0)
    drawn = np.array([noise_ratio(image, AREA, rng) for _ in range(200)])
    assert drawn.max() < 1 / 200 and drawn.std() > 0.2 * drawn.mean()
    # Where there is noise above the clip, draws hardly differ.
    image, ratio = clipped(lobes(300, 30.0) + noise(np.random.default_rng(1), 300))
    drawn = [noise_ratio(image, AREA, rng) for _ in range(20)]
    assert np.std(drawn) < 0.2 * np.mean(drawn)


# ---- examples -------------------------------------------------------------------------------


def test_flux_and_noise(content, first):
    builder = make_builder(first())
    made = examples(builder)
    assert all(example.noise_sigma == pytest.approx(RMS / AREA) for example in made)
    ratios = []
    for example in made:
        light = RMS * content[1][example.source] / AREA
        seen = light > 3 * example.noise_sigma
        ratios.append(example.stamp.sum() / light[seen].sum())
        assert example.stamp.shape == (STAMP, STAMP)
        assert example.columns["flux_density"] == pytest.approx(example.stamp.sum())
        lit = example.stamp[example.stamp != 0]
        assert lit.min() >= 3 * example.noise_sigma
    # In so small an image there are some twenty pixels of noise.
    assert np.mean(ratios) == pytest.approx(1, abs=0.15) and np.std(ratios) < 0.35


def test_pixels_are_where_they_were(content, first):
    builder = make_builder(first())
    corner = (SIZE - STAMP) // 2
    image = content[0]["images"][2][corner:-corner, corner:-corner].astype(float)
    example, = of_row(builder, 2)
    lit = example.stamp > 0
    assert not np.any(lit & (image == 0))
    # A straight line through all pixels that are left, half a level above the truncated value.
    slope, start = np.polyfit(image[lit] + 0.5 * (image[lit] < 255), example.stamp[lit], 1)
    assert start == pytest.approx(3 * example.noise_sigma, rel=1e-3)
    assert np.ptp(example.stamp[lit] - slope * (image[lit] + 0.5 * (image[lit] < 255))) < 1e-6


def test_islands_of_noise_are_removed(first):
    def edit(file):
        images = file["images"] = file["images"].copy()
        image = images[2]
        image[:] = np.where(ndimage.gaussian_filter(image.astype(float), 3) > 3, image, 0)
        # The noise of the image: about 40 values are one sigma.
        for row in range(5, 110, 15):
            image[row, 3], image[row, 6:8] = 20, 10
        image[42, 42] = 8                # noise
        image[42, 70:72] = 230           # small, but bright
        image[75:79, 42:46] = 8          # large, but faint

    example, = of_row(make_builder(first(edit)), 2)
    corner = (SIZE - STAMP) // 2
    lit = np.pad(example.stamp, corner) > 0
    assert not lit[42, 42] and lit[42, 70:72].all() and not lit[75:79, 42:46].any()


def test_a_file_says_how_it_was_clipped(first, tmp_path):
    path = tmp_path / "data.h5"
    recipe = first()
    build(recipe, path, processes=1, progress=False)
    dataset = Dataset(path)
    assert dataset.clipping == (3.0, 5.0)
    for row in range(len(dataset)):
        stamp = dataset.read([row])["stamp"][0]
        np.testing.assert_array_equal(
            stamp, clipping.clipped(stamp, dataset.noise_sigma[row], *dataset.clipping))


def test_psf_and_correlation_of_the_noise(first):
    builder = make_builder(first())
    psf, = builder.psfs()
    assert psf.shape == (17, 17) and psf.sum() == pytest.approx(1)
    assert psf[8, 11] == pytest.approx(psf[8, 8] / 16)  # a FWHM is three pixels
    correlation, = builder.noise_correlations()
    middle = len(correlation) // 2
    fields = [noise(np.random.default_rng(seed), 200) for seed in range(10)]
    for lag in (0, 1, 3, 6):
        seen = np.mean([np.mean(field * np.roll(field, lag, axis=1)) for field in fields])
        assert correlation[middle, middle + lag] == pytest.approx(seen, abs=0.03)


def test_extent():
    stamp = np.zeros((20, 20))
    assert extent(stamp) == 0
    stamp[4, 5] = 1
    assert extent(stamp) == 1
    stamp[4, 9] = stamp[10, 1] = 2  # 8 columns and 6 rows apart
    stamp[5:9, 4:8] = 1
    assert extent(stamp) == pytest.approx(11)


def test_the_size_is_that_of_the_source(first):
    example, = of_row(make_builder(first()), 6)
    # The lobes are 16 pixels apart, and each is seen to about two of its widths.
    reach = sum(np.sqrt(2 * np.log(peak / 3)) for peak in (60, 30)) * WIDTH
    assert example.columns["size"] == pytest.approx(SCALE * (16 + reach), abs=4 * SCALE)


def test_columns_are_those_asked_for(first):
    assert list(examples(make_builder(first(columns=["size"])))[0].columns) == ["size"]


# ---- the split ------------------------------------------------------------------------------


def test_split_and_copies(content, first):
    builder = make_builder(first())
    made = examples(builder)
    assert sorted(e.source for e in made if e.test) == list(TEST)
    training = sorted(e.source for e in made if not e.test)
    # The copy of a test source and a neighbour of one are left out; two neighbours are one source.
    absent = {*TEST, FAR, EMPTY, COPY, CLOSE_TO_TEST}
    expected = [NEAR if row == NEAR + 1 else row for row in range(14) if row not in absent]
    assert training == expected
    for example in made:
        if example.source != NEAR:
            assert example.label == content[0]["label"][example.source]


def test_other_splits_for_the_test(first):
    made = examples(make_builder(first(test_splits=["test", "valid"])))
    assert sorted(example.source for example in made if example.test) == sorted([1, *TEST])


def test_sources_that_do_not_fit(first):
    assert not of_row(make_builder(first()), FAR)
    assert of_row(make_builder(first(least_flux_share=0.0, stamp=96)), FAR)


def test_turned_examples(first):
    builder = make_builder(first(turns=6))
    plain = make_builder(first())
    made, once = examples(builder), examples(plain)
    assert [e.source for e in made if e.test] == [e.source for e in once if e.test]
    for one, other in zip((e for e in made if e.test), (e for e in once if e.test), strict=True):
        np.testing.assert_array_equal(one.stamp, other.stamp)
    for row in (2, 6, 13):
        first_one, *turned = of_row(builder, row)
        np.testing.assert_array_equal(first_one.stamp, of_row(plain, row)[0].stamp)
        assert len(turned) == 5 and not any(example.test for example in turned)
        for example in turned:
            assert not np.array_equal(example.stamp, first_one.stamp)
            for name, tolerance in (("flux_density", 0.03), ("size", 0.12)):
                assert example.columns[name] == pytest.approx(
                    first_one.columns[name], rel=tolerance)
            assert example.stamp[example.stamp != 0].min() >= 3 * example.noise_sigma
            assert example.stamp.max() == pytest.approx(first_one.stamp.max(), rel=0.16)
            assert (example.label, example.source) == (first_one.label, row)


def test_a_turned_example_is_one_of_the_source(first):
    """Rotated back, it is the stamp that it was made of: the centre has not moved."""
    builder = make_builder(first(turns=4))
    original, *turned = of_row(builder, 13)
    angles = np.linspace(0, 360, 361)[:-1]
    for example in turned:
        best = max(
            np.sum(ndimage.rotate(stamp, angle, reshape=False, order=1) * original.stamp)
            for stamp in (example.stamp, example.stamp[:, ::-1]) for angle in angles)
        assert best > 0.9 * np.sum(original.stamp**2)


def test_an_example_depends_on_seed_and_number_only(first):
    recipe = first(turns=3)
    one, other = make_builder(recipe), make_builder(recipe)
    made = [one.example(number) for number in range(len(one))]
    for number in reversed(range(len(one))):
        again = other.example(number)
        assert (again is None) == (made[number] is None)
        if again is not None:
            np.testing.assert_array_equal(again.stamp, made[number].stamp)
            assert again.columns == made[number].columns


def test_a_data_set(first, tmp_path):
    recipe = first(columns=["flux_density"], turns=2)
    written, skipped = build(recipe, tmp_path / "data.h5", progress=False)
    assert (written, skipped) == (17, 4)  # one does not fit, one is empty, both twice
    dataset = Dataset.of(recipe, tmp_path / "data.h5")
    assert len(dataset.test_indices) == len(TEST)
    expected = examples(make_builder(recipe))
    assert dataset.label.tolist() == [example.label for example in expected]
    np.testing.assert_allclose(dataset.read([4])["stamp"][0], expected[4].stamp, rtol=1e-6)
    assert not set(dataset.source[dataset.test_indices]) & set(
        dataset.source[dataset.train_indices])


def test_the_file_of_the_radio_galaxy_dataset(content, first, write_radio_galaxy_dataset, tmp_path):
    """It gives the same examples as an ``.npz`` with the same content."""
    expected = examples(make_builder(first()))
    path = write_radio_galaxy_dataset(tmp_path / "sources.zip", content[0])
    found = examples(make_builder(first(file_name=str(path))))
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.stamp, other.stamp)
        assert (one.columns, one.label, one.source, one.test) == (
            other.columns, other.label, other.source, other.test)


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["images", "label", "split", "ra", "dec"])
def test_a_key_is_missing(key, first):
    with pytest.raises(GalSimConfigError, match=f"sources.npz .*{key}"):
        make_builder(first(lambda file: file.pop(key)))


def _set(key, value):
    return lambda file: file.update({key: value})


@pytest.mark.parametrize("edit, message", [
    (_set("images", np.zeros((14, 120, 100), np.uint8)), r"\(14, 120, 100\)"),
    (_set("images", np.zeros((14, 120, 120), np.float32)), "float32"),
    (_set("images", np.zeros((14, 40, 40), np.uint8)), "40 .*48"),
    (_set("ra", np.zeros(13)), r"'ra' .*\(13,\)"),
    (_set("label", np.full(14, 4)), "label 4 in row 0"),
    (_set("split", np.full(14, "train")), "split test.*train"),
])
def test_a_wrong_file(edit, message, first):
    with pytest.raises(GalSimConfigError, match=message):
        make_builder(first(edit))


def test_no_such_file(first, tmp_path):
    recipe = first()
    (tmp_path / "sources.npz").unlink()
    with pytest.raises(GalSimConfigError, match="sources.npz"):
        make_builder(recipe)
    (tmp_path / "sources.npz").write_bytes(b"PK\3\4 and nothing else")
    with pytest.raises(GalSimConfigError, match="sources.npz"):
        make_builder(recipe)
    np.save(tmp_path / "sources.npy", np.zeros(3))
    (tmp_path / "sources.npy").rename(tmp_path / "sources.npz")
    with pytest.raises(GalSimConfigError, match="sources.npz.*not an .npz"):
        make_builder(recipe)


@pytest.mark.parametrize("edit", [None, lambda file: file.move("data_3", "galaxy")])
def test_a_wrong_zip(edit, content, first, write_radio_galaxy_dataset, tmp_path):
    path = tmp_path / "sources.zip"
    if edit is None:
        path.write_text("no zip")
    else:
        write_radio_galaxy_dataset(path, content[0], edit)
    with pytest.raises(GalSimConfigError, match="sources.zip .*cannot be read"):
        make_builder(first(file_name=str(path)))


@pytest.mark.parametrize("settings, message", [
    (dict(turns=0), "turns: .*from 1 to"),
    (dict(beam=-1.0), "beam: .*from 1e-05"),
    (dict(least_flux_share=1.5), "least_flux_share: .*from 0 to 1 .*1.5"),
    (dict(scale=0.5), "1.8 .*stamp.pixel_scale is 0.5"),
    (dict(columns=["flux_density", "redshift"]),
     "redshift"),
])
def test_wrong_settings(settings, message, first):
    with pytest.raises(GalSimConfigError, match=message):
        make_builder(first(**settings))


def test_no_new_examples(first):
    with pytest.raises(GalSimConfigError):
        make_builder(first()).new_example(0, "held-out")


# ---- the real file --------------------------------------------------------------------------


@pytest.mark.long
def test_the_radio_galaxy_dataset(first, reference_data):
    path = reference_data / "radio" / "rgd_first_2158_uint8_300px.npz"
    if not path.is_file():
        pytest.skip(f"the Radio Galaxy Dataset is not at {path}")

    def real(file):
        with np.load(path) as content:
            file.update(content)

    builder = make_builder(first(real, stamp=96, columns=["flux_density", "size"]))
    assert 2100 < len(builder) <= 2158
    made = [builder.example(number) for number in range(0, len(builder), 20)]
    made = [example for example in made if example is not None]
    assert len(made) > 90 and {example.label for example in made} == {0, 1, 2, 3}
    flux = np.array([example.columns["flux_density"] for example in made])
    # FIRST lists sources above 1 mJy; the brightest that are taken to be galaxies have some Jy.
    assert flux.min() > 1 and flux.max() < 5000 and 30 < np.median(flux) < 200
    sizes = {label: np.median([e.columns["size"] for e in made if e.label == label])
             for label in range(4)}
    assert sizes[2] < 30 < min(sizes[0], sizes[1], sizes[3])


# ---- sources that are left out ---------------------------------------------------------------


def test_excluded_sources(first, content, tmp_path):
    """Those close to a position of the file are left out, from the training and the test split."""
    ra = content[0]["ra"]
    positions = [(ra[1] + 10 / 3600, 30.0), (ra[TEST[1]], 30.0), (10.0, -5.0)]
    path = tmp_path / "positions.csv"
    path.write_text("ra,dec,of\n" + "".join(f"{a:.6f},{d:.6f},x\n" for a, d in positions))
    everyone = {example.source for example in examples(make_builder(first()))}
    left = {example.source for example in examples(make_builder(first(excluded=str(path))))}
    # The exact copy of a test source is the same source.
    assert everyone - left == {1, TEST[1]} and left <= everyone


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "ra,dec\nnorth,3\n", None])
def test_a_file_of_positions_that_cannot_be_read(text, first, tmp_path):
    path = tmp_path / "positions.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(GalSimConfigError, match="data.excluded: .*positions.csv cannot be read"):
        make_builder(first(excluded=str(path)))
