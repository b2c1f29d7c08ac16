"""Settings of MPCC that do not fit each other are refused."""

import galsim
import pytest

from galsim_deep_training.families import checkpoint_names, choose_family, make_family


def model(**changes):
    return lambda content: content["model"].update(changes)


def part(name, **changes):
    return lambda content: content["model"][name].update(changes)


def adversarial(**changes):
    return lambda content: content["fit"]["adversarial"].update(changes)


def several(*changes):
    return lambda content: [change(content) for change in changes]


@pytest.mark.parametrize("change, words", [
    (part("generator", injection="push"), "model.generator.injection"),
    (part("classes", number=0), "model.classes.number"),
    (part("generator", start=3), "model.generator.start.* 3"),
    (part("generator", start=16), "model.generator.start.* 16"),
    (part("generator", start=0), "model.generator.start"),
    (part("discriminator", channels=0), "model.discriminator.channels"),
    (part("generator", channels=-4), "model.generator.channels"),
    (model(canvas=dict(kind="plain", subcells=0)), "model.canvas.*subcells"),
    (model(canvas=dict(kind="plain", subcells=5)), "model.canvas.*subcells"),
    (model(canvas=dict(kind="paper")), "'paper'"),
    (model(canvas=dict(kind="sky")), "'flux'.*sky"),
    (several(part("generator", injection="split"), model(latent_size=5)), "model.latent_size.*5"),
    (part("discriminator", halvings=4), "model.discriminator.halvings.*4"),
    (part("discriminator", joint=8), "model.discriminator.joint"),
    (part("classes", names=[dict(name="a", description="b")]), "model.classes.* 1 .* 3"),
    (part("classes", names=[dict(name="a", description="round\x1b")] * 3),
     "model.classes.names.0.description"),
    (part("classes", names=[dict(name="1", description="")] * 3), "model.classes.names"),
    (part("classes", names=[dict(name="a", description="")] * 3), "model.classes.*same name"),
    (model(conditional=True), "fit.*'flow'"),
    (adversarial(mismatched=0.5), "fit.adversarial.mismatched"),
    (several(adversarial(mismatched=0.5), part("classes", supervised=True, number=1)),
     "fit.adversarial.mismatched"),
    (adversarial(mismatch=0.5), "fit.adversarial.mismatch"),
])
def test_settings_that_do_not_fit(change, words, make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match=words):
        make_family(make_recipe(change, family="mpcc"))


def test_the_adversarial_phase_needs_adam(make_recipe):
    """Another optimiser is refused before any network is built."""
    recipe = make_recipe(adversarial(optimizer="adafactor"), family="mpcc")
    with pytest.raises(galsim.GalSimConfigError, match="adversarial.optimizer.*'adafactor'"):
        choose_family(recipe)


def test_columns_that_do_not_exist_cannot_be_imputed(bars):
    recipe, _ = bars
    other = recipe.model_copy(
        update=dict(fit=dict(recipe.fit, columns=recipe.fit["class_weights"])))
    with pytest.raises(galsim.GalSimConfigError, match="'columns'"):
        make_family(other)


PHASES = {"adversarial", "inference", "class_weights", "flow", "columns"}
NAMES = [dict(name=name, description="") for name in ("a", "b", "c")]


@pytest.mark.parametrize("change, changed", [
    # Names for people, and thresholds of warnings.
    (part("classes", names=NAMES), set()),
    (adversarial(least_diversity=0.5, least_usage=0.5), set()),
    (part("flow", layers=3), {"flow"}),
    (lambda content: content["fit"]["flow"].update(deepest_share=0.5), {"flow"}),
    (lambda content: content["fit"]["class_weights"].update(deepest_share=0.5), {"class_weights"}),
    (lambda content: content["fit"]["inference"].update(steps=13),
     {"inference", "class_weights", "flow"}),
    (adversarial(evenness=0.1), PHASES - {"columns"}),
    (part("generator", channels=9), PHASES - {"columns"}),
    (model(offset=0.25), PHASES - {"columns"}),
    (part("canvas", half_width=4.5), PHASES - {"columns"}),
    (lambda content: content.update(seed=9), PHASES),
    # A default that is written down.
    (adversarial(prior_weight=0.01), set()),
])
def test_checkpoints_are_known_by_what_decides_them(change, changed, make_recipe):
    before, after = (checkpoint_names(make_recipe(each, family="mpcc")) for each in (None, change))
    assert {name for name in before if before[name] != after[name]} == changed
