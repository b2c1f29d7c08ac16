"""The networks of an MPCC, and what they compute.

The columns are conditions of all networks: generator, discriminator, encoder and prior.
Alternatively no network gets them, and the distributions of the latents and of the classes given
the columns are fitted afterwards, on what the encoder infers from real stamps.

The phases of `families.mpcc.phases` fit these networks; `families.mpcc.family` makes a model family
of both.
"""

__all__ = ["MPCCModel"]

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ...data.dataset import Dataset
from ...networks.flows import Flow
from ...networks.imputation import Imputation
from ...networks.patch_discriminator import PatchDiscriminator
from ...recipe import Recipe
from ..base import Columns, ModelFamily
from .canvases.base import AnySizeCanvas
from .class_imputation import imputed_for_class, marginal_log_weights
from .networks.class_weights import ClassWeights
from .networks.discriminator import Discriminator, LatentEncoder, Trunk
from .networks.generator import Generator
from .networks.mixture_prior import MixturePrior, class_of, uniform_of
from .settings import MPCCSettings
from .training_set import TrainingSet


class MPCCModel(ModelFamily):
    """Generator, discriminator, encoder and priors; the base class of the family `MPCC`.

    In the shapes below, N is the number of galaxies, S the size of a stamp, J that of a latent, K
    the number of classes and C the number of columns.

    Parameters:
        settings:   `MPCCSettings`.
        recipe:     The `Recipe`.

    Raises:
        galsim.GalSimConfigError: if sizes of the networks do not fit each other.

    Example::

        >>> from galsim_deep_training.families import make_family
        >>> from galsim_deep_training.recipe import read_recipe
        >>> model = make_family(read_recipe("training/recipes/digits_mpcc.yaml"))
        >>> isinstance(model, MPCCModel)
        True
        >>> latent = model.draw_latent(tf.zeros([2, 12]), model.one_hot(tf.constant([0, 7])), {})
        >>> model.log_class_probability(latent, {}).shape
        TensorShape([2, 10])
    """

    Settings = MPCCSettings

    settings: MPCCSettings

    def __init__(self, settings: MPCCSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self.canvas = settings.canvas.make(recipe)
        self.chooses_stamps = isinstance(self.canvas, AnySizeCanvas)
        wraps = self.canvas.wraps
        self.conditional = settings.conditional and bool(recipe.columns)
        self.optional_columns = "columns" in recipe.fit
        blocks = self._check_sizes()
        classes, channels = settings.classes.number, settings.discriminator.channels
        halvings, view_grids = settings.discriminator.halvings, self.canvas.view_grids
        self.prior = MixturePrior(
            classes, settings.latent_size, len(recipe.columns) if self.conditional else 0,
            settings.prior.floor, separation=settings.prior.separation, seed=recipe.seed)
        self.generator = Generator(
            settings.latent_size, classes, settings.generator.start, blocks,
            settings.generator.channels, self.canvas.render_grids, self.canvas.scalars,
            settings.generator.injection, wraps=wraps, noise_maps=settings.generator.noise_maps)
        self.trunk = Trunk(channels, halvings, view_grids, wraps)
        self.judges_patches = settings.discriminator.kind == "patches"
        self.discriminator: keras.Model = (
            PatchDiscriminator(_fewer_at_first(channels)) if self.judges_patches else Discriminator(
                channels, self.conditional or settings.classes.supervised,
                settings.discriminator.joint, wraps))
        self.encoder_trunk = (self.trunk if settings.encoder.share_trunk
                              else Trunk(channels, halvings, view_grids, wraps))
        self.encoder = LatentEncoder(
            settings.latent_size, channels, view_grids[0][0] // 2**halvings,
            settings.encoder.hidden, wraps)
        self.class_weights = ClassWeights(classes, len(recipe.columns))
        self.imputation = Imputation(len(recipe.columns), seed=recipe.seed)
        self.training_set = TrainingSet(classes)
        self.prepared.update(self.canvas.layers, training_set=self.training_set)
        self.flow: Flow | None = None
        # The parts of the random input: position angle, latent, missing columns, class, noise.
        self._parts = [self.canvas.position_angle_size, settings.latent_size,
                       len(recipe.columns), 1, self.generator.noise_size]
        self.latent_size = sum(self._parts)
        self._create_weights()
        # After the other networks, whose initial weights must not depend on the flow.
        if "flow" in recipe.fit:
            self.flow = settings.flow.make(settings.latent_size, seed=recipe.seed)
            self.draw_latent(tf.zeros([1, settings.latent_size]),
                             self.one_hot(tf.zeros([1], tf.int32)), self.example_columns())
        self.networks.update(
            self.canvas.layers, generator=self.generator, prior=self.prior,
            encoder=self.encoder, encoder_trunk=self.encoder_trunk,
            class_weights=self.class_weights, imputation=self.imputation)
        if self.flow is not None:
            self.networks["flow"] = self.flow

    def _check_sizes(self) -> int:
        """Check that sizes fit each other; returns the number of blocks of the generator."""
        settings, where = self.settings, f"The recipe {self.recipe.path}, model"
        generator, discriminator = settings.generator, settings.discriminator
        cells, view_cells = self.canvas.render_grids[0][0], self.canvas.view_grids[0][0]
        blocks = max(0, int(np.log2(cells / generator.start)))
        if generator.start * 2**blocks != cells:
            raise GalSimConfigError(
                f"{where}.generator.start: the {cells} cells of the canvas cannot be obtained by "
                f"doubling {generator.start}.")
        if generator.injection == "split" and settings.latent_size % (blocks + 1):
            raise GalSimConfigError(
                f"{where}.latent_size: {settings.latent_size} latents cannot be cut into "
                f"{blocks + 1} equal pieces, for the entry and each block of the generator.")
        if discriminator.joint and not (self.conditional or settings.classes.supervised):
            raise GalSimConfigError(
                f"{where}.discriminator.joint: there are neither classes nor columns that the "
                "discriminator could see together with an image.")
        if discriminator.kind == "patches" and not (
                self.canvas.wraps and not settings.encoder.share_trunk
                and not settings.classes.supervised):
            raise GalSimConfigError(
                f"{where}.discriminator.kind: 'patches' needs the canvas 'polar_frame', "
                "encoder.share_trunk: false, since it has no trunk, and classes that are not "
                "labels.")
        if discriminator.kind == "patches" and discriminator.joint:
            raise GalSimConfigError(
                f"{where}.discriminator.joint: a discriminator of the kind 'patches' has no such "
                "layer. Leave it out.")
        if len(generator.noise_maps) > blocks + 1:
            raise GalSimConfigError(
                f"{where}.generator.noise_maps has {len(generator.noise_maps)} entries; there are "
                f"{blocks + 1} resolutions, {generator.start} to {cells} cells.")
        halvings = discriminator.halvings
        if view_cells % 2**halvings or view_cells // 2**halvings < 2:
            raise GalSimConfigError(
                f"{where}.discriminator.halvings: the {view_cells} cells of the views cannot be "
                f"halved {halvings} times.")
        rows = view_cells // 2**halvings
        while self.canvas.wraps and rows > 3:
            if rows % 2:
                raise GalSimConfigError(
                    f"{where}.canvas: {view_cells} rows of cells cannot be halved until 3 or fewer "
                    "are left, as the encoder does; take a power of two, or three times one.")
            rows //= 2
        return blocks

    def _create_weights(self) -> None:
        """Create the weights of all networks.  Their order determines the initial values."""
        stamp, count = self.recipe.stamp, 2
        columns = self.example_columns(count)
        stamps = self.sample(tf.zeros([count, self.latent_size]), columns)
        views = self.view(stamps, tf.ones([count, stamp.psf_size, stamp.psf_size]),
                          tf.ones([count]), columns)
        conditions = self.network_conditions(columns, count)
        self.discriminate(views, self.one_hot(tf.zeros([count], tf.int32)), conditions)
        self.encode_views(views, conditions)
        if columns:
            self.imputed(columns)

    def prepare(self, dataset: Dataset) -> None:
        if self.recipe.columns:
            super().prepare(dataset)
        self.canvas.prepare(dataset)
        self.training_set.adapt(dataset, self.settings.classes.supervised, self.recipe)

    # ---- what the model computes -------------------------------------

    def one_hot(self, numbers: tf.Tensor) -> tf.Tensor:
        """Numbers of classes, int [N], as one-hot vectors, [N, K]."""
        return tf.one_hot(numbers, self.settings.classes.number)

    def network_conditions(self, columns: Columns, count: Any) -> tf.Tensor:
        """The conditions of the networks for ``count`` galaxies: standardised columns, [N, C].

        Without any, if the model is not conditional, [N, 0].
        """
        return self.conditions(columns) if self.conditional else tf.zeros([count, 0])

    def all_conditions(self, columns: Columns, count: Any) -> tf.Tensor:
        """All standardised columns of ``count`` galaxies, [N, C], conditional model or not."""
        return self.conditions(columns) if self.recipe.columns else tf.zeros([count, 0])

    def generate(self, latent: tf.Tensor, classes: tf.Tensor, position_angle_latents: tf.Tensor,
                 columns: Columns, noise: tf.Tensor | None = None, **mode: Any) -> tf.Tensor:
        """Generate light profiles.

        Parameters:
            latent:                     [N, J].
            classes:                    One-hot, [N, K].
            position_angle_latents:     Standard normal numbers, [N, position_angle_size].
            columns:                    Catalogue columns, [N] each.
            noise:                      Standard normal numbers of the maps of noise of the
                                        generator, [N, noise_size].  [default: zeros]
            **mode:                     ``training`` or ``batchwise`` of the generator.

        Returns:
            light profiles before PSF and pixel, [N, S, S].
        """
        conditions = self.network_conditions(columns, tf.shape(latent)[0])
        outputs, scalars = self.generator(latent, classes, conditions, noise, **mode)
        return self.canvas.render(outputs, scalars, position_angle_latents, columns)

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor, columns: Columns,
             position_angle_latents: tf.Tensor | None = None) -> list[tf.Tensor]:
        """Observed stamps as discriminator and encoder see them; see `Canvas.view`."""
        return self.canvas.view(stamps, psfs, noise_sigma, columns, position_angle_latents)[0]

    def discriminate(self, views: list[tf.Tensor], classes: tf.Tensor, conditions: tf.Tensor,
                     training: bool = False) -> tf.Tensor:
        """The output of the discriminator, high for real views, [N].

        Parameters:
            views:          A list of [N, G, G, V].
            classes:        One-hot, [N, K]; ignored unless classes are labels.
            conditions:     `network_conditions`.
            training:       Whether to update the estimates of spectral norms.
        """
        inputs = [conditions] + ([classes] if self.settings.classes.supervised else [])
        if self.judges_patches:
            return self.discriminator(views[0], tf.concat(inputs, axis=-1))
        return self.discriminator(self.trunk(views, training=training),
                                  tf.concat(inputs, axis=-1), training=training)

    def encode_views(self, views: list[tf.Tensor], conditions: tf.Tensor,
                     training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and scale of q(z | x), [N, J] each; parameters as for `discriminate`."""
        return self.encoder(self.encoder_trunk(views, training=training), conditions,
                            training=training)

    def draw_latent(self, normal: tf.Tensor, classes: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Draw latents [N, J] from p(z | y, columns).

        Parameters:
            normal:     Standard normal numbers, [N, J].
            classes:    One-hot, [N, K].
            columns:    Catalogue columns, [N] each.
        """
        count = tf.shape(normal)[0]
        if self.flow is not None:
            normal = self.flow.transform(
                normal, tf.concat([self.all_conditions(columns, count), classes], axis=-1))
        return self.prior.draw(normal, classes, self.network_conditions(columns, count))

    def log_class_weights(self, columns: Columns, count: Any) -> tf.Tensor:
        """log p(y | columns) for ``count`` galaxies, [N, K]."""
        return self.class_weights(self.all_conditions(columns, count))

    def marginal_log_class_weights(self, columns: Columns, count: Any) -> tf.Tensor:
        """`log_class_weights`, averaged over the values that missing columns may have."""
        if not self.optional_columns:
            return self.log_class_weights(columns, count)
        return marginal_log_weights(
            {column.name: columns[column.name] for column in self.recipe.columns},
            len(self.recipe.columns), self.imputed,
            lambda imputed: self.class_weights(self.conditions(imputed)))

    def sample(self, normal: tf.Tensor, columns: Columns,
               galaxy_class: tf.Tensor | None = None) -> tf.Tensor:
        """The light profiles of `sample_classes`, [N, S, S]."""
        return self.sample_classes(normal, columns, galaxy_class)[0]

    def sample_classes(self, normal: tf.Tensor, columns: Columns,
                       galaxy_class: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw light profiles.

        Parameters:
            normal:         Standard normal numbers, [N, latent_size].
            columns:        Catalogue columns, [N] each; NaN for those to draw.
            galaxy_class:   The class of each galaxy, int [N]; -1 to draw it.  [default: draw all]

        Returns:
            (light profiles before PSF and pixel, [N, S, S]; their classes, int32 [N]).
        """
        position_angle_latents, latent, numbers, columns, noise = self._drawn(
            normal, columns, galaxy_class)
        return self.generate(
            latent, self.one_hot(numbers), position_angle_latents, columns, noise), numbers

    def latents(self, normal: tf.Tensor, columns: Columns,
                galaxy_class: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """The galaxies of `sample_classes` before they are rendered; for an `AnySizeCanvas`.

        Parameters:
            As for `sample_classes`.

        Returns:
            a dict of ``latent``, all that `draw` needs to know of each galaxy, [N, V]; ``extent``,
            half the side of the stamp that it needs [arcsec], [N]; ``galaxy_class``, int32 [N].
        """
        position_angle_latents, latent, numbers, columns, noise = self._drawn(
            normal, columns, galaxy_class)
        scalars = self.generator.scalars(
            latent, self.one_hot(numbers), self.network_conditions(columns, tf.shape(normal)[0]))
        extent = self.recipe.stamp.pixel_scale * self._any_size.extent(
            scalars, position_angle_latents, columns)
        values = [columns[column.name] for column in self.recipe.columns]
        rest = tf.stack([tf.cast(numbers, tf.float32), *values], axis=-1)
        return dict(latent=tf.concat([position_angle_latents, latent, rest, noise], axis=-1),
                    extent=extent, galaxy_class=numbers)

    def draw(self, size: int, latent: tf.Tensor, pixel_scale: tf.Tensor) -> tf.Tensor:
        """Draw what `latents` gives, [N, V], on stamps of Z pixels [arcsec]: [N, Z, Z].

        At the edge the light is zero.
        """
        angle_size, latent_size, column_count, _, noise_size = self._parts
        position_angle_latents, latent, number, values, noise = tf.split(
            latent, [angle_size, latent_size, 1, column_count, noise_size], axis=-1)
        columns = {column.name: value for column, value in zip(
            self.recipe.columns, tf.unstack(values, axis=-1), strict=True)}
        classes = self.one_hot(tf.cast(tf.round(number[:, 0]), tf.int32))
        outputs, scalars = self.generator(
            latent, classes, self.network_conditions(columns, tf.shape(latent)[0]), noise)
        return self._any_size.render_on(size, outputs, scalars, position_angle_latents,
                                        dict(columns, pixel_scale=pixel_scale))

    @property
    def _any_size(self) -> AnySizeCanvas:
        assert isinstance(self.canvas, AnySizeCanvas)  # by ``chooses_stamps``
        return self.canvas

    def _drawn(self, normal: tf.Tensor, columns: Columns, galaxy_class: tf.Tensor | None
               ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, Columns, tf.Tensor]:
        """What `sample_classes` draws.

        Returns:
            (position-angle latents [N, position_angle_size]; latents [N, J]; classes, int32 [N];
            the columns, with none missing; the noise of the generator, [N, noise_size]).
        """
        position_angle_latents, normal, missing, last, noise = tf.split(
            normal, self._parts, axis=-1)
        uniform, requested = uniform_of(last[:, 0]), columns
        columns = self.imputed(requested, missing)
        # A class is drawn for rows with a requested class too, so that the request does not change
        # the other random choices.
        drawn = class_of(uniform, tf.exp(self.log_class_weights(columns, tf.shape(normal)[0])))
        numbers = drawn
        if galaxy_class is not None:
            numbers = tf.where(galaxy_class >= 0,
                               tf.minimum(galaxy_class, self.settings.classes.number - 1), drawn)
            if self.optional_columns and self.settings.classes.number > 1:
                columns = self._imputed_for_class(
                    numbers, requested, columns, numbers == drawn, missing, last[:, 0])
        latent = self.draw_latent(normal, self.one_hot(numbers), columns)
        return position_angle_latents, latent, numbers, columns, noise

    def _imputed_for_class(self, numbers: tf.Tensor, columns: Columns,
                           unconditional: Columns, keeps_unconditional: tf.Tensor,
                           normal: tf.Tensor, last: tf.Tensor) -> Columns:
        """Impute the columns of galaxies whose class was requested, see `class_imputation`.

        Parameters:
            numbers:        The classes, int32 [N].
            columns:        The requested columns, [N] each; NaN for those to draw.
            unconditional:  The result of `imputed` for them.
            keeps_unconditional:    Whether the requested class is the one that was drawn,
                            bool [N].
            normal:         The standard normal numbers of `imputed`, [N, C].
            last:           The standard normal numbers that the classes were drawn from, [N].
        """
        # Other entries, such as the pixel scale, are never missing.
        requested, drawn = (
            {column.name: values[column.name] for column in self.recipe.columns}
            for values in (columns, unconditional))
        return dict(columns) | imputed_for_class(
            self.one_hot(numbers), requested, drawn, keeps_unconditional, normal,
            # The class depends on the leading digits of this number, so that only its last digits
            # are free.  These are the same on every machine, unlike those of a number that is
            # computed from it.
            tf.math.floormod(1000.0 * last, 1.0), self.imputed,
            lambda candidates: self.class_weights(self.conditions(candidates)))

    def log_class_probability(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        """log q(y | z, columns) of latents [N, J] (eq. 7.15): [N, K]."""
        count = tf.shape(latent)[0]
        log_weights = self.log_class_weights(columns, count)
        conditions = self.network_conditions(columns, count)
        if self.flow is None:
            return self.prior.log_class_probability(latent, log_weights, conditions)
        # The density of `draw_latent` for each class.
        components = zip(*(tf.unstack(part, axis=1) for part in self.prior.components(conditions)),
                         strict=True)
        all_conditions = self.all_conditions(columns, count)
        densities = []
        for number, (mean, deviation) in enumerate(components):
            classes = self.one_hot(tf.fill([count], number))
            flow = self.flow(tf.concat([all_conditions, classes], axis=-1))
            densities.append(flow.log_prob((latent - mean) / deviation)
                             - tf.reduce_sum(tf.math.log(deviation), axis=-1))
        return tf.nn.log_softmax(log_weights + tf.stack(densities, axis=-1))


def _fewer_at_first(channels: int) -> list[int]:
    """Channels of a `PatchDiscriminator` that has this many at the lowest resolution."""
    return [max(1, quarter * channels // 4) for quarter in (1, 2, 3, 4)]
