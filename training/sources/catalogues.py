#!/usr/bin/env python
"""Public catalogues of galaxies, as compact tables with common columns.

    python training/sources/catalogues.py DATA_FOLDER catalogues.h5

Columns (those that a catalogue does not have are absent, values that it lacks are NaN):

=====================  ============================================================================
magnitude              F814W, AB
half_light_radius      [arcsec], circularised, sqrt(axis ratio) times the semi-major axis, before
                       the PSF
redshift               spectroscopic where there is one, else photometric
sersic_n, axis_ratio   of a Sersic profile fitted before the PSF
bulge_fraction         of the light, of a bulge with n = 4 and a disc with n = 1
concentration          5 lg(r80 / r20)
gini, m20, asymmetry   as usual (Lotz et al. 2004, astro-ph/0311352; Conselice 2003,
                       astro-ph/0303065)
=====================  ============================================================================

What deviates from that is said in the notes of the catalogue.  The galaxies whose stamps judge a
model (COSMOS stamps with PSFs) are left out of all catalogues.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import galsim
import h5py
import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.spatial import cKDTree

__all__ = ["catalogues", "write_catalogues"]

SEED = 20261125
"""Seed of the random numbers of statistical matching, see `_cosmos_shapes`."""
JUDGES = ("cosmos_f814w_50/real_galaxy_catalog.fits", "cosmos_misc/paltas_10/*catalog*.fits",
          "cosmos_misc/slsim_2/*catalog*.fits")
"""Catalogues, within the data folder, of the galaxies that are left out."""
WFC3_PSF = "candels_hst/psf_tinytim_h.fits"
"""The PSF of WFC3 in F160W, within the data folder, in pixels of 0.13 arcsec."""
WFC3_PSF_RADIUS = 0.14
"""The half-light radius that it has in the images of 3D-HST [arcsec]."""
INFRARED = 1.4
"""Wavelength of the detection images of 3D-HST, the sum of F125W, F140W and F160W [micron]."""
SMALLEST = 0.04
"""Smallest half-light radius that this PSF lets one measure [arcsec]."""
TYPICAL_Q = 0.55
"""Axis ratio for the effect of PSF and circular apertures on a size: the median of Sersic fits."""


def catalogues(data_folder: str | Path) -> dict[str, Table]:
    """The catalogues that a folder of public data holds.

    Parameters:
        data_folder:    The folder, with one folder for each set of data.

    Returns:
        {name: table}; ``table.meta`` has ``title``, ``origin``, ``citation``, ``terms`` and
        ``notes``, all text.  The same folder gives the same tables.
    """
    folder = Path(data_folder)
    tables = {name: read(folder) for name, read in _READERS.items()}
    if (folder / _FITS_3DHST).is_dir():
        tables["cosmos_3dhst"] = _cosmos_3dhst(folder)
    for table in tables.values():
        for name in table.colnames:
            if table[name].dtype.kind == "f":
                # Three digits are more than what was measured, and compress well.
                table[name] = np.asarray(table[name]).round(3).astype(np.float32)
    return tables


def write_catalogues(path: str | Path, tables: dict[str, Table]) -> None:
    """Write tables as ``catalogues/NAME`` of an HDF5 file of their own.

    Parameters:
        path:       The file.
        tables:     As `catalogues` returns them.
    """
    with h5py.File(path, "w") as file:
        for name, table in tables.items():
            data = file.create_dataset(f"catalogues/{name}", data=np.asarray(table),
                                       compression="gzip", compression_opts=9, shuffle=True)
            data.attrs.update(table.meta)


# ---- COSMOS, HST/ACS F814W -------------------------------------------------------------------

_COSMOS = "cosmos_catalogs"


def _cosmos_fits_300(folder: Path) -> Table:
    rows = _csv(folder / _COSMOS / "cosmos_joined_N300.csv")
    rows = rows[~np.isin(rows["IDENT"], _judges(folder))]
    ellipticity = _values(rows, "abs_g")
    bulge = _values(rows, "bulge_tot")
    return Table(dict(
        magnitude=_values(rows, "F814W"), half_light_radius=_values(rows, "hlr_arcsec"),
        sersic_n=_values(rows, "n_sersic"), axis_ratio=(1 - ellipticity) / (1 + ellipticity),
        bulge_fraction=np.where(bulge >= 0, bulge, np.nan)), meta=dict(
            title="Sersic fits to COSMOS galaxies brighter than 22.5",
            origin="HST/ACS F814W, COSMOS; github.com/GalSim-developers/GalSim, devel/external; "
                   "magnitudes and bulge fractions: github.com/barnabytprowe/great3-public",
            citation="Leauthaud et al. 2007 (astro-ph/0702359); Lackner & Gunn 2012 "
                     "(arXiv:1201.0763); Mandelbaum et al. 2014 (arXiv:1308.4982)",
            terms="BSD licences of GalSim and great3-public", notes=""))


def _cosmos_fits_100(folder: Path) -> Table:
    rows = _csv(folder / _COSMOS / "cosmos_joined_112_fits.csv")
    # The others have stamps with which models are judged.
    rows = rows[(rows["source"] == "galsim_example") & ~np.isin(rows["IDENT"], _judges(folder))]
    bulge = _values(rows, "dvc_btt")
    return Table(dict(
        magnitude=_values(rows, "mag_auto"),
        half_light_radius=_values(rows, "hlr_arcsec_circ"), redshift=_values(rows, "zphot"),
        sersic_n=_values(rows, "sersic_n"), axis_ratio=_values(rows, "q"),
        bulge_fraction=np.where(bulge >= 0, bulge, np.nan)), meta=dict(
            title="Sersic fits to COSMOS galaxies brighter than 22.5, with redshifts",
            origin="HST/ACS F814W, COSMOS; github.com/GalSim-developers/GalSim, examples/data",
            citation="Leauthaud et al. 2007 (astro-ph/0702359); Lackner & Gunn 2012 "
                     "(arXiv:1201.0763); Mandelbaum et al. 2014 (arXiv:1308.4982)",
            terms="BSD licence of GalSim", notes="Sersic indices were fitted between 0.1 and 6."))


def _cosmos_shapes(folder: Path) -> Table:
    """All COSMOS galaxies to 23.5: magnitudes, ellipticities and bulge fractions.

    Size and Sersic index are not in this catalogue.  They are those of a galaxy with a similar
    bulge fraction, axis ratio and magnitude among the 300 that have both (statistical matching);
    the size is shifted along the mean relation of size and magnitude.
    """
    shapes = Table.read(folder / _COSMOS / "real_galaxy_23.5_shapes.fits")
    fluxes = Table.read(folder / _COSMOS / "shera_catalog_23.5.fits.gz")
    order = np.argsort(fluxes["IDENT"])
    place = np.searchsorted(fluxes["IDENT"][order], shapes["IDENT"]).clip(0, len(fluxes) - 1)
    found = np.asarray(fluxes["IDENT"][order])[place] == np.asarray(shapes["IDENT"])
    keep = found & ~np.isin(shapes["IDENT"], _judges(folder))
    shapes, magnitude = shapes[keep], _values(fluxes, "F814W")[order][place][keep]
    # |e| = (1 - q^2) / (1 + q^2): agrees with the |g| of the 300 fits to 0.014 in the median.
    distortion = np.hypot(_values(shapes, "e1"), _values(shapes, "e2"))
    bulge = _values(shapes, "bulge_tot")
    is_good = (bulge >= 0) & (distortion < 1) & (np.asarray(shapes["do_meas"]) >= 0)
    q = np.sqrt((1 - distortion.clip(0, 1)) / (1 + distortion.clip(0, 1)))

    donors = _cosmos_fits_300(folder)
    donors = donors[np.isfinite(donors["bulge_fraction"])]
    faintest = donors["magnitude"].max()
    tree = cKDTree(np.stack([donors["bulge_fraction"] / 0.06, donors["axis_ratio"] / 0.25,
                             donors["magnitude"] / 0.7], axis=-1))
    nearest = tree.query(np.stack([bulge[is_good] / 0.06, q[is_good] / 0.25,
                                   magnitude[is_good].clip(None, faintest) / 0.7], axis=-1), 8)[1]
    chosen = nearest[np.arange(len(nearest)),
                     np.random.default_rng(SEED).integers(8, size=len(nearest))]
    slope = np.polyfit(donors["magnitude"], np.log(donors["half_light_radius"]), 1)[0]
    shift = slope * (magnitude[is_good] - donors["magnitude"][chosen])
    columns = {name: np.full(len(shapes), np.nan) for name in
               ("half_light_radius", "sersic_n", "axis_ratio", "bulge_fraction")}
    columns["half_light_radius"][is_good] = donors["half_light_radius"][chosen] * np.exp(shift)
    columns["sersic_n"][is_good] = donors["sersic_n"][chosen]
    columns["axis_ratio"][is_good], columns["bulge_fraction"][is_good] = q[is_good], bulge[is_good]
    return Table(dict(magnitude=magnitude, **columns), meta=dict(
        title="COSMOS galaxies to F814W 23.5: magnitudes, ellipticities, bulge fractions",
        origin="HST/ACS F814W, COSMOS; github.com/barnabytprowe/great3-public, inputs/galdata",
        citation="Leauthaud et al. 2007 (astro-ph/0702359); Mandelbaum et al. 2014 "
                 "(arXiv:1308.4982)",
        terms="BSD licence of great3-public",
        notes="Complete in magnitude. half_light_radius and sersic_n are not measured: they are "
              "those of a galaxy alike in bulge fraction, axis ratio and magnitude among 300 "
              "with fits, all brighter than 22.5, the size shifted along its mean relation with "
              "magnitude."))


def _judges(folder: Path) -> np.ndarray:
    """Identifiers of the COSMOS galaxies whose stamps judge a model."""
    return np.concatenate([
        np.asarray(Table.read(path)["IDENT"], np.int64)
        for pattern in JUDGES for path in sorted(folder.glob(pattern))
        if not path.stem.endswith(("_fits", "_selection"))])


# ---- GOODS -----------------------------------------------------------------------------------


def _goods_3dhst(folder: Path) -> Table:
    rows = _csv(folder / "catalogues_hst_jwst" / "pears_x_3dhst_goods.csv.gz")
    magnitude = {}
    for band in ("F606W", "F814W", "F125W", "F160W"):
        flux = _values(rows, f"f_{band}")
        magnitude[band] = 25 - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    spectroscopic = _values(rows, "z_spec")
    redshift = np.where(spectroscopic > 0, spectroscopic, _values(rows, "z_peak"))
    radius = _values(rows, "flux_radius")
    colour = magnitude["F606W"] - magnitude["F125W"]
    terms = np.stack([np.ones(len(rows)), colour, redshift, redshift**2, colour**2,
                      colour * redshift], axis=-1)
    known = np.isfinite(terms.sum(axis=-1) + magnitude["F814W"])
    coefficients = np.linalg.lstsq(
        terms[known], (magnitude["F814W"] - magnitude["F125W"])[known], rcond=None)[0]
    measured = np.isfinite(magnitude["F814W"])
    f814w = np.where(measured, magnitude["F814W"], magnitude["F125W"] + terms @ coefficients)
    keep = ((np.asarray(rows["use_phot"]) == 1) & (np.asarray(rows["star_flag"]) != 1)
            & (redshift > 0.02) & np.isfinite(f814w) & (radius > 0))
    return Table(dict(
        magnitude=f814w, magnitude_measured=measured,
        half_light_radius=_before_psf(0.06 * radius, folder / WFC3_PSF) * _towards_blue(
            redshift, _values(rows, "lmass")),
        redshift=redshift, isophotal_axis_ratio=_values(rows, "b_image") / _values(rows, "a_image"),
        f606w=magnitude["F606W"], f125w=magnitude["F125W"], f160w=magnitude["F160W"]), meta=dict(
            title="3D-HST galaxies of GOODS matched to PEARS: magnitudes, sizes, redshifts",
            origin="HST/ACS and WFC3, GOODS; github.com/bajoshi/massive-galaxies",
            citation="Skelton et al. 2014 (arXiv:1403.3689); Straughn et al. 2009 (AJ 138, 1022)",
            terms="public survey products",
            notes="half_light_radius was computed from that of circular apertures in the near "
                  "infrared, for exponential discs with an axis ratio of "
                  f"{TYPICAL_Q} seen through the PSF of F160W; {SMALLEST} stands for all that are "
                  "not resolved. To F814W they were brought with the mean "
                  "colour gradients of discs of that mass and redshift (arXiv:1404.2844). Where "
                  "magnitude_measured is false, F814W was computed from F606W, F125W and redshift, "
                  "to 0.16 mag. isophotal_axis_ratio is with the PSF, and rounder than that of a "
                  "Sersic profile. Sparse beyond 25.5.")
        )[keep]


def _before_psf(radius: np.ndarray, psf_file: Path) -> np.ndarray:
    """Circularised half-light radii of exponential discs, from those in circular apertures behind
    the PSF; all in arcsec.

    Subtracting the PSF in quadrature would give 20 to 40 % too much below 0.2 arcsec.
    """
    psf = galsim.InterpolatedImage(galsim.Image(fits.getdata(psf_file).astype(float), scale=0.13))
    psf = psf.dilate(WFC3_PSF_RADIUS / _aperture_radius(psf, WFC3_PSF_RADIUS))
    before = np.geomspace(SMALLEST, 3.0, 25)
    behind = [_aperture_radius(
        galsim.Convolve(galsim.Exponential(half_light_radius=size).shear(
            q=TYPICAL_Q, beta=0 * galsim.degrees), psf), np.hypot(size, WFC3_PSF_RADIUS))
        for size in before]
    return np.exp(np.interp(np.log(radius.clip(1e-3, None)), np.log(behind), np.log(before)))


def _towards_blue(redshift: np.ndarray, log_mass: np.ndarray) -> np.ndarray:
    """Size in F814W over size in the near infrared.

    The mean slope of discs in lg(size) and lg(wavelength) of van der Wel et al. 2014
    (arXiv:1404.2844); none where it would be positive.
    """
    slope = -0.35 + 0.12 * redshift - 0.25 * (log_mass - 10)
    return (0.814 / INFRARED) ** np.where(log_mass > 0, slope, 0.0).clip(-1.0, 0.0)


def _aperture_radius(profile: galsim.GSObject, about: float) -> float:
    """Radius of the circle with half of the light within ten times its expected radius."""
    side = 401
    axis = (np.arange(side) - side // 2) * 20 * about / side
    image = profile.drawImage(nx=side, ny=side, scale=axis[1] - axis[0], method="no_pixel",
                              dtype=float).array
    distance = np.hypot(axis, axis[:, None]).ravel()
    order = np.argsort(distance)
    light = np.cumsum(image.ravel()[order])
    inside = distance[order] <= 10 * about
    return float(np.interp(0.5 * light[inside][-1], light[inside], distance[order][inside]))


def _figs_counts(folder: Path) -> Table:
    rows = _csv(folder / "catalogues_hst_jwst" / "figs_9band_nJy.csv.gz")
    flux, error = _values(rows, "f_F814W"), _values(rows, "e_F814W")
    flux = flux[(flux > 5 * error) & (flux < 1e6)]
    return Table(dict(magnitude=31.4 - 2.5 * np.log10(flux)), meta=dict(
        title="Magnitudes of FIGS, for number counts",
        origin="HST/ACS F814W, GOODS; github.com/bajoshi/massive-galaxies",
        citation="Pirzkal et al. 2017 (arXiv:1706.02669)", terms="public survey products",
        notes="Preliminary catalogues, fluxes above five times their error; with stars; complete "
              "to about 26."))


# ---- CEERS, JWST -----------------------------------------------------------------------------


def _ceers(folder: Path) -> Table:
    rows = _csv(folder / "catalogues_hst_jwst" / "ceers_epochs_morfometryka.csv.gz")
    n, q, radius = (_values(rows, name) for name in ("nFit2D", "qFit2D", "RnFit2D"))
    with np.errstate(invalid="ignore"):
        magnitude = 28.0865 - 2.5 * np.log10(_values(rows, "LT"))
    # Fits at a limit did not converge.
    keep = np.isfinite(magnitude) & (n > 0.2) & (n < 8) & (q > 0.06) & (q < 0.985) & (radius < 60)
    return Table(dict(
        magnitude_rest_optical=magnitude, half_light_radius=0.03 * radius * np.sqrt(q),
        sersic_n=n, axis_ratio=q, concentration=5 * _values(rows, "C1"),
        gini=_values(rows, "G"), m20=_values(rows, "M20"), asymmetry=_values(rows, "A0")),
        meta=dict(
            title="CEERS galaxies beyond redshift 1.5: Sersic fits and structure",
            origin="JWST/NIRCam, CEERS; github.com/astroferreira/CEERS_EPOCHS_MORPHO",
            citation="Ferreira et al. 2023 (arXiv:2210.01110)", terms="public survey products",
            notes="Measured in the band nearest to rest-frame optical, whose magnitude is that of "
                  "1.5 Petrosian radii. No redshifts. Low Sersic indices, and galaxies that are "
                  "rounder the smaller they are, suggest that the PSF is not removed."))[keep]


# ---- COSMOS, HST/WFC3 ------------------------------------------------------------------------

_FITS_3DHST = "catalogues_3dhst_cosmos"


def _cosmos_3dhst(folder: Path) -> Table:
    """Sersic fits in F125W of 3D-HST galaxies, with F814W magnitudes from those in GOODS.

    F814W - F125W is the mean of the six galaxies in GOODS that are most alike in redshift, colour,
    magnitude, stellar mass and extinction.  It repeats the measured colours of GOODS to 0.11 mag.
    """
    fits, infrared, stars = (
        Table.read(folder / _FITS_3DHST / name, format="ascii.no_header", comment="#")
        for name in ("cosmos_3dhst.v4.1_f125w.galfit", "cosmos_3dhst.v4.1_f160w.galfit",
                     "cosmos_3dhst.v4.1.fout"))
    flag, f125w, radius, n, q, signal = (
        _values(fits, f"col{number}") for number in (4, 5, 7, 9, 11, 15))
    redshift, extinction, mass = (_values(stars, f"col{number}") for number in (2, 6, 7))
    keep = ((flag == 0) & (_values(infrared, "col4") <= 1) & (redshift > 0.02) & (mass > 0)
            & (n > 0.2) & (n < 8) & (q > 0.05) & (signal > 10))
    rows = _csv(folder / "catalogues_hst_jwst" / "pears_x_3dhst_goods.csv.gz")
    flux = {band: _values(rows, f"f_{band}") for band in ("F814W", "F125W", "F160W")}
    known = ((np.asarray(rows["use_phot"]) == 1) & (_values(rows, "lmass") > 0)
             & np.all([values > 0 for values in flux.values()], axis=0)
             & (_values(rows, "z_peak") > 0.02))
    f814w, j, h = (25 - 2.5 * np.log10(values[known]) for values in flux.values())

    def alike(z, j, h, mass, extinction):
        return np.stack([np.log1p(z) / 0.05, (j - h) / 0.1, (mass + 0.4 * j) / 0.2,
                         extinction / 0.4, j], axis=-1)

    tree = cKDTree(alike(_values(rows, "z_peak")[known], j, h, _values(rows, "lmass")[known],
                         _values(rows, "Av")[known]))
    nearest = tree.query(alike(redshift[keep], f125w[keep], _values(infrared, "col5")[keep],
                               mass[keep], extinction[keep]), 6)[1]
    magnitude = f125w[keep] + (f814w - j)[nearest].mean(axis=-1)
    return Table(dict(
        magnitude=magnitude, half_light_radius=radius[keep] * np.sqrt(q[keep]),
        redshift=redshift[keep], sersic_n=n[keep], axis_ratio=q[keep], f125w=f125w[keep]),
        meta=dict(
            title="Sersic fits to 3D-HST galaxies of COSMOS, with redshifts",
            origin="HST/WFC3 F125W, CANDELS; "
                   "github.com/astronomeralex/aas225-hack-sfr-mstar-morphology",
            citation="van der Wel et al. 2014 (arXiv:1404.2844); Skelton et al. 2014 "
                     "(arXiv:1403.3689)",
            terms="public survey products",
            notes="Fitted in F125W. F814W was estimated from galaxies alike in GOODS."))


# ---- tables ----------------------------------------------------------------------------------

_READERS: dict[str, Callable[[Path], Table]] = dict(
    cosmos_shapes=_cosmos_shapes, cosmos_fits_300=_cosmos_fits_300,
    cosmos_fits_100=_cosmos_fits_100, goods_3dhst=_goods_3dhst, figs_counts=_figs_counts,
    ceers=_ceers)


def _csv(path: Path) -> Table:
    return Table.read(path, format="ascii.csv")


def _values(table: Table, name: str) -> np.ndarray:
    """A column as float64, with NaN for masked values."""
    return np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_folder", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    tables = catalogues(arguments.data_folder)
    write_catalogues(arguments.output, tables)
    for name, table in tables.items():
        print(f"{name}: {len(table)} galaxies, {', '.join(table.colnames)}")


if __name__ == "__main__":
    main()
