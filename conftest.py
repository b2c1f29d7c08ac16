"""Names that the examples in docstrings use without importing them.

``galsim``, ``galsim_deep`` and ``np`` are in all examples.  Those of reading and comparing galaxies
also use ``catalogue_folder``, ``collection_file``, ``data_file`` and ``comparison``, which are made
here once.
"""

import galsim
import numpy as np
import pytest

import galsim_deep

MADE_HERE = ("catalogue_folder", "collection_file", "data_file", "comparison")
COUNT = 20
"""Galaxies of the data set and of the comparison."""


@pytest.fixture(autouse=True)
def names_in_examples(request, doctest_namespace):
    doctest_namespace.update(galsim=galsim, galsim_deep=galsim_deep, np=np)
    if isinstance(request.node, pytest.DoctestItem):
        text = "".join(example.source for example in request.node.dtest.examples)
        for name in MADE_HERE:
            if name in text:
                doctest_namespace[name] = request.getfixturevalue(name)


@pytest.fixture(scope="session")
def catalogue_folder(tmp_path_factory):
    """A folder that `galsim.RealGalaxyCatalog` reads, with one galaxy on a stamp of 31 pixels."""
    from astropy.table import Table

    folder = tmp_path_factory.mktemp("catalogue")
    galaxy = galsim.Exponential(half_light_radius=0.2, flux=100.0)
    psf = galsim.Gaussian(fwhm=0.12)
    stamp = galsim.Convolve(galaxy, psf).drawImage(nx=31, ny=31, scale=0.05)
    galsim.fits.writeMulti([stamp], str(folder / "stamps.fits"))
    galsim.fits.writeMulti([psf.drawImage(nx=25, ny=25, scale=0.05)], str(folder / "psfs.fits"))
    Table(dict(
        IDENT=[7], MAG=[21.5], BAND=["F814W"], WEIGHT=[1.0], GAL_FILENAME=["stamps.fits"],
        PSF_FILENAME=["psfs.fits"], GAL_HDU=[0], PSF_HDU=[0], PIXEL_SCALE=[0.05], NOISE_MEAN=[0.0],
        NOISE_VARIANCE=[4.0])).write(folder / "real_galaxy_catalog.fits")
    Table(dict(IDENT=[7], hlr=[0.2], zphot=[0.5])).write(
        folder / "real_galaxy_catalog_fits.fits")
    return str(folder)


@pytest.fixture(scope="session")
def collection_file(tmp_path_factory):
    """A collection of two galaxies of magnitude 21, with the conditions of one survey."""
    import h5py

    from galsim_deep.observations.collection import COLUMNS

    path = tmp_path_factory.mktemp("collection") / "galaxies.h5"
    names = [b"first", b"second"]
    kinds = {str: "S8", int: "i8", bool: "?", float: "f8"}
    table = np.zeros(2, [(name, kinds[column.kind]) for name, column in COLUMNS.items()])
    table["name"], table["psf"], table["magnitude"] = names, b"first", 21.0
    psf = np.full((9, 9), 1 / 81, np.float32)
    correlation = np.ones((1, 1), np.float32)
    with h5py.File(path, "w") as file:
        file.attrs["format_version"] = 1
        file["table"] = table
        for part in ("images", "usable", "psfs", "noise_correlations", "surveys", "catalogues"):
            file.create_group(part)
        for name in ("first", "second"):
            file["images"][name] = np.zeros((24, 24), np.float32)
        file["psfs/first"] = psf
        file["psfs/first"].attrs["pixel_scale"] = 0.03
        conditions = file.create_group("conditions/acs_f814w")
        conditions.attrs.update(zero_point=25.94, pixel_scale=0.03)
        conditions["psf"], conditions["noise_variance"] = [psf, psf], [4e-6, 5e-6]
        conditions["noise_correlation"] = correlation
    return str(path)


@pytest.fixture(scope="session")
def data_file(tmp_path_factory):
    """A data set of twenty exponential galaxies of magnitude 22, two stamps of each source."""
    import h5py

    psf = galsim.Gaussian(sigma=0.05)
    galaxy = galsim.Convolve(galsim.Exponential(half_light_radius=0.1, flux=30.0), psf)
    stamp = galaxy.drawImage(nx=32, ny=32, scale=0.03, method="no_pixel").array
    noise = np.random.default_rng(1).normal(0.0, 0.02, (COUNT, 32, 32))
    psf_image = psf.drawImage(nx=17, ny=17, scale=0.03, method="no_pixel", dtype=float).array
    path = tmp_path_factory.mktemp("data") / "data.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(format_version=3, pixel_scale=0.03, seed=1, recipe_sha256="")
        parts = dict(
            stamp=np.float32(stamp + noise), psf=np.float32([psf_image / psf_image.sum()]),
            psf_index=np.zeros(COUNT, int), noise_sigma=np.full(COUNT, 0.02, np.float32),
            noise_correlation=np.ones((1, 1, 1), np.float32), noise_index=np.zeros(COUNT, int),
            source=np.arange(COUNT) // 2, test=np.ones(COUNT, bool),
            pixel_scale=np.full(COUNT, 0.03), noiseless_index=np.zeros(0, int),
            noiseless=np.zeros((0, 32, 32), np.float32))
        columns = dict(hlr=0.2, mag_auto=22.0, zphot=0.5)
        parts.update({f"columns/{name}": np.full(COUNT, value, np.float32)
                      for name, value in columns.items()})
        for name, values in parts.items():
            file[name] = values
    return str(path)


@pytest.fixture(scope="session")
def comparison(data_file):
    """The `Comparison` of a shipped module with the galaxies of the data set.

    To measure the galaxies would take a minute.  Their measurements are therefore made up:
    generated galaxies are larger by a tenth than the real ones and fainter by 0.5 mag.
    """
    from galsim_deep.measure.statistics import FLAGS, STATISTICS
    from galsim_deep.modules.module import load
    from galsim_deep.modules.resolve import resolve
    from galsim_deep.observations.flux_units import FluxUnits
    from galsim_deep.observations.real_galaxies import open_real_galaxies
    from galsim_deep.validation.comparison import Comparison
    from galsim_deep.validation.galaxy import SAMPLES
    from galsim_deep.validation.measurements import Measurements
    from galsim_deep.validation.random_streams import RandomStreams
    from galsim_deep.validation.reconstructor import Reconstructor
    from galsim_deep.validation.settings import Settings

    module = load(resolve("hub:acs_flow_vae"))
    galaxies = open_real_galaxies(data_file, module.card)
    with pytest.raises(galsim.GalSimError) as no_reconstruction:
        Reconstructor(module, galaxies)
    real = {statistic.name: np.linspace(0.2, 0.4, COUNT) for statistic in STATISTICS}
    generated = dict(real, size=1.1 * real["size"], amplitude=real["amplitude"] - 0.2)
    flags = {sample: {flag: np.zeros(COUNT, bool) for flag in FLAGS} for sample in SAMPLES}
    flags["generated"]["truncated"][:3] = True
    numbers = {name: np.zeros(COUNT) for name in (
        "not_finite", "negative", "edge_flux", "ring_flux", "offset_x", "offset_y", "e1", "e2",
        "subpixel_size", "subpixel_flux", "subpixel_g", "sersic_failed_generated",
        "sersic_failed_noiseless")}
    numbers.update({f"response_{name}": np.full(COUNT, 0.75) for name in (*SAMPLES, "profile")})
    numbers.update(
        measured_size=1.1 * galaxies.columns["hlr"],
        measured_magnitude=galaxies.columns["mag_auto"] + 0.5,
        peak_generated=np.ones(COUNT), peak_noiseless=np.full(COUNT, 2.0),
        power_generated=np.ones((COUNT, 4)), power_noiseless=np.full((COUNT, 4), 2.0))
    stamps = np.stack([galaxies.observation(number).stamp for number in range(COUNT)])
    settings = Settings()
    return Comparison(
        module=module, galaxies=galaxies, training=None, settings=settings, units=FluxUnits(),
        streams=RandomStreams(settings.seed), reconstructor=None,
        no_reconstruction=str(no_reconstruction.value),
        measurements=Measurements(
            columns=galaxies.columns, source=galaxies.source,
            values=dict(real=real, generated=generated, parametric=real), flags=flags,
            numbers=numbers,
            stamps=dict.fromkeys((*SAMPLES, "profile"), stamps.astype(np.float32))))
