"""The card: read without TensorFlow, written whole, refused when damaged."""

import json
import shutil
import subprocess
import sys

import galsim
import pytest

import galsim_deep
from galsim_deep import handles
from galsim_deep.card import CARD_PATH, Card, file_digests, read_card, write_card

SHIPPED = sorted(name for name, folder in handles.available(offline=True).items() if folder)


@pytest.fixture(scope="session")
def shipped():
    return handles.resolve("hub:acs_flow_vae")


@pytest.fixture
def copied(shipped, tmp_path):
    """A copy of a module, to be damaged."""
    return shutil.copytree(shipped, tmp_path / "module")


def edit(folder, **changes):
    path = folder / CARD_PATH
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_something_is_shipped():
    assert "acs_flow_vae" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_of_shipped_modules(name):
    card = read_card(handles.resolve(f"hub:{name}"))
    assert card.name == name
    assert card.format_version == 1
    assert "sample" in card.signatures
    assert card.training_data.citation and card.training_data.licence
    for column in card.columns:
        # Most of the training sample.  A range may end before its largest galaxies, whose light
        # does not fit into the stamp.
        assert column.valid_range[0] <= column.quantiles["0.01"]
        assert column.quantiles["0.75"] <= column.valid_range[1]


def test_card_is_read_without_tensorflow(shipped):
    script = ("import sys; from galsim_deep.card import read_card; read_card(sys.argv[1]); "
              "sys.exit('tensorflow' in sys.modules)")
    subprocess.run([sys.executable, "-c", script, shipped], check=True)


def test_round_trip(copied):
    card = read_card(copied)
    fields = card.model_dump()
    del fields["files"]
    assert write_card(copied, fields) == card
    assert read_card(copied) == card


def test_digests_cover_every_other_file(copied):
    (copied / "more.txt").write_text("hello")
    digests = file_digests(copied)
    assert CARD_PATH not in digests
    assert "saved_model.pb" in digests and "variables/variables.index" in digests
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert digests["more.txt"] == digest
    assert file_digests(copied, ["more.txt"]) == {"more.txt": digest}


def test_fields_of_later_releases_are_passed_over(copied):
    edit(copied, favourite_colour="blue")
    assert isinstance(read_card(copied), Card)


@pytest.mark.parametrize("changes, word", [
    (dict(format_version=2), "Upgrade"),
    (dict(format_version="2"), "format_version"),
    (dict(format_version=0), "format_version"),
    (dict(format_version=True), "format_version"),
    (dict(format_version=None), "format_version"),
    (dict(columns=[]), "columns"),
    (dict(signatures=["decode"]), "sample"),
    (dict(files={}), "saved_model.pb"),
    (dict(columns=2 * [dict(name="mag_auto", unit="mag", meaning="", valid_range=[1, 2])]),
     "same name"),
    (dict(columns=[dict(name="mag_auto", unit="mag", meaning="", valid_range=[2, 1])]), "empty"),
    (dict(columns=[dict(name="mag_auto", unit="frobs", meaning="", valid_range=[1, 2])]), "frobs"),
    (dict(stamp_size=0), "stamp_size"),
    (dict(pixel_scale="wide"), "pixel_scale"),
    (dict(columns=[dict(name="mag_auto")]), "columns.0.unit"),
    (dict(latent=None), "latent"),
    (dict(centre="corner"), "centre"),
    (dict(latent=dict(size=10**9)), "latent.size"),
    (dict(stamp_size=10**6), "stamp_size"),
    (dict(pixel_scale=1e300), "pixel_scale"),
    (dict(columns=[dict(name=f"{k}", unit="mag", meaning="", valid_range=[1, 2])
                   for k in range(50_000)]), "columns.*at most 1000"),
    (dict(bands=1001 * ["r"]), "bands"),
    (dict(signatures=1001 * ["sample"]), "signatures"),
    (dict(files={"saved_model.pb": "", **{f"{k}": "" for k in range(1000)}}), "files"),
    (dict(files={"saved_model.pb": "", "../outside": ""}), "files.*no path of a file"),
    (dict(files={"saved_model.pb": "", "/etc/passwd": ""}), "files.*no path of a file"),
    (dict(files={"saved_model.pb": "", "C:\\file": ""}), "files.*no path of a file"),
    (dict(summary=2**24 * "x"), "more than 16777216 bytes"),
])
def test_damaged_cards(copied, changes, word):
    edit(copied, **changes)
    for read in (read_card, galsim_deep.GenerativeGalaxyModel):
        with pytest.raises(galsim.GalSimValueError, match=word):
            read(copied)


def test_most_modules_have_no_classes(copied):
    edit(copied, clusters=None)
    assert read_card(copied).clusters == ()


def test_classes(shapes_folder):
    clusters = read_card(shapes_folder).clusters
    assert [cluster.name for cluster in clusters] == ["disc", "bulge", "ring"]
    assert [cluster.share for cluster in clusters] == [0.5, 0.3, 0.2]
    assert all(cluster.description for cluster in clusters)


def named(*names, **changes):
    return [dict(name=name, description="", share=1 / len(names)) | changes for name in names]


@pytest.mark.parametrize("changes, word", [
    (dict(clusters=named("")), "empty"),
    (dict(clusters=named("disc", " ring")), "blank"),
    (dict(clusters=named("disc", "2")), "reads as a number"),
    (dict(clusters=named("-1")), "reads as a number"),
    (dict(clusters=named("nan")), "reads as a number"),
    (dict(clusters=named("disc", "disc")), "same name"),
    (dict(clusters=named("disc", "ring", share=0.4)), "sum to 0.8"),
    (dict(clusters=named("disc", share=-1)), "clusters.0.share"),
    (dict(clusters=[dict(name="disc", share=1)]), "clusters.0.description"),
    (dict(signatures=["sample"]), "'cluster' is missing"),
    (dict(columns=[dict(name="cluster", unit="", meaning="", valid_range=[1, 2])]), "same name"),
])
def test_damaged_classes(shapes_folder, tmp_path, changes, word):
    folder = shutil.copytree(shapes_folder, tmp_path / "module")
    edit(folder, **changes)
    with pytest.raises(galsim.GalSimValueError, match=word):
        read_card(folder)


def test_a_column_may_be_called_cluster_where_there_are_no_classes(copied):
    column = dict(name="cluster", unit="", meaning="richness", valid_range=[1, 2])
    edit(copied, columns=[column])
    assert read_card(copied).columns[0].name == "cluster"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\x01"])
def test_cards_that_are_no_json_object(copied, text):
    (copied / CARD_PATH).write_text(text)
    with pytest.raises(galsim.GalSimValueError, match="damaged"):
        galsim_deep.GenerativeGalaxyModel(copied)


def test_not_a_module(tmp_path):
    with pytest.raises(galsim.GalSimError, match="not the folder of a module"):
        read_card(tmp_path)
    with pytest.raises(galsim.GalSimError, match="galsim_module.json"):
        galsim_deep.GenerativeGalaxyModel(tmp_path)
