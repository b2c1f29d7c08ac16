"""Light beyond the edge of a segment: how much, and that the edge is gone."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.data.sources.segment_edge import extrapolated_beyond_edge

SCALE_LENGTH = 16 / 1.678 / np.sqrt(0.6)
"""Of `exponential`, along its major axis [pixels]."""


def exponential(size=200, radius=16.0, flux=1000.0, q=0.6):
    return galsim.Exponential(half_light_radius=radius, flux=flux).shear(
        q=q, beta=0.5 * galsim.radians).drawImage(
            nx=size, ny=size, scale=1.0, method="no_pixel", dtype=float).array


def cut(image, share=0.04):
    """The part brighter than an isophote, as a segmentation keeps it."""
    return np.where(image > share * image.max(), image, 0.0)


@pytest.mark.parametrize("share", [0.04, 0.01])
def test_an_exponential_disc_is_recovered(share):
    whole = exponential()
    stamp = cut(whole, share)
    light = extrapolated_beyond_edge(stamp, SCALE_LENGTH)
    assert abs(light.sum() - whole.sum()) < 0.3 * (whole.sum() - stamp.sum())


def test_a_steeper_profile_has_less_light_beyond_the_edge():
    stamp = cut(exponential())
    steep, shallow = (extrapolated_beyond_edge(stamp, scale).sum() for scale in (4.0, 12.0))
    assert stamp.sum() < steep < shallow


def test_the_edge_is_gone():
    """There are no steps between pixels at the edge; the inner part does not change."""
    stamp = cut(exponential())
    soft = extrapolated_beyond_edge(stamp, SCALE_LENGTH)
    edge = stamp[stamp > 0].min()

    def steepest(image):
        steps = [np.abs(np.diff(image, axis=axis)) for axis in (0, 1)]
        low = [np.minimum(image[1:], image[:-1]), np.minimum(image[:, 1:], image[:, :-1])]
        return max(step[value < 0.9 * edge].max() for step, value in zip(steps, low, strict=True))

    assert steepest(stamp) > 0.9 * edge
    assert steepest(soft) < 0.45 * edge
    here, there = (np.unravel_index(image.argmax(), image.shape) for image in (soft, stamp))
    assert np.all(np.abs(np.subtract(here, len(soft) // 2)) <= 2)
    for step in range(-5, 6):
        assert soft[here[0] + step, here[1]] == stamp[there[0] + step, there[1]]


def test_the_light_reaches_zero_within_the_stamp():
    soft = extrapolated_beyond_edge(cut(exponential()), SCALE_LENGTH)
    assert soft.shape[0] == soft.shape[1] and len(soft) % 2 == 0
    assert np.all(soft >= 0)
    assert not np.concatenate([soft[0], soft[-1], soft[:, 0], soft[:, -1]]).any()


def test_the_extrapolation_depends_on_the_galaxy_only():
    """Not on the stamp around it, nor on the unit of flux, nor on the axes."""
    stamp = cut(exponential())
    soft = extrapolated_beyond_edge(stamp, SCALE_LENGTH)
    padded = np.pad(stamp, ((7, 30), (12, 25)))
    np.testing.assert_array_equal(extrapolated_beyond_edge(padded, SCALE_LENGTH), soft)
    np.testing.assert_allclose(extrapolated_beyond_edge(1e-4 * stamp, SCALE_LENGTH), 1e-4 * soft,
                               rtol=1e-9)
    turned = extrapolated_beyond_edge(stamp[::-1, ::-1], SCALE_LENGTH)
    assert turned.sum() == pytest.approx(soft.sum(), rel=2e-3)


def test_holes_and_small_pieces():
    stamp = cut(exponential())
    holes = stamp.copy()
    for y, x in [(100, 104), (90, 95), (105, 91)]:
        holes[y, x] = 0.0
    soft = extrapolated_beyond_edge(stamp, SCALE_LENGTH)
    filled = extrapolated_beyond_edge(holes, SCALE_LENGTH)
    # Fainter than their neighbours, which are above the threshold of the segment, but not dark.
    differ = np.abs(filled - soft) > 0.01 * soft.max()
    assert differ.sum() == 3
    assert np.all((filled[differ] > 0.5 * soft[differ]) & (filled[differ] < soft[differ]))
    crumb = stamp.copy()
    crumb[10:12, 10:12] = 5 * stamp.max()  # of a neighbour
    np.testing.assert_array_equal(extrapolated_beyond_edge(crumb, SCALE_LENGTH), soft)
