"""Brax's multi-layer perceptron, written so that the compiler of CPUs makes fast programs of it.

The parameters are those of `brax.training.networks.MLP`: the same names, shapes and first values.
So are the outputs, but for rounding. A step of the value function takes half of the time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from brax.training import networks
from flax import linen

_EPSILON = 1e-6  # of linen.LayerNorm


def _rows(vector: jax.Array, count: int) -> jax.Array:
    """`count` rows that are all `vector`, as a product with a column of ones.

    Its derivative, a sum over rows, is then a product, too. XLA would put a sum into one loop with
    all that it adds up, column by column, and compute that once for every product that needs it.
    """
    # Not rounded to fewer bits, as accelerators do with the factors of products by default.
    return jnp.dot(jnp.ones((count, 1), vector.dtype), vector[None], precision="highest")


class _Dense(linen.Module):
    """x W + b for a matrix x, as `linen.Dense`."""

    features: int
    kernel_init: Callable[..., Any]

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (x.shape[1], self.features))
        bias = self.param("bias", jax.nn.initializers.zeros, (self.features,))
        return jnp.dot(x, kernel) + _rows(bias, len(x))


class _LayerNorm(linen.Module):
    """The rows of x with mean 0 and variance 1, scaled and shifted, as `linen.LayerNorm`."""

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", jax.nn.initializers.ones, (x.shape[1],))
        bias = self.param("bias", jax.nn.initializers.zeros, (x.shape[1],))
        centred = x - jnp.mean(x, axis=1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=1, keepdims=True)
        normalised = centred * jax.lax.rsqrt(variance + _EPSILON)
        return normalised * _rows(scale, len(x)) + _rows(bias, len(x))


class MLP(linen.Module):
    """Layers of a product, an activation and a layer normalisation; the last is a product alone.

    Args:
        layer_sizes: Widths.
        activation: Activation of all layers but the last.
        layer_norm: Whether each activation is followed by a layer normalisation.
        output_kernel_init: Initialiser of the last layer's matrix. Default: as of the others.
    """

    layer_sizes: Sequence[int]
    activation: networks.ActivationFn
    layer_norm: bool
    output_kernel_init: Callable[..., Any] | None = None

    @linen.compact
    def __call__(self, data: jax.Array) -> jax.Array:
        """The outputs, shape (..., layer_sizes[-1]), for inputs of shape (..., size)."""
        kernel_init = jax.nn.initializers.lecun_uniform()
        hidden = data.reshape(-1, data.shape[-1])
        last = len(self.layer_sizes) - 1
        for i, width in enumerate(self.layer_sizes[:-1]):
            hidden = self.activation(_Dense(width, kernel_init, name=f"hidden_{i}")(hidden))
            if self.layer_norm:
                hidden = _LayerNorm(name=f"LayerNorm_{i}")(hidden)
        output_init = self.output_kernel_init or kernel_init
        hidden = _Dense(self.layer_sizes[-1], output_init, name=f"hidden_{last}")(hidden)
        return hidden.reshape(*data.shape[:-1], -1)
