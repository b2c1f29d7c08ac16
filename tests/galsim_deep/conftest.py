"""What the tests of the validation share: how a galaxy is observed, and a small catalogue."""

import galsim
import h5py
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.modules.module import Module
from galsim_deep.observations.observation import Observation
from galsim_deep.observations.real_galaxies import open_real_galaxies
from galsim_deep.validation import Settings, validate


@pytest.fixture(scope="session")
def observe():
    """``observe(size=..., noise_sigma=..., ...)``: an empty stamp behind a round Gaussian PSF."""

    def make(size=96, noise_sigma=1e-4, psf_sigma=1.8, pixel_scale=0.03, **kwargs):
        psf = galsim.Gaussian(sigma=psf_sigma).drawImage(
            nx=33, ny=33, scale=1.0, method="no_pixel", dtype=float).array
        return Observation(
            number=0, stamp=np.zeros((size, size)), psf=psf / psf.sum(), pixel_scale=pixel_scale,
            noise_sigma=noise_sigma, columns={}, **kwargs)

    return make


@pytest.fixture(scope="session")
def write_catalog():
    """``write_catalog(folder, ...)``: three galaxies that `galsim.RealGalaxyCatalog` reads.

    Stamps are 31, 90 and 40 pixels wide, of 0.05 arcsec; the noise is white.  A pixel holds its
    number, so that it can be recognised, and the last galaxy lacks its redshift.
    """

    def write(folder, name="real_galaxy_catalog", fits=True):
        folder.mkdir(parents=True, exist_ok=True)
        stamps = [galsim.Image(np.arange(n * n, dtype=np.float32).reshape(n, n), scale=0.05)
                  for n in (31, 90, 40)]
        psfs = [galsim.Gaussian(fwhm=0.12).drawImage(nx=25, ny=33, scale=0.05, dtype=float)
                for _ in stamps]
        galsim.fits.writeMulti(stamps, str(folder / "images.fits"))
        galsim.fits.writeMulti(psfs, str(folder / "psfs.fits"))
        number = np.arange(3)
        Table(dict(
            IDENT=[7, 3, 5], MAG=[20.0, 21.0, 22.0], BAND=["F814W"] * 3, WEIGHT=np.ones(3),
            GAL_FILENAME=["images.fits"] * 3, PSF_FILENAME=["psfs.fits"] * 3, GAL_HDU=number,
            PSF_HDU=number, PIXEL_SCALE=np.full(3, 0.05), NOISE_MEAN=np.zeros(3),
            NOISE_VARIANCE=[4.0, 9.0, 16.0],
        )).write(folder / f"{name}.fits")
        if fits:
            # In another order than the main table.
            Table(dict(IDENT=[3, 5, 7], flux_radius=[6.0, 12.0, 3.0], ZPHOT=[0.3, np.nan, 0.7],
                       )).write(folder / f"{name}_fits.fits")
        return folder / f"{name}.fits"

    return write


@pytest.fixture(scope="session")
def natural_file(tmp_path_factory):
    """A collection of eight galaxies of magnitude 21, in the layout of `Collection`.

    Two are held out, two are judges, and four are to be trained on.  The first has pixels of 0.06
    arcsec and no sky; in the second a neighbour is masked; the last is too faint for most modules.
    """
    from galsim_deep.observations.collection import COLUMNS, FORMAT_VERSION

    path = tmp_path_factory.mktemp("natural") / "galaxies.h5"
    psf = galsim.Gaussian(fwhm=0.1)
    kinds = {str: "S40", bool: "?", int: "i8", float: "f8"}
    table = np.zeros(8, [(name, kinds[column.kind]) for name, column in COLUMNS.items()])
    with h5py.File(path, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        for group in ("images", "usable", "psfs", "noise_correlations", "surveys", "catalogues",
                      "conditions"):
            file.create_group(group)
        conditions = file["conditions"].create_group("acs_f814w")
        correlation = np.array([[0.1, 0.3, 0.1], [0.3, 1.0, 0.3], [0.1, 0.3, 0.1]])
        fine = psf.drawImage(nx=33, ny=33, scale=0.03, method="no_pixel", dtype=float).array
        conditions["psf"] = fine[None] / fine.sum()
        conditions["noise_variance"] = [0.003**2]
        conditions["noise_correlation"] = correlation
        conditions.attrs.update(zero_point=25.94, pixel_scale=0.03)
        file["noise_correlations/a"] = correlation
        for row in range(8):
            name, scale = f"galaxy-{row}", 0.06 if row == 0 else 0.03
            image = psf.drawImage(nx=33, ny=33, scale=scale, method="no_pixel", dtype=float).array
            file[f"psfs/{name}"] = image / image.sum()
            file[f"psfs/{name}"].attrs["pixel_scale"] = scale
            galaxy = galsim.Exponential(half_light_radius=0.3, flux=94.6).shear(g1=0.1 * row / 7)
            stamp = galsim.Convolve(galaxy, psf).drawImage(
                nx=95, ny=91, scale=scale, method="no_pixel", dtype=float,
                offset=(2.25, -1.0)).array
            stamp += 0 if row == 0 else np.random.default_rng(row).normal(0, 0.003, stamp.shape)
            if row == 1:
                stamp[20:26, 60:66] = 10.0
                usable = np.ones(stamp.shape, bool)
                usable[20:26, 60:66] = False
                file[f"usable/{name}"] = usable
            file[f"images/{name}"] = stamp.astype("f4")
            values = dict(
                name=name, survey="a", band="F814W", group=row, held_out=row < 4,
                judge_only=row in (2, 3), psf=name, noise_correlation="a" if row > 2 else "",
                pixel_scale=scale, noise_sigma=0.0 if row == 0 else 0.003, cut=row == 0,
                photon_variance=1e-5, zero_point=25.94, x=49.25, y=44.0, radius_used=30.0,
                magnitude=29.0 if row == 7 else 21.0, redshift=np.nan if row == 0 else 0.5,
                half_light_radius=0.3, flux_radius=0.31, sersic_n=1.0, axis_ratio=0.9)
            for key, value in values.items():
                table[key][row] = value
        file["table"] = table
    return path


SHAPES = 48


@pytest.fixture(scope="session")
def shapes_file(shapes, tmp_path_factory):
    """A data set of galaxies of the module with classes, seen through a PSF with white noise.

    The class of each is in the column ``kind``; two stamps each show one source.  The last eight
    are lost in the noise.
    """
    rng = np.random.default_rng(2)
    magnitude = np.append(rng.uniform(20, 22, SHAPES - 8), rng.uniform(25, 26, 8))
    table = dict(flux_radius=rng.uniform(6, 9, SHAPES), mag_auto=magnitude)
    seeds = np.arange(SHAPES) + 1000
    psf = np.exp(-0.5 * np.square(np.indices((17, 17)) - 8).sum(axis=0) / 1.2**2)
    psf = galsim.Image(psf / psf.sum(), scale=0.03)
    stamps = []
    for galaxy in shapes.sample(table, seeds=seeds):
        convolved = galsim.Convolve(galaxy, galsim.InterpolatedImage(psf, flux=1.0))
        stamps.append(convolved.drawImage(nx=32, ny=32, scale=0.03, method="no_pixel").array)
    stamps = np.array(stamps) + rng.normal(0, 0.05, (SHAPES, 32, 32))
    path = tmp_path_factory.mktemp("shapes") / "shapes.h5"
    columns = dict(table, kind=shapes.draw_classes(table, seeds=seeds))
    with h5py.File(path, "w") as file:
        file.attrs.update(format_version=3, pixel_scale=0.03, seed=1, recipe_sha256="")
        parts = dict(
            stamp=stamps.astype("f4"), psf=psf.array[None].astype("f4"),
            psf_index=np.zeros(SHAPES, int), noise_sigma=np.full(SHAPES, 0.05, "f4"),
            noise_correlation=np.ones((1, 1, 1), "f4"), noise_index=np.zeros(SHAPES, int),
            source=np.arange(SHAPES) // 2, test=np.ones(SHAPES, bool),
            pixel_scale=np.full(SHAPES, 0.03), noiseless_index=np.zeros(0, int),
            noiseless=np.zeros((0, 32, 32), "f4"))
        parts.update({f"columns/{name}": np.float32(values) for name, values in columns.items()})
        for name, values in parts.items():
            file[name] = values
    return path


@pytest.fixture(scope="session")
def shapes_module(shapes_folder):
    return Module(shapes_folder)


@pytest.fixture(scope="session")
def shapes_galaxies(shapes_file, shapes_module):
    return open_real_galaxies(shapes_file, shapes_module.card)


@pytest.fixture(scope="session")
def shapes_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("shapes_cache")


@pytest.fixture(scope="session")
def shapes_validation(shapes_folder, shapes_file, shapes_cache):
    """A whole validation of the module with classes on galaxies of its own, which it encodes."""
    return validate(shapes_folder, shapes_file, processes=1, cache=shapes_cache,
                    settings=Settings(encoder=str(shapes_folder)))
