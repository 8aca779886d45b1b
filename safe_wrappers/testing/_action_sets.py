"""Random safe action sets, harsh ones that break solvers, and thin ones."""

import numpy as np

from .._margins import tau

HARSH = (
    "near-parallel",
    "duplicate",
    "zero",
    "needle",
    "empty interior",
    "on a vertex",
    "empty",
    "impossible zero",
)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def product(A, x):
    return np.einsum("nmd,nd->nm", A, x)


def random_sets(rng, n, d, m):
    """Unit rows about an interior point, float64: A (n, m, d), b (n, m), a (n, d), and the point
    (n, d).
    """
    A = unit(rng.normal(size=(n, m, d)))
    inner = rng.uniform(-0.9, 0.9, (n, d))
    return A, product(A, inner) + rng.uniform(0.02, 1, (n, m)), rng.uniform(-1, 1, (n, d)), inner


def harsh_sets(rng, n, d, m):
    """The same with what breaks solvers, in equal shares; also the kind of each set, an index into
    HARSH.
    """
    A, b, a, inner = random_sets(rng, n, d, m)
    kind = rng.integers(len(HARSH), size=n)
    half = m // 2
    slack = b - product(A, inner)
    tilt = 10 ** rng.uniform(-8, -1, (n, 1, 1)) * rng.normal(size=(n, half, d))

    def second_half(name, rows, offsets):
        chosen = kind == HARSH.index(name)
        A[chosen, half:], b[chosen, half:] = rows[chosen], offsets[chosen]
        return chosen

    first, offsets = A[:, :half].copy(), b[:, :half].copy()
    near = unit(first + tilt)
    second_half("near-parallel", near, product(near, inner) + slack[:, :half])
    second_half("duplicate", first, offsets)
    width = 10 ** rng.uniform(-7, -2, (n, 1))
    needle = second_half("needle", -near, width - product(near, inner))
    b[needle, :half] = (product(first, inner) + width)[needle]
    flat = second_half("empty interior", -first, -product(first, inner))
    b[flat, :half] = product(first, inner)[flat]
    second_half("empty", -first, -offsets - 10 ** rng.uniform(-4, 0, (n, 1)))
    vertex = kind == HARSH.index("on a vertex")
    b[vertex] = (product(A, a) + np.where(rng.random((n, m)) < 0.5, 0, slack))[vertex]
    zero = (kind == HARSH.index("zero"))[:, None] & (rng.random((n, m)) < 0.3)
    A[zero], b[zero] = 0, 1
    impossible = kind == HARSH.index("impossible zero")
    A[impossible, -1], b[impossible, -1] = 0, -(10.0 ** rng.uniform(-8, 2, impossible.sum()))
    return A, b, a, kind


def needles(rng, n, d, m):
    """Unit rows A (n, m, d) and offsets b (n, m) near one line, in float64, in three kinds, and an
    action (n, d) in the box whose slack is at least 2.1 tau.
    """
    action = rng.uniform(-1, 1, (n, d))
    side = rng.choice([-1, 1], (n, m, 1))
    line = unit(rng.normal(size=(n, 1, d)))
    kind = rng.integers(3, size=(n, 1, 1))
    spread = 10.0 ** np.where(
        kind == 0, rng.uniform(-4, 0, (n, m, 1)), rng.uniform(-3, -2, (n, m, 1))
    )
    A = side * line + spread * rng.normal(size=(n, m, d))
    half = m // 2
    pairs = unit(rng.normal(size=(n, half, d)))
    tilt = 10.0 ** rng.uniform(-4, 0, (n, half, 1)) * rng.normal(size=pairs.shape)
    opposite = np.concatenate([pairs, tilt - pairs], axis=1)
    A[:, : 2 * half] = np.where(kind == 2, opposite, A[:, : 2 * half])
    A = unit(A)
    room = 2.1 * tau(d, np.float32)
    more = 10.0 ** rng.uniform(-6, 0, (n, m))
    slack = room + np.where(rng.uniform(size=(n, m)) < 0.6, 0.0, more)
    return A, product(A, action) + slack, action


def boxed(A, b):
    """The rows with those of the action box below, in float64: (n, m + 2 d, d) and (n, m + 2 d)."""
    n, _, d = A.shape
    box = np.broadcast_to(np.concatenate([np.eye(d), -np.eye(d)]), (n, 2 * d, d))
    return np.concatenate([A.astype(np.float64), box], axis=1), np.concatenate(
        [b.astype(np.float64), np.ones((n, 2 * d))], axis=1
    )


def violations(A, b, action):
    """By how much the worst of the rows and the box is violated, in float64, shape (n,); negative
    inside.
    """
    rows, offsets = boxed(A, b)
    return (product(rows, np.asarray(action, np.float64)) - offsets).max(axis=1)
