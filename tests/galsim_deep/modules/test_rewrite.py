"""A card is changed as a whole, together with the page of the module, or not at all."""

import shutil
import subprocess
import sys

import galsim
import pydantic
import pytest

from galsim_deep.modules.card import CARD_PATH, file_digests, read_card
from galsim_deep.modules.module import load
from galsim_deep.modules.readme import README_PATH
from galsim_deep.modules.rewrite import rewrite_card
from galsim_deep.runtime.atomic_files import PREFIX


@pytest.fixture
def copied(tiny_folder, tmp_path):
    """A copy of a module, to be changed."""
    return shutil.copytree(tiny_folder, tmp_path / "module")


def test_rewrite(copied):
    """The page is written again as well, with its new checksum on the card."""
    before = read_card(copied)
    card = rewrite_card(copied, summary="Another one.", validation={"real": {"galaxies": 3}})
    assert card == read_card(copied)
    assert (card.summary, card.validation) == ("Another one.", {"real": {"galaxies": 3.0}})
    assert "Another one." in (copied / README_PATH).read_text()
    assert card.files == {**before.files, **file_digests(copied, [README_PATH])}
    with pytest.raises(pydantic.ValidationError):
        rewrite_card(copied, kind="poem")
    assert read_card(copied) == card


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_figures_that_are_not_finite_are_not_written(copied, figure):
    before = (copied / CARD_PATH).read_bytes()
    with pytest.raises(pydantic.ValidationError, match="finite"):
        rewrite_card(copied, validation={"real": {"auc": figure}})
    assert (copied / CARD_PATH).read_bytes() == before


FULL_DISK = """
import resource, signal, sys
from galsim_deep.modules.rewrite import rewrite_card
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    rewrite_card(sys.argv[1], summary=5000 * "long ")
except OSError as err:
    print(err)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits here")
def test_a_full_disk_leaves_the_module_as_it_was(copied):
    """Neither the page nor the card is replaced, and nothing else stays."""
    rewrite_card(copied, summary="Before.")  # the module has a page
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(copied)], capture_output=True,
                          text=True)
    assert "cannot be written" in done.stdout and "Free some space" in done.stdout, done.stderr
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    assert not [path for path in copied.rglob("*") if path.name.startswith(PREFIX)]
    assert load(copied).card.summary == "Before."


def test_a_page_that_cannot_be_written_leaves_the_card_as_it_was(copied, monkeypatch):
    rewrite_card(copied, summary="Before.")
    monkeypatch.setattr("galsim_deep.modules.rewrite.render_readme",
                        lambda card: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(galsim.GalSimError, match="No space left"):
        rewrite_card(copied, summary="After.")
    monkeypatch.undo()
    assert load(copied).card.summary == "Before."


def test_unfinished_files_of_other_processes_are_not_listed(copied):
    (copied / "assets" / f"{PREFIX}abc").mkdir()
    (copied / "assets" / f"{PREFIX}abc" / "card.json").write_text("{")
    assert not any(PREFIX in path for path in rewrite_card(copied).files)
