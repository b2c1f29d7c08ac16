"""The best parametric fit to a galaxy: one Sersic profile, or a bulge and a disk, through its PSF.

A bounded Levenberg-Marquardt iteration with the analytic derivatives of `sersic`, from several
starts; fluxes are solved for at each step.

Radii and centres are in pixels in here; what is handed out is in arcsec.
"""

__all__ = ["Component", "ParametricFit", "fit_parametric", "fit_sersic"]

import dataclasses

import galsim
import numpy as np
from scipy import ndimage

from .sersic import N_RANGE, Convolved, Sampled

# A smaller component [pixels] cannot be told from a point.
_SMALLEST_RADIUS = 0.1
# Logarithm of the flattest axis ratio, 0.05.
_LARGEST_ETA = 3.0
# chi^2 that a fit has to gain over an empty stamp to count, in units of the variance of what it
# leaves.  In 300 stamps of nothing but white noise the largest gain was 29; the faintest galaxies
# of the COSMOS sample, of magnitude 26.5, gain more than 150.
_SIGNIFICANT = 50.0
# How many steps a fit takes at most.
_STEPS = 60


@dataclasses.dataclass(frozen=True)
class Component:
    """One elliptical Sersic profile.

    Attributes:
        flux:               Total flux, out to infinity.
        half_light_radius:  Half-light radius of the round profile of the same area [arcsec], the
                            geometric mean of the half-light semi-axes.
        n:                  Sersic index.
        q:                  Axis ratio, minor over major.
        angle:              Position angle of the major axis [radians], from +x to +y.
    """

    flux: float
    half_light_radius: float
    n: float
    q: float
    angle: float

    def profile(self):
        """The component as a GSObject, about the origin."""
        if self.n == 4.0:
            round_one = galsim.DeVaucouleurs(
                half_light_radius=self.half_light_radius, flux=self.flux)
        elif self.n == 1.0:
            round_one = galsim.Exponential(
                half_light_radius=self.half_light_radius, flux=self.flux)
        else:
            round_one = galsim.Sersic(
                self.n, half_light_radius=self.half_light_radius, flux=self.flux)
        return round_one.shear(q=self.q, beta=self.angle * galsim.radians)


@dataclasses.dataclass(frozen=True)
class ParametricFit:
    """A parametric fit to a stamp.

    Attributes:
        kind:       "sersic" or "bulge+disk".
        components: Its `Component` s, the bulge first; none where there was nothing to fit.
        centre:     Their common centre (x, y) from the true centre of the stamp [arcsec].
        stamp:      The noiseless model through the PSF, float64, shape [S, S].  Always finite.
        chi2:       Sum of squared residuals / noise_sigma^2 / number of pixels used.
        success:    Whether a galaxy was found: the fit has light, gains significantly over an empty
                    stamp, and no half-light radius ran up to the size of the stamp.
    """

    kind: str
    components: tuple
    centre: tuple
    stamp: np.ndarray
    chi2: float
    success: bool

    def profile(self):
        """The profile before PSF and pixel.

        Returns:
            a GSObject.

        Raises:
            galsim.GalSimError: if the fit has no components.
        """
        if not self.components:
            raise galsim.GalSimError("The stamp could not be fitted: there is no profile.")
        parts = [component.profile() for component in self.components]
        return (galsim.Add(parts) if len(parts) > 1 else parts[0]).shift(*self.centre)


def fit_parametric(observation):
    """The better one of a Sersic profile and a bulge with a disk.

    The bulge (de Vaucouleurs, n = 4) and the disk (exponential, n = 1) share a centre, and each has
    its own flux, half-light radius, axis ratio and position angle; either may be the larger one.
    They are chosen where their BIC is lower than that of the Sersic profile: 10 free parameters
    instead of 7, so chi^2 must be lower by 3 ln(number of pixels), 29 for 128 x 128.  This is the
    chi^2 of white noise, whether or not the noise is correlated; the correlation of real stamps
    makes it somewhat easier for the two components to win.

    Parameters:
        observation:    A `galsim_deep.validation.observation.Observation`.  NaN pixels of its stamp
                        are left out.

    Returns:
        a `ParametricFit`.

    Raises:
        galsim.GalSimError: if noise_sigma or the pixel scale is not positive or the stamp or the
                            PSF has a shape that cannot be used.
    """
    data = _Data(observation.stamp, observation.pixel_scale, observation.psf,
                 observation.noise_sigma)
    single = _best_sersic(data)
    if single is None:
        return data.no_fit("sersic")
    penalty = 3 * np.log(data.number) * data.variance
    double = _best_bulge_and_disk(data, single, single.cost - penalty)
    return data.as_fit(single if double is None else double)


def fit_sersic(stamp, pixel_scale, psf=None, noise_sigma=1.0):
    """The best single Sersic profile.

    Parameters:
        stamp:          Shape [S, S], flux per pixel; rows are y.  NaN pixels are left out.
        pixel_scale:    Size of a pixel [arcsec].
        psf:            Effective PSF (pixel response included), shape [P, P], P odd, centred on the
                        middle pixel, in pixels of the stamp.  [default: None, ``stamp`` is a
                        profile sampled at the centres of the pixels, and so is the model]
        noise_sigma:    Standard deviation of the noise in a pixel.  All pixels weigh the same; it
                        only sets the scale of chi2.

    Returns:
        a `ParametricFit`.

    Raises:
        galsim.GalSimError: if noise_sigma or the pixel scale is not positive or the stamp or the
                            PSF has a shape that cannot be used.
    """
    data = _Data(stamp, pixel_scale, psf, noise_sigma)
    best = _best_sersic(data)
    return data.no_fit("sersic") if best is None else data.as_fit(best)


def _best_sersic(data):
    """A Sersic profile from each of several starts, the best of them; None if there is nothing."""
    start = data.start()
    if start is None:
        return None
    x, y, radius, eta1, eta2 = start
    found = []
    for n, growth in ((1.0, 1.0), (3.5, 1.5)):
        theta = [x, y, np.log(growth * radius), eta1, eta2, np.log(n)]
        found.append(_minimise(data, theta, (None,)))
    return min(found, key=lambda solution: solution.cost)


def _best_bulge_and_disk(data, single, goal):
    """A bulge and a disk from each of several starts around the best Sersic profile, the best.

    None if there is none with a sum of squares below ``goal``.  Starts that can no longer get below
    that, or below what another one has reached, are given up on the way.
    """
    x, y, log_radius, eta1, eta2, _ = single.theta
    best = None
    for bulge, bulge_shape, disk, disk_shape in _STARTS:
        theta = [x, y, log_radius + bulge, bulge_shape * eta1, bulge_shape * eta2,
                 log_radius + disk, disk_shape * eta1, disk_shape * eta2]
        found = _minimise(data, theta, (4.0, 1.0), goal)
        # With one flux at zero it is a lone bulge or disk, which the Sersic profile includes.
        if found.cost < goal and data.sound(found):
            best, goal = found, found.cost
    return best


# Bulge and disk to begin with: change of the log radius of the Sersic profile and factor to its
# conformal shear, for either.  They are a small bulge, a nucleus, a halo around a disk, a bulge
# with a disk in its core, and a disk with a flat bar.
_STARTS = ((-0.7, 0.5, 0.2, 1.0), (-2.0, 0.0, 0.0, 1.0), (0.7, 0.5, -0.3, 1.0),
           (0.3, 1.0, -2.0, 0.0), (-0.3, 2.0, 0.0, 1.0))


class _Data:
    """A stamp made ready for fitting: checked, masked, scaled, with the transform of its PSF."""

    def __init__(self, stamp, pixel_scale, psf, noise_sigma):
        stamp = np.asarray(stamp, float)
        if stamp.ndim != 2 or min(stamp.shape) < 8:
            raise galsim.GalSimValueError("A stamp must have two dimensions, each of 8 or more.",
                                          stamp.shape)
        for name, value in (("pixel_scale", pixel_scale), ("noise_sigma", noise_sigma)):
            if not (np.isfinite(value) and value > 0):
                raise galsim.GalSimRangeError(f"{name} must be positive.", value, 0.0)
        self.pixel_scale = float(pixel_scale)
        self.used = np.isfinite(stamp)
        self.number = max(1, int(self.used.sum()))
        stamp = np.where(self.used, stamp, 0.0)
        # Fitted in units that keep all numbers near one, whatever the flux.
        self.unit = np.abs(stamp).max() or 1.0
        self.stamp = stamp / self.unit
        self.variance = float(np.clip(noise_sigma / self.unit, 1e-150, 1e150)) ** 2
        self.total = float((self.stamp**2).sum())
        self.psf = None if psf is None else np.asarray(psf, float)
        self.model = Sampled(stamp.shape) if psf is None else Convolved(stamp.shape, self.psf)

    def start(self):
        """Centre, half-light radius and conformal shear to begin with [pixels], or None."""
        if self.total == 0:
            return None
        middle = 0.5 * (np.array(self.stamp.shape[::-1]) - 1)
        smooth = ndimage.gaussian_filter(self.stamp, 2.0)
        y, x = np.unravel_index(smooth.argmax(), smooth.shape)
        for guess in (middle, np.array([x, y])):
            seen = _moments(self.stamp, self.used, guess)
            if seen is not None:
                break
        else:
            high = (smooth > 0.5 * smooth.max()).sum()
            seen = x, y, max(1.0, np.sqrt(high / np.pi) / 1.18), 0.0, 0.0
        x, y, size, e1, e2 = seen
        own = size**2
        if self.psf is not None:
            seen = _moments(self.psf, np.ones(self.psf.shape, bool),
                            0.5 * (np.array(self.psf.shape[::-1]) - 1))
            if seen is not None:
                own = max(size**2 - seen[2] ** 2, 0.1 * size**2)
        # The shape before the PSF made it rounder.
        e1, e2 = e1 * size**2 / own, e2 * size**2 / own
        e = np.hypot(e1, e2)
        stretch = np.arctanh(min(e, 0.9)) / e if e > 1e-6 else 1.0
        return x - middle[0], y - middle[1], 1.3 * np.sqrt(own), stretch * e1, stretch * e2

    def as_fit(self, solution):
        """A `ParametricFit` from a `_Solution`."""
        components = []
        for flux, (log_radius, eta1, eta2, n) in zip(
                solution.fluxes, solution.shapes(), strict=True):
            components.append(Component(
                float(flux * self.unit), float(np.exp(log_radius) * self.pixel_scale), float(n),
                float(np.exp(-np.hypot(eta1, eta2))), float(0.5 * np.arctan2(eta2, eta1))))
        centre = tuple(float(value * self.pixel_scale) for value in solution.theta[:2])
        return ParametricFit(
            "sersic" if len(components) == 1 else "bulge+disk", tuple(components), centre,
            self.unit * solution.stamp, self._chi2(solution.cost), self.sound(solution))

    def sound(self, solution):
        """Whether all components shine and are smaller than the stamp, and make a difference."""
        largest = np.log(max(self.stamp.shape)) - 0.01
        gain = self.total - solution.cost
        return (min(solution.fluxes) > 0 and max(s[0] for s in solution.shapes()) < largest
                and bool(gain * (self.number - 7) > _SIGNIFICANT * solution.cost))

    def _chi2(self, cost):
        return float(cost / self.variance / self.number)

    def no_fit(self, kind):
        """What is handed out where there is nothing to fit."""
        return ParametricFit(kind, (), (0.0, 0.0), np.zeros(self.stamp.shape),
                             self._chi2(self.total), False)


def _moments(image, used, guess):
    """Adaptive moments: centre, size (Gaussian sigma) [pixels] and distortion; None if they fail.

    Parameters:
        image:  Shape [S, S].
        used:   Which pixels to use.
        guess:  Where to begin, (x, y).
    """
    seen = galsim.hsm.FindAdaptiveMom(
        galsim.Image(np.ascontiguousarray(image), xmin=0, ymin=0),
        weight=galsim.Image(used.astype(np.int32), xmin=0, ymin=0),
        guess_centroid=galsim.PositionD(*guess), strict=False)
    if seen.error_message or not seen.moments_sigma > 0:
        return None
    x, y = seen.moments_centroid.x, seen.moments_centroid.y
    if not (0 <= x < image.shape[1] and 0 <= y < image.shape[0]
            and seen.moments_sigma < max(image.shape)):
        return None
    return x, y, seen.moments_sigma, seen.observed_shape.e1, seen.observed_shape.e2


# ---- the fit ---------------------------------------------------------------------------------


@dataclasses.dataclass
class _Solution:
    """Where a minimisation ended."""

    theta: np.ndarray   # x, y, then log radius, eta1, eta2 and (if it is free) log n of each
    indices: tuple      # Sersic index of each component, None where it is free
    fluxes: np.ndarray
    stamp: np.ndarray
    cost: float         # sum of squared residuals

    def shapes(self):
        return _split(self.theta, self.indices)


def _split(theta, indices):
    """The (log radius, eta1, eta2, n) of each component."""
    shapes, at = [], 2
    for n in indices:
        shapes.append((*theta[at:at + 3], np.exp(theta[at + 3]) if n is None else n))
        at += 4 if n is None else 3
    return shapes


def _minimise(data, theta, indices, goal=np.inf):
    """Levenberg-Marquardt in the parameters that are not linear, with the fluxes solved for inside.

    Parameters:
        data:       The `_Data`.
        theta:      Where to begin: x, y, then log radius, eta1, eta2 and, if it is free, log n of
                    each component.
        indices:    Sersic index of each component, None where it is free.
        goal:       Sum of squared residuals that the fit has to get below to be of any use; it is
                    given up where it no longer can.  [default: infinity]

    Returns:
        a `_Solution`.
    """
    theta = np.array(theta, float)
    low, high = _bounds(data, theta, indices)
    theta = _into_bounds(theta, low, high, indices)
    fluxes, residual, cost = _with_fluxes(data, theta, indices)
    damping = 1e-2
    for left in range(_STEPS, 0, -1):
        curvature, slope = _expansion(data, theta, indices, fluxes, residual)
        damped = np.diag(np.maximum(np.diag(curvature), 1e-9 * max(curvature.max(), 1e-300)))
        # Parameters that stand at a bound and are pushed outwards stay.
        free = ~(((theta <= low) & (slope < 0)) | ((theta >= high) & (slope > 0)))
        before = cost
        for _ in range(12):
            step = np.zeros_like(theta)
            matrix = (curvature + damping * damped)[np.ix_(free, free)]
            step[free] = np.linalg.lstsq(matrix, slope[free], rcond=1e-14)[0]
            # Further than this no second-order expansion holds.
            step[2:] = np.clip(step[2:], -0.7, 0.7)
            trial = _into_bounds(theta + step, low, high, indices)
            found = _with_fluxes(data, trial, indices)
            if found[2] < cost:
                theta, (fluxes, residual, cost) = trial, found
                damping = max(1e-7, 0.1 * damping)
                break
            damping = min(1e9, 8 * damping)
        gain = before - cost
        if gain <= 1e-7 * before or cost <= 1e-14 * data.total:
            break
        # Steps gain less and less, once the first few are done.
        if left < _STEPS - 5 and cost - goal > left * gain:
            break
    basis = data.model.images(theta[:2], _split(theta, indices))
    return _Solution(theta, tuple(indices), fluxes, np.tensordot(fluxes, basis, 1), cost)


def _bounds(data, theta, indices):
    """Lower and upper bounds of the parameters of a fit that begins here."""
    size = np.array(data.stamp.shape[::-1])
    away = max(5.0, float(np.exp(theta[2])))
    low = [*np.clip(theta[:2] - away, -0.5 * size, 0.5 * size)]
    high = [*np.clip(theta[:2] + away, -0.5 * size, 0.5 * size)]
    for n in indices:
        low += [np.log(_SMALLEST_RADIUS), -_LARGEST_ETA, -_LARGEST_ETA]
        high += [np.log(size.max()), _LARGEST_ETA, _LARGEST_ETA]
        if n is None:
            low.append(np.log(N_RANGE[0]))
            high.append(np.log(N_RANGE[1]))
    return np.array(low), np.array(high)


def _into_bounds(theta, low, high, indices):
    """The nearest parameters that are allowed."""
    theta = np.clip(theta, low, high)
    at = 2
    for n in indices:
        eta = np.hypot(*theta[at + 1:at + 3])
        if eta > _LARGEST_ETA:
            theta[at + 1:at + 3] *= _LARGEST_ETA / eta
        at += 4 if n is None else 3
    return theta


def _with_fluxes(data, theta, indices):
    """The best fluxes, the residual that they leave, and the sum of its squares."""
    basis = data.model.images(theta[:2], _split(theta, indices)).reshape(len(indices), -1)
    if not data.used.all():
        basis *= data.used.ravel()
    fluxes = _solve_fluxes(basis @ basis.T, basis @ data.stamp.ravel())
    residual = data.stamp.ravel() - fluxes @ basis
    return fluxes, residual, float(residual @ residual)


def _expansion(data, theta, indices, fluxes, residual):
    """Curvature and slope of half the sum of squares, the fluxes following the other parameters."""
    linear, others = data.model.jacobian(theta[:2], _split(theta, indices), fluxes, indices)
    on = fluxes > 0
    columns = np.concatenate([linear[on], others]).reshape(on.sum() + len(others), -1)
    if not data.used.all():
        columns *= data.used.ravel()
    number = on.sum()
    normal, slope = columns @ columns.T, columns @ residual
    cross = normal[number:, :number]
    mixed = np.linalg.lstsq(normal[:number, :number], cross.T, rcond=1e-12)[0]
    return normal[number:, number:] - cross @ mixed, slope[number:] - mixed.T @ slope[:number]


def _solve_fluxes(normal, right):
    """Non-negative fluxes of one or two components, from the normal equations."""
    if len(right) == 1:
        return np.maximum(right / max(normal[0, 0], 1e-300), 0.0)
    determinant = normal[0, 0] * normal[1, 1] - normal[0, 1] ** 2
    if determinant > 1e-12 * normal[0, 0] * normal[1, 1]:
        both = np.array([normal[1, 1] * right[0] - normal[0, 1] * right[1],
                         normal[0, 0] * right[1] - normal[0, 1] * right[0]]) / determinant
        if both.min() >= 0:
            return both
    alone = np.maximum(right, 0.0) / np.maximum(np.diag(normal), 1e-300)
    keep = np.argmax(alone * right)
    return np.where(np.arange(2) == keep, alone, 0.0)
