"""Linear equations and Cholesky factors over any arithmetic.

A solver that pivots is not followed step by step, since its pivots depend on the state: its result
is the solution of its equations, whatever the pivots, which `Arithmetic.solve` gives. So what `lu`
returns is not known, but `jnp.linalg.solve` and `inv` are. That a solver with such factors does
solve the equations of their matrix is checked with numbers. Factors without pivots are computed by
their formulas, whose sums may be taken in any order.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import lu_factor
from scipy.sparse.csgraph import connected_components

from .._errors import ModelError
from ._arithmetic import Arithmetic
from ._scalars import Unusable, elementwise, object_array

PIVOTED = ("lu",)


def pivoted(equation, operands: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of an elimination with pivots, of which nothing is known but their matrix."""
    element = Unusable(equation.primitive.name, operands[0])
    shapes = [variable.aval.shape for variable in equation.outvars]
    return [
        object_array([element] * int(np.prod(shape, dtype=int))).reshape(shape) for shape in shapes
    ]


def custom_linear_solve(
    equation, operands: list[np.ndarray], arithmetic, run: Callable[..., list[np.ndarray]]
) -> list[np.ndarray] | None:
    """The x with A x = b, for the matrix A whose factors the solver holds; what its solver computes
    if it holds none.

    Several right-hand sides make a matrix of blocks, which are solved one by one.
    """
    lengths, jaxprs = equation.params["const_lengths"], equation.params["jaxprs"]
    start, right = lengths.matvec + lengths.vecmat, operands[sum(lengths) :]
    solver = operands[start : start + lengths.solve]
    sources = [e.source for array in solver for e in array.ravel() if isinstance(e, Unusable)]
    if not sources:
        return run(jaxprs.solve, [*solver, *right], arithmetic)
    matrix, (b, *others) = sources[0], right
    if (
        others
        or arithmetic.solve is None
        or lengths.matvec != 1
        or any(source is not matrix for source in sources)
        or not _same(operands[0], matrix)
        or not _solves(jaxprs.solve, jaxprs.matvec, matrix.shape, b.shape, run)
    ):
        return None
    entries = _entries(jaxprs.matvec, operands[0], b.shape, arithmetic, run)
    count, labels = connected_components(
        np.array([[entry is not None for entry in row] for row in entries]), directed=False
    )
    values = [arithmetic.scalar(element) for element in b.ravel()]
    solution = np.empty(b.size, object)
    for block in (np.flatnonzero(labels == label) for label in range(count)):
        solution[block] = object_array(
            arithmetic.solve(entries[np.ix_(block, block)], [values[i] for i in block])
        )
    return [solution.reshape(b.shape)]


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    return first is second or (
        first.shape == second.shape
        and all(a is b for a, b in zip(first.ravel(), second.ravel(), strict=True))
    )


def _entries(
    matvec: Any, matrix: np.ndarray, shape: tuple[int, ...], arithmetic, run: Callable[..., Any]
) -> np.ndarray:
    """The matrix of `matvec`, read off at the unit vectors: scalars, or None for zeros."""
    size = int(np.prod(shape, dtype=int))
    entries = np.empty((size, size), object)
    sparse = _with_zeros(arithmetic)
    for j, unit in enumerate(np.eye(size, dtype=np.float32)):
        (column,) = run(matvec, [matrix, unit.reshape(shape)], sparse)
        for i, element in enumerate(column.ravel()):
            entries[i, j] = _entry(sparse.scalar(element), arithmetic)
    return entries


@functools.lru_cache(maxsize=256)
def _solves(
    solve: Any,
    matvec: Any,
    shape: tuple[int, ...],
    of_right: tuple[int, ...],
    run: Callable[..., list[np.ndarray]],
) -> bool:
    """Whether the solver, given the factors of a matrix, solves the equations of this matrix: tried
    with numbers, whose pivots are not in order.
    """
    if len(shape) != 2:
        return False
    rng = np.random.default_rng(0)
    right, plain = rng.normal(size=of_right), _float_arithmetic()
    for _ in range(3):
        matrix = rng.normal(size=shape)
        factors, swaps = lu_factor(matrix)
        permutation = np.arange(len(matrix), dtype=np.int32)
        for i, j in enumerate(swaps):
            permutation[[i, j]] = permutation[[j, i]]
        try:
            (found,) = run(solve, [factors, permutation, right], plain)
            (back,) = run(matvec, [matrix, found], plain)
        except (ModelError, ValueError):
            return False
        if not np.allclose(back.astype(float), right, rtol=1e-6, atol=1e-6):
            return False
    return True


def _float_arithmetic() -> Arithmetic:
    operations = {
        "add": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "div": operator.truediv,
        "neg": operator.neg,
    }
    return Arithmetic(constant=float, operations=operations, total=lambda terms: sum(terms))


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
        arithmetic: The arithmetic of the scalars.
        size: A lower bound of a scalar's magnitude; the largest in a column is its pivot.
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
