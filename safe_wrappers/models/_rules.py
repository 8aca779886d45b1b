"""Operations that the interpreter knows by their structure: sums, products of arrays, powers,
choices and conversions. Each rule returns its outputs, or None where the arithmetic has no rule for
its scalars.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from . import _linear_algebra
from ._arithmetic import Arithmetic
from ._moves import bound, landing
from ._promises import require_defined
from ._scalars import elementwise, object_array


def is_boolean(dtype: Any) -> bool:
    """Whether a dtype is that of truth values."""
    return jnp.issubdtype(dtype, jnp.bool_)


def _select(
    equation, operands: list[np.ndarray], arithmetic: Arithmetic
) -> list[np.ndarray] | None:
    """A choice by truth values; by numbers it is a move."""
    if "select_n" not in arithmetic.operations:
        return None
    choices, *cases = operands
    boolean = is_boolean(equation.outvars[0].aval.dtype)
    result = choose(choices, cases, boolean, arithmetic)
    return [result.reshape(equation.outvars[0].aval.shape)]


def choose(
    choices: np.ndarray, cases: Sequence[np.ndarray], boolean: bool, arithmetic: Arithmetic
) -> np.ndarray:
    """The cases by truth values, or by 0 and 1; the first case for false."""
    lift = arithmetic.decision if boolean else arithmetic.scalar
    select = arithmetic.operations["select_n"]
    return elementwise(
        lambda choice, *elements: select(arithmetic.decision(choice), *map(lift, elements)),
        choices,
        *cases,
    )


def _convert(
    equation, operands: list[np.ndarray], arithmetic: Arithmetic
) -> list[np.ndarray] | None:
    """Numbers as numpy converts them, which rounds integers to float32 as XLA does; truth values
    become 0 or 1.
    """
    (operand,) = operands
    old, new = equation.invars[0].aval.dtype, equation.outvars[0].aval.dtype
    if operand.dtype != object:
        floats = jnp.issubdtype(old, jnp.inexact) and not jnp.issubdtype(new, jnp.inexact)
        return bound(equation, operands) if floats else [operand.astype(new)]
    if old == new or (is_boolean(old) and jnp.issubdtype(new, jnp.integer)):
        # As integers, truth values may choose a branch and nothing else.
        return [operand]
    if "select_n" not in arithmetic.operations or not (
        is_boolean(old) and jnp.issubdtype(new, jnp.inexact)
    ):
        return None
    return [choose(operand, [np.zeros(operand.shape), np.ones(operand.shape)], False, arithmetic)]


def _power(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray] | None:
    """Powers with a constant exponent."""
    name, exponent = equation.primitive.name, equation.params.get("y", 2)
    if name == "pow":
        if operands[1].dtype == object or "pow" not in arithmetic.operations:
            return None
        power = arithmetic.operations["pow"]
        return [
            elementwise(
                lambda base, exponent: power(arithmetic.scalar(base), float(exponent)), *operands
            )
        ]
    power = arithmetic.operations.get("integer_pow")
    if power is None:
        return None
    return [elementwise(lambda base: power(arithmetic.scalar(base), exponent), operands[0])]


def _sum(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    return [_over(operands[0], equation.params["axes"], _totals(arithmetic))]


def _fold(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray] | None:
    """The largest or smallest element, or whether all or some are true."""
    name = equation.primitive.name.removeprefix("reduce_")
    if name not in arithmetic.operations:
        return None
    lift = arithmetic.scalar if name in ("max", "min") else arithmetic.decision
    fold = arithmetic.operations[name]
    return [
        _over(
            operands[0],
            equation.params["axes"],
            lambda terms: functools.reduce(fold, map(lift, terms)),
        )
    ]


def _clamp(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray] | None:
    if not {"max", "min"} <= arithmetic.operations.keys():
        return None
    largest, smallest = arithmetic.operations["max"], arithmetic.operations["min"]
    return [
        elementwise(
            lambda lower, value, upper: smallest(largest(value, lower), upper),
            *(elementwise(arithmetic.scalar, operand) for operand in operands),
        )
    ]


def _cumulative_sum(
    equation, operands: list[np.ndarray], arithmetic: Arithmetic
) -> list[np.ndarray]:
    axis, total = equation.params["axis"], _totals(arithmetic)
    rows = np.moveaxis(operands[0], axis, -1)
    rows = rows[..., ::-1] if equation.params["reverse"] else rows
    result = np.empty(rows.shape, object)
    for index in np.ndindex(result.shape):
        result[index] = total(list(rows[index[:-1]][: index[-1] + 1]))
    result = result[..., ::-1] if equation.params["reverse"] else result
    return [np.moveaxis(result, -1, axis)]


def _scatter_add(
    equation, operands: list[np.ndarray], arithmetic: Arithmetic
) -> list[np.ndarray] | None:
    """Each element with the updates that land on it, in any order."""
    landed = landing(equation, operands)
    if landed is None:
        return None
    require_defined(equation, operands)
    array, _, updates = operands
    total, updates = _totals(arithmetic), updates.ravel()
    sums = [
        total([element, *updates[np.flatnonzero(hits)]]) if hits.any() else element
        for element, hits in zip(array.ravel(), landed.T, strict=True)
    ]
    return [object_array(sums).reshape(array.shape)]


def _totals(arithmetic: Arithmetic) -> Callable[[Sequence[Any]], Any]:
    return lambda terms: arithmetic.total([arithmetic.scalar(term) for term in terms])


def _over(
    array: np.ndarray, axes: Sequence[int], combine: Callable[[Sequence[Any]], Any]
) -> np.ndarray:
    kept = [i for i in range(array.ndim) if i not in axes]
    count = int(np.prod([array.shape[i] for i in axes], dtype=int))
    rows = array.transpose([*kept, *axes]).reshape(*(array.shape[i] for i in kept), count)
    result = np.empty(rows.shape[:-1], object)
    for index in np.ndindex(result.shape):
        result[index] = combine(list(rows[index]))
    return result


def _dot_general(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    left, right = operands
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left_free = [i for i in range(left.ndim) if i not in (*left_sum, *left_batch)]
    right_free = [i for i in range(right.ndim) if i not in (*right_sum, *right_batch)]
    batch = [left.shape[i] for i in left_batch]
    rows, columns = [left.shape[i] for i in left_free], [right.shape[i] for i in right_free]
    count = int(np.prod([left.shape[i] for i in left_sum], dtype=int))
    ones_left, ones_right = [1] * len(rows), [1] * len(columns)
    left = left.transpose([*left_batch, *left_free, *left_sum]).reshape(
        *batch, *rows, *ones_right, count
    )
    right = right.transpose([*right_batch, *right_free, *right_sum]).reshape(
        *batch, *ones_left, *columns, count
    )
    multiply = arithmetic.operations["mul"]
    products = elementwise(
        lambda a, b: multiply(arithmetic.scalar(a), arithmetic.scalar(b)), left, right
    )
    return [_over(products, (products.ndim - 1,), _totals(arithmetic))]


RULES: dict[str, Callable[..., list[np.ndarray] | None]] = {
    "cholesky": _linear_algebra.cholesky,
    "clamp": _clamp,
    "convert_element_type": _convert,
    "cumsum": _cumulative_sum,
    "dot_general": _dot_general,
    "integer_pow": _power,
    "pow": _power,
    "reduce_and": _fold,
    "reduce_max": _fold,
    "reduce_min": _fold,
    "reduce_or": _fold,
    "reduce_sum": _sum,
    "scatter-add": _scatter_add,
    "select_n": _select,
    "square": _power,
    "stop_gradient": lambda equation, operands, arithmetic: operands,
    "triangular_solve": _linear_algebra.triangular_solve,
}
