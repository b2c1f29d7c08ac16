"""Write a small module with three classes of galaxies: ``python module_with_classes.py FOLDER``.

In a process of its own, since tests fork and TensorFlow does not survive that.
"""

import gzip
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from galsim_deep.card import write_card
from galsim_deep.module import PROBE_PATH
from galsim_deep.sampler import COMPACT_PATH, ROWS, signature_of

SIZE, LATENT, PSF_SIZE = 32, 3, 17
CLASSES = [
    dict(name="disc", description="An exponential disc.", share=0.5),
    dict(name="bulge", description="A Gaussian, round and smooth.", share=0.3),
    dict(name="ring", description="A ring with a hole.", share=0.2),
]
# The standard normal number below which a share of 0.5, and of 0.5 + 0.3, lies: the last random
# number of a galaxy is compared with them, which needs no error function.
LIMITS = tf.constant([0.0, 0.8416212])

COLUMNS = dict(flux_radius=tf.TensorSpec([None], tf.float32),
               mag_auto=tf.TensorSpec([None], tf.float32))
SAMPLE = dict(COLUMNS, random_normal=tf.TensorSpec([None, LATENT], tf.float32))
CLUSTER = dict(SAMPLE, cluster=tf.TensorSpec([None], tf.int32))
DECODE = dict(COLUMNS, latent=tf.TensorSpec([None, 2], tf.float32), cluster=CLUSTER["cluster"])
PRIOR = dict(COLUMNS, cluster=CLUSTER["cluster"])
ENCODE = dict(COLUMNS, image=tf.TensorSpec([None, SIZE, SIZE], tf.float32),
              psf=tf.TensorSpec([None, PSF_SIZE, PSF_SIZE], tf.float32),
              noise_sigma=tf.TensorSpec([None], tf.float32))

AXIS = tf.range(SIZE, dtype=tf.float32) - 0.5 * (SIZE - 1)


def profiles(flux_radius, mag_auto, place):
    """The galaxy as each class, at half of a place [N, 2] from the middle: [N, S, S, 3]."""
    x, y = AXIS - 0.5 * place[:, :1], AXIS - 0.5 * place[:, 1:]
    square = x[:, None, :]**2 + y[:, :, None]**2
    square = square / (0.4 * flux_radius[:, None, None])**2
    light = tf.stack([tf.exp(-tf.sqrt(square + 0.01)), tf.exp(-square),
                      square * tf.exp(-square)], axis=-1)
    window = tf.nn.relu(1 - (AXIS[:, None]**2 + AXIS**2) / (0.5 * SIZE - 1)**2)
    light = light * window[:, :, None]
    flux = 10.0 ** (-0.4 * (mag_auto - 25.94))
    return flux[:, None, None, None] * light / tf.reduce_sum(light, axis=[1, 2], keepdims=True)


def of_kind(light, kind):
    # An id that there is not gives no light, and a stamp that is not finite.
    known = tf.where((kind >= 0) & (kind < 3), 1.0, np.nan)
    return known[:, None, None] * tf.reduce_sum(
        light * tf.one_hot(kind, 3)[:, None, None, :], axis=-1)


def cluster(flux_radius, mag_auto, random_normal, cluster):
    drawn = tf.reduce_sum(tf.cast(random_normal[:, -1:] >= LIMITS, tf.int32), axis=1)
    kind = tf.where(cluster < 0, drawn, cluster)
    light = profiles(flux_radius, mag_auto, random_normal[:, :2])
    return dict(image=of_kind(light, kind), cluster=kind)


def decode(flux_radius, mag_auto, latent, cluster):
    return dict(image=of_kind(profiles(flux_radius, mag_auto, latent), cluster))


def prior(flux_radius, mag_auto, cluster):
    shares = tf.constant([one["share"] for one in CLASSES])
    # Of columns they do not depend, but every signature takes them all.
    return dict(log_weight=tf.math.log(tf.gather(shares, cluster)) + 0.0 * flux_radius * mag_auto)


def encode(flux_radius, mag_auto, image, psf, noise_sigma):
    """The place by the centroid, the class by chi-square."""
    light = tf.nn.relu(image - 3.0 * noise_sigma[:, None, None])
    total = tf.reduce_sum(light, axis=[1, 2]) + 1e-6
    place = 2.0 * tf.stack([tf.reduce_sum(light * AXIS, axis=[1, 2]) / total,
                            tf.reduce_sum(light * AXIS[:, None], axis=[1, 2]) / total], axis=-1)
    models = tf.transpose(profiles(flux_radius, mag_auto, place), [0, 3, 1, 2])
    field, half = [2 * SIZE, 2 * SIZE], PSF_SIZE // 2
    seen = tf.signal.irfft2d(
        tf.signal.rfft2d(models, field) * tf.signal.rfft2d(psf, field)[:, None], field)
    seen = seen[:, :, half:half + SIZE, half:half + SIZE]
    square = tf.square((image[:, None] - seen) / noise_sigma[:, None, None, None])
    shares = tf.constant([one["share"] for one in CLASSES])
    membership = tf.nn.log_softmax(
        tf.math.log(shares) - 0.5 * tf.reduce_sum(square, axis=[2, 3]), axis=-1)
    return dict(mean=place, scale=0.1 * tf.ones_like(place), log_membership=membership)


def sample(flux_radius, mag_auto, random_normal):
    natural = -tf.ones_like(flux_radius, tf.int32)
    return dict(image=cluster(flux_radius, mag_auto, random_normal, natural)["image"])


def concrete(function, inputs, rows=None):
    return tf.function(function).get_concrete_function(**{
        name: tf.TensorSpec([rows, *spec.shape[1:]], spec.dtype, name)
        for name, spec in inputs.items()})


def write_compact(folder):
    with tempfile.TemporaryDirectory() as scratch:
        signatures = {signature_of(rows): concrete(cluster, CLUSTER, rows) for rows in ROWS}
        tf.saved_model.save(tf.Module(), scratch, signatures=signatures)
        graph = tf.lite.TFLiteConverter.from_saved_model(
            scratch, signature_keys=list(signatures)).convert()
    (folder / COMPACT_PATH).write_bytes(gzip.compress(graph, mtime=0))


def write_probe(folder):
    rng = np.random.default_rng(1)
    columns = dict(flux_radius=np.float32([4, 6, 8, 10]), mag_auto=np.float32([21, 22, 23, 24]))
    rows = dict(columns, random_normal=rng.standard_normal((4, LATENT), np.float32))
    kind = np.int32([0, 1, 2, 0])
    psf = np.exp(-0.1 * np.square(np.indices((PSF_SIZE, PSF_SIZE)) - PSF_SIZE // 2).sum(axis=0))
    seen = dict(columns, psf=np.float32([psf / psf.sum()] * 4), noise_sigma=np.float32([0.05] * 4),
                image=sample(**rows)["image"].numpy())
    kept = {}
    for name, call, given in [
            ("sample", sample, rows),
            ("cluster", cluster, dict(rows, cluster=np.int32([0, 1, 2, -1]))),
            ("decode", decode, dict(columns, latent=rows["random_normal"][:, :2], cluster=kind)),
            ("prior", prior, dict(columns, cluster=kind)), ("encode", encode, seen)]:
        found = call(**{key: tf.constant(value) for key, value in given.items()})
        kept.update({f"{name}/inputs/{key}": value for key, value in given.items()})
        kept.update({f"{name}/outputs/{key}": value.numpy() for key, value in found.items()})
    np.savez_compressed(folder / PROBE_PATH, **kept)


def write(folder):
    whole = concrete(sample, SAMPLE)
    tf.saved_model.save(tf.Module(), str(folder), signatures=dict(
        sample=whole, serving_default=whole, cluster=concrete(cluster, CLUSTER),
        decode=concrete(decode, DECODE), prior=concrete(prior, PRIOR),
        encode=concrete(encode, ENCODE)))
    (folder / "assets").mkdir(exist_ok=True)
    write_compact(folder)
    write_probe(folder)
    write_card(folder, dict(
        name="shapes", version="1", family="analytic", summary="Three shapes.",
        stamp_size=SIZE, pixel_scale=0.03, bands=["F814W"],
        flux=dict(zero_point=25.94, exposure_time=1.0),
        columns=[dict(name="flux_radius", unit="pix", meaning="half-light radius",
                      valid_range=[2, 20]),
                 dict(name="mag_auto", unit="mag", meaning="total magnitude",
                      valid_range=[18, 26])],
        latent=dict(size=LATENT), clusters=CLASSES,
        signatures=["sample", "cluster", "decode", "prior", "encode"],
        training_data=dict(description="none", citation="none", licence="none"),
        trained_through="nothing", recipe=dict(name="none", sha256=""), code_version="by hand"))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
