"""Signatures: those of the graph are those that the card lists, as the module format states."""

import shutil

import galsim
import numpy as np
import pytest

from galsim_deep.modules.card import write_card
from galsim_deep.modules.module import Module

SIZE, LATENT, PSF, BANDS = 16, 5, 9, 2


@pytest.fixture
def write_module(tmp_path):
    """``write_module(kind, signatures)``: a module of these signatures.

    They are {name: (function, {input: shape})}, with None for the rows.
    """
    tf = pytest.importorskip("tensorflow")

    def write(kind, signatures, **fields):
        folder = tmp_path / kind
        tf.saved_model.save(tf.Module(), str(folder), signatures={
            name: tf.function(function).get_concrete_function(**{
                key: tf.TensorSpec(shape, tf.float32, key) for key, shape in inputs.items()})
            for name, (function, inputs) in signatures.items()})
        write_card(folder, dict(
            kind=kind, name=kind, version="1", family="analytic", summary="",
            stamp=dict(sizes=[SIZE], pixel_scale=0.1), signatures=list(signatures),
            bands=[dict(name=f"b{number}", zero_point=25) for number in range(BANDS)],
            columns=[dict(name="size", unit="pix", quantity="half_light_radius", meaning="",
                          valid_range=[1, 9])],
            training_data=dict(description="", citation="", licence=""),
            recipe=dict(name="", sha256=""), code_version="by hand") | fields)
        return Module(folder)

    return write


OBSERVED = dict(image=[None, SIZE, SIZE, BANDS], psf=[None, PSF, PSF, BANDS],
                noise_sigma=[None, BANDS])
COLUMN = dict(size=[None])


def embed(image, noise_sigma, **others):
    """The flux in units of the noise, [N, B]; uses every input."""
    import tensorflow as tf

    unused = sum(tf.reduce_sum(values) for values in others.values()) if others else 0.0
    return dict(embedding=tf.reduce_sum(image, axis=[1, 2]) / tf.reshape(
        noise_sigma, [-1, BANDS]) + 0.0 * unused)


def log_prob(latent, **others):
    import tensorflow as tf

    unused = sum(tf.reduce_sum(values) for values in others.values()) if others else 0.0
    return dict(log_prob=-0.5 * tf.reduce_sum(latent**2, axis=1) + 0.0 * unused)


def with_open_shape(function):
    """The same function; its graph does not know the shapes of its outputs."""
    import tensorflow as tf

    def run(**inputs):
        return {name: tf.numpy_function(lambda values: values, [value], tf.float32)
                for name, value in function(**inputs).items()}

    return run


def squeezed(function):
    return lambda **inputs: {name: value[..., 0] for name, value in function(**inputs).items()}


def renamed(function):
    return lambda **inputs: dict(values=[*function(**inputs).values()][0])


def without(shapes, name):
    return {key: shape for key, shape in shapes.items() if key != name}


# ---- encoders and densities -----------------------------------------------------------------


def test_an_encoder_of_the_image_alone(write_module):
    """It takes PSF and noise as far as it needs them."""
    module = write_module("encoder", dict(embed=(
        lambda image: dict(embedding=image[:, 0, 0]), dict(image=OBSERVED["image"]))))
    module.compare_with_card()
    assert module.call("embed", image=np.ones((3, SIZE, SIZE, BANDS)))["embedding"].shape == (
        3, BANDS)


@pytest.mark.parametrize("columns", [{}, COLUMN], ids=["no column", "column"])
@pytest.mark.parametrize("change", [lambda function: function, with_open_shape],
                         ids=["known", "open"])
def test_an_encoder(write_module, columns, change):
    """It takes the columns that it needs."""
    module = write_module("encoder", dict(embed=(change(embed), OBSERVED | columns)))
    module.compare_with_card()
    rows = {name: np.ones((3, *shape[1:])) for name, shape in (OBSERVED | columns).items()}
    np.testing.assert_allclose(module.call("embed", **rows)["embedding"],
                               np.full((3, BANDS), SIZE**2))


@pytest.mark.parametrize("function, inputs, fact", [
    (lambda noise_sigma: dict(embedding=noise_sigma), dict(noise_sigma=[None, BANDS]),
     r"embed has no input image \[N, 16, 16, 2\]"),
    (embed, OBSERVED | dict(seeing=[None]), "embed has the input seeing, which neither the card"),
    (embed, OBSERVED | dict(psf=[None, PSF, PSF]),
     r"input psf of embed is \[N, 9, 9\] instead of \[N, P, P, 2\]"),
    (embed, OBSERVED | dict(psf=[None, PSF, PSF + 2, BANDS]), "input psf of embed"),
    (embed, OBSERVED | dict(image=[None, 32, 32, BANDS]),
     r"image of embed is \[N, 32, 32, 2\] instead of \[N, 16, 16, 2\]"),
    (embed, OBSERVED | dict(noise_sigma=[None, BANDS, 1]), "input noise_sigma of embed"),
    (embed, OBSERVED | dict(size=[None, 1]), r"size of embed is \[N, 1\] instead of \[N\]"),
    (embed, OBSERVED | dict(noise_sigma=[1, BANDS]),
     r"noise_sigma of embed is \[1, 2\] instead of \[N, 2\]"),
    (squeezed(embed), OBSERVED, r"output embedding of embed is \[N\] instead of \[N, D\]"),
    (renamed(embed), OBSERVED, r"embed has no output embedding \[N, D\]"),
    (with_open_shape(squeezed(embed)), OBSERVED, "output embedding of embed"),
])
def test_an_encoder_that_does_not_fit(write_module, function, inputs, fact):
    module = write_module("encoder", dict(embed=(function, inputs)))
    rows = {name: np.ones([size or 1 for size in shape]) for name, shape in inputs.items()}
    for use in (module.compare_with_card, lambda: module.call("embed", **rows)):
        with pytest.raises(galsim.GalSimError, match=fact) as caught:
            use()
        assert f"{module.folder} does not agree with its card" in str(caught.value)
        assert "Get the module again; if you made it" in str(caught.value)


def test_a_density(write_module):
    module = write_module("density", dict(log_prob=(log_prob, dict(latent=[None, LATENT]))))
    module.compare_with_card()
    assert module.call("log_prob", latent=np.ones((2, LATENT)))["log_prob"].tolist() == [-2.5] * 2


@pytest.mark.parametrize("function, inputs, fact", [
    (lambda size: dict(log_prob=-size), COLUMN, r"log_prob has no input latent \[N, K\]"),
    (log_prob, dict(latent=[None, LATENT, 1]), r"latent of log_prob is \[N, 5, 1\] instead of "),
    (lambda latent: dict(log_prob=latent), dict(latent=[None, LATENT]),
     r"output log_prob of log_prob is \[N, 5\] instead of \[N\]"),
    (renamed(log_prob), dict(latent=[None, LATENT]), "has no output log_prob"),
])
def test_a_density_that_does_not_fit(write_module, function, inputs, fact):
    module = write_module("density", dict(log_prob=(function, inputs)))
    with pytest.raises(galsim.GalSimError, match=fact):
        module.compare_with_card()


def significance(image, noise_sigma, **others):
    import tensorflow as tf

    return dict(log_prob=-tf.reduce_sum(image, axis=[1, 2, 3]) / noise_sigma[:, 0])


@pytest.mark.parametrize("columns", [{}, COLUMN], ids=["no column", "column"])
def test_a_density_of_stamps(write_module, columns):
    """It takes PSF, noise and columns as far as it needs them, and draws stamps."""
    import tensorflow as tf

    def sample(random_normal, size):
        return dict(image=tf.ones([1, SIZE, SIZE, BANDS])
                    * (random_normal[:, :1] * size[:, None])[:, :, None, None])

    inputs = without(OBSERVED, "psf") | columns
    module = write_module("density", dict(
        log_prob=(significance, inputs),
        sample=(sample, dict(COLUMN, random_normal=[None, LATENT]))), latent=dict(size=LATENT))
    module.compare_with_card()
    rows = {name: np.ones((3, *shape[1:])) for name, shape in inputs.items()}
    assert module.call("log_prob", **rows)["log_prob"].tolist() == [-BANDS * SIZE**2] * 3
    stamps = module.call("sample", random_normal=np.ones((3, LATENT)), size=np.ones(3))["image"]
    assert stamps.shape == (3, SIZE, SIZE, BANDS)


def test_a_density_that_draws_latents(write_module):
    signatures = dict(
        log_prob=(log_prob, dict(latent=[None, LATENT])),
        sample=(lambda random_normal: dict(latent=2 * random_normal[:, :LATENT]),
                dict(random_normal=[None, LATENT + 1])))
    module = write_module("density", signatures, latent=dict(size=LATENT + 1))
    module.compare_with_card()
    drawn = module.call("sample", random_normal=np.ones((3, LATENT + 1)))["latent"]
    assert module.call("log_prob", latent=drawn)["log_prob"].shape == (3,)


@pytest.mark.parametrize("function, inputs, fact", [
    (renamed(significance), without(OBSERVED, "psf"), r"log_prob has no output log_prob \[N\]"),
    (significance, dict(OBSERVED, image=[None, 32, 32, BANDS]),
     r"image of log_prob is \[N, 32, 32, 2\] instead of \[N, 16, 16, 2\]"),
    (significance, dict(OBSERVED, latent=[None, LATENT]), "log_prob has the input latent, which "),
])
def test_a_density_of_stamps_that_does_not_fit(write_module, function, inputs, fact):
    module = write_module("density", dict(log_prob=(function, inputs)))
    with pytest.raises(galsim.GalSimError, match=fact):
        module.compare_with_card()


def test_draws_that_are_not_what_a_density_takes(write_module):
    """The latent vectors that it draws have another length than those that it takes."""
    module = write_module("density", dict(
        log_prob=(log_prob, dict(latent=[None, LATENT])),
        sample=(lambda random_normal: dict(latent=random_normal),
                dict(random_normal=[None, LATENT + 1]))), latent=dict(size=LATENT + 1))
    with pytest.raises(galsim.GalSimError, match=r"latent of sample is \[N, 6\] instead of "):
        module.compare_with_card()


def test_a_density_draws_what_it_takes(write_module):
    """One of latent vectors does not draw stamps."""
    import tensorflow as tf

    module = write_module("density", dict(
        log_prob=(log_prob, dict(latent=[None, LATENT])),
        sample=(lambda random_normal: dict(image=tf.ones([1, SIZE, SIZE, BANDS])
                                           * random_normal[:, :1, None, None]),
                dict(random_normal=[None, LATENT]))), latent=dict(size=LATENT))
    with pytest.raises(galsim.GalSimError, match="sample has no output latent"):
        module.compare_with_card()


def test_sizes_that_differ_between_signatures(write_module):
    """The size of the latent vector is not on the card, but decode makes what log_prob takes."""
    import tensorflow as tf

    def decode(latent, size):
        return dict(image=tf.ones([1, SIZE, SIZE, BANDS]) * latent[:, :1, None, None]
                    * size[:, None, None, None])

    for length, fits in ((LATENT, True), (LATENT + 1, False)):
        module = write_module("density", dict(
            log_prob=(log_prob, dict(latent=[None, LATENT])),
            decode=(decode, dict(COLUMN, latent=[None, length]))))
        if fits:
            module.compare_with_card()
            shutil.rmtree(module.folder)
        else:
            with pytest.raises(galsim.GalSimError,
                               match=r"latent of decode is \[N, 6\] instead of \[N, 5\]"):
                module.compare_with_card()


# ---- signatures that are listed -------------------------------------------------------------


@pytest.mark.parametrize("signature", ["encode", "nonsense"])
def test_signatures_that_the_graph_lacks(tiny_folder, without_compact_graph, edit_card, tmp_path,
                                         signature):
    """Found when TensorFlow opens the SavedModel, whichever signature is run."""
    rows = dict(flux_radius=np.ones(1), mag_auto=np.ones(1), zphot=np.ones(1),
                random_normal=np.ones((1, 6)))
    fact = f"the graph has no signature {signature}, only sample, serving_default"
    folder = edit_card(shutil.copytree(tiny_folder, tmp_path / "whole"),
                       signatures=["sample", signature])
    module = Module(folder)
    module.check(1)  # the compact graph, which has sample alone
    for use in (module.compare_with_card, module.probe, lambda: module.call("sample", **rows)):
        with pytest.raises(galsim.GalSimError, match=fact):
            use()
    alone = Module(without_compact_graph(folder, tmp_path / "without"))
    with pytest.raises(galsim.GalSimError, match=fact):
        alone.check(1)


def test_signatures_of_other_names_are_not_compared(tiny_folder, edit_card, tmp_path):
    folder = edit_card(shutil.copytree(tiny_folder, tmp_path / "module"),
                       signatures=["sample", "serving_default"])
    Module(folder).compare_with_card()


def test_every_signature_of_a_generator_takes_all_columns(shapes_folder, monkeypatch):
    module = Module(shapes_folder)
    module.compare_with_card()
    other = Module(shapes_folder)
    inputs = other.tensorflow.signature_inputs
    monkeypatch.setattr(other.tensorflow, "signature_inputs", lambda name: without(
        inputs(name), "mag_auto" if name == "encode" else ""))
    with pytest.raises(galsim.GalSimError, match=r"encode has no input mag_auto \[N\]"):
        other.compare_with_card()


def test_a_graph_is_compared_once(tiny_folder, monkeypatch):
    """Sampling one galaxy takes no longer for it."""
    module, calls = Module(tiny_folder), []
    inputs = module.compact.signature_inputs
    monkeypatch.setattr(module.compact, "signature_inputs",
                        lambda name: calls.append(name) or inputs(name))
    for _ in range(3):
        module.check(1)
    assert calls == ["sample"]
