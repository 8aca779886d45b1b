"""Shape, value and dtype rules shared by the sets."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64

from .._errors import SetDimensionError
from .._gate import Array, as_numbers, is_traced, shown
from .._read_only import read_only


def as_float(name: str, value: Any, ndim: int, *, finite: bool = True) -> Float[Array, "..."]:
    """Returns `value` as a float array of `ndim` dimensions, for a set to store.

    Arrays of 32 and 64 bits keep their dtype; Python numbers, lists, integers and shorter floats
    become float32, so that what is proved about the stored numbers holds for the numbers that run.
    NumPy arrays are copied and made read-only: a set never changes. Tracers pass through, with
    their shape checked.

    Raises:
        SetDimensionError: If the value is no array of real numbers, has a wrong number of
            dimensions, or contains a number that float32 cannot hold, a NaN or, unless `finite` is
            false, an infinite value.
    """
    array = as_numbers(name, value)
    if array.ndim != ndim:
        column = ndim == 1 and array.ndim == 2 and array.shape[1] == 1
        hint = f" Write `{name}[:, 0]` for the numbers of a column." if column else ""
        raise SetDimensionError(
            f"`{name}` must have {ndim} dimension(s), but its shape is {tuple(array.shape)}.{hint}"
        )
    if is_traced(array):
        return array
    numbers = np.asarray(array)
    if np.isnan(numbers).any():
        raise SetDimensionError(f"`{name}` must not contain NaN, but it is {shown(numbers)}.")
    if finite and np.isinf(numbers).any():
        raise SetDimensionError(
            f"`{name}` must be finite, but it is {shown(numbers)}; leave out what is not bounded."
        )
    if isinstance(array, jax.Array):
        return array
    return read_only(array)


def as_vector(name: str, value: Any, dim: int) -> Float[jax.Array, " {dim}"]:
    """Returns the argument of a set's function as a float array of shape (dim,); its dtype, at
    least float32, is the one computed in.

    Raises:
        SetDimensionError: If the value is no array of real numbers, or has another shape, which
            includes batches: broadcasting would answer another question silently.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and so outside
        vector = jnp.asarray(as_numbers(name, value, overflow=True))
    if vector.shape != (dim,):
        raise SetDimensionError(
            f"`{name}` must have shape ({dim},), but its shape is "
            f"{vector.shape}; map over a batch with `jax.vmap`."
        )
    return vector


def as_exact_vector(name: str, value: Any, dim: int) -> Float64[np.ndarray, " {dim}"]:
    """Returns the argument of a function that computes in float64, shape (dim,), not rounded.

    Raises:
        SetDimensionError: For the same reasons as in `as_vector`.
    """
    as_vector(name, value, dim)
    return concrete(value)


def require_shape(name: str, value: Array, shape: tuple[int, ...]) -> None:
    """Raises SetDimensionError unless `value` has this shape."""
    if tuple(value.shape) != shape:
        raise SetDimensionError(
            f"`{name}` must have shape {shape}, but its shape is {tuple(value.shape)}."
        )


def concrete(value: Any) -> Float64[np.ndarray, "..."]:
    """The float64 values of an array, for computations that run once, outside jit."""
    return np.asarray(value, dtype=np.float64)
