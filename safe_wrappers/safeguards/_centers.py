"""Safe centres: interior points of a safe action set about which masks scale, and a box inside
it.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int32

from .._derivative import with_derivative
from .._margins import first_largest
from .._products import combine, dot
from ..solvers import deepest_point, max_margin, onto_flat, project, projection
from ._rows import Rows

Center = Literal["chebyshev", "analytic", "box", "orthogonal"]

# Weight of the volume against the barrier of the rows: the sides of the inscribed box are within a
# few percent of the largest.
_VOLUME_WEIGHT = 100.0


def safe_center(
    kind: Center, rows: Rows, request: Float[jax.Array, " d"], accepted: Bool[jax.Array, ""]
) -> Float[jax.Array, " d"]:
    """An interior point of the safe action set, shape (d,), differentiable in its rows and, if it
    depends on it, the request.

    Args:
        kind: Which centre; for d = 1 all are the interval's midpoint, and of a box the first three
            are its middle.
        rows: Unit rows of the set.
        request: The sanitised request, shape (d,); matters for "orthogonal" alone.
        accepted: Whether the request is safe; then the orthogonal centre is the request itself.
    """
    single = request.shape == (1,)
    if kind == "box" or single or (rows.is_box and kind != "orthogonal"):
        return inner_box(rows)[0]
    A, b = rows.tightened_with_box()
    if kind == "orthogonal":
        nearest = nearest_of(rows, request)
        half_chord, _ = _half_chord(A, b, nearest, request)
        return jnp.where(accepted, request, nearest + half_chord)
    center, radius = max_margin(A, b)
    if kind == "chebyshev":
        return center
    b, _ = _with_interior(A, b, center, radius)
    return _barrier_center(A, b, jnp.ones_like(b), center)


def nearest_of(rows: Rows, request: Float[jax.Array, " d"]) -> Float[jax.Array, " d"]:
    """The point of the set tightened by tau nearest to the request, shape (d,): in closed form if
    the set is separable.
    """
    if not rows.separable:
        return project(*rows.tightened_with_box(), request)
    lower, upper = rows.ends()
    return jnp.minimum(jnp.maximum(request, lower), upper)


class Found(NamedTuple):
    """A centre and the rows that decide it.

    Attributes:
        center: Shape (d,).
        rows: Their indices among the rows and below them those of the box, shape (r,).
        notes: What `retraced_center` needs beside them.
    """

    center: Float[jax.Array, " d"]
    rows: Int32[jax.Array, " r"]
    notes: Any


def deciding(
    kind: Center,
    rows: Rows,
    request: Float[jax.Array, " d"],
    accepted: Bool[jax.Array, ""],
) -> Found:
    """`safe_center` for d > 1 of a kind that a few rows decide ("chebyshev" or "orthogonal"), with
    these rows.
    """
    A, b = rows.tightened_with_box()
    d = A.shape[1]
    if kind == "orthogonal":
        nearest = projection(A, b, request)
        half_chord, row = _half_chord(A, b, nearest.point, request)
        center = jnp.where(accepted, request, nearest.point + half_chord)
        return Found(center, jnp.append(nearest.rows, row), nearest.active)
    deepest = deepest_point(A, b)
    # Of the program's own box rows, which have no level, the indices are those of the same rows.
    hard = deepest.rows >= len(b)
    among = jnp.where(hard, deepest.rows - 2 * d, deepest.rows)
    return Found(deepest.point, jnp.append(deepest.weighted, among), (deepest, hard))


def retraced_center(
    kind: Center,
    A: Float[jax.Array, "r d"],
    b: Float[jax.Array, " r"],
    request: Float[jax.Array, " d"],
    accepted: Bool[jax.Array, ""],
    notes: Any,
) -> Float[jax.Array, " d"]:
    """The centre of `deciding`, shape (d,), from its rows alone and without a search, for its
    derivative.

    Args:
        kind: As there.
        A: Those of its rows, shape (r, d).
        b: Their tightened offsets, shape (r,).
        request: The sanitised request, shape (d,).
        accepted: Whether it is safe.
        notes: What `deciding` gave.
    """
    d = A.shape[1]
    if kind == "orthogonal":
        N, offsets = jnp.where(notes[:, None], A[:d], 0.0), jnp.where(notes, b[:d], 0.0)
        nearest = onto_flat(N, offsets, request)
        half_chord, _ = _half_chord(A[d:], b[d:], nearest, request)
        return jnp.where(accepted, request, nearest + half_chord)
    deepest, hard = notes
    height = jnp.sum(deepest.weights * (dot(A[: d + 1], deepest.bottom) - b[: d + 1]))
    level = with_derivative(deepest.level, height)
    N = jnp.where(deepest.active[:, None], A[d + 1 :], 0.0)
    offsets = jnp.where(hard, b[d + 1 :], b[d + 1 :] + level)
    point = onto_flat(N, jnp.where(deepest.active, offsets, 0.0), jnp.zeros_like(request))
    return with_derivative(deepest.point, jnp.clip(point, -1.0, 1.0))


def inner_box(rows: Rows) -> tuple[Float[jax.Array, " d"], Float[jax.Array, " d"]]:
    """Centre and half widths, shapes (d,), of a large box {|a - c| <= r} inside the set tightened
    by tau, differentiable in the rows.

    For d = 1 it is the interval, and of a box the box itself. Without an interior the half widths
    are zero.
    """
    d = rows.A.shape[1]
    if rows.separable:
        lower, upper = rows.ends()
        lower, upper = jnp.maximum(lower, -1.0), jnp.minimum(upper, 1.0)
        interior = rows.possible & jnp.all(lower < upper)
        return (lower + upper) / 2, jnp.where(interior, upper - lower, 0.0) / 2
    A, b = rows.tightened_with_box()
    center, radius = max_margin(A, b)
    interior = radius > 0
    b, radius = _with_interior(A, b, center, radius)
    # The largest box {|a - c| <= r}: rows A c + |A| r <= b on z = (c, r), and the volume's
    # logarithm sum log r_j.
    lifted = jnp.block([[A, jnp.abs(A)], [jnp.zeros((d, d), A.dtype), -jnp.eye(d, dtype=A.dtype)]])
    offsets = jnp.concatenate([b, jnp.zeros(d, b.dtype)])
    weights = jnp.concatenate([jnp.ones_like(b), jnp.full(d, _VOLUME_WEIGHT, b.dtype)])
    start = jnp.concatenate([center, jnp.full(d, 0.5 * radius / jnp.sqrt(1.0 * d))])
    z = _barrier_center(lifted, offsets, weights, start)
    return jnp.where(interior, z[:d], center), jnp.where(interior, z[d:], 0.0)


def _with_interior(
    A: Float[jax.Array, "m d"],
    b: Float[jax.Array, " m"],
    center: Float[jax.Array, " d"],
    radius: Float[jax.Array, ""],
) -> tuple[Float[jax.Array, " m"], Float[jax.Array, ""]]:
    """Offsets and radius as they are, or 1 about the centre where the set has no interior and with
    it no barrier to climb.
    """
    interior = radius > 0
    return jnp.where(interior, b, dot(A, center) + 1.0), jnp.where(interior, radius, 1.0)


def _half_chord(
    A: Float[jax.Array, "m d"],
    b: Float[jax.Array, " m"],
    nearest: Float[jax.Array, " d"],
    request: Float[jax.Array, " d"],
) -> tuple[Float[jax.Array, " d"], Int32[jax.Array, ""]]:
    """Half of the way from the projection through the set, in the direction of the projection, and
    the row at its end. Shapes (d,) and ().
    """
    inward = nearest - request
    along = dot(A, inward)
    slack = jnp.maximum(b - dot(A, nearest), 0.0)
    blocking = along > 1e-6 * jnp.max(jnp.abs(inward))
    lengths = jnp.where(blocking, slack / jnp.where(blocking, along, 1.0), jnp.inf)
    length = jnp.min(lengths)
    room = 8 * float(jnp.finfo(b.dtype).eps) * jnp.where(jnp.isfinite(length), length, 1.0)
    length = jnp.where(jnp.isfinite(length), length, 0.0)
    return 0.5 * length * inward, first_largest(-lengths, room)


def _barrier_center(
    A: Float[jax.Array, "m z"],
    b: Float[jax.Array, " m"],
    weights: Float[jax.Array, " m"],
    start: Float[jax.Array, " z"],
) -> Float[jax.Array, " z"]:
    """The z maximising sum_i w_i log(b_i - A_i z) by damped Newton steps from an interior point.

    With M the largest relative loss of slack in a full step, the step of length 1 / (1 + M) stays
    inside and never loses (the argument of Nesterov and Nemirovskii for 1 / (1 + decrement), row by
    row), so no line search is needed. Once no slack changes by more than sqrt(eps) of itself, what
    is left is the square of that; fewer than 20 steps did for all but needles. The derivative is
    that of one more Newton step at the optimum, which is the implicit function theorem.
    """
    eps = float(jnp.finfo(b.dtype).eps)
    start = jax.lax.stop_gradient(start)

    def newton(
        rows: Float[jax.Array, "m z"], room: Float[jax.Array, " m"], y: Float[jax.Array, " z"]
    ) -> tuple[Float[jax.Array, " z"], Float[jax.Array, " m"]]:
        # rounding may take the last of it on a needle
        slack = jnp.maximum(room - dot(rows, y), eps / 4)
        # Columns of length 1, and a ridge of rounding size: the system is solvable in floating
        # point however thin the set is.
        scaled = jax.lax.stop_gradient(rows * (jnp.sqrt(weights) / slack)[:, None])
        length = jnp.sqrt(jnp.sum(scaled * scaled, axis=0))
        scaled = scaled / length[None]
        # Elementwise, as in `_products`.
        hessian = jnp.sum(scaled[:, :, None] * scaled[:, None, :], axis=0) + 2 * len(
            y
        ) * eps * jnp.eye(len(y), dtype=y.dtype)
        step = -_solve(hessian, combine(weights / slack, rows) / length, least=eps) / length
        return step, dot(rows, step) / slack

    def damped(
        state: tuple[Float[jax.Array, " z"], Float[jax.Array, ""], Int32[jax.Array, ""]],
    ) -> tuple[Float[jax.Array, " z"], Float[jax.Array, ""], Int32[jax.Array, ""]]:
        y, _, trips = state
        step, loss = newton(*frozen, y)
        return y + step / (1.0 + jnp.maximum(jnp.max(loss), 0.0)), jnp.max(jnp.abs(loss)), trips + 1

    # Everything about the start, so that slacks far below 1 are not differences of numbers near 1.
    room = b - dot(A, start)
    frozen = jax.lax.stop_gradient((A, room))
    first = (jnp.zeros_like(start), jnp.full((), jnp.inf, b.dtype), jnp.zeros((), np.int32))
    y = jax.lax.stop_gradient(
        jax.lax.while_loop(lambda state: (state[1] > eps**0.5) & (state[2] < 20), damped, first)[0]
    )
    step, _ = newton(A, room, y)
    return start + y + (step - jax.lax.stop_gradient(step))


def _solve(
    M: Float[jax.Array, "n n"], v: Float[jax.Array, " n"], least: float
) -> Float[jax.Array, " n"]:
    """M^-1 v for a small positive definite M, shape (n, n), by elimination without pivoting; pivots
    that rounding took count as `least`.
    """
    table = jnp.concatenate([M, v[:, None]], axis=1)
    for k in range(len(v)):
        row = table[k : k + 1] / jnp.maximum(table[k, k], least)
        table = jnp.where((np.arange(len(v)) == k)[:, None], row, table - table[:, k : k + 1] * row)
    return table[:, -1]
