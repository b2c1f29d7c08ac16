"""Log-likelihoods of embeddings: which stamps are unlike those that a density was fitted on."""

__all__ = ["OUTLIER_SHARE", "Scores", "score"]

import dataclasses
import os

import numpy as np
from galsim import GalSimError
from numpy.typing import NDArray

from ..modules.module import load
from ..modules.resolve import resolve
from .tables import EmbeddingTable

OUTLIER_SHARE = 0.01
"""Share of the reference that is less likely than the threshold."""
LOWEST = -1e30
"""The log-likelihood of an embedding for which a density gives no finite number."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Log-likelihoods of the embeddings of a table, and of a reference.

    >>> scores = Scores(np.array([-9.0, 1.0]), np.array([0.0, 1.0, 2.0]))
    >>> scores.outliers.tolist(), scores.order.tolist()
    ([True, False], [0, 1])
    """

    log_prob: NDArray[np.float64]
    """Log-likelihood of each row [nats], [N]."""
    reference: NDArray[np.float64]
    """Those of the rows of the reference, [M]."""

    @property
    def threshold(self) -> float:
        """The log-likelihood below which the share `OUTLIER_SHARE` of the reference lies."""
        return float(np.quantile(self.reference, OUTLIER_SHARE))

    @property
    def outliers(self) -> NDArray[np.bool_]:
        """The rows that are less likely than the threshold, [N]."""
        return self.log_prob < self.threshold

    @property
    def order(self) -> NDArray[np.int64]:
        """The rows from the least likely to the most likely one."""
        return np.argsort(self.log_prob, kind="stable")


def score(density: str | os.PathLike, table: EmbeddingTable,
          reference: EmbeddingTable | None = None) -> Scores:
    """Score embeddings by a density.

    Parameters:
        density:    Handle of a density of embeddings; or of the density of images that made the
                    table itself, whose embeddings are log-likelihoods.
        table:      The embeddings.
        reference:  Embeddings of stamps that are not outliers.  [default: the table itself]

    Returns:
        `Scores`.

    Raises:
        galsim.GalSimError: if the module is not a density, or one of embeddings of another module
            or length, or the table lacks a column that it needs.
    """
    module = load(resolve(density))
    card = module.card
    if card.kind != "density":
        raise GalSimError(f"The module {card.name} is a {card.kind}, and not a density. Name a "
                          "density, such as one of the family 'maf'.")
    inputs = module.tensorflow.signature_inputs("log_prob")

    def log_prob(embeddings: EmbeddingTable) -> NDArray[np.float64]:
        vectors = embeddings.embedding
        if "image" in inputs:
            if vectors.shape[1] != 1 or embeddings.table.meta.get("MODULE") != card.name:
                raise GalSimError(
                    f"The module {card.name} is a density of images. Embed the stamps with it "
                    f"('galsim-deep embed {card.name}'), and score that table.")
            return vectors[:, 0]
        if card.embedder is not None:
            embeddings.check_made_by(card.embedder)
        length = (inputs["latent"] or (None, None))[1]
        if length not in (None, vectors.shape[1]):
            raise GalSimError(
                f"The module {card.name} is a density of vectors of {length} numbers, and the "
                f"table has embeddings of {vectors.shape[1]}. Use the embeddings of the module "
                "that it was fitted on.")
        columns = {name: embeddings.column(name).astype(np.float32)
                   for name in inputs if name != "latent"}
        found = module.call("log_prob", latent=vectors, **columns)["log_prob"].astype(float)
        # Far from all others the networks of a flow overflow.
        return np.where(np.isfinite(found), found, LOWEST)

    if reference is not None:
        table.check_like(reference)
    found = log_prob(table)
    return Scores(found, found if reference is None else log_prob(reference))
