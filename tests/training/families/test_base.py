"""What every model family promises, checked for each that is registered.

A new family needs an entry in ``TINY_FAMILIES`` of ``conftest.py``.
"""

import functools
import shutil

import galsim
import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family
from galsim_deep_training.families.base import ModelFamily
from galsim_deep_training.fitting.checkpoints import Checkpoints
from galsim_deep_training.fitting.graphs import as_graph
from galsim_deep_training.fitting.phase import GradientPhase

# Tests register some of their own.
KINDS = [kind for kind, family in ModelFamily.kinds().items()
         if family.__module__.startswith("galsim_deep_training.")]
# Further tiny recipes of a family.
VARIANTS = {"flow_vae_polar": "flow_vae", "mpcc_polar": "mpcc"}
FAMILIES = [*KINDS, *VARIANTS]
# Phases that a tiny recipe leaves out, because its networks do not allow them.
LEFT_OUT = {"flow_vae": {"adversarial"}, "flow_vae_polar": {"structure", "matching"},
            "mpcc": {"autoencoder"}, "mpcc_polar": {"flow"}}


def family_type(name):
    return ModelFamily.named(VARIANTS.get(name, name))


GENERATORS, ENCODERS, DENSITIES = (
    [name for name in FAMILIES if family_type(name).module_kind == kind]
    for kind in ("generator", "encoder", "density"))


@pytest.fixture(scope="module", params=FAMILIES)
def name(request):
    return request.param


@pytest.fixture(scope="module", params=GENERATORS)
def generator(request):
    return request.param


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request, awake):
    return awake(request.param)


@pytest.fixture(scope="module", params=DENSITIES)
def density(request, awake):
    return awake(request.param)


@pytest.fixture(scope="module")
def by_name(make_recipe, data_file, add_embeddings, tmp_path_factory):
    """``by_name(family)``: its tiny recipe, and the data set of that, the same for all but for the
    embeddings."""
    @functools.cache
    def make(name):
        recipe, path = make_recipe(family=name), tmp_path_factory.mktemp("data") / "data.h5"
        shutil.copy(data_file, path)
        add_embeddings(path, recipe)
        return recipe, Dataset.of(recipe, path)

    return make


@pytest.fixture(scope="module")
def dataset(generator, by_name):
    return by_name(generator)[1]


def prepared(recipe, dataset, awaken=None):
    family = make_family(recipe)
    family.prepare(dataset)
    if awaken is not None:
        for network in family.networks.values():
            awaken(network)
    return family


@pytest.fixture(scope="module")
def awake(by_name, awaken):
    """``awake(family)``: that family, with weights that are all awake; to be left as it is."""
    return functools.cache(lambda name: prepared(*by_name(name), awaken))


@pytest.fixture(scope="module")
def family(generator, awake):
    return awake(generator)


@pytest.fixture(scope="module")
def inputs(family, dataset):
    """The inputs of ``sample`` for five rows."""
    batch = dataset.read(dataset.test_indices[:5])
    columns = {column.name: tf.constant(batch[column.name]) for column in family.recipe.columns}
    rng = np.random.default_rng(3)
    drawn = dict(galaxy_class=tf.fill([5], -1)) if family.classes(dataset) else {}
    return dict(columns, **drawn, random_normal=tf.constant(
        rng.standard_normal((5, family.latent_size)), tf.float32))


def sample(family, inputs):
    return family.signatures()["sample"].call(**inputs)["image"].numpy()


# ---- settings -------------------------------------------------------------------------------


def test_unknown_family(make_recipe):
    recipe = make_recipe(lambda c: c["model"].update(kind="flow_vea"))
    with pytest.raises(galsim.GalSimConfigError,
                       match="model.kind: .*flow_vae.*'flow_vea'") as info:
        make_family(recipe)
    assert str(recipe.path) in str(info.value)


def test_settings_of_a_family(make_recipe):
    recipe = make_recipe(lambda c: c["model"].update(latents=4))
    with pytest.raises(galsim.GalSimConfigError, match=" model.latents: "):
        make_family(recipe)


@pytest.mark.parametrize("name", KINDS)
def test_stamps_of_several_sizes_need_networks_that_draw_on_any(name, make_recipe):
    """A recipe that asks for them is refused before it is fitted, not when it is exported."""
    recipe = make_recipe(lambda c: c["stamp"].update(sizes=[16, 32]), family=name)
    with pytest.raises(galsim.GalSimConfigError, match=f"stamp.sizes.*'{name}'.*one size"):
        make_family(recipe)


@pytest.mark.parametrize("change", [
    lambda c: c["fit"].pop("flow"), lambda c: c["fit"].update(flov=dict(steps=3))])
def test_phases_that_are_not_the_familys(change, make_recipe):
    """A phase that is missing or misspelt is not passed over in silence."""
    recipe = make_recipe(change)
    with pytest.raises(galsim.GalSimConfigError, match="fit.*autoencoder, flow.*structure"):
        make_family(recipe)


# ---- checkpoints ----------------------------------------------------------------------------


@pytest.mark.long
def test_checkpoints_hold_all_that_a_phase_lists(name, by_name, awake, tmp_path):
    """Every variable of every network that is part of the state of a phase."""
    recipe, dataset = by_name(name)
    family, fresh = awake(name), make_family(recipe)
    for phase, other in zip(family.phases, fresh.phases, strict=True):
        Checkpoints(phase, phase.name, tmp_path).save(0)
        Checkpoints(other, phase.name, tmp_path).restore()
        parts = zip(tf.nest.flatten(phase.state()), tf.nest.flatten(other.state()), strict=True)
        for part, same in parts:
            if not isinstance(part, keras.layers.Layer):
                continue
            for expected, variable in zip(part.variables, same.variables, strict=True):
                np.testing.assert_array_equal(variable, expected, err_msg=expected.path)


# ---- signatures -----------------------------------------------------------------------------


def test_the_signature_sample(family, dataset):
    signature = family.signatures()["sample"]
    columns = [column.name for column in family.recipe.columns]
    classes = {"galaxy_class"} if family.classes(dataset) else set()
    assert set(signature.inputs) == {*columns, "random_normal", *classes}
    for column in columns:
        assert signature.inputs[column].shape.as_list() == [None]
    assert signature.inputs["random_normal"].shape.as_list() == [None, family.latent_size]
    for name, spec in signature.inputs.items():
        assert spec.dtype == (tf.int32 if name == "galaxy_class" else tf.float32)


def test_images(family, inputs):
    images = sample(family, inputs)
    assert images.dtype == np.float32 and images.shape == (5, 32, 32, 1)
    assert np.all(np.isfinite(images)) and np.all(images >= 0)
    for edge in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
        np.testing.assert_array_equal(edge, 0.0)
    flux = 10 ** (-0.4 * (inputs["mag_auto"].numpy() - 25.94))
    np.testing.assert_allclose(images.sum(axis=(1, 2, 3), dtype=float), flux, rtol=1e-5)


def test_the_same_inputs_give_the_same_image(family, inputs):
    np.testing.assert_array_equal(sample(family, inputs), sample(family, inputs))


def test_every_input_counts(family, inputs):
    before = sample(family, inputs)
    for name, value in inputs.items():
        if name == "galaxy_class":  # see `test_classes`
            continue
        after = sample(family, {**inputs, name: 1.1 * value})
        assert np.abs(after - before).max() > 1e-4 * before.max(), name


def test_rows_do_not_see_each_other(family, inputs):
    together = sample(family, inputs)
    peak = together.max(axis=(1, 2, 3), keepdims=True)
    for row in range(5):
        alone = sample(family, {name: value[row:row + 1] for name, value in inputs.items()})
        np.testing.assert_allclose(alone / peak[row], together[row:row + 1] / peak[row], atol=1e-6)
    order = [3, 1, 4, 0, 2]
    turned = sample(family, {name: tf.gather(value, order) for name, value in inputs.items()})
    np.testing.assert_allclose(turned / peak[order], together[order] / peak[order], atol=1e-6)


def test_position_angles_can_be_chosen(family, inputs):
    """By the first two random numbers; a quarter of a turn moves every pixel to another one."""
    if not family.draws_position_angle:
        return
    normal = inputs["random_normal"].numpy()
    turned = normal.copy()
    turned[:, 0], turned[:, 1] = -normal[:, 1], normal[:, 0]
    before, after = (sample(family, dict(inputs, random_normal=tf.constant(values)))[..., 0]
                     for values in (normal, turned))
    expected = before[:, ::-1].transpose(0, 2, 1)
    peak = expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(after / peak, expected / peak, atol=2e-3)
    assert np.abs(before / peak - expected / peak).max() > 0.05


def test_stamps_of_all_sizes(family, inputs):
    """The same galaxies, and ``sample`` draws them on stamps that they fit."""
    signatures, sizes = family.signatures(), family.recipe.stamp.sizes
    assert ("latents" in signatures) == bool(sizes)
    if not sizes:
        return
    described = signatures["latents"].call(**inputs)
    outputs = signatures["sample"].call(**inputs)
    size, scale = family.recipe.stamp.size, family.recipe.stamp.pixel_scale
    np.testing.assert_allclose(
        outputs["pixel_scale"], np.maximum(2 * described["extent"] / size, scale), rtol=1e-5)
    images = {}
    for number in sizes:
        image = signatures[f"draw_{number}"].call(
            latent=described["latent"],
            pixel_scale=outputs["pixel_scale"])["image"].numpy()[..., 0]
        assert image.shape == (5, number, number)
        assert np.all(image >= 0) and not image[:, 0].any() and not image[:, :, -1].any()
        images[number] = image
    flux = outputs["image"].numpy().sum(axis=(1, 2, 3))
    for image in images.values():
        np.testing.assert_allclose(image.sum(axis=(1, 2)), flux, rtol=1e-5)
    np.testing.assert_array_equal(images[size], outputs["image"][..., 0])
    larger = max(sizes)
    inner = slice((larger - size) // 2, (larger + size) // 2)
    cut = images[larger][:, inner, inner]
    peak = cut.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(images[size] / peak, cut / peak, atol=0.05)


def test_optional_signatures(family, inputs, dataset):
    """Those that there are hang together."""
    signatures = family.signatures()
    columns = {name: inputs[name] for name in family.column_specs()}
    batch = dataset.read(dataset.test_indices[:5])
    if {"encode", "decode"} <= signatures.keys():
        code = signatures["encode"].call(
            image=tf.constant(batch["stamp"][..., None]),
            psf=tf.constant(batch["psf"][..., None]),
            noise_sigma=tf.constant(batch["noise_sigma"][:, None]), **columns)
        assert code["mean"].shape == code["scale"].shape
        assert np.all(code["scale"].numpy() > 0)
        others = signatures["decode"].inputs.keys() - {"latent", *columns}
        image = signatures["decode"].call(
            latent=code["mean"], **columns, **{key: tf.zeros(5, tf.int32) for key in others})
        assert image["image"].shape == (5, 32, 32, 1)
    if "log_prob" in signatures:
        latent = tf.zeros((5, signatures["log_prob"].inputs["latent"].shape[1]))
        found = signatures["log_prob"].call(latent=latent, **columns)["log_prob"]
        assert found.shape == (5,) and np.all(np.isfinite(found))


def test_classes(family, inputs, dataset):
    """A family with classes takes one for each row, and draws it where none is asked for."""
    classes, signature = family.classes(dataset), family.signatures()["sample"]
    assert bool(classes) == ("galaxy_class" in signature.inputs)
    if not classes:
        return
    assert sum(galaxy_class["share"] for galaxy_class in classes) == pytest.approx(1.0, abs=1e-4)

    def of(*wanted):
        outputs = signature.call(**{**inputs, "galaxy_class": tf.constant(wanted, tf.int32)})
        made = outputs["galaxy_class"]
        assert made.dtype == tf.int32 and made.shape == (5,)
        known = np.array(wanted) >= 0
        np.testing.assert_array_equal(made[known], np.array(wanted)[known])
        return outputs["image"].numpy(), made.numpy()

    natural, drawn = of(-1, -1, -1, -1, -1)
    np.testing.assert_array_equal(natural, sample(family, inputs))
    # Asking for what would be drawn changes nothing.
    assert np.all((drawn >= 0) & (drawn < len(classes)))
    np.testing.assert_array_equal(of(*drawn)[0], natural)
    first, mixed = of(0, 0, 0, 0, 0)[0], of(0, 1, 0, -1, 0)[0]
    # A row is of its own class, whatever the others are.
    np.testing.assert_allclose(mixed[[0, 2, 4]], first[[0, 2, 4]], atol=1e-6 * first.max())
    assert np.abs(mixed[1] - first[1]).max() > 1e-3 * first[1].max()


# ---- encoders -------------------------------------------------------------------------------


def test_the_signature_embed(encoder, by_name):
    """The embedding of a stamp is its own: it does not depend on the others in the batch."""
    dataset = by_name(encoder.kind)[1]
    batch = dataset.read(dataset.test_indices[:5])
    batch.update(image=batch["stamp"][..., None], psf=batch["psf"][..., None],
                 noise_sigma=batch["noise_sigma"][:, None])
    signature = encoder.signatures()["embed"]
    inputs = {key: tf.constant(batch[key]) for key in signature.inputs}
    embedding = signature.call(**inputs)["embedding"].numpy()
    assert embedding.dtype == np.float32 and embedding.ndim == 2 and len(embedding) == 5
    assert np.all(np.isfinite(embedding)) and np.ptp(embedding, axis=0).max() > 0
    for row in range(5):
        alone = signature.call(**{key: value[row:row + 1] for key, value in inputs.items()})
        np.testing.assert_allclose(
            alone["embedding"], embedding[row:row + 1], rtol=1e-3, atol=1e-4)


# ---- densities ------------------------------------------------------------------------------


def density_inputs(family, signature, count=5):
    rng = np.random.default_rng(3)
    return {key: tf.constant(rng.standard_normal((count, *spec.shape[1:])), tf.float32)
            if len(spec.shape) > 1 else tf.fill([count], 2.0)
            for key, spec in family.signatures()[signature].inputs.items()}


def test_the_signature_log_prob(density):
    inputs = density_inputs(density, "log_prob")
    assert ("latent" in inputs) != ("image" in inputs)
    log_prob = density.signatures()["log_prob"].call(**inputs)["log_prob"].numpy()
    assert log_prob.dtype == np.float32 and log_prob.shape == (5,)
    assert np.all(np.isfinite(log_prob)) and np.ptp(log_prob) > 0
    for row in range(5):
        alone = density.signatures()["log_prob"].call(
            **{key: value[row:row + 1] for key, value in inputs.items()})["log_prob"]
        np.testing.assert_allclose(alone, log_prob[row:row + 1], rtol=1e-4, atol=1e-4)


def test_a_density_draws_what_its_log_prob_takes(density):
    if "sample" not in density.signatures():
        return
    (sampled,) = density.signatures()["sample"].call(
        **density_inputs(density, "sample")).items()
    spec = density.signatures()["log_prob"].inputs[sampled[0]]
    assert sampled[1].shape == (5, *spec.shape[1:]) and np.all(np.isfinite(sampled[1]))
    assert density.signatures()["sample"].inputs["random_normal"].shape[1] == density.latent_size


# ---- fitting --------------------------------------------------------------------------------


def test_phases(name, awake):
    family = awake(name)
    phases = family.phases
    assert [phase.name for phase in phases] == phases_of(name)
    assert LEFT_OUT.get(name, set()) <= set(family.optional_phases)
    for phase in phases:
        assert phase.settings == family.fit[phase.name]
        assert isinstance(phase.settings, type(phase).Settings)
        if not isinstance(phase, GradientPhase):
            continue
        # Every phase belongs to networks that are in the module; an encoder may be fitted together
        # with others, which are not.
        assert phase.variables
        known = {id(v) for network in family.networks.values() for v in network.variables}
        are_known = [id(variable) in known for variable in phase.variables]
        assert any(are_known) if family.module_kind == "encoder" else all(are_known)


def phases_of(name):
    """Those that the tiny recipe has, which together with its variants has all."""
    return [phase.name for phase in family_type(name).phase_types
            if phase.name not in LEFT_OUT.get(name, ())]


PHASES = [(name, phase) for name in FAMILIES for phase in phases_of(name)]
# Those that minimise one loss.
DESCENTS = [(name, phase) for name, phase in PHASES if phase != "adversarial"]


@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_phases_that_may_be_left_out(name, make_recipe):
    def without(content):
        for phase in family_type(name).optional_phases:
            content["fit"].pop(phase, None)
        # It needs the phase ``autoencoder``.
        content["fit"].get("adversarial", {}).pop("elbo", None)

    family = make_family(make_recipe(without, family=name))
    assert [phase.name for phase in family.phases] == [
        phase for phase in phases_of(name) if phase not in family.optional_phases]


def the_phase(family, name):
    return next(phase for phase in family.phases if phase.name == name)


@pytest.mark.long
@pytest.mark.parametrize("name, phase_name", PHASES)
def test_batches_can_be_had_again(name, phase_name, by_name, awake):
    dataset, phase = by_name(name)[1], the_phase(awake(name), phase_name)
    batches, later = phase.batches(dataset, 0), phase.batches(dataset, 2)
    first, _, third = (next(batches) for _ in range(3))
    again = next(later)
    assert all(value.dtype == np.float32 for value in first.values())
    for key in first:
        np.testing.assert_allclose(again[key], third[key], atol=1e-6, err_msg=key)
    assert any(not np.array_equal(first[key], third[key]) for key in first)


@pytest.mark.long
@pytest.mark.parametrize("name, phase_name", DESCENTS)
def test_the_loss_reaches_every_weight(name, phase_name, by_name, awake):
    dataset, phase = by_name(name)[1], the_phase(awake(name), phase_name)
    batch = next(phase.batches(dataset, 0))
    with tf.GradientTape() as tape:
        loss, scalars = phase.loss({k: tf.constant(v) for k, v in batch.items()}, tf.constant(0))
    assert loss.shape == () and np.isfinite(loss)
    assert all(np.isfinite(value) for value in scalars.values())
    gradients = tape.gradient(loss, [variable.value for variable in phase.variables])
    for variable, gradient in zip(phase.variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.all(np.isfinite(gradient)), variable.path
        assert np.abs(gradient).max() > 0, variable.path
    for value in phase.evaluate(dataset.read(dataset.test_indices[:4])).values():
        assert np.isfinite(value)


@pytest.mark.long
@pytest.mark.parametrize("name, phase_name", DESCENTS)
def test_steps_lower_the_loss(name, phase_name, by_name, make_recipe, awaken):
    """On one batch, over and over."""
    _, dataset = by_name(name)

    def faster(content):
        content["fit"][phase_name].update(steps=60, learning_rate=3e-3, warm_up=5)

    # An encoder that has learned nothing finds no classes, and nothing could be learned of them.
    family = prepared(make_recipe(faster, family=name), dataset,
                      awaken if phase_name == "class_weights" else None)
    phase = the_phase(family, phase_name)
    batch = {k: tf.constant(v) for k, v in next(phase.batches(dataset, 0)).items()}
    # Its own, with what its layers keep account of.
    own = [*phase.variables, *(v for network in phase.networks.values()
                               for v in network.non_trainable_variables)]
    others = [variable for network in family.networks.values() for variable in network.variables
              if not any(variable is mine for mine in own)]
    before = [variable.numpy() for variable in others]
    step = as_graph(phase.step)
    # The same random numbers too: what is left is the change of the weights.
    losses = [float(step(batch, tf.constant(0))["loss"]) for _ in range(40)]
    assert np.all(np.isfinite(losses))
    # What is uncertain stays so: least of all of the classes can be learned.
    enough = 0.05 if phase_name == "class_weights" else 0.3
    assert np.mean(losses[-5:]) < 0.9 * losses[0] or losses[0] - np.mean(losses[-5:]) > enough
    # A phase keeps its hands off the weights of the others.
    for variable, value in zip(others, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_the_seed_decides_the_first_weights(name, make_recipe):
    def weights(seed):
        tf.random.uniform((3,))  # whatever happened before
        family = make_family(make_recipe(lambda content: content.update(seed=seed), family=name))
        return np.concatenate([np.ravel(variable) for network in family.networks.values()
                               for variable in network.variables])

    one, same, other = weights(1), weights(1), weights(2)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


# ---- the pieces that families share ---------------------------------------------------------


