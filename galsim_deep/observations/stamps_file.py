"""The file of stamps that modules are trained on and compared with: its layout and its reader.

One HDF5 file holds a data set.  ``galsim-deep-train data`` writes it; the fit and the validation
read it.  ``N`` examples, ``K`` distinct PSFs, ``M`` distinct noise correlations, stamps
``S`` x ``S``, PSF images ``P`` x ``P``, correlation functions ``C`` x ``C``:

=====================  =========  ===========================================================
``stamp``              [N, S, S]  observed stamp, with PSF and noise [flux units of the recipe];
                                  [N, S, S, B] in a data set of B > 1 bands
``psf``                [K, P, P]  effective PSF images (pixel response included), unit sum
``psf_index``          [N]        which PSF each example was observed through
``noise_sigma``        [N]        standard deviation of the noise in a pixel
``noise_correlation``  [M, C, C]  correlation functions of the noise, C odd, 1 in the middle (see
                                  `galsim_deep.observations.noise`)
``noise_index``        [N]        which correlation function the noise of each example has
``source``             [N]        number of the galaxy that each example was made from
``test``               [N]        True for the test split; a source is in one split only
``label``              [N]        class of each example by its number, -1 if it is not known;
                                  optional, -1 for all if it is absent
``pixel_scale``        [N]        size of a pixel of the stamp and of the PSF image [arcsec]
``columns/NAME``       [N]        catalogue columns
``embedding``          [N, K]     embedding of each stamp by a module; optional
``noiseless_index``    [T]        examples whose stamp is known without noise
``noiseless``          [T, S, S]  these stamps, with PSF and without noise; or [T, S, S, B]
=====================  =========  ===========================================================

Attributes: ``format_version``, ``pixel_scale`` of the recipe [arcsec], ``seed`` and
``recipe_sha256``, the hash of the parts of the recipe that a data set depends on.  If the stamps
were clipped, also ``clipping``: the threshold and the peak of `galsim_deep.observations.clipping`,
in units of the noise.  If there are embeddings, also ``embedder``: the name, the version and the
sha256 of the weights of the module that made them, as JSON.

Images are float32, indices int32.  Version 1 had no correlation of the noise; version 2 had one
pixel scale for all examples, and profiles before the PSF in place of the stamps without noise.
"""

__all__ = ["FORMAT_VERSION", "StampsFile"]

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from galsim import GalSimError

from .hdf5 import open_hdf5

if TYPE_CHECKING:
    import h5py

FORMAT_VERSION = 3
PARTS = ("stamp", "psf", "psf_index", "noise_sigma", "noise_correlation", "noise_index", "source",
         "test", "pixel_scale", "columns", "noiseless_index", "noiseless")


class StampsFile:
    """A data set file, open for reading.

    Everything but the images is read at once; these are read one by one.

    Parameters:
        path:       The HDF5 file.

    Attributes:
        path:               The file.
        pixel_scale:        Size of a pixel of the recipe [arcsec].
        pixel_scales:       Size of a pixel of each example [arcsec], float64 [N].
        stamp_size:         Pixels on a side of the stamps.
        bands:              Number of bands B.  PSF and noise are the same in all of them.
        recipe_sha256:      The hash of the settings that the data set depends on; empty if there
                            was none.
        clipping:           (threshold, peak) of `galsim_deep.observations.clipping`; None if the
                            stamps were not clipped.
        psfs:               The effective PSF images (pixel response included), float32 [K, P, P].
        psf_index:          The index of the PSF of each example, int [N].
        noise_sigma:        Standard deviation of the noise in a pixel, in the unit of the stamps,
                            float32 [N].
        noise_correlation:  Correlation functions of the noise, 1 in the middle, float32 [M, C, C].
        noise_index:        The index of the correlation function of each example, int [N].
        source:             The number of the galaxy that each example was made from, int [N].
        test:               True for the test split, bool [N].
        label:              The number of the class of each example, int [N]; -1 if it is not known.
        columns:            The catalogue columns, {name: float32 [N]}.
        embedding:          Embeddings of the stamps, float32 [N, K]; None if there are none.
        embedder:           ``name``, ``version`` and ``weights_sha256`` of the module that made
                            them; None if it is not known.
        noiseless_index:    The examples whose stamp is known without noise, int [T].

    Raises:
        galsim.GalSimError: if there is no such file, or it is no data set file of this version.

    Example, where ``data_file`` holds twenty galaxies of magnitude 22:

        >>> data = StampsFile(data_file)
        >>> len(data), data.stamp(0).shape, float(data.columns["mag_auto"].mean())
        (20, (32, 32), 22.0)
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._file = open_hdf5(
            self.path, f"There is no data set {path}. 'galsim-deep-train data RECIPE' makes one.",
            _check)
        self.pixel_scale = float(self._file.attrs["pixel_scale"])
        self.stamp_size = self._file["stamp"].shape[1]
        self.bands = self._file["stamp"].shape[3] if self._file["stamp"].ndim == 4 else 1
        self.recipe_sha256 = self._file.attrs.get("recipe_sha256", "")
        clipping = self._file.attrs.get("clipping")
        self.clipping = None if clipping is None else (float(clipping[0]), float(clipping[1]))
        self.psfs = self._file["psf"][:]
        self.psf_index = self._file["psf_index"][:]
        self.noise_sigma = self._file["noise_sigma"][:]
        self.noise_correlation = self._file["noise_correlation"][:]
        self.noise_index = self._file["noise_index"][:]
        self.source = self._file["source"][:]
        self.test = self._file["test"][:].astype(bool)
        self.label = (self._file["label"][:] if "label" in self._file
                      else np.full(len(self.psf_index), -1, np.int32))
        self.columns = {name: data[:] for name, data in self._file["columns"].items()}
        self.embedding = self._file["embedding"][:] if "embedding" in self._file else None
        embedder = self._file.attrs.get("embedder")
        self.embedder: dict[str, str] | None = None if embedder is None else json.loads(embedder)
        self.pixel_scales = self._file["pixel_scale"][:]
        self.noiseless_index = self._file["noiseless_index"][:]
        # Kept, since looking up an HDF5 data set by name takes longer than reading a stamp.
        self._stamps, self._noiseless = self._file["stamp"], self._file["noiseless"]

    def __len__(self) -> int:
        return len(self.psf_index)

    def stamp(self, row: int) -> np.ndarray:
        """The observed stamp of an example, float32, shape [S, S]; [S, S, B] for B > 1 bands."""
        return self._stamps[row]

    def noiseless(self, index: int) -> np.ndarray:
        """The stamp of example ``noiseless_index[index]`` without noise; shape as of `stamp`."""
        return self._noiseless[index]


def _check(path: Path, file: "h5py.File") -> None:
    if "format_version" not in file.attrs:
        raise GalSimError(f"{path} is not a data set of 'galsim-deep-train data': it has no format "
                          "version.")
    version = int(file.attrs["format_version"])
    if version != FORMAT_VERSION:
        raise GalSimError(f"{path} is a data set of format version {version}; this release of "
                          f"galsim-deep reads version {FORMAT_VERSION}. Make it again with "
                          "'galsim-deep-train data RECIPE'.")
    missing = [part for part in PARTS if part not in file]
    missing += [name for name in ("pixel_scale",) if name not in file.attrs]
    if missing:
        raise GalSimError(f"{path} is not a data set of 'galsim-deep-train data': it lacks "
                          f"{', '.join(missing)}.")
    correlation = file["noise_correlation"].shape
    if len(correlation) != 3 or correlation[1] != correlation[2] or correlation[1] % 2 == 0:
        raise GalSimError(f"{path} has noise correlations of shape {correlation}, not [M, C, C] "
                          "with an odd C, so that there is a middle pixel.")
