"""How the measured shape of a galaxy responds to gravitational shear.

The response R = d g_measured / d gamma is what a shear calibration turns on, and it depends on the
light profile of the galaxy down to scales near the PSF (Massey et al. 2007, MNRAS 376, 13).  A
model whose galaxies respond like real ones can calibrate a measurement on real ones.  The response
of a real galaxy is measured by shearing its image: metacalibration (Huff & Mandelbaum 2017,
arXiv:1702.02600; Sheldon & Huff 2017, ApJ 841, 24).
"""

__all__ = ["profile_response", "shear_response", "target_sigma"]

import galsim
import numpy as np
from scipy import fft

from .moments import adaptive_moments

# The PSF through which the sheared galaxy is seen is a round Gaussian, wider than the PSF by this
# factor.  Round, since otherwise the response of the PSF's own shape would mix in; wider, so that
# dividing by the PSF does not blow up the noise: for the HST/ACS PSF (0.1" at 0.03" per pixel) no
# mode is amplified by more than 12 %, and those near the Nyquist frequency are suppressed.  Wider
# still would only wash out the structure that is to be tested.
_WIDER = 1.3

# Where the PSF passes less than this, nothing is recovered.  The target is far smaller there.
_OPAQUE = 1e-4


def shear_response(observation, stamp, shear=0.02):
    """Shear response of a noisy stamp that was seen through the PSF of an observation.

    The stamp is deconvolved, sheared by +-``shear`` in each component, and convolved with a round
    Gaussian of `target_sigma`; the shape is that of adaptive moments (Bernstein & Jarvis 2002;
    Hirata & Seljak 2003), as a reduced shear g = (a-b)/(a+b).  Noise is sheared along with the
    galaxy, which shifts R a little at low S/N (Sheldon & Huff 2017, sect. 2.2).  It does so
    alike in stamps with noise of the same level, so compare such stamps with each other.

    Parameters:
        observation:    The `Observation` whose PSF the stamp has.
        stamp:          Real, generated or parametric, shape [S, S], flux per pixel.
        shear:          Size of the artificial shear.  [default: 0.02]

    Returns:
        R11 and R22, float64, shape [2]; NaN where the moments did not converge.  Half of their sum
        does not depend on the orientation of the galaxy.
    """
    stamp = np.asarray(stamp, float)
    sigma = target_sigma(observation)
    if not (np.isfinite(stamp).all() and np.isfinite(sigma)):
        return np.full(2, np.nan)
    deconvolved = _deconvolved(stamp, observation.psf)

    def shape(applied):
        # S(galaxy) * target = S(galaxy * S^-1(target)), and adaptive moments follow any linear
        # map: it is enough to smooth with a target sheared the other way and to shear the shape
        # that is found.  So no pixel is ever interpolated.
        smooth = deconvolved * _gaussian_transfer(stamp.shape, sigma, -applied)
        found = adaptive_moments(fft.irfft2(smooth, stamp.shape))
        return None if found is None else applied + found.observed_shape

    return _response(shape, shear)


def profile_response(profile, observation, shear=0.02):
    """Shear response of a profile without noise, to compare with `shear_response`.

    Parameters:
        profile:        A GSObject, before PSF and pixel.
        observation:    The `Observation` under which to see it: gives the target PSF and the grid.
        shear:          Size of the shear.  [default: 0.02]

    Returns:
        R11 and R22, float64, shape [2]; NaN where the moments did not converge.
    """
    sigma = target_sigma(observation)
    if not np.isfinite(sigma):
        return np.full(2, np.nan)
    target = galsim.Gaussian(sigma=sigma * observation.pixel_scale)

    def shape(applied):
        seen = galsim.Convolve(profile.shear(applied), target,
                               gsparams=galsim.GSParams(folding_threshold=1e-2))
        image = seen.drawImage(
            nx=observation.stamp.shape[1], ny=observation.stamp.shape[0],
            scale=observation.pixel_scale, method="no_pixel", dtype=float)
        found = adaptive_moments(image.array)
        return None if found is None else found.observed_shape

    return _response(shape, shear)


def target_sigma(observation):
    """Standard deviation of the round Gaussian that replaces the PSF [pixels]; NaN if unknown."""
    found = adaptive_moments(observation.psf)
    return np.nan if found is None else _WIDER * found.moments_sigma


def _response(shape, shear):
    """Central differences of ``shape``, a function of the applied `galsim.Shear`."""
    response = []
    for component in ("g1", "g2"):
        plus = shape(galsim.Shear(**{component: shear}))
        minus = None if plus is None else shape(galsim.Shear(**{component: -shear}))
        response.append(np.nan if minus is None else
                        (getattr(plus, component) - getattr(minus, component)) / (2 * shear))
    return np.array(response)


def _deconvolved(stamp, psf):
    """Transform (rfft2) of a stamp divided by that of its PSF."""
    centred = np.zeros(stamp.shape)
    rows, columns = (min(n, m) // 2 for n, m in zip(psf.shape, stamp.shape, strict=True))
    middle = (psf.shape[0] // 2, psf.shape[1] // 2)
    y, x = np.mgrid[-rows:rows + 1, -columns:columns + 1]
    np.add.at(centred, (y % stamp.shape[0], x % stamp.shape[1]), psf[y + middle[0], x + middle[1]])
    transfer = fft.rfft2(centred / centred.sum())
    passed = np.abs(transfer) > _OPAQUE
    return np.where(passed, fft.rfft2(stamp) / np.where(passed, transfer, 1.0), 0.0)


def _gaussian_transfer(shape, sigma, shear):
    """Transform of a sheared round Gaussian on the grid of an rfft2 of this shape."""
    ky = 2 * np.pi * fft.fftfreq(shape[0])[:, None]
    kx = 2 * np.pi * fft.rfftfreq(shape[1])
    (xx, xy), (_, yy) = shear.getMatrix() @ shear.getMatrix().T
    return np.exp(-0.5 * sigma**2 * (xx * kx**2 + 2 * xy * kx * ky + yy * ky**2))
