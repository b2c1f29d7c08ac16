"""The object type: galaxies, random numbers, transformations and processes."""

import json
import subprocess
import sys
import textwrap

import galsim
import numpy as np
import pytest

import galsim_deep

ROW = dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5)


def built(base, seed=77):
    """The galaxy of a configuration, made as GalSim makes it, from a generator with this seed."""
    base.update(index_key="obj_num", obj_num=0, rng=galsim.BaseDeviate(seed))
    galsim.config.ProcessInput(base)
    return galsim.config.BuildGSObject(base, "gal")


def test_registered_by_import():
    assert "GenerativeModelGalaxy" in galsim.config.gsobject.valid_gsobject_types


def test_each_galaxy_has_its_own_pixel_scale(make_config, scaled_folder, scaled):
    """Also those that are made ahead."""
    radii = [4.0, 6.0, 8.0, 10.0, 12.0, 14.0]
    fields = dict(id=dict(type="Sequence", first=40), zphot=None,
                  flux_radius=dict(type="Sequence", first=4, step=2))
    base = make_config(fields, count=6, module=scaled_folder)
    image = galsim.config.BuildImage(base).array
    galaxies = scaled.sample(dict(flux_radius=radii, mag_auto=22.0), seeds=range(40, 46))
    for number, (galaxy, radius) in enumerate(zip(galaxies, radii, strict=True)):
        assert galaxy.image.scale == pytest.approx(radius / 100, rel=1e-6)
        expected = galsim.Convolve(galaxy, galsim.Gaussian(sigma=0.06)).drawImage(
            nx=48, ny=48, scale=0.03).array
        np.testing.assert_allclose(image[:, 48 * number:48 * (number + 1)], expected,
                                   atol=1e-6 * expected.max())


# ---- which galaxy ---------------------------------------------------------------------------


def test_id_gives_the_galaxy_that_seeds_gives(tiny, make_config):
    image = galsim.config.BuildImage(make_config(dict(id=dict(type="Sequence", first=40))))
    galaxies = tiny.sample({name: np.full(4, value) for name, value in ROW.items()},
                           seeds=range(40, 44))
    for i, galaxy in enumerate(galaxies):
        expected = galsim.Convolve(galaxy, galsim.Gaussian(sigma=0.06)).drawImage(
            nx=48, ny=48, scale=0.03).array
        np.testing.assert_allclose(image.array[:, 48 * i:48 * (i + 1)], expected,
                                   atol=1e-6 * expected.max())


def test_large_ids(tiny, make_config):
    """All 64 bits count."""
    for number in (2**63 + 5, -7, 5 + 2**32):
        galaxy, _ = built(make_config(dict(id=number)))
        assert galaxy == tiny.sample(ROW, seeds=[number])[0]


def test_without_id_rng_gives_the_galaxy_that_rng_gives(tiny, make_config):
    base = make_config()
    galaxy, _ = built(base, 77)
    rng = galsim.BaseDeviate(77)
    assert galaxy == tiny.sample(ROW, rng=rng)[0]
    assert base["rng"] == rng  # which moved on by one key


@pytest.mark.parametrize("galaxy_class", [None, "ring"])
def test_classes_leave_the_generator_where_it_was(make_config_with_classes, shapes, galaxy_class):
    base = make_config_with_classes(dict(id=None, galaxy_class=galaxy_class))
    galaxy, _ = built(base, 77)
    rng = galsim.BaseDeviate(77)
    row = dict(flux_radius=6.0, mag_auto=22.0)
    assert galaxy == shapes.sample(row, rng=rng, galaxy_class=galaxy_class)[0]
    assert base["rng"] == rng


def test_never_used_again_for_the_next_stamp(make_config):
    for gal in ({}, dict(id=3)):
        _, safe = built(make_config(gal))
        assert safe is False
    first, second = np.split(galsim.config.BuildImage(make_config(count=2)).array, 2, axis=1)
    assert np.any(first != second)


def test_an_optional_column_may_be_left_out(make_config):
    whole = galsim.config.BuildImage(make_config()).array
    image = galsim.config.BuildImage(make_config(dict(zphot=None))).array
    assert np.isfinite(image).all() and image.sum() == pytest.approx(whole.sum(), rel=0.1)
    assert np.any(image != whole)


# ---- options and transformations ------------------------------------------------------------


def test_half_light_radius_is_imposed(make_config):
    base = make_config(dict(half_light_radius=dict(type="List", items=[0.1, 0.2]), id=5), count=2)
    narrow, wide = np.split(galsim.config.BuildImage(base).array, 2, axis=1)
    assert narrow.max() > 1.5 * wide.max()


def test_options_of_sample(make_config):
    galaxy, _ = built(make_config(
        dict(id=3, x_interpolant="linear", k_interpolant="quintic", pad_factor=2.0,
             gsparams=dict(folding_threshold=1e-2))))
    assert isinstance(galaxy.x_interpolant, galsim.Linear)
    assert galaxy.gsparams.folding_threshold == 1e-2


def test_strict(make_config):
    with pytest.warns(galsim.GalSimWarning):
        galsim.config.BuildImage(make_config(dict(mag_auto=10.0)))
    with pytest.raises(galsim.GalSimRangeError) as caught:
        galsim.config.BuildImage(make_config(dict(mag_auto=10.0, strict=True)))
    assert "mag_auto" in str(caught.value)


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
def test_transformations(name, make_config):
    base = make_config(dict(TRANSFORMATIONS[name], id=7), count=1)
    if name == "sed":
        base["image"]["bandpass"] = dict(file_name="LSST_i.dat", wave_type="nm")
    changed = galsim.config.BuildImage(base)
    plain = galsim.config.BuildImage(make_config(dict(id=7), count=1))
    assert np.isfinite(changed.array).all()
    assert np.max(np.abs(changed.array - plain.array)) > 1e-3 * plain.array.max()


@pytest.mark.parametrize("interpolant", [None, "nearest"])
def test_photon_shooting(interpolant, make_config):
    gal = dict(flux=20_000.0, id=7, flux_radius=4.0, x_interpolant=interpolant)
    base = make_config(gal, count=1, stamp=dict(draw_method="phot"))
    assert galsim.config.BuildImage(base).array.sum() == pytest.approx(20_000.0, rel=0.08)


def test_radio_sources_have_the_flux_of_the_module(make_config):
    """Their column is the flux above a contour, and is not imposed: YAML and Python agree."""
    columns = dict(flux_density=40.0, size=90.0)
    base = make_config(
        dict.fromkeys(ROW) | columns | dict(galaxy_class="bent", id=dict(type="Sequence", first=3)),
        count=2, module="hub:first_mpcc", stamp=dict(draw_method="no_pixel"))
    del base["psf"]
    base["image"].update(stamp_size=96, pixel_scale=1.8)
    image = galsim.config.BuildImage(base).array
    model = galsim_deep.GenerativeGalaxyModel("hub:first_mpcc")
    sources = model.sample(dict(flux_density=[40.0] * 2, size=90.0), seeds=[3, 4],
                           galaxy_class="bent")
    assert min(source.flux for source in sources) > 40.0
    expected = np.hstack([source.drawImage(
        nx=96, ny=96, scale=1.8, method="no_pixel").array for source in sources])
    np.testing.assert_allclose(image, expected, atol=1e-6 * expected.max())


# ---- YAML files and processes ---------------------------------------------------------------


OLD_YAML = """
    # Written for GalSim-Hub; the names of the package and of the model are changed.
    modules:
        - galsim_deep

    psf :
        type : Gaussian
        sigma : 0.06  # arcsec

    gal :
        type : GenerativeModelGalaxy
        hlr : { type : Random , min : 0.15, max : 0.3 }
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


@pytest.mark.long
def test_yaml_written_for_galsim_hub(tmp_path, run_galsim):
    run_galsim(tmp_path, OLD_YAML)
    image = galsim.fits.read(str(tmp_path / "output_yaml" / "demo14.fits"))
    assert image.array.shape == (256, 256)
    assert np.isfinite(image.array).all()


@pytest.fixture(scope="module")
def by_one_process(tmp_path_factory, make_files, read_files):
    folder = tmp_path_factory.mktemp("by_one_process")
    galsim.config.Process(make_files(folder))
    return read_files(folder)


@pytest.mark.long
@pytest.mark.parametrize("nproc", [2, 4])
@pytest.mark.parametrize("level", ["image", "output"])
def test_nproc_changes_no_bit(by_one_process, tmp_path, level, nproc, make_files, read_files,
                              run_galsim):
    """One process and several make the same bytes, and several do not hang."""
    base = make_files(tmp_path)
    base[level]["nproc"] = nproc
    run_galsim(tmp_path, base)
    assert len(by_one_process) == 2
    assert by_one_process[0] != by_one_process[1]
    assert read_files(tmp_path) == by_one_process


@pytest.mark.long
@pytest.mark.parametrize("level, nproc", [("image", 2), ("image", 3), ("output", 2)])
def test_nproc_changes_no_bit_of_classes(make_config_with_classes, make_files, read_files,
                                         run_galsim, tmp_path, level, nproc):
    def scene(folder, **options):
        base = make_files(folder, make_config_with_classes(
            dict(galaxy_class=["ring", "disc", -1, "bulge"])))
        base[level].update(options)
        return base

    galsim.config.Process(scene(tmp_path / "one"))
    run_galsim(tmp_path, scene(tmp_path / "several", nproc=nproc))
    assert len(read_files(tmp_path / "one")) == 2
    assert read_files(tmp_path / "several") == read_files(tmp_path / "one")


@pytest.mark.long
@pytest.mark.parametrize("nproc", [1, 2])
def test_a_proxy_changes_no_bit(by_one_process, tmp_path, nproc, make_files, read_files):
    """Each worker has the model for itself, which is the default, or all share one."""
    base = make_files(tmp_path)
    base["image"]["nproc"] = nproc
    script = textwrap.dedent("""
        import json, sys, galsim, galsim_deep
        galsim.config.input.valid_input_types["generative_model"].use_proxy = True
        galsim.config.Process(json.loads(sys.argv[1]))
    """)
    subprocess.run([sys.executable, "-c", script, json.dumps(base)], check=True, timeout=300)
    assert read_files(tmp_path) == by_one_process


@pytest.mark.long
@pytest.mark.parametrize("level", ["image", "output"])
def test_workers_of_a_process_that_has_sampled(tmp_path, by_one_process, level, make_files,
                                               read_files):
    base = make_files(tmp_path)
    base[level]["nproc"] = 2
    script = textwrap.dedent("""
        import json, sys, galsim, galsim_deep
        model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
        model.images(dict(hlr=[0.2] * 20, mag_auto=22.0, zphot=0.5), seeds=range(20))
        galsim.config.Process(json.loads(sys.argv[1]))
    """)
    subprocess.run([sys.executable, "-c", script, json.dumps(base)], check=True, timeout=300)
    assert read_files(tmp_path) == by_one_process


@pytest.mark.long
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
                          text=True, timeout=300)
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 2, done.stderr
    assert all("forked" in line and "spawn" in line for line in lines)
