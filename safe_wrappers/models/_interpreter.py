"""Interpretation of a JAX function over any arithmetic: intervals, rounding errors, dependence on
an argument.

The function is traced once, with float64 constants, and its jaxpr is walked. An array of the jaxpr
becomes a numpy array of scalars of that arithmetic, or of plain numbers where the value is a
constant, so primitives that only move elements need no rules of their own. Nothing else in the
package depends on how a jaxpr looks.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError

# Primitives that carry a jaxpr which is simply run, and the parameter that holds it.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}

# Primitives that only move elements, and the positions of the operands that are moved (None: all of
# them). The other operands are indices or predicates and must be constants.
_MOVES: dict[str, tuple[int, ...] | None] = {
    "broadcast_in_dim": (0,),
    "concatenate": None,
    "copy": (0,),
    "copy_p": (0,),
    "dynamic_slice": (0,),
    "dynamic_update_slice": (0, 1),
    "expand_dims": (0,),
    "gather": (0,),
    "optimization_barrier": None,
    "reshape": (0,),
    "rev": (0,),
    "scatter": (0, 2),
    "select_n": None,
    "slice": (0,),
    "split": (0,),
    "squeeze": (0,),
    "transpose": (0,),
}


class Arithmetic(NamedTuple):
    """How scalars are computed with.

    Args:
        constant: Makes a scalar from a float.
        operations: Scalar functions by primitive name (`add`, `mul`, `sin`, ...); `integer_pow`
            also takes the exponent.
        total: The sum of a sequence of scalars, in an unspecified order.
        otherwise: Called with (name, operand arrays, output shapes) for a primitive without a rule;
            returns the output arrays, or None to refuse it.
    """

    constant: Callable[[float], Any]
    operations: Mapping[str, Callable[..., Any]]
    total: Callable[[Sequence[Any]], Any]
    otherwise: Callable[[str, list[np.ndarray], list[tuple[int, ...]]], list[np.ndarray] | None] = (
        lambda *_: None
    )


def trace(function: Callable[..., Any], *sizes: int) -> jax.extend.core.ClosedJaxpr:  # pyright: ignore[reportAttributeAccessIssue]
    """The jaxpr of `function` of float64 vectors of these sizes, with float64 constants."""
    with jax.enable_x64():
        return jax.make_jaxpr(function)(
            *(jax.ShapeDtypeStruct((size,), jnp.float64) for size in sizes)
        )


def interpret(closed_jaxpr, arithmetic: Arithmetic, *inputs: Sequence[Any]) -> list[np.ndarray]:
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
    arrays = []
    for scalars in inputs:
        array = np.empty(len(scalars), object)
        array[:] = list(scalars)
        arrays.append(array)
    with jax.enable_x64(), np.errstate(all="ignore"):
        outputs = _run(closed_jaxpr.jaxpr, closed_jaxpr.consts, arrays, arithmetic)
        lift = functools.partial(_lift, arithmetic)
        return [_elementwise(lift, output) for output in outputs]


def _lift(arithmetic: Arithmetic, element: Any) -> Any:
    return (
        arithmetic.constant(float(element))
        if isinstance(element, (bool, int, float, np.number, np.bool_))
        else element
    )


def _elementwise(function: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    """`function` over the elements of broadcast arrays, as an object array."""
    arrays = tuple(np.asarray(a) for a in arrays)
    result = np.empty(np.broadcast_shapes(*(a.shape for a in arrays)), object)
    operands = np.broadcast_arrays(*arrays)
    for index in np.ndindex(result.shape):
        result[index] = function(*(a[index] for a in operands))
    return result


def _run(jaxpr, consts, inputs: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    values: dict[Any, np.ndarray] = dict(
        zip(jaxpr.constvars, (np.asarray(c) for c in consts), strict=True)
    )
    values.update(zip(jaxpr.invars, inputs, strict=True))

    def read(atom) -> np.ndarray:
        return np.asarray(atom.val) if hasattr(atom, "val") else values[atom]

    for equation in jaxpr.eqns:
        outputs = _equation(equation, [read(atom) for atom in equation.invars], arithmetic)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _equation(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    name, params = equation.primitive.name, equation.params
    lift = functools.partial(_lift, arithmetic)
    numeric = all(a.dtype != object for a in operands)
    floating = any(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in equation.outvars)

    if name in _CALLS and _CALLS[name] in params:
        inner = params[_CALLS[name]]
        consts = getattr(inner, "consts", ())
        return _run(getattr(inner, "jaxpr", inner), consts, operands, arithmetic)
    if name == "scan":
        return _unroll(equation, operands, arithmetic)
    if name == "iota" or (numeric and not floating):
        return _bind(equation, operands)
    if name in _MOVES:
        moved = _move(equation, operands, _MOVES[name])
        if moved is not None:
            return moved
    if name == "convert_element_type" and floating:
        return operands
    if name in ("square", "integer_pow"):
        power = arithmetic.operations.get("integer_pow")
        if power is not None:
            exponent = params.get("y", 2)
            return [_elementwise(lambda element: power(lift(element), exponent), *operands)]
    if name == "reduce_sum":
        return [
            _sum_over(
                operands[0],
                params["axes"],
                lambda terms: arithmetic.total([lift(t) for t in terms]),
            )
        ]
    if name == "dot_general":
        return [
            _dot_general(operands[0], operands[1], params["dimension_numbers"], arithmetic, lift)
        ]
    if name in arithmetic.operations:
        operation = arithmetic.operations[name]
        return [_elementwise(lambda *elements: operation(*map(lift, elements)), *operands)]
    outputs = arithmetic.otherwise(name, operands, [v.aval.shape for v in equation.outvars])
    if outputs is None:
        known = sorted(
            {*arithmetic.operations, "square", "reduce_sum", "dot_general"} | set(_MOVES)
        )
        raise ModelError(
            "The model must be built from known operations only, but it uses "
            f"`{name}`, which has no rule here. Known: {', '.join(known)}."
        )
    return outputs


def _unroll(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    """Runs a loop of fixed length turn by turn."""
    params, body = equation.params, equation.params["jaxpr"]
    first, end = params["num_consts"], params["num_consts"] + params["num_carry"]
    consts, carry, inputs = operands[:first], operands[first:end], operands[end:]
    turns = range(params["length"])
    collected = [[] for _ in equation.outvars[params["num_carry"] :]]
    for i in reversed(turns) if params["reverse"] else turns:
        # Slices of one element, reshaped: numpy would unwrap the element of a zero-dimensional
        # object array.
        outputs = _run(
            body.jaxpr,
            body.consts,
            [*consts, *carry, *(a[i : i + 1].reshape(a.shape[1:]) for a in inputs)],
            arithmetic,
        )
        carry = outputs[: params["num_carry"]]
        for column, output in zip(collected, outputs[params["num_carry"] :], strict=True):
            column.append(output)
    if params["reverse"]:
        collected = [column[::-1] for column in collected]
    shapes = [variable.aval.shape for variable in equation.outvars[params["num_carry"] :]]
    return [
        *carry,
        *(
            np.stack(column) if column else np.zeros(shape)
            for column, shape in zip(collected, shapes, strict=True)
        ),
    ]


def _bind(equation, operands: list[np.ndarray]) -> list[np.ndarray]:
    """Runs a primitive on plain numbers."""
    result = equation.primitive.bind(*(jnp.asarray(a) for a in operands), **equation.params)
    return [np.asarray(r) for r in (result if equation.primitive.multiple_results else [result])]


def _move(
    equation, operands: list[np.ndarray], positions: tuple[int, ...] | None
) -> list[np.ndarray] | None:
    """Moves elements as the primitive moves their numbers; None if an index or a predicate is not a
    constant.
    """
    name = equation.primitive.name
    first = 1 if name == "select_n" else 0
    positions = tuple(range(first, len(operands))) if positions is None else positions
    if any(operands[i].dtype == object for i in range(len(operands)) if i not in positions):
        return None
    if name == "scatter" and equation.params.get("update_jaxpr") is not None:
        return None
    sizes = [operands[i].size for i in positions]
    starts = np.cumsum([0, *sizes])
    numbered = list(operands)
    for position, start in zip(positions, starts[:-1], strict=True):
        shape = operands[position].shape
        numbered[position] = np.arange(
            start, start + operands[position].size, dtype=np.int64
        ).reshape(shape)
    pool = np.concatenate([operands[i].ravel() for i in positions])
    indices = _move_numbers(equation, numbered)
    if any(index.size and (index.min() < 0 or index.max() >= starts[-1]) for index in indices):
        return None
    # Through one dimension: numpy would unwrap the element of a zero-dimensional object array.
    return [pool[index.ravel()].reshape(index.shape) for index in indices]


def _move_numbers(equation, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The primitive on integer arrays: numpy for the everyday ones, which saves their compilation,
    else JAX.
    """
    name, params, array = equation.primitive.name, equation.params, arrays[0]
    shape = equation.outvars[0].aval.shape
    if name == "slice":
        strides = params["strides"] or (1,) * array.ndim
        return [array[tuple(map(slice, params["start_indices"], params["limit_indices"], strides))]]
    if name in ("squeeze", "expand_dims") or (
        name == "reshape" and params.get("dimensions") is None
    ):
        return [array.reshape(shape)]
    if name == "broadcast_in_dim":
        kept = np.ones(len(shape), int)
        kept[list(params["broadcast_dimensions"])] = array.shape
        return [np.broadcast_to(array.reshape(tuple(kept)), shape)]
    if name == "concatenate":
        return [np.concatenate(arrays, axis=params["dimension"])]
    if name == "transpose":
        return [array.transpose(params["permutation"])]
    return _bind(equation, arrays)


def _sum_over(
    array: np.ndarray, axes: Sequence[int], total: Callable[[Sequence[Any]], Any]
) -> np.ndarray:
    kept = [i for i in range(array.ndim) if i not in axes]
    rows = array.transpose([*kept, *axes]).reshape(*(array.shape[i] for i in kept), -1)
    result = np.empty(rows.shape[:-1], object)
    for index in np.ndindex(result.shape):
        result[index] = total(list(rows[index]))
    return result


def _dot_general(
    left: np.ndarray, right: np.ndarray, dimension_numbers, arithmetic: Arithmetic, lift
) -> np.ndarray:
    (left_sum, right_sum), (left_batch, right_batch) = dimension_numbers
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
    products = _elementwise(
        lambda a, b: arithmetic.operations["mul"](lift(a), lift(b)), left, right
    )
    return _sum_over(products, (products.ndim - 1,), arithmetic.total)
