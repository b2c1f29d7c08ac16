"""Stamps for the tests of profiles: those of a module, and some made with GalSim."""

import galsim
import numpy as np
import pytest


@pytest.fixture(scope="session")
def module_stamps(model):
    """Stamps of a module, of small galaxies, float32 [60, S, S]."""
    rng = np.random.default_rng(3)
    table = dict(hlr=rng.uniform(0.03, 0.15, 60).clip(0.05), mag_auto=rng.uniform(20, 26, 60),
                 zphot=rng.uniform(0.2, 1.5, 60))
    return model.images(table, seeds=range(60))[..., 0]


def made_with_galsim(size):
    """A compact, a wide, an off-centre and a lumpy galaxy, float32 [4, size, size]."""
    shapes = [galsim.Gaussian(sigma=1.0), galsim.Exponential(half_light_radius=size / 8),
              galsim.Exponential(half_light_radius=2.0).shear(g1=0.4).shift(3.0, -2.0),
              galsim.Gaussian(sigma=6.0) + 0.2 * galsim.Gaussian(sigma=0.6).shift(5.0, 4.0)]
    return np.stack([shape.withFlux(3.0).drawImage(
        nx=size, ny=size, scale=1.0, method="no_pixel").array for shape in shapes])


@pytest.fixture(scope="session", params=["module", 64, 65])
def stamps(request, module_stamps):
    """Stamps of a module, and of even and odd sizes."""
    return module_stamps if request.param == "module" else made_with_galsim(request.param)


@pytest.fixture
def stamp():
    """One galaxy that is not in the centre, float32 [64, 64]."""
    return made_with_galsim(64)[2]
