"""GalSim config: fields, seeds, and processes; multi-process runs happen in fresh processes."""

import json
import subprocess
import sys
import textwrap

import galsim
import numpy as np
import pytest
import yaml
from astropy.table import Table

import galsim_deep

COLUMNS = dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5)


def config(gal=None, count=4, **top):
    return dict(
        modules=["galsim_deep"],
        input=dict(generative_model=dict(file_name="hub:acs_flow_vae")),
        gal=dict(type="GenerativeModelGalaxy", **(COLUMNS | (gal or {}))),
        psf=dict(type="Gaussian", sigma=0.06),
        image=dict(type="Tiled", nx_tiles=count, ny_tiles=1, stamp_size=48, pixel_scale=0.03,
                   random_seed=1234),
        **top)


def run_galsim(folder, text, *arguments):
    """Run the command ``galsim`` on a YAML file, in a process of its own."""
    path = folder / "config.yaml"
    path.write_text(textwrap.dedent(text) if isinstance(text, str) else yaml.safe_dump(text))
    done = subprocess.run([sys.executable, "-m", "galsim", str(path), *arguments], cwd=folder,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def expected_stamp(galaxy):
    return galsim.Convolve(galaxy, galsim.Gaussian(sigma=0.06)).drawImage(
        nx=48, ny=48, scale=0.03).array


def test_id_gives_the_galaxy_that_seeds_gives(model):
    image = galsim.config.BuildImage(config(dict(id=dict(type="Sequence", first=40))))
    galaxies = model.sample({name: np.full(4, value) for name, value in COLUMNS.items()},
                            seeds=range(40, 44))
    for i, galaxy in enumerate(galaxies):
        expected = expected_stamp(galaxy)
        np.testing.assert_allclose(image.array[:, 48 * i:48 * (i + 1)], expected,
                                   atol=1e-6 * expected.max())


def test_rng_gives_the_galaxy_that_rng_gives(model):
    base = config(count=1)
    base.update(index_key="obj_num", obj_num=0, rng=galsim.BaseDeviate(77))
    galsim.config.ProcessInput(base)
    galaxy, _ = galsim.config.BuildGSObject(base, "gal")
    assert galaxy == model.sample(COLUMNS, rng=galsim.BaseDeviate(77))[0]


def test_columns_may_vary_and_size_is_imposed():
    base = config(dict(half_light_radius=dict(type="List", items=[0.1, 0.2]), id=5), count=2)
    narrow, wide = np.split(galsim.config.BuildImage(base).array, 2, axis=1)
    assert narrow.max() > 1.5 * wide.max()


TRANSFORMATIONS = {
    "dilate": dict(dilate=1.5), "ellip": dict(ellip=dict(type="G1G2", g1=0.3, g2=0.0)),
    "rotate": dict(rotate=dict(type="Degrees", theta=40)), "magnify": dict(magnify=1.3),
    "shear": dict(shear=dict(type="G1G2", g1=0.1, g2=0.2)), "flux": dict(flux=50.0),
    "scale_flux": dict(scale_flux=2.0), "shift": dict(shift=dict(type="XY", x=0.1, y=0.0)),
    "lens": dict(lens=dict(shear=dict(type="G1G2", g1=0.1, g2=0.0), mu=1.1)),
    "sed": dict(sed=dict(file_name="vega.txt", wave_type="nm", flux_type="fphotons",
                         norm_flux_density=1.0, norm_wavelength=800)),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_transformations(name):
    base = config(dict(TRANSFORMATIONS[name], id=7), count=1)
    if name == "sed":
        base["image"]["bandpass"] = dict(file_name="LSST_i.dat", wave_type="nm")
    changed = galsim.config.BuildImage(base)
    plain = galsim.config.BuildImage(config(dict(id=7), count=1))
    assert np.isfinite(changed.array).all()
    assert np.max(np.abs(changed.array - plain.array)) > 1e-3 * plain.array.max()


def test_several_models():
    base = config(dict(num=1))
    base["input"]["generative_model"] = [dict(file_name="hub:acs_flow_vae"),
                                         dict(file_name="hub:acs_flow_vae")]
    assert galsim.config.BuildImage(base) == galsim.config.BuildImage(config())


@pytest.mark.parametrize("interpolant", [None, "nearest"])
def test_photon_shooting(interpolant):
    gal = dict(flux=20_000.0, id=7, flux_radius=4.0)
    if interpolant:
        gal.update(x_interpolant=interpolant)
    base = config(gal, count=1, stamp=dict(draw_method="phot"))
    assert galsim.config.BuildImage(base).array.sum() == pytest.approx(20_000.0, rel=0.08)


def test_options_of_sample():
    base = config(dict(id=3, x_interpolant="linear", k_interpolant="quintic", pad_factor=2.0))
    base.update(index_key="obj_num", obj_num=0, rng=galsim.BaseDeviate(1))
    galsim.config.ProcessInput(base)
    galaxy, _ = galsim.config.BuildGSObject(base, "gal")
    assert isinstance(galaxy.x_interpolant, galsim.Linear)
    with pytest.raises(galsim.GalSimRangeError, match="mag_auto"):
        galsim.config.BuildImage(config(dict(mag_auto=10.0, strict=True)))


def test_not_safe_to_reuse():
    base = config(dict(id=3))
    base.update(index_key="obj_num", obj_num=0, rng=galsim.BaseDeviate(1))
    galsim.config.ProcessInput(base)
    _, safe = galsim.config.BuildGSObject(base, "gal")
    assert safe is False


@pytest.mark.parametrize("change, words", [
    (dict(mag_auto=None), ["mag_auto"]),
    (dict(mag_auto="bright"), ["bright"]),
    (dict(mag_auto=float("nan")), ["mag_auto", "nan"]),
    (dict(colour=1.0), ["colour"]),
])
def test_bad_fields(change, words, demanding):
    base = config(change)
    base["input"]["generative_model"]["file_name"] = str(demanding)
    base["gal"] = {key: value for key, value in base["gal"].items() if value is not None}
    with pytest.raises(galsim.GalSimError) as caught:
        galsim.config.BuildImage(base)
    for word in words:
        assert word in str(caught.value)


def test_an_optional_column_may_be_left_out():
    base = config()
    whole = galsim.config.BuildImage(config()).array
    del base["gal"]["zphot"]
    image = galsim.config.BuildImage(base).array
    assert np.isfinite(image).all() and image.sum() == pytest.approx(whole.sum(), rel=0.1)
    assert np.any(image != whole)


@pytest.mark.parametrize("name", ["flux", "shear", "id"])
def test_columns_whose_fields_would_have_two_meanings(name, model, monkeypatch):
    card = model.card.model_copy(update=dict(
        columns=[model.card.columns[0].model_copy(update=dict(name=name))]))
    monkeypatch.setattr(galsim_deep.GenerativeGalaxyModel, "getCard", lambda self: card)
    with pytest.raises(galsim.GalSimConfigError, match=f"column {name}.*sampled in Python"):
        galsim.config.BuildImage(config({name: 1.0}))


def test_no_input():
    base = config()
    del base["input"]
    with pytest.raises(galsim.GalSimConfigError, match="generative_model"):
        galsim.config.BuildImage(base)


def test_unknown_module():
    base = config()
    base["input"]["generative_model"]["file_name"] = "hub:acs_flow_vea"
    with pytest.raises(galsim.GalSimError, match="acs_flow_vae"):
        galsim.config.BuildImage(base)


OLD_YAML = """
    # Written for GalSim-Hub; the names of the package and of the model are changed.
    modules:
        - galsim_deep

    psf :
        type : Gaussian
        sigma : 0.06  # arcsec

    gal :
        type : GenerativeModelGalaxy
        flux_radius : { type : Random , min : 5, max : 10 }
        mag_auto : { type : Random , min : 24., max : 25. }
        zphot : { type : Random , min : 0.5, max : 1. }

    image :
        type : Tiled
        nx_tiles : 4
        ny_tiles : 4
        stamp_size : 64  # pixels
        pixel_scale : 0.03  # arcsec / pixel
        random_seed : 5
        noise :
           type : COSMOS

    output :
        dir : output_yaml
        file_name : demo14.fits

    input :
        generative_model :
            file_name : 'hub:acs_flow_vae'
"""


def test_yaml_written_for_galsim_hub(tmp_path):
    run_galsim(tmp_path, OLD_YAML)
    image = galsim.fits.read(str(tmp_path / "output_yaml" / "demo14.fits"))
    assert image.array.shape == (256, 256)
    assert np.isfinite(image.array).all()


def two_files(folder):
    base = config(count=6)
    base["image"]["noise"] = dict(type="Gaussian", sigma=0.001)
    name = dict(type="NumberedFile", root="image", num=dict(type="Sequence", last=1), ext=".fits")
    base["output"] = dict(file_name=name, dir=str(folder), nfiles=2)
    return base


def pictures(folder):
    return [path.read_bytes()[2880:] for path in sorted(folder.glob("image*.fits"))]


@pytest.fixture(scope="module")
def by_one_process(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by_one_process")
    galsim.config.Process(two_files(folder))
    return pictures(folder)


@pytest.mark.parametrize("nproc", [2, 4])
@pytest.mark.parametrize("level", ["image", "output"])
def test_nproc_changes_no_bit(by_one_process, tmp_path, level, nproc):
    """One process and several make the same bytes, and several do not hang."""
    base = two_files(tmp_path)
    base[level]["nproc"] = nproc
    run_galsim(tmp_path, base)
    assert len(by_one_process) == 2
    assert by_one_process[0] != by_one_process[1]
    assert pictures(tmp_path) == by_one_process


@pytest.mark.parametrize("nproc", [1, 2])
def test_a_proxy_changes_no_bit(by_one_process, tmp_path, nproc):
    """The workers may have the model to themselves, which is the default, or share one."""
    base = two_files(tmp_path)
    base["image"]["nproc"] = nproc
    script = textwrap.dedent("""
        import json, sys, galsim, galsim_deep
        galsim.config.input.valid_input_types["generative_model"].use_proxy = True
        galsim.config.Process(json.loads(sys.argv[1]))
    """)
    subprocess.run([sys.executable, "-c", script, json.dumps(base)], check=True, timeout=200)
    assert pictures(tmp_path) == by_one_process


def test_tensorflow_is_refused_at_once_in_a_fork(plain):
    """A clear error in the child, where it would hang."""
    script = textwrap.dedent("""
        import multiprocessing, sys, galsim, galsim_deep
        model = galsim_deep.GenerativeGalaxyModel(sys.argv[1])
        row = dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5)
        def work(seed):
            try:
                model.sample(row, seeds=[seed])
            except galsim.GalSimError as err:
                return str(err)
        model.sample(row, seeds=[1])
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(*pool.map(work, [1, 2]), sep="\\n")
    """)
    done = subprocess.run([sys.executable, "-c", script, str(plain)], capture_output=True,
                          text=True, timeout=200)
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 2, done.stderr
    assert all("forked" in line and "spawn" in line for line in lines)


@pytest.mark.parametrize("level", ["image", "output"])
def test_workers_of_a_process_that_has_sampled(tmp_path, by_one_process, level):
    base = two_files(tmp_path)
    base[level]["nproc"] = 2
    script = textwrap.dedent("""
        import json, sys, galsim, galsim_deep
        model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
        model.images(dict(flux_radius=[6.0] * 20, mag_auto=22.0, zphot=0.5), seeds=range(20))
        galsim.config.Process(json.loads(sys.argv[1]))
    """)
    subprocess.run([sys.executable, "-c", script, json.dumps(base)], check=True, timeout=200)
    assert pictures(tmp_path) == by_one_process


def test_workers_that_could_not_sample_are_not_started(plain, tmp_path):
    """GalSim only logs what a worker raises; the user would be left with no file and no error."""
    galsim_deep.GenerativeGalaxyModel(plain).images(COLUMNS, seeds=[1])
    for level in ("image", "output"):
        base = config()
        base["input"]["generative_model"]["file_name"] = str(plain)
        base["output"] = dict(file_name="never.fits", dir=str(tmp_path))
        base[level]["nproc"] = 2
        with pytest.raises(galsim.GalSimConfigError, match="fresh process"):
            galsim.config.Process(base)


def test_registered_by_import():
    assert galsim_deep
    assert "GenerativeModelGalaxy" in galsim.config.gsobject.valid_gsobject_types
    assert "generative_model" in galsim.config.input.valid_input_types


# ---- classes --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_classes(shapes_folder):
    """``with_classes(gal, **top)``: a configuration of the module with classes."""
    def make(gal=None, **top):
        base = config(dict(id=dict(type="Sequence", first=40)) | (gal or {}), **top)
        del base["gal"]["zphot"]
        base["input"]["generative_model"]["file_name"] = str(shapes_folder)
        return base
    return make


def of_classes(shapes, asked):
    """What `with_classes` makes of four galaxies of these classes."""
    galaxies = shapes.sample(dict(flux_radius=[6.0] * 4, mag_auto=22.0, cluster=asked),
                             seeds=range(40, 44))
    return np.hstack([expected_stamp(galaxy) for galaxy in galaxies])


CLASS_FIELDS = {
    "id": (1, [1] * 4),
    "float": (1.0, [1] * 4),
    "text": ("1", [1] * 4),
    "name": ("ring", [2] * 4),
    "any": (-1, [-1] * 4),
    "none": (None, [-1] * 4),
    "empty": ("", [-1] * 4),
    "sequence": (dict(type="Sequence", first=0, last=2), [0, 1, 2, 0]),
    "list of names": (dict(type="List", items=["ring", "disc", "ring", "bulge"]), [2, 0, 2, 1]),
    "list of both": (["ring", 0, 1.0, -1], [2, 0, 1, -1]),
    "evaluated id": ("$obj_num % 2", [0, 1, 0, 1]),
    "evaluated name": ("$['ring', 'disc'][obj_num % 2]", [2, 0, 2, 0]),
    "evaluated constant": ("$1 + 1", [2] * 4),
    "referred to": ("@eval_variables.skind", [2] * 4),
    "named variable": ("$kind", [2] * 4),
    "formatted": (dict(type="FormattedStr", format="%s", items=["bulge"]), [1] * 4),
}


@pytest.mark.parametrize("kind", CLASS_FIELDS)
def test_classes(with_classes, shapes, kind):
    field, ids = CLASS_FIELDS[kind]
    base = with_classes(dict(cluster=field))
    base["eval_variables"] = dict(skind="ring")
    image = galsim.config.BuildImage(base).array
    expected = of_classes(shapes, ids)
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())


@pytest.mark.parametrize("field", [["ring", ""], dict(type="List", items=["", "ring"])])
@pytest.mark.parametrize("more", [{}, dict(id="$obj_num")])
def test_empty_text_in_a_list_of_classes(with_classes, field, more):
    with pytest.raises(galsim.GalSimConfigError, match="empty text; write '-1'"):
        galsim.config.BuildImage(with_classes(dict(cluster=field, **more)))
    field = ["ring", "-1"]
    galsim.config.BuildImage(with_classes(dict(cluster=field, **more)))


@pytest.mark.parametrize("by", [["ring", "disc", "", "bulge"], [2, 0, -1, 1], [2.0, 0.0, -1.0, 1.0],
                                [2.0, 0.0, np.nan, 1.0]], ids=str)
def test_classes_of_a_catalogue(with_classes, shapes, tmp_path, by):
    Table(dict(kind=by)).write(tmp_path / "catalogue.fits")
    base = with_classes(dict(cluster=dict(type="Catalog", col="kind")))
    base["input"]["catalog"] = dict(file_name=str(tmp_path / "catalogue.fits"))
    image = galsim.config.BuildImage(base).array
    expected = of_classes(shapes, [2, 0, -1, 1])
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())


def test_classes_of_an_ascii_catalogue(with_classes, shapes, tmp_path):
    (tmp_path / "catalogue.txt").write_text("1 ring\n2 disc\n3 -1\n4 1\n")
    base = with_classes(dict(cluster=dict(type="Catalog", col=1)))
    base["input"]["catalog"] = dict(file_name=str(tmp_path / "catalogue.txt"))
    image = galsim.config.BuildImage(base).array
    expected = of_classes(shapes, [2, 0, -1, 1])
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())


@pytest.mark.parametrize("field", [
    dict(type="Random", min=0, max=2), dict(type="RandomBinomial", N=2, p=0.5),
    dict(type="List", items=["disc", "ring"], index=dict(type="Random", min=0, max=1))])
def test_random_classes(with_classes, field):
    """They are drawn from the object's own generator, as any field is."""
    images = [galsim.config.BuildImage(with_classes(dict(cluster=field))) for _ in range(2)]
    assert images[0] == images[1]
    assert images[0] != galsim.config.BuildImage(with_classes())


def test_without_the_field_classes_are_drawn(with_classes):
    natural = galsim.config.BuildImage(with_classes())
    assert galsim.config.BuildImage(with_classes(dict(cluster=-1))) == natural


@pytest.mark.parametrize("cluster", [None, "ring"])
def test_classes_leave_the_generator_where_it_was(with_classes, shapes, cluster):
    base = with_classes(dict(cluster=cluster), count=1)
    del base["gal"]["id"]
    base.update(index_key="obj_num", obj_num=0, rng=galsim.BaseDeviate(77))
    galsim.config.ProcessInput(base)
    galaxy, _ = galsim.config.BuildGSObject(base, "gal")
    rng, row = galsim.BaseDeviate(77), dict(flux_radius=6.0, mag_auto=22.0)
    assert galaxy == shapes.sample(row, rng=rng, cluster=cluster)[0]
    assert base["rng"] == rng


@pytest.mark.parametrize("field, word", [
    ("spiral", "spiral"), (3, "3"), (-2, "-2"), (0.5, "0.5"), ("$0.5", "0.5"), (True, "True"),
    (dict(type="List", items=["disc", "spiral"]), "spiral"),
    (dict(type="Sequence", first=2), "3")])
def test_unknown_classes(with_classes, shapes, monkeypatch, field, word):
    sample, ran = type(shapes._module).sample, []
    monkeypatch.setattr(type(shapes._module), "sample",
                        lambda *arguments: ran.append(1) or sample(*arguments))
    with pytest.raises(galsim.GalSimConfigError) as caught:
        galsim.config.BuildImage(with_classes(dict(cluster=field)))
    for text in (word, "disc", "bulge", "ring"):
        assert text in str(caught.value)
    assert len(ran) == isinstance(field, dict)  # the object before


def test_no_class_of_a_module_without_classes():
    for gal in (dict(cluster=0), dict(cluster=-1, id=3)):
        with pytest.raises(galsim.GalSimConfigError, match="no classes"):
            galsim.config.BuildImage(config(gal))


@pytest.mark.parametrize("level, nproc", [("image", 2), ("image", 3), ("output", 2)])
def test_nproc_changes_no_bit_of_classes(with_classes, tmp_path, level, nproc):
    def scene(folder, **options):
        name = dict(type="NumberedFile", root="image", num=dict(type="Sequence", last=1),
                    ext=".fits")
        base = with_classes(dict(cluster=["ring", "disc", -1, "bulge"]))
        base["output"] = dict(file_name=name, dir=str(folder), nfiles=2)
        base[level].update(options)
        return base

    galsim.config.Process(scene(tmp_path / "one"))
    run_galsim(tmp_path, scene(tmp_path / "several", nproc=nproc))
    assert len(pictures(tmp_path / "one")) == 2
    assert pictures(tmp_path / "several") == pictures(tmp_path / "one")


def test_radio_sources_have_what_is_below_the_contour():
    """Their column is no flux to be imposed: YAML and Python give the same."""
    fields = dict(flux_density=40.0, size=90.0, zphot=None, mag_auto=None, flux_radius=None,
                  cluster="bent", id=dict(type="Sequence", first=3))
    base = config(fields, count=2)
    base["gal"] = {name: value for name, value in base["gal"].items() if value is not None}
    base["input"]["generative_model"]["file_name"] = "hub:first_mpcc"
    del base["psf"]
    base["stamp"] = dict(draw_method="no_pixel")
    base["image"].update(stamp_size=96, pixel_scale=1.8)
    image = galsim.config.BuildImage(base).array
    model = galsim_deep.GenerativeGalaxyModel("hub:first_mpcc")
    sources = model.sample(dict(flux_density=[40.0] * 2, size=90.0), seeds=[3, 4], cluster="bent")
    assert min(source.flux for source in sources) > 40.0
    expected = np.hstack([source.drawImage(
        nx=96, ny=96, scale=1.8, method="no_pixel").array for source in sources])
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())
