"""Shape, value and dtype rules shared by the sets."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._errors import SetDimensionError

Array = jax.Array | np.ndarray


def is_traced(*values: Any) -> bool:
    """Whether a value is a tracer, which has a shape but no numbers to check."""
    return any(isinstance(value, Tracer) for value in values)


def as_float(name: str, value: Any, ndim: int, *, finite: bool = True) -> Array:
    """Returns `value` as a float array of `ndim` dimensions, for a set to store.

    Floating arrays keep their dtype; Python numbers, lists and integers become float32, so that
    what is proved about the stored numbers holds for the numbers that run. NumPy arrays are copied
    and made read-only: a set never changes. Tracers pass through, with their shape checked.

    Raises:
        SetDimensionError: On a wrong number of dimensions, a NaN or, unless `finite` is false, an
            infinite value.
    """
    if isinstance(value, jax.Array):
        value = value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(jnp.float32)
    else:
        value = np.array(
            value,
            dtype=value.dtype
            if getattr(value, "dtype", None) in (np.float32, np.float64)
            else np.float32,
        )
        value.setflags(write=False)
    if value.ndim != ndim:
        raise SetDimensionError(
            f"`{name}` must have {ndim} dimension(s), but its shape is {tuple(value.shape)}."
        )
    if not is_traced(value):
        numbers = np.asarray(value)
        if np.isnan(numbers).any():
            raise SetDimensionError(f"`{name}` must not contain NaN, but it is {numbers}.")
        if finite and np.isinf(numbers).any():
            raise SetDimensionError(
                f"`{name}` must be finite, but it is {numbers}; leave out what is not bounded."
            )
    return value


def as_vector(name: str, value: Any, dim: int) -> jax.Array:
    """Returns the argument of a set's function as a float array of shape (dim,); its dtype is the
    one computed in.

    Raises:
        SetDimensionError: On any other shape, batches included: broadcasting would answer another
            question silently.
    """
    value = jnp.asarray(value)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        value = value.astype(jnp.float32)
    if value.shape != (dim,):
        raise SetDimensionError(
            f"`{name}` must have shape ({dim},), but its shape is "
            f"{value.shape}; map over a batch with `jax.vmap`."
        )
    return value


def require_shape(name: str, value: Array, shape: tuple[int, ...]) -> None:
    """Raises SetDimensionError unless `value` has this shape."""
    if tuple(value.shape) != shape:
        raise SetDimensionError(
            f"`{name}` must have shape {shape}, but its shape is {tuple(value.shape)}."
        )


def concrete(value: Any) -> np.ndarray:
    """The float64 values of an array, for computations that run once, outside jit."""
    return np.asarray(value, dtype=np.float64)
