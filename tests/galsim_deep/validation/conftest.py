"""What the tests of the validation share: how a galaxy is observed, and a small catalogue."""

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.validation.observation import Observation


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
