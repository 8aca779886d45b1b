"""Products of small matrices and vectors, element by element.

Accelerators may round the factors of matrix products to 10 bits, which no allowance for rounding
covers; and on a CPU these sums fuse into one loop. Short sums are written out term by term: a loop
over a batch then runs over whole columns, many members of the batch at a time, where a reduction of
two or six numbers for each of them would take one after the other.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Float

# Sums of more terms than this are left to a reduction: each term is code to compile.
_WRITTEN_OUT = 8


def dot(M: Float[jax.Array, "*m d"], v: Float[jax.Array, " d"]) -> Float[jax.Array, "*m"]:
    """M v, for a matrix or a vector M."""
    if 0 < M.shape[-1] <= _WRITTEN_OUT:
        return inner([M[..., k] for k in range(M.shape[-1])], v)
    return reduced(M, v)


def reduced(M: Float[jax.Array, "*m d"], v: Float[jax.Array, " d"]) -> Float[jax.Array, "*m"]:
    """M v by a reduction, however short. Unlike a sum that is written out it is computed once, and
    not again in each of many loops that use it.
    """
    return jnp.sum(M * jnp.expand_dims(v, range(M.ndim - 1)), axis=-1)


def combine(c: Float[jax.Array, " m"], M: Float[jax.Array, "m d"]) -> Float[jax.Array, " d"]:
    """c M, the rows of M combined with coefficients c."""
    if 0 < len(c) <= _WRITTEN_OUT:
        return inner(list(M), c)
    return jnp.sum(c[:, None] * M, axis=0)


def inner(
    columns: Sequence[Float[jax.Array, "*m"]], v: Float[jax.Array, " d"]
) -> Float[jax.Array, "*m"]:
    """M v, for the columns of M, one or more."""
    return sum((columns[k] * v[k] for k in range(1, len(columns))), columns[0] * v[0])
