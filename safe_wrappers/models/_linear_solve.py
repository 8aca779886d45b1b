"""Linear equations of a few unknowns, unrolled: plain float32 operations, which a compiler fuses,
which batch without a call of a linear algebra library, and which a proof follows one by one.
"""

import jax
import jax.numpy as jnp


def solve_positive(matrix: jax.Array, right: jax.Array) -> jax.Array:
    """The x with M x = b for a symmetric positive definite M, by M = L D L^T.

    Args:
        matrix: M, shape (d, d), of which the lower triangle is read.
        right: b, shape (d,).
    """
    d = len(right)
    lower: list[list[jax.Array]] = [[] for _ in range(d)]
    pivots: list[jax.Array] = []
    for j in range(d):
        scaled = [lower[j][k] * pivots[k] for k in range(j)]
        pivots.append(_less(matrix[j, j], scaled, lower[j]))
        for i in range(j + 1, d):
            lower[i].append(_less(matrix[i, j], scaled, lower[i]) / pivots[j])
    y: list[jax.Array] = []
    for i in range(d):
        y.append(_less(right[i], lower[i], y))
    x = [y[i] / pivots[i] for i in range(d)]
    for i in reversed(range(d)):
        x[i] = _less(x[i], [lower[k][i] for k in range(i + 1, d)], x[i + 1 :])
    return jnp.stack(x)


def solve(matrix: jax.Array, right: jax.Array) -> jax.Array:
    """The x with P x = b by elimination from the first row to the last, without exchanges: for
    matrices whose leading blocks are all far from singular.

    Args:
        matrix: P, shape (d, d).
        right: b, shape (d,).
    """
    d = len(right)
    rows = [[matrix[i, j] for j in range(d)] for i in range(d)]
    values = [right[i] for i in range(d)]
    for k in range(d):
        for i in range(k + 1, d):
            factor = rows[i][k] / rows[k][k]
            values[i] = values[i] - factor * values[k]
            for j in range(k + 1, d):
                rows[i][j] = rows[i][j] - factor * rows[k][j]
    for i in reversed(range(d)):
        values[i] = _less(values[i], rows[i][i + 1 :], values[i + 1 :]) / rows[i][i]
    return jnp.stack(values)


def symmetric(matrix: jax.Array) -> jax.Array:
    """The symmetric matrix with the lower triangle of `matrix`, shape (d, d)."""
    d = len(matrix)
    return jnp.stack(
        [jnp.stack([matrix[max(i, j), min(i, j)] for j in range(d)]) for i in range(d)]
    )


def _less(value: jax.Array, first: list[jax.Array], second: list[jax.Array]) -> jax.Array:
    """`value` less the sum of products."""
    for a, b in zip(first, second, strict=False):
        value = value - a * b
    return value
