"""Real galaxies of the collection, prepared to be observed again.

`read` reads them, `source` prepares one of them: a galaxy on real sky is completed (`complete`),
one that was cut out along a segment is continued (`segment_edge`), and its PSF is replaced by a
narrow Gaussian (`sharpened`).
"""

from .read import SourcesSettings, read_sources
from .source import Source, SourceNoise, prepared

__all__ = ["Source", "SourceNoise", "SourcesSettings", "prepared", "read_sources"]
