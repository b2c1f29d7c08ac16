"""The phase ``adversarial``: who learns from what, evaluation, and the end of the phase."""

import types

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training import fit as fitting
from galsim_deep_training.families import make_family
from galsim_deep_training.families.mpcc.phases import adversarial
from galsim_deep_training.fit import fit
from galsim_deep_training.fitting.checkpoints import Checkpoints
from galsim_deep_training.networks.conditional_batch_norm import ConditionalBatchNorm
from galsim_deep_training.networks.spectral import layers_of

pytestmark = pytest.mark.long


def tensors(batch):
    return {name: tf.constant(value) for name, value in batch.items()}


def moved(before, after):
    """The networks of which a weight has changed."""
    return {path.split("/")[0] for path in before if np.any(before[path] != after[path])}


@pytest.mark.parametrize("name", ["conditional", "unconditional", "one class", "split", "class",
                                  "even", "own trunk"])
def test_a_step_moves_every_player(name, make, values):
    family, dataset = make(name)
    phase = family.phases[0]
    before, batch = values(phase.networks), tensors(next(phase.batches(dataset, 0)))
    for number in range(2):
        scalars = phase.step(batch, tf.constant(number))
    assert all(np.isfinite(value) for value in scalars.values())
    has_prior = family.settings.classes.number > 1
    assert moved(before, values(phase.networks)) == {
        "generator", "encoder", "trunk", "encoder_trunk", "discriminator",
        *(["prior"] if has_prior else [])}
    # As often as in Algorithm 1.
    settings = phase.settings
    assert {name: int(optimiser_step.optimizer.iterations)
            for name, optimiser_step in phase.optimiser_steps.items()} == {
        "discriminator": 2 * settings.discriminator_steps, "generator": 2,
        "encoder": 2 * settings.encoder_steps, **({"prior": 2} if has_prior else {})}


def test_only_the_encoder_learns_from_the_encoder_loss(make, values):
    """Loss II has no gradient to the generator (Algorithm 1)."""
    family, dataset = make("own trunk")
    phase = family.phases[0]
    idle = types.SimpleNamespace(step=lambda loss: (0.0, {}, 0.0))
    phase.optimiser_steps.update(discriminator=idle, generator=idle, prior=idle)
    before, batch = values(phase.networks), tensors(next(phase.batches(dataset, 0)))
    for number in range(2):  # the learning rate of the first step is zero
        phase.step(batch, tf.constant(number))
    assert moved(before, values(phase.networks)) == {"encoder", "encoder_trunk"}


def test_the_discriminator_moves_the_prior_through_the_latents(make, batch_of):
    family, dataset = make("conditional")
    phase, batch = family.phases[0], batch_of(dataset)
    with tf.GradientTape() as tape:
        loss, _ = phase._generator_loss(batch, tf.constant(0))
    gradient = tape.gradient(loss, family.prior.means.value)
    assert np.abs(gradient).max() > 0


def test_averages_are_kept(make, values):
    """Of generator and prior, whose kernels are divided by their spectral norms."""
    family, dataset = make("class")
    phase = family.phases[0]
    momentum, kept = phase.settings.average, dict(generator=family.generator, prior=family.prior)
    average = {}
    for number, batch in zip(range(4), phase.batches(dataset, 0), strict=False):
        phase.step(tensors(batch), tf.constant(number))
        last = values(kept)
        # The first average is the first weight.
        average = {path: momentum * average.get(path, value) + (1 - momentum) * value
                   for path, value in last.items()}
    phase.finish(dataset)

    def direction(value):
        return value / max(np.linalg.norm(value), 1e-12)

    for path, value in values(kept).items():
        distance = np.linalg.norm(direction(last[path]) - direction(average[path]))
        error = np.linalg.norm(direction(value) - direction(average[path]))
        assert error <= 1e-6 + 0.01 * distance, path


def test_the_end_does_not_need_batches(make):
    """Statistics are collected for a phase that goes on from a checkpoint of its last step."""
    family, dataset = make("conditional")
    family.phases[0].finish(dataset)
    norms = layers_of(family.generator, ConditionalBatchNorm)
    assert norms and all(float(norm.batches) == 16 for norm in norms)


def test_an_interrupted_fit_ends_where_an_uninterrupted_one_does(fit_of, values, new_run,
                                                                 monkeypatch):
    (recipe, whole), run = fit_of("even"), new_run()
    save = Checkpoints.save

    class Stopped(Exception):
        pass

    def stop(checkpoints, steps_done):
        if steps_done == 10:
            raise Stopped
        save(checkpoints, steps_done)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "SAVE_EVERY", 5)
        # When a fit is evaluated does not matter.
        patch.setattr(fitting, "EVALUATE_EVERY", 3)
        patch.setattr(Checkpoints, "save", stop)
        with pytest.raises(Stopped):
            fit(recipe, run, progress=False)
    resumed = values(fit(recipe, run, progress=False).networks)
    for path, value in values(whole.networks).items():
        np.testing.assert_array_equal(value, resumed[path], err_msg=path)


# ---- evenness -------------------------------------------------------------------------------


def test_evenness_makes_the_generator_even(make, awaken, batch_of, monkeypatch):
    family, dataset = make("even")
    awaken(family.generator, size=0.5)
    phase, batch = family.phases[0], batch_of(dataset, 16)
    monkeypatch.setattr(family, "discriminate", lambda *_, **__: tf.fill([16], 2.0))
    loss, scalars = phase._generator_loss(batch, tf.constant(0))
    assert float(scalars["unevenness"]) > 0.1
    assert float(loss) == pytest.approx(0.5 * float(scalars["unevenness"]) - 2.0, rel=1e-5)
    losses = []
    for _ in range(40):
        uneven, _, _ = phase.optimiser_steps["generator"].step(
            lambda: (phase._unevenness(batch, tf.constant(0)), {}))
        losses.append(float(uneven))
    assert losses[-1] < 0.8 * losses[1]


def test_unevenness_compares_pairs_of_stamps(make, monkeypatch):
    """By their difference relative to their light."""
    phase = make("even")[0].phases[0]
    requested = {}

    def neighbours(batch, number, stream, distance, **mode):
        requested.update(mode, distance=distance)
        return batch["first"], batch["second"]

    monkeypatch.setattr(phase.simulator, "neighbours", neighbours)

    def uneven(first, second):
        stamps = [tf.constant(pixel, tf.float32)[:, None, None] for pixel in (first, second)]
        return float(phase._unevenness(dict(first=stamps[0], second=stamps[1]), tf.constant(0)))

    assert uneven([1.0, 1.0], [1.2, 3.0]) == pytest.approx(np.log(2 * (
        (0.04 / 1.22 + 1e-4)**2 + (0.8 + 1e-4)**2) / (0.04 / 1.22 + 0.8 + 2e-4)**2), rel=1e-4)
    assert requested == dict(distance=0.5, training=True)
    # Bright and faint sources count alike.
    assert uneven([1.0, 100.0], [1.2, 120.0]) == pytest.approx(0.0, abs=1e-5)
    # Galaxies without light, or without any change.
    assert uneven([0.0, 1.0, 1.0], [0.0, 1.0, 1.001]) < 1e-3


def test_unevenness_has_a_gradient_where_nothing_changes(make, batch_of):
    family, dataset = make("even")
    phase, batch = family.phases[0], batch_of(dataset)
    generate, size = family.generate, tf.Variable(0.0)
    family.generate = lambda *inputs, **mode: size * generate(*inputs, **mode)
    with tf.GradientTape() as tape:
        uneven = phase._unevenness(batch, tf.constant(0))
    assert float(uneven) == pytest.approx(0.0, abs=1e-5)
    assert np.isfinite(tape.gradient(uneven, size))


# ---- mismatched pairs -----------------------------------------------------------------------


def test_real_images_with_the_class_of_another_are_rejected(labelled, bars, batch_of, monkeypatch):
    family, dataset = labelled
    phase, batch = family.phases[0], batch_of(dataset)
    phase.settings = phase.settings.model_copy(update=dict(mismatched=0.5))
    label = np.array([0, 0, 0, 1, 1, 0, 1, 0])
    batch, requested = dict(batch, label=tf.constant(label)), []

    def discriminate(views, classes, conditions, training):
        assert len(views[0]) == len(classes) == 3 * len(label)
        np.testing.assert_array_equal(views[0][:len(label)], views[0][-len(label):])
        requested.append(np.argmax(classes, axis=-1))
        # Real images with their own class, and generated ones, are at the margin of the hinge.
        return tf.constant(np.repeat([1.0, -1.0, 0.2], len(label)), tf.float32)

    simulated = phase.simulator.views(batch, tf.constant(1), 1, training=True)
    monkeypatch.setattr(family, "discriminate", discriminate)
    loss, scalars = phase._discriminator_loss(simulated, batch, tf.constant(1), 0)
    share = np.mean(label != np.roll(label, 1))
    assert float(loss) == pytest.approx(0.5 * 1.2 * share)
    assert float(scalars["mismatched"]) == pytest.approx(0.2)
    np.testing.assert_array_equal(requested[0][:8], label)
    np.testing.assert_array_equal(requested[0][16:], np.roll(label, 1))


# ---- evaluation -----------------------------------------------------------------------------


def test_a_collapsed_class_is_seen_through_noise_and_columns(make, awaken, batch_of, monkeypatch):
    """Its images do not depend on the latent, although the stamps differ in all other respects."""
    family, dataset = make("conditional")
    awaken(family.generator, size=0.3)
    monkeypatch.setattr(adversarial, "MIN_EXPECTED", 5)
    phase, batch = family.phases[0], batch_of(dataset, 16)
    healthy = phase.evaluate(batch)
    monkeypatch.setattr(family.prior, "draw", lambda normal, *_: tf.zeros_like(normal))
    collapsed = phase.evaluate(batch)
    assert float(healthy["diversity"]) > 1e-3
    assert float(collapsed["diversity"]) == pytest.approx(0.0, abs=1e-9)
    usage = [float(healthy[f"usage_{number}"]) for number in range(3)]
    assert np.mean(usage) == pytest.approx(1.0) and min(usage) == float(healthy["usage"])


HEALTHY = dict(diversity=0.8, usage_0=1.2, usage_1=0.6, usage_2=1.2)


def least_diversity(value):
    return lambda content: content["fit"]["adversarial"].update(least_diversity=value)


@pytest.mark.parametrize("change, setting", [
    (dict(), None), (dict(diversity=0.0), "least_diversity"), (dict(usage_1=0.0), "least_usage")])
def test_a_fit_is_stopped_when_a_class_stays_collapsed(make, change, setting):
    family, _ = make("conditional", least_diversity(0.05))
    phase, bad = family.phases[0], {**HEALTHY, **change}
    *first, last = [phase.fault(number, scalars) for number, scalars in enumerate(
        [bad] * 3 + [HEALTHY] + [bad] * 5, start=3)]
    assert first == [None] * 8
    assert last is None if setting is None else setting in last


def test_classes_may_start_to_vary_late(make):
    """In the first third of the steps a fit is not stopped."""
    family, _ = make("conditional", least_diversity(0.05))
    phase, third = family.phases[0], family.phases[0].settings.steps // 3
    *first, last = [phase.fault(number, dict(HEALTHY, diversity=0.0))
                    for number in range(third - 8, third + 2)]
    assert first == [None] * 9 and "least_diversity" in last


def test_rare_classes_are_not_evaluated(labelled, batch_of, monkeypatch):
    family, dataset = labelled
    phase, batch = family.phases[0], batch_of(dataset, 24)
    # An encoder that infers the first class for all images.
    monkeypatch.setattr(family, "log_class_probability",
                        lambda latent, columns: tf.one_hot(tf.zeros(24, tf.int32), 2))
    usage = {}
    for count in (0, 9, 10):
        labels = tf.cast(tf.range(24) < count, tf.int32)
        usage[count] = phase.evaluate(dict(batch, label=labels))
    assert [float(usage[count]["usage_1"]) for count in (0, 9, 10)] == [1.0, 1.0, 0.0]
    assert float(usage[9]["usage_0"]) == pytest.approx(24 / 15)


def test_the_loop_stops_a_fit_with_a_collapsed_class(make_recipe, variant, new_run, monkeypatch,
                                                     without_graphs):
    monkeypatch.setattr(adversarial, "WATCHED", 1)

    def change(content):
        variant("conditional")(content)
        content["fit"]["adversarial"].update(steps=2, least_diversity=1.0)

    with pytest.raises(galsim.GalSimError, match="adversarial.*least_diversity"):
        fit(make_recipe(change, family="mpcc"), new_run(), progress=False)


def test_diversity():
    """For independent draws it is their variance."""
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 40, 8, 8, 1)).astype(np.float32)
    classes = np.repeat(np.eye(3, dtype=np.float32)[:2], 20, axis=0)
    first[:20], second[:20] = 2 * first[:20], 2 * second[:20]
    by_class = adversarial.diversity([first], [second], tf.constant(classes)).numpy()
    np.testing.assert_allclose(by_class[:2], [4.0, 1.0], rtol=0.2)
    assert by_class[2] == pytest.approx(by_class[:2].mean())  # there are no images of this class
    assert float(adversarial.variance([first[20:]])) == pytest.approx(1.0, rel=0.2)
    second[20:] = first[20:]
    assert adversarial.diversity([first], [second], tf.constant(classes)).numpy()[1] == 0


def test_likeness():
    """It grows with the number of templates that images repeat, and not with what all share."""
    rng = np.random.default_rng(5)
    templates = rng.standard_normal((40, 8, 8, 2))
    noise = 0.3 * rng.standard_normal((40, 8, 8, 2))
    found = [float(adversarial.likeness([tf.constant(
        shared + templates[np.arange(40) % different] + noise, tf.float32)]))
        for different, shared in ((40, 0.0), (40, 20.0), (10, 0.0))]
    assert found[0] < 0.4 and found[1] == pytest.approx(found[0], abs=1e-3) and found[2] > 0.8


def test_polar_grids_are_not_jittered(make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match=r"fit\.adversarial\.jitter.*polar_frame"):
        make_family(make_recipe(lambda content: content["fit"]["adversarial"].update(
            jitter=dict(turn=0.1)), family="mpcc_polar"))


def test_the_deepest_stamps(make):
    """The settings choose them."""
    family, dataset = make("conditional", lambda content: content["fit"]["adversarial"].update(
        deepest_share=0.25))
    batches = family.phases[0].batches(dataset, 0)
    noise = np.concatenate([next(batches)["noise_sigma"] for _ in range(12)])
    assert set(noise) == set(dataset.noise_sigma[dataset.deepest(0.25)])


def test_its_checkpoints_depend_on_no_network_of_later_phases(make, tmp_path):
    """Recipes with other flows, or without one, use the same checkpoints."""
    def without(content):
        del content["fit"]["flow"]

    def other(content):
        content["model"]["flow"] = dict(kind="spline_coupling", layers=1, hidden=4)

    family, _ = make("unconditional")
    phase = family.phases[0]
    assert not {"flow", "imputation", "class_weights"} & set(phase.state())
    phase.family.generator.trainable_variables[0].assign_add(
        tf.ones_like(phase.family.generator.trainable_variables[0]))
    Checkpoints(phase, "adversarial", tmp_path).save(0)
    for change in (without, other):
        restored, _ = make("unconditional", change)
        Checkpoints(restored.phases[0], "adversarial", tmp_path).restore()
        for one, two in zip(restored.generator.variables, family.generator.variables, strict=True):
            np.testing.assert_array_equal(one, two)
