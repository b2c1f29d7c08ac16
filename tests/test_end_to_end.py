"""From real catalogue rows to noisy survey images."""

import warnings

import galsim
import numpy as np
import pytest
from astropy.table import Table, join

import galsim_deep

SIZE, SCALE = 128, 0.03
COSMOS_NOISE = 0.0026
"""Median standard deviation of the noise in a pixel of the COSMOS stamps, F814W [e-/s]."""
BORDER = 4
"""Width of what is called the border of a stamp [pixels]."""


@pytest.fixture(scope="module")
def cosmos(reference_data):
    """50 real COSMOS galaxies: their columns, PSFs and noise."""
    folder = reference_data / "cosmos_f814w_50"
    catalog = galsim.RealGalaxyCatalog("real_galaxy_catalog.fits", dir=str(folder))
    main = Table.read(folder / "real_galaxy_catalog.fits")
    main["row"] = np.arange(len(main))
    table = join(main, Table.read(folder / "real_galaxy_catalog_fits.fits"), keys="IDENT")
    table.rename_columns(["MAG", "ZPHOT"], ["mag_auto", "zphot"])
    return catalog, table


def test_real_rows_become_observed_galaxies(model, cosmos):
    catalog, table = cosmos
    with pytest.warns(galsim.GalSimWarning, match="flux_radius.*1 of 50 rows"):
        galaxies = model.sample(table, seeds=table["IDENT"])  # one is larger than 20 pixels
    assert len(galaxies) == 50
    shapes = 0
    for n, (galaxy, row) in enumerate(zip(galaxies, table, strict=True)):
        flux = 10 ** (-0.4 * (row["mag_auto"] - 25.94))
        assert galaxy.flux == pytest.approx(flux, rel=0.01)
        psf = catalog.getPSF(int(row["row"]))
        image = galsim.Convolve(galaxy, psf.withFlux(1.0)).drawImage(
            nx=SIZE, ny=SIZE, scale=SCALE, method="no_pixel", dtype=float)
        assert image.array.sum() == pytest.approx(flux, rel=0.01)
        rng = galsim.BaseDeviate(n + 1)
        image.addNoise(galsim.getCOSMOSNoise(rng=rng, variance=row["NOISE_VARIANCE"]))
        assert np.isfinite(image.array).all()
        moments = galsim.hsm.FindAdaptiveMom(image, strict=False)
        shapes += moments.error_message == ""
    assert shapes >= 45


@pytest.mark.parametrize("name", ["acs_flow_vae", "acs_mpcc"])
def test_the_largest_galaxies_stay_inside_of_their_stamps(name):
    """At the end of the valid range light at the border is hidden by the noise of COSMOS.

    At 20 pixels 4 and 7 % of the galaxies have a pixel above one sigma there, at 24 pixels 17 and
    18 %, at 28 pixels 45 %: galaxies look cut off then.
    """
    model = galsim_deep.GenerativeGalaxyModel(f"hub:{name}")
    column, = (column for column in model.card.columns if column.name == "flux_radius")
    largest, count = column.valid_range[1], 300
    # Magnitudes and redshifts are drawn, as galaxies of this size have them.
    table = dict(flux_radius=np.full(count, largest), mag_auto=np.nan, zphot=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error", galsim.GalSimWarning)
        stamps = model.images(table, seeds=range(count), strict=True)[..., 0]
    stamps[:, BORDER:-BORDER, BORDER:-BORDER] = 0.0
    visible = stamps.max(axis=(1, 2)) > COSMOS_NOISE
    assert visible.mean() < 0.1
    with pytest.warns(galsim.GalSimWarning, match="flux_radius"):
        model.images(dict(flux_radius=1.01 * largest, mag_auto=22.0, zphot=0.5), seeds=[1])


def test_the_script_of_the_paper():
    """Lanusse et al. 2021, figure A1, with the names of the package and of the model changed."""
    model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
    cat = Table([[5., 10., 20.], [24., 24., 24.], [0.5, 0.5, 0.5]],
                names=["flux_radius", "mag_auto", "zphot"])
    ims = model.sample(cat)
    psf = galsim.Gaussian(sigma=0.06)
    ims = [galsim.Convolve(im, psf) for im in ims]
    assert len(ims) == 3
    for im in ims:
        assert np.isfinite(im.drawImage(nx=64, ny=64, scale=0.03).array).all()


def test_names_of_galsim_hubs_arguments(model):
    cat = dict(flux_radius=[5.0], mag_auto=[24.0], zphot=[0.5])
    galaxies = model.sample(cat=cat, noise=None, rng=galsim.BaseDeviate(1), x_interpolant="quintic",
                            k_interpolant="quintic", pad_factor=4, noise_pad_size=0, gsparams=None,
                            session_config=None)
    assert galaxies == model.sample(cat, rng=galsim.BaseDeviate(1), pad_factor=4)
    assert model.quantities == list(model.columns)
    assert model.pixel_size == model.pixel_scale
