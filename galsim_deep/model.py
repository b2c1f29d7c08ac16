"""A trained generative model as a source of GalSim profiles."""

__all__ = ["GenerativeGalaxyModel"]

import dataclasses
import operator
import os
from pathlib import PurePath

import galsim
import numpy as np
from galsim import GalSimIncompatibleValuesError, GalSimRangeError, GalSimValueError

from . import handles, latents
from .profiles import make_profile, make_profiles
from .table import read_clusters, read_columns, read_positive, read_seeds


class GenerativeGalaxyModel:
    """A generative model of galaxy light, conditioned on catalogue columns.

    A module is given by a handle: ``hub:NAME``, a folder, a ``.tar.gz`` file, or a URL of one (see
    `galsim_deep.handles.resolve`).  For each row of a catalogue the model draws a light profile
    before PSF and pixel, as an ordinary `galsim.InterpolatedImage`::

        >>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
        >>> table = astropy.table.Table.read("catalogue.fits")
        >>> galaxies = model.sample(table, rng=galsim.BaseDeviate(42))
        >>> images = [galsim.Convolve(galaxy, psf).drawImage(scale=0.2) for galaxy in galaxies]

    With ``seeds`` a galaxy depends on its seed and its columns and on nothing else, so the same one
    can be had again in another visit, process or order::

        >>> galaxies = model.sample(table, seeds=table["id"])

    A module may tell classes of galaxies apart.  Which class each is of is for the module to draw,
    or is asked for by a column ``cluster`` of the table or by the argument of that name::

        >>> galaxies = model.sample(table, seeds=table["id"], cluster=model.clusters[0])
        >>> table["class"] = model.draw_clusters(table, seeds=table["id"])  # of the natural mix

    Making a model reads its card and checks its files; its graph is loaded by the first call that
    samples.  Models compare equal if they hold the same module, and can be pickled.

    Parameters:
        file_name:      The handle of the module.
        sha256:         The checksum of the archive, needed for a URL that does not state it.
                        [default: None]
        offline:        Whether to keep off the network; None asks ``$GALSIM_DEEP_OFFLINE``.
                        [default: None]

    Attributes:
        file_name:      The handle, as given.
        card:           The card: all metadata of the module (`galsim_deep.card.Card`).
        columns:        Names of the catalogue columns, a tuple of strings.
        clusters:       Names of the module's classes in the order of their ids, a tuple of strings;
                        empty for a module without classes.
        stamp_size:     Pixels on a side of a stamp.
        pixel_scale:    Size of a stamp's pixel [arcsec].
        quantities:     The columns, under the name they have in GalSim-Hub.
        pixel_size:     The pixel scale, under the name it has in GalSim-Hub [arcsec].

    Raises a `galsim.GalSimError` that says what is wrong with the handle or the module.
    """

    _req_params = {"file_name": str}
    _opt_params = {"sha256": str, "offline": bool}
    _single_params = []
    _takes_rng = False

    # Attributes are plain: GalSim's proxies between processes do not pass on properties.
    def __init__(self, file_name, sha256=None, offline=None):
        from .module import load

        if not isinstance(file_name, (str, PurePath)):
            raise GalSimValueError("A handle is text or a path.", file_name)
        self.file_name = str(file_name)
        self.sha256 = sha256
        self.offline = offline
        self._module = load(handles.resolve(file_name, sha256=sha256, offline=offline))
        self.card = self._module.card
        if len(self.card.bands) > 1:
            raise GalSimValueError(
                f"The module {self.card.name} has several bands; this release of galsim-deep "
                "samples modules of one band.", self.card.bands)
        self.columns = tuple(column.name for column in self.card.columns)
        self.clusters = tuple(cluster.name for cluster in self.card.clusters)
        self.stamp_size = self.card.stamp_size
        self.pixel_scale = self.card.pixel_scale
        self.quantities = list(self.columns)
        self.pixel_size = self.pixel_scale

    def sample(self, table=None, noise=None, rng=None, x_interpolant=None, k_interpolant=None,
               pad_factor=None, noise_pad_size=0, gsparams=None, session_config=None, *,
               seeds=None, cluster=None, flux=None, half_light_radius=None, strict=False,
               cat=None):
        """Draw one galaxy for each row of a table.

        Parameters:
            table:              Whatever holds the columns of the model by name: astropy Table,
                                QTable or Row, structured array, dict of arrays or numbers, pandas
                                DataFrame, `galsim.Catalog`.  Units are converted.  Values of
                                columns that the card calls optional may be missing (NaN or
                                masked): they are drawn given the others.  Of a module with classes
                                a column ``cluster`` is read, if there is one.
            noise:              Noise to pad the profiles with, as `galsim.InterpolatedImage` takes
                                it in ``noise_pad``.  The stamps are free of noise and end in zero,
                                so none is needed.  [default: None]
            rng:                A `galsim.BaseDeviate` (or an integer seed) that the galaxies draw
                                from in the order of the rows.  [default: a new one, seeded by the
                                system]
            x_interpolant:      Interpolant in real space.  [default: galsim.Quintic]
            k_interpolant:      Interpolant in Fourier space.  [default: galsim.Quintic]
            pad_factor:         Zero padding for Fourier transforms, over the size of the stamps.
                                [default: 4 over the extent of each galaxy's light; with ``noise``,
                                over the size of the stamps]
            noise_pad_size:     Size of the padding with noise [arcsec].  [default: 0]
            gsparams:           A `galsim.GSParams`.  [default: None]
            seeds:              One integer a row, such as a catalogue id, that alone decides the
                                random part of that galaxy; instead of ``rng``.  Up to 64 bits;
                                seeds that agree modulo 2^64 are the same.  [default: None]
            cluster:            The class of the galaxies, by its id or its name, one for all or one
                                a row; -1, NaN, None, masked or empty where it is to be drawn.  It
                                takes no random numbers from the rest of the galaxy.  A column
                                ``cluster`` is not read then.  [default: the column ``cluster`` of
                                the table; without, all are drawn]
            flux:               Flux to give the galaxies, a number or one a row.
                                [default: that of the module, by the magnitude asked for]
            half_light_radius:  Half-light radius to give the profiles before PSF [arcsec], about
                                the centroid of light, a number or one a row.
                                [default: as the module makes them]
            strict:             Raise an error rather than warn where a column is outside of the
                                valid range on the card.  [default: False]
            session_config:     Accepted from scripts written for GalSim-Hub, and not used.
            cat:                The name of ``table`` in GalSim-Hub.

        Returns:
            a list with one `galsim.InterpolatedImage` a row; empty for an empty table.

        Raises:
            GalSimKeyError:     A column is missing.
            GalSimValueError:   A value cannot be used; names column, row and value.
            GalSimRangeError:   With ``strict``, a value is outside of the valid range.
        """
        rows = self._rows(_one_of(table, cat), rng, seeds, cluster, strict)
        make = self._maker(
            rows, noise=noise, noise_pad_size=noise_pad_size, flux=flux,
            half_light_radius=half_light_radius, x_interpolant=x_interpolant,
            k_interpolant=k_interpolant, pad_factor=pad_factor, gsparams=gsparams)
        return make(slice(0, len(rows)))

    def stream(self, table=None, rng=None, *, seeds=None, cluster=None, strict=False, cat=None,
               chunk=1024, progress=False, **options):
        """Draw the galaxies of a large table, some rows at a time.

        What is wrong with table or options is found before the first galaxy is drawn.  The galaxies
        are those that `sample` gives, and in memory only as long as somebody holds them.  With
        ``rng`` they are drawn from it as they come, so that nothing else should be in between.

        Parameters:
            table, rng, seeds, cluster, strict, cat:    As in `sample`.
            chunk:              Rows at a time.  [default: 1024]
            progress:           Whether to show a progress bar.  [default: False]
            **options:          Other options of `sample`.  ``noise`` takes ``seeds``: it would draw
                                from ``rng`` between the galaxies.

        Returns:
            an iterator over lists of `galsim.InterpolatedImage`, ``chunk`` in each but the last.

        Raises what `sample` does.
        """
        chunk = operator.index(chunk)
        if chunk < 1:
            raise GalSimRangeError("A chunk has at least one row.", chunk, 1)
        if seeds is None and options.get("noise") is not None:
            raise GalSimIncompatibleValuesError(
                "To pad a stream with noise, give seeds: noise and galaxies would draw from rng by "
                "turns, which depend on the size of a chunk.", noise=options["noise"], rng=rng)
        rows = self._rows(_one_of(table, cat), rng, seeds, cluster, strict)
        return self._chunks(rows, self._maker(rows, **options), chunk, progress)

    @staticmethod
    def _chunks(rows, make, chunk, progress):
        bar = None
        if progress:
            from tqdm import tqdm

            bar = tqdm(total=len(rows), unit="galaxy")
        for first in range(0, len(rows), chunk):
            galaxies = make(slice(first, min(first + chunk, len(rows))))
            yield galaxies
            if bar is not None:
                bar.update(len(galaxies))
        if bar is not None:
            bar.close()

    def _maker(self, rows, noise=None, noise_pad_size=0, flux=None, half_light_radius=None,
               **options):
        """A function from a slice of the rows to their profiles, its arguments checked."""
        given = {name: value for name, value in options.items() if value is not None}
        empty = np.zeros((0, self.stamp_size, self.stamp_size), np.float32)
        make_profiles(empty, self.pixel_scale, **given)  # which says what is wrong with them
        flux = read_positive(flux, "flux", len(rows))
        radius = read_positive(half_light_radius, "half_light_radius", len(rows), unit="arcsec")
        if noise_pad_size and noise is None:
            raise GalSimIncompatibleValuesError(
                "To pad with noise, say which: give noise as well as noise_pad_size.",
                noise=noise, noise_pad_size=noise_pad_size)

        def make(part):
            imposed = {name: values[part] for name, values in
                       dict(flux=flux, half_light_radius=radius).items() if values is not None}
            rngs = rows.rngs(part)
            stamps = self._stamps(rows, part, rngs)
            if noise is None:
                return make_profiles(stamps, self.pixel_scale, **imposed, **given)
            return [make_profile(stamp, self.pixel_scale, noise_pad=noise,
                                 noise_pad_size=noise_pad_size, rng=rngs[i], **given,
                                 **{name: values[i] for name, values in imposed.items()})
                    for i, stamp in enumerate(stamps)]

        return make

    def images(self, table=None, rng=None, *, seeds=None, cluster=None, strict=False, cat=None):
        """Draw one stamp for each row of a table: what `sample` wraps as profiles.

        Parameters are those of `sample`.

        Returns:
            float32, shape [N, stamp_size, stamp_size]: light before PSF and pixel, in the flux
            units of the card; rows are y, columns x, the centre is the true centre of the stamp.
        """
        rows = self._rows(_one_of(table, cat), rng, seeds, cluster, strict)
        everything = slice(0, len(rows))
        return self._stamps(rows, everything, rows.rngs(everything))

    def draw_clusters(self, table=None, rng=None, *, seeds=None, strict=False, cluster=None,
                      cat=None):
        """The class of each galaxy that `sample` draws for the same arguments: a truth catalogue.

        Parameters are those of `sample`.  Where the galaxies are drawn as well, give ``seeds`` to
        both, or one of them a copy of ``rng`` (``rng.duplicate()``): this draws from it as `sample`
        without ``noise`` does.  It also takes the time of `images`, which it makes and throws away.

        Returns:
            int32, shape [N]: ids, places in `clusters`; where a class is asked for, that one.

        Raises:
            GalSimValueError:   The module has no classes; or what `sample` raises.
        """
        if not self.clusters:
            raise GalSimValueError(f"The module {self.card.name} has no classes.", cluster)
        rows = self._rows(_one_of(table, cat), rng, seeds, cluster, strict)
        rngs = rows.rngs(slice(0, len(rows)))
        if not rngs:
            return np.zeros(0, np.int32)
        self._module.check(len(rngs))
        normal = latents.draw(rngs, self.card.latent.size)
        return self._module.draw_clusters(rows.columns, normal, rows.clusters)

    def _rows(self, table, rng, seeds, cluster, strict):
        """Everything that can be wrong with the arguments is found here, before a network runs."""
        if cluster is not None and not self.clusters:
            raise GalSimValueError(f"The module {self.card.name} has no classes.", cluster)
        # A column that is not asked may hold anything, such as a cluster of galaxies.
        columns = read_columns(table, self.card.columns, self.pixel_scale, strict,
                               self.clusters if cluster is None else ())
        count = len(columns[self.columns[0]])
        if cluster is not None:
            clusters = read_clusters(cluster, self.clusters, count)
        else:
            clusters = columns.pop("cluster", None) if self.clusters else None
        if seeds is not None:
            if rng is not None:
                raise GalSimIncompatibleValuesError(
                    "Give either rng or seeds: with seeds a galaxy depends on its seed alone.",
                    rng=rng, seeds=seeds)
            seeds = read_seeds(seeds, count)
        return _Rows(columns, count, latents.one_deviate(rng), seeds, clusters)

    def _stamps(self, rows, part, rngs):
        if not rngs:
            return np.zeros((0, self.stamp_size, self.stamp_size), np.float32)
        columns = {name: values[part] for name, values in rows.columns.items()}
        clusters = None if rows.clusters is None else rows.clusters[part]
        self._module.check(len(rngs))
        stamps = self._module.sample(columns, latents.draw(rngs, self.card.latent.size), clusters)
        # A stamp that is not finite has no finite sum.
        bad = np.flatnonzero(~np.isfinite(stamps.sum(axis=(1, 2), dtype=float)))
        if len(bad):
            asked = {name: float(values[bad[0]]) for name, values in columns.items()}
            if clusters is not None:
                asked["cluster"] = int(clusters[bad[0]])
            raise GalSimValueError(
                f"The module {self.card.name} made a stamp that is not finite in row "
                f"{part.start + bad[0]} ({len(bad)} rows in all). Its valid ranges are in "
                "'galsim-deep info'.", asked)
        return stamps

    # GalSim's config layer asks through methods, which work on a proxy as well.

    def getColumns(self):
        """The names of the columns."""
        return self.columns

    def getClusters(self):
        """The names of the classes."""
        return self.clusters

    def getCard(self):
        """The card."""
        return self.card

    def needs_tensorflow(self):
        """Whether sampling takes TensorFlow: the module has no compact graph."""
        return self._module.sampler is None

    def __eq__(self, other):
        return self is other or (
            isinstance(other, GenerativeGalaxyModel) and self.card == other.card)

    def __hash__(self):
        return hash(("galsim_deep.GenerativeGalaxyModel", self.card.name, self.card.version))

    def __repr__(self):
        options = "".join(
            f", {name}={value!r}" for name, value in
            [("sha256", self.sha256), ("offline", self.offline)] if value is not None)
        return f"galsim_deep.GenerativeGalaxyModel({self.file_name!r}{options})"

    def __str__(self):
        return f"galsim_deep.GenerativeGalaxyModel({self.file_name!r})"

    def __reduce__(self):
        # By handle: the other process resolves it, and loads TensorFlow if and when it samples.
        # A relative path is made whole, since that process may work in another folder.
        handle = self.file_name
        if os.path.exists(handle):
            handle = os.path.abspath(handle)
        return GenerativeGalaxyModel, (handle, self.sha256, self.offline)


@dataclasses.dataclass(frozen=True)
class _Rows:
    """What decides some galaxies: columns, classes, and where their random numbers come from."""

    columns: dict
    count: int
    rng: galsim.BaseDeviate
    seeds: np.ndarray | None
    clusters: np.ndarray | None

    def __len__(self):
        return self.count

    def rngs(self, part):
        """The generators of some of them: a list of `galsim.BaseDeviate`."""
        return latents.deviates(part.stop - part.start, self.rng,
                                None if self.seeds is None else self.seeds[part])


def _one_of(table, cat):
    if (table is None) == (cat is None):
        raise GalSimIncompatibleValuesError(
            "Give one table, as the first argument.", table=table, cat=cat)
    return table if cat is None else cat
