"""A small survey made with GalSim, and recipes that train on it in seconds.

Nothing here needs data from elsewhere; tests that do ask for ``reference_data``, which skips.
"""

import contextlib
import copy
import functools
import os
import shutil
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import galsim
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from astropy.table import Table

from galsim_deep.observations.collection import CollectedGalaxy, Conditions, Survey
from galsim_deep.observations.noise import read_correlation
from galsim_deep_training.data.collection_writer import write_collection

# The little survey: as COSMOS in everything but the number and the size of the stamps.
SCALE, ZERO_POINT, VARIANCE = 0.03, 25.94, 4.2e-6
GALAXIES = 12
# Even and odd stamps, some smaller and some larger than the 32 pixels of the recipes.
STAMP_SIZES = (40, 24, 41, 29, 36, 33, 28, 48, 35, 26, 38, 44)
NO_REDSHIFT = 5  # the galaxy whose redshift is not known
BLENDED, FAILED = 3, 8  # galaxies that quality cuts take out
NOISE_FILE = "acs_I_unrot_sci_20_cf.fits"
# Real galaxies of the collection: two are never sources, and some are stamps of the same galaxy.
SOURCES, SOURCE_SIZE, SOURCE_SCALE = 12, 48, 0.06
HELD_OUT_SOURCES, CUT_SOURCES = (4, 9), (1, 6, 11)
SOURCE_GROUPS = {5: 0, 8: 2, 11: 2}


@pytest.fixture(autouse=True)
def seeded():
    """Weights that nobody else decides are the same, whichever tests came before."""
    keras.utils.set_random_seed(1)


@pytest.fixture
def without_graphs():
    """Functions run eagerly: for a few steps, making graphs would take most of the time."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Even though the `tf.config.experimental_run_functions")
        tf.config.run_functions_eagerly(True)
        yield
        tf.config.run_functions_eagerly(False)


# ---- the survey -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def survey(shared):
    """A folder that `galsim.RealGalaxyCatalog` and `galsim.COSMOSCatalog` read, with a collection
    of real galaxies and a catalogue of a population."""
    with shared("survey") as root:
        folder, begun = root / "survey", root / "begun"
        if not folder.exists():
            shutil.rmtree(begun, ignore_errors=True)
            begun.mkdir()
            _write_survey(begun)
            begun.rename(folder)
    return folder


def _survey_psf(number):
    return galsim.Moffat(beta=3.5, fwhm=0.10 + 0.002 * number).shear(g1=0.03, g2=-0.02)


def _write_survey(folder):
    shutil.copy(Path(galsim.meta_data.share_dir) / NOISE_FILE, folder)
    rng = np.random.default_rng(11)
    magnitudes = rng.uniform(20.5, 23.5, GALAXIES)
    radii = rng.uniform(0.06, 0.16, GALAXIES)
    redshifts = rng.uniform(0.1, 2.0, GALAXIES)
    redshifts[NO_REDSHIFT] = np.nan
    images, psfs = [], []
    for i, size in enumerate(STAMP_SIZES):
        # The PSF stamps are oblong, as those of the real catalogues are.
        psf = _survey_psf(i)
        psfs.append(psf.drawImage(nx=25, ny=33, scale=SCALE, dtype=float))
        galaxy = galsim.Sersic(0.8 + 0.2 * i, half_light_radius=radii[i]).shear(g1=0.2, g2=0.1)
        flux = 10 ** (-0.4 * (magnitudes[i] - ZERO_POINT))
        image = galsim.Convolve(galaxy.withFlux(flux), psf).drawImage(
            nx=size, ny=size, scale=SCALE, dtype=float)
        image.addNoise(galsim.getCOSMOSNoise(
            str(folder / NOISE_FILE), rng=galsim.BaseDeviate(100 + i), cosmos_scale=SCALE,
            variance=VARIANCE))
        images.append(image)
    galsim.fits.writeMulti(images, str(folder / "real_galaxy_images.fits"))
    galsim.fits.writeMulti(psfs, str(folder / "real_galaxy_PSF_images.fits"))

    number = np.arange(GALAXIES)
    Table(dict(
        IDENT=1000 + 7 * number, MAG=magnitudes, BAND=["F814W"] * GALAXIES,
        WEIGHT=np.ones(GALAXIES),
        GAL_FILENAME=["real_galaxy_images.fits"] * GALAXIES,
        PSF_FILENAME=["real_galaxy_PSF_images.fits"] * GALAXIES,
        GAL_HDU=number, PSF_HDU=number, PIXEL_SCALE=np.full(GALAXIES, SCALE),
        NOISE_MEAN=np.zeros(GALAXIES), NOISE_VARIANCE=VARIANCE * (1 + 0.01 * number),
        NOISE_FILENAME=[NOISE_FILE] * GALAXIES,
        stamp_flux=[image.array.sum() for image in images],
    )).write(folder / "real_galaxy_catalog.fits")
    status = np.ones((GALAXIES, 5), np.int32)
    status[FAILED] = 0
    Table(dict(
        IDENT=1000 + 7 * number, flux_radius=radii / SCALE, mag_auto=magnitudes, ZPHOT=redshifts,
        fit_status=status, sersicfit=np.ones((GALAXIES, 8)), hlr=np.full((GALAXIES, 3), 0.2),
        flux=np.ones((GALAXIES, 4)),
    )).write(folder / "real_galaxy_catalog_fits.fits")
    Table(dict(
        IDENT=1000 + 7 * number, dmag=np.zeros(GALAXIES),
        sn_ellip_gauss=np.where(number == BLENDED, 1.0, 100.0),
        min_mask_dist_pixels=np.full(GALAXIES, 20.0),
        average_mask_adjacent_pixel_count=np.zeros(GALAXIES),
        peak_image_pixel_count=np.ones(GALAXIES),
    )).write(folder / "real_galaxy_catalog_selection.fits")
    _write_collection(folder / "galaxies.h5", folder=folder)
    _write_population(folder / "population.csv", rng)


def _write_collection(path, folder, noise=1e-5):
    """Galaxies that are larger than the survey's, on sky or cut at an isophote, and its conditions.

    Parameters:
        path:       The file.
        folder:     The survey that they are transplanted into.
        noise:      Standard deviation of the noise, for a flux of 10 to 21.
    """
    psf = galsim.Gaussian(fwhm=0.14)
    psf_image = psf.drawImage(nx=17, ny=17, scale=SOURCE_SCALE, method="no_pixel", dtype=float)
    galaxies = []
    for number in range(SOURCES):
        rng = np.random.default_rng([5, number])
        radius, q, angle = rng.uniform(0.3, 0.4), rng.uniform(0.5, 0.95), rng.uniform(0, 180)
        disc = galsim.Exponential(half_light_radius=radius).shear(
            q=q, beta=angle * galsim.degrees)
        knot = galsim.Gaussian(sigma=0.1).shift(*rng.uniform(-0.2, 0.2, 2))
        galaxy = (0.9 * disc + 0.1 * knot) * (10 + number)
        image = galsim.Convolve(galaxy, psf).drawImage(
            nx=SOURCE_SIZE, ny=SOURCE_SIZE, scale=SOURCE_SCALE, method="no_pixel",
            dtype=float).array
        is_cut = number in CUT_SOURCES
        image = (np.where(image > 0.01 * image.max(), image, 0.0) if is_cut
                 else image + rng.normal(0, noise, image.shape))
        galaxies.append(CollectedGalaxy(
            image=image, usable=np.ones(image.shape, bool),
            psf=psf_image.array / psf_image.array.sum(), psf_scale=SOURCE_SCALE,
            noise_correlation=None, name=f"made-{number:02d}",
            survey="cut" if is_cut else "sky", band="F814W",
            group=SOURCE_GROUPS.get(number, number), held_out=number in HELD_OUT_SOURCES,
            judge_only=False, pixel_scale=SOURCE_SCALE,
            noise_sigma=0.0 if is_cut else noise, photon_variance=0.0, zero_point=ZERO_POINT,
            cut=is_cut, x=23.5, y=23.5, radius_used=23.0, ellipse_axis_ratio=q, ellipse_angle=angle,
            magnitude=22.0, redshift=np.nan if number == 7 else 0.1 * (1 + number),
            half_light_radius=radius, flux_radius=1.1 * radius, lost_light=0.0,
            sersic_n=0.6 + 0.1 * number, axis_ratio=q, position_angle=angle, signal_to_noise=1e4,
            wavelength=804.0, rest_wavelength=np.nan, ra=np.nan, dec=np.nan,
            original_pixel_scale=SOURCE_SCALE, original_redshift=np.nan, visual_class="",
            p_bar=np.nan, pitch_angle=np.nan, notes="", noise_inside=noise))
    images, variances = [], VARIANCE * (1 + 0.01 * np.arange(GALAXIES))
    for number in range(GALAXIES):
        image = _survey_psf(number).drawImage(nx=25, ny=25, scale=SCALE, dtype=float).array
        images.append(image / image.sum())
    made = Survey("Made here", "none", "none", "public domain", "")
    write_collection(path, galaxies, dict(sky=made, cut=made), dict(acs_f814w=Conditions(
        psf=np.array(images), noise_variance=variances, zero_point=ZERO_POINT, pixel_scale=SCALE,
        noise_correlation=read_correlation(folder / NOISE_FILE))))


def _write_population(path, rng):
    """A catalogue in which fainter galaxies are smaller and farther, and larger ones flatter."""
    magnitude = np.sort(rng.uniform(20.0, 24.0, 80))
    apart = rng.standard_normal(80)
    # Behind the PSF, half-light radii are 3.2 to 5.3 pixels.
    observed = np.exp(1.4 - 0.05 * (magnitude - 24.0) + 0.15 * apart)
    Table(dict(
        mag=magnitude, r=SCALE * np.sqrt(np.maximum(observed**2 - 4.0, 1.0)),
        z=np.exp(-0.1 + 0.2 * (magnitude - 24.0) + 0.4 * rng.standard_normal(80)),
        n=np.exp(rng.uniform(-0.7, 0.7, 80)), q=np.clip(0.7 - 0.15 * apart, 0.2, 1.0),
    )).write(path, format="ascii.csv")


# ---- recipes --------------------------------------------------------------------------------

# A short memory of the average, so that a dozen steps leave a trace in the weights kept, and
# gradients that are often clipped.
def tiny_fit(*phases, **settings):
    return {phase: dict(steps=12, batch_size=8, average=0.5, clip=1.0, **settings.get(phase, {}))
            for phase in phases}


# Every registered family needs an entry: settings with which it fits in seconds.
TINY_FAMILIES = {
    "flow_vae": dict(
        model=dict(
            autoencoder=dict(kind="galaxy_frame", latent_size=4, psf_radius=2.0, cells=8,
                             core_cells=4, channels=[8, 8, 4], maps=[2, 1, 1],
                             encoder_channels=[4, 4, 4], hidden=16, start=4),
            flow=dict(kind="spline_coupling", layers=1, hidden=8),
            detail_flow=dict(kind="map_coupling", layers=1, hidden=8, shared=4), refinement=2),
        fit=tiny_fit("autoencoder", "structure", "flow", "matching", "columns")),
    # The same family with other networks and phases, on stamps that fit each galaxy.
    "flow_vae_polar": dict(
        stamp=dict(sizes=[16, 32, 48]),
        model=dict(
            kind="flow_vae",
            autoencoder=dict(kind="polar_frame", latent_size=4, rows=16, channels=[6, 4, 4, 4],
                             maps=[2, 1, 1, 0], encoder_channels=[4, 4, 4], hidden=16, start=4),
            flow=dict(kind="spline_coupling", layers=1, hidden=8),
            detail_flow=dict(kind="map_coupling", layers=1, hidden=8, shared=4), refinement=2),
        fit=tiny_fit("autoencoder", "flow", "adversarial", "columns")),
    "mpcc": dict(
        model=dict(
            canvas=dict(kind="galaxy_frame", psf_radius=2.0, cells=8, core_cells=4,
                        core_subcells=4, core_view_subcells=4),
            classes=dict(number=3), conditional=False, latent_size=4, offset=0.5,
            generator=dict(start=4, channels=8), discriminator=dict(channels=8, halvings=1),
            encoder=dict(hidden=8), flow=dict(kind="affine_coupling", layers=2, hidden=8)),
        fit=tiny_fit("adversarial", "inference", "class_weights", "flow", "columns",
                     adversarial=dict(
                         discriminator_steps=2, encoder_steps=2, least_diversity=0.0,
                         jitter=dict(shift=0.02, turn=0.1, stretch=0.05)))),
    "simclr": dict(
        model=dict(resnet=dict(blocks=[1, 1], channels=[4, 6]), hidden=8, projection=5),
        fit=tiny_fit("views")),
    "byol": dict(
        model=dict(resnet=dict(blocks=[1, 1], channels=[4, 6]), hidden=8, projection=5),
        fit=tiny_fit("views")),
    "simsiam": dict(
        model=dict(resnet=dict(blocks=[1, 1], channels=[4, 6]), hidden=8, projection=5),
        fit=tiny_fit("views")),
    "affine_flow": dict(model=dict(levels=2, layers=1, hidden=4), fit=tiny_fit("likelihood")),
    "residual_autoencoder": dict(model=dict(channels=[4, 4, 6], blocks=1, latent_size=5),
                                 fit=tiny_fit("reconstruction")),
    "et_vae": dict(
        model=dict(answers=["flux_radius", "mag_auto"], latent_size=4, radii=8, angles=16,
                   pose_channels=[4], channels=[4, 6], hidden=8),
        fit=tiny_fit("autoencoder", "votes", votes=dict(labels=6))),
    "maf": dict(
        model=dict(latent_size=4, flow=dict(kind="masked_autoregressive", layers=2, hidden=8)),
        fit=tiny_fit("density")),
    "vdvae": dict(
        model=dict(encoder_blocks=[1, 1, 1], decoder_blocks=[2, 1, 1], channels=[4, 6, 8],
                   details=[0, 1, 2], vector_size=6),
        fit=tiny_fit("autoencoder", "adversarial", "columns", autoencoder=dict(vector_only=0.4))),
    # Likewise on a polar grid, with stamps that fit each galaxy.
    "mpcc_polar": dict(
        stamp=dict(sizes=[16, 32, 48]),
        model=dict(
            kind="mpcc", canvas=dict(kind="polar_frame", cells=4, subcells=4),
            classes=dict(number=3), latent_size=4, offset=0.5,
            generator=dict(start=2, channels=8, noise_maps=[2, 1]),
            discriminator=dict(kind="patches", channels=8, halvings=1),
            encoder=dict(hidden=8, share_trunk=False)),
        fit=tiny_fit("autoencoder", "adversarial", "inference", "class_weights", "columns",
                     adversarial=dict(discriminator_steps=2, encoder_steps=1, evenness=0.5,
                                      elbo=1.0, latent_weight=0.1, class_weight=0.2,
                                      deepest_share=0.8, least_diversity=0.0))),
}


# Those that are fitted on embeddings, which the data set of the tiny recipe has not.
OF_EMBEDDINGS = {"maf"}


def transplant_settings(folder):
    return dict(
        examples=40, test_examples=12, test_sources=0.3,
        sources=dict(collection=str(folder / "galaxies.h5")), conditions="acs_f814w",
        test_psfs=0.25,
        population=dict(
            magnitudes=[20.0, 24.0], counts=dict(slope=0.35), half_light_radius=[0.075, 0.147],
            redshift=[0.03, 5.0], catalogs=[dict(
                file_name=str(folder / "population.csv"), magnitude="mag", half_light_radius="r",
                redshift="z", sersic_n="n", axis_ratio="q")]))


def real_galaxies_settings(folder):
    return dict(catalog=str(folder / "real_galaxy_catalog.fits"), columns=dict(zphot="ZPHOT"),
                test_fraction=0.25)


def tiny_recipe(folder, builder="transplant", family="flow_vae"):
    """The content of a recipe, as a dict."""
    settings = dict(transplant=transplant_settings, real_galaxies=real_galaxies_settings)
    tiny = TINY_FAMILIES[family]
    return copy.deepcopy(dict(
        name="tiny", version="0.0.1", summary="A module for tests.", seed=3,
        stamp=dict(size=32, pixel_scale=SCALE, psf_size=17, **tiny.get("stamp", {})),
        bands=[dict(name="F814W", zero_point=ZERO_POINT)],
        columns=[
            dict(name="flux_radius", unit="pix", meaning="half-light radius",
                 quantity="half_light_radius", band="F814W", as_observed=builder != "transplant",
                 valid_range=[1.0, 8.0], scale="log"),
            dict(name="mag_auto", unit="mag", meaning="total magnitude", quantity="magnitude",
                 band="F814W", valid_range=[19.5, 25.0]),
            dict(name="zphot", unit="", meaning="photometric redshift", quantity="redshift",
                 valid_range=[0.0, 5.0], scale="log", offset=0.1)],
        training_data=dict(description="Galaxies made up.", citation="none", licence="CC0"),
        data=dict(settings[builder](folder), kind=builder),
        model=dict(dict(kind=family), **tiny["model"]), fit=tiny["fit"]))


@pytest.fixture(scope="session")
def survey_collection(survey):
    """``survey_collection(path, noise=...)``: that of the survey, with more noise."""
    return functools.partial(_write_collection, folder=survey)


@pytest.fixture(scope="session")
def recipe_content(survey):
    """``recipe_content(builder=..., family=...)``: the content of a tiny recipe, to be changed."""

    def content(**kwargs):
        return tiny_recipe(survey, **kwargs)

    return content


@pytest.fixture(scope="session")
def write_recipe(tmp_path_factory):
    """``write_recipe(content)``: the path of a recipe file in a folder of its own."""

    def write(content):
        path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture(scope="session")
def make_recipe(recipe_content, write_recipe):
    """``make_recipe(change, builder=..., family=...)``: a `Recipe`, its content changed."""
    from galsim_deep_training.recipe import read_recipe

    def make(change=None, **kwargs):
        content = recipe_content(**kwargs)
        if change is not None:
            change(content)
        return read_recipe(write_recipe(content))

    return make


# ---- what takes long, made once -------------------------------------------------------------


@pytest.fixture(scope="session")
def recipe(make_recipe):
    """The tiny recipe: a flow_vae on transplanted galaxies."""
    return make_recipe()


@pytest.fixture(scope="session")
def data_file(recipe, shared):
    """The data set of ``recipe``, made once in a test run.  It is not to be changed."""
    from galsim_deep_training.data.build import build

    with shared("data") as folder:
        path = folder / "data.h5"
        if not path.exists():
            build(recipe, path, processes=2, progress=False)
    return path


@pytest.fixture
def dataset(data_file):
    from galsim_deep_training.data.dataset import Dataset

    return Dataset(data_file)


@pytest.fixture(scope="session")
def new_run(data_file, tmp_path_factory):
    """``new_run()``: a working folder with the data set of ``recipe`` and nothing else."""

    def make():
        run = tmp_path_factory.mktemp("run")
        shutil.copy(data_file, run / "data.h5")
        return run

    return make


@pytest.fixture(scope="session")
def add_embeddings():
    """``add_embeddings(path, recipe)``: give a data set the embeddings that the recipe needs."""

    def add(path, recipe):
        if recipe.model.kind in OF_EMBEDDINGS:
            with h5py.File(path, "r+") as file:
                file["embedding"] = np.random.default_rng(4).standard_normal(
                    (len(file["stamp"]), recipe.model.latent_size)).astype(np.float32)

    return add


@pytest.fixture(scope="session")
def fit_once(data_file, shared):
    """``fit_once(name, recipe)``: (family, folder) of a fit on the data set of the tiny recipe.

    The fit is made once in a test run; other processes restore it.  Recipes with the same settings
    of networks and phases may share a name.
    """
    from galsim_deep_training.fit import fit

    def make(name, recipe):
        with shared(name) as run:
            if not (run / "data.h5").exists():
                (run / "data.h5").symlink_to(data_file)
            return fit(recipe, run, progress=False), run

    return make


@pytest.fixture(scope="session")
def command(recipe, shared):
    """The three commands on ``recipe``, one after the other: an object with ``run(name)``.

    Each command runs once in a test run, whoever asks first; ``folder`` is the working folder and
    ``module`` the folder of the module.  Neither is to be changed.
    """
    return _Command(recipe, shared)


class _Command:
    def __init__(self, recipe, shared):
        self.recipe, self._shared = recipe, shared
        with shared("command") as root:
            self.folder, self.module = root / "run", root / "hub" / recipe.name

    def run(self, name):
        """The exit status of ``galsim-deep-train NAME``, after that of those before it."""
        from galsim_deep_training.cli import main

        names = ["data", "fit", "export"]
        with self._shared("command") as root:
            for step in names[:names.index(name) + 1]:
                status = root / step
                if not status.exists():
                    extra = dict(data=["--processes", "2"], fit=[],
                                 export=["--output", str(self.module.parent)])[step]
                    status.write_text(str(main([
                        step, str(self.recipe.path), "--run", str(self.folder), "--quiet",
                        *extra])))
            return int((root / name).read_text())


@pytest.fixture(scope="session")
def fitted(command):
    """The working folder of ``recipe`` after data and fit."""
    assert command.run("fit") == 0
    return command.folder


@pytest.fixture(scope="session")
def module_folder(command):
    """The folder of the module that ``recipe`` makes."""
    assert command.run("export") == 0
    return command.module


@pytest.fixture(scope="session")
def family(fitted, recipe):
    """The fitted family of ``recipe``, eager."""
    from galsim_deep_training.fit import restore

    return restore(recipe, fitted)


@pytest.fixture(scope="session")
def sample_alone():
    """``with sample_alone():`` families offer nothing else: ``encode`` takes longest to trace."""
    from galsim_deep_training.families.flow_vae.family import FlowVAE

    signatures = FlowVAE.signatures

    @contextlib.contextmanager
    def offered():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FlowVAE, "signatures",
                          lambda family: dict(sample=signatures(family)["sample"]))
            yield

    return offered


@pytest.fixture(scope="session")
def awaken():
    """``awaken(network, seed)``: move every weight a little, for those that start at zero."""

    def move(network, seed=0, size=0.1):
        rng = np.random.default_rng(seed)
        for variable in network.trainable_variables:
            variable.assign_add(size * rng.standard_normal(variable.shape).astype(np.float32))

    return move
