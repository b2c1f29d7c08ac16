"""The best parametric fit to a galaxy: one Sersic profile, or a bulge and a disc, through its PSF.

The fit is a bounded Levenberg-Marquardt iteration from several starting points, with the analytic
derivatives of `galsim_deep.measure.sersic`.  The fluxes enter linearly and are solved for at each
step (variable projection, Golub & Pereyra 1973).

Inside this module radii and centres are in pixels; those of a `ParametricFit` are in arcsec.
"""

__all__ = ["Component", "ParametricFit", "fit_parametric", "fit_sersic"]

import dataclasses
from collections.abc import Sequence

import galsim
import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ..observations.observation import Observation
from .sersic import N_RANGE, Convolved, Model, Sampled

_SMALLEST_RADIUS = 0.1
"""Smallest half-light radius of a component [pixels]: smaller ones look like a point source."""
_LARGEST_ETA = 3.0
"""Largest conformal shear of a component: an axis ratio of 0.05."""
_SIGNIFICANT = 50.0
"""A fit counts as successful if it lowers chi^2, compared with a model without light, by at least
this much (in units of the variance of the residual).  In 300 stamps of white noise without a galaxy
the largest gain was 29; the faintest galaxies of the COSMOS sample, of magnitude 26.5, gain more
than 150."""
_STEPS = 60
"""Largest number of steps of a fit."""


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

    Example:

        >>> disk = Component(flux=2.0, half_light_radius=0.3, n=1.0, q=0.5, angle=0.0)
        >>> profile = disk.profile()
        >>> type(profile.original).__name__, round(float(profile.flux), 6)
        ('Exponential', 2.0)
    """

    flux: float
    half_light_radius: float
    n: float
    q: float
    angle: float

    def profile(self) -> galsim.GSObject:
        """The component as a GSObject, centred on the origin."""
        if self.n == 4.0:
            circular = galsim.DeVaucouleurs(
                half_light_radius=self.half_light_radius, flux=self.flux)
        elif self.n == 1.0:
            circular = galsim.Exponential(
                half_light_radius=self.half_light_radius, flux=self.flux)
        else:
            circular = galsim.Sersic(
                self.n, half_light_radius=self.half_light_radius, flux=self.flux)
        return circular.shear(q=self.q, beta=self.angle * galsim.radians)


@dataclasses.dataclass(frozen=True)
class ParametricFit:
    """A parametric fit to a stamp.

    Attributes:
        kind:       "sersic" or "bulge+disc".
        components: The `Component` objects, the bulge first; none if there was nothing to fit.
        centre:     Their common centre (x, y) from the true centre of the stamp [arcsec].
        stamp:      The noiseless model through the PSF, float64, shape [S, S].  Always finite.
        chi2:       Sum of squared residuals / noise_sigma^2 / number of pixels used.
        success:    Whether a galaxy was found: all fluxes are positive, chi^2 is significantly
                    lower than for an empty stamp, and no half-light radius reached the size of the
                    stamp.

    Example:

        >>> galaxy = galsim.Exponential(half_light_radius=0.15, flux=2.0)
        >>> stamp = galaxy.drawImage(nx=48, ny=48, scale=0.03, method="no_pixel", dtype=float)
        >>> fit = fit_sersic(stamp.array, pixel_scale=0.03)
        >>> fit.kind, fit.success, fit.stamp.shape
        ('sersic', True, (48, 48))
        >>> round(float(fit.profile().flux), 2)
        2.0
    """

    kind: str
    components: tuple[Component, ...]
    centre: tuple[float, ...]
    stamp: np.ndarray
    chi2: float
    success: bool

    def profile(self) -> galsim.GSObject:
        """The fitted profile as a GSObject, before PSF and pixel.

        Raises:
            galsim.GalSimError: if the fit has no components.
        """
        if not self.components:
            raise galsim.GalSimError("The stamp could not be fitted: there is no profile.")
        parts = [component.profile() for component in self.components]
        return (galsim.Add(parts) if len(parts) > 1 else parts[0]).shift(*self.centre)


def fit_parametric(observation: Observation) -> ParametricFit:
    """Fit a Sersic profile and a bulge with a disc, and return the better one.

    The bulge (de Vaucouleurs, n = 4) and the disc (exponential, n = 1) share a centre; each has its
    own flux, half-light radius, axis ratio and position angle, and either may be the larger one.
    They are chosen if their Bayesian information criterion is lower than that of the Sersic
    profile: with 10 free parameters instead of 7, chi^2 must be lower by 3 ln(number of pixels), 29
    for 128 x 128.  This chi^2 takes the noise to be white.  If it is correlated, as in real
    stamps, the two components are chosen somewhat more often.

    Parameters:
        observation:    The `Observation`; NaN pixels of its stamp are left out.

    Returns:
        a `ParametricFit`.

    Raises:
        galsim.GalSimError: if noise_sigma or the pixel scale is not positive, or the stamp or the
                            PSF has a shape that cannot be used.

    Example::

        fit = fit_parametric(galaxies.observation(0))
        print(fit.kind, [component.half_light_radius for component in fit.components])
    """
    data = _Data(observation.stamp, observation.pixel_scale, observation.psf,
                 observation.noise_sigma)
    single = _best_sersic(data)
    if single is None:
        return data.no_fit("sersic")
    penalty = 3 * np.log(data.number) * data.variance
    double = _best_bulge_and_disc(data, single, single.cost - penalty)
    return data.as_fit(single if double is None else double)


def fit_sersic(stamp: ArrayLike, pixel_scale: float, psf: ArrayLike | None = None,
               noise_sigma: float = 1.0) -> ParametricFit:
    """Fit a single Sersic profile.

    Parameters:
        stamp:          Shape [S, S], flux per pixel; rows are y.  NaN pixels are left out.
        pixel_scale:    Size of a pixel [arcsec].
        psf:            Effective PSF (pixel response included), shape [P, P], P odd, centred on the
                        middle pixel, in pixels of the stamp.  [default: None; both the stamp and
                        the model are then profiles sampled at the centres of the pixels]
        noise_sigma:    Standard deviation of the noise in a pixel.  All pixels have the same
                        weight, so it only sets the scale of chi2.

    Returns:
        a `ParametricFit`.

    Raises:
        galsim.GalSimError: as `fit_parametric`.

    Example::

        >>> import galsim
        >>> galaxy = galsim.Sersic(2.0, half_light_radius=0.3).shear(g1=0.25)
        >>> stamp = galaxy.drawImage(nx=96, ny=96, scale=0.03, method="no_pixel", dtype=float).array
        >>> component, = fit_sersic(stamp, 0.03).components
        >>> round(component.n, 2), round(component.half_light_radius, 2), round(component.q, 2)
        (2.0, 0.3, 0.6)
    """
    data = _Data(stamp, pixel_scale, psf, noise_sigma)
    best = _best_sersic(data)
    return data.no_fit("sersic") if best is None else data.as_fit(best)


def _best_sersic(data: "_Data") -> "_Solution | None":
    """The best Sersic profile of several starting points; None for an empty stamp."""
    start = data.start()
    if start is None:
        return None
    x, y, radius, eta1, eta2 = start
    solutions = []
    for n, growth in ((1.0, 1.0), (3.5, 1.5)):
        theta = [x, y, np.log(growth * radius), eta1, eta2, np.log(n)]
        solutions.append(_minimise(data, theta, (None,)))
    return min(solutions, key=lambda solution: solution.cost)


def _best_bulge_and_disc(data: "_Data", single: "_Solution", goal: float) -> "_Solution | None":
    """The best bulge and disc of several starting points around the best Sersic profile.

    An iteration stops early if it can no longer reach a sum of squares below ``goal``, or below
    that of an earlier starting point.

    Returns:
        a `_Solution`; None if none has a sum of squares below ``goal``.
    """
    x, y, log_radius, eta1, eta2, _ = single.theta
    best = None
    for bulge, bulge_shape, disc, disc_shape in _STARTS:
        theta = [x, y, log_radius + bulge, bulge_shape * eta1, bulge_shape * eta2,
                 log_radius + disc, disc_shape * eta1, disc_shape * eta2]
        solution = _minimise(data, theta, (4.0, 1.0), goal)
        # If one flux is zero it is a single bulge or disc, which is a special Sersic profile.
        if solution.cost < goal and data.is_galaxy(solution):
            best, goal = solution, solution.cost
    return best


_STARTS = ((-0.7, 0.5, 0.2, 1.0), (-2.0, 0.0, 0.0, 1.0), (0.7, 0.5, -0.3, 1.0),
           (0.3, 1.0, -2.0, 0.0), (-0.3, 2.0, 0.0, 1.0))
"""Starting points of bulge and disc, relative to the best Sersic profile: change of the log radius
and factor to the conformal shear, for the bulge and for the disc.  They are a small bulge, a
nucleus, a halo around a disc, a bulge with a disc in its core, and a disc with a flat bar."""


class _Data:
    """A stamp prepared for fitting: checked, masked, scaled, with the transform of its PSF."""

    def __init__(self, stamp: ArrayLike, pixel_scale: float, psf: ArrayLike | None,
                 noise_sigma: float) -> None:
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
        # Scaled so that all numbers are of order one, whatever the flux.
        self.unit = np.abs(stamp).max() or 1.0
        self.stamp = stamp / self.unit
        self.variance = float(np.clip(noise_sigma / self.unit, 1e-150, 1e150)) ** 2
        self.total = float((self.stamp**2).sum())
        self.psf = None if psf is None else np.asarray(psf, float)
        self.model: Model = Sampled(stamp.shape)
        if self.psf is not None:
            self.model = Convolved(stamp.shape, self.psf)

    def start(self) -> tuple[float, ...] | None:
        """The starting point of a fit: x, y and half-light radius [pixels], eta1 and eta2.

        None for an empty stamp.
        """
        if self.total == 0:
            return None
        middle = 0.5 * (np.array(self.stamp.shape[::-1]) - 1)
        smooth = ndimage.gaussian_filter(self.stamp, 2.0)
        y, x = np.unravel_index(smooth.argmax(), smooth.shape)
        for guess in (middle, np.array([x, y])):
            moments = _moments(self.stamp, self.used, guess)
            if moments is not None:
                break
        else:
            high = (smooth > 0.5 * smooth.max()).sum()
            moments = x, y, max(1.0, np.sqrt(high / np.pi) / 1.18), 0.0, 0.0
        x, y, size, e1, e2 = moments
        intrinsic = size**2  # squared size before the PSF
        if self.psf is not None:
            psf_moments = _moments(self.psf, np.ones(self.psf.shape, bool),
                                   0.5 * (np.array(self.psf.shape[::-1]) - 1))
            if psf_moments is not None:
                intrinsic = max(size**2 - psf_moments[2] ** 2, 0.1 * size**2)
        # The PSF makes the shape rounder; this corrects for it.
        e1, e2 = e1 * size**2 / intrinsic, e2 * size**2 / intrinsic
        e = np.hypot(e1, e2)
        stretch = np.arctanh(min(e, 0.9)) / e if e > 1e-6 else 1.0
        return x - middle[0], y - middle[1], 1.3 * np.sqrt(intrinsic), stretch * e1, stretch * e2

    def as_fit(self, solution: "_Solution") -> ParametricFit:
        """A `ParametricFit` from a `_Solution`, in the units of the stamp and in arcsec."""
        components = []
        for flux, (log_radius, eta1, eta2, n) in zip(
                solution.fluxes, solution.shapes(), strict=True):
            components.append(Component(
                float(flux * self.unit), float(np.exp(log_radius) * self.pixel_scale), float(n),
                float(np.exp(-np.hypot(eta1, eta2))), float(0.5 * np.arctan2(eta2, eta1))))
        centre = tuple(float(value * self.pixel_scale) for value in solution.theta[:2])
        return ParametricFit(
            "sersic" if len(components) == 1 else "bulge+disc", tuple(components), centre,
            self.unit * solution.stamp, self._chi2(solution.cost), self.is_galaxy(solution))

    def is_galaxy(self, solution: "_Solution") -> bool:
        """Whether a fit is successful; see ``success`` of a `ParametricFit`."""
        largest = np.log(max(self.stamp.shape)) - 0.01
        gain = self.total - solution.cost
        return bool(min(solution.fluxes) > 0 and max(s[0] for s in solution.shapes()) < largest
                    and gain * (self.number - 7) > _SIGNIFICANT * solution.cost)

    def _chi2(self, cost: float) -> float:
        return float(cost / self.variance / self.number)

    def no_fit(self, kind: str) -> ParametricFit:
        """The `ParametricFit` of a stamp without light: no components, and an empty model."""
        return ParametricFit(kind, (), (0.0, 0.0), np.zeros(self.stamp.shape),
                             self._chi2(self.total), False)


def _moments(image: np.ndarray, used: np.ndarray, guess: np.ndarray
             ) -> tuple[float, ...] | None:
    """Adaptive moments for the starting point of a fit.

    Parameters:
        image:  Shape [S, S].
        used:   Which pixels to use, bool [S, S].
        guess:  The start of the iteration, (x, y) [pixels] from the first pixel.

    Returns:
        centre x, y and size (Gaussian sigma) [pixels], distortion e1, e2; None if they fail.
    """
    moments = galsim.hsm.FindAdaptiveMom(
        galsim.Image(np.ascontiguousarray(image), xmin=0, ymin=0),
        weight=galsim.Image(used.astype(np.int32), xmin=0, ymin=0),
        guess_centroid=galsim.PositionD(*guess), strict=False)
    if moments.error_message or not moments.moments_sigma > 0:
        return None
    x, y = moments.moments_centroid.x, moments.moments_centroid.y
    if not (0 <= x < image.shape[1] and 0 <= y < image.shape[0]
            and moments.moments_sigma < max(image.shape)):
        return None
    return x, y, moments.moments_sigma, moments.observed_shape.e1, moments.observed_shape.e2


# ---- the fit ---------------------------------------------------------------------------------


@dataclasses.dataclass
class _Solution:
    """The result of a minimisation.

    Attributes:
        theta:      x, y, then log radius, eta1, eta2 and, if it is free, log n of each component.
        indices:    Sersic index of each component, None if it is free.
        fluxes:     Flux of each component.
        stamp:      The model, shape [S, S].
        cost:       Sum of squared residuals.
    """

    theta: np.ndarray
    indices: tuple[float | None, ...]
    fluxes: np.ndarray
    stamp: np.ndarray
    cost: float

    def shapes(self) -> list[tuple[float, ...]]:
        """(log radius, eta1, eta2, n) of each component."""
        return _split(self.theta, self.indices)


def _split(theta: np.ndarray, indices: Sequence[float | None]) -> list[tuple[float, ...]]:
    """The (log radius, eta1, eta2, n) of each component."""
    shapes, first = [], 2
    for n in indices:
        shapes.append((*theta[first:first + 3], np.exp(theta[first + 3]) if n is None else n))
        first += 4 if n is None else 3
    return shapes


def _minimise(data: _Data, theta: ArrayLike, indices: Sequence[float | None],
              goal: float = np.inf) -> _Solution:
    """Levenberg-Marquardt in the nonlinear parameters; the fluxes are solved for at each step.

    Parameters:
        data:       The `_Data`.
        theta:      Starting point: x, y, then log radius, eta1, eta2 and, if it is free, log n of
                    each component.
        indices:    Sersic index of each component, None if it is free.
        goal:       The iteration stops if it can no longer reach a sum of squared residuals
                    below this.  [default: infinity]

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
        # Parameters at a bound stay there if the step would move them outwards.
        free = ~(((theta <= low) & (slope < 0)) | ((theta >= high) & (slope > 0)))
        before = cost
        for _ in range(12):
            step = np.zeros_like(theta)
            matrix = (curvature + damping * damped)[np.ix_(free, free)]
            step[free] = np.linalg.lstsq(matrix, slope[free], rcond=1e-14)[0]
            # The second-order expansion does not hold for larger steps.
            step[2:] = np.clip(step[2:], -0.7, 0.7)
            trial = _into_bounds(theta + step, low, high, indices)
            trial_fluxes, trial_residual, trial_cost = _with_fluxes(data, trial, indices)
            if trial_cost < cost:
                theta, fluxes, residual, cost = trial, trial_fluxes, trial_residual, trial_cost
                damping = max(1e-7, 0.1 * damping)
                break
            damping = min(1e9, 8 * damping)
        gain = before - cost
        if gain <= 1e-7 * before or cost <= 1e-14 * data.total:
            break
        # After the first few steps the gain falls from step to step.
        if left < _STEPS - 5 and cost - goal > left * gain:
            break
    basis = data.model.images(theta[:2], _split(theta, indices))
    return _Solution(theta, tuple(indices), fluxes, np.tensordot(fluxes, basis, 1), cost)


def _bounds(data: _Data, theta: np.ndarray, indices: Sequence[float | None]
            ) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of the parameters of a fit with the starting point ``theta``."""
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


def _into_bounds(theta: np.ndarray, low: np.ndarray, high: np.ndarray,
                 indices: Sequence[float | None]) -> np.ndarray:
    """The nearest parameters within the bounds."""
    theta = np.clip(theta, low, high)
    first = 2
    for n in indices:
        eta = np.hypot(*theta[first + 1:first + 3])
        if eta > _LARGEST_ETA:
            theta[first + 1:first + 3] *= _LARGEST_ETA / eta
        first += 4 if n is None else 3
    return theta


def _with_fluxes(data: _Data, theta: np.ndarray, indices: Sequence[float | None]
                 ) -> tuple[np.ndarray, np.ndarray, float]:
    """The best fluxes [C], the residual [pixels] and the sum of its squares."""
    basis = data.model.images(theta[:2], _split(theta, indices)).reshape(len(indices), -1)
    if not data.used.all():
        basis *= data.used.ravel()
    fluxes = _solve_fluxes(basis @ basis.T, basis @ data.stamp.ravel())
    residual = data.stamp.ravel() - fluxes @ basis
    return fluxes, residual, float(residual @ residual)


def _expansion(data: _Data, theta: np.ndarray, indices: Sequence[float | None],
               fluxes: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curvature and negative gradient of half the sum of squares by the nonlinear parameters.

    The fluxes are eliminated: they follow the other parameters.
    """
    linear, others = data.model.jacobian(theta[:2], _split(theta, indices), fluxes, indices)
    positive = fluxes > 0
    number = positive.sum()
    columns = np.concatenate([linear[positive], others]).reshape(number + len(others), -1)
    if not data.used.all():
        columns *= data.used.ravel()
    normal, slope = columns @ columns.T, columns @ residual
    cross = normal[number:, :number]
    mixed = np.linalg.lstsq(normal[:number, :number], cross.T, rcond=1e-12)[0]
    return normal[number:, number:] - cross @ mixed, slope[number:] - mixed.T @ slope[:number]


def _solve_fluxes(normal: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Non-negative fluxes of one or two components, from the normal equations.

    Parameters:
        normal:     Scalar products of the components, shape [C, C], C = 1 or 2.
        right:      Scalar products of the components with the stamp, shape [C].
    """
    if len(right) == 1:
        return np.maximum(right / max(normal[0, 0], 1e-300), 0.0)
    determinant = normal[0, 0] * normal[1, 1] - normal[0, 1] ** 2
    if determinant > 1e-12 * normal[0, 0] * normal[1, 1]:
        both = np.array([normal[1, 1] * right[0] - normal[0, 1] * right[1],
                         normal[0, 0] * right[1] - normal[0, 1] * right[0]]) / determinant
        if both.min() >= 0:
            return both
    single_flux = np.maximum(right, 0.0) / np.maximum(np.diag(normal), 1e-300)
    keep = np.argmax(single_flux * right)
    return np.where(np.arange(2) == keep, single_flux, 0.0)
