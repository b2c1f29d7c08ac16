"""What a survey's file says about a galaxy, before anything is measured on it."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Observed:
    """A galaxy as a survey observed it.

    Attributes:
        name, survey, band, wavelength, cut, judge_only, ra, dec, visual_class, p_bar, pitch_angle,
        notes:  As `galsim_deep.observations.collection.CollectedGalaxy` has them.
        image:          Flux per pixel, [h, w], with whatever sky there is.
        usable:         False where the survey's own mask says that another object or a defect is
                        seen, bool [h, w].
        segment:        Pixels of the galaxy's segment, bool [h, w]; None: it is to be found.
        psf:            Effective PSF, [P, P], P odd, unit sum.
        psf_scale:      Size of a pixel of the PSF [arcsec].
        pixel_scale:    Size of a pixel [arcsec].
        zero_point:     Magnitude of a flux of 1.
        redshift:       NaN if it is not known.
        nearby:         Whether the galaxy is to be moved to where its pixel spans the size that
                        0.03 arcsec span.
        likely_redshift:    What the redshift of a nearby galaxy is taken to be for its magnitude
                        if it is not known.
        photons:        Variance of photon noise per flux; 0 if it is not known, or follows from
                        the noise of the sky, see ``sky_flux``.
        sky_flux:       Flux of the sky in a pixel that was taken off before, whose photons are the
                        noise of the sky; 0 if it is not known.
        sky:            The sky, if it is known; None: it is to be measured.
        noise_sigma:    The noise in a pixel, if it is known; None: it is to be measured.
        correlation:    The correlation function of the noise, if it is known, [C, C]; None: it is
                        to be measured.
        own_correlation:    Whether it differs from galaxy to galaxy, so that it is measured on each
                        one, not on all of a survey and band.
        magnitude:      The total magnitude, if a catalogue knows it better than a stamp; else NaN.
        contrast:       Least share of the light of a part that is an object of its own when
                        segments are found; 1: segments are not divided.
    """

    name: str
    survey: str
    band: str
    wavelength: float
    image: np.ndarray
    psf: np.ndarray
    psf_scale: float
    pixel_scale: float
    zero_point: float
    usable: np.ndarray | None = None
    segment: np.ndarray | None = None
    redshift: float = np.nan
    likely_redshift: float = np.nan
    nearby: bool = False
    cut: bool = False
    judge_only: bool = False
    photons: float = 0.0
    sky_flux: float = 0.0
    sky: float | None = None
    noise_sigma: float | None = None
    correlation: np.ndarray | None = None
    own_correlation: bool = False
    magnitude: float = np.nan
    contrast: float = 1.0
    ra: float = np.nan
    dec: float = np.nan
    visual_class: str = ""
    p_bar: float = np.nan
    pitch_angle: float = np.nan
    notes: str = ""
