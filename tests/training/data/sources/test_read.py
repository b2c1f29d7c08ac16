"""Which galaxies of a collection are sources, and with which weight."""

import galsim
import pytest

from galsim_deep_training.data.sources import SourcesSettings, read_sources


@pytest.fixture(scope="module")
def read(survey):
    """``read(**settings)``: the sources of the survey's collection."""

    def sources(**settings):
        return read_sources(SourcesSettings(collection="galaxies.h5", **settings),
                            lambda name: survey / name, "recipe x.yaml")

    return sources


def test_held_out_galaxies_are_never_sources(read):
    sources = read()
    assert [source.name for source in sources] == [
        f"made-{number:02d}" for number in range(12) if number not in (4, 9)]
    assert {source.survey for source in sources} == {"sky", "cut"}


def test_the_stamps_of_a_galaxy_share_its_weight(read):
    weights = {source.name: source.weight for source in read(weights=dict(cut=0.25))}
    assert weights["made-03"] == 1 and weights["made-00"] == weights["made-05"] == 0.5
    assert weights["made-02"] == weights["made-08"] == pytest.approx(1 / 3)
    assert weights["made-01"] == 0.25 and weights["made-11"] == pytest.approx(0.25 / 3)


def test_surveys_and_galaxies_that_are_not_used(read):
    sources = read(weights=dict(cut=0), leave_out=("made-05",))
    assert [source.name for source in sources] == [
        f"made-{number:02d}" for number in (0, 2, 3, 7, 8, 10)]
    # A galaxy is shared between the stamps that are used.
    assert {source.name: source.weight for source in sources}["made-00"] == 1


@pytest.mark.parametrize("settings, message", [
    (dict(weights=dict(ceers=1.0)), "x.yaml names surveys .*galaxies.h5 .*: ceers.*are: cut, sky"),
    (dict(leave_out=("made-04", "first")), "names galaxies .*: first"),
    (dict(weights=dict(sky=0, cut=0)), "no galaxy"),
], ids=str)
def test_settings_that_make_no_sense(read, settings, message):
    with pytest.raises(galsim.GalSimConfigError, match=message):
        read(**settings)


def test_no_collection(survey):
    with pytest.raises(galsim.GalSimError, match="absent.h5"):
        read_sources(SourcesSettings(collection="absent.h5"), lambda name: survey / name, "recipe")
