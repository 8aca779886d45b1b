"""Safe centres: interior points of a safe action set about which a ray mask scales."""

from typing import Literal

import jax
import jax.numpy as jnp

from ..safe_actions._action_set import interval
from ..solvers import max_margin, project
from ._base import Rows

Center = Literal["chebyshev", "analytic", "box", "orthogonal"]

# Weight of the volume against the barrier of the rows: the sides of the inscribed box are within about 1 % of the largest.
_VOLUME_WEIGHT = 100.0


def safe_center(kind: Center, rows: Rows, request: jax.Array, accepted: jax.Array) -> jax.Array:
    """An interior point of the safe action set, shape (d,), differentiable in its rows and, if it depends on it, the request.

    Args:
        kind: Which centre; for d = 1 the first three are the interval's midpoint.
        rows: Unit rows of the set.
        request: The sanitised request, shape (d,); matters for "orthogonal" alone.
        accepted: Whether the request is safe; then the orthogonal centre is the request itself.
    """
    if request.shape == (1,):
        lower, upper = interval(rows.A, rows.b - rows.tau)
        return (jnp.maximum(lower, -1.0) + jnp.minimum(upper, 1.0))[None] / 2
    A, b = rows.tightened_with_box()
    if kind == "orthogonal":
        return _chord_midpoint(A, b, request, accepted)
    center, radius = max_margin(A, b)
    if kind == "chebyshev":
        return center
    d = A.shape[1]
    # Where the set has no interior there is no barrier to climb; the mask then returns the centre, and the repair decides.
    b = jnp.where(radius > 0, b, jnp.sum(A * center, axis=-1) + 1.0)
    radius = jnp.where(radius > 0, radius, 1.0)
    if kind == "analytic":
        return _barrier_center(A, b, jnp.ones_like(b), center)
    # The largest box {|a - c| <= r}: rows A c + |A| r <= b on z = (c, r), and the volume's logarithm sum log r_j.
    lifted = jnp.block([[A, jnp.abs(A)], [jnp.zeros((d, d), A.dtype), -jnp.eye(d, dtype=A.dtype)]])
    offsets = jnp.concatenate([b, jnp.zeros(d, b.dtype)])
    weights = jnp.concatenate([jnp.ones_like(b), jnp.full(d, _VOLUME_WEIGHT, b.dtype)])
    start = jnp.concatenate([center, jnp.full(d, 0.5 * radius / jnp.sqrt(1.0 * d))])
    return _barrier_center(lifted, offsets, weights, start)[:d]


def _chord_midpoint(A: jax.Array, b: jax.Array, request: jax.Array, accepted: jax.Array) -> jax.Array:
    """The middle of the chord along the projection line (the paper's orthogonal centre)."""
    nearest = project(A, b, request)
    inward = nearest - request
    along = jnp.sum(A * inward, axis=-1)
    slack = jnp.maximum(b - jnp.sum(A * nearest, axis=-1), 0.0)
    blocking = along > 1e-6 * jnp.max(jnp.abs(inward))
    length = jnp.min(jnp.where(blocking, slack / jnp.where(blocking, along, 1.0), jnp.inf))
    length = jnp.where(jnp.isfinite(length), length, 0.0)
    return jnp.where(accepted, request, nearest + 0.5 * length * inward)


def _barrier_center(A: jax.Array, b: jax.Array, weights: jax.Array, start: jax.Array) -> jax.Array:
    """The z maximising sum_i w_i log(b_i - A_i z), w >= 1, by damped Newton steps from an interior point.

    A step of length 1 / (1 + decrement) keeps a self-concordant barrier inside its domain (Nesterov and Nemirovskii),
    so no line search is needed. The derivative is that of one more Newton step at the optimum, which is the implicit
    function theorem.
    """
    frozen = jax.lax.stop_gradient(A), jax.lax.stop_gradient(b)

    def newton(rows: jax.Array, offsets: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        inverse = 1.0 / (offsets - rows @ z)
        gradient = rows.T @ (weights * inverse)
        scaled = rows * (jnp.sqrt(weights) * inverse)[:, None]
        hessian = scaled.T @ scaled
        step = -jnp.linalg.solve(hessian, gradient)
        return step, jnp.sqrt(jnp.maximum(-jnp.sum(step * gradient), 0.0))

    def damped(_, z):
        step, decrement = newton(frozen[0], frozen[1], z)
        return z + step / (1.0 + jnp.where(decrement > 0.25, decrement, 0.0))

    with jax.default_matmul_precision("highest"):
        z: jax.Array = jax.lax.stop_gradient(jax.lax.fori_loop(0, 25, damped, jax.lax.stop_gradient(start)))
        return z + newton(A, b, z)[0]
