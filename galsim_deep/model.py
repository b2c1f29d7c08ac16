"""A trained generative model as a source of GalSim profiles."""

__all__ = ["GenerativeGalaxyModel"]

import dataclasses
import operator
import os
from collections.abc import Callable, Iterator
from numbers import Real
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

import galsim
import numpy as np
from galsim import GalSimIncompatibleValuesError, GalSimRangeError, GalSimValueError
from numpy.typing import NDArray

from .latents import as_deviate, draw_latents, keys_from_deviate, keys_from_seeds
from .profiles.make import make_profile, make_profiles
from .table import read_angles, read_classes, read_columns, read_positive, read_seeds

if TYPE_CHECKING:
    from .modules.card import Card
    from .modules.stamp_choice import Drawn

Profiles = list[galsim.InterpolatedImage]

SIZE_LIMITS = (1e-6, 1e6)
"""Smallest and largest half-light radius that can be imposed [arcsec]: from a microarcsecond to the
whole sky, so that no size of a pixel overflows."""
MAX_PADDING = 64
"""Largest padding relative to the size of the stamps: 0.5 GB for a stamp of 128 pixels."""


class GenerativeGalaxyModel:
    """A generative model of galaxy light, conditioned on catalogue columns.

    A module is given by a handle: ``hub:NAME``, a folder, a ``.tar.gz`` file, or a URL of one
    (see `galsim_deep.modules.resolve.resolve`).  For each row of a catalogue the model draws a
    light profile before PSF and pixel, as an ordinary `galsim.InterpolatedImage`:

        >>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
        >>> table = dict(hlr=[0.15, 0.25], mag_auto=[23.5, 22.0], zphot=[0.8, 0.4])
        >>> galaxies = model.sample(table, rng=galsim.BaseDeviate(42))
        >>> psf = galsim.Kolmogorov(fwhm=0.7)
        >>> images = [galsim.Convolve(galaxy, psf).drawImage(scale=0.2) for galaxy in galaxies]

    With ``seeds`` a galaxy depends on its seed and its columns and on nothing else, so the same one
    is drawn again in another visit, process or order:

        >>> galaxies = model.sample(table, seeds=[101, 102])
        >>> model.sample(table, seeds=[101, 102]) == galaxies
        True

    A module may distinguish classes of galaxies.  The module draws the class of each galaxy, unless
    a column ``galaxy_class`` of the table or the argument of that name says which one is wanted:

        >>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_mpcc")
        >>> table = dict(hlr=[0.15, 0.25], mag_auto=[23.5, 22.0], zphot=[0.8, 0.4])
        >>> galaxies = model.sample(table, seeds=[101, 102], galaxy_class="spiral")
        >>> table["class"] = model.draw_classes(table, seeds=[101, 102])

    Making a model reads its card and compares its files with their checksums; the graph is loaded
    when the first galaxy is sampled.  Models are equal if they hold the same module, and can be
    pickled.

    Parameters:
        file_name:      The handle of the module.
        sha256:         The checksum of the archive, needed for a URL that does not state it.
                        [default: None]
        offline:        If True, never use the network.  [default: None, which means that
                        ``$GALSIM_DEEP_OFFLINE`` determines it]

    Attributes:
        file_name:      The handle, as given.
        card:           All metadata of the module, a `galsim_deep.modules.card.Card`.
        columns:        Names of the catalogue columns, a tuple of strings.
        classes:        Names of the module's classes in the order of their numbers, a tuple of
                        strings; empty for a module without classes.
        stamp_size:     Pixels on a side of a stamp, or of the largest one if the module draws each
                        galaxy on a stamp that fits it.
        pixel_scale:    Size of a stamp's pixel [arcsec], as on the card.  The profiles of a module
                        that gives each galaxy a scale of its own have those scales.
        quantities:     The columns, under the name that GalSim-Hub used.
        pixel_size:     The pixel scale, under the name that GalSim-Hub used [arcsec].

    Raises a `galsim.GalSimError` that says what is wrong with the handle or the module, and a
    `galsim.GalSimValueError` for a module that is not a generator or has several bands.
    """

    _req_params: ClassVar[dict[str, type]] = {"file_name": str}
    _opt_params: ClassVar[dict[str, type]] = {"sha256": str, "offline": bool}
    _single_params: ClassVar[list] = []
    _takes_rng = False

    def __init__(self, file_name: str | PurePath, sha256: str | None = None,
                 offline: bool | None = None) -> None:
        if not isinstance(file_name, (str, PurePath)):
            raise GalSimValueError("file_name must be a string or a path.", file_name)
        self.file_name = str(file_name)
        self.sha256 = sha256
        self.offline = offline
        # Imported here, so that `import galsim_deep` needs neither the packages that read cards nor
        # the files that find modules.
        from .modules.module import load
        from .modules.resolve import resolve

        self._module = load(resolve(file_name, sha256=sha256, offline=offline))
        self.card: Card = self._module.card
        self.card.check_generator()
        if len(self.card.bands) > 1:
            raise GalSimValueError(
                f"The module {self.card.name} has several bands; this release of galsim-deep "
                "makes profiles of one band. Run the module with "
                "galsim_deep.modules.Module(folder).sample.",
                [band.name for band in self.card.bands])
        self.columns = tuple(column.name for column in self.card.columns)
        self.classes = tuple(galaxy_class.name for galaxy_class in self.card.classes)
        self.stamp_size = self.card.stamp_size
        self.pixel_scale = self.card.pixel_scale
        self.quantities = list(self.columns)
        self.pixel_size = self.pixel_scale

    # ---- profiles ----------------------------------------------------------------------------

    def sample(self, table: Any = None, noise: Any = None,
               rng: galsim.BaseDeviate | int | None = None, x_interpolant: Any = None,
               k_interpolant: Any = None, pad_factor: float | None = None,
               noise_pad_size: float = 0, gsparams: galsim.GSParams | None = None,
               session_config: Any = None, *, seeds: Any = None, galaxy_class: Any = None,
               position_angle: Any = None, flux: Any = None, half_light_radius: Any = None,
               strict: bool = False, cat: Any = None) -> Profiles:
        """Draw one galaxy for each row of a table.

        Parameters:
            table:              Anything that holds the columns of the model by name: astropy Table,
                                QTable or Row, structured array, dict of arrays or numbers, pandas
                                DataFrame or Series (one row), `galsim.Catalog`.  Units are
                                converted.  Values of columns that the card calls optional may be
                                missing (NaN or masked): the module then draws them given the
                                others.
            noise:              Noise to pad the profiles with: a `galsim.BaseNoise`, a variance or
                                whatever else `galsim.InterpolatedImage` takes as ``noise_pad``.
                                The stamps are free of noise and fall to zero at the edge, so none
                                is needed.  [default: None]
            rng:                A `galsim.BaseDeviate` (or an integer seed of 32 bits), which gives
                                one 64-bit key for each galaxy, in the order of the rows.
                                [default: a new one, seeded by the system]
            x_interpolant:      Interpolant in real space.  [default: galsim.Quintic]
            k_interpolant:      Interpolant in Fourier space.  [default: galsim.Quintic]
            pad_factor:         Zero padding for Fourier transforms, relative to the size of the
                                stamps.  [default: 4 times the extent of each galaxy's light, but at
                                least 2 times the size of the stamp; with ``noise``, 4 times the
                                size of the stamp]
            noise_pad_size:     Size of the padding with noise [arcsec].  [default: 0]
            gsparams:           A `galsim.GSParams`.  [default: None]
            seeds:              Seed of each galaxy: one integer of up to 64 bits for each row,
                                such as a catalogue id.  It alone determines the random numbers of
                                that galaxy; seeds that agree modulo 2^64 are the same.  Give either
                                ``seeds`` or ``rng``.  [default: None]
            galaxy_class:       The class of the galaxies, by number or by name, one for all or one
                                for each row; -1, NaN, None, masked or empty if the module should
                                draw it.  The random numbers of a galaxy do not depend on it.
                                [default: the column ``galaxy_class`` of the table, if there is one;
                                otherwise all are drawn]
            position_angle:     Position angle of the major axis, from the x axis towards y, one for
                                all or one for each row: a `galsim.Angle`, a quantity with a unit,
                                or a number of degrees; NaN or None if the module should draw it.
                                It is that of the smooth light; arms and knots may change what is
                                measured.  [default: all are drawn]
            flux:               Flux of the galaxies, a number or one for each row.
                                [default: that of the module, given by the magnitude]
            half_light_radius:  Half-light radius of the profiles before PSF [arcsec], about the
                                centroid of light, a number or one for each row.
                                [default: that of the module]
            strict:             Raise an error instead of a warning if a value is outside of the
                                usable range of its column: the extrapolated range on the card if
                                there is one, otherwise the valid range.  [default: False]
            session_config:     Accepted from scripts written for GalSim-Hub, and ignored.
            cat:                The name of ``table`` in GalSim-Hub.

        Returns:
            a list with one `galsim.InterpolatedImage` for each row; empty for an empty table.

        Raises:
            GalSimKeyError:     A column is missing.
            GalSimValueError:   A value cannot be used; names column, row and value.
            GalSimRangeError:   With ``strict``, a value is outside of its usable range.

        >>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
        >>> table = dict(hlr=[0.15, 0.25], mag_auto=[23.5, 22.0], zphot=[0.8, 0.4])
        >>> galaxies = model.sample(table, seeds=[101, 102], flux=[1.0, 2.0])
        >>> [round(galaxy.flux, 6) for galaxy in galaxies]
        [1.0, 2.0]
        """
        rows = self._rows(_only_table(table, cat), rng, seeds, galaxy_class, strict, position_angle)
        make = self._profile_maker(
            rows, noise=noise, noise_pad_size=noise_pad_size, flux=flux,
            half_light_radius=half_light_radius, x_interpolant=x_interpolant,
            k_interpolant=k_interpolant, pad_factor=pad_factor, gsparams=gsparams)
        return make(slice(0, len(rows)))

    def stream(self, table: Any = None, rng: galsim.BaseDeviate | int | None = None, *,
               seeds: Any = None, galaxy_class: Any = None, position_angle: Any = None,
               strict: bool = False, cat: Any = None, chunk: int = 1024, progress: bool = False,
               **options: Any) -> Iterator[Profiles]:
        """Draw the galaxies of a large table, some rows at a time.

        Errors in the table and in the options are raised before the first galaxy is drawn.  The
        galaxies are those of `sample`; they are freed as soon as the caller drops them.

        Parameters:
            table, rng, seeds, galaxy_class, position_angle, strict, cat:    As in `sample`.
            chunk:              Rows at a time.  [default: 1024]
            progress:           Whether to show a progress bar.  [default: False]
            **options:          Other options of `sample`.

        Returns:
            an iterator over lists of `galsim.InterpolatedImage`, ``chunk`` in each but the last.

        Raises what `sample` does.

        >>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
        >>> table = dict(hlr=0.2, mag_auto=np.linspace(22.0, 24.0, 5), zphot=0.7)
        >>> [len(galaxies) for galaxies in model.stream(table, rng=42, chunk=2)]
        [2, 2, 1]
        """
        chunk = operator.index(chunk)
        if chunk < 1:
            raise GalSimRangeError("chunk must be at least 1.", chunk, 1)
        rows = self._rows(_only_table(table, cat), rng, seeds, galaxy_class, strict, position_angle)
        return self._chunks(rows, self._profile_maker(rows, **options), chunk, progress)

    @staticmethod
    def _chunks(rows: "_Rows", make: Callable[[slice], Profiles], chunk: int,
                progress: bool) -> Iterator[Profiles]:
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

    def _profile_maker(
            self, rows: "_Rows", noise: Any = None, noise_pad_size: float = 0,
            flux: Any = None, half_light_radius: Any = None,
            **options: Any) -> Callable[[slice], Profiles]:
        """A function from a slice of the rows to their profiles; the options are checked here."""
        options = {name: value for name, value in options.items() if value is not None}
        _check_types(**options)
        empty = np.zeros((0, self.stamp_size, self.stamp_size), np.float32)
        make_profiles(empty, self.pixel_scale, **options)  # raises an error for wrong options
        fluxes = read_positive(flux, "flux", len(rows))
        radii = read_positive(half_light_radius, "half_light_radius", len(rows), unit="arcsec",
                              limits=SIZE_LIMITS)
        imposed = {name: values for name, values in
                   (("flux", fluxes), ("half_light_radius", radii)) if values is not None}
        if noise_pad_size and noise is None:
            raise GalSimIncompatibleValuesError(
                "noise_pad_size is given without noise. Give both, or neither.",
                noise=noise, noise_pad_size=noise_pad_size)

        def make(part: slice) -> Profiles:
            profiles: list[Any] = [None] * (part.stop - part.start)
            for numbers, outputs in self._draw(rows, part, need_flux=True):
                stamps = outputs["image"][..., 0]
                scales = np.broadcast_to(outputs.get("pixel_scale", self.pixel_scale), len(stamps))
                at = part.start + numbers
                values: dict[str, Any] = {name: array[at] for name, array in imposed.items()}
                if noise is None:
                    made = make_profiles(stamps, scales, **values, **options)
                else:
                    made = [make_profile(
                                stamp, float(scale), noise_pad=noise, rng=_deviate_of(key),
                                noise_pad_size=noise_pad_size, **options,
                                **{name: array[row] for name, array in values.items()})
                            for row, (stamp, scale, key) in enumerate(zip(
                                stamps, scales, rows.keys[at], strict=True))]
                for number, profile in zip(numbers, made, strict=True):
                    profiles[number] = profile
            return profiles

        return make

    # ---- arrays ------------------------------------------------------------------------------

    def outputs(self, table: Any = None, rng: galsim.BaseDeviate | int | None = None, *,
                seeds: Any = None, galaxy_class: Any = None, position_angle: Any = None,
                strict: bool = False, cat: Any = None) -> dict[str, np.ndarray]:
        """All outputs of the module for each row of a table, as arrays.

        Parameters are those of `sample`.

        Returns:
            a dict of ``image``, float32 [N, S, S, B]: light before PSF and pixel in the flux units
            of the card, with rows (y), columns (x) and bands, the origin at the true centre of the
            stamp; for a module with classes, ``galaxy_class``, int32 [N]; and, for a module that
            gives each galaxy a scale of its own, ``pixel_scale``, [N] [arcsec] (not for an
            empty table).

        >>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_mpcc")
        >>> outputs = model.outputs(dict(hlr=0.3, mag_auto=22.0, zphot=0.4), seeds=[7])
        >>> outputs["image"].shape, outputs["galaxy_class"].shape
        ((1, 192, 192, 1), (1,))
        """
        rows = self._rows(_only_table(table, cat), rng, seeds, galaxy_class, strict, position_angle)
        return self._outputs(rows, slice(0, len(rows)))

    def images(self, *args: Any, **kwargs: Any) -> NDArray[np.float32]:
        """Draw one stamp for each row of a table: the output ``image`` of `outputs`.

        Parameters are those of `outputs`.

        Returns:
            float32 [N, S, S, B] (galaxy, y, x, band): flux per pixel in the flux unit of the card.

        >>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
        >>> images = model.images(dict(hlr=0.25, mag_auto=22.0, zphot=0.4), seeds=[7])
        >>> images.ndim, round(float(images.sum()), 2)
        (4, 37.67)
        """
        return self.outputs(*args, **kwargs)["image"]

    def draw_classes(self, *args: Any, **kwargs: Any) -> NDArray[np.int32]:
        """The class of each galaxy that `sample` draws for the same arguments.

        Parameters are those of `outputs`.  If the galaxies are drawn as well, give ``seeds`` to
        both calls, or a copy of ``rng`` (``rng.duplicate()``) to one of them.  This computes the
        stamps too and takes as long as `outputs`, which returns both.

        Returns:
            int32 [N]: indices into `classes`.  If the arguments or the table choose a class, it
            is that class.

        Raises:
            GalSimValueError:   The module has no classes; or what `sample` raises.

        >>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_mpcc")
        >>> table = dict(hlr=0.3, mag_auto=22.0, zphot=0.4)
        >>> classes = model.draw_classes(table, seeds=[7], galaxy_class="spiral")
        >>> model.classes[classes[0]]
        'spiral'
        """
        if not self.classes:
            raise GalSimValueError(f"The module {self.card.name} has no classes.",
                                   kwargs.get("galaxy_class"))
        return self.outputs(*args, **kwargs)["galaxy_class"]

    # ---- inputs of the module -----------------------------------------------------------------

    def _rows(self, table: Any, rng: galsim.BaseDeviate | int | None, seeds: Any,
              galaxy_class: Any, strict: bool, position_angle: Any) -> "_Rows":
        """Read and check everything that the galaxies depend on."""
        # The argument galaxy_class takes the place of a column of that name.
        columns = read_columns(table, self.card.columns, self.pixel_scale, strict,
                               self.classes if galaxy_class is None else ())
        count = len(columns[self.columns[0]])
        classes = columns.pop("galaxy_class", None) if self.classes else None
        if galaxy_class is not None:
            if not self.classes:
                raise GalSimValueError(
                    f"The module {self.card.name} has no classes to choose from.", galaxy_class)
            classes = read_classes(galaxy_class, self.classes, count)
        angles = read_angles(position_angle, "position_angle", count)
        if angles is not None and not (self.card.latent and self.card.latent.position_angle):
            raise GalSimValueError(
                f"The module {self.card.name} cannot be asked for a position angle. Rotate its "
                "profiles instead.", position_angle)
        if seeds is None:
            return _Rows(columns, keys_from_deviate(as_deviate(rng), count), classes, angles)
        if rng is not None:
            raise GalSimIncompatibleValuesError(
                "Give either rng or seeds: with seeds a galaxy depends only on its own seed.",
                rng=rng, seeds=seeds)
        return _Rows(columns, keys_from_seeds(read_seeds(seeds, count)), classes, angles)

    def _outputs(self, rows: "_Rows", part: slice) -> dict[str, np.ndarray]:
        """All outputs of the module for some rows, on stamps of one size."""
        from .modules.stamp_choice import joined

        groups = self._draw(rows, part)
        if not groups:
            shape = (0, self.stamp_size, self.stamp_size, len(self.card.bands))
            empty: dict[str, np.ndarray] = dict(image=np.zeros(shape, np.float32))
            return dict(empty, galaxy_class=np.zeros(0, np.int32)) if self.classes else empty
        return joined(groups)

    def _draw(self, rows: "_Rows", part: slice, need_flux: bool = False) -> list["Drawn"]:
        """What the module draws for some rows: see `modules.module.Module.draw`.

        With ``need_flux``, a stamp whose sum is zero is an error: it makes no profile.
        """
        count = part.stop - part.start
        if not count:
            return []
        columns = {name: values[part] for name, values in rows.columns.items()}
        classes = None if rows.classes is None else rows.classes[part]
        self._module.check(count)
        normal = draw_latents(rows.keys[part], self.card.latent_size)
        if rows.position_angles is not None:
            _impose_angles(normal, rows.position_angles[part])
        groups = self._module.draw(columns, normal, classes)
        sums = np.zeros(count)
        scales = np.full(count, self.pixel_scale)
        for numbers, outputs in groups:
            sums[numbers] = outputs["image"].sum(axis=(1, 2, 3), dtype=float)
            scales[numbers] = outputs.get("pixel_scale", self.pixel_scale)
        # A stamp that is not finite has no finite sum.
        self._check_rows(np.isfinite(sums), "a stamp that is not finite", rows, part)
        if need_flux:
            self._check_rows(sums != 0, "a stamp of zero total flux", rows, part)
        from .modules.card import PIXEL_SCALE_LIMITS as LIMITS

        self._check_rows((LIMITS[0] <= scales) & (scales <= LIMITS[1]),  # not so for NaN
                         f"a pixel_scale that is not from {LIMITS[0]:g} to {LIMITS[1]:g} "
                         "arcsec", rows, part)
        return groups

    def _check_rows(self, good: NDArray[np.bool_], what: str, rows: "_Rows", part: slice) -> None:
        """Raise an error that names the first row for which the module's outputs are not good."""
        if good.all():
            return
        faulty = np.flatnonzero(~good)
        row = part.start + faulty[0]
        inputs = {name: float(values[row]) for name, values in rows.columns.items()}
        if rows.classes is not None:
            inputs["galaxy_class"] = int(rows.classes[row])
        raise GalSimValueError(
            f"The module {self.card.name} made {what} in row {row} ({len(faulty)} rows in "
            "all). Its valid ranges are in 'galsim-deep info'.", inputs)

    # ---- for GalSim's config layer ------------------------------------------------------------

    def getColumns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.columns

    def getCard(self) -> "Card":
        """The card."""
        return self.card

    def needs_tensorflow(self) -> bool:
        """Whether sampling needs TensorFlow, because the module has no compact graph."""
        return self._module.compact is None

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, GenerativeGalaxyModel) and self.card == other.card)

    def __hash__(self) -> int:
        return hash(("galsim_deep.GenerativeGalaxyModel", self.card.name, self.card.version))

    def __repr__(self) -> str:
        options = "".join(
            f", {name}={value!r}" for name, value in
            [("sha256", self.sha256), ("offline", self.offline)] if value is not None)
        return f"galsim_deep.GenerativeGalaxyModel({self.file_name!r}{options})"

    def __str__(self) -> str:
        return f"galsim_deep.GenerativeGalaxyModel({self.file_name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A model is pickled as its handle.  The other process resolves the handle and loads the
        # graph when it first samples.
        # A relative path is made absolute, since that process may work in another folder.
        handle = self.file_name
        if os.path.exists(handle):
            handle = os.path.abspath(handle)
        return GenerativeGalaxyModel, (handle, self.sha256, self.offline)


@dataclasses.dataclass(frozen=True)
class _Rows:
    """The inputs of N galaxies: columns [N], 64-bit keys [N], and, or None, classes [N] and
    position angles [N] [radians], NaN where it is to be drawn."""

    columns: dict[str, NDArray[np.float32]]
    keys: NDArray[np.uint64]
    classes: NDArray[np.int32] | None
    position_angles: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.keys)


def _impose_angles(normal: NDArray[np.float32], angles: NDArray[np.float64]) -> None:
    """Turn the first two random numbers, [N, L], to angles [N] [radians], where these are known."""
    known = np.isfinite(angles)
    length = np.hypot(normal[known, 0], normal[known, 1])
    normal[known, 0] = length * np.cos(angles[known])
    normal[known, 1] = length * np.sin(angles[known])


def _deviate_of(key: np.uint64) -> galsim.BaseDeviate:
    """The generator of a galaxy's noise padding; GalSim's seeds are from 1 to 2^31 - 1."""
    return galsim.BaseDeviate(int(key) % (2**31 - 1) + 1)


def _check_types(x_interpolant: Any = None, k_interpolant: Any = None, pad_factor: Any = None,
                 gsparams: Any = None) -> None:
    """Check the types of options, for which GalSim would raise errors of other kinds."""
    for name, interpolant in (("x_interpolant", x_interpolant), ("k_interpolant", k_interpolant)):
        if not isinstance(interpolant, galsim.Interpolant | str | None):
            raise GalSimValueError(f"{name} must be a galsim.Interpolant or its name.", interpolant)
    if not isinstance(pad_factor, Real | None):
        raise GalSimValueError("pad_factor must be a number.", pad_factor)
    if pad_factor is not None and not 0 < float(pad_factor) <= MAX_PADDING:
        raise GalSimRangeError("pad_factor is out of range.", pad_factor, 0, MAX_PADDING)
    if not isinstance(gsparams, galsim.GSParams | None):
        raise GalSimValueError("gsparams must be a galsim.GSParams.", gsparams)


def _only_table(table: Any, cat: Any) -> Any:
    """The table, which scripts written for GalSim-Hub call ``cat``."""
    if (table is None) == (cat is None):
        raise GalSimIncompatibleValuesError(
            "Give one table, as the first argument.", table=table, cat=cat)
    return table if cat is None else cat
