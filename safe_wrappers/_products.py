"""Products of small matrices and vectors, element by element.

Accelerators may round the factors of matrix products to 10 bits, which no allowance for rounding
covers; and on a CPU these sums fuse into one loop.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float


def dot(M: Float[jax.Array, "*m d"], v: Float[jax.Array, " d"]) -> Float[jax.Array, "*m"]:
    """M v, for a matrix or a vector M."""
    return jnp.sum(M * jnp.expand_dims(v, range(M.ndim - 1)), axis=-1)


def combine(c: Float[jax.Array, " m"], M: Float[jax.Array, "m d"]) -> Float[jax.Array, " d"]:
    """c M, the rows of M combined with coefficients c."""
    return jnp.sum(c[:, None] * M, axis=0)
