"""Images of elliptical Sersic profiles and their derivatives, fast: the models of a fit.

Through a PSF a model is made in Fourier space.  The transform of a round Sersic profile depends on
nothing but its index and wave number times half-light radius, so it is tabulated once; a component
is that function of a sheared wave vector, times a phase and the transfer function of the PSF.
There is no sampling of cusps anywhere, and all derivatives are at hand.  The light that the
discrete transform wraps around from the far wings is worked out in real space and taken off.

A component is (log of the half-light radius, eta1, eta2, n), eta the conformal shear.  Radii,
centres and wave numbers are in pixels.
"""

__all__ = ["N_RANGE", "Convolved", "Sampled"]

import functools

import galsim
import numpy as np
from scipy import fft, interpolate, special

N_RANGE = (0.3, 6.2)
"""What GalSim allows for the Sersic index."""


class Convolved:
    """Components through a PSF, on the pixels of a stamp.

    The model is limited to the frequencies that the pixels of the PSF can carry.

    Parameters:
        shape:  Shape of the stamp.
        psf:    Shape [P, P], P odd.
    """

    def __init__(self, shape, psf):
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
        # Where the light that comes round is worked out, and how to get from there to the pixels.
        self.nodes_y, self.spread_y = _chebyshev(shape[0])
        self.nodes_x, self.spread_x = _chebyshev(shape[1])
        turns = np.arange(-_TURNS, _TURNS + 1)
        self.turns = np.array([(j, i) for j in turns for i in turns if i or j])
        self.far_x = self.nodes_x[None, None, :] + self.turns[:, 1, None, None] * self.field[1]
        self.far_y = self.nodes_y[None, :, None] + self.turns[:, 0, None, None] * self.field[0]

    def images(self, centre, shapes):
        """Each component with unit flux, shape [C, S, S]."""
        phase = self._phase(centre)
        spectra = np.empty((len(shapes), *phase.shape), complex)
        for i, (log_radius, eta1, eta2, n) in enumerate(shapes):
            where, _ = _where(self.squares, eta1, eta2, 1, log_radius)
            spectra[i] = phase * _look_up(_row(n), where)
        images = self._back(spectra)
        for i, shape in enumerate(shapes):
            images[i] -= self._come_round(centre, shape, False)[0]
        return images

    def jacobian(self, centre, shapes, fluxes, indices):
        """Each component with unit flux, and the derivatives of the whole by each parameter."""
        phase = self._phase(centre)
        spectra, total = [], 0.0
        for (log_radius, eta1, eta2, n), flux, index in zip(shapes, fluxes, indices, strict=True):
            where, (by_eta1, by_eta2) = _where(self.squares, eta1, eta2, 1, log_radius, True)
            value = phase * _look_up(_row(n), where)
            slope = phase * (flux * _look_up(_row(n, "slope"), where))
            spectra += [value, slope, slope * by_eta1, slope * by_eta2]
            if index is None:
                spectra.append(phase * (flux * _look_up(_row(n, "by log n"), where)))
            total = total + flux * value
        spectra += [-1j * self.kx * total, -1j * self.ky * total]
        # Derivatives need not be better than single precision, which is twice as fast.
        images = self._back(np.array(spectra, np.complex64)).astype(float)
        at = 0
        for shape, flux, index in zip(shapes, fluxes, indices, strict=True):
            number = 4 if index is not None else 5
            round_ = self._come_round(centre, shape, True)[:number]
            round_[1:] *= flux
            images[at:at + number] -= round_
            at += number
        firsts = np.cumsum([0] + [4 if index is not None else 5 for index in indices])[:-1]
        others = [i for i in range(len(images) - 2) if i not in firsts]
        return images[firsts], np.concatenate([images[-2:], images[others]])

    def _phase(self, centre):
        """The transfer function with the phase of the centre."""
        y, x = (centre[1] + 0.5 * (self.shape[0] - 1), centre[0] + 0.5 * (self.shape[1] - 1))
        return self.transfer * np.exp(-1j * self.ky * y) * np.exp(-1j * self.kx * x)

    def _back(self, spectra):
        """From spectra to the pixels of the stamp."""
        columns = fft.ifft(spectra, axis=-2)[..., :self.shape[0], :]
        return fft.irfft(columns, self.field[1], axis=-1)[..., :self.shape[1]]

    def _come_round(self, centre, shape, derivatives):
        """Light of a component that the transform wraps around into the stamp.

        It comes from far out, so that it is smooth, the PSF does not matter, and a few nodes do.
        The derivative by the centre is left out: it is nothing compared with that of the rest.

        Returns:
            float64, shape [1 or 5, S, S]: the light, its derivatives by log radius, eta1, eta2 and
            log n.
        """
        log_radius, eta1, eta2, n = shape
        parts = _in_real_space(self.far_x - centre[0], self.far_y - centre[1], shape, derivatives)
        nodes = parts.sum(1)
        # What is further out still is the same everywhere.
        edge = (2 * _TURNS + 1) * np.sqrt(self.field[0] * self.field[1] / np.pi)
        beyond = special.gammaincc(2 * n, _b(n)[0] * (edge / np.exp(log_radius)) ** (1 / n))
        nodes[0] += beyond / (self.field[0] * self.field[1])
        return self.spread_y @ nodes @ self.spread_x.T


class Sampled:
    """A component without PSF, sampled at the centres of the pixels of a stamp.

    Profiles with a cusp have no limit in frequency, so this is done in real space, where it is
    exact.

    Parameters:
        shape:  Shape of the stamp.
    """

    def __init__(self, shape):
        self.y, self.x = np.indices(shape) - 0.5 * (np.array(shape)[:, None, None] - 1)

    def images(self, centre, shapes):
        """Each component with unit flux, shape [C, S, S]."""
        x, y = self.x - centre[0], self.y - centre[1]
        return np.array([_in_real_space(x, y, shape, False)[0] for shape in shapes])

    def jacobian(self, centre, shapes, fluxes, indices):
        """Each component with unit flux, and the derivatives of the whole by each parameter."""
        (shape,), (flux,) = shapes, fluxes
        x, y = self.x - centre[0], self.y - centre[1]
        parts = _in_real_space(x, y, shape, True)
        log_radius, eta1, eta2, _ = shape
        # The derivative by the logarithm of the elliptical radius, and of that by the centre.
        slope = -parts[1] - 2 * parts[0]
        where, _ = _where(_squares(x, y), eta1, eta2, -1, log_radius)
        slope *= -np.exp(-2 * (where + log_radius))
        eta = max(float(np.hypot(eta1, eta2)), 1e-4)
        cosh, sinhc = np.cosh(eta), np.sinh(eta) / eta
        by_x = slope * (cosh * x - sinhc * (eta1 * x + eta2 * y))
        by_y = slope * (cosh * y - sinhc * (eta2 * x - eta1 * y))
        return parts[:1], flux * np.array([by_x, by_y, *parts[1:]])


# How many times around the light is followed.
_TURNS = 2


def _squares(x, y):
    """The quadratic terms of a plane, x^2 + y^2, x^2 - y^2 and 2 x y."""
    return x**2 + y**2, x**2 - y**2, 2 * x * y


def _where(squares, eta1, eta2, sign, log_radius, derivatives=False):
    """Logarithm of the elliptical radius times or over the half-light radius.

    Parameters:
        squares:        As from `_squares`.
        eta1, eta2:     Conformal shear of the component.
        sign:           1 for wave vectors, -1 for positions.
        log_radius:     Logarithm of the half-light radius.
        derivatives:    Whether to give the derivatives of that logarithm by eta1 and eta2 too.

    Returns:
        the logarithm, and the pair of derivatives or None.
    """
    eta = max(float(np.hypot(eta1, eta2)), 1e-4)
    cosh, sinhc = np.cosh(eta), np.sinh(eta) / eta
    both, plus, cross = squares
    along = eta1 * plus + eta2 * cross
    square = np.maximum(cosh * both + (sign * sinhc) * along, 1e-12)
    where = 0.5 * np.log(square) + sign * log_radius
    if not derivatives:
        return where, None
    common = (sinhc * both + (sign * (cosh - sinhc) / eta**2) * along)
    half = 0.5 / square
    return where, (half * (eta1 * common + (sign * sinhc) * plus),
                   half * (eta2 * common + (sign * sinhc) * cross))


def _in_real_space(x, y, shape, derivatives):
    """A component of unit flux at positions from its centre.

    Returns:
        float64, shape [1, ...], or with derivatives [5, ...]: the surface brightness, its
        derivatives by log radius, eta1, eta2 and log n.
    """
    log_radius, eta1, eta2, n = shape
    where, by_eta = _where(_squares(x, y), eta1, eta2, -1, log_radius, derivatives)
    b, b_slope = _b(n)
    power = b * np.exp(where / n)
    scale = 2 * n * np.log(b) - np.log(2 * np.pi * n) - special.gammaln(2 * n) - 2 * log_radius
    value = np.exp(scale - power)
    if not derivatives:
        return value[None]
    slope = value * (-power / n)
    scale_slope = 2 * np.log(b) + 2 * n * b_slope / b - 1 / n - 2 * special.digamma(2 * n)
    by_n = value * (n * scale_slope + power * (where / n - n * b_slope / b))
    return np.array([value, -2 * value - slope, slope * by_eta[0], slope * by_eta[1], by_n])


@functools.lru_cache(maxsize=4096)
def _b(n):
    """The constant of the Sersic law, exp(-b (r / half_light_radius)^(1/n)), and its slope."""
    step = 1e-4
    low, b, high = special.gammaincinv(2 * (n + np.array([-step, 0, step])), 0.5)
    return float(b), float((high - low) / (2 * step))


def _chebyshev(size, number=6):
    """Chebyshev nodes across a stamp, and the matrix from values there to the pixels."""
    unit = np.cos(np.pi * (np.arange(number) + 0.5) / number)
    pixels = (np.arange(size) - 0.5 * (size - 1)) / (0.5 * size)
    vander = np.polynomial.chebyshev.chebvander
    matrix = vander(pixels, number - 1) @ np.linalg.inv(vander(unit, number - 1))
    return 0.5 * size * unit, matrix


# The table: logarithms of wave number times half-light radius.  Up to the wave numbers of a galaxy
# as large as a stamp and as flat as allowed.
_TABLE_START, _TABLE_STEP, _TABLE_SIZE = np.log(1e-4), 0.004, 4400


@functools.cache
def _table():
    """Fourier transform of round Sersic profiles of unit flux and half-light radius.

    Returns:
        a cubic spline in log n, each value being a row over log wave number.
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
def _row(n, what="value"):
    """The table at one Sersic index, or its slope by log wave number, or its slope by log n.

    Returns:
        the values, and what is to be added to each to get to the next.
    """
    if what == "by log n":
        row = _table()(np.log(n), 1)
    else:
        row = _table()(np.log(n))
        if what == "slope":
            row = np.gradient(row, _TABLE_STEP)
    return row, np.diff(row, append=0.0)


def _look_up(row, where):
    """A row of the table at these logarithms of wave number times half-light radius.

    Linear interpolation is good to 2e-6 of the flux at this step.
    """
    place = np.clip((where - _TABLE_START) / _TABLE_STEP, 0.0, _TABLE_SIZE - 1.001)
    left = place.astype(np.intp)
    place -= left
    values, steps = row
    return values[left] + place * steps[left]
