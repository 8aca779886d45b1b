"""Interpretation of a JAX function over any arithmetic: intervals, rounding errors, dependence on
an argument.

The function is traced once, in float32 (`_trace`), and its jaxpr is walked. An array of the jaxpr
becomes a numpy array of scalars of that arithmetic, or of plain numbers where the value is a
constant. Constants that are moved, and integer and boolean ones whatever happens to them, stay the
numbers that they are at run time; arithmetic on float32 constants is the arithmetic's own, since it
rounds. Nothing else in the package depends on how a jaxpr looks.

What is known of an operation stands in three places: `_moves.MOVES` if it only moves elements,
`_RULES` below if it has a structure of its own (sums, loops, choices), and the operations of each
arithmetic if it acts on scalars.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from .._errors import ModelError
from . import _linear_algebra
from ._moves import MOVES, bound, landing, moved
from ._scalars import elementwise, object_array

# Primitives that carry a jaxpr which is simply run, and the parameter that holds it.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "call_jaxpr",
}
# Those whose derivative need not be that of their value.
_OWN_DERIVATIVE = (
    "custom_jvp_call",
    "custom_vjp_call",
    "custom_vjp_call_jaxpr",
    "stop_gradient",
)
# Those that are followed even where all is known: they hold jaxprs, or convert numbers.
_STRUCTURES = ("cond", "convert_element_type", "custom_linear_solve", "scan")
_NUMBERS = (bool, int, float, np.number, np.bool_)


class Unusable(NamedTuple):
    """An element of a result that no arithmetic can say anything of, such as the factors of `lu`,
    whose pivots depend on the state: it may be handed on but not computed with.
    """

    primitive: str


class Arithmetic(NamedTuple):
    """How scalars are computed with.

    Args:
        constant: Makes a scalar from a float.
        operations: Scalar functions by primitive name (`add`, `mul`, `sin`, ...). `integer_pow` and
            `pow` also take the exponent, a number; comparisons return truth values; `select_n`
            takes a truth value and two scalars, the first for false.
        total: The sum of a sequence of scalars, in an unspecified order.
        solve: The solution of linear equations, from a square object array of scalars and a list
            of them.
        truth: Makes a truth value from a bool.
        own_derivative: Called with (name, operand arrays) for a function whose derivative is
            declared by hand.
        otherwise: Called with (name, operand arrays, output shapes) for a primitive without a rule;
            returns the output arrays, or None to refuse it.
    """

    constant: Callable[[float], Any]
    operations: Mapping[str, Callable[..., Any]]
    total: Callable[[Sequence[Any]], Any]
    solve: Callable[[np.ndarray, list[Any]], list[Any]] | None = None
    truth: Callable[[bool], Any] = bool
    own_derivative: Callable[[str, list[np.ndarray]], None] = lambda *_: None
    otherwise: Callable[[str, list[np.ndarray], list[tuple[int, ...]]], list[np.ndarray] | None] = (
        lambda *_: None
    )

    def scalar(self, element: Any) -> Any:
        """The scalar of an element of an array."""
        if isinstance(element, _NUMBERS):
            return self.constant(float(element))
        if isinstance(element, Unusable):
            raise _unknown(element.primitive, self)
        return element

    def decision(self, element: Any) -> Any:
        """The truth value of an element of a boolean array."""
        return self.truth(bool(element)) if isinstance(element, _NUMBERS) else element


def interpret(
    closed_jaxpr: ClosedJaxpr, arithmetic: Arithmetic, *inputs: Sequence[Any]
) -> list[np.ndarray]:
    """Evaluates a jaxpr of vectors over an arithmetic.

    Args:
        closed_jaxpr: From `trace`.
        arithmetic: The scalars' rules.
        *inputs: For each argument the sequence of its scalars.

    Returns:
        One numpy object array of scalars per output, in the output's shape.

    Raises:
        ModelError: Naming the primitive, if one has no rule.
    """
    arrays = [object_array(scalars) for scalars in inputs]
    # Integers wrap around and constants may be infinite; that is their value.
    with np.errstate(all="ignore"):
        outputs = _run(closed_jaxpr, arrays, arithmetic)
        return [elementwise(arithmetic.scalar, output) for output in outputs]


def _run(jaxpr: Any, inputs: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    consts, jaxpr = getattr(jaxpr, "consts", ()), getattr(jaxpr, "jaxpr", jaxpr)
    values: dict[Any, np.ndarray] = {
        # A constant may be held in a wider type than the one in which it runs.
        variable: np.asarray(value).astype(variable.aval.dtype)
        for variable, value in zip(jaxpr.constvars, consts, strict=True)
    }
    values.update(zip(jaxpr.invars, inputs, strict=True))

    def read(atom) -> np.ndarray:
        return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else values[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        outputs = _equation(equation, operands, arithmetic)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _equation(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    name, params = equation.primitive.name, equation.params
    if name in _OWN_DERIVATIVE:
        arithmetic.own_derivative(name, operands)
    if name in _CALLS and _CALLS[name] in params:
        return _run(params[_CALLS[name]], operands, arithmetic)
    outputs = _known(equation, operands, arithmetic)
    if outputs is None:
        shapes = [variable.aval.shape for variable in equation.outvars]
        outputs = arithmetic.otherwise(name, operands, shapes)
    if outputs is None and name in _linear_algebra.UNUSABLE:
        outputs = [
            object_array([Unusable(name)] * int(np.prod(v.aval.shape))).reshape(v.aval.shape)
            for v in equation.outvars
        ]
    if outputs is None:
        raise _unknown(name, arithmetic)
    return outputs


def _known(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray] | None:
    """The outputs by a rule, or None where there is none."""
    name = equation.primitive.name
    inexact = any(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in equation.outvars)
    numeric = all(operand.dtype != object for operand in operands)
    if name == "iota" or (numeric and not inexact and name not in _STRUCTURES):
        return bound(equation, operands)
    if name in MOVES:
        outputs = moved(equation, operands)
        if outputs is not None:
            return outputs
    if name in _RULES:
        return _RULES[name](equation, operands, arithmetic)
    boolean = all(_boolean(v.aval.dtype) for v in equation.outvars)
    if name not in arithmetic.operations or not (inexact or boolean):
        return None
    lifts = [
        arithmetic.decision if _boolean(v.aval.dtype) else arithmetic.scalar
        for v in equation.invars
    ]
    operation = arithmetic.operations[name]
    return [
        elementwise(
            lambda *elements: operation(
                *(lift(element) for lift, element in zip(lifts, elements, strict=True))
            ),
            *operands,
        )
    ]


def _boolean(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.bool_)


def _unknown(name: str, arithmetic: Arithmetic) -> ModelError:
    known = sorted({*arithmetic.operations, *_RULES, *MOVES} - {"add_any", "copy_p"})
    return ModelError(
        "The model must be built from known operations only, but it uses "
        f"`{name}`, which has no rule here. Known: {', '.join(known)}."
    )


def _scan(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    """Runs a loop of fixed length turn by turn."""
    params = equation.params
    first, end = params["num_consts"], params["num_consts"] + params["num_carry"]
    consts, carry, inputs = operands[:first], operands[first:end], operands[end:]
    turns = range(params["length"])
    collected = [[] for _ in equation.outvars[params["num_carry"] :]]
    for i in reversed(turns) if params["reverse"] else turns:
        # Slices of one element, reshaped: numpy would unwrap the element of a zero-dimensional
        # object array.
        slices = [array[i : i + 1].reshape(array.shape[1:]) for array in inputs]
        outputs = _run(params["jaxpr"], [*consts, *carry, *slices], arithmetic)
        carry = outputs[: params["num_carry"]]
        for column, output in zip(collected, outputs[params["num_carry"] :], strict=True):
            column.append(output)
    if params["reverse"]:
        collected = [column[::-1] for column in collected]
    avals = [variable.aval for variable in equation.outvars[params["num_carry"] :]]
    return [
        *carry,
        *(
            np.stack(column) if column else np.zeros(aval.shape, aval.dtype)
            for column, aval in zip(collected, avals, strict=True)
        ),
    ]


def _cond(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray] | None:
    """One branch if the choice is a constant, else a choice between the results of all."""
    index, operands, branches = operands[0], operands[1:], equation.params["branches"]
    if index.dtype != object:
        chosen = branches[int(np.clip(index, 0, len(branches) - 1))]
        return _run(chosen, operands, arithmetic)
    results = [_run(branch, operands, arithmetic) for branch in branches]
    if "select_n" not in arithmetic.operations:
        return None
    outputs = []
    for variable, *cases in zip(equation.outvars, *results, strict=True):
        choices = object_array([index.ravel()[0]] * cases[0].size).reshape(cases[0].shape)
        outputs.append(_chosen(choices, cases, _boolean(variable.aval.dtype), arithmetic))
    return outputs


def _select(
    equation, operands: list[np.ndarray], arithmetic: Arithmetic
) -> list[np.ndarray] | None:
    """A choice by truth values; by numbers it is a move."""
    if "select_n" not in arithmetic.operations:
        return None
    choices, *cases = operands
    boolean = _boolean(equation.outvars[0].aval.dtype)
    result = _chosen(choices, cases, boolean, arithmetic)
    return [result.reshape(equation.outvars[0].aval.shape)]


def _chosen(
    choices: np.ndarray, cases: Sequence[np.ndarray], boolean: bool, arithmetic: Arithmetic
) -> np.ndarray:
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
    if old == new or (_boolean(old) and jnp.issubdtype(new, jnp.integer)):
        # As integers, truth values may choose a branch and nothing else.
        return [operand]
    if "select_n" not in arithmetic.operations or not (
        _boolean(old) and jnp.issubdtype(new, jnp.inexact)
    ):
        return None
    return [_chosen(operand, [np.zeros(operand.shape), np.ones(operand.shape)], False, arithmetic)]


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


def _custom_linear_solve(
    equation, operands: list[np.ndarray], arithmetic: Arithmetic
) -> list[np.ndarray] | None:
    return _linear_algebra.custom_linear_solve(equation, operands, arithmetic, _run)


_RULES: dict[str, Callable[..., list[np.ndarray] | None]] = {
    "cholesky": _linear_algebra.cholesky,
    "clamp": _clamp,
    "cond": _cond,
    "convert_element_type": _convert,
    "cumsum": _cumulative_sum,
    "custom_linear_solve": _custom_linear_solve,
    "dot_general": _dot_general,
    "integer_pow": _power,
    "pow": _power,
    "reduce_and": _fold,
    "reduce_max": _fold,
    "reduce_min": _fold,
    "reduce_or": _fold,
    "reduce_sum": _sum,
    "scan": _scan,
    "scatter-add": _scatter_add,
    "select_n": _select,
    "square": _power,
    "stop_gradient": lambda equation, operands, arithmetic: operands,
    "triangular_solve": _linear_algebra.triangular_solve,
}
