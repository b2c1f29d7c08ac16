"""What the latents of modules know: embeddings of stamps, and what can be done with them.

A module that encodes turns each stamp into an embedding, a short vector of numbers.  Stamps with
similar embeddings look alike.  This package makes tables of embeddings (`Embedder`, `Stamps`,
`EmbeddingTable`) and uses them: to find similar galaxies, to score them by a density, to classify
them, and to map them.  The commands ``galsim-deep embed | similar | score | classify | map`` do the
same.
"""

__all__ = ["EmbeddingTable", "Embedder", "Stamps", "find_similar", "frechet_distance",
           "read_embeddings", "read_stamps", "score"]

from .distance import frechet_distance
from .embedder import Embedder
from .score import score
from .similar import find_similar
from .stamps import Stamps, read_stamps
from .tables import EmbeddingTable, read_embeddings
