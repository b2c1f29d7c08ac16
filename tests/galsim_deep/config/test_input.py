"""The input type: which module, and which workers could use it."""

import galsim
import pytest

import galsim_deep


def test_registered_by_import():
    assert isinstance(galsim.config.input.valid_input_types["generative_model"],
                      galsim_deep.config.ModelLoader)


def test_the_input_is_a_model(make_config, tiny):
    base = make_config()
    galsim.config.ProcessInput(base)
    model, = base["_input_objs"]["generative_model"]
    assert model == tiny


def test_several_models(make_config, shapes_folder):
    base = make_config(dict(num=1))
    first = dict(file_name=str(shapes_folder))
    base["input"]["generative_model"] = [first, base["input"]["generative_model"]]
    assert galsim.config.BuildImage(base) == galsim.config.BuildImage(make_config())


def test_no_input(make_config):
    base = make_config()
    del base["input"]
    with pytest.raises(galsim.GalSimConfigError) as caught:
        galsim.config.BuildImage(base)
    assert "generative_model" in str(caught.value)


def test_an_unknown_module(make_config):
    with pytest.raises(galsim.GalSimError) as caught:
        galsim.config.BuildImage(make_config(module="hub:acs_flow_vea"))
    assert "acs_flow_vae" in str(caught.value)


def test_workers_that_could_not_sample_are_not_started(plain, make_config, tmp_path):
    """GalSim only logs what a worker raises; the user would be left with no file and no error."""
    row = dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5)
    galsim_deep.GenerativeGalaxyModel(plain).images(row, seeds=[1])
    for level in ("image", "output"):
        base = make_config(module=plain)
        base["output"] = dict(file_name="never.fits", dir=str(tmp_path))
        base[level]["nproc"] = 2
        with pytest.raises(galsim.GalSimConfigError) as caught:
            galsim.config.Process(base)
        assert "nproc: 1" in str(caught.value)
