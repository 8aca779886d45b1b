"""The deepest point of a polytope within the action box."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int32

from .._gate import Array
from .._margins import tau
from .._products import combine, dot
from ._active_set import dual_active_set, incidence, projection


def max_margin(
    A: Float[Array, "m d"], b: Float[Array, " m"]
) -> tuple[Float[jax.Array, " d"], Float[jax.Array, ""]]:
    """The point of the box [-1, 1]^d with the largest margin min_i (b_i - A_i x), of several the
    one nearest to 0.

    For a polytope of unit rows this is its Chebyshev centre, except that the box rows are hard and
    do not count. If the set {A x <= b} has no point in the box, it is the least violating action.
    The margin falls short of the largest one by at most tau = (4 d + 12) machine eps plus a few
    roundings, since the nearest to 0 is taken among all that good points: that keeps the point
    unique, and continuous in A and b. First derivatives are exact up to tau.

    Args:
        A: Rows of length 1, shape (m, d), without those of the box; m >= 1. A zero row caps the
            margin at its b.
        b: Offsets, shape (m,).

    Returns:
        The point, shape (d,), exactly in the box, and its margin as evaluated there, shape ().
    """
    deepest = deepest_point(A, b)
    return deepest.point, deepest.margin


class Deepest(NamedTuple):
    """The point of largest margin and the rows that decide it.

    It is the projection of 0 onto the active rows at the level of the largest margin, which is
    that of the weighted rows.

    Attributes:
        point: As `max_margin` gives it, shape (d,).
        margin: Shape ().
        weighted: Indices of the rows that decide the largest margin, shape (d + 1,).
        weights: Their multipliers, 0 in slots that are not in use, shape (d + 1,).
        bottom: The point at which these rows meet, shape (d,).
        rows: Indices of the active rows of the projection, among the rows and below them those of
            the box, shape (d,).
        active: Which of these slots are in use, shape (d,); none where the point is `bottom`.
        level: The level of the active rows: minus the largest margin, and the room for rounding.
            Shape ().
    """

    point: Float[jax.Array, " d"]
    margin: Float[jax.Array, ""]
    weighted: Int32[jax.Array, " s"]
    weights: Float[jax.Array, " s"]
    bottom: Float[jax.Array, " d"]
    rows: Int32[jax.Array, " d"]
    active: Bool[jax.Array, " d"]
    level: Float[jax.Array, ""]


def deepest_point(A: Float[Array, "m d"], b: Float[Array, " m"]) -> Deepest:
    """`max_margin` with the rows that decide it."""
    A, b = jnp.asarray(A), jnp.asarray(b)
    m, d = A.shape
    box = jnp.asarray(np.concatenate([np.eye(d), -np.eye(d)]), A.dtype)
    ones = jnp.ones(2 * d, A.dtype)
    # The linear program min t, A x - b <= t, |x| <= 1: the projection of a far point (0, -far) onto
    # its set. Its suboptimality is at most d / (2 far); the rounding of far only blurs directions
    # in which t is constant, and x there is not used.
    far, half = 1e5, float(np.sqrt(0.5))
    lifted = jnp.block(
        [[A * half, jnp.full((m, 1), -half, A.dtype)], [box, jnp.zeros((2 * d, 1), A.dtype)]]
    )
    start = jnp.zeros(d + 1, A.dtype).at[d].set(-far)
    end = dual_active_set(
        *lax.stop_gradient((lifted, jnp.concatenate([b * half, ones]))), start, reach=2 * far
    )
    deepest = jnp.clip(end.x[:d], -1, 1)
    # The optimal value is sum_i weight_i (A_i x - b_i) with the program's multipliers as weights,
    # which solve N' weight = -e_t; by the envelope theorem its derivative is that of A and b alone.
    used = end.active & (end.rows < m)
    slots = jnp.where(used, -half * combine(end.Q[:, d], end.T), 0)
    weights = combine(slots, incidence(end.rows, end.active, A))
    violation = dot(A, deepest) - b
    value = jnp.sum(jnp.where(weights != 0, weights * violation, 0))
    near = tau(d, A.dtype)
    level = value + lax.stop_gradient(jnp.max(violation) - value)
    nearest = projection(
        jnp.concatenate([A, box]), jnp.concatenate([b + level + near, ones]), jnp.zeros(d, A.dtype)
    )
    x = jnp.clip(nearest.point, -1, 1)
    good = jnp.max(dot(A, x) - b) <= level + 2 * near
    x = jnp.where(good, x, deepest)
    return Deepest(
        point=x,
        margin=jnp.min(b - dot(A, x)),
        weighted=jnp.where(used, end.rows, 0),
        weights=slots,
        bottom=deepest,
        rows=nearest.rows,
        active=nearest.active & good,
        level=level + near,
    )
