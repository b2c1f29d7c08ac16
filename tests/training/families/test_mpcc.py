"""What MPCC promises besides what every family does."""

import functools
import types

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training import fit as fitting
from galsim_deep_training.data.build import build
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family
from galsim_deep_training.fit import fit
from galsim_deep_training.networks.spectral import SpectralConv, SpectralDense, layers_of
from galsim_deep_training.networks.standing_norm import StandingNorm
from galsim_deep_training.phases import adversarial
from galsim_deep_training.recipe import read_recipe

pytestmark = pytest.mark.long

# Settings on top of the tiny recipe's: the variants of the thesis and of columns.
VARIANTS = {
    "columns in training": dict(conditional=True),
    "columns afterwards": dict(),
    "one class": dict(classes=1, prior_learning_rate=1.0),
    "split": dict(conditional=True, injection="split", latent_size=6),
    # The prior moves with the generator, and hardly on its own, after the average is taken.
    "class": dict(injection="class", prior_learning_rate=1e-9),
    "even": dict(conditional=True, evenness=0.5, encoder_steps=1),
    "not shared": dict(share=False, discriminator_steps=3, encoder_steps=1),
}


def variant(name):
    def change(content):
        content["model"].update(VARIANTS[name])
        if content["model"]["conditional"]:
            del content["fit"]["flow"]
    return change


@pytest.fixture(scope="module")
def make(make_recipe, data_file):
    """``make(name)``: the family of a variant, prepared, and its data set."""
    def of(name):
        recipe = make_recipe(variant(name), family="mpcc")
        dataset = Dataset.of(recipe, data_file)
        family = make_family(recipe)
        family.prepare(dataset)
        return family, dataset
    return of


@pytest.fixture(scope="module")
def fit_of(make_recipe, new_run):
    """``fit_of(name)``: (recipe, family) of a variant, fitted; made once."""
    @functools.cache
    def of(name):
        recipe = make_recipe(variant(name), family="mpcc")
        return recipe, fit(recipe, new_run(), progress=False)
    return of


def batch_of(dataset, count=8):
    return {name: tf.constant(value)
            for name, value in dataset.read(dataset.train_indices[:count]).items()}


def values(networks):
    return {path: variable.numpy() for path, variable in (
        (f"{name}/{number}", variable) for name, network in networks.items()
        for number, variable in enumerate(network.trainable_variables))}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_step_moves_every_player(name, make):
    family, dataset = make(name)
    phase = family.phases[0]
    before = values(phase.networks)
    batch = next(phase.batches(dataset, 0))
    for number in range(2):
        scalars = phase.step({k: tf.constant(v) for k, v in batch.items()}, tf.constant(number))
    assert all(np.isfinite(value) for value in scalars.values())
    after = values(phase.networks)
    moved = {path.split("/")[0] for path in before
             if not np.array_equal(before[path], after[path])}
    expected = {"generator", "encoder", "trunk", "own_trunk", "discriminator"}
    assert moved == expected | ({"prior"} if family.settings.classes > 1 else set())
    # As often as Algorithm 1 has it.
    settings = family.settings
    assert {name: int(player.optimizer.iterations) for name, player in phase.players.items()} == {
        "discriminator": 2 * settings.discriminator_steps, "generator": 2,
        "encoder": 2 * settings.encoder_steps, **({"prior": 2} if settings.classes > 1 else {})}


def test_with_sharing_there_is_one_trunk(make):
    family, _ = make("columns in training")
    assert family.own_trunk is family.trunk
    family, _ = make("not shared")
    assert family.own_trunk is not family.trunk


def test_one_class_is_a_standard_normal_prior(make):
    family, _ = make("one class")
    assert "prior" not in family.phases[0].players
    normal = tf.constant(np.random.default_rng(1).standard_normal((6, 4)), tf.float32)
    drawn = family.prior.draw(normal, tf.ones([6, 1]), tf.zeros([6, 0]))
    np.testing.assert_allclose(drawn, normal, rtol=1e-6)


def test_the_generator_learns_nothing_from_the_encoder(make):
    """Loss II reaches the encoder alone (Algorithm 1): with the others held, only it moves."""
    family, dataset = make("not shared")
    phase = family.phases[0]
    held = types.SimpleNamespace(step=lambda loss: (0.0, {}, 0.0))
    phase.players.update(discriminator=held, generator=held, prior=held)
    before = values(phase.networks)
    batch = {name: tf.constant(value) for name, value in next(phase.batches(dataset, 0)).items()}
    for number in range(2):  # in the first step the rate is zero
        phase.step(batch, tf.constant(number))
    after = values(phase.networks)
    moved = {path.split("/")[0] for path in before
             if not np.array_equal(before[path], after[path])}
    assert moved == {"encoder", "own_trunk"}


def test_the_averages_are_kept(make):
    """Of generator and prior; kernels are divided by their spectral norms then."""
    family, dataset = make("class")
    phase, momentum = family.phases[0], family.recipe.fit["adversarial"].average
    kept = dict(generator=family.generator, prior=family.prior)
    average = {}
    for number, batch in zip(range(4), phase.batches(dataset, 0), strict=False):
        phase.step({k: tf.constant(v) for k, v in batch.items()}, tf.constant(number))
        now = values(kept)
        # The first average are the first weights.
        average = {path: momentum * average.get(path, value) + (1 - momentum) * value
                   for path, value in now.items()}
    phase.finish()

    def direction(value):
        return value / max(np.linalg.norm(value), 1e-12)

    for path, value in values(kept).items():
        moved = np.linalg.norm(direction(now[path]) - direction(average[path]))
        off = np.linalg.norm(direction(value) - direction(average[path]))
        assert off <= 1e-6 + 0.01 * moved, path


def test_the_adversary_moves_the_prior_through_the_latents(make):
    family, dataset = make("columns in training")
    phase, batch = family.phases[0], batch_of(dataset)
    with tf.GradientTape() as tape:
        loss, _ = phase._deceive(batch, tf.constant(0))
    gradient = tape.gradient(loss, family.prior.means.value)
    assert np.abs(gradient).max() > 0


def test_what_is_generated_is_observed(make):
    """Networks see profiles through the PSF and the noise of the stamps at hand."""
    family, dataset = make("columns in training")
    making, batch = family.phases[0].making, batch_of(dataset)

    def seen(**changes):
        views, _, _ = making.views({**batch, **changes}, tf.constant(3), 0)
        return np.concatenate([view[..., :2].numpy().ravel() for view in views])

    plain = seen()
    assert np.abs(seen(psf=tf.roll(batch["psf"], 2, axis=1)) - plain).max() > 1e-3
    assert np.abs(seen(noise_sigma=3 * batch["noise_sigma"]) - plain).max() > 1e-3
    np.testing.assert_array_equal(seen(), plain)
    # And the module's own images are not: no PSF and no noise enters them.
    inputs = family.signatures()["sample"].inputs
    assert set(inputs) == {"flux_radius", "mag_auto", "zphot", "random_normal"}


def test_neighbours_are_a_step_of_the_latent_apart(make, awaken, monkeypatch):
    """In units of the deviations of their class, whatever these are; all else is the same."""
    family, dataset = make("columns in training")
    awaken(family.generator, size=0.3)
    awaken(family.prior, size=0.5)
    making, batch, given = family.phases[0].making, batch_of(dataset), {}
    generate = family.generate

    def spy(latent, classes, turn, columns, **how):
        given.update(latent=latent, classes=classes, turn=turn, how=how)
        return generate(latent, classes, turn, columns, **how)

    monkeypatch.setattr(family, "generate", spy)
    first, second = making.neighbours(batch, tf.constant(3), 7, 0.2, batchwise=True)
    assert given["how"] == dict(batchwise=True)
    for name in ("classes", "turn"):
        np.testing.assert_array_equal(given[name][:8], given[name][8:])
    draw = family.prior.draw
    context = family.given(batch, 8)
    deviation = (draw(tf.ones([8, 4]), given["classes"][:8], context)
                 - draw(tf.zeros([8, 4]), given["classes"][:8], context)).numpy()
    assert np.ptp(deviation) > 0.05
    steps = (given["latent"][8:] - given["latent"][:8]).numpy() / deviation
    np.testing.assert_allclose(np.sqrt(np.mean(steps**2, axis=-1)), 0.2, rtol=1e-3)
    assert np.ptp(np.sign(steps), axis=0).min() > 0
    assert np.all(np.max(np.abs(first - second), axis=(1, 2)) > 0)
    # They are the rows that `views` makes, without their noise.
    latent, classes = making.latents(batch, tf.constant(3), 7)
    np.testing.assert_array_equal(given["latent"][:8], latent)
    np.testing.assert_array_equal(given["classes"][:8], classes)
    for changes in (dict(), dict(noise_sigma=5 * batch["noise_sigma"])):
        again = making.neighbours(
            dict(batch, **changes), tf.constant(3), 7, 0.2, batchwise=True)
        np.testing.assert_allclose(again[0], first, atol=1e-5 * np.max(first))
    same = making.neighbours(batch, tf.constant(3), 7, 0.0)
    np.testing.assert_array_equal(*same)


def test_evenness_makes_the_generator_even(make, awaken, monkeypatch):
    family, dataset = make("even")
    awaken(family.generator, size=0.5)
    phase, batch = family.phases[0], batch_of(dataset, 16)
    monkeypatch.setattr(phase, "_judge", lambda *_: tf.fill([16], 2.0))
    loss, scalars = phase._deceive(batch, tf.constant(0))
    assert float(scalars["uneven"]) > 0.1
    assert float(loss) == pytest.approx(0.5 * float(scalars["uneven"]) - 2.0, rel=1e-5)
    found = []
    for _ in range(40):
        uneven, _, _ = phase.players["generator"].step(
            lambda: (phase._unevenness(batch, tf.constant(0)), {}))
        found.append(float(uneven))
    assert found[-1] < 0.8 * found[1]


def test_unevenness_is_of_pairs_of_stamps(make, monkeypatch):
    """How far they are apart, and by how much they differ for their light."""
    phase = make("even")[0].phases[0]
    asked = {}

    def neighbours(batch, number, stream, apart, **how):
        asked.update(how, apart=apart)
        return batch["first"], batch["second"]

    monkeypatch.setattr(phase.making, "neighbours", neighbours)

    def uneven(first, second):
        stamps = [tf.constant(one, tf.float32)[:, None, None] for one in (first, second)]
        return float(phase._unevenness(dict(first=stamps[0], second=stamps[1]), tf.constant(0)))

    assert uneven([1.0, 1.0], [1.2, 3.0]) == pytest.approx(np.log(2 * (
        (0.04 / 1.22 + 1e-4)**2 + (0.8 + 1e-4)**2) / (0.04 / 1.22 + 0.8 + 2e-4)**2), rel=1e-4)
    assert asked == dict(apart=0.5, training=True)
    # By the same share: bright and faint sources alike.
    assert uneven([1.0, 100.0], [1.2, 120.0]) == pytest.approx(0.0, abs=1e-5)
    # A class that comes to life among others without any light or change.
    assert uneven([0.0, 1.0, 1.0], [0.0, 1.0, 1.001]) < 1e-3


def test_what_does_not_change_yet_can_begin_to(make):
    """Without any change, evenness is no hindrance: derivatives are finite."""
    family, dataset = make("even")
    phase, batch = family.phases[0], batch_of(dataset)
    generate = family.generate
    size = tf.Variable(0.0)
    with pytest.MonkeyPatch.context() as patch, tf.GradientTape() as tape:
        patch.setattr(family, "generate", lambda *inputs, **how: size * generate(*inputs, **how))
        uneven = phase._unevenness(batch, tf.constant(0))
    assert float(uneven) == pytest.approx(0.0, abs=1e-5)
    assert np.isfinite(tape.gradient(uneven, size))


def test_asking_for_a_class_is_decoding_its_latent(make):
    family, dataset = make("columns in training")
    batch = batch_of(dataset, 3)
    columns = {name: batch[name] for name in ("flux_radius", "mag_auto", "zphot")}
    normal = np.random.default_rng(1).standard_normal((3, family.latent_size)).astype(np.float32)
    cluster = tf.constant([2, 0, 1])
    signatures = family.signatures()
    image = signatures["cluster"].call(random_normal=normal, cluster=cluster, **columns)["image"]
    prior = signatures["prior"].call(cluster=cluster, **columns)
    turn, epsilon = normal[:, :3], normal[:, 3:7]
    latent = tf.concat([turn, prior["mean"] + prior["scale"] * epsilon], axis=-1)
    again = signatures["decode"].call(latent=latent, cluster=cluster, **columns)["image"]
    np.testing.assert_allclose(again, image, atol=1e-6 * np.max(image))
    assert np.all(prior["log_weight"].numpy() < 0)


def test_columns_that_are_missing_are_those_of_the_class(make, awaken):
    """In the natural mix and where the class is asked for alike."""
    family, dataset = make("columns in training")
    awaken(family.class_weights, size=0.3)
    awaken(family.completion, size=0.1)
    count, painted, generate = 4000, [], family.generate
    columns = {name: tf.repeat(batch_of(dataset, 1)[name], count)
               for name in ("flux_radius", "mag_auto", "zphot")}
    columns.update(mag_auto=tf.fill([count], np.nan), zphot=tf.fill([count], np.nan))

    def spy(latent, classes, turn, columns):
        painted.append({name: value.numpy() for name, value in columns.items()})
        return generate(latent[:1], classes[:1], turn[:1],
                        {name: value[:1] for name, value in columns.items()})

    family.generate = spy
    normal = tf.random.stateless_normal([count, family.latent_size], [1, 2])
    _, natural = family.sample_classes(normal, columns)
    for number in range(3):
        asked = tf.where(tf.range(count) < 100, -1, number)
        _, drawn = family.sample_classes(normal, columns, asked)
        mix, made = painted[0], painted.pop()
        same = np.asarray(natural == drawn)
        np.testing.assert_array_equal(drawn[100:], number)
        np.testing.assert_array_equal(drawn[:100], natural[:100])
        np.testing.assert_array_equal(made["flux_radius"], columns["flux_radius"])
        for name in ("mag_auto", "zphot"):
            np.testing.assert_array_equal(made[name][same], mix[name][same])
            # More alike than the mix and this class.
            of_class = mix[name][np.asarray(natural) == number]
            other = made[name][~same]
            error = np.std(of_class) * np.sqrt(1 / len(of_class) + 1 / len(other))
            assert np.mean(other) == pytest.approx(np.mean(of_class), abs=5 * error)
            assert np.std(other) == pytest.approx(np.std(of_class), rel=0.2)


def test_natural_draws_are_as_frequent_as_the_prior_says(make, awaken):
    from scipy import stats

    family, dataset = make("columns in training")
    awaken(family.class_weights, size=0.5)
    columns = {name: tf.repeat(batch_of(dataset, 1)[name], 20000)
               for name in ("flux_radius", "mag_auto", "zphot")}
    drawn, generate = [], family.generate

    def spy(latent, classes, turn, columns):
        drawn.append(np.argmax(classes, axis=-1))
        return generate(latent[:1], classes[:1], turn[:1],
                        {name: value[:1] for name, value in columns.items()})

    family.generate = spy
    normal = tf.random.stateless_normal([20000, family.latent_size], [1, 2])
    family.sample(normal, columns)
    weights = np.exp(family.log_class_weights(columns, 20000))[0]
    assert np.ptp(weights) > 0.05
    counts = np.bincount(drawn[0], minlength=3)
    assert stats.chisquare(counts, 20000 * weights / weights.sum()).pvalue > 0.01


@pytest.mark.parametrize("name", ["even", "columns afterwards"])
def test_fitted_the_generator_stands_alone(name, fit_of):
    """Weights are settled, statistics taken: a row is what it is alone."""
    _, family = fit_of(name)
    layers = layers_of(family.generator, (SpectralConv, SpectralDense))
    assert layers and all(float(layer.norm) == 1.0 for layer in layers)
    norms = layers_of(family.generator, StandingNorm)
    assert len(norms) > 1 and all(float(norm.batches) == 16 for norm in norms)
    normal = np.random.default_rng(1).standard_normal((5, family.latent_size)).astype(np.float32)
    columns = dict(flux_radius=tf.fill([5], 4.0), mag_auto=tf.fill([5], 22.0),
                   zphot=tf.fill([5], 0.6))
    together = family.sample(normal, columns).numpy()
    alone = family.sample(normal[2:3], {k: v[:1] for k, v in columns.items()}).numpy()
    np.testing.assert_allclose(alone[0], together[2], atol=1e-6 * together.max())


def test_an_interrupted_fit_ends_where_an_uninterrupted_one_does(fit_of, new_run, monkeypatch):
    (recipe, whole), run = fit_of("even"), new_run()
    save = tf.train.CheckpointManager.save

    class Stopped(Exception):
        pass

    def stop(manager, checkpoint_number):
        if checkpoint_number == 10:
            raise Stopped
        return save(manager, checkpoint_number=checkpoint_number)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "SAVE_EVERY", 5)
        # Nor does it matter when it is looked at.
        patch.setattr(fitting, "EVALUATE_EVERY", 3)
        patch.setattr(tf.train.CheckpointManager, "save", stop)
        with pytest.raises(Stopped):
            fit(recipe, run, progress=False)
    resumed = fit(recipe, run, progress=False)
    one, other = values(whole.networks), values(resumed.networks)
    for path, value in one.items():
        np.testing.assert_array_equal(value, other[path], err_msg=path)


def test_a_dead_mode_is_seen_through_noise_and_columns(make, awaken, monkeypatch):
    """What is made of different latents is the same, though stamps differ in all else."""
    family, dataset = make("columns in training")
    awaken(family.generator, size=0.3)
    monkeypatch.setattr(adversarial, "ENOUGH", 5)
    phase, batch = family.phases[0], batch_of(dataset, 16)
    alive = phase.evaluate(batch)
    monkeypatch.setattr(phase.making, "_within", lambda classes, *_: tf.zeros([16, 4]))
    dead = phase.evaluate(batch)
    assert float(alive["diversity"]) > 1e-3
    assert float(dead["diversity"]) == pytest.approx(0.0, abs=1e-9)
    usage = [float(alive[f"usage_{number}"]) for number in range(3)]
    assert np.mean(usage) == pytest.approx(1.0) and min(usage) == float(alive["usage"])


@pytest.mark.parametrize("change, words", [
    (dict(), None),
    (dict(diversity=0.0), "always the same"),
    (dict(usage_1=0.0), "class 1 is not found in real stamps"),
])
def test_a_mode_is_dead_when_it_stays_so(make, monkeypatch, change, words):
    family, _ = make("columns in training")
    family.settings = family.settings.model_copy(update=dict(least_diversity=0.05))
    phase = family.phases[0]
    alive = dict(diversity=0.8, usage_0=1.2, usage_1=0.6, usage_2=1.2)
    found = [phase.fault(number, one) for number, one in enumerate(
        [{**alive, **change}] * 3 + [alive] + [{**alive, **change}] * 5, start=3)]
    assert found[:-1] == [None] * 8
    assert (found[-1] is None) if words is None else (words in found[-1])


def test_classes_of_which_there_are_few_stamps_are_not_judged(labelled, monkeypatch):
    recipe, run = labelled
    family = make_family(recipe)
    family.prepare(Dataset(run / "data.h5"))
    phase, batch = family.phases[0], batch_of(Dataset(run / "data.h5"), 24)
    # An encoder that takes all for the first class.
    monkeypatch.setattr(
        family, "membership", lambda latent, columns: tf.one_hot(tf.zeros(24, tf.int32), 2))
    labels = {count: tf.cast(tf.range(24) < count, tf.int32) for count in (0, 9, 10)}
    found = {count: phase.evaluate(dict(batch, label=label)) for count, label in labels.items()}
    assert [float(one["usage_1"]) for one in found.values()] == [1.0, 1.0, 0.0]
    assert float(found[9]["usage_0"]) == pytest.approx(24 / 15)


def test_classes_may_come_to_life_in_the_first_third(make):
    family, _ = make("columns in training")
    family.settings = family.settings.model_copy(update=dict(least_diversity=0.05))
    phase = family.phases[0]
    dead = dict(diversity=0.0, usage_0=1.0, usage_1=1.0, usage_2=1.0)
    third = phase.fit.steps // 3
    found = [phase.fault(number, dead) for number in range(third - 8, third + 2)]
    assert found[:-1] == [None] * 9 and "always the same" in found[-1]


def test_a_fit_in_which_a_mode_dies_is_stopped(make_recipe, new_run, monkeypatch):
    monkeypatch.setattr(adversarial, "WATCHED", 1)

    def change(content):
        variant("columns in training")(content)
        content["model"]["least_diversity"] = 1.0
        content["fit"]["adversarial"]["steps"] = 6

    with pytest.raises(galsim.GalSimError, match="adversarial.*mode has died"):
        fit(make_recipe(change, family="mpcc"), new_run(), progress=False)


def test_diversity():
    """Of independent draws it is their variance."""
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 40, 8, 8, 1)).astype(np.float32)
    classes = np.repeat(np.eye(3, dtype=np.float32)[:2], 20, axis=0)
    first[:20], second[:20] = 2 * first[:20], 2 * second[:20]
    found = adversarial.diversity([first], [second], tf.constant(classes)).numpy()
    np.testing.assert_allclose(found[:2], [4.0, 1.0], rtol=0.2)
    assert found[2] == pytest.approx(found[:2].mean())  # no images, no verdict
    assert float(adversarial.variance([first[20:]])) == pytest.approx(1.0, rel=0.2)
    second[20:] = first[20:]
    assert adversarial.diversity([first], [second], tf.constant(classes)).numpy()[1] == 0


# ---- labels ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A recipe of plain images of two classes, bars along x and along y, with its data set."""
    import yaml

    folder = tmp_path_factory.mktemp("bars")
    rng = np.random.default_rng(1)
    label = np.arange(60) % 2
    images = np.zeros((60, 8, 8), np.float32)
    for image, across in zip(images, label, strict=True):
        image[rng.integers(2, 6)] = 1.0
        if across:
            image[:] = image.T.copy()
    np.savez(folder / "bars.npz", images=images, labels=label)
    phase = dict(steps=10, batch_size=8)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(dict(
        name="bars", version="0.0.1", summary="Bars.", family="mpcc", seed=1,
        stamp=dict(size=8, pixel_scale=1.0, band="none", zero_point=0.0, psf_size=1), columns=[],
        training_data=dict(description="Bars.", citation="none", licence="CC0"),
        data=dict(builder="images", settings=dict(file_name="bars.npz", labels="labels")),
        model=dict(canvas=dict(kind="plain"), classes=2, supervised=True, latent_size=4, start=2,
                   generator_channels=8, critic_channels=8, halvings=1, hidden=8,
                   injection="class", discriminator_steps=1, encoder_steps=1, least_diversity=0.0,
                   class_names=[dict(name="along", description="bars along x"),
                                dict(name="across", description="bars along y")]),
        fit=dict(adversarial=phase, inference=phase, classes=phase))))
    recipe = read_recipe(folder / "recipe.yaml")
    build(recipe, folder / "run" / "data.h5", processes=1, progress=False)
    return recipe, folder / "run"


def test_images_are_built_as_they_are(labelled):
    recipe, run = labelled
    dataset = Dataset.of(recipe, run / "data.h5")
    assert len(dataset) == 60 and len(dataset.test_indices) == 6
    rows = dataset.read(np.arange(60))
    np.testing.assert_array_equal(rows["label"], np.arange(60) % 2)
    assert rows["stamp"].max() == 1.0 and (rows["stamp"].sum(axis=(1, 2)) == 8).all()


def test_labels_are_the_classes(labelled):
    recipe, run = labelled
    family = fit(recipe, run, progress=False)
    dataset = Dataset(run / "data.h5")
    batch = batch_of(dataset)
    _, classes = family.phases[0].making.latents(batch, tf.constant(0), 0)
    np.testing.assert_array_equal(np.argmax(classes, axis=-1), batch["label"])
    assert [one["name"] for one in family.classes(dataset)] == ["along", "across"]
    # An image may be judged otherwise as one of another class.
    views = family.look(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
    context = family.given(batch, 8)
    judged = [family.judge(views, family.one_hot(tf.fill([8], number)), context).numpy()
              for number in range(2)]
    assert np.abs(judged[0] - judged[1]).max() > 1e-6


def test_real_images_beside_another_class_are_told_apart(labelled, monkeypatch):
    recipe, run = labelled
    recipe = recipe.model_copy(update=dict(model=dict(recipe.model, mismatched=0.5)))
    dataset = Dataset(run / "data.h5")
    family = make_family(recipe)
    family.prepare(dataset)
    phase, batch = family.phases[0], batch_of(dataset)
    label = np.array([0, 0, 0, 1, 1, 0, 1, 0])
    batch, asked = dict(batch, label=tf.constant(label)), []

    def judge(views, classes, context, training):
        assert len(views[0]) == len(classes) == 3 * len(label)
        np.testing.assert_array_equal(views[0][:len(label)], views[0][-len(label):])
        asked.append(np.argmax(classes, axis=-1))
        # Real ones beside their class are at the margin, and so are generated ones.
        return tf.constant(np.repeat([1.0, -1.0, 0.2], len(label)), tf.float32)

    monkeypatch.setattr(family, "judge", judge)
    made = phase.making.views(batch, tf.constant(1), 1, training=True)
    loss, scalars = phase._tell_apart(made, batch, tf.constant(1), 0)
    wrong = np.mean(label != np.roll(label, 1))
    assert float(loss) == pytest.approx(0.5 * 1.2 * wrong)
    assert float(scalars["mismatched"]) == pytest.approx(0.2)
    np.testing.assert_array_equal(asked[0], np.concatenate([label, label, np.roll(label, 1)]))


def test_another_optimiser_is_refused(make_recipe):
    def change(content):
        content["fit"]["adversarial"]["optimizer"] = "adafactor"

    family = make_family(make_recipe(change, family="mpcc"))
    with pytest.raises(galsim.GalSimConfigError, match="adversarial.optimizer.*'adafactor'"):
        family.phases  # noqa: B018 - made when asked for


def test_classes_are_as_frequent_in_the_fit_as_their_labels(labelled):
    recipe, run = labelled
    dataset = Dataset(run / "data.h5")
    dataset.label = (np.arange(60) % 3 == 0).astype(int)
    family = make_family(recipe)
    family.prepare(dataset)
    share = dataset.label[dataset.train_indices].mean()
    np.testing.assert_allclose(family.fit_shares, [[1 - share, share]], rtol=1e-6)


def test_labels_beyond_the_classes_are_refused(labelled):
    recipe, run = labelled
    dataset = Dataset(run / "data.h5")
    dataset.label = dataset.label + 1
    with pytest.raises(galsim.GalSimConfigError, match="labels .* go from 1 to 2"):
        make_family(recipe).prepare(dataset)


# ---- recipes --------------------------------------------------------------------------------


@pytest.mark.parametrize("change, words", [
    (lambda model: model.update(injection="push"), "injection.*one of split, copy, class"),
    (lambda model: model.update(classes=0), "classes"),
    (lambda model: model.update(start=3), "cannot be had by doubling 3"),
    (lambda model: model.update(start=16), "cannot be had by doubling 16"),
    (lambda model: model.update(start=0), "start"),
    (lambda model: model.update(critic_channels=0), "critic_channels"),
    (lambda model: model.update(generator_channels=-4), "generator_channels"),
    (lambda model: model.update(canvas=dict(kind="plain", fineness=0)), "fineness"),
    (lambda model: model.update(injection="split", latent_size=5), "5 latents cannot be cut"),
    (lambda model: model.update(halvings=4), "cannot be halved 4 times"),
    (lambda model: model.update(canvas=dict(kind="paper")), "canvas.*'paper'; there are: galaxy"),
    (lambda model: model.update(canvas=dict(kind="plain", fineness=5)), "does not divide"),
    (lambda model: model.update(canvas=dict(kind="sky")), "flux_column.*'flux_density'"),
    (lambda model: model.update(class_names=[dict(name="a", description="b")]), "1 for 3 classes"),
    (lambda model: model.update(class_names=[dict(name="1", description="")] * 3), "as a number"),
    (lambda model: model.update(class_names=[dict(name="a", description="")] * 3), "same name"),
    (lambda model: model.update(conditional=True), "phase 'flow'"),
    (lambda model: model.update(mismatched=0.5), "mismatched.*supervised"),
    (lambda model: model.update(mismatched=0.5, supervised=True, classes=1), "several classes"),
    (lambda model: model.update(joint=8), "neither classes nor columns"),
])
def test_what_cannot_be_is_refused(change, words, make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match=words):
        make_family(make_recipe(lambda content: change(content["model"]), family="mpcc"))


def test_columns_that_are_not_there_cannot_be_completed(labelled):
    recipe, _ = labelled
    phases = dict(recipe.fit, columns=recipe.fit["classes"])
    other = recipe.model_copy(update=dict(fit=phases))
    with pytest.raises(galsim.GalSimConfigError, match="phase 'columns', and there are no columns"):
        make_family(other)


def test_names_of_classes_do_not_matter_to_checkpoints(make_recipe):
    from galsim_deep_training.fit import titles

    def named(content):
        content["model"]["class_names"] = [
            dict(name=name, description="") for name in ("a", "b", "c")]

    recipes = [make_recipe(family="mpcc"), make_recipe(named, family="mpcc")]
    one, other = (titles(make_family(recipe).phases, recipe) for recipe in recipes)
    assert one == other
