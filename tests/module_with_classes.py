"""Write small modules: ``python -P module_with_classes.py FOLDER [FOLDER [FOLDER [FOLDER]]]``.

The first has three classes of galaxies.  The second has none; its columns are optional and those of
the shipped modules.  The third gives each galaxy a pixel scale of its own.  The fourth draws on
stamps of several sizes, and can be asked for position angles; tables may lack one of its columns.
They are written by a process of their own, since tests fork and TensorFlow does not survive that.
"""

import gzip
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from galsim_deep.modules.card import write_card
from galsim_deep.modules.module import PROBE_PATH
from galsim_deep.modules.runners.litert import COMPACT_GRAPH_PATH, ROWS, graph_name

SIZE, LATENT, PSF_SIZE = 32, 3, 17
FITTING_SIZES = 16, 32, 64
MISSING = 3  # random numbers of the second module from which missing columns are drawn
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
GALAXY_CLASS = tf.TensorSpec([None], tf.int32)
SAMPLE = dict(COLUMNS, random_normal=tf.TensorSpec([None, LATENT], tf.float32),
              galaxy_class=GALAXY_CLASS)
DECODE = dict(COLUMNS, latent=tf.TensorSpec([None, 2], tf.float32), galaxy_class=GALAXY_CLASS)
PRIOR = dict(COLUMNS, galaxy_class=GALAXY_CLASS)
ENCODE = dict(COLUMNS, image=tf.TensorSpec([None, SIZE, SIZE, 1], tf.float32),
              psf=tf.TensorSpec([None, PSF_SIZE, PSF_SIZE, 1], tf.float32),
              noise_sigma=tf.TensorSpec([None, 1], tf.float32))

ALL_COLUMNS = dict(COLUMNS, zphot=tf.TensorSpec([None], tf.float32))
WITHOUT_CLASSES = dict(
    ALL_COLUMNS, random_normal=tf.TensorSpec([None, LATENT + MISSING], tf.float32))

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


def of_class(light, galaxy_class):
    """The image [N, S, S, 1] of one of the profiles [N, S, S, 3]."""
    # The image of a class that does not exist is not finite.
    known = tf.where((galaxy_class >= 0) & (galaxy_class < 3), 1.0, np.nan)
    return known[:, None, None, None] * tf.reduce_sum(
        light * tf.one_hot(galaxy_class, 3)[:, None, None, :], axis=-1, keepdims=True)


def sample(flux_radius, mag_auto, random_normal, galaxy_class):
    drawn = tf.reduce_sum(tf.cast(random_normal[:, -1:] >= LIMITS, tf.int32), axis=1)
    galaxy_class = tf.where(galaxy_class < 0, drawn, galaxy_class)
    light = profiles(flux_radius, mag_auto, random_normal[:, :2])
    return dict(image=of_class(light, galaxy_class), galaxy_class=galaxy_class)


def decode(flux_radius, mag_auto, latent, galaxy_class):
    return dict(image=of_class(profiles(flux_radius, mag_auto, latent), galaxy_class))


def prior(flux_radius, mag_auto, galaxy_class):
    shares = tf.constant([galaxy_class["share"] for galaxy_class in CLASSES])
    # The shares do not depend on the columns, but every signature takes all columns.
    return dict(log_class_probability=tf.math.log(tf.gather(shares, galaxy_class))
                + 0.0 * flux_radius * mag_auto)


def encode(flux_radius, mag_auto, image, psf, noise_sigma):
    """The place by the centroid, the class by chi-square."""
    image, psf, noise_sigma = image[..., 0], psf[..., 0], noise_sigma[:, 0]
    light = tf.nn.relu(image - 3.0 * noise_sigma[:, None, None])
    total = tf.reduce_sum(light, axis=[1, 2]) + 1e-6
    place = 2.0 * tf.stack([tf.reduce_sum(light * AXIS, axis=[1, 2]) / total,
                            tf.reduce_sum(light * AXIS[:, None], axis=[1, 2]) / total], axis=-1)
    models = tf.transpose(profiles(flux_radius, mag_auto, place), [0, 3, 1, 2])
    field, half = [2 * SIZE, 2 * SIZE], PSF_SIZE // 2
    convolved = tf.signal.irfft2d(
        tf.signal.rfft2d(models, field) * tf.signal.rfft2d(psf, field)[:, None], field)
    convolved = convolved[:, :, half:half + SIZE, half:half + SIZE]
    square = tf.square((image[:, None] - convolved) / noise_sigma[:, None, None, None])
    shares = tf.constant([galaxy_class["share"] for galaxy_class in CLASSES])
    log_probability = tf.nn.log_softmax(
        tf.math.log(shares) - 0.5 * tf.reduce_sum(square, axis=[2, 3]), axis=-1)
    return dict(mean=place, scale=0.1 * tf.ones_like(place),
                log_class_probability=log_probability)


def filled_in(column, drawn):
    """The column, with the drawn values where it is missing."""
    return tf.where(column == column, column, drawn)


def sample_without_classes(flux_radius, mag_auto, zphot, random_normal):
    """A disc with a bulge, whose share of the light decreases with redshift."""
    flux_radius = filled_in(flux_radius, tf.exp(1.9 + 0.2 * random_normal[:, LATENT]))
    mag_auto = filled_in(mag_auto, 23.0 + tf.tanh(random_normal[:, LATENT + 1]))
    zphot = filled_in(zphot, tf.exp(-0.5 + 0.3 * random_normal[:, LATENT + 2]))
    light = profiles(flux_radius, mag_auto, random_normal[:, :2])
    bulge = tf.sigmoid(random_normal[:, 2] - zphot)[:, None, None]
    return dict(image=((1 - bulge) * light[..., 0] + bulge * light[..., 1])[..., None])


def sample_scaled(flux_radius, mag_auto, random_normal):
    """Gaussians of one size in pixels.

    The pixel scale [arcsec] is a hundredth of ``flux_radius``; it is not finite for a negative one.
    """
    light = profiles(tf.fill(tf.shape(flux_radius), 6.0), mag_auto, random_normal[:, :2])
    return dict(image=light[..., 1:2], pixel_scale=tf.sqrt(flux_radius) ** 2 / 100.0)


def fitting_latents(flux_radius, mag_auto, axis_ratio, random_normal):
    """Numbers that describe an ellipse, and three and a half standard deviations in arcsec.

    The axis ratio is one half if it is missing.
    """
    ratio = filled_in(axis_ratio, 0.5 + 0.0 * flux_radius)
    return dict(extent=3.5 * 0.03 * flux_radius, latent=tf.stack(
        [flux_radius, mag_auto, ratio, random_normal[:, 0], random_normal[:, 1]], axis=1))


def ellipse(size):
    """An elliptical Gaussian whose standard deviation is ``flux_radius`` in pixels of 0.03 arcsec.
    """
    def draw(latent, pixel_scale):
        flux_radius, mag_auto, ratio, cosine, sine = tf.unstack(
            latent[:, :, None, None], axis=1)
        axis = tf.range(size, dtype=tf.float32) - 0.5 * (size - 1)
        angle = tf.atan2(sine, cosine)
        along = tf.cos(angle) * axis + tf.sin(angle) * axis[:, None]
        across = tf.cos(angle) * axis[:, None] - tf.sin(angle) * axis
        sigma = flux_radius * 0.03 / pixel_scale[:, None, None]
        light = tf.exp(-0.5 * (tf.square(along / sigma) + tf.square(across / sigma / ratio)))
        light *= 10.0 ** (-0.4 * (mag_auto - 25.94)) / tf.reduce_sum(
            light, axis=[1, 2], keepdims=True)
        return dict(image=light[..., None])
    return draw


def sample_fitting(flux_radius, mag_auto, axis_ratio, random_normal):
    scale = tf.maximum(7.0 / SIZE * 0.03 * flux_radius, 0.03)
    latent = fitting_latents(flux_radius, mag_auto, axis_ratio, random_normal)["latent"]
    return dict(ellipse(SIZE)(latent, scale), pixel_scale=scale)


def concrete(function, inputs, rows=None):
    return tf.function(function).get_concrete_function(**{
        name: tf.TensorSpec([rows, *spec.shape[1:]], spec.dtype, name)
        for name, spec in inputs.items()})


def write_compact(folder, compact):
    with tempfile.TemporaryDirectory() as scratch:
        signatures = {graph_name(name, rows): concrete(function, inputs, rows)
                      for name, (function, inputs) in compact.items() for rows in ROWS}
        tf.saved_model.save(tf.Module(), scratch, signatures=signatures)
        graph = tf.lite.TFLiteConverter.from_saved_model(
            scratch, signature_keys=list(signatures)).convert()
    (folder / COMPACT_GRAPH_PATH).write_bytes(gzip.compress(graph, mtime=0))


def write_probe(folder, calls):
    """Write inputs and outputs of ``calls``: {signature: (function, inputs)}."""
    arrays = {}
    for signature, (function, inputs) in calls.items():
        outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
        arrays.update({f"{signature}/inputs/{name}": value for name, value in inputs.items()})
        arrays.update({f"{signature}/outputs/{name}": value.numpy()
                       for name, value in outputs.items()})
    np.savez_compressed(folder / PROBE_PATH, **arrays)


def write(folder, signatures, calls, **fields):
    """Write a module.

    Parameters:
        folder:         Its folder.
        signatures:     {name: (function, specifications of its inputs)}.
        calls:          What `write_probe` takes.
        **fields:       Fields of the card.
    """
    drawing = {name: signature for name, signature in signatures.items()
               if name.startswith(("latents", "draw_"))}
    signatures = {name: signature for name, signature in signatures.items() if name not in drawing}
    graphs = {name: concrete(*signature) for name, signature in signatures.items()}
    tf.saved_model.save(tf.Module(), str(folder), signatures=dict(
        graphs, serving_default=graphs["sample"]))
    (folder / "assets").mkdir(exist_ok=True)
    write_compact(folder, drawing or dict(sample=signatures["sample"]))
    write_probe(folder, calls)
    write_card(folder, dict(
        dict(stamp=dict(sizes=[SIZE], pixel_scale=0.03)),
        kind="generator", version="1", family="analytic", signatures=list(signatures),
        bands=[dict(name="F814W", zero_point=25.94)],
        training_data=dict(description="none", citation="none", licence="none"),
        recipe=dict(name="none", sha256=""), code_version="by hand", **fields))


def card_columns(**changes):
    return [
        dict(name="flux_radius", unit="pix", meaning="half-light radius", band="F814W",
             quantity="half_light_radius", as_observed=True, valid_range=[2, 20], **changes),
        dict(name="mag_auto", unit="mag", meaning="total magnitude", band="F814W",
             quantity="magnitude", valid_range=[18, 26], **changes)]


def probe_columns():
    return dict(flux_radius=np.float32([4, 6, 8, 10]), mag_auto=np.float32([21, 22, 23, 24]))


def write_with_classes(folder):
    rng, columns = np.random.default_rng(1), probe_columns()
    rows = dict(columns, random_normal=rng.standard_normal((4, LATENT), np.float32),
                galaxy_class=np.int32([0, 1, 2, -1]))
    classes = np.int32([0, 1, 2, 0])
    psf = np.exp(-0.1 * np.square(np.indices((PSF_SIZE, PSF_SIZE)) - PSF_SIZE // 2).sum(axis=0))
    observed = dict(columns, psf=np.float32([psf / psf.sum()] * 4)[..., None],
                    noise_sigma=np.full((4, 1), 0.05, np.float32),
                    image=sample(**rows)["image"].numpy())
    write(
        folder, name="shapes", summary="Three shapes.", classes=CLASSES, columns=card_columns(),
        latent=dict(size=LATENT),
        signatures=dict(sample=(sample, SAMPLE), decode=(decode, DECODE), prior=(prior, PRIOR),
                        encode=(encode, ENCODE)),
        calls=dict(
            sample=(sample, rows),
            decode=(decode, dict(columns, latent=rows["random_normal"][:, :2],
                                 galaxy_class=classes)),
            prior=(prior, dict(columns, galaxy_class=classes)), encode=(encode, observed)))


def write_without_classes(folder):
    columns = dict(probe_columns(), zphot=np.float32([0.2, 0.5, np.nan, 1.0]))
    normal = np.random.default_rng(2).standard_normal((4, LATENT + MISSING), np.float32)
    redshift = dict(name="zphot", unit="", meaning="redshift", quantity="redshift", optional=True,
                    valid_range=[0, 5])
    write(
        folder, name="tiny", summary="Discs with bulges.", latent=dict(size=LATENT + MISSING),
        columns=[*card_columns(optional=True), redshift],
        signatures=dict(sample=(sample_without_classes, WITHOUT_CLASSES)),
        calls=dict(sample=(sample_without_classes, dict(columns, random_normal=normal))))


def write_scaled(folder):
    columns = probe_columns()
    normal = np.random.default_rng(3).standard_normal((4, LATENT), np.float32)
    inputs = {name: spec for name, spec in SAMPLE.items() if name != "galaxy_class"}
    write(
        folder, name="scaled", summary="Gaussians on pixels of several sizes.",
        columns=card_columns(), latent=dict(size=LATENT),
        signatures=dict(sample=(sample_scaled, inputs)),
        calls=dict(sample=(sample_scaled, dict(columns, random_normal=normal))))


def write_fitting(folder):
    columns = dict(probe_columns(), axis_ratio=np.float32([0.3, 0.9, np.nan, 0.5]))
    normal = np.random.default_rng(4).standard_normal((4, LATENT), np.float32)
    inputs = {name: spec for name, spec in SAMPLE.items() if name != "galaxy_class"}
    inputs["axis_ratio"] = inputs["mag_auto"]
    latent = fitting_latents(**columns, random_normal=normal)["latent"].numpy()
    drawing = dict(latent=tf.TensorSpec([None, 5], tf.float32), pixel_scale=inputs["mag_auto"])
    write(
        folder, name="fitting", summary="Ellipses on stamps that fit them.",
        columns=[*card_columns(), dict(
            name="axis_ratio", unit="", meaning="minor over major axis", quantity="axis_ratio",
            optional=True, may_be_absent=True, valid_range=[0.1, 1.0])],
        stamp=dict(sizes=FITTING_SIZES, trained_size=SIZE, pixel_scale=0.03),
        latent=dict(size=LATENT, position_angle=True),
        signatures=dict(
            sample=(sample_fitting, inputs), latents=(fitting_latents, inputs),
            **{f"draw_{size}": (ellipse(size), drawing) for size in FITTING_SIZES}),
        calls=dict(
            sample=(sample_fitting, dict(columns, random_normal=normal)),
            draw_64=(ellipse(64), dict(latent=latent,
                                       pixel_scale=np.full(4, 0.03, np.float32)))))


if __name__ == "__main__":
    write_with_classes(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        write_without_classes(Path(sys.argv[2]))
    if len(sys.argv) > 3:
        write_scaled(Path(sys.argv[3]))
    if len(sys.argv) > 4:
        write_fitting(Path(sys.argv[4]))
