"""Operations that only move elements, and integer arithmetic on constants.

A move is found by sending the elements' numbers through the primitive. They are counted from 1, and
what the primitive itself would fill in is 0, which is no element's number; where 0 comes back
stands the value that the primitive fills in at run time.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._promises import require_defined, require_in_bounds

# The positions of the operands that are moved (None: all of them). The other operands are indices
# or predicates and must be constants.
MOVES: dict[str, tuple[int, ...] | None] = {
    "broadcast_in_dim": (0,),
    "concatenate": None,
    "copy": (0,),
    "copy_p": (0,),
    "dynamic_slice": (0,),
    "dynamic_update_slice": (0, 1),
    "expand_dims": (0,),
    "gather": (0,),
    "optimization_barrier": None,
    "pad": None,
    "reshape": (0,),
    "rev": (0,),
    "scatter": (0, 2),
    "select_n": None,
    "slice": (0,),
    "split": (0,),
    "squeeze": (0,),
    "stack": None,
    "tile": (0,),
    "transpose": (0,),
    "unstack": (0,),
}

# Operations on integer and boolean constants that numpy does as XLA does, with 32-bit integers that
# wrap around. Others are run by JAX, which has to compile each.
_BY_NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "neg": np.negative,
    "max": np.maximum,
    "min": np.minimum,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
}


def bound(equation, operands: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a primitive on plain numbers, as it gives them at run time."""
    name, params = equation.primitive.name, equation.params
    if name in _BY_NUMPY:
        return [np.asarray(_BY_NUMPY[name](*operands))]
    if name == "iota":
        shape, axis = params["shape"], params["dimension"]
        column = [1] * len(shape)
        column[axis] = shape[axis]
        steps = np.arange(shape[axis]).astype(params["dtype"]).reshape(column)
        return [np.broadcast_to(steps, shape)]
    return _run_by_jax(equation, operands, params)


def _run_by_jax(equation, operands: list[Any], params: dict[str, Any]) -> list[np.ndarray]:
    # Also while a caller is being traced: an environment may be made inside `jit`.
    with jax.ensure_compile_time_eval():
        result = equation.primitive.bind(*(jnp.asarray(a) for a in operands), **params)
    return [np.asarray(r) for r in (result if equation.primitive.multiple_results else [result])]


def moved(equation, operands: list[np.ndarray]) -> list[np.ndarray] | None:
    """The outputs of a move; None if an index or a predicate is not a constant."""
    name = equation.primitive.name
    first = 1 if name == "select_n" else 0
    positions = MOVES[name]
    positions = tuple(range(first, len(operands))) if positions is None else positions
    if any(operands[i].dtype == object for i in range(len(operands)) if i not in positions):
        return None
    if name == "scatter" and equation.params.get("update_jaxpr") is not None:
        return None
    if name == "dynamic_slice":
        require_in_bounds(equation, operands)
    if name in ("gather", "scatter"):
        require_defined(equation, operands)
    # Element 0 of the pool is what the primitive fills in.
    pool, tagged = [np.array([_fill(equation)], object)], list(operands)
    count = 1
    for position in positions:
        operand = operands[position]
        tagged[position] = np.arange(count, count + operand.size, dtype=np.int32)
        tagged[position] = tagged[position].reshape(operand.shape)
        pool.append(operand.ravel())
        count += operand.size
    everything = np.concatenate(pool)
    tags = _move_tags(equation, tagged)
    if any(tag.size and not (0 <= tag.min() and tag.max() < count) for tag in tags):
        return None
    # Through one dimension: numpy would unwrap the element of a zero-dimensional object array.
    outputs = [everything[tag.ravel()].reshape(tag.shape) for tag in tags]
    numeric = all(operands[i].dtype != object for i in positions)
    return [
        output.astype(variable.aval.dtype) if numeric else output
        for output, variable in zip(outputs, equation.outvars, strict=True)
    ]


def _fill(equation) -> float:
    """What the primitive puts where no element comes: only `gather` does, by its own value or by
    NaN.
    """
    fill = equation.params.get("fill_value")
    if fill is not None:
        return float(np.asarray(fill, equation.outvars[0].aval.dtype))
    return float("nan")


def _move_tags(equation, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The primitive on integer arrays: numpy for the everyday ones, which saves their compilation,
    else JAX.
    """
    name, params, array = equation.primitive.name, equation.params, arrays[0]
    if not equation.outvars:  # a vector of no elements is unpacked
        return []
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
    if name == "select_n" and array.dtype == bool and len(arrays) == 3:
        return [np.where(array, arrays[2], arrays[1])]
    if name in ("copy", "copy_p"):
        return [array]
    if "fill_value" in params:
        params = {**params, "fill_value": 0}
    return _run_by_jax(equation, arrays, params)


def landing(equation, operands: list[np.ndarray]) -> np.ndarray | None:
    """Where the updates of a `scatter-add` land, shape (updates, elements), boolean; None if an
    index is not a constant.
    """
    array, indices, updates = operands
    if indices.dtype == object:
        return None

    def land(update: jax.Array) -> jax.Array:
        return equation.primitive.bind(
            jnp.zeros(array.shape, jnp.float32),
            jnp.asarray(indices),
            update.reshape(updates.shape),
            **equation.params,
        )

    with jax.ensure_compile_time_eval():
        landed = jax.vmap(land)(jnp.eye(updates.size, dtype=jnp.float32))
    return np.asarray(landed).reshape(updates.size, array.size) != 0
