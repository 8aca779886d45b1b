"""Euclidean projection onto a polytope, by a dual active set method with exact derivatives.

Everything is unbatched; batch it with jax.vmap. Rows shared by the batch (in_axes=None for A) are
never copied per lane: the method keeps the indices of at most d rows and the (d, d) factors of
their normals, gathered when needed.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int32

from .._gate import Array
from .._margins import first_largest
from .._products import combine, dot, inner
from ._batches import while_running
from ._flat import change, multipliers, orthonormalise


@jax.custom_jvp
def _project(
    A: Float[jax.Array, "m d"], b: Float[jax.Array, " m"], a: Float[jax.Array, " d"]
) -> tuple[Float[jax.Array, " d"], Int32[jax.Array, " d"], Bool[jax.Array, " d"]]:
    """`project` with the indices of the active rows (d,) and the slots in use (d,), which have no
    derivative.
    """
    end = dual_active_set(A, b, a, reach=4 * float(np.sqrt(a.shape[0])))
    return end.x, end.rows, end.active


@_project.defjvp
def _project_jvp(primals, tangents) -> tuple[Any, Any]:
    A, b, a = primals
    dA, db, da = tangents
    # a custom_jvp function again: its derivative is the second derivative
    x, rows, active = _project(A, b, a)
    Q, T = orthonormalise(_gather(A, rows, active))
    S = incidence(rows, active, A)
    # The multipliers u spread over all m rows: then dA enters through two products with vectors,
    # and the transpose has the form -(u Pg' + w x').
    spread = combine(multipliers(Q, T, a - x), S)
    dx = change(Q, T, da - combine(spread, dA), dot(S, db - dot(dA, x)))
    none = np.zeros(rows.shape, jax.dtypes.float0)
    return (x, rows, active), (dx, none, none)


def project(
    A: Float[Array, "m d"], b: Float[Array, " m"], a: Float[Array, " d"]
) -> Float[jax.Array, " d"]:
    """The point of {x : A x <= b} nearest to a, by the method of Goldfarb and Idnani (1983) with
    the identity as Hessian.

    A point that satisfies the rows to within (d + 3) machine eps is returned as it is, at the cost
    of one product A a. Nothing is promised about feasibility in floating point: the caller checks
    the result. If the set is empty, to within the rounding of rows that depend on each other, the
    result is a finite point no farther than 4 sqrt(d) from a.

    The derivatives w.r.t. A, b and a are those of the active rows, exact wherever the projection is
    differentiable, in forward and reverse mode and of any order. Where it is not (a vertex with
    more than d rows, equal rows, a row that is just touched) they are those of one linearly
    independent set of active rows, hence finite.

    Args:
        A: Rows of length 1, shape (m, d), among them those of a box [-1, 1]^d. A zero row is
            inactive if its b is at least 0.
        b: Offsets, shape (m,).
        a: The point to project, shape (d,), in the box.

    Returns:
        The projection, shape (d,).
    """
    return projection(A, b, a).point


class Projection(NamedTuple):
    """A projection and the rows that decide it.

    Attributes:
        point: The projection, shape (d,).
        rows: Indices of the active rows, shape (d,).
        active: Which of these slots are in use, shape (d,).
    """

    point: Float[jax.Array, " d"]
    rows: Int32[jax.Array, " d"]
    active: Bool[jax.Array, " d"]


def projection(A: Float[Array, "m d"], b: Float[Array, " m"], a: Float[Array, " d"]) -> Projection:
    """`project` with its active rows."""
    return Projection(*_project(jnp.asarray(A), jnp.asarray(b), jnp.asarray(a)))


class _Iterate(NamedTuple):
    """The state of the dual active set method: at most d active rows in d slots, and one entering
    row.
    """

    # the minimiser of |x - a|^2 / 2 + multiplier (normal x) over the active rows
    x: Float[jax.Array, " d"]
    multipliers: Float[jax.Array, " d"]  # >= 0, of the active rows
    rows: Int32[jax.Array, " d"]  # indices of the active rows
    active: Bool[jax.Array, " d"]  # the slots in use
    # orthonormal basis of the span of the active normals, one row for each slot in use
    Q: Float[jax.Array, "d d"]
    T: Float[jax.Array, "d d"]  # with Q = T N
    entering: Int32[jax.Array, ""]  # index of the violated row that is being added
    multiplier: Float[jax.Array, ""]  # of the entering row, > 0 once a row had to leave for it
    running: Bool[jax.Array, ""]
    trips: Int32[jax.Array, ""]


def dual_active_set(
    A: Float[jax.Array, "m d"], b: Float[jax.Array, " m"], a: Float[jax.Array, " d"], reach: float
) -> _Iterate:
    """Starts at a, the minimiser without rows, and adds the most violated row until none is.

    The distance to a only grows, so beyond `reach`, an upper bound of the distance of the set, the
    set is known to be empty.
    """
    d = A.shape[1]
    # Each column an array of its own, see `_products` on sums that are written out.
    columns = [A[:, k] for k in range(d)]
    index, violated = _most_violated(columns, b, a)
    start = _Iterate(
        x=a,
        multipliers=jnp.zeros_like(a),
        rows=jnp.zeros(d, np.int32),
        active=jnp.zeros(d, bool),
        Q=jnp.zeros((d, d), a.dtype),
        T=jnp.zeros((d, d), a.dtype),
        entering=index,
        multiplier=jnp.zeros((), a.dtype),
        running=violated,
        trips=jnp.zeros((), np.int32),
    )
    return while_running(functools.partial(_trip, reach), (columns, b, a), start)


def _most_violated(
    columns: Sequence[Float[jax.Array, " m"]],
    b: Float[jax.Array, " m"],
    x: Float[jax.Array, " d"],
) -> tuple[Int32[jax.Array, ""], Bool[jax.Array, ""]]:
    """Its index, and whether it is violated beyond rounding."""
    d, violations = len(columns), inner(columns, x) - b
    rounding = jnp.finfo(x.dtype).eps * jnp.maximum(1, jnp.max(jnp.abs(x)))
    index = first_largest(violations, (d + 1) * rounding)
    return index, jnp.max(violations) > (d + 3) * rounding


def _trip(
    reach: float,
    problem: tuple[
        Sequence[Float[jax.Array, " m"]], Float[jax.Array, " m"], Float[jax.Array, " d"]
    ],
    s: _Iterate,
) -> _Iterate:
    """One step of the method: a row enters, or leaves for another that is to enter."""
    columns, b, a = problem
    d, eps = len(columns), jnp.finfo(a.dtype).eps
    slots = np.arange(d)
    normal = jnp.stack([column[s.entering] for column in columns])
    offset = b[s.entering]
    # z: the part of the normal that is orthogonal to the active ones; twice is enough. r: the
    # rest in terms of them.
    along = dot(s.Q, normal)
    z = normal - combine(along, s.Q)
    z = z - combine(dot(s.Q, z), s.Q)
    r = combine(along, s.T)
    # The full step makes the entering row hold with equality, the partial step the first
    # multiplier zero.
    square = jnp.sum(z * z)
    independent = (square > (64 * eps) ** 2) & ~jnp.all(s.active)
    full = jnp.where(
        independent, (dot(normal, s.x) - offset) / jnp.where(independent, square, 1), jnp.inf
    )
    blocking = s.active & (r > 16 * eps)
    ratios = jnp.where(blocking, s.multipliers / jnp.where(blocking, r, 1), jnp.inf)
    partial = jnp.min(ratios)
    feasible = jnp.isfinite(jnp.minimum(full, partial))
    step = jnp.where(feasible, jnp.minimum(full, partial), 0)
    adds = feasible & (full <= partial)
    enters = adds & (slots == jnp.argmin(s.active))
    leaves = feasible & ~adds & (slots == jnp.argmin(ratios))

    rows = jnp.where(enters, s.entering, s.rows)
    active = (s.active | enters) & ~leaves
    multiplier = s.multiplier + step
    multipliers = jnp.where(
        enters, multiplier, jnp.where(active, jnp.maximum(s.multipliers - step * r, 0), 0)
    )
    N = jnp.where(active[:, None], jnp.stack([c[rows] for c in columns], axis=1), 0)
    Q, T = orthonormalise(N)
    x = s.x - jnp.where(independent, step, 0) * z
    residual = jnp.where(active, dot(N, x) - b[rows], 0)
    x = x - combine(dot(T, residual), Q)  # returns to the active rows what rounding took

    feasible = feasible & (jnp.sum((x - a) ** 2) <= reach**2)  # False for NaN too
    x = jnp.where(feasible, x, s.x)
    index, violated = _most_violated(columns, b, x)
    return _Iterate(
        x=x,
        multipliers=multipliers,
        rows=rows,
        active=active,
        Q=Q,
        T=T,
        entering=jnp.where(adds, index, s.entering),
        multiplier=jnp.where(adds, 0, multiplier),
        running=feasible & (violated | ~adds) & (s.trips < 10 * (d + 1)),
        trips=s.trips + 1,
    )


def _gather(
    A: Float[jax.Array, "m d"], rows: Int32[jax.Array, " s"], active: Bool[jax.Array, " s"]
) -> Float[jax.Array, "s d"]:
    """The active normals N, shape (d, d), zero in free slots."""
    return jnp.where(active[:, None], A[rows], 0)


def incidence(
    rows: Int32[jax.Array, " s"], active: Bool[jax.Array, " s"], A: Float[jax.Array, "m d"]
) -> Float[jax.Array, "s m"]:
    """Which slot holds which of the m rows of A: a selection matrix of zeros and ones."""
    holds = (np.arange(len(A), dtype=np.int32)[None] == rows[:, None]) & active[:, None]
    return holds.astype(A.dtype)
