"""Draw generated galaxies as a ten-year Rubin coadd might show them.

    python examples/rubin_like_scene.py

writes ``rubin_like_scene.fits``: 400 x 400 pixels of 0.2 arcsec, and the catalogue of what was
drawn. The profiles are HST ones; survey, PSF, flux and noise are ours to choose.
"""

import galsim
import numpy as np
from astropy.io import fits
from astropy.table import Table

import galsim_deep

SIZE = 400           # pixels
PIXEL_SCALE = 0.2    # arcsec
ZERO_POINT = 27.85   # AB magnitude of one electron per second, i band, about (SMTN-002)
SKY = 20.5           # AB magnitudes per square arcsec, i band, about (SMTN-002)
EXPOSURE = 5400.0    # seconds, all visits together
COUNT = 250

rng = np.random.default_rng(1)
magnitude = 20.0 + np.log1p(rng.random(COUNT) * np.expm1(0.45 * 5.5)) / 0.45
radius = np.exp(-1.35 - 0.244 * (magnitude - 24.0) + 0.3 * rng.standard_normal(COUNT))
redshift = np.exp(-0.1 + 0.27 * (magnitude - 24.0) + 0.5 * rng.standard_normal(COUNT))
catalogue = Table({
    "id": np.arange(COUNT) + 7000,
    "x": rng.uniform(1, SIZE, COUNT),
    "y": rng.uniform(1, SIZE, COUNT),
    "hlr": np.clip(radius, 0.05, 5.0),  # arcsec, before the PSF
    "mag_auto": magnitude,
    "zphot": np.clip(redshift, 0.05, 4.0),
})

# Seeds make each galaxy belong to its id: the same in another band, visit or order of the rows.
model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
flux = EXPOSURE * 10 ** (-0.4 * (catalogue["mag_auto"] - ZERO_POINT))
galaxies = model.sample(catalogue, seeds=catalogue["id"], flux=flux)

psf = galsim.Kolmogorov(fwhm=0.7)
scene = galsim.ImageF(SIZE, SIZE, scale=PIXEL_SCALE)
for row, galaxy in zip(catalogue, galaxies, strict=True):
    observed = galsim.Convolve(galaxy.shear(g1=0.02, g2=0.01), psf)
    stamp = observed.drawImage(
        nx=64, ny=64, scale=PIXEL_SCALE, center=galsim.PositionD(row["x"], row["y"]))
    overlap = stamp.bounds & scene.bounds
    if overlap.isDefined():
        scene[overlap] += stamp[overlap]

sky = EXPOSURE * PIXEL_SCALE**2 * 10 ** (-0.4 * (SKY - ZERO_POINT))
scene.addNoise(galsim.PoissonNoise(galsim.BaseDeviate(5), sky_level=sky))

hdu = fits.PrimaryHDU(scene.array)
hdu.header["PIXSCALE"] = (PIXEL_SCALE, "arcsec per pixel")
hdu.header["ZEROPNT"] = (ZERO_POINT + 2.5 * np.log10(EXPOSURE), "AB magnitude of one electron")
fits.HDUList([hdu, fits.table_to_hdu(catalogue)]).writeto("rubin_like_scene.fits", overwrite=True)
print("rubin_like_scene.fits")
