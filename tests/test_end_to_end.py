"""From real catalogue rows to noisy survey images."""

import galsim
import numpy as np
import pytest
from astropy.table import Table, join

import galsim_deep
from galsim_deep.measure.half_light import measured_radius

SIZE, SCALE = 512, 0.03


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
    # Observed radii in pixels; the PSF has one of 2.5 pixels.
    table["hlr"] = SCALE * np.sqrt(np.maximum(table["flux_radius"]**2 - 2.5**2, 1.7**2))
    galaxies = model.sample(table, seeds=table["IDENT"], strict=True)
    assert len(galaxies) == 50
    shapes = 0
    for n, (galaxy, row) in enumerate(zip(galaxies, table, strict=True)):
        flux = 10 ** (-0.4 * (row["mag_auto"] - 25.94))
        assert galaxy.flux == pytest.approx(flux, rel=0.01)
        psf = catalog.getPSF(int(row["row"]))
        image = galsim.Convolve(galaxy, psf.withFlux(1.0)).drawImage(
            nx=SIZE, ny=SIZE, scale=SCALE, method="no_pixel", dtype=float)
        assert image.array.sum() == pytest.approx(flux, rel=0.02)
        rng = galsim.BaseDeviate(n + 1)
        image.addNoise(galsim.getCOSMOSNoise(rng=rng, variance=row["NOISE_VARIANCE"]))
        assert np.isfinite(image.array).all()
        moments = galsim.hsm.FindAdaptiveMom(image, strict=False)
        shapes += moments.error_message == ""
    assert shapes >= 45


@pytest.mark.parametrize("radius", [0.05, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("name, error_of_smallest", [("acs_flow_vae", 0.08), ("acs_mpcc", 0.12)])
def test_galaxies_of_any_size_have_it_and_fit_their_stamps(name, error_of_smallest, radius):
    """From 2 to 170 pixels of the survey."""
    model, count = galsim_deep.GenerativeGalaxyModel(f"hub:{name}"), 12
    table = dict(hlr=np.full(count, radius), mag_auto=np.linspace(17, 26, count), zphot=0.6)
    outputs = model.outputs(table, seeds=range(count))
    measured = []
    for image, scale in zip(outputs["image"][..., 0], outputs["pixel_scale"], strict=True):
        used = np.flatnonzero(image.any(axis=0))
        assert used[0] > 0 and used[-1] < len(image) - 1
        measured.append(measured_radius(image.astype(float)) * scale)
    # The smallest one is 1.7 pixels.
    np.testing.assert_allclose(measured, radius, rtol=error_of_smallest if radius < 0.1 else 0.04)
    np.testing.assert_allclose(np.mean(measured), radius, rtol=0.06 if radius < 0.1 else 0.01)
    sizes = {len(galaxy.image.array) for galaxy in model.sample(table, seeds=range(count))}
    assert sizes <= set(model.card.stamp.sizes)
    assert (max(sizes) <= 64) if radius < 0.1 else (min(sizes) > 32)


def test_shapes_that_are_asked_for(model):
    """Axis ratio, concentration and position angle, on average over galaxies with structure."""
    count = 40
    table = dict(hlr=np.full(count, 0.4), mag_auto=22.0, zphot=0.5)

    def moments(**asked):
        columns = {name: value for name, value in asked.items() if name != "position_angle"}
        images = model.images(dict(table, **columns), seeds=range(count), position_angle=asked.get(
            "position_angle"))[..., 0].astype(float)
        found = [galsim.hsm.FindAdaptiveMom(galsim.Image(image), strict=False) for image in images]
        good = [moment.observed_shape for moment in found if not moment.error_message]
        assert len(good) > 30
        g1, g2 = np.mean([(shape.g1, shape.g2) for shape in good], axis=0)
        return g1, g2, np.mean([shape.g for shape in good]), images

    along_x = moments(axis_ratio=0.4, position_angle=0.0)
    along_y = moments(axis_ratio=0.4, position_angle=90.0)
    assert along_x[0] > 0.25 and along_y[0] < -0.25 and abs(along_x[1]) < 0.1
    round_one = moments(axis_ratio=0.95)
    assert round_one[2] < 0.5 * along_x[2]
    # A higher Sersic index has a brighter centre at the same half-light radius.
    peaks = [np.median(moments(sersic_n=n, axis_ratio=0.8)[3].max(axis=(1, 2))) for n in (1, 4)]
    assert peaks[1] > 1.5 * peaks[0]


def test_the_script_of_the_paper():
    """Lanusse et al. 2021, figure A1, with the names of the package and of the model changed."""
    model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
    cat = Table([[0.15, 0.3, 0.6], [24., 24., 24.], [0.5, 0.5, 0.5]],
                names=["hlr", "mag_auto", "zphot"])
    ims = model.sample(cat)
    psf = galsim.Gaussian(sigma=0.06)
    ims = [galsim.Convolve(im, psf) for im in ims]
    assert len(ims) == 3
    for im in ims:
        assert np.isfinite(im.drawImage(nx=64, ny=64, scale=0.03).array).all()


def test_names_of_galsim_hubs_arguments(model):
    cat = dict(hlr=[0.15], mag_auto=[24.0], zphot=[0.5])
    galaxies = model.sample(cat=cat, noise=None, rng=galsim.BaseDeviate(1), x_interpolant="quintic",
                            k_interpolant="quintic", pad_factor=4, noise_pad_size=0, gsparams=None,
                            session_config=None)
    assert galaxies == model.sample(cat, rng=galsim.BaseDeviate(1), pad_factor=4)
    assert model.quantities == list(model.columns)
    assert model.pixel_size == model.pixel_scale
