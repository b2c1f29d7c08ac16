"""Source galaxies: extrapolated light, groups of the same galaxy, and measured shapes."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.data.sources import (
    Stamps,
    extrapolated_beyond_edge,
    grouped,
    read_sources,
)


def exponential(size=160, radius=16.0, flux=1000.0, q=0.6):
    return galsim.Exponential(half_light_radius=radius, flux=flux).shear(
        q=q, beta=0.5 * galsim.radians).drawImage(
            nx=size, ny=size, scale=1.0, method="no_pixel", dtype=float).array


def cut(image, share=0.04):
    """The part brighter than an isophote, as a segmentation keeps it."""
    return np.where(image > share * image.max(), image, 0.0)


def padded(image, size):
    both = np.zeros((size, size))
    corner = (size - len(image)) // 2
    both[corner:corner + len(image), corner:corner + len(image)] = image
    return both


def test_an_exponential_disc_is_extrapolated():
    disc = exponential(flux=1000.0)
    stamp = cut(disc)
    soft = extrapolated_beyond_edge(stamp)
    lost = 1 - stamp.sum() / disc.sum()
    assert 0.1 < lost < 0.25
    # Part of the lost light is recovered; the extrapolation is limited to a few per cent.
    assert 0.03 < soft.sum() / stamp.sum() - 1 < 0.08
    shallow = cut(disc, share=0.01)
    again = extrapolated_beyond_edge(shallow)
    assert 1 - shallow.sum() / disc.sum() > 0.03
    assert again.sum() == pytest.approx(disc.sum(), rel=0.02)


def test_the_edge_is_gone():
    """There are no steps between pixels at the edge; the inner part does not change."""
    stamp = cut(exponential())
    soft = extrapolated_beyond_edge(stamp)
    edge = stamp[stamp > 0].min()

    def steepest(image):
        steps = [np.abs(np.diff(image, axis=axis)) for axis in (0, 1)]
        low = [np.minimum(image[1:], image[:-1]), np.minimum(image[:, 1:], image[:, :-1])]
        return max(step[value < 0.9 * edge].max() for step, value in zip(steps, low, strict=True))

    assert steepest(stamp) > 0.9 * edge
    assert steepest(soft) < 0.45 * edge
    middle = len(soft) // 2
    here = np.unravel_index(soft.argmax(), soft.shape)
    there = np.unravel_index(stamp.argmax(), stamp.shape)
    assert abs(here[0] - middle) <= 2 and abs(here[1] - middle) <= 2
    for step in range(-5, 6):
        assert soft[here[0] + step, here[1]] == stamp[there[0] + step, there[1]]


def test_the_light_reaches_zero_within_the_stamp():
    soft = extrapolated_beyond_edge(cut(exponential()))
    assert soft.shape[0] == soft.shape[1]
    assert np.all(soft >= 0)
    border = np.concatenate([soft[0], soft[-1], soft[:, 0], soft[:, -1]])
    assert border.max() < 1e-4 * soft.max()
    assert 0 < np.mean(soft == 0) < 0.6


def test_the_extrapolation_depends_on_the_galaxy_only():
    """Not on the stamp around it, nor on the unit of flux, nor on the axes."""
    stamp = cut(exponential())
    soft = extrapolated_beyond_edge(stamp)
    padded = np.pad(stamp, ((7, 30), (12, 25)))
    np.testing.assert_array_equal(extrapolated_beyond_edge(padded), soft)
    np.testing.assert_allclose(extrapolated_beyond_edge(1e-4 * stamp), 1e-4 * soft, rtol=1e-9)
    turned = extrapolated_beyond_edge(stamp[::-1, ::-1])
    assert turned.sum() == pytest.approx(soft.sum(), rel=2e-3)


def test_holes_and_small_pieces():
    disc = exponential()
    stamp = cut(disc)
    holes = stamp.copy()
    for y, x in [(80, 84), (70, 75), (85, 71)]:
        holes[y, x] = 0.0
    soft, filled = extrapolated_beyond_edge(stamp), extrapolated_beyond_edge(holes)
    # Fainter than their neighbours, which are above the threshold of the segment, but not dark.
    differ = np.abs(filled - soft) > 0.01 * soft.max()
    assert differ.sum() == 3
    assert np.all((filled[differ] > 0.5 * soft[differ]) & (filled[differ] < soft[differ]))
    crumb = stamp.copy()
    crumb[10:12, 10:12] = 5 * stamp.max()  # of a neighbour
    np.testing.assert_array_equal(extrapolated_beyond_edge(crumb), extrapolated_beyond_edge(stamp))


def test_groups():
    keys = list("abcdefg")
    found = grouped(keys, [("a", "c"), ("f", "x"), ("x", "c"), ("d", "e")])
    assert found == dict(a=0, b=1, c=0, d=2, e=2, f=0, g=3)
    assert grouped(keys, []) == {key: n for n, key in enumerate(keys)}
    assert grouped("ab", [("b", "a"), ("a", "b")]) == dict(a=0, b=0)


@pytest.fixture
def files(tmp_path):
    """Two files of the same four galaxies, with different pixels."""
    shapes = [(1.0, 0.8), (2.5, 0.9), (1.0, 0.4), (1.5, 0.6)]
    stamps = []
    for n, q in shapes:
        profile = galsim.Sersic(n, half_light_radius=0.5, trunc=3.0).shear(
            q=q, beta=0.4 * galsim.radians)
        stamps.append(galsim.Convolve(profile, galsim.Gaussian(fwhm=0.09)))
    for name, scale, size in [("coarse", 0.06, 120), ("fine", 0.03, 240)]:
        images = np.array([cut(stamp.drawImage(nx=size, ny=size, scale=scale).array, 0.003)
                           for stamp in stamps])
        np.savez(tmp_path / f"{name}.npz", images=images, mags=np.array([21.0, np.nan, 22, 25.0]))
    return tmp_path


def test_sources_of_several_files(files):
    settings = dict(
        coarse=Stamps(file_name="coarse.npz", magnitudes="mags", pixel_scale=0.06, faintest=24.0),
        fine=Stamps(file_name="fine.npz", pixel_scale=0.03, leave_out=(1,)))
    same = [dict(coarse=(0,), fine=(0,)), dict(coarse=(2,), fine=(2,))]
    sources = read_sources(settings, same, lambda name: files / name, "recipe")
    assert [(s.name, s.row) for s in sources] == [
        ("coarse", 0), ("coarse", 2), ("fine", 0), ("fine", 2), ("fine", 3)]
    assert [s.group for s in sources] == [0, 1, 0, 1, 2]
    assert [s.members for s in sources] == [2, 2, 2, 2, 1]
    for source in sources:
        assert source.image.sum() == pytest.approx(1.0)
        profile = source.profile()
        assert profile.flux == pytest.approx(1.0)
        assert profile.centroid.x == pytest.approx(0, abs=1e-9)
        assert profile.centroid.y == pytest.approx(0, abs=1e-9)
        outside = profile.drawImage(nx=600, ny=600, scale=0.03, method="no_pixel").array
        y, x = np.indices(outside.shape) - 299.5
        assert abs(outside[0.03 * np.hypot(x, y) > source.extent + 0.12]).max() < 1e-6
    # Measured alike, whatever the pixels, and as they were made.
    for coarse, fine in [(0, 2), (1, 3)]:
        one, other = sources[coarse], sources[fine]
        assert one.radius == pytest.approx(other.radius, rel=0.03)
        assert one.sersic_n == pytest.approx(other.sersic_n, rel=0.1)
        assert one.axis_ratio == pytest.approx(other.axis_ratio, abs=0.03)
    assert sources[0].sersic_n == pytest.approx(1.0, rel=0.15)
    assert sources[0].axis_ratio == pytest.approx(0.8, abs=0.05)
    assert sources[3].axis_ratio == pytest.approx(0.4, abs=0.05)
    assert sources[4].sersic_n == pytest.approx(1.5, rel=0.15)


def test_files_that_cannot_be_read(files):
    (files / "text.npz").write_text("galaxies")
    for name in ("absent.npz", "text.npz"):
        with pytest.raises(galsim.GalSimConfigError, match=name):
            read_sources(dict(a=Stamps(file_name=name, pixel_scale=0.03)), [],
                         lambda name: files / name, "recipe")
    with pytest.raises(galsim.GalSimConfigError, match=r"'mags'.*\(4,\)"):
        read_sources(dict(a=Stamps(file_name="fine.npz", images="mags", pixel_scale=0.03)), [],
                     lambda name: files / name, "recipe")
