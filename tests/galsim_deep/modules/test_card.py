"""The card: read without TensorFlow, written whole, refused when damaged."""

import json
import shutil
import subprocess
import sys
from typing import get_args

import galsim
import pydantic
import pytest

import galsim_deep
from galsim_deep.modules.card import (
    CARD_PATH,
    REQUIRED_SIGNATURES,
    Band,
    Card,
    Column,
    GalaxyClass,
    Quantity,
    file_digests,
    read_card,
    write_card,
)
from galsim_deep.modules.resolve import available, resolve
from galsim_deep.runtime.atomic_files import PREFIX

SHIPPED = sorted(name for name, folder in available(offline=True).items() if folder)


@pytest.fixture
def copied(tiny_folder, tmp_path):
    """A copy of a module, to be changed."""
    return shutil.copytree(tiny_folder, tmp_path / "module")


@pytest.fixture
def copied_shapes(shapes_folder, tmp_path):
    """A copy of a module with classes, to be changed."""
    return shutil.copytree(shapes_folder, tmp_path / "shapes")


def card_of(kind="generator", **changes):
    """The fields of a small card of a kind."""
    fields = dict(
        kind=kind, name="toy", version="1", family="none", summary="",
        stamp=dict(sizes=[32], pixel_scale=0.03), bands=[dict(name="r", zero_point=25.0)],
        columns=[column("mag", "magnitude", "mag")],
        signatures=[dict(generator="sample", encoder="embed", density="log_prob")[kind]],
        training_data=dict(description="", citation="", licence=""),
        recipe=dict(name="", sha256=""), code_version="", files={"saved_model.pb": ""})
    if kind == "generator":
        fields["latent"] = dict(size=3)
    return {**fields, **changes}


def column(name, quantity, unit, **changes):
    return dict(name=name, quantity=quantity, unit=unit, meaning="", valid_range=[1, 2], **changes)


# ---- shipped modules ------------------------------------------------------------------------


def test_modules_are_shipped():
    assert "acs_flow_vae" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_of_shipped_modules(name):
    card = read_card(resolve(f"hub:{name}"))
    assert card.name == name
    assert card.format_version == 2 and REQUIRED_SIGNATURES[card.kind] in card.signatures
    assert card.training_data.citation and card.training_data.licence
    assert card.zero_point == card.band().zero_point
    for described in card.columns:
        # Most of the training sample.  A range may end before its largest galaxies, whose light
        # does not fit into the stamp.
        assert described.valid_range[0] <= described.quantiles["0.01"]
        assert described.quantiles["0.75"] <= described.valid_range[1]


@pytest.mark.parametrize("name", ["acs_flow_vae", "acs_mpcc"])
def test_columns_of_the_optical_modules(name):
    """Their sizes are those before the PSF; redshift belongs to no band."""
    card = read_card(resolve(f"hub:{name}"))
    size, magnitude, redshift = map(
        card.column_of, ("half_light_radius", "magnitude", "redshift"))
    assert (size.name, size.unit, size.band, size.as_observed) == (
        "hlr", "arcsec", "F814W", False)
    assert (magnitude.name, magnitude.unit, magnitude.band) == ("mag_auto", "mag", "F814W")
    assert (redshift.name, redshift.unit, redshift.band) == ("zphot", "", None)


def test_card_is_read_without_tensorflow(tiny_folder):
    script = ("import sys; from galsim_deep.modules.card import read_card; read_card(sys.argv[1]); "
              "sys.exit('tensorflow' in sys.modules)")
    subprocess.run([sys.executable, "-c", script, tiny_folder], check=True)


# ---- reading and writing --------------------------------------------------------------------


def test_round_trip(copied):
    card = read_card(copied)
    fields = card.model_dump()
    del fields["files"]
    assert write_card(copied, fields) == card
    assert read_card(copied) == card


def test_unfinished_files_of_other_processes_are_not_listed(copied):
    for folder in (copied, copied / "assets"):
        (folder / f"{PREFIX}abc" / "file").mkdir(parents=True)
        (folder / f"{PREFIX}abc" / "file" / "card.json").write_text("{")
    assert not any(PREFIX in path for path in file_digests(copied))


def test_digests_cover_every_other_file(copied):
    (copied / "more.txt").write_text("hello")
    (copied / "__pycache__").mkdir()
    (copied / "__pycache__" / "left_by_python.pyc").touch()
    digests = file_digests(copied)
    assert CARD_PATH not in digests
    assert not any("__pycache__" in path for path in digests)
    assert "saved_model.pb" in digests and "variables/variables.index" in digests
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert digests["more.txt"] == digest
    assert file_digests(copied, ["more.txt"]) == {"more.txt": digest}


def test_fields_of_later_releases_are_ignored(copied, edit_card):
    assert isinstance(read_card(edit_card(copied, favourite_colour="blue")), Card)


# ---- kinds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, signatures, others", [
    ("generator", ["sample"], [["decode"], ["embed"], ["log_prob"], []]),
    ("generator", ["sample", "decode", "encode", "prior", "log_prob"], []),
    ("encoder", ["embed"], [["sample"], ["encode"], []]),
    ("density", ["log_prob"], [["sample"], ["embed"], []]),
    ("density", ["log_prob", "sample"], []),
])
def test_each_kind_has_its_signature(kind, signatures, others):
    card = Card.model_validate(card_of(kind, signatures=signatures, latent=dict(size=3)))
    assert card.kind == kind and card.signatures == tuple(signatures)
    for wrong in others:
        with pytest.raises(pydantic.ValidationError, match=signatures[0]):
            Card.model_validate(card_of(kind, signatures=wrong))


@pytest.mark.parametrize("kind", ["encoder", "density"])
def test_only_generators_need_columns_and_random_numbers(kind):
    card = Card.model_validate(card_of(kind, columns=[]))
    assert card.latent is None and card.columns == ()
    for changes, word in ((dict(columns=[]), "columns"), (dict(latent=None), "latent")):
        with pytest.raises(pydantic.ValidationError, match=word):
            Card.model_validate(card_of(**changes))


def test_only_generators_make_galaxies():
    card = Card.model_validate(card_of())
    card.check_generator()
    assert card.latent_size == card.latent.size
    for kind, signature in (("encoder", "embed"), ("density", "log_prob")):
        other = Card.model_validate(card_of(kind, latent=dict(size=3)))
        for use in (other.check_generator, lambda card=other: card.latent_size):
            with pytest.raises(galsim.GalSimValueError, match=signature) as caught:
                use()
            assert (caught.value.value, caught.value.allowed_values) == (kind, ["generator"])


def test_a_density_that_draws_needs_random_numbers():
    with pytest.raises(pydantic.ValidationError, match="latent is missing.*sample"):
        Card.model_validate(card_of("density", signatures=["log_prob", "sample"], latent=None))


def test_there_are_no_other_kinds():
    with pytest.raises(pydantic.ValidationError, match="kind"):
        Card.model_validate(dict(card_of(), kind="poem"))


# ---- stamps, bands and columns --------------------------------------------------------------


def test_the_largest_stamp_counts():
    card = Card.model_validate(card_of(stamp=dict(sizes=[64, 128, 32], pixel_scale=0.2)))
    assert (card.stamp_size, card.pixel_scale) == (128, 0.2)
    assert card.stamp.centre == "true_centre"


G, R = dict(name="g", zero_point=26.0), dict(name="r", zero_point=25.0, exposure_time=30.0)


def test_bands():
    card = Card.model_validate(card_of(bands=[G, R]))
    assert [band.name for band in card.bands] == ["g", "r"]
    assert card.band() == card.band("g") == Band(**G)
    assert card.band("r").zero_point == 25.0 and card.band("r").exposure_time == 30.0
    assert card.band("g").exposure_time == 1.0
    assert card.band("g").area is card.band("g").effective_wavelength is None
    with pytest.raises(galsim.GalSimValueError) as caught:
        card.band("i")
    assert (caught.value.value, caught.value.allowed_values) == ("i", ["g", "r"])


def test_the_zero_point_is_that_of_the_only_band():
    assert Card.model_validate(card_of(bands=[R])).zero_point == 25.0
    with pytest.raises(galsim.GalSimValueError, match="g.*r"):
        _ = Card.model_validate(card_of(bands=[G, R])).zero_point


def test_columns_by_what_they_measure():
    card = Card.model_validate(card_of(bands=[G, R], columns=[
        column("z", "redshift", ""), column("m_g", "magnitude", "mag", band="g"),
        column("m_r", "magnitude", "mag", band="r"), column("m", "magnitude", "mag"),
        column("size", "half_light_radius", "arcsec", band="r")]))

    def name(*args):
        described = card.column_of(*args)
        return None if described is None else described.name

    assert name("magnitude") == "m_g"  # the first of several
    assert [name("magnitude", band) for band in ("g", "r", "i")] == ["m_g", "m_r", "m"]
    assert name("redshift") == name("redshift", "g") == "z"  # of no band, so of any
    assert name("half_light_radius", "r") == "size"
    assert name("half_light_radius", "g") is None
    assert name("stellar_mass") is None


@pytest.mark.parametrize("quantity", get_args(Quantity))
def test_quantities(quantity):
    unit = dict(magnitude="mag", half_light_radius="pix", largest_angular_size="arcsec").get(
        quantity, "")
    described = Column.model_validate(column("x", quantity, unit))
    assert described.quantity == quantity
    assert described.as_observed is described.optional is False and described.band is None


@pytest.mark.parametrize("quantity, unit, fits", [
    ("magnitude", "mag", True), ("magnitude", "", False), ("magnitude", "nJy", False),
    ("half_light_radius", "arcsec", True), ("half_light_radius", "pix", True),
    ("half_light_radius", "deg", True), ("half_light_radius", "kpc", False),
    ("half_light_radius", "", False), ("largest_angular_size", "mas", True),
    ("largest_angular_size", "mag", False), ("brightness", "mag", False), (None, "mag", False)])
def test_units_of_quantities(quantity, unit, fits):
    if fits:
        assert Column.model_validate(column("x", quantity, unit)).unit == unit
    else:
        with pytest.raises(pydantic.ValidationError):
            Column.model_validate(column("x", quantity, unit))


def test_usable_range():
    described = Column.model_validate(column("x", "other", ""))
    assert described.usable_range == described.valid_range == (1, 2)
    wider = Column.model_validate(column("x", "other", "", extrapolated_range=[0, 2]))
    assert wider.usable_range == (0, 2) and wider.valid_range == (1, 2)


# ---- damaged cards --------------------------------------------------------------------------


def test_cards_of_version_1_are_refused(copied):
    """Whatever else they hold, with a sentence that says what to do."""
    (copied / CARD_PATH).write_text(json.dumps(dict(
        format_version=1, name="old", stamp_size=32, bands=["F814W"], signatures=["sample"])))
    for read in (read_card, galsim_deep.GenerativeGalaxyModel):
        with pytest.raises(galsim.GalSimValueError) as caught:
            read(copied)
        text = str(caught.value)
        assert caught.value.value == 1 and caught.value.allowed_values == [2]
        assert str(copied) in text
        assert "Get the current version" in text and "galsim-deep-train export" in text


def test_cards_of_later_versions_are_refused(copied, edit_card):
    edit_card(copied, format_version=3)
    with pytest.raises(galsim.GalSimValueError, match="later release of galsim-deep") as caught:
        read_card(copied)
    assert caught.value.value == 3


BAND = dict(name="F814W", zero_point=25.94)
DAMAGE = {
    "text for a version": (dict(format_version="2"), "format_version"),
    "version 0": (dict(format_version=0), "format_version"),
    "truth for a version": (dict(format_version=True), "format_version"),
    "no version": (dict(format_version=None), "format_version"),
    "no kind": (dict(kind=None), "kind"),
    "no columns": (dict(columns=[]), "columns"),
    "other signatures": (dict(signatures=["decode"]), "sample"),
    "no files": (dict(files={}), "saved_model.pb"),
    "column twice": (dict(columns=2 * [column("mag_auto", "magnitude", "mag")]), "same name"),
    "empty range": (dict(columns=[column("x", "other", "") | dict(valid_range=[2, 1])]), "empty"),
    "empty extrapolated range": (
        dict(columns=[column("x", "other", "", extrapolated_range=[3, 3])]), "empty"),
    "narrow extrapolated range": (
        dict(columns=[column("x", "other", "", extrapolated_range=[1, 1.5])]), "extrapolated"),
    "endless range": (dict(columns=[column("x", "other", "") | dict(valid_range=[0, 1e999])]),
                      "valid_range"),
    "unknown unit": (dict(columns=[column("mag_auto", "magnitude", "frobs")]), "frobs"),
    "unknown quantity": (dict(columns=[column("mag_auto", "loudness", "mag")]),
                         "columns.0.quantity"),
    "unknown band": (dict(columns=[column("mag_auto", "magnitude", "mag", band="K")]), "'K'"),
    "column without unit": (dict(columns=[dict(name="mag_auto")]), "columns.0.unit"),
    "column without name": (dict(columns=[column("", "magnitude", "mag")]), "columns.0.name"),
    "stamp of no size": (dict(stamp=dict(sizes=[0], pixel_scale=0.03)), "stamp.sizes.0"),
    "no stamp": (dict(stamp=dict(sizes=[], pixel_scale=0.03)), "stamp.sizes"),
    "text for a scale": (dict(stamp=dict(sizes=[32], pixel_scale="wide")), "pixel_scale"),
    "centre": (dict(stamp=dict(sizes=[32], pixel_scale=0.03, centre="corner")), "centre"),
    "no latent": (dict(latent=None), "latent"),
    "other latent": (dict(latent=dict(name="noise", size=6)), "latent.name"),
    "no bands": (dict(bands=[]), "bands"),
    "names for bands": (dict(bands=["F814W"]), "bands.0"),
    "band twice": (dict(bands=2 * [BAND]), "same name"),
    "no zero point": (dict(bands=[dict(name="F814W")]), "bands.0.zero_point"),
    "no exposure": (dict(bands=[dict(BAND, exposure_time=0)]), "bands.0.exposure_time"),
    "no name": (dict(name=""), "name"),
    "path for a name": (dict(name="../toy"), "name"),
    "link for a name": (dict(name="<script>"), "name"),
    # Sizes that decide how much memory is allocated.
    "huge latent": (dict(latent=dict(size=10**9)), "latent.size"),
    "huge stamp": (dict(stamp=dict(sizes=[10**6], pixel_scale=0.03)), "stamp.sizes.0"),
    "endless stamp": (dict(stamp=dict(sizes=[1e30], pixel_scale=0.03)), "stamp.sizes.0"),
    "huge scale": (dict(stamp=dict(sizes=[32], pixel_scale=1e300)), "pixel_scale"),
    "tiny scale": (dict(stamp=dict(sizes=[32], pixel_scale=1e-300)), "pixel_scale"),
    "infinite scale": (dict(stamp=dict(sizes=[32], pixel_scale=1e999)), "pixel_scale"),
    "many columns": (dict(columns=[column(f"{k}", "other", "") for k in range(50_000)]),
                     "columns.*1000"),
    # Numbers that are not finite, and more of them than any training sample or report has.
    "NaN for a quantile": (
        dict(columns=[column("x", "other", "", quantiles={"0.5": float("nan")})]),
        "columns.0.quantiles.0.5: Input should be a finite number"),
    "infinite quantile": (dict(columns=[column("x", "other", "", quantiles={"1.0": 1e999})]),
                          "columns.0.quantiles.1.0: Input should be a finite number"),
    "level beyond 1": (dict(columns=[column("x", "other", "", quantiles={"1.5": 2})]),
                       "columns.0.quantiles.*'1.5' is not the level of a quantile"),
    "level of no number": (dict(columns=[column("x", "other", "", quantiles={"median": 2})]),
                           "'median' is not the level of a quantile"),
    "level NaN": (dict(columns=[column("x", "other", "", quantiles={"nan": 2})]),
                  "'nan' is not the level of a quantile"),
    "many quantiles": (dict(columns=[column(
        "x", "other", "", quantiles={f"{k / 1e5}": 1 for k in range(100_000)})]),
        "columns.0.quantiles.*1000"),
    "infinite figure": (dict(validation={"real": {"auc": 1e999}}),
                        "validation.real.auc: Input should be a finite number"),
    "NaN for a figure": (dict(validation={"real": {"auc": float("nan")}}), "validation.real.auc"),
    "many figures": (dict(validation={"real": {f"{k}": 1 for k in range(1001)}}),
                     "validation.real.*1000"),
    "many validations": (dict(validation={f"{k}": {} for k in range(1001)}), "validation.*1000"),
    "many bands": (dict(bands=[dict(BAND, name=f"{k}") for k in range(1001)]), "bands"),
    "many signatures": (dict(signatures=1001 * ["sample"]), "signatures"),
    "many files": (dict(files={"saved_model.pb": "", **{f"{k}": "" for k in range(1000)}}),
                   "files"),
    "long card": (dict(summary=2**24 * "x"), "16777216 bytes"),
    # Files outside of the folder.
    "file above": (dict(files={"saved_model.pb": "", "../outside": ""}), "files.*outside"),
    "absolute file": (dict(files={"saved_model.pb": "", "/etc/passwd": ""}), "files.*passwd"),
    "file of Windows": (dict(files={"saved_model.pb": "", "C:\\file": ""}), "files.*file"),
    # What would change a terminal, or cannot be shown.
    "escape sequence": (dict(summary="\x1b[31mred"), r"summary.*x1b\[31mred"),
    "bell in a name": (dict(columns=[column("a\x07", "other", "")]), "columns.0.name"),
    "text backwards": (dict(training_data=dict(description="\u202eevil", citation="", licence="")),
                       "training_data.description"),
    "escape sequence in a key": (dict(validation={"\x1b[31m": {}}), "validation"),
    "half a surrogate pair": (dict(summary="\ud800"), "surrogates not allowed"),
    "half a surrogate pair in a key": (dict(validation={"\udfff": {}}), "surrogates not allowed"),
}


@pytest.mark.parametrize("changes, fact", DAMAGE.values(), ids=DAMAGE)
def test_damaged_cards(copied, edit_card, changes, fact):
    edit_card(copied, **changes)
    for read in (read_card, galsim_deep.GenerativeGalaxyModel):
        with pytest.raises(galsim.GalSimValueError, match=fact) as caught:
            read(copied)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 2000


def test_line_breaks_are_text(copied, edit_card):
    assert read_card(edit_card(copied, summary="Two\nlines: é ± ″")).summary.count("\n") == 1


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "\x00\x01", "5", '"card"', 100_000 * "[", 5000 * '{"a":',
    '{"format_version":' + 900 * "[" + 900 * "]" + "}", "9" * 10_000], ids=lambda text: text[:6])
def test_cards_that_are_no_json_object(copied, text):
    (copied / CARD_PATH).write_text(text)
    with pytest.raises(galsim.GalSimValueError, match="damaged"):
        galsim_deep.GenerativeGalaxyModel(copied)


def test_cards_that_are_no_text(copied):
    (copied / CARD_PATH).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(galsim.GalSimValueError, match="damaged"):
        read_card(copied)


def test_not_a_module(tmp_path):
    with pytest.raises(galsim.GalSimError, match=f"{tmp_path}.*{CARD_PATH}"):
        read_card(tmp_path)
    with pytest.raises(galsim.GalSimError, match=CARD_PATH):
        galsim_deep.GenerativeGalaxyModel(tmp_path)


# ---- classes --------------------------------------------------------------------------------


def test_most_modules_have_no_classes(tiny_folder):
    assert read_card(tiny_folder).classes == ()


def test_classes(shapes_folder):
    classes = read_card(shapes_folder).classes
    assert [galaxy_class.name for galaxy_class in classes] == ["disc", "bulge", "ring"]
    assert [galaxy_class.share for galaxy_class in classes] == [0.5, 0.3, 0.2]
    assert all(isinstance(galaxy_class, GalaxyClass) and galaxy_class.description
               for galaxy_class in classes)


def named(*names, **changes):
    return [dict(name=name, description="", share=1 / len(names)) | changes for name in names]


@pytest.mark.parametrize("changes, fact", [
    (dict(classes=named("")), "classes.0.name"),
    (dict(classes=named("disc", " ring")), "classes.1.name.*' ring'"),
    (dict(classes=named("disc", "2")), "classes.1.name.*'2'"),
    (dict(classes=named("-1")), "'-1'"),
    (dict(classes=named("nan")), "'nan'"),
    (dict(classes=named("disc", "disc")), "same name"),
    (dict(classes=named("disc", "ring", share=0.4)), "0.8"),
    (dict(classes=named("disc", share=-1)), "classes.0.share"),
    (dict(classes=[dict(name="disc", share=1)]), "classes.0.description"),
    (dict(columns=[column("galaxy_class", "other", "")]), "same name"),
    (dict(columns=[column("random_normal", "other", "")]), "same name"),
    (dict(classes=named(*(f"c{k}" for k in range(1001)))), "classes"),
])
def test_damaged_classes(copied_shapes, edit_card, changes, fact):
    edit_card(copied_shapes, **changes)
    with pytest.raises(galsim.GalSimValueError, match=fact):
        read_card(copied_shapes)


def test_a_column_may_have_that_name_where_there_are_no_classes(copied, edit_card):
    edit_card(copied, columns=[column("galaxy_class", "other", "")])
    assert read_card(copied).columns[0].name == "galaxy_class"
