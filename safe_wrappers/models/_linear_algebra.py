"""Linear equations and Cholesky factors over any arithmetic.

A solver that pivots is not followed step by step, since its pivots depend on the state: its result
is the solution of its equations, which `Arithmetic.solve` encloses. So what `lu` returns is not
known, but `jnp.linalg.solve` and `inv` are. Factors without pivots are computed by their formulas,
whose sums may be taken in any order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse.csgraph import connected_components

from ._scalars import elementwise

UNUSABLE = ("lu", "lu_pivots_to_permutation")


def custom_linear_solve(
    equation, operands: list[np.ndarray], arithmetic, run: Callable[..., list[np.ndarray]]
) -> list[np.ndarray] | None:
    """The x with matvec(x) = b; the matrix is read off matvec at the unit vectors.

    Several right-hand sides make a matrix of blocks; they are solved one by one.
    """
    if arithmetic.solve is None or len(equation.outvars) != 1:
        return None
    lengths, matvec = equation.params["const_lengths"], equation.params["jaxprs"].matvec
    consts, (b,) = operands[: lengths.matvec], operands[sum(lengths) :]
    matrix = np.empty((b.size, b.size), object)
    sparse = _with_zeros(arithmetic)
    for j, unit in enumerate(np.eye(b.size, dtype=np.float32)):
        (column,) = run(matvec, [*consts, unit.reshape(b.shape)], sparse)
        matrix[:, j] = [_entry(sparse.scalar(element), arithmetic) for element in column.ravel()]
    right = [arithmetic.scalar(element) for element in b.ravel()]
    nonzero = np.array([entry is not None for entry in matrix.ravel()]).reshape(matrix.shape)
    count, labels = connected_components(nonzero, directed=False)
    solution = np.empty(b.size, object)
    for block in (np.flatnonzero(labels == label) for label in range(count)):
        solution[block] = arithmetic.solve(matrix[np.ix_(block, block)], [right[i] for i in block])
    return [solution.reshape(b.shape)]


def _with_zeros(arithmetic):
    """The arithmetic with a zero that nothing is multiplied by and a one that changes nothing, so
    that a linear function at a unit vector gives just the entries of its matrix.
    """
    plain = arithmetic.operations

    def constant(value: float) -> Any:
        return {0.0: _ZERO, 1.0: _ONE}.get(value) or arithmetic.constant(value)

    def multiply(a: Any, b: Any) -> Any:
        if a is _ZERO or b is _ZERO:
            return _ZERO
        return b if a is _ONE else a if b is _ONE else plain["mul"](a, b)

    def total(terms: Sequence[Any]) -> Any:
        terms = [term for term in terms if term is not _ZERO]
        if len(terms) < 2:
            return terms[0] if terms else _ZERO
        return arithmetic.total([_lowered(term, arithmetic) for term in terms])

    def lowering(operation: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *operands: operation(*(_lowered(o, arithmetic) for o in operands))

    operations = {name: lowering(operation) for name, operation in plain.items()}
    operations["mul"] = multiply
    return arithmetic._replace(constant=constant, operations=operations, total=total)


_ZERO, _ONE = object(), object()


def _lowered(element: Any, arithmetic) -> Any:
    if element is _ZERO or element is _ONE:
        return arithmetic.constant(float(element is _ONE))
    return element


def _entry(element: Any, arithmetic) -> Any:
    """A scalar, or None for a zero."""
    return None if element is _ZERO else _lowered(element, arithmetic)


def eliminate(
    matrix: np.ndarray, right: list[Any], arithmetic, size: Callable[[Any], float]
) -> list[Any]:
    """The solution of linear equations by Gaussian elimination, exact in exact arithmetic.

    Args:
        matrix: Scalars, or None for zeros, shape (n, n).
        right: n scalars.
        arithmetic: Their rules.
        size: How large a scalar is at least; the largest in a column is its pivot.
    """
    multiply, subtract, divide, negate = (
        arithmetic.operations[name] for name in ("mul", "sub", "div", "neg")
    )
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    n = len(rows)
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: -1.0 if rows[i][k] is None else size(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        if rows[k][k] is None:
            rows[k][k] = arithmetic.constant(0.0)
        for row in rows[k + 1 :]:
            if row[k] is None:
                continue
            factor = divide(row[k], rows[k][k])
            for j in range(k + 1, n + 1):
                if rows[k][j] is not None:
                    product = multiply(factor, rows[k][j])
                    row[j] = negate(product) if row[j] is None else subtract(row[j], product)
    solution: list[Any] = [None] * n
    for k in reversed(range(n)):
        value = rows[k][n]
        for j in range(k + 1, n):
            if rows[k][j] is not None:
                value = subtract(value, multiply(rows[k][j], solution[j]))
        solution[k] = divide(value, rows[k][k])
    return solution


def triangular_solve(equation, operands: list[np.ndarray], arithmetic) -> list[np.ndarray]:
    """Substitution, for each of the matrices and right-hand sides."""
    params = equation.params
    a, b = (elementwise(arithmetic.scalar, operand) for operand in operands)
    lower = params["lower"]
    if params["transpose_a"]:
        a, lower = a.swapaxes(-1, -2), not lower
    if not params["left_side"]:
        # X A = B is A^T X^T = B^T.
        a, lower, b = a.swapaxes(-1, -2), not lower, b.swapaxes(-1, -2)
    result = np.empty(b.shape, object)
    n = a.shape[-1]
    for batch in np.ndindex(b.shape[:-2]):
        for column in range(b.shape[-1]):
            for i in range(n) if lower else reversed(range(n)):
                solved = range(i) if lower else range(i + 1, n)
                rest = _less(
                    arithmetic,
                    b[batch][i, column],
                    [(a[batch][i, j], result[batch][j, column]) for j in solved],
                )
                result[(*batch, i, column)] = (
                    rest
                    if params["unit_diagonal"]
                    else arithmetic.operations["div"](rest, a[batch][i, i])
                )
    return [result if params["left_side"] else result.swapaxes(-1, -2)]


def cholesky(equation, operands: list[np.ndarray], arithmetic) -> list[np.ndarray] | None:
    """L with L L^T = A, of which only the lower half is read; zero above."""
    if "sqrt" not in arithmetic.operations:
        return None
    a = elementwise(arithmetic.scalar, operands[0])
    n, root, divide = a.shape[-1], arithmetic.operations["sqrt"], arithmetic.operations["div"]
    result = elementwise(arithmetic.constant, np.zeros(a.shape))
    for batch in np.ndindex(a.shape[:-2]):
        for j in range(n):
            for i in range(j, n):
                terms = [(result[(*batch, i, k)], result[(*batch, j, k)]) for k in range(j)]
                rest = _less(arithmetic, a[(*batch, i, j)], terms)
                result[(*batch, i, j)] = (
                    root(rest) if i == j else divide(rest, result[(*batch, j, j)])
                )
    return [result]


def _less(arithmetic, value: Any, products: list[tuple[Any, Any]]) -> Any:
    """`value` less the sum of products."""
    multiply, negate = arithmetic.operations["mul"], arithmetic.operations["neg"]
    return arithmetic.total([value, *(negate(multiply(a, b)) for a, b in products)])
