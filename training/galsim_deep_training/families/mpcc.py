"""MPCC: a GAN whose latent has a mixture of Gaussians as its prior, so that it finds classes.

Matching priors and conditionals for clustering (Astorga 2021, section 7.2 and chapter 8; Astorga et
al. 2020).  A class y is drawn, a latent z from the Gaussian of that class, a profile from both by
the generator.  What the discriminator and the encoder see is that profile through the PSF of a real
stamp and with its noise; so the generator makes light before PSF.  Classes are found without
labels, or given with them.

Columns enter everywhere: generator, discriminator, encoder and prior.  Or nowhere, and a flow and
the shares of the classes are fitted afterwards on what the encoder finds in real stamps.
"""

__all__ = ["MPCC"]

from typing import Annotated, Any

import numpy as np
import pydantic
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep.card import ClassName

from ..bounds import (
    Cells,
    Channels,
    Jitter,
    LearningRate,
    Multiple,
    Pixels,
    PositiveShare,
    Repeats,
    Share,
    ShareBelowOne,
    Weight,
    Within,
)
from ..canvases import Canvas
from ..networks.class_completion import completed_as
from ..networks.class_weights import ClassWeights
from ..networks.completion import Completion
from ..networks.critic import CodeEncoder, Discriminator, Trunk
from ..networks.flows import FlowChoice, all_flow_settings, make_flow
from ..networks.generator import INJECTIONS, Generator
from ..networks.mixture import FLOOR, MixturePrior, class_of, uniform_of
from ..phases.adversarial import Adversarial
from ..phases.classes import ClassShares
from ..phases.columns import ColumnCompletion
from ..phases.inference import Inference
from ..phases.mixture_flow import MixtureFlow
from ..recipe import Settings
from .base import ModelFamily, Signature


class Class(Settings):
    """What a class is called."""

    name: ClassName
    description: str


class Movement(Settings):
    """How images move before the discriminator sees them, see `networks.jitter.jittered`."""

    shift: Share = 0.0
    turn: Jitter = 0.0
    stretch: Jitter = 0.0


class MPCCSettings(Settings):
    """Settings of the ``mpcc`` family (the ``model`` part of a recipe)."""

    canvas: dict[str, Any]
    """Its ``kind`` and its settings, see `galsim_deep_training.canvases`."""
    classes: Repeats = 10
    """K.  One class is a GAN with an encoder and a standard normal prior (AIM-MPCC)."""
    class_names: tuple[Class, ...] = ()
    """What the classes are called, in their order; no network depends on it."""
    supervised: bool = False
    """Whether classes are the labels of the data set (conditional MPCC)."""
    conditional: bool = True
    """Whether networks are given the columns while they are trained; if not, a recipe may have a
    phase ``flow``, which learns what the columns say about a latent."""
    latent_size: Channels = 32
    """J."""
    injection: str = "copy"
    """How latent and class reach the generator, see `networks.generator.Generator`."""
    start: Cells = 6
    """Cells on a side where the generator begins."""
    generator_channels: Channels = 64
    critic_channels: Channels = 64
    halvings: Annotated[int, Within(0, 12)] = 2
    """How many blocks of the discriminator halve the grid."""
    hidden: Channels = 128
    """Units of the layer before the encoder's heads."""
    joint: Annotated[int, Within(0, 16384)] = 0
    """Units of a layer of the discriminator that sees image, class and columns together, besides
    the projection."""
    mismatched: Weight = 0.0
    """Weight of real images beside the class of another, which the discriminator learns to tell
    from real ones beside their own (Reed et al. 2016); with labels only."""
    share: bool = True
    """Whether discriminator and encoder share their first blocks."""
    discriminator_steps: Repeats = 4
    encoder_steps: Repeats = 4
    prior_learning_rate: LearningRate = 6e-4
    """eta_p: by how much classes are driven apart."""
    prior_weight: Weight = 0.01
    """lambda_p: weight of the regulariser of the prior (eq. 7.16)."""
    floor: ShareBelowOne = FLOOR
    """Smallest standard deviation of a class in its latent."""
    separation: Multiple = 1.0
    """How far from zero the means of the classes begin, in units of their deviations.  Far apart,
    classes begin as a prototype each, and what differs within them comes slowly."""
    evenness: Weight = 0.0
    """Weight of `losses.unevenness` for generator and prior: images should change with the latent
    as much in one place as in another.  A class that would have to leap from one kind of image to
    another then tends to give one of them up; so this is for classes that are found."""
    jitter: Movement = Movement()
    offset: Pixels = 0.0
    """Centroids of observed galaxies are off the middle of a stamp by up to this many pixels."""
    least_diversity: Share = 0.002
    """A fit is stopped when what one class makes differs by less than this share of what real
    images differ by."""
    least_usage: Share = 0.01
    """And when a class is found in real images less often than this share of what it has in the
    fit."""
    flow: FlowChoice = {"kind": "spline"}
    """Kind and settings of the flow of the phase ``flow``, see `networks.flows`."""
    class_share: PositiveShare = 1.0
    """Share of the training stamps, those with the least noise, that class weights and flow learn
    from."""

    @pydantic.field_validator("injection")
    @classmethod
    def _known(cls, value):
        if value not in INJECTIONS:
            raise ValueError(f"should be one of {', '.join(INJECTIONS)}")
        return value

    @pydantic.model_validator(mode="after")
    def _named(self):
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(f"class_names: there are {len(self.class_names)} for {self.classes} "
                             "classes")
        names = [one.name for one in self.class_names]
        if len(set(names)) < len(names):
            raise ValueError(f"class_names: two have the same name, of {', '.join(names)}")
        if self.mismatched and not (self.supervised and self.classes > 1):
            raise ValueError("mismatched: that needs 'supervised: true', and several classes")
        return self


class MPCC(ModelFamily, name="mpcc"):
    """See the module's docstring."""

    Settings = MPCCSettings
    phase_names = ("adversarial", "inference", "classes")
    optional_phases = ("flow", "columns")

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        kind, chosen = Canvas.chosen(settings.canvas, recipe, "model.canvas")
        self.canvas = kind(chosen, recipe)
        self.conditional = settings.conditional and bool(recipe.columns)
        self.optional_columns = "columns" in recipe.fit
        if "flow" in recipe.fit and self.conditional:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit, has a phase 'flow', for models that know nothing "
                "of columns while they are trained. Leave it out, or say model.conditional: false.")
        if self.optional_columns and not recipe.columns:
            raise GalSimConfigError(f"The recipe {recipe.path}, fit, has a phase 'columns', and "
                                    "there are no columns. Leave it out.")
        width = len(recipe.columns) if self.conditional else 0
        blocks = self._check_sizes()
        self.prior = MixturePrior(settings.classes, settings.latent_size, width, settings.floor,
                                  separation=settings.separation, seed=recipe.seed)
        self.generator = Generator(
            settings.latent_size, settings.classes, settings.start, blocks,
            settings.generator_channels, self.canvas.drawn, self.canvas.scalars,
            settings.injection)
        channels, halvings, seen = (
            settings.critic_channels, settings.halvings, self.canvas.seen)
        self.trunk = Trunk(channels, halvings, seen)
        self.discriminator = Discriminator(
            channels, self.conditional or settings.supervised, settings.joint)
        self.own_trunk = self.trunk if settings.share else Trunk(channels, halvings, seen)
        self.encoder = CodeEncoder(settings.latent_size, channels, seen[0][0] // 2**halvings,
                                   settings.hidden)
        self.class_weights = ClassWeights(settings.classes, len(recipe.columns))
        self.completion = Completion(len(recipe.columns), seed=recipe.seed)
        self.flow = self._make_flow() if "flow" in recipe.fit else None
        # How frequent classes are in the fit: alike, unless they are given.
        self.fit_shares = np.full((1, settings.classes), 1.0 / settings.classes, np.float32)
        self.clipping = None
        self._parts = [self.canvas.turn_size, settings.latent_size, len(recipe.columns), 1]
        self.latent_size = sum(self._parts)
        self._create_weights()
        self.networks.update(
            self.canvas.layers, generator=self.generator, prior=self.prior,
            encoder=self.encoder, own_trunk=self.own_trunk, class_weights=self.class_weights,
            completion=self.completion)
        if self.flow is not None:
            self.networks["flow"] = self.flow

    def _check_sizes(self):
        """How often the generator doubles its grid; sizes have to fit each other."""
        settings, where = self.settings, f"The recipe {self.recipe.path}, model"
        cells, seen = self.canvas.drawn[0][0], self.canvas.seen[0][0]
        blocks = max(0, int(np.log2(cells / settings.start)))
        if settings.start * 2**blocks != cells:
            raise GalSimConfigError(f"{where}.start: the {cells} cells of the canvas cannot be had "
                                    f"by doubling {settings.start}.")
        if settings.injection == "split" and settings.latent_size % (blocks + 1):
            raise GalSimConfigError(
                f"{where}.latent_size: {settings.latent_size} latents cannot be cut into "
                f"{blocks + 1} equal pieces, for the entry and each block of the generator.")
        if settings.joint and not (self.conditional or settings.supervised):
            raise GalSimConfigError(f"{where}.joint: there are neither classes nor columns that "
                                    "the discriminator could see beside an image.")
        if seen % 2**settings.halvings or seen // 2**settings.halvings < 2:
            raise GalSimConfigError(f"{where}.halvings: the {seen} cells that are seen of the "
                                    f"canvas cannot be halved {settings.halvings} times.")
        return blocks

    def _make_flow(self):
        settings = self.settings
        return make_flow(latent_size=settings.latent_size, seed=self.recipe.seed, **settings.flow)

    def _create_weights(self):
        stamp, count = self.recipe.stamp, 2
        columns = {name: tf.ones([count]) for name in self.column_specs()}
        stamps = self.sample(tf.zeros([count, self.latent_size]), columns)
        views = self.look(stamps, tf.ones([count, stamp.psf_size, stamp.psf_size]),
                          tf.ones([count]), columns)
        self.judge(views, self.one_hot(tf.zeros([count], tf.int32)), self.given(columns, count))
        self.infer(views, self.given(columns, count))
        if columns:
            self.completed(columns)

    @classmethod
    def all_settings(cls, settings, recipe):
        return dict(
            super().all_settings(settings, recipe),
            canvas=Canvas.filled_in(settings.canvas, recipe, "model.canvas"),
            flow=all_flow_settings(**settings.flow))

    def classes(self, dataset):
        """Names, descriptions and shares of the classes, the latter over the training columns."""
        rows = {name: tf.constant(values[dataset.train_indices])
                for name, values in dataset.columns.items()}
        shares = np.mean(np.exp(self.log_class_weights(rows, len(dataset.train_indices))), axis=0)
        named = self.settings.class_names or [
            Class(name=f"class {number}", description="") for number in range(len(shares))]
        return [dict(name=one.name, description=one.description, share=round(float(share), 6))
                for one, share in zip(named, shares, strict=True)]

    def prepare(self, dataset):
        if self.recipe.columns:
            super().prepare(dataset)
        self.canvas.prepare(dataset)
        self.clipping = dataset.clipping
        if self.settings.supervised:
            labels, classes = dataset.label, self.settings.classes
            if labels.min() < 0 or labels.max() >= classes:
                raise GalSimConfigError(
                    f"The recipe {self.recipe.path}, model.supervised: the labels of the stamps go "
                    f"from {labels.min()} to {labels.max()} (-1: not known); there are {classes} "
                    "classes, from 0.")
            counts = np.bincount(labels[dataset.train_indices], minlength=classes)
            if not counts.all():
                raise GalSimConfigError(
                    f"The recipe {self.recipe.path}, model.supervised: no stamp for training has "
                    f"the label {np.flatnonzero(counts == 0)[0]}.")
            self.fit_shares = (counts[None] / counts.sum()).astype(np.float32)

    @property
    def phases(self):
        kinds = (Adversarial, Inference, ClassShares, MixtureFlow, ColumnCompletion)
        return [kind(self, self.recipe.fit[kind.name]) for kind in kinds
                if kind.name in self.recipe.fit]

    # What the model does; all eager or in a graph.

    def one_hot(self, classes):
        """Classes int [N] -> [N, K]."""
        return tf.one_hot(classes, self.settings.classes)

    def given(self, columns, count):
        """What networks are told of the columns: [N, C], or [N, 0]."""
        return self.context(columns) if self.conditional else tf.zeros([count, 0])

    def all_columns(self, columns, count):
        """All standardised columns, [N, C], whether networks are told of them or not."""
        return self.context(columns) if self.recipe.columns else tf.zeros([count, 0])

    def generate(self, latent, classes, turn, columns, **how):
        """Light profiles [N, S, S] of latents [N, J], one-hot classes [N, K], turns and columns.

        The rest is as `Generator` takes it.
        """
        context = self.given(columns, tf.shape(latent)[0])
        numbers, scalars = self.generator(latent, classes, context, **how)
        return self.canvas.paint(numbers, scalars, turn, columns)

    def look(self, stamps, psfs, noise_sigma, columns, turn=None):
        """Stamps as discriminator and encoder see them, a list of [N, C, C, K]."""
        return self.canvas.look(stamps, psfs, noise_sigma, columns, turn)[0]

    def judge(self, views, classes, context, training=False):
        """How real views look, [N]; with labels, as images of that class."""
        beside = [context] + ([classes] if self.settings.supervised else [])
        return self.discriminator(self.trunk(views, training=training),
                                  tf.concat(beside, axis=-1), training=training)

    def infer(self, views, context, training=False):
        """Mean and scale of q(z | x), [N, J] each."""
        return self.encoder(self.own_trunk(views, training=training), context, training=training)

    def draw_latent(self, normal, classes, columns):
        """Latents [N, J] of classes, from standard normal numbers [N, J]."""
        count = tf.shape(normal)[0]
        if self.flow is not None:
            normal = self.flow.transform(
                normal, tf.concat([self.all_columns(columns, count), classes], axis=-1))
        return self.prior.draw(normal, classes, self.given(columns, count))

    def log_class_weights(self, columns, count):
        """log p(y | columns), [N, K]."""
        return self.class_weights(self.all_columns(columns, count))

    def sample(self, normal, columns, cluster=None):
        """From standard normal numbers [N, latent_size] to light profiles [N, S, S].

        ``cluster`` [N] is the class of each, -1 to draw it; without it all are drawn.
        """
        return self.sample_classes(normal, columns, cluster)[0]

    def sample_classes(self, normal, columns, cluster=None):
        """What `sample` gives, and the class that each profile is of, int32 [N]."""
        turn, normal, missing, last = tf.split(normal, self._parts, axis=-1)
        uniform, given = uniform_of(last[:, 0]), columns
        columns = self.completed(given, missing)
        # Drawn where one is asked for as well: what is asked must not change what else is random.
        drawn = class_of(uniform, tf.exp(self.log_class_weights(columns, tf.shape(normal)[0])))
        if cluster is not None:
            natural = drawn
            drawn = tf.where(cluster >= 0, tf.minimum(cluster, self.settings.classes - 1), natural)
            if self.optional_columns and self.settings.classes > 1:
                columns = self.completed_as(
                    drawn, given, columns, drawn == natural, missing, last[:, 0])
        classes = self.one_hot(drawn)
        latent = self.draw_latent(normal, classes, columns)
        return self.generate(latent, classes, turn, columns), drawn

    def completed_as(self, classes, columns, natural, own, normal, last):
        """Columns as `completed` gives them, of classes int32 [N]; see `class_completion`."""
        return completed_as(
            self.one_hot(classes), columns, natural, own, normal,
            # The class was drawn with this number, so that only its last digits are free.  They are
            # the same on every machine, as what is computed from it is not.
            tf.math.floormod(1000.0 * last, 1.0), self.completed,
            lambda some: self.class_weights(self.context(some)))

    def membership(self, latent, columns):
        """log q(y | z, columns), [N, K]."""
        count = tf.shape(latent)[0]
        log_weights, given = self.log_class_weights(columns, count), self.given(columns, count)
        if self.flow is None:
            return self.prior.log_membership(latent, log_weights, given)
        # The density of what `draw_latent` draws of each class.
        each = zip(*(tf.unstack(part, axis=1) for part in self.prior.components(given)),
                   strict=True)
        known = self.all_columns(columns, count)
        densities = []
        for number, (mean, deviation) in enumerate(each):
            classes = self.one_hot(tf.fill([count], number))
            flow = self.flow(tf.concat([known, classes], axis=-1))
            densities.append(flow.log_prob((latent - mean) / deviation)
                             - tf.reduce_sum(tf.math.log(deviation), axis=-1))
        return tf.nn.log_softmax(log_weights + tf.stack(densities, axis=-1))

    def signatures(self):
        stamp, columns = self.recipe.stamp, self.column_specs()

        def sample(random_normal, **columns):
            return dict(image=self.sample(random_normal, columns))

        def cluster(random_normal, cluster, **columns):
            image, drawn = self.sample_classes(random_normal, columns, cluster)
            return dict(image=image, cluster=drawn)

        def one_hot(cluster):
            return self.one_hot(tf.clip_by_value(cluster, 0, self.settings.classes - 1))

        def decode(latent, cluster, **columns):
            turn, latent = tf.split(
                latent, [self.canvas.turn_size, self.settings.latent_size], axis=-1)
            return dict(image=self.generate(
                latent, one_hot(cluster), turn, self.completed(columns)))

        def prior(cluster, **columns):
            # Of the Gaussians; where there is a flow, its output is scaled by these.
            columns, count = self.completed(columns), tf.shape(cluster)[0]
            classes = one_hot(cluster)
            zeros = tf.zeros([count, self.settings.latent_size])
            context = self.given(columns, count)
            mean = self.prior.draw(zeros, classes, context)
            return dict(mean=mean, scale=self.prior.draw(zeros + 1.0, classes, context) - mean,
                        log_weight=tf.reduce_sum(
                            classes * self.log_class_weights(columns, count), axis=-1))

        def encode(image, psf, noise_sigma, **columns):
            columns = self.completed(columns)
            views, turn = self.canvas.look(image, psf, noise_sigma, columns)
            mean, scale = self.infer(views, self.given(columns, tf.shape(image)[0]))
            # Of latents as ``decode`` takes them; how a source lies is measured.
            return dict(mean=tf.concat([turn, mean], axis=-1),
                        scale=tf.concat([tf.fill(tf.shape(turn), 1e-3), scale], axis=-1),
                        log_membership=self.membership(mean, columns))

        normal = tf.TensorSpec([None, self.latent_size], tf.float32)
        latent = tf.TensorSpec(
            [None, self.canvas.turn_size + self.settings.latent_size], tf.float32)
        wanted = tf.TensorSpec([None], tf.int32)
        images = dict(
            image=tf.TensorSpec([None, stamp.size, stamp.size], tf.float32),
            psf=tf.TensorSpec([None, stamp.psf_size, stamp.psf_size], tf.float32),
            noise_sigma=tf.TensorSpec([None], tf.float32))
        return dict(
            sample=Signature(sample, dict(columns, random_normal=normal)),
            cluster=Signature(cluster, dict(columns, random_normal=normal, cluster=wanted)),
            decode=Signature(decode, dict(columns, latent=latent, cluster=wanted)),
            prior=Signature(prior, dict(columns, cluster=wanted)),
            encode=Signature(encode, dict(columns, **images)))
