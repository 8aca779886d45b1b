"""Interpretation of a JAX function over any arithmetic: intervals, rounding errors, dependence on
an argument.

The function is traced once, in float32 (`_trace`), and its jaxpr is walked. An array of the jaxpr
becomes a numpy array of scalars of that arithmetic, or of plain numbers where the value is a
constant. Constants that are moved, and integer and boolean ones whatever happens to them, stay the
numbers that they are at run time; arithmetic on float32 constants is the arithmetic's own, since it
rounds. Nothing else in the package depends on how a jaxpr looks.

What is known of an operation stands in three places: `_moves.MOVES` if it only moves elements,
`_rules.RULES` if it has a structure of its own (sums, choices; those that hold a jaxpr are below),
and the operations of each arithmetic if it acts on scalars.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from . import _linear_algebra
from ._arithmetic import Arithmetic, unknown_operation
from ._moves import MOVES, bound, moved
from ._rules import RULES, choose, is_boolean
from ._scalars import elementwise, object_array

# Primitives that carry a jaxpr which is simply run, and the parameter that holds it.
CALLS = {
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
_FOLLOWED = ("cond", "convert_element_type", "custom_linear_solve", "scan")


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
    if name in CALLS and CALLS[name] in params:
        return _run(params[CALLS[name]], operands, arithmetic)
    outputs = _known(equation, operands, arithmetic)
    if outputs is None:
        shapes = [variable.aval.shape for variable in equation.outvars]
        outputs = arithmetic.otherwise(name, operands, shapes)
    if name in _linear_algebra.PIVOTED:
        return _linear_algebra.pivoted(equation, operands)
    if outputs is None:
        known = {*arithmetic.operations, *RULES, *_HOLDERS, *MOVES} - {"add_any", "copy_p"}
        raise unknown_operation(name, known)
    return outputs


def _known(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray] | None:
    """The outputs by a rule, or None where there is none."""
    name = equation.primitive.name
    inexact = any(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in equation.outvars)
    numeric = all(operand.dtype != object for operand in operands)
    if name == "iota" or (numeric and not inexact and name not in _FOLLOWED):
        return bound(equation, operands)
    if name in MOVES:
        outputs = moved(equation, operands)
        if outputs is not None:
            return outputs
    if name in _HOLDERS:
        return _HOLDERS[name](equation, operands, arithmetic)
    boolean = all(is_boolean(v.aval.dtype) for v in equation.outvars)
    if name == "convert_element_type":
        return RULES[name](equation, operands, arithmetic)
    # Truth values as integers may choose a branch, and be moved; nothing is computed of them.
    counted = any(
        operand.dtype == object and jnp.issubdtype(variable.aval.dtype, jnp.integer)
        for operand, variable in zip(operands, equation.invars, strict=True)
    )
    if counted or not (inexact or boolean):
        return None
    if name in RULES:
        return RULES[name](equation, operands, arithmetic)
    if name not in arithmetic.operations:
        return None
    lifts = [
        arithmetic.decision if is_boolean(v.aval.dtype) else arithmetic.scalar
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


def scan_sizes(params: dict[str, Any], operands: int) -> tuple[int, int]:
    """How many of the operands of a `scan` are constants, and how many are carried on.

    Args:
        params: Those of the equation.
        operands: How many operands it has.
    """
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    # From JAX 0.11 on a tree of their three groups says it.
    consts, carry, _ = params["ft_in"].update(range(operands)).unpack()
    return len(list(consts)), len(list(carry))


def _scan(equation, operands: list[np.ndarray], arithmetic: Arithmetic) -> list[np.ndarray]:
    """Runs a loop of fixed length turn by turn."""
    params = equation.params
    first, carried = scan_sizes(params, len(operands))
    end = first + carried
    consts, carry, inputs = operands[:first], operands[first:end], operands[end:]
    turns = range(params["length"])
    collected = [[] for _ in equation.outvars[carried:]]
    for i in reversed(turns) if params["reverse"] else turns:
        # Slices of one element, reshaped: numpy would unwrap the element of a zero-dimensional
        # object array.
        slices = [array[i : i + 1].reshape(array.shape[1:]) for array in inputs]
        outputs = _run(params["jaxpr"], [*consts, *carry, *slices], arithmetic)
        carry = outputs[:carried]
        for column, output in zip(collected, outputs[carried:], strict=True):
            column.append(output)
    if params["reverse"]:
        collected = [column[::-1] for column in collected]
    avals = [variable.aval for variable in equation.outvars[carried:]]
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
        outputs.append(choose(choices, cases, is_boolean(variable.aval.dtype), arithmetic))
    return outputs


def _custom_linear_solve(
    equation, operands: list[np.ndarray], arithmetic: Arithmetic
) -> list[np.ndarray] | None:
    return _linear_algebra.custom_linear_solve(equation, operands, arithmetic, _run)


_HOLDERS = {"cond": _cond, "custom_linear_solve": _custom_linear_solve, "scan": _scan}
