"""Projection onto a flat {x : N x = b}: what a projection onto a polytope is near a point."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from .._products import combine, dot


@jax.custom_jvp
def onto_flat(
    N: Float[jax.Array, "d d"], b: Float[jax.Array, " d"], a: Float[jax.Array, " d"]
) -> Float[jax.Array, " d"]:
    """The point of {x : N x = b} nearest to a: what `project` computes near a point whose active
    rows are these, with the same derivatives, and without a search.

    Args:
        N: Linearly independent rows, and zero rows with b = 0, shape (d, d).
        b: Offsets, shape (d,).
        a: Shape (d,).
    """
    Q, T = orthonormalise(N)
    return a - combine(dot(T, dot(N, a) - b), Q)


@onto_flat.defjvp
def _onto_flat_jvp(primals, tangents) -> tuple[Any, Any]:
    N, b, a = primals
    dN, db, da = tangents
    x = onto_flat(N, b, a)
    Q, T = orthonormalise(N)
    v = da - combine(multipliers(Q, T, a - x), dN)
    return x, change(Q, T, v, db - dot(dN, x))


def multipliers(
    Q: Float[jax.Array, "d d"], T: Float[jax.Array, "d d"], away: Float[jax.Array, " d"]
) -> Float[jax.Array, " d"]:
    """u of a - x = N' u, for a - x in the span of the active normals N."""
    return combine(dot(Q, away), T)


def change(
    Q: Float[jax.Array, "d d"],
    T: Float[jax.Array, "d d"],
    v: Float[jax.Array, " d"],
    rise: Float[jax.Array, " d"],
) -> Float[jax.Array, " d"]:
    """dx = P (da - dN' u) + N^+ (db - dN x), with P = I - Q' Q and N^+ = Q' T, for v = da - dN' u
    and rise = db - dN x.
    """
    return v - combine(dot(Q, v), Q) + combine(dot(T, rise), Q)


def orthonormalise(
    N: Float[jax.Array, "d d"],
) -> tuple[Float[jax.Array, "d d"], Float[jax.Array, "d d"]]:
    """Q = T N with orthonormal rows, by modified Gram-Schmidt; zero rows stay zero.

    Then N^+ = Q' T, and no product N N' is formed, whose condition is the square of that of N:
    float32 would not bear it.
    """
    d = N.shape[0]
    W = list(jnp.concatenate([N, jnp.eye(d, dtype=N.dtype)], axis=1))
    for k in range(d):
        square = jnp.sum(W[k][:d] ** 2)
        W[k] = W[k] * jnp.where(square > 0, lax.rsqrt(jnp.where(square > 0, square, 1)), 0)
        for j in range(k + 1, d):
            W[j] = W[j] - jnp.sum(W[j][:d] * W[k][:d]) * W[k]
    return jnp.stack(W)[:, :d], jnp.stack(W)[:, d:]
