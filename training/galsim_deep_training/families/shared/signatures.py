"""Ready-made signatures of exported modules, with the band axis that the module format asks for.

Inside a family of one band images are [N, S, S] and PSFs [N, P, P].
"""

__all__ = ["POSITION_ANGLE_SCALE", "decode_signature", "encode_signature", "fitting_signatures",
           "log_prob_signature", "observation_specs", "sample_signature"]

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from galsim_deep.modules.stamp_choice import draw_signature_name

from ..base import TOLERANCE, Columns, ModelFamily, Signature

POSITION_ANGLE_SCALE = 1e-3
"""Scale of latents of the position angle in the signature ``encode``: they are measured."""


def sample_signature(family: ModelFamily,
                     sample: Callable[[tf.Tensor, Columns], tf.Tensor]) -> Signature:
    """The signature ``sample`` of a generator without classes.

    Parameters:
        family:     The family; its ``latent_size`` is that of the random input.
        sample:     (normal [N, latent_size], columns) -> light profiles before PSF, [N, S, S].
    """
    def call(random_normal: tf.Tensor, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(image=sample(random_normal, columns)[..., None])

    normal = tf.TensorSpec([None, family.latent_size], tf.float32)
    return Signature(call, dict(family.column_specs(), random_normal=normal))


def fitting_signatures(
        family: ModelFamily,
        latents: Callable[..., dict[str, tf.Tensor]],
        draw: Callable[[int, tf.Tensor, tf.Tensor], tf.Tensor],
        has_classes: bool = False) -> dict[str, Signature]:
    """The signatures of a generator that draws each galaxy on a stamp that fits it.

    ``sample`` draws on stamps of the size that the family was trained on, with larger pixels where
    a galaxy needs them.

    Parameters:
        family:     The family; ``stamp.sizes`` of its recipe are the sizes of the stamps.
        latents:    (normal [N, latent_size], columns) -> a dict of ``latent``, numbers that
                    describe each galaxy, [N, V], and ``extent``, half the side of the stamp that it
                    needs [arcsec], [N].  With classes it takes ``galaxy_class`` [N] too, and gives
                    it.
        draw:       (size Z, these numbers [N, V], pixel scale [N] [arcsec]) -> light profiles
                    before PSF, [N, Z, Z].
        has_classes:    Whether galaxies have classes.

    Returns:
        ``sample``, ``latents``, and ``draw_Z`` for each size Z, by name.
    """
    stamp, specs = family.recipe.stamp, family.column_specs()
    specs = dict(specs, random_normal=tf.TensorSpec([None, family.latent_size], tf.float32))
    if has_classes:
        specs["galaxy_class"] = tf.TensorSpec([None], tf.int32)

    def describe(random_normal: tf.Tensor, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        galaxy_class = [inputs.pop("galaxy_class")] if has_classes else []
        return latents(random_normal, inputs, *galaxy_class)

    def sample(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        described = describe(**inputs)
        latent, extent = described.pop("latent"), described.pop("extent")
        scale = tf.maximum(2.0 / stamp.size * extent, stamp.pixel_scale)
        return dict(described, image=draw(stamp.size, latent, scale)[..., None],
                    pixel_scale=scale)

    def on(size: int) -> Callable[..., dict[str, tf.Tensor]]:
        def call(latent: tf.Tensor, pixel_scale: tf.Tensor) -> dict[str, tf.Tensor]:
            return dict(image=draw(size, latent, pixel_scale)[..., None])
        return call

    of_class = dict(galaxy_class=tf.fill([1], -1)) if has_classes else {}
    example = describe(tf.zeros([1, family.latent_size]), **of_class, **family.example_columns())
    drawing = dict(latent=_latent(example["latent"].shape[1]),
                   pixel_scale=tf.TensorSpec([None], tf.float32))
    return dict(sample=Signature(sample, specs), latents=Signature(describe, specs),
                **{draw_signature_name(size): Signature(on(size), drawing)
                   for size in stamp.sizes})


def decode_signature(family: ModelFamily, latent_size: int,
                     decode: Callable[[tf.Tensor, Columns], tf.Tensor]) -> Signature:
    """The signature ``decode``.

    Parameters:
        family:         The family.
        latent_size:    Length K of a latent.
        decode:         (latent [N, K], columns) -> light profiles before PSF, [N, S, S].
    """
    def call(latent: tf.Tensor, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(image=decode(latent, family.imputed(columns))[..., None])

    return Signature(call, dict(family.column_specs(), latent=_latent(latent_size)))


def encode_signature(
        family: ModelFamily,
        encode: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Columns],
                         tuple[tf.Tensor, tf.Tensor] | dict[str, tf.Tensor]],
        tolerance: float = TOLERANCE) -> Signature:
    """The signature ``encode``.

    Parameters:
        family:     The family.
        encode:     (stamps [N, S, S], PSFs [N, P, P], noise_sigma [N], columns) -> mean and scale
                    of the latent, [N, K] each, as a tuple; or a dict of ``mean``, ``scale`` and
                    further outputs.
        tolerance:  That of the `Signature`.  [default: 1e-5]
    """
    def call(image: tf.Tensor, psf: tf.Tensor, noise_sigma: tf.Tensor,
             **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = encode(image[..., 0], psf[..., 0], noise_sigma[:, 0], family.imputed(columns))
        return (dict(zip(("mean", "scale"), outputs, strict=True))
                if isinstance(outputs, tuple) else outputs)

    return Signature(
        call, dict(family.column_specs(), **observation_specs(family)), tolerance)


def log_prob_signature(family: ModelFamily, latent_size: int,
                       log_prob: Callable[[tf.Tensor, Columns], tf.Tensor]) -> Signature:
    """The signature ``log_prob`` of a generator, or of a density of latents.

    Parameters:
        family:         The family.
        latent_size:    Length K of a latent.
        log_prob:       (latent [N, K], columns) -> log density of the latent, [N].
    """
    def call(latent: tf.Tensor, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(log_prob=log_prob(latent, family.imputed(columns)))

    return Signature(call, dict(family.column_specs(), latent=_latent(latent_size)))


def observation_specs(family: ModelFamily) -> dict[str, tf.TensorSpec]:
    """The inputs that say what was observed: image, PSF and noise, each with a band axis."""
    stamp, bands = family.recipe.stamp, len(family.recipe.bands)
    shapes: dict[str, list[Any]] = dict(
        image=[None, stamp.size, stamp.size, bands],
        psf=[None, stamp.psf_size, stamp.psf_size, bands], noise_sigma=[None, bands])
    return {name: tf.TensorSpec(shape, tf.float32) for name, shape in shapes.items()}


def _latent(size: int) -> tf.TensorSpec:
    return tf.TensorSpec([None, size], tf.float32)
