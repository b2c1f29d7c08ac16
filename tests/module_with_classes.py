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

SIZE, LATENT = 32, 3
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


def cluster(flux_radius, mag_auto, random_normal, cluster):
    drawn = tf.reduce_sum(tf.cast(random_normal[:, -1:] >= LIMITS, tf.int32), axis=1)
    kind = tf.where(cluster < 0, drawn, cluster)
    axis = tf.range(SIZE, dtype=tf.float32) - 0.5 * (SIZE - 1)
    x = axis - 0.5 * random_normal[:, :1]
    y = axis - 0.5 * random_normal[:, 1:2]
    square = x[:, None, :]**2 + y[:, :, None]**2
    square = square / (0.4 * flux_radius[:, None, None])**2
    # [N, S, S, 3]; an id that there is not gives no light, and a stamp that is not finite.
    profiles = tf.stack([tf.exp(-tf.sqrt(square + 0.01)), tf.exp(-square),
                         square * tf.exp(-square)], axis=-1)
    light = tf.reduce_sum(profiles * tf.one_hot(kind, 3)[:, None, None, :], axis=-1)
    window = tf.nn.relu(1 - (axis[:, None]**2 + axis**2) / (0.5 * SIZE - 1)**2)
    light = light * window
    flux = 10.0 ** (-0.4 * (mag_auto - 25.94))
    total = tf.reduce_sum(light, axis=[1, 2], keepdims=True)
    return dict(image=flux[:, None, None] * light / total)


def sample(flux_radius, mag_auto, random_normal):
    return cluster(flux_radius, mag_auto, random_normal, -tf.ones_like(flux_radius, tf.int32))


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
    rows = dict(flux_radius=np.float32([4, 6, 8, 10]), mag_auto=np.float32([21, 22, 23, 24]),
                random_normal=rng.standard_normal((4, LATENT), np.float32))
    kept = {}
    for name, call, given in [("sample", sample, rows),
                              ("cluster", cluster, dict(rows, cluster=np.int32([0, 1, 2, -1])))]:
        found = call(**{key: tf.constant(value) for key, value in given.items()})
        kept.update({f"{name}/inputs/{key}": value for key, value in given.items()})
        kept.update({f"{name}/outputs/{key}": value.numpy() for key, value in found.items()})
    np.savez_compressed(folder / PROBE_PATH, **kept)


def write(folder):
    whole = concrete(sample, SAMPLE)
    tf.saved_model.save(tf.Module(), str(folder), signatures=dict(
        sample=whole, serving_default=whole, cluster=concrete(cluster, CLUSTER)))
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
        latent=dict(size=LATENT), signatures=["sample", "cluster"], clusters=CLASSES,
        training_data=dict(description="none", citation="none", licence="none"),
        trained_through="nothing", recipe=dict(name="none", sha256=""), code_version="by hand"))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
