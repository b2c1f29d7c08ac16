"""Settings of the networks of MPCC: the ``model`` part of a recipe.

The settings of its phases are in the same modules as the phases, in `families.mpcc.phases`.
"""

__all__ = ["Classes", "DiscriminatorSettings", "EncoderSettings", "GeneratorSettings",
           "MPCCSettings", "NamedClass", "PriorSettings"]

from typing import Annotated, ClassVar, Literal, Self

import pydantic

from galsim_deep.modules.card import ClassName, Text

from ...networks.flows import Flow
from ...registry import Choice
from ...settings import (
    Cells,
    Channels,
    Maps,
    Multiple,
    Pixels,
    Repeats,
    Settings,
    ShareBelowOne,
    Within,
)
from .canvases import Canvas
from .networks.mixture_prior import FLOOR


class NamedClass(Settings):
    """The name of a class, and what its galaxies look like.

    Example::

        >>> NamedClass(name="edge-on", description="thin discs seen from their side").name
        'edge-on'
    """

    name: ClassName
    description: Text


class Classes(Settings):
    """The classes of galaxies.

    Example::

        >>> from galsim_deep_training.settings import parse
        >>> Classes(number=4, supervised=True).names
        ()
        >>> names = [dict(name=name, description="") for name in ("compact", "bent")]
        >>> parse(Classes, dict(number=4, names=names), "recipe my.yaml", "model.classes")
        Traceback (most recent call last):
        galsim.errors.GalSimConfigError: The recipe my.yaml is not valid. model.classes: there \
are 2 names, but number is 4; give one name for each class
    """

    not_hashed: ClassVar[frozenset[str]] = frozenset({"names"})

    number: Repeats = 10
    """Number of classes, K.  With one class the model is a GAN with an encoder and a standard
    normal prior (AIM-MPCC in the thesis)."""
    supervised: bool = False
    """Whether the classes are the labels of the data set (conditional MPCC).  Otherwise they are
    found without labels."""
    names: tuple[NamedClass, ...] = ()
    """The names of the classes, in their order; they may be given after the fit.
    [default: ``class 0``, ``class 1``, ...]"""

    @pydantic.model_validator(mode="after")
    def _check_names(self) -> Self:
        if self.names and len(self.names) != self.number:
            raise ValueError(f"there are {len(self.names)} names, but number is {self.number}; "
                             "give one name for each class")
        names = [named.name for named in self.names]
        if len(set(names)) < len(names):
            raise ValueError(f"two classes have the same name; the names are {', '.join(names)}")
        return self


class PriorSettings(Settings):
    """The mixture of Gaussians, see `networks.mixture_prior.MixturePrior`.

    Example::

        >>> PriorSettings(separation=4).separation
        4.0
    """

    floor: ShareBelowOne = FLOOR
    """Smallest standard deviation of a class."""
    separation: Multiple = 1.0
    """Distance of the initial means of the classes from zero, in units of their standard deviations
    (less if there are more classes than latents).  With a large separation, each class starts as a
    prototype, and the variation within a class is learned slowly."""


class GeneratorSettings(Settings):
    """The generator, see `networks.generator.Generator`.

    Example::

        >>> GeneratorSettings(start=2, injection="class")
        GeneratorSettings(start=2, channels=64, injection='class', noise_maps=())
    """

    start: Cells = 6
    """Cells on a side of the first feature map; each block doubles them."""
    channels: Channels = 64
    """Channels of all blocks."""
    injection: Literal["split", "copy", "class"] = "copy"
    """The way in which latent and class enter the blocks."""
    noise_maps: tuple[Maps, ...] = ()
    """Number of maps of noise that are added to the first features, and to those after each block;
    0 for none.  They decide where details are."""


class DiscriminatorSettings(Settings):
    """The discriminator, and the trunk that it may share with the encoder.

    See `networks.discriminator`.

    Example::

        >>> DiscriminatorSettings(channels=48, joint=64)
        DiscriminatorSettings(kind='projection', channels=48, halvings=2, joint=64)
    """

    kind: Literal["projection", "patches"] = "projection"
    """``projection``: with spectral normalisation, fitted with the hinge loss; ``patches``: without
    it, on a polar canvas, fitted on relativistic pairs (`PatchDiscriminator`)."""
    channels: Channels = 64
    """Channels of all blocks of discriminator and encoder."""
    halvings: Annotated[int, Within(0, 12)] = 2
    """Number of blocks of the trunk that halve the grid."""
    joint: Annotated[int, Within(0, 16384)] = 0
    """Units of a layer that sees image, class and columns together, in addition to the projection;
    0 for none."""


class EncoderSettings(Settings):
    """The encoder, see `networks.discriminator.LatentEncoder`.

    Example::

        >>> EncoderSettings(hidden=64)
        EncoderSettings(hidden=64, share_trunk=True)
    """

    hidden: Channels = 128
    """Units of the layer before each of its two outputs, mean and scale."""
    share_trunk: bool = True
    """Whether it shares the first blocks with the discriminator (variant S of the thesis)."""


class MPCCSettings(Settings):
    """Settings of the ``mpcc`` family (``model`` of a recipe).

    Example::

        >>> settings = MPCCSettings(canvas=dict(kind="plain"), classes=dict(number=6))
        >>> settings.canvas.kind, settings.flow.kind, settings.classes.number
        ('plain', 'spline_coupling', 6)
    """

    canvas: Choice[Canvas]
    """See `galsim_deep_training.families.mpcc.canvases`."""
    classes: Classes = Classes()
    latent_size: Channels = 32
    """Dimension of the latent, J."""
    conditional: bool = True
    """Whether the networks get the columns as conditions.  If not, a recipe may have a phase
    ``flow``, which learns the distribution of the latent given the columns afterwards."""
    offset: Pixels = 0.0
    """Centroids of observed galaxies lie within this distance of the middle of a stamp along each
    axis [pixels]; generated ones are displaced at random by as much before they are observed."""
    prior: PriorSettings = PriorSettings()
    generator: GeneratorSettings = GeneratorSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    encoder: EncoderSettings = EncoderSettings()
    flow: Choice[Flow] = Flow.by_default("spline_coupling")
    """The flow of the phase ``flow``, see `networks.flows`."""
