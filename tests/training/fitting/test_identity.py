"""By what checkpoints are known: which changes of a recipe start which phases anew."""

import pydantic
import pytest

from galsim_deep_training import families
from galsim_deep_training.data.builders.transplant import Transplant
from galsim_deep_training.families import checkpoint_names
from galsim_deep_training.families.flow_vae.autoencoders.galaxy_frame import GalaxyFrameAutoencoder
from galsim_deep_training.families.flow_vae.family import FlowVAE
from galsim_deep_training.families.flow_vae.phases.autoencoder import AutoencoderPhase
from galsim_deep_training.families.flow_vae.phases.latent_flow import LatentFlow
from galsim_deep_training.fitting import identity
from galsim_deep_training.fitting.identity import phase_checkpoint_names
from galsim_deep_training.fitting.phase import Phase
from galsim_deep_training.networks.flows import Flow
from galsim_deep_training.networks.flows.affine_coupling import AffineCouplingFlow
from galsim_deep_training.networks.flows.map_coupling import MapCouplingFlow
from galsim_deep_training.networks.flows.spline_coupling import SplineCouplingFlow
from galsim_deep_training.recipe import PhaseSettings
from galsim_deep_training.registry import Choice
from galsim_deep_training.settings import Settings, without_defaults

PHASES = ("autoencoder", "structure", "flow", "matching", "columns")
# Those that depend on the networks of the autoencoder.
NETWORKS = {*PHASES} - {"columns"}
FLOWS = {"flow", "matching"}


@pytest.fixture(scope="module")
def changed(recipe):
    """``changed(other)``: the phases that start anew under another recipe."""
    before = checkpoint_names(recipe)
    assert tuple(before) == PHASES

    def compare(other):
        return {phase for phase, checkpoint_name in checkpoint_names(other).items()
                if checkpoint_name != before[phase]}

    return compare


CHANGES = [
    (lambda c: None, set()),
    # A default that is spelled out.
    (lambda c: c["fit"]["flow"].update(column_jitter=0.03, warm_up=200), set()),
    (lambda c: c["model"]["flow"].update(bins=8, bound=5.0), set()),
    (lambda c: c["model"]["autoencoder"].update(half_width=4.0), set()),
    (lambda c: c["data"].update(enlargement=1.0), set()),
    (lambda c: c["model"]["autoencoder"].update(half_width=5.0), NETWORKS),
    (lambda c: c["fit"]["flow"].update(steps=13), FLOWS),
    (lambda c: c["fit"]["flow"].update(optimizer="adafactor"), FLOWS),
    (lambda c: c["fit"]["flow"].update(deepest_share=0.5), FLOWS),
    (lambda c: c["fit"]["flow"].update(vector_jitter=0.5), FLOWS),
    (lambda c: c["fit"]["matching"].update(steps=13), {"matching"}),
    (lambda c: c["fit"]["columns"].update(steps=13), {"columns"}),
    (lambda c: c["model"]["flow"].update(hidden=9), FLOWS),
    (lambda c: c["model"].update(flow=dict(kind="affine_coupling")), FLOWS),
    (lambda c: c["model"]["detail_flow"].update(hidden=9), FLOWS),
    (lambda c: c["model"].update(refinement=3), set()),
    (lambda c: c["fit"]["autoencoder"].update(steps=13), NETWORKS),
    (lambda c: c["fit"]["autoencoder"].update(free_bits=2.0), NETWORKS),
    (lambda c: c["fit"]["autoencoder"].update(likelihood="pixel"), NETWORKS),
    (lambda c: c["fit"]["structure"].update(steps=13), {"structure", *FLOWS}),
    (lambda c: c["fit"]["structure"].update(model_error=0.02), {"structure", *FLOWS}),
    (lambda c: c.update(seed=4), {*PHASES}),
    (lambda c: c["data"].update(examples=41), {*PHASES}),
    (lambda c: c["stamp"].update(psf_size=19), {*PHASES}),
    (lambda c: c["bands"][0].update(zero_point=26.0), {*PHASES}),
    (lambda c: c["columns"][1].update(scale="log"), {*PHASES}),
    # How, where and under what name does not count, nor does what is written for people.
    (lambda c: c.update(precision="mixed_bfloat16", distribute="mirrored", name="other",
                        run="shared", version="1", summary="other words", modules=["json"]), set()),
    (lambda c: c["columns"][1].update(meaning="other words", valid_range=[19.0, 25.0]), set()),
    (lambda c: c["bands"][0].update(effective_wavelength=800.0, area=45000.0, exposure_time=2000.0),
     set()),
    (lambda c: c["training_data"].update(description="other words"), set())]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_what_a_phase_depends_on(number, make_recipe, changed):
    change, expected = CHANGES[number]
    assert changed(make_recipe(change)) == expected


def test_optional_phases_that_are_left_out(make_recipe, changed):
    """What builds on them then builds on what they would have built on."""
    assert changed(make_recipe(lambda c: c["fit"].pop("matching"))) == set()
    assert changed(make_recipe(lambda c: c["fit"].pop("structure"))) == FLOWS


def test_recipes_that_share_what_they_have_in_common(make_recipe, recipe):
    other = make_recipe(lambda c: c["model"]["flow"].update(hidden=9))
    mine, theirs = checkpoint_names(recipe), checkpoint_names(other)
    assert [phase for phase in PHASES if mine[phase] == theirs[phase]] == [
        "autoencoder", "structure", "columns"]


def test_names_of_checkpoints(recipe):
    for phase, checkpoint_name in checkpoint_names(recipe).items():
        name, _, digest = checkpoint_name.rpartition("-")
        assert name == phase and len(digest) == 12 and int(digest, 16) >= 0


@pytest.mark.parametrize("owner, phases", [
    (AutoencoderPhase, NETWORKS), (LatentFlow, FLOWS), (Transplant, {*PHASES}),
    (GalaxyFrameAutoencoder, NETWORKS), (SplineCouplingFlow, FLOWS)])
def test_a_new_setting_with_a_default(owner, phases, make_recipe, recipe, monkeypatch):
    """It orphans no checkpoints of before; another value of it is another fit."""
    before = checkpoint_names(recipe)
    extended = pydantic.create_model(
        "Extended", __base__=owner.Settings, invented=(float, 0.5))
    monkeypatch.setattr(owner, "Settings", extended)
    assert checkpoint_names(recipe) == before

    places = {AutoencoderPhase: ("fit", "autoencoder"), LatentFlow: ("fit", "flow"),
              Transplant: ("data",), GalaxyFrameAutoencoder: ("model", "autoencoder"),
              SplineCouplingFlow: ("model", "flow")}

    def spell_out(value):
        def change(content):
            for key in places[owner]:
                content = content[key]
            content["invented"] = value
        return change

    assert checkpoint_names(make_recipe(spell_out(0.5))) == before
    after = checkpoint_names(make_recipe(spell_out(0.7)))
    assert {phase for phase in PHASES if after[phase] != before[phase]} == phases


@pytest.mark.parametrize("owner, expected", [
    (GalaxyFrameAutoencoder, NETWORKS), (SplineCouplingFlow, FLOWS), (MapCouplingFlow, FLOWS),
    (AutoencoderPhase, NETWORKS), (LatentFlow, FLOWS), (FlowVAE, NETWORKS),
    (Transplant, {*PHASES})])
def test_another_format_starts_anew(owner, expected, monkeypatch, recipe):
    before = checkpoint_names(recipe)
    monkeypatch.setattr(owner, "format", 99)
    after = checkpoint_names(recipe)
    assert {phase for phase in PHASES if after[phase] != before[phase]} == expected


@pytest.mark.parametrize("key, flow", [
    ("flow", SplineCouplingFlow), ("detail_flow", MapCouplingFlow)])
def test_another_format_of_a_default(key, flow, monkeypatch):
    """A network that the recipe leaves to its default has a format as well."""
    class Everything(Whole):
        uses = ("model",)

    before = of_phases(Everything)["whole"]
    monkeypatch.setattr(flow, "format", 99)
    assert of_phases(Everything)["whole"] != before
    # The recipe may spell the default out, and other settings are another fit.
    assert of_phases(Everything, **{key: dict(kind=flow.kind)}) == of_phases(Everything)
    assert of_phases(Everything, **{key: dict(kind=flow.kind, hidden=9)}) != of_phases(Everything)


def test_a_default_within_a_default(monkeypatch):
    class Group(Settings):
        flow: Choice[Flow] = Flow.by_default("affine_coupling", layers=3)

    class Model(Settings):
        group: Group = Group()
        listed: tuple[Group, ...] = (Group(),)
        named: dict[str, Group] = dict(a=Group())

    assert without_defaults(Model()) == {}
    monkeypatch.setattr(AffineCouplingFlow, "format", 2)
    group = dict(flow=dict(kind="affine_coupling", format=2, layers=3))
    assert without_defaults(Model()) == dict(group=group, listed=[group], named=dict(a=group))
    # Settings that are those of the kind, and not this default.
    other = Model(group=dict(flow=dict(kind="affine_coupling")))
    assert without_defaults(other)["group"] == dict(flow=dict(kind="affine_coupling", format=2))


def test_columns_are_shared_by_families(make_recipe):
    """The phase depends on the data and its own settings only."""
    of_mpcc, of_flow_vae = (checkpoint_names(recipe) for recipe in (
        make_recipe(family="mpcc"), make_recipe()))
    assert of_mpcc["columns"] == of_flow_vae["columns"]


class Whole(Phase):
    """A phase that states nothing."""

    name = "whole"


def of_phases(*phases, **settings):
    model = Choice(FlowVAE, FlowVAE.Settings(autoencoder=dict(kind="galaxy_frame"), **settings))
    fit = {phase.name: PhaseSettings(steps=3) for phase in phases}
    return phase_checkpoint_names(phases, fit, model, "data")


def test_by_default_a_phase_depends_on_everything(monkeypatch):
    class First(Whole):
        name = "first"

    before = of_phases(First, Whole)["whole"]
    monkeypatch.setattr(First, "format", 2)
    assert of_phases(First, Whole)["whole"] != before


def test_a_phase_that_becomes_the_first():
    """It then holds what the family has learnt from the data set, too."""
    class First(Whole):
        name = "first"

    class Later(Whole):
        name, uses, builds_on = "later", (), ()

    assert of_phases(Later)["later"] != of_phases(First, Later)["later"]


def test_settings_that_a_family_has_not():
    class Wrong(Whole):
        uses = ("model.colour",)

    with pytest.raises(ValueError,
                       match="Wrong contains 'model.colour', but .* 'flow_vae' has no"):
        of_phases(Wrong)


def test_every_phase_uses_what_its_family_has(make_recipe):
    for family in families.ModelFamily.kinds():
        if families.ModelFamily.named(family).__module__.startswith("galsim_deep_training"):
            assert checkpoint_names(make_recipe(family=family))


def test_another_layout_of_the_files_starts_anew(recipe, monkeypatch):
    before = checkpoint_names(recipe)
    monkeypatch.setattr(identity, "LAYOUT", 99)
    assert not set(checkpoint_names(recipe).values()) & set(before.values())
