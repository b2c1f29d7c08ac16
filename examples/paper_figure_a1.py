"""Sample three galaxies of different size and draw them, as in Lanusse et al. (2021), figure A1.

    python examples/paper_figure_a1.py

writes ``paper_figure_a1.fits`` with one image per galaxy.
"""

import galsim
from astropy.table import Table

import galsim_deep

# The module says which columns it wants, in which units: galsim-deep info acs_flow_vae
model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")

catalogue = Table({
    "hlr": [0.15, 0.3, 0.6],  # arcsec, before the PSF
    "mag_auto": [24.0, 24.0, 24.0],  # F814W, AB
    "zphot": [0.5, 0.5, 0.5],
})

# One GalSim profile for each row, before PSF and pixel.
galaxies = model.sample(catalogue, rng=galsim.BaseDeviate(1234))

psf = galsim.Gaussian(sigma=0.06)
images = [
    galsim.Convolve(galaxy, psf).drawImage(
        nx=128, ny=128, scale=model.pixel_scale)
    for galaxy in galaxies]

galsim.fits.writeMulti(images, "paper_figure_a1.fits")
for row, image in zip(catalogue, images, strict=True):
    print(f"half-light radius {row['hlr']:4.2f}: flux {image.array.sum():.3f}")
