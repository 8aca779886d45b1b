"""Shape and value checks shared by the sets' constructors."""

from typing import Any

import jax
import numpy as np

from .._errors import SetDimensionError

Array = jax.Array | np.ndarray


def as_float(name: str, value: Any, ndim: int) -> Array:
    """Returns `value` as a float array of `ndim` dimensions.

    Python numbers and lists become float32; arrays keep their floating dtype. Tracers pass through, with their shape checked.

    Raises:
        SetDimensionError: On a wrong number of dimensions or a NaN.
    """
    if not isinstance(value, jax.Array):
        value = np.asarray(value)
        if value.dtype not in (np.float32, np.float64) or not hasattr(value, "shape"):
            value = value.astype(np.float32)
    if value.ndim != ndim:
        raise SetDimensionError(f"`{name}` must have {ndim} dimension(s), but its shape is {tuple(value.shape)}.")
    if not isinstance(value, jax.core.Tracer) and bool(np.isnan(np.asarray(value)).any()):
        raise SetDimensionError(f"`{name}` must not contain NaN, but it is {np.asarray(value)}.")
    return value


def require_shape(name: str, value: Array, shape: tuple[int, ...]) -> None:
    """Raises SetDimensionError unless `value` has this shape."""
    if tuple(value.shape) != shape:
        raise SetDimensionError(f"`{name}` must have shape {shape}, but its shape is {tuple(value.shape)}.")


def concrete(value: Array) -> np.ndarray:
    """The float64 values of a stored array, for computations that run once, outside jit."""
    return np.asarray(value, dtype=np.float64)
