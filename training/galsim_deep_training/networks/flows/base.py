"""What every flow offers, and the small networks inside."""

__all__ = ["Conditioner", "Flow", "bounded"]

import abc

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from ..blocks import ACTIVATION

tfb, tfd = tfp.bijectors, tfp.distributions


class Flow(keras.Model):
    """z = T(u; context), u ~ N(0, 1): a function of the context that returns a distribution.

    Sampling and log densities (eqs. 11, 12) come from the same bijectors.  Weights exist after the
    first call or after ``build((None, C))``; the flow then is the identity, but for the order of
    the numbers.  Everything is float32 whatever the precision of the fit: densities are sums of
    many terms that have to cancel.

    Subclasses make the list ``steps``; u passes through the last one first.

    Parameters:
        latent_size:    Dimension L.
    """

    format = 1
    """Counts what is built differently from the same settings: checkpoints belong to one format."""

    def __init__(self, latent_size):
        super().__init__(name="flow", dtype="float32")
        self.latent_size = latent_size

    @abc.abstractmethod
    def steps(self, context):
        """The bijectors of the flow for a context [N, C]: a list; z comes out of the first."""

    def bijector(self, context):
        """The map from normal numbers to latents as one bijector."""
        # By default a chain spells out all of its parts in the name of every operation, which then
        # makes most of an exported module.
        return tfb.Chain(self.steps(context), name="chain")

    def call(self, context):
        """The distribution of the latent given standardised columns, [N, C] -> batch N, event L."""
        base = tfd.MultivariateNormalDiag(
            tf.zeros([tf.shape(context)[0], self.latent_size]),
            tf.ones([self.latent_size]))
        return tfd.TransformedDistribution(base, self.bijector(context), name="flow")

    def transform(self, normal, context):
        """Map standard normal numbers [N, L] to latents [N, L]."""
        return self(context).bijector.forward(normal)


class Conditioner(keras.layers.Layer):
    """A multilayer perceptron from some numbers and the context to the parameters of a bijector.

    [N, D], [N, C] -> [N, units].

    Parameters:
        hidden:         Units of the hidden layers, a tuple.
        units:          Numbers that come out.
        sees:           For an autoregressive network, one array for each layer that says which
                        input each of its units may see, see `maf`; the context is seen by all.
                        [default: None, all see all]
        last:           Initialises the last layer.  [default: "zeros", so that a flow starts as
                        the identity]
        seed:           Draws the first weights.  [default: the global seed of Keras]
    """

    def __init__(self, hidden, units, sees=None, last="zeros", seed=None):
        super().__init__(dtype="float32")
        self.widths = (*hidden, units)
        self.sees, self.last, self.seed = sees, last, seed

    def build(self, x_shape, context_shape):
        self.weights_of_layers = []
        before, context = x_shape[-1], context_shape[-1]
        for number, units in enumerate(self.widths):
            last = number == len(self.widths) - 1
            rows = before + (context if number == 0 else 0)
            self.weights_of_layers.append((
                self.add_weight(shape=(rows, units), name=f"kernel_{number}",
                                initializer=self.last if last else keras.initializers.HeNormal(
                                    None if self.seed is None else self.seed + number)),
                self.add_weight(shape=(units,), initializer="zeros", name=f"bias_{number}")))
            before = units
        super().build((x_shape, context_shape))

    def call(self, x, context):
        activation = keras.activations.get(ACTIVATION)
        for number, (kernel, bias) in enumerate(self.weights_of_layers):
            kernel = tf.convert_to_tensor(kernel)
            if self.sees is not None:
                mask = tf.constant(self.sees[number], tf.float32)
                if number == 0:
                    mask = tf.concat([mask, tf.ones([context.shape[-1], mask.shape[1]])], axis=0)
                kernel = kernel * mask
            if number == 0:
                x = tf.concat([x, context], axis=-1)
            x = tf.matmul(x, kernel) + bias
            if number < len(self.weights_of_layers) - 1:
                x = activation(x)
        return x


def bounded(raw, bound=2.0):
    """A number in (-bound, bound) that equals ``raw`` near zero.

    Used for ln scale: keeps both directions of a flow stable, as the clipping of section 4.2.2
    does, but with a gradient everywhere.
    """
    return bound * tf.tanh(raw / bound)
