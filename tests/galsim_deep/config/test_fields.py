"""The fields of a configuration: their names, types and values, and what is refused."""

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.config import RESERVED_FIELDS
from galsim_deep.config.fields import GalaxyFields


@pytest.mark.parametrize("change, words", [
    (dict(mag_auto=None), ["mag_auto"]),
    (dict(mag_auto="bright"), ["bright"]),
    (dict(mag_auto=float("nan")), ["mag_auto", "nan"]),
    (dict(colour=1.0), ["colour"]),
    (dict(id="seven"), ["seven"]),
    (dict(pad_factor="wide"), ["wide"]),
    (dict(half_light_radius=-1.0), ["half_light_radius", "-1"]),
])
def test_bad_fields(change, words, demanding, make_config):
    with pytest.raises(galsim.GalSimError) as caught:
        galsim.config.BuildImage(make_config(change, module=demanding))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["flux", "shear", "id", "galaxy_class"])
def test_columns_whose_fields_would_have_two_meanings(name, tiny):
    assert name in RESERVED_FIELDS
    column = tiny.card.columns[0].model_copy(update=dict(name=name))
    card = tiny.card.model_copy(update=dict(columns=(column,)))
    with pytest.raises(galsim.GalSimConfigError) as caught:
        GalaxyFields({name: 1.0}, card)
    assert name in str(caught.value)


def test_names_that_galsim_uses_are_reserved(tiny):
    """Those that GalSim passes to an object type as fields that it reads itself."""
    ignored = []

    class Fields(GalaxyFields):
        def read(self, base, ignore):
            ignored.extend(ignore)
            return super().read(base, ignore)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("galsim_deep.config.galaxy.GalaxyFields", Fields)
        base = dict(gal=dict(type="GenerativeModelGalaxy", flux_radius=6.0, mag_auto=22.0, id=1),
                    _input_objs=dict(generative_model=[tiny]), input=dict(
                        generative_model=dict(file_name=tiny.file_name)), obj_num=0)
        galsim.config.BuildGSObject(base, "gal")
    assert len(ignored) > 10
    names = {name for name in ignored if not name.startswith(("_", "#"))}
    assert names - RESERVED_FIELDS <= {"redshift"}  # which means the same in both


def test_only_the_fields_that_are_there(tiny):
    fields = GalaxyFields(dict(mag_auto=22, id=3, strict=True, flux=1.0, shift="whatever"),
                          tiny.card)
    assert fields.types == dict(mag_auto=float, id=int, strict=bool)


@pytest.mark.parametrize("row, valid", [
    (dict(flux_radius=6.0, mag_auto=22.0), True), (dict(flux_radius=6.0), False),
    (dict(flux_radius=6.0, mag_auto=30.0), False),
    (dict(flux_radius=6.0, mag_auto=np.nan), False),
    (dict(flux_radius=6.0, mag_auto=22.0, galaxy_class="ring"), True),
    (dict(flux_radius=6.0, mag_auto=22.0, galaxy_class=-1), True),
    (dict(flux_radius=6.0, mag_auto=22.0, galaxy_class="spiral"), False)], ids=str)
def test_values_that_need_no_error_and_no_warning(shapes, row, valid):
    assert GalaxyFields({}, shapes.card).is_valid(row) == valid


# ---- classes --------------------------------------------------------------------------------


@pytest.fixture
def expected_image(shapes):
    """``expected_image(classes)``: the objects of `make_config_with_classes` in these classes."""

    def make(classes):
        galaxies = shapes.sample(
            dict(flux_radius=[6.0] * 4, mag_auto=22.0, galaxy_class=classes), seeds=range(40, 44))
        return np.hstack([galsim.Convolve(galaxy, galsim.Gaussian(sigma=0.06)).drawImage(
            nx=48, ny=48, scale=0.03).array for galaxy in galaxies])

    return make


CLASS_FIELDS = {
    "number": (1, [1] * 4),
    "float": (1.0, [1] * 4),
    "text": ("1", [1] * 4),
    "name": ("ring", [2] * 4),
    "any": (-1, [-1] * 4),
    "empty": ("", [-1] * 4),
    "sequence": (dict(type="Sequence", first=0, last=2), [0, 1, 2, 0]),
    "list of names": (dict(type="List", items=["ring", "disc", "ring", "bulge"]), [2, 0, 2, 1]),
    "list of both": (["ring", 0, 1.0, -1], [2, 0, 1, -1]),
    "evaluated number": ("$obj_num % 2", [0, 1, 0, 1]),
    "evaluated name": ("$['ring', 'disc'][obj_num % 2]", [2, 0, 2, 0]),
    "evaluated constant": ("$1 + 1", [2] * 4),
    "referred to": ("@eval_variables.skind", [2] * 4),
    "named variable": ("$kind", [2] * 4),
    "formatted": (dict(type="FormattedStr", format="%s", items=["bulge"]), [1] * 4),
}


@pytest.mark.parametrize("kind", CLASS_FIELDS)
def test_classes(make_config_with_classes, expected_image, kind):
    field, numbers = CLASS_FIELDS[kind]
    base = make_config_with_classes(dict(galaxy_class=field))
    base["eval_variables"] = dict(skind="ring")
    image = galsim.config.BuildImage(base).array
    expected = expected_image(numbers)
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())


def test_no_class(make_config_with_classes, expected_image):
    """As YAML writes it: ``galaxy_class:`` with nothing behind it."""
    base = make_config_with_classes()
    base["gal"]["galaxy_class"] = None
    image = galsim.config.BuildImage(base).array
    expected = expected_image([-1] * 4)
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())


@pytest.mark.parametrize("field", [["ring", ""], dict(type="List", items=["", "ring"])], ids=str)
@pytest.mark.parametrize("more", [{}, dict(id="$obj_num")], ids=str)
def test_empty_text_in_a_list_of_classes(make_config_with_classes, field, more):
    with pytest.raises(galsim.GalSimConfigError) as caught:
        galsim.config.BuildImage(make_config_with_classes(dict(galaxy_class=field, **more)))
    assert "'-1'" in str(caught.value)
    galsim.config.BuildImage(make_config_with_classes(dict(galaxy_class=["ring", "-1"], **more)))


@pytest.mark.parametrize("by", [["ring", "disc", "", "bulge"], [2, 0, -1, 1], [2.0, 0.0, -1.0, 1.0],
                                [2.0, 0.0, np.nan, 1.0]], ids=str)
def test_classes_of_a_catalogue(make_config_with_classes, expected_image, tmp_path, by):
    Table(dict(kind=by)).write(tmp_path / "catalogue.fits")
    base = make_config_with_classes(dict(galaxy_class=dict(type="Catalog", col="kind")))
    base["input"]["catalog"] = dict(file_name=str(tmp_path / "catalogue.fits"))
    image = galsim.config.BuildImage(base).array
    expected = expected_image([2, 0, -1, 1])
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())


def test_classes_of_a_text_catalogue(make_config_with_classes, expected_image, tmp_path):
    (tmp_path / "catalogue.txt").write_text("1 ring\n2 disc\n3 -1\n4 1\n")
    base = make_config_with_classes(dict(galaxy_class=dict(type="Catalog", col=1)))
    base["input"]["catalog"] = dict(file_name=str(tmp_path / "catalogue.txt"))
    image = galsim.config.BuildImage(base).array
    expected = expected_image([2, 0, -1, 1])
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())


@pytest.mark.parametrize("field", [
    dict(type="Random", min=0, max=2), dict(type="RandomBinomial", N=2, p=0.5),
    dict(type="List", items=["disc", "ring"], index=dict(type="Random", min=0, max=1))], ids=str)
def test_random_classes(make_config_with_classes, field):
    """They are drawn from the object's own generator, as any field is."""
    images = [galsim.config.BuildImage(make_config_with_classes(dict(galaxy_class=field)))
              for _ in range(2)]
    assert images[0] == images[1]
    assert images[0] != galsim.config.BuildImage(make_config_with_classes())


def test_without_the_field_classes_are_drawn(make_config_with_classes):
    natural = galsim.config.BuildImage(make_config_with_classes())
    assert galsim.config.BuildImage(make_config_with_classes(dict(galaxy_class=-1))) == natural


@pytest.mark.parametrize("field, word", [
    ("spiral", "spiral"), (3, "3"), (-2, "-2"), (0.5, "0.5"), ("$0.5", "0.5"), (True, "True"),
    (dict(type="List", items=["disc", "spiral"]), "spiral"),
    (dict(type="Sequence", first=2), "3")], ids=str)
def test_unknown_classes(make_config_with_classes, shapes, monkeypatch, field, word):
    """The error comes before a network runs, and lists the classes."""
    draw, calls = type(shapes._module).draw, []
    monkeypatch.setattr(type(shapes._module), "draw",
                        lambda *arguments: calls.append(1) or draw(*arguments))
    with pytest.raises(galsim.GalSimConfigError) as caught:
        galsim.config.BuildImage(make_config_with_classes(dict(galaxy_class=field)))
    for text in (word, "disc", "bulge", "ring"):
        assert text in str(caught.value)
    assert len(calls) == isinstance(field, dict)  # the object before


@pytest.mark.parametrize("gal", [dict(galaxy_class=0), dict(galaxy_class=-1, id=3)], ids=str)
def test_a_class_for_a_module_without_classes(gal, make_config):
    with pytest.raises(galsim.GalSimConfigError) as caught:
        galsim.config.BuildImage(make_config(gal))
    assert "galaxy_class" in str(caught.value) and "no classes" in str(caught.value)
