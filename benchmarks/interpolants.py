#!/usr/bin/env python
"""Computing time and accuracy of the interpolants between the pixels of a stamp.

    python benchmarks/interpolants.py [--module hub:acs_flow_vae] [--galaxies 24]
                                      [--photons 100000] [--output interpolants.md]

Prints a table, as Markdown, for each interpolant of GalSim: milliseconds to draw a galaxy,
convolved with the PSF of a survey, by Fourier transform and by shooting photons; the number of
photons for the same noise, relative to an interpolant without photons of negative flux; the flux of
the shot image over that of the image drawn by Fourier transform; and the difference from the image
with GalSim's most accurate interpolant (Lanczos with 15 lobes), its median and its maximum over the
galaxies: in units of the peak, and of the size (adaptive moments).
"""
import statistics
import time

import galsim
import numpy as np
from common import Report, catalogue, command_line

INTERPOLANTS = "nearest", "linear", "cubic", "quintic", "lanczos3", "lanczos5", "lanczos7"
EXACT = "lanczos15"
SURVEYS = {"Rubin": (galsim.Kolmogorov(fwhm=0.7), 0.2, 64),
           "Euclid": (galsim.Moffat(beta=3.0, fwhm=0.16), 0.1, 64)}


def timed(draw, galaxies):
    times, images = [], []
    for galaxy in galaxies:
        draw(galaxy)  # padding and tables are made once a galaxy, for whatever is drawn of it
        start = time.perf_counter()
        images.append(draw(galaxy))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times), images


def size(image):
    return galsim.hsm.FindAdaptiveMom(image).moments_sigma


def row(model, table, name, survey, exact, photons):
    psf, scale, pixels = SURVEYS[survey]
    galaxies = model.sample(table, seeds=table["id"], flux=photons, x_interpolant=name)
    rng = galsim.BaseDeviate(7)

    def drawn(galaxy, **options):
        return galsim.Convolve(galaxy, psf).drawImage(
            nx=pixels, ny=pixels, scale=scale, **options)

    by_fft, images = timed(drawn, galaxies)
    by_photons, shot = timed(
        lambda galaxy: drawn(galaxy, method="phot", rng=rng, poisson_flux=False), galaxies)
    # Each photon carries a flux of +g or -g, which takes g^2 as many for the same noise.
    more = [((galaxy.positive_flux + galaxy.negative_flux) / galaxy.flux) ** 2
            for galaxy in galaxies]
    flux = [one.array.sum(dtype=float) / image.array.sum(dtype=float)
            for one, image in zip(shot, images, strict=True)]
    far = [np.abs(image.array - other.array).max() / other.array.max()
           for image, other in zip(images, exact, strict=True)]
    larger = [abs(size(image) / size(other) - 1)
              for image, other in zip(images, exact, strict=True)]
    error = np.std(flux) / np.sqrt(len(flux))
    return (survey, name, f"{by_fft:.2f}", f"{by_photons:.1f}", f"{statistics.median(more):.2f}",
            f"{np.mean(flux):.4f} ± {error:.4f}", f"{statistics.median(far):.1e}, {max(far):.1e}",
            f"{statistics.median(larger):.1e}, {max(larger):.1e}")


def main():
    import galsim_deep

    parser = command_line(__doc__)
    parser.add_argument("--module", default="hub:acs_flow_vae")
    parser.add_argument("--galaxies", type=int, default=24)
    parser.add_argument("--photons", type=float, default=1e5)
    options = parser.parse_args()
    model = galsim_deep.GenerativeGalaxyModel(options.module)
    table = catalogue(model, options.galaxies, seed=11)
    report = Report(["PSF and pixel", "interpolant", "Fourier transform [ms]", "photons [ms]",
                     "photons for the same noise", "flux shot / flux of Fourier image",
                     "error of the image / peak: median, largest",
                     "relative error of the size: median, largest"],
                    f"GalSim {galsim.__version__}; {options.photons:,.0f} photons per galaxy.")
    for survey, (psf, scale, pixels) in SURVEYS.items():
        exact = [galsim.Convolve(galaxy, psf).drawImage(nx=pixels, ny=pixels, scale=scale)
                 for galaxy in model.sample(table, seeds=table["id"], flux=options.photons,
                                            x_interpolant=EXACT)]
        for name in INTERPOLANTS:
            report.add(*row(model, table, name, survey, exact, options.photons))
    report.write(options.output)


if __name__ == "__main__":
    main()
