"""Whether one zonotope lies in another: a linear encoding, and a proof of its answer in exact
arithmetic.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy import sparse
from scipy.linalg import qr
from scipy.optimize import linprog

from .._errors import SetDimensionError
from ._arrays import concrete
from ._polytope import LP_OPTIONS
from ._zonotope import Zonotope


class Containment(NamedTuple):
    """The answer of `zonotope_in_zonotope`.

    Attributes:
        contained: True is a proof that the inner set lies in the outer one. False means "not
            shown": the encoding is sufficient only.
        gamma: Shape (k_outer, k_inner), with G_inner = G_outer gamma to float64 rounding.
        beta: Shape (k_outer,), with c_outer - c_inner = G_outer beta to float64 rounding.
        slack: 1 minus the largest row sum of |[gamma, beta]|, at least 0 if contained; -inf if the
            solver failed.
    """

    contained: bool
    gamma: Float64[np.ndarray, "k_outer k_inner"]
    beta: Float64[np.ndarray, " k_outer"]
    slack: float


def zonotope_in_zonotope(inner: Zonotope, outer: Zonotope) -> Containment:
    """Shows that <c_in, G_in> lies in <c_out, G_out> (Sadraddini and Tedrake 2019, Linear encodings
    for polytope containment problems).

    It does if gamma and beta exist with G_in = G_out gamma, c_out - c_in = G_out beta and row sums
    of |[gamma, beta]| of at most 1, because every point of the inner set then has coordinates gamma
    b - beta in the unit cube. The condition is not necessary, except for a parallelotope outside,
    so that "not contained" proves nothing: deciding it is co-NP-complete (Kulmburg and Althoff
    2021).

    A linear program minimises the largest row sum. Its solution is then corrected in rational
    arithmetic until the equations hold exactly for the stored numbers, and the row sums are
    compared with 1 exactly. For sets that touch, rounding decides whether the containment is
    found.

    Args:
        inner: The zonotope that is to lie in the other, k_inner generators.
        outer: The zonotope around it, k_outer generators that span the space.

    Raises:
        SetDimensionError: If the dimensions differ or the outer generators do not span the space.

    Example:
        >>> cube = Zonotope([0.0, 0.0], np.eye(2))
        >>> zonotope_in_zonotope(Zonotope([0.25, 0.0], [[0.5], [0.5]]), cube).slack
        0.25
    """
    if inner.dim != outer.dim:
        raise SetDimensionError(
            "Both zonotopes must have the same dimension, but they have "
            f"{inner.dim} and {outer.dim}."
        )
    G = concrete(outer.generators)
    n, k = G.shape
    if np.linalg.matrix_rank(G) < n:
        raise SetDimensionError(
            f"The outer generators must span all {n} dimensions, but their "
            f"rank is {np.linalg.matrix_rank(G)}."
        )
    # The centres' difference is one more column: it takes part in the row sums like a generator.
    # Exact in rationals, rounded for the program.
    exact_columns = [
        [Fraction(v) for v in column] for column in concrete(inner.generators).T.tolist()
    ]
    exact_columns.append(
        [
            Fraction(o) - Fraction(i)
            for o, i in zip(
                concrete(outer.center).tolist(), concrete(inner.center).tolist(), strict=True
            )
        ]
    )
    columns = np.array(exact_columns, float).T

    coordinates = _smallest_coordinates(G, columns)
    if coordinates is None:
        return Containment(
            False, np.full((k, columns.shape[1] - 1), np.nan), np.full(k, np.nan), float("-inf")
        )
    exact = _corrected(G, coordinates, exact_columns)
    slack = 1 - max(sum(abs(column[i]) for column in exact) for i in range(k))
    found = np.array(exact, float).T
    return Containment(slack >= 0, found[:, :-1], found[:, -1], float(slack))


def _smallest_coordinates(
    G: Float64[np.ndarray, "n k"], columns: Float64[np.ndarray, "n m"]
) -> Float64[np.ndarray, "k m"] | None:
    """Z of shape (k, m) with G Z = columns and the least largest row sum of |Z|, in float64; None
    if the solver fails.
    """
    k, m = G.shape[1], columns.shape[1]
    # Z = P - M with P, M >= 0, stacked column by column, and the largest row sum t.
    equations = sparse.kron(sparse.eye(m), G)
    row_sums = sparse.kron(np.ones((1, m)), sparse.eye(k))
    A_ub = sparse.hstack([row_sums, row_sums, -np.ones((k, 1))])
    A_eq = sparse.hstack([equations, -equations, sparse.csr_matrix((m * len(G), 1))])
    objective = np.append(np.zeros(2 * k * m), 1.0)
    result = linprog(
        objective, A_ub, np.zeros(k), A_eq, columns.T.ravel(), bounds=(0, None), options=LP_OPTIONS
    )
    if result.status != 0:
        return None
    positive, negative, _ = np.split(result.x, [k * m, 2 * k * m])
    return (positive - negative).reshape(m, k).T


def _corrected(
    G: Float64[np.ndarray, "n k"],
    coordinates: Float64[np.ndarray, "k m"],
    columns: list[list[Fraction]],
) -> list[list[Fraction]]:
    """The coordinates, column by column, changed by as little as makes G z = column hold exactly.

    The residual is put on n generators that span the space well, by solving with their square
    matrix in rationals.
    """
    *_, order = qr(G, mode="r", pivoting=True)
    basis = sorted(order[: len(G)].tolist())
    rows = [[Fraction(v) for v in row] for row in G.tolist()]
    exact = [[Fraction(v) for v in column] for column in coordinates.T.tolist()]
    residuals = [
        [
            target - sum(g * z for g, z in zip(row, column, strict=True))
            for row, target in zip(rows, targets, strict=True)
        ]
        for column, targets in zip(exact, columns, strict=True)
    ]
    corrections = _solve([[row[j] for j in basis] for row in rows], residuals)
    for column, correction in zip(exact, corrections, strict=True):
        for j, change in zip(basis, correction, strict=True):
            column[j] += change
    return exact


def _solve(matrix: list[list[Fraction]], columns: list[list[Fraction]]) -> list[list[Fraction]]:
    """The solutions of matrix z = column for each column, by Gauss-Jordan elimination."""
    n = len(matrix)
    rows = [[*row, *(column[i] for column in columns)] for i, row in enumerate(matrix)]
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: abs(rows[i][k]))
        if rows[pivot][k] == 0:
            raise SetDimensionError(
                "The outer generators must span the space, but the best "
                "conditioned ones among them are exactly dependent."
            )
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for i in range(n):
            if i != k and rows[i][k] != 0:
                factor = rows[i][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [[row[n + j] for row in rows] for j in range(len(columns))]
