"""The sections of the report, one file each, in the order of the page.

A new section is a file in this folder with a subclass of `base.Section`, and an entry in
`SECTIONS`."""

__all__ = ["SECTIONS"]

from .base import Section
from .classes import Classes
from .classifier import Classifier
from .conditioning import Conditioning
from .distributions import Distributions
from .embedding_distance import EmbeddingDistance
from .flags import Flags
from .latents import Latents
from .memorisation import Memorisation
from .natural_size import NaturalSizeSection
from .noiseless import Noiseless
from .profiles import Profiles
from .provenance import Provenance
from .reconstruction import Reconstruction
from .samples import Samples
from .shear import Shear
from .verdict import Verdict

SECTIONS: tuple[type[Section], ...] = (
    NaturalSizeSection, Verdict, Classifier, EmbeddingDistance, Samples, Distributions, Flags,
    Conditioning, Classes, Latents, Reconstruction, Noiseless, Profiles, Shear, Memorisation,
    Provenance)
"""The sections in their order on the page."""
