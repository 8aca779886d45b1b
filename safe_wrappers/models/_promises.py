"""What a program promises JAX about its indices: where a promise is broken, or the order of updates
counts, JAX leaves the result open, and another backend may give another one.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError


def require_defined(equation: Any, operands: list[np.ndarray]) -> None:
    """Checks a `gather`, `scatter` or `scatter-add` with constant indices.

    Raises:
        ModelError: If its result is not defined by what JAX documents.
    """
    name, params, indices = equation.primitive.name, equation.params, operands[1]
    rows = indices.reshape(int(np.prod(indices.shape[:-1])), indices.shape[-1])
    promised = params["mode"] == jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS
    if promised and _beyond(equation, operands, rows):
        raise _undefined(name, "an index that was promised to be in bounds lies beyond them")
    order = np.lexsort(rows.T[::-1]) if rows.shape[1] else np.arange(len(rows))
    if params["indices_are_sorted"] and np.any(rows[order] != rows):
        raise _undefined(name, "indices that were promised to be sorted are not")
    if name == "gather" or len(rows) < 2:
        return
    if (name == "scatter" or params["unique_indices"]) and _updates(equation, operands) > 1:
        raise _undefined(name, "two updates go to one element, and their order is not defined")


def require_in_bounds(equation: Any, operands: list[np.ndarray]) -> None:
    """Checks a `dynamic_slice` of values that depend on the arguments, with constant indices.

    Raises:
        ModelError: If an index lies beyond the array. JAX takes the nearest element then, so that a
            step for two actions would silently give one of them both tasks.
    """
    array, *starts = operands
    if array.dtype != object:
        return
    sizes = equation.params["slice_sizes"]
    for start, size, length in zip(starts, sizes, array.shape, strict=True):
        # A slice of several elements was asked for by `jax.lax.dynamic_slice`, which documents that
        # it stays inside.
        if size == 1 and not 0 <= int(start) < length:
            raise ModelError(
                f"The model reads the index {int(start)} of an array of length {length}, and JAX "
                "would silently take the nearest one. Compare the sizes that the model declares "
                "with the indices of states, actions and disturbances in `step`."
            )


def _beyond(equation: Any, operands: list[np.ndarray], rows: np.ndarray) -> bool:
    shape, numbers = operands[0].shape, equation.params["dimension_numbers"]
    if equation.primitive.name == "gather":
        sizes, indexed = equation.params["slice_sizes"], numbers.start_index_map
    else:
        one = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
        windows = iter(operands[2].shape[axis] for axis in numbers.update_window_dims)
        sizes = [1 if axis in one else next(windows) for axis in range(len(shape))]
        indexed = numbers.scatter_dims_to_operand_dims
    last = np.array([shape[axis] - sizes[axis] for axis in indexed], int)
    return bool(np.any(rows < 0) or np.any(rows > last))


def _updates(equation: Any, operands: list[np.ndarray]) -> int:
    """How many updates go to one element at most."""
    array, indices, updates = operands
    with jax.ensure_compile_time_eval():
        counts = jax.lax.scatter_add(
            jnp.zeros(array.shape, jnp.int32),
            jnp.asarray(indices),
            jnp.ones(updates.shape, jnp.int32),
            equation.params["dimension_numbers"],
            mode=equation.params["mode"],
        )
    return int(np.max(counts, initial=0))


def _undefined(name: str, what: str) -> ModelError:
    return ModelError(
        f"The result of `{name}` in the model must be defined by JAX, but {what}. Leave promises "
        "about indices out, and write `.add` or one update for each element."
    )
