"""How large to draw a shape so that it has the half-light radius that was asked for.

Catalogues list the half-light radius as observed, through a PSF.  Light from a point at radius
``rho`` ends inside a circle of radius ``r`` with a probability that depends on the PSF alone; it is
tabulated once.  With it, half of the light of a shape is required to fall inside the asked circle.
"""

__all__ = ["HalfLight"]

import keras
import numpy as np
import tensorflow as tf

SIZES = np.geomspace(2.0, 48.0, 41)
"""Half-light radii for which the table is made [pixels]."""
RADII = np.linspace(0.0, 160.0, 321)
"""Radii at which the table is made [pixels]."""
FACTORS = np.geomspace(0.4, 2.5, 28)
"""By how much a shape may be enlarged."""
RINGS = 56
"""Rings that a shape is divided into."""
_MOST = 4
"""How far from the middle of the frame, in its cells, the centre may be before light is lost."""


class HalfLight(keras.layers.Layer):
    """Finds the scale at which shapes have an asked half-light radius, as observed.

    Parameters:
        frames:     The `GalaxyFrame`s of the shapes, the widest first, about one middle.
        margin:     Pixels at the edge of the stamp that hold no light; what falls beyond is not
                    counted, as it would not be in a measurement on the stamp.
    """

    def __init__(self, frames, margin=4.0):
        super().__init__(name="half_light", dtype="float32")
        self.frames = frames
        self.half_width = 0.5 * frames[0].stamp_size - margin
        # Light is collected on a quarter of a grid, since no more than its radius counts.
        self.bin = 0.5 * frames[0].step
        self.bins = frames[0].cells + 2 * _MOST
        middles = self.bin * (np.arange(self.bins) + 0.5)
        self.rings, members = _rings(np.hypot(middles[:, None], middles).ravel())
        # Not an array: graphs would hold a copy for each use.
        self.members = tf.constant(members)
        self.table = self.add_weight(shape=(len(SIZES), len(RADII)), initializer="zeros",
                                     trainable=False, name="table")

    def adapt(self, psf):
        """Take the PSF that sizes are observed through: an image [P, P], P odd, unit sum."""
        inside = np.stack([_share_inside(psf, size) for size in SIZES])
        angle = np.pi / 2 * (np.arange(512) + 0.5) / 512
        corner = np.maximum(np.cos(angle), np.sin(angle))
        on_stamp = (RADII[:, None] * corner < self.half_width).mean(axis=1)
        # Summed over the light: positive where more than half of what is on the stamp is inside.
        self.table.assign(2 * inside - on_stamp)

    def call(self, shapes, centre, size, scale):
        """By which factors to enlarge shapes.

        Parameters:
            shapes:     Flux in each cell of each frame, a list of [N, C, C].
            centre:     Where radii count from, x and y in the frames' unit, [N, 2].
            size:       Asked half-light radius, as observed [pixels], [N].
            scale:      The unit of length from which the factor counts [pixels], [N].

        Returns:
            [N], between 0.4 and 2.5; good to about a per cent of the asked size.
        """
        light = tf.matmul(tf.reshape(self._folded(shapes, centre), [-1, self.members.shape[0]]),
                          self.members)
        place = _place(tf.math.log(size), np.log(SIZES))
        row = _between(self.table, *place)
        radii = scale[:, None, None] * tf.constant(FACTORS[:, None] * self.rings, tf.float32)
        excess = tf.reduce_sum(_between_rows(row, *_place(radii, RADII)) * light[:, None], axis=-1)
        # It falls as the shape grows; the root is between the last positive value and the next.
        last = tf.reduce_sum(tf.cast(excess > 0, tf.int32), axis=-1) - 1
        last = tf.clip_by_value(last, 0, len(FACTORS) - 2)
        before = tf.gather(excess, last, batch_dims=1)
        after = tf.gather(excess, last + 1, batch_dims=1)
        share = tf.clip_by_value(before / tf.maximum(before - after, 1e-6), 0.0, 1.0)
        factors = tf.constant(np.log(FACTORS)[:, None], tf.float32)
        return tf.exp(_between(factors, last, share))[:, 0]

    def _folded(self, shapes, centre):
        """The four quarters about the centre laid on one, of all frames: [N, bins, bins]."""
        x, y = (tf.reshape(part, [-1, 1, 1]) for part in tf.unstack(centre, axis=-1))
        bins = tf.range(self.bins, dtype=tf.float32)[:, None]

        def shares(axis, middle):
            place = tf.nn.relu(tf.abs(axis - middle) / self.bin - 0.5)
            return tf.nn.relu(1.0 - tf.abs(bins - place))

        return tf.add_n([
            tf.matmul(tf.matmul(shares(frame.axis, y), shape), shares(frame.axis, x),
                      transpose_b=True)
            for frame, shape in zip(self.frames, shapes, strict=True)])


def _rings(radius):
    """Radii of the rings [RINGS], and what share of each cell belongs to each: [cells, RINGS]."""
    narrow = 2.0  # rings are narrower in the middle, where the light is
    top = radius.max() * (1 + 1e-6)
    place = np.arcsinh(radius / top * np.sinh(narrow)) / narrow * (RINGS - 1)
    inner = np.floor(place).astype(int)
    members = np.zeros((len(radius), RINGS), np.float32)
    cells = np.arange(len(radius))
    members[cells, inner] = 1 - (place - inner)
    members[cells, np.minimum(inner + 1, RINGS - 1)] += place - inner
    return top * np.sinh(narrow * np.arange(RINGS) / (RINGS - 1)) / np.sinh(narrow), members


def _share_inside(psf, size):
    """Share of the light from each of the `RADII` that a PSF puts inside a circle: [radii]."""
    distance, weight = _radial(psf)
    angle = np.pi * (np.arange(64) + 0.5) / 64
    rho = RADII[:, None, None]
    arrival = np.sqrt(rho**2 + distance[:, None] ** 2
                      + 2 * rho * distance[:, None] * np.cos(angle))
    inside = np.clip((size - arrival) / 0.25 + 0.5, 0.0, 1.0).mean(axis=2)
    return inside @ weight


def _radial(psf, finer=8, width=0.25):
    """How far a PSF image scatters light: distances [pixels] and the share of light at each."""
    size = len(psf)
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(psf)))
    pad = (finer - 1) * size // 2
    fine = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(np.pad(spectrum, pad))).real)
    y, x = (np.indices(fine.shape) - len(fine) // 2) * (size / len(fine))
    distance = np.hypot(x, y).ravel()
    edges = np.arange(0.0, size / 2, width)
    count = np.maximum(np.histogram(distance, edges)[0], 1)
    weight = np.histogram(distance, edges, weights=fine.ravel())[0]
    return np.histogram(distance, edges, weights=distance)[0] / count, weight / weight.sum()


def _place(values, nodes):
    """Where values lie on evenly spaced nodes: (index of the node before, share of the next)."""
    place = (values - float(nodes[0])) / float(nodes[1] - nodes[0])
    place = tf.clip_by_value(place, 0.0, len(nodes) - 1.001)
    before = tf.floor(place)
    # NaN has no place, but must not take the other galaxies of a batch with it.
    index = tf.clip_by_value(tf.cast(before, tf.int32), 0, len(nodes) - 2)
    return index, place - before


def _between(table, index, share):
    """Linear interpolation between the rows of one table: [K, M], [N], [N] -> [N, M]."""
    share = share[:, None]
    return (1 - share) * tf.gather(table, index) + share * tf.gather(table, index + 1)


def _between_rows(rows, index, share):
    """Linear interpolation along each row of its own: [N, M], [N, ...], [N, ...] -> [N, ...]."""
    return ((1 - share) * tf.gather(rows, index, batch_dims=1)
            + share * tf.gather(rows, index + 1, batch_dims=1))
