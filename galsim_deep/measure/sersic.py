"""Images of elliptical Sersic profiles and their derivatives: the models of a fit.

A model that is convolved with a PSF is made in Fourier space.  The transform of a round Sersic
profile depends only on its index and on the product of wave number and half-light radius, so it is
tabulated once.  A component is that function of a sheared wave vector, times a phase and the
transfer function of the PSF.  This avoids sampling the cusp of a profile, and gives all derivatives
analytically.  The discrete transform wraps the light of the far wings around into the stamp; that
light is calculated in real space and subtracted.

The shape of a component is (log of the half-light radius, eta1, eta2, n), where eta is the
conformal shear.  Radii, centres and wave numbers are in pixels.

Sersic profiles: Graham & Driver 2005 (PASA 22, 118, arXiv:astro-ph/0503176).
"""

__all__ = ["N_RANGE", "Convolved", "Model", "Sampled"]

import functools
from collections.abc import Sequence
from typing import Protocol

import galsim
import numpy as np
from scipy import fft, interpolate, special

N_RANGE = (0.3, 6.2)
"""Sersic indices that GalSim allows."""

Vector = Sequence[float] | np.ndarray
Shape = Sequence[float]
"""(log half-light radius, eta1, eta2, n) of a component."""


class Model(Protocol):
    """Images of components, which a fit compares with a stamp.

    `Convolved` and `Sampled` have these methods.

    >>> models: list[Model] = [Sampled((32, 32)), Convolved((32, 32), np.ones((1, 1)))]
    >>> [model.images((0, 0), [(np.log(4.0), 0, 0, 1.0)]).shape for model in models]
    [(1, 32, 32), (1, 32, 32)]
    """

    def images(self, centre: Vector, shapes: Sequence[Shape]) -> np.ndarray:
        """Draw each component with unit flux.

        Parameters:
            centre:     Common centre (x, y) [pixels] from the true centre of the stamp.
            shapes:     The `Shape` of each of the C components.

        Returns:
            float64, shape [C, S, S].
        """
        ...

    def jacobian(self, centre: Vector, shapes: Sequence[Shape], fluxes: Vector,
                 indices: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
        """Each component with unit flux [C, S, S], and the derivatives of their sum [D, S, S].

        The derivatives are by the centre x and y, and for each component by log radius, eta1, eta2
        and, if its index is free (None in ``indices``), by log n.
        """
        ...


class Convolved:
    """Components convolved with a PSF, on the pixels of a stamp.

    The model is limited to frequencies below the Nyquist frequency of the pixels of the PSF.

    Parameters:
        shape:  Shape of the stamp.
        psf:    Effective PSF in pixels of the stamp, shape [P, P], P odd.

    Raises:
        galsim.GalSimValueError: if the PSF is not finite, not two-dimensional, or has an even
                                 number of pixels on a side.

    Example:

        >>> psf = galsim.Gaussian(sigma=1.5).drawImage(nx=17, ny=17, scale=1.0, dtype=float).array
        >>> model = Convolved((64, 64), psf / psf.sum())
        >>> bulge, disk = model.images((0, 0), [(np.log(2.0), 0, 0, 4.0), (np.log(4.0), 0, 0, 1.0)])
        >>> round(float(disk.sum()), 2)
        1.0
    """

    def __init__(self, shape: tuple[int, ...], psf: np.ndarray) -> None:
        if psf.ndim != 2 or not all(n % 2 for n in psf.shape) or not np.isfinite(psf).all():
            raise galsim.GalSimValueError(
                "A PSF must be finite and have two dimensions, both odd.", psf.shape)
        self.shape = shape
        self.field = tuple(fft.next_fast_len(n + p - 1, real=True)
                           for n, p in zip(shape, psf.shape, strict=True))
        placed = np.zeros(self.field)
        placed[:psf.shape[0], :psf.shape[1]] = psf
        placed = np.roll(placed, (-(psf.shape[0] // 2), -(psf.shape[1] // 2)), (0, 1))
        self.transfer = fft.rfft2(placed)
        self.ky = 2 * np.pi * fft.fftfreq(self.field[0])[:, None]
        self.kx = 2 * np.pi * fft.rfftfreq(self.field[1])[None, :]
        self.squares = _squares(self.kx, self.ky)
        # Wrapped light is calculated at these nodes and interpolated to the pixels.
        self.nodes_y, self.spread_y = _chebyshev(shape[0])
        self.nodes_x, self.spread_x = _chebyshev(shape[1])
        copies = np.arange(-_COPIES, _COPIES + 1)
        offsets = np.array([(j, i) for j in copies for i in copies if i or j])
        self.far_x = self.nodes_x[None, None, :] + offsets[:, 1, None, None] * self.field[1]
        self.far_y = self.nodes_y[None, :, None] + offsets[:, 0, None, None] * self.field[0]

    def images(self, centre: Vector, shapes: Sequence[Shape]) -> np.ndarray:
        phase = self._phase(centre)
        spectra = np.empty((len(shapes), *phase.shape), complex)
        for i, (log_radius, eta1, eta2, n) in enumerate(shapes):
            log_k, _ = _log_elliptical(self.squares, eta1, eta2, 1, log_radius)
            spectra[i] = phase * _look_up(_row(n), log_k)
        images = self._to_pixels(spectra)
        for i, shape in enumerate(shapes):
            images[i] -= self._wrapped_light(centre, shape, False)[0]
        return images

    def jacobian(self, centre: Vector, shapes: Sequence[Shape], fluxes: Vector,
                 indices: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
        phase = self._phase(centre)
        spectra: list[np.ndarray] = []
        total: np.ndarray | float = 0.0
        for (log_radius, eta1, eta2, n), flux, index in zip(shapes, fluxes, indices, strict=True):
            log_k, (by_eta1, by_eta2) = _log_elliptical(
                self.squares, eta1, eta2, 1, log_radius, True)
            value = phase * _look_up(_row(n), log_k)
            slope = phase * (flux * _look_up(_row(n, "slope"), log_k))
            spectra += [value, slope, slope * by_eta1, slope * by_eta2]
            if index is None:
                spectra.append(phase * (flux * _look_up(_row(n, "by log n"), log_k)))
            total = total + flux * value
        spectra += [-1j * self.kx * total, -1j * self.ky * total]
        # Single precision is enough for derivatives, and twice as fast.
        images = self._to_pixels(np.array(spectra, np.complex64)).astype(float)
        first = 0
        for shape, flux, index in zip(shapes, fluxes, indices, strict=True):
            number = 4 if index is not None else 5
            wrapped = self._wrapped_light(centre, shape, True)[:number]
            wrapped[1:] *= flux
            images[first:first + number] -= wrapped
            first += number
        firsts = np.cumsum([0] + [4 if index is not None else 5 for index in indices])[:-1]
        others = [i for i in range(len(images) - 2) if i not in firsts]
        return images[firsts], np.concatenate([images[-2:], images[others]])

    def _phase(self, centre: Vector) -> np.ndarray:
        """The transfer function times the phase of the centre, on the grid of an rfft2."""
        y, x = (centre[1] + 0.5 * (self.shape[0] - 1), centre[0] + 0.5 * (self.shape[1] - 1))
        return self.transfer * np.exp(-1j * self.ky * y) * np.exp(-1j * self.kx * x)

    def _to_pixels(self, spectra: np.ndarray) -> np.ndarray:
        """The pixels of the stamp from spectra [C, ...]: [C, S, S]."""
        columns = fft.ifft(spectra, axis=-2)[..., :self.shape[0], :]
        return fft.irfft(columns, self.field[1], axis=-1)[..., :self.shape[1]]

    def _wrapped_light(self, centre: Vector, shape: Shape, derivatives: bool
                       ) -> np.ndarray:
        """Light of a component that the transform wraps around into the stamp.

        It comes from the far wings and is smooth, so that the PSF can be ignored and a few
        interpolation nodes are enough.  Its derivative by the centre is negligible and left out.

        Returns:
            float64, shape [1 or 5, S, S]: the light, its derivatives by log radius, eta1, eta2 and
            log n.
        """
        log_radius, eta1, eta2, n = shape
        parts = _in_real_space(self.far_x - centre[0], self.far_y - centre[1], shape, derivatives)
        nodes = parts.sum(1)
        # Light from beyond these copies is taken to be uniform.
        edge = (2 * _COPIES + 1) * np.sqrt(self.field[0] * self.field[1] / np.pi)
        beyond = special.gammaincc(2 * n, _b(n)[0] * (edge / np.exp(log_radius)) ** (1 / n))
        nodes[0] += beyond / (self.field[0] * self.field[1])
        return self.spread_y @ nodes @ self.spread_x.T


class Sampled:
    """A component without PSF, sampled at the centres of the pixels of a stamp.

    Profiles with a cusp are not band limited, so they are calculated in real space, where this is
    exact.

    Parameters:
        shape:  Shape of the stamp.

    Example:

        >>> model = Sampled((64, 64))
        >>> disk, = model.images((0, 0), [(np.log(4.0), 0, 0, 1.0)])
        >>> disk.shape, round(float(disk.sum()), 1)
        ((64, 64), 1.0)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.y, self.x = np.indices(shape) - 0.5 * (np.array(shape)[:, None, None] - 1)

    def images(self, centre: Vector, shapes: Sequence[Shape]) -> np.ndarray:
        x, y = self.x - centre[0], self.y - centre[1]
        return np.array([_in_real_space(x, y, shape, False)[0] for shape in shapes])

    def jacobian(self, centre: Vector, shapes: Sequence[Shape], fluxes: Vector,
                 indices: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
        (shape,), (flux,) = shapes, fluxes
        x, y = self.x - centre[0], self.y - centre[1]
        parts = _in_real_space(x, y, shape, True)
        log_radius, eta1, eta2, _ = shape
        # The derivative by the logarithm of the elliptical radius, and of that by the centre.
        slope = -parts[1] - 2 * parts[0]
        log_r, _ = _log_elliptical(_squares(x, y), eta1, eta2, -1, log_radius)
        slope *= -np.exp(-2 * (log_r + log_radius))
        eta = max(float(np.hypot(eta1, eta2)), 1e-4)
        cosh, sinhc = np.cosh(eta), np.sinh(eta) / eta
        by_x = slope * (cosh * x - sinhc * (eta1 * x + eta2 * y))
        by_y = slope * (cosh * y - sinhc * (eta2 * x - eta1 * y))
        return parts[:1], flux * np.array([by_x, by_y, *parts[1:]])


_COPIES = 2
"""Periodic copies of the field, on either side, whose light in the stamp is subtracted."""

_Squares = tuple[np.ndarray, np.ndarray, np.ndarray]


def _squares(x: np.ndarray, y: np.ndarray) -> _Squares:
    """The quadratic terms of positions: x^2 + y^2, x^2 - y^2 and 2 x y."""
    return x**2 + y**2, x**2 - y**2, 2 * x * y


def _log_elliptical(squares: _Squares, eta1: float, eta2: float, sign: int, log_radius: float,
                    derivatives: bool = False) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Logarithm of an elliptical wave number or radius in units set by the half-light radius R.

    For wave vectors it is ln(k R), for positions ln(r / R), with k or r measured in the sheared
    coordinates in which the component is round.

    Parameters:
        squares:        `_squares` of the wave vectors or positions.
        eta1, eta2:     Conformal shear of the component.
        sign:           1 for wave vectors, -1 for positions.
        log_radius:     Logarithm of the half-light radius.
        derivatives:    Whether to give the derivatives by eta1 and eta2 too.

    Returns:
        the logarithm, and its derivatives by eta1 and eta2; these are empty if not wanted.
    """
    eta = max(float(np.hypot(eta1, eta2)), 1e-4)
    cosh, sinhc = np.cosh(eta), np.sinh(eta) / eta
    both, plus, cross = squares
    along = eta1 * plus + eta2 * cross
    square = np.maximum(cosh * both + (sign * sinhc) * along, 1e-12)
    logarithm = 0.5 * np.log(square) + sign * log_radius
    if not derivatives:
        return logarithm, ()
    common = (sinhc * both + (sign * (cosh - sinhc) / eta**2) * along)
    half = 0.5 / square
    return logarithm, (half * (eta1 * common + (sign * sinhc) * plus),
                       half * (eta2 * common + (sign * sinhc) * cross))


def _in_real_space(x: np.ndarray, y: np.ndarray, shape: Shape, derivatives: bool) -> np.ndarray:
    """Surface brightness of a component of unit flux at positions from its centre.

    Returns:
        float64, shape [1, ...], or with derivatives [5, ...]: the surface brightness, its
        derivatives by log radius, eta1, eta2 and log n.
    """
    log_radius, eta1, eta2, n = shape
    log_r, by_eta = _log_elliptical(_squares(x, y), eta1, eta2, -1, log_radius, derivatives)
    b, b_slope = _b(n)
    power = b * np.exp(log_r / n)
    scale = 2 * n * np.log(b) - np.log(2 * np.pi * n) - special.gammaln(2 * n) - 2 * log_radius
    value = np.exp(scale - power)
    if not derivatives:
        return value[None]
    slope = value * (-power / n)
    scale_slope = 2 * np.log(b) + 2 * n * b_slope / b - 1 / n - 2 * special.digamma(2 * n)
    by_n = value * (n * scale_slope + power * (log_r / n - n * b_slope / b))
    return np.array([value, -2 * value - slope, slope * by_eta[0], slope * by_eta[1], by_n])


@functools.lru_cache(maxsize=4096)
def _b(n: float) -> tuple[float, float]:
    """The constant b of the Sersic law exp(-b (r / half_light_radius)^(1/n)), and db/dn."""
    step = 1e-4
    low, b, high = special.gammaincinv(2 * (n + np.array([-step, 0, step])), 0.5)
    return float(b), float((high - low) / (2 * step))


def _chebyshev(size: int, number: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev nodes across a stamp, and the matrix that interpolates from them to the pixels."""
    unit = np.cos(np.pi * (np.arange(number) + 0.5) / number)
    pixels = (np.arange(size) - 0.5 * (size - 1)) / (0.5 * size)
    vander = np.polynomial.chebyshev.chebvander
    matrix = vander(pixels, number - 1) @ np.linalg.inv(vander(unit, number - 1))
    return 0.5 * size * unit, matrix


# The table's grid in the logarithm of wave number times half-light radius.  It covers galaxies as
# large as a stamp and as flat as a fit allows.
_TABLE_START, _TABLE_STEP, _TABLE_SIZE = np.log(1e-4), 0.004, 4400


@functools.cache
def _table() -> interpolate.CubicSpline:
    """Fourier transforms of round Sersic profiles of unit flux and half-light radius.

    Returns:
        a cubic spline in log n, whose values are rows over the logarithm of the wave number.
    """
    number = 2**14
    middle = 0.5 * (number - 1)
    log_r = (np.arange(number) - middle) * _TABLE_STEP
    r = np.exp(log_r)
    log_n = np.linspace(np.log(N_RANGE[0]) - 0.01, np.log(N_RANGE[1]) + 0.01, 80)
    rows = []
    for n in np.exp(log_n):
        b, _ = _b(n)
        scale = 2 * n * np.log(b) - np.log(n) - special.gammaln(2 * n)
        with np.errstate(over="ignore"):
            light = r * np.exp(scale - b * r ** (1 / n))
        # int 2 pi r f(r) J0(k r) dr, times k, at wave numbers exp(-log_r[::-1]).
        rows.append(fft.fht(light, _TABLE_STEP, 0.0) / r)
    first = round((_TABLE_START - log_r[0]) / _TABLE_STEP)
    return interpolate.CubicSpline(log_n, np.array(rows)[:, first:first + _TABLE_SIZE])


@functools.lru_cache(maxsize=32)
def _row(n: float, what: str = "value") -> tuple[np.ndarray, np.ndarray]:
    """A row of the table at one Sersic index.

    Parameters:
        n:      The Sersic index.
        what:   ``value``, ``slope`` (the derivative by log wave number) or ``by log n``.

    Returns:
        the values, and the differences to the next ones.
    """
    if what == "by log n":
        row = _table()(np.log(n), 1)
    else:
        row = _table()(np.log(n))
        if what == "slope":
            row = np.gradient(row, _TABLE_STEP)
    return row, np.diff(row, append=0.0)


def _look_up(row: tuple[np.ndarray, np.ndarray], log_k: np.ndarray) -> np.ndarray:
    """Values of a row at logarithms of wave number times half-light radius.

    Linear interpolation is accurate to 2e-6 of the flux at the step of the table.
    """
    position = np.clip((log_k - _TABLE_START) / _TABLE_STEP, 0.0, _TABLE_SIZE - 1.001)
    left = position.astype(np.intp)
    position -= left
    values, steps = row
    return values[left] + position * steps[left]
