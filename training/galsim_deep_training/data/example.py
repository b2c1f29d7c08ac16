"""One galaxy of a data set, as builders make it and as the data set file stores it."""

__all__ = ["Example"]

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass
class Example:
    """One galaxy, made by a builder.

    Attributes:
        stamp:          Observed stamp, with PSF and noise, shape [S, S], flux per pixel; [S, S, B]
                        if there are B > 1 bands.
        psf_index:      Number of its PSF among `Builder.psfs`.
        noise_sigma:    Standard deviation of the noise in a pixel.
        columns:        {name: value} of the catalogue columns.
        source:         Number of the galaxy that the example was made from.
        test:           Whether it belongs to the test split.
        pixel_scale:    Size of a pixel [arcsec]; None for that of the recipe.
        noiseless:      The stamp without noise, of the same shape, if it is known.
        noise_index:    Number of its noise correlation among `Builder.noise_correlations`.
        label:          Number of its class; -1 if it is not known.
        embedding:      The embedding of the stamp by a module, shape [K], if there is one.

    Example::

        >>> example = Example(stamp=np.zeros([32, 32]), psf_index=0, noise_sigma=0.1,
        ...                   columns=dict(mag_auto=22.5), source=7, test=False)
        >>> example.label, example.noiseless is None
        (-1, True)
    """

    stamp: np.ndarray
    psf_index: int
    noise_sigma: float
    columns: Mapping[str, float]
    source: int
    test: bool
    pixel_scale: float | None = None
    noiseless: np.ndarray | None = None
    noise_index: int = 0
    label: int = -1
    embedding: np.ndarray | None = None
