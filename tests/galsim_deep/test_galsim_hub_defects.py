"""The ten known defects of GalSim-Hub, each with the test that keeps it away."""

import galsim
import numpy as np
import pytest

import galsim_deep


def config(**gal):
    return dict(
        modules=["galsim_deep"],
        input=dict(generative_model=dict(file_name="hub:acs_flow_vae")),
        gal=dict(dict(type="GenerativeModelGalaxy", hlr=0.25, mag_auto=22.0, zphot=0.5),
                 **gal),
        psf=dict(type="Gaussian", sigma=0.06),
        image=dict(type="Tiled", nx_tiles=3, ny_tiles=1, stamp_size=48, pixel_scale=0.03,
                   random_seed=1234))


def stamps(image):
    return [image.array[:, 48 * i:48 * (i + 1)] for i in range(3)]


def test_1_config_uses_the_config_rng():
    image = galsim.config.BuildImage(config())
    assert image == galsim.config.BuildImage(config())
    other = config()
    other["image"]["random_seed"] = 99
    assert image != galsim.config.BuildImage(other)


def test_2_constant_parameters_do_not_repeat_one_galaxy():
    first, second, third = stamps(galsim.config.BuildImage(config()))
    for stamp, other in [(first, second), (second, third), (first, third)]:
        assert np.max(np.abs(stamp - other)) > 1e-3 * stamp.max()


def test_3_flux_and_num_are_accepted():
    changed = config(flux=17.0, num=1, hlr=0.1)
    changed["input"]["generative_model"] = [dict(file_name="hub:acs_flow_vae")] * 2
    for stamp in stamps(galsim.config.BuildImage(changed)):
        assert stamp.sum() == pytest.approx(17.0, rel=0.02)


def test_4_gsparams_reach_the_galaxy():
    base = config(gsparams=dict(folding_threshold=1e-3, maxk_threshold=2e-4))
    base.update(index_key="obj_num", obj_num=0, rng=galsim.BaseDeviate(1))
    galsim.config.ProcessInput(base)
    galaxy, _ = galsim.config.BuildGSObject(base, "gal")
    assert galaxy.gsparams.folding_threshold == 1e-3
    assert galaxy.gsparams.maxk_threshold == 2e-4


def test_5_a_list_always(tiny, table):
    for rows in (7, 1, 0):
        part = {name: values[:rows] for name, values in table.items()}
        galaxies = tiny.sample(part)
        assert isinstance(galaxies, list)
        assert len(galaxies) == rows


def test_6_a_galaxy_can_be_had_again(model, table):
    table = dict(table, hlr=0.03 * table["flux_radius"])
    galaxies = model.sample(table, seeds=range(100, 107))
    reversed_table = {name: values[::-1] for name, values in table.items()}
    again = model.sample(reversed_table, seeds=range(106, 99, -1))[::-1]
    alone = [model.sample({name: values[i] for name, values in table.items()}, seeds=[100 + i])[0]
             for i in range(7)]
    for galaxy, *others in zip(galaxies, again, alone, strict=True):
        for other in others:
            np.testing.assert_allclose(other.image.array, galaxy.image.array,
                                       atol=1e-6 * galaxy.image.array.max())


def test_7_no_half_pixel_shift(model):
    """Averaged over many galaxies, light is centred on the origin, not on a pixel beside it."""
    count = 600
    rows = dict(hlr=np.full(count, 0.1), mag_auto=np.full(count, 23.0),
                zphot=np.full(count, 0.7))
    stamps = model.images(rows, seeds=range(count))[..., 0].astype(float)
    axis = np.arange(stamps.shape[1]) - 0.5 * (stamps.shape[1] - 1)
    flux = stamps.sum(axis=(1, 2))
    centroids = np.stack([stamps.sum(axis=1) @ axis / flux, stamps.sum(axis=2) @ axis / flux])
    error = centroids.std(axis=1) / np.sqrt(count)
    assert (error < 0.05).all()  # enough galaxies to tell half a pixel
    assert (np.abs(centroids.mean(axis=1)) < 0.2).all()
    # ... and GalSim sees the profile where the stamp has it.
    galaxy = model.sample({name: values[:1] for name, values in rows.items()}, seeds=[0])[0]
    assert galaxy.centroid.x / model.pixel_scale == pytest.approx(centroids[0, 0], abs=0.02)
    assert galaxy.centroid.y / model.pixel_scale == pytest.approx(centroids[1, 0], abs=0.02)


def test_8_flux_is_not_inflated_by_a_floor(model):
    rows = dict(hlr=np.full(3, 0.12), mag_auto=[24.0, 25.5, 26.2], zphot=np.full(3, 0.7))
    for galaxy, magnitude in zip(model.sample(rows, seeds=range(3)), rows["mag_auto"], strict=True):
        assert galaxy.flux == pytest.approx(10 ** (-0.4 * (magnitude - 25.94)), rel=1e-4)
        stamp = galaxy.image.array
        corner = stamp[:stamp.shape[0] // 8, :stamp.shape[0] // 8]
        assert corner.mean() < 1e-6 * galaxy.flux


def test_9_units_and_zero_points_are_stated(model):
    columns = {column.name: column for column in model.card.columns}
    assert columns["hlr"].unit == "arcsec"
    assert "before the PSF" in columns["hlr"].meaning
    assert columns["mag_auto"].unit == "mag"
    assert columns["hlr"].quantity == "half_light_radius"
    assert not columns["hlr"].as_observed
    assert columns["mag_auto"].quantity == "magnitude"
    assert model.card.band("F814W").zero_point == 25.94
    assert model.card.band("F814W").exposure_time == 1.0


def test_10_hub_is_a_prefix_and_nothing_is_used_unchecked(tmp_path, monkeypatch):
    monkeypatch.setenv("GALSIM_DEEP_OFFLINE", "1")
    with pytest.raises(galsim.GalSimError, match="github:acs_flow_vae"):
        galsim_deep.GenerativeGalaxyModel(str(tmp_path / "github:acs_flow_vae"))
    with pytest.raises(galsim.GalSimError, match="checksum"):
        galsim_deep.GenerativeGalaxyModel("https://localhost/acs_flow_vae.tar.gz")
