"""Euclidean projection onto a polytope by a dual active set method, with exact derivatives."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class _State(NamedTuple):
    """One lane of the dual active set method; q <= d slots hold the active rows."""

    x: jax.Array  # (d,) minimiser of |x - a| over the active rows (and partly over the entering row)
    multipliers: jax.Array  # (d,) of the active rows, 0 in free slots
    rows: jax.Array  # (d,) int32, indices of the active rows
    active: jax.Array  # (d,) bool
    N: jax.Array  # (d, d) active normals, zero in free slots
    offsets: jax.Array  # (d,) their right-hand sides
    Q: jax.Array  # (d, d) orthonormal basis of the span of N (zero rows in free slots)
    T: jax.Array  # (d, d) with Q = T N
    row: jax.Array  # () int32, index of the entering row
    normal: jax.Array  # (d,) the entering row
    offset: jax.Array  # () its right-hand side
    multiplier: jax.Array  # () its multiplier, > 0 after a partial step
    running: jax.Array  # () bool
    trips: jax.Array  # () int32


def _dot(M: jax.Array, v: jax.Array) -> jax.Array:
    """M v over the last axis of M as an elementwise sum: accelerators may round matrix products to 10 bits."""
    return jnp.sum(M * v, axis=-1)


def _combine(c: jax.Array, M: jax.Array) -> jax.Array:
    """c M, the combination of the rows of M with coefficients c."""
    return jnp.sum(c[:, None] * M, axis=0)


def _orthonormalise(N: jax.Array, active: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Q = T N with orthonormal rows, by modified Gram-Schmidt; free slots stay zero.

    The pseudo-inverse of N is (T' Q)', so no normal equations are formed, which is what keeps float32 accurate.
    """
    d = N.shape[0]
    W = list(jnp.where(active[:, None], jnp.concatenate([N, jnp.eye(d, dtype=N.dtype)], axis=1), 0))
    for k in range(d):
        square = jnp.sum(W[k][:d] ** 2)
        W[k] = W[k] * jnp.where(square > 0, lax.rsqrt(jnp.where(square > 0, square, 1)), 0)
        for j in range(k + 1, d):
            W[j] = W[j] - jnp.sum(W[j][:d] * W[k][:d]) * W[k]
    Q = jnp.stack(W)
    return Q[:, :d], Q[:, d:]


def _solve(A, b, a, reach):
    m, d = A.shape
    dtype = A.dtype
    eps = jnp.finfo(dtype).eps
    slot = np.arange(d)

    def entering(x):
        violations = _dot(A, x) - b
        largest = jnp.max(violations)
        row = jnp.min(jnp.where(violations == largest, np.arange(m, dtype=np.int32), m - 1))
        return row, A[row], b[row], largest > (d + 3) * eps * jnp.maximum(1, jnp.max(jnp.abs(x)))

    def body(s: _State) -> _State:
        Qn = _dot(s.Q, s.normal)
        z = s.normal - _combine(Qn, s.Q)
        z = z - _combine(_dot(s.Q, z), s.Q)
        r = _combine(Qn, s.T)
        square = jnp.sum(z * z)
        independent = (square > (64 * eps) ** 2) & ~jnp.all(s.active)
        blocking = s.active & (r > 16 * eps)
        ratios = jnp.where(blocking, s.multipliers / jnp.where(blocking, r, 1), jnp.inf)
        partial = jnp.min(ratios)
        full = jnp.where(independent, (_dot(s.normal, s.x) - s.offset) / jnp.where(independent, square, 1), jnp.inf)
        step = jnp.minimum(partial, full)
        bounded = jnp.isfinite(step)
        adds = bounded & (full <= partial)
        step = jnp.where(bounded, step, 0)
        x = s.x - jnp.where(independent, step, 0) * z
        u = jnp.maximum(s.multipliers - step * r, 0)
        multiplier = s.multiplier + step
        leaves = bounded & ~adds & (slot == jnp.argmin(ratios))
        enters = adds & (slot == jnp.argmin(s.active))
        active = (s.active & ~leaves) | enters
        N = jnp.where(enters[:, None], s.normal, jnp.where(leaves[:, None], 0, s.N))
        offsets = jnp.where(enters, s.offset, jnp.where(leaves, 0, s.offsets))
        u = jnp.where(enters, multiplier, jnp.where(leaves, 0, u))
        rows = jnp.where(enters, s.row, s.rows)
        Q, T = _orthonormalise(N, active)
        x = x - _combine(_dot(T, _dot(N, x) - offsets), Q)
        inside = jnp.sum((x - a) ** 2) <= reach**2
        ok = bounded & inside
        x = jnp.where(ok, x, s.x)
        row, normal, offset, violated = entering(x)
        return _State(
            x,
            u,
            rows,
            active,
            N,
            offsets,
            Q,
            T,
            jnp.where(adds, row, s.row),
            jnp.where(adds, normal, s.normal),
            jnp.where(adds, offset, s.offset),
            jnp.where(adds, 0, multiplier),
            ok & (~adds | violated) & (s.trips < 10 * d + 10),
            s.trips + 1,
        )

    zeros, square = jnp.zeros_like(a), jnp.zeros((d, d), dtype)
    row, normal, offset, violated = entering(a)
    s = _State(
        a, zeros, jnp.zeros(d, jnp.int32), jnp.zeros(d, bool), square, zeros, square, square, row, normal, offset, jnp.zeros((), dtype), violated, jnp.int32(0)
    )
    s = lax.while_loop(lambda s: s.running, body, s)
    return s


@jax.custom_jvp
def _project(A, b, a, reach):
    s = _solve(A, b, a, reach)
    return s.x, s.rows, s.active


@_project.defjvp
def _project_jvp(primals, tangents):
    A, b, a, _ = primals
    dA, db, da, _ = tangents
    x, rows, active = out = _project(*primals)
    d = a.shape[0]
    S = (jnp.arange(A.shape[0]) == rows[:, None]) & active[:, None]
    N = jnp.where(active[:, None], A[rows], 0)
    Q, T = _orthonormalise(N, active)
    u = _dot(Q, a - x) @ T
    dense = jnp.sum(jnp.where(S, u[:, None], 0), axis=0)
    v = da - dense @ dA
    residual = db - _dot(dA, x)
    res = jnp.sum(jnp.where(S, residual, 0), axis=1)
    dx = v - _dot(Q, v) @ Q + (T @ res) @ Q
    return out, (dx, np.zeros(rows.shape, jax.dtypes.float0), np.zeros(rows.shape, jax.dtypes.float0))


def project(A, b, a, reach=None):
    if reach is None:
        reach = 4 * np.sqrt(a.shape[0])
    return _project(A, b, a, jnp.asarray(reach, a.dtype))[0]
