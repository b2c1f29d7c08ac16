"""The choice of a stamp for each galaxy, for modules that draw on stamps of several sizes.

The compact graph of such a module has a signature ``latents``, which describes galaxies by numbers
and says how much of the sky each needs, and a signature ``draw_Z`` for each size of Z pixels.  Most
galaxies of a survey are small, and small stamps cost less.
"""

__all__ = ["LATENTS", "Drawn", "choose_stamps", "draw_signature_name", "drawing_signatures",
           "joined"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Drawn = tuple[NDArray[np.int_], dict[str, np.ndarray]]
"""Numbers of rows [n], and the arrays that were drawn for these rows, by name."""

LATENTS = "latents"
"""The name of the signature that describes galaxies before they are drawn."""


def draw_signature_name(size: int) -> str:
    """The name of the signature that draws on stamps of a size.

    >>> draw_signature_name(64)
    'draw_64'
    """
    return f"draw_{size}"


def drawing_signatures(sizes: Sequence[int]) -> dict[str, int | None]:
    """The signatures of such a compact graph, with the size of their stamps if they draw any.

    There are none without sizes to choose from.

    >>> drawing_signatures((32, 64))
    {'latents': None, 'draw_32': 32, 'draw_64': 64}
    >>> drawing_signatures(())
    {}
    """
    drawing: dict[str, int | None] = {draw_signature_name(size): size for size in sizes}
    return {LATENTS: None, **drawing} if drawing else {}


def choose_stamps(extent: ArrayLike, sizes: Sequence[int], pixel_scale: float
                  ) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """The smallest stamp that fits each galaxy.

    Parameters:
        extent:         Half the side of the stamp that each galaxy needs [arcsec], [N].
        sizes:          Pixels on a side of the stamps that there are.
        pixel_scale:    Size of their pixels [arcsec].

    Returns:
        (pixels on a side [N], size of the pixels [N] [arcsec]).  Pixels are larger where a galaxy
        needs more than the largest stamp.

    >>> choose_stamps([0.4, 2.0, 12.0], sizes=(32, 128), pixel_scale=0.03)
    (array([ 32, 128, 128]), array([0.03   , 0.03125, 0.1875 ]))
    """
    ordered = np.sort(np.asarray(sizes))
    needed = 2 * np.asarray(extent, float)
    # What is not finite gets the largest stamp, and is found when the stamp is looked at.
    place = np.searchsorted(pixel_scale * ordered[:-1], needed)
    chosen = ordered[place]
    with np.errstate(invalid="ignore"):
        scales = np.maximum(needed / chosen, pixel_scale)
    return chosen, scales


def joined(groups: Sequence[Drawn]) -> dict[str, np.ndarray]:
    """Put stamps of several sizes into one array, with zeros around the smaller ones.

    Parameters:
        groups:     Pairs of row numbers [n] and what was drawn for these rows: ``image``
                    [n, s, s, B], and arrays [n].  The sizes s are all even, or all odd.

    Returns:
        ``image``, float32 [N, S, S, B], with S the largest of the sizes; and the other arrays, [N].

    >>> small = dict(image=np.ones((1, 2, 2, 1), np.float32), extent=np.array([0.1]))
    >>> large = dict(image=np.ones((2, 4, 4, 1), np.float32), extent=np.array([0.5, 0.6]))
    >>> outputs = joined([(np.array([1]), small), (np.array([0, 2]), large)])
    >>> outputs["image"].sum(axis=(1, 2, 3)), outputs["extent"]
    (array([16.,  4., 16.], dtype=float32), array([0.5, 0.1, 0.6]))
    """
    if len(groups) == 1:
        return groups[0][1]
    size = max(outputs["image"].shape[1] for _, outputs in groups)
    count = sum(len(rows) for rows, _ in groups)
    bands = groups[0][1]["image"].shape[-1]
    image = np.zeros((count, size, size, bands), np.float32)
    for rows, outputs in groups:
        own = outputs["image"].shape[1]
        inner = slice((size - own) // 2, (size + own) // 2)
        image[rows, inner, inner] = outputs["image"]
    order = np.argsort(np.concatenate([rows for rows, _ in groups]))
    return dict(image=image) | {
        name: np.concatenate([outputs[name] for _, outputs in groups])[order]
        for name in groups[0][1] if name != "image"}
