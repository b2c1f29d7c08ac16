"""How the measured shape of a galaxy responds to gravitational shear.

The response R = d g_measured / d gamma is what a shear calibration determines.  It depends on the
light profile of the galaxy down to scales near the PSF (Massey et al. 2007, MNRAS 376, 13,
arXiv:astro-ph/0608643), so that a model can calibrate a measurement on real galaxies if its
galaxies respond like real ones.  The response of a real galaxy is measured by shearing its image:
metacalibration (Huff & Mandelbaum 2017, arXiv:1702.02600; Sheldon & Huff 2017, arXiv:1702.02601).
"""

__all__ = ["deconvolved", "gaussian_transfer", "profile_response", "shear_response",
           "target_sigma"]

from collections.abc import Callable

import galsim
import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from ..observations.observation import Observation
from .moments import adaptive_moments

_TARGET_OVER_PSF = 1.3
"""Width of the target PSF over that of the PSF of the observation.

The sheared galaxy is convolved with a round Gaussian, the target PSF.  It is round, since otherwise
the response of the PSF's own shape would enter.  It is wider than the PSF, so that dividing by the
PSF does not amplify the noise: for the HST/ACS PSF (0.1" at 0.03" per pixel) no mode is amplified
by more than 12 %, and those near the Nyquist frequency are suppressed.  An even wider target would
only remove the structure that is to be tested."""

_SMALLEST_TRANSFER = 1e-4
"""Modes for which the transfer function of the PSF is below this are set to zero.  The transfer
function of the target is far smaller there."""

_Shape = Callable[[galsim.Shear], galsim.Shear | None]
"""Measures the shape for an applied shear; None if the moments did not converge."""


def shear_response(observation: Observation, stamp: ArrayLike, shear: float = 0.02) -> np.ndarray:
    """Shear response of a noisy stamp, by metacalibration.

    The stamp is deconvolved, sheared by +-``shear`` in each component, and convolved with a round
    Gaussian of `target_sigma`.  Its shape is then measured by adaptive moments, as a reduced shear
    g = (a-b)/(a+b).  The noise is sheared along with the galaxy, which changes R slightly at low
    signal-to-noise ratio (Sheldon & Huff 2017, sect. 2.2).  It changes R alike in all stamps with
    noise of the same level, so only such stamps should be compared with each other.

    Parameters:
        observation:    The `Observation` with the PSF of the stamp.
        stamp:          Real, generated or parametric, shape [S, S], flux per pixel.
        shear:          Size of the applied shear.  [default: 0.02]

    Returns:
        R11 and R22, float64, shape [2]; NaN if the moments did not converge.  Half of their sum
        does not depend on the orientation of the galaxy.
    """
    stamp = np.asarray(stamp, float)
    sigma = target_sigma(observation)
    if not (np.isfinite(stamp).all() and np.isfinite(sigma)):
        return np.full(2, np.nan)
    galaxy = deconvolved(stamp, observation.psf)

    def shape(applied: galsim.Shear) -> galsim.Shear | None:
        # With S a shear and * a convolution, S(galaxy) * target = S(galaxy * S^-1(target)), and
        # adaptive moments transform like the image under any linear map.  So it is enough to
        # convolve with a target that is sheared by the opposite amount, and to shear the measured
        # shape: no pixel is interpolated.
        smooth = galaxy * gaussian_transfer(stamp.shape, sigma, -applied)
        moments = adaptive_moments(fft.irfft2(smooth, stamp.shape))
        return None if moments is None else applied + moments.observed_shape

    return _response(shape, shear)


def profile_response(profile: galsim.GSObject, observation: Observation,
                     shear: float = 0.02) -> np.ndarray:
    """Shear response of a profile without noise, for comparison with `shear_response`.

    Parameters:
        profile:        A GSObject, before PSF and pixel.
        observation:    The `Observation` that gives the target PSF and the pixels.
        shear:          Size of the shear.  [default: 0.02]

    Returns:
        R11 and R22, float64, shape [2]; NaN if the moments did not converge.
    """
    sigma = target_sigma(observation)
    if not np.isfinite(sigma):
        return np.full(2, np.nan)
    target = galsim.Gaussian(sigma=sigma * observation.pixel_scale)

    def shape(applied: galsim.Shear) -> galsim.Shear | None:
        convolved = galsim.Convolve(profile.shear(applied), target,
                                    gsparams=galsim.GSParams(folding_threshold=1e-2))
        image = convolved.drawImage(
            nx=observation.stamp.shape[1], ny=observation.stamp.shape[0],
            scale=observation.pixel_scale, method="no_pixel", dtype=float)
        moments = adaptive_moments(image.array)
        return None if moments is None else moments.observed_shape

    return _response(shape, shear)


def target_sigma(observation: Observation) -> float:
    """Standard deviation of the round Gaussian that replaces the PSF [pixels]; NaN if unknown."""
    moments = adaptive_moments(observation.psf)
    return np.nan if moments is None else _TARGET_OVER_PSF * moments.moments_sigma


def _response(shape: _Shape, shear: float) -> np.ndarray:
    """Central differences of the measured shape for an applied shear: R11 and R22, shape [2]."""
    response = []
    for component in ("g1", "g2"):
        plus = shape(galsim.Shear(**{component: shear}))
        minus = None if plus is None else shape(galsim.Shear(**{component: -shear}))
        response.append(np.nan if minus is None else
                        (getattr(plus, component) - getattr(minus, component)) / (2 * shear))
    return np.array(response)


def deconvolved(stamp: np.ndarray, psf: np.ndarray) -> np.ndarray:
    """Transform (rfft2) of a stamp divided by that of its PSF."""
    centred = np.zeros(stamp.shape)
    rows, columns = (min(n, m) // 2 for n, m in zip(psf.shape, stamp.shape, strict=True))
    middle = (psf.shape[0] // 2, psf.shape[1] // 2)
    y, x = np.mgrid[-rows:rows + 1, -columns:columns + 1]
    np.add.at(centred, (y % stamp.shape[0], x % stamp.shape[1]), psf[y + middle[0], x + middle[1]])
    transfer = fft.rfft2(centred / centred.sum())
    passed = np.abs(transfer) > _SMALLEST_TRANSFER
    return np.where(passed, fft.rfft2(stamp) / np.where(passed, transfer, 1.0), 0.0)


def gaussian_transfer(shape: tuple[int, ...], sigma: float, shear: galsim.Shear) -> np.ndarray:
    """Transform of a sheared round Gaussian on the grid of an rfft2 of this shape."""
    ky = 2 * np.pi * fft.fftfreq(shape[0])[:, None]
    kx = 2 * np.pi * fft.rfftfreq(shape[1])
    (xx, xy), (_, yy) = shear.getMatrix() @ shear.getMatrix().T
    return np.exp(-0.5 * sigma**2 * (xx * kx**2 + 2 * xy * kx * ky + yy * ky**2))
