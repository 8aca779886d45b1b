"""The gate: values enter the library here, checked by kind, shape and range.

Numbers are floating-point numbers, integers and booleans. Everything else (complex numbers, text,
dates, objects, None, masked arrays) is refused by name, never converted silently. Numbers of less
than 32 bits become float32, since rounding allowances speak about float32; what float32 cannot hold
is an error, not infinity.
"""

import difflib
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._errors import SetDimensionError
from ._scalars import as_flag as as_flag
from ._scalars import as_integer as as_integer
from ._scalars import as_seed as as_seed
from ._scalars import is_flag
from ._scalars import range_in_words as range_in_words
from ._scalars import shown as shown

Array = jax.Array | np.ndarray

_KINDS = "fiub"  # NumPy's letters for floating-point numbers, integers and booleans
_LARGEST = float(np.finfo(np.float32).max)


def is_traced(*values: Any) -> bool:
    """Whether a value is a tracer, which has a shape but no numbers to check."""
    return any(isinstance(value, Tracer) for value in values)


def as_numbers(name: str, value: Any, *, overflow: bool = False) -> Array:
    """`value` as an array of real numbers, of the shape that it has.

    Arrays of JAX stay on their device. Floating-point arrays of 32 and of 64 bits keep their dtype;
    everything else becomes float32. Tracers pass, with their dtype checked.

    Args:
        name: Name of the argument.
        value: The value that was given for it.
        overflow: Whether a number that float32 cannot hold becomes infinite, as it does for
            requested actions, which are flagged then, instead of being an error.

    Raises:
        SetDimensionError: If the value is not made of real numbers, or float32 cannot hold one.
    """
    if isinstance(value, list | tuple) and is_traced(*jax.tree.leaves(value)):
        value = jnp.asarray(value)
    if isinstance(value, jax.Array):
        return _of_jax(name, value)
    array = _as_numpy(name, value)
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    if not overflow and np.any(np.isinf(single) & np.isfinite(array)):
        raise SetDimensionError(
            f"`{name}` is {shown(value)}, but float32 holds numbers up to {_LARGEST:.4g} only; "
            "choose other units, or write `inf` for what is not bounded."
        )
    return array if array.dtype == np.float64 and hasattr(value, "dtype") else single


def as_state(name: str, value: Any, size: int | None, labels: Sequence[str] = ()) -> jax.Array:
    """A state of a system, at least float32; what float32 cannot hold becomes infinite.

    Args:
        name: Name of the argument.
        value: Real numbers, shape (size,), or a tracer of this shape.
        size: Number of state variables, or None if the system does not say.
        labels: What the state variables are called, for the error.

    Raises:
        SetDimensionError: At trace time, if the value is something else.
    """
    return _as_vector(name, f"`{name}`", value, size, "state variable", labels)


def as_action(value: Any, size: int, labels: Sequence[str] = ()) -> jax.Array:
    """A requested action, at least float32; what float32 cannot hold becomes infinite.

    Args:
        value: Real numbers, shape (size,), or a tracer of this shape; where there is one action,
            also a single number of shape (), which is what some agents make of it.
        size: Number of actions.
        labels: What the actions are called, for the error.

    Raises:
        SetDimensionError: At trace time, if the value is something else.
    """
    return _as_vector("action", "The action", value, size, "actuator", labels, single=True)


def as_disturbance(value: Any, size: int) -> jax.Array:
    """A disturbance of a model, at least float32; what float32 cannot hold becomes infinite.

    Args:
        value: Real numbers, shape (size,), or a tracer of this shape.
        size: Number of disturbances.

    Raises:
        SetDimensionError: At trace time, if the value is something else.
    """
    return _as_vector("disturbance", "The disturbance", value, size, "disturbance", ())


def as_reward(env: Any, value: Any) -> Array:
    """The reward of an environment as one number, shape ().

    Args:
        env: The environment, which errors name.
        value: One real number, also as an array with a single entry, such as (1,), which is what a
            reward that is computed with the action of a single actuator often is.

    Raises:
        SetDimensionError: If it is something else.
    """
    array = as_numbers("reward", value, overflow=True)
    if math.prod(array.shape) != 1:
        raise SetDimensionError(
            f"The reward of `{type(env).__name__}` must be one number, but its shape is "
            f"{tuple(array.shape)}; write for example `jnp.sum(action**2)` or `action[0]**2` "
            "instead of `action**2`."
        )
    return array.reshape(())


def as_bound(name: str, value: Any, shape: tuple[int, ...] = ()) -> np.ndarray:
    """A bound on an error (eps, a remainder, a radius, an allowance), float32, rounded upwards.

    Args:
        name: Name of the argument.
        value: Finite numbers, none of them negative: of this shape, or one number for all.
        shape: The shape of the result.

    Raises:
        SetDimensionError: If the numbers are something else.
    """
    array = as_numbers(name, value)
    if tuple(array.shape) not in ((), shape):
        wanted = f"be one number or have shape {shape}" if shape else "be one number"
        raise SetDimensionError(
            f"`{name}` has shape {tuple(array.shape)}, but it must {wanted}: it is {shown(value)}."
        )
    if is_traced(array):
        raise SetDimensionError(
            f"`{name}` is traced by JAX, but a bound must be known where it is given; give a NumPy "
            "array."
        )
    exact = np.asarray(value, np.float64)
    if not np.all((exact >= 0) & np.isfinite(exact)):
        raise SetDimensionError(
            f"`{name}` is {shown(value)}, but every number must be finite and at least 0: a bound "
            "says how large an error can be."
        )
    rounded = exact.astype(np.float32)
    with np.errstate(over="ignore"):  # of the largest numbers, which need no step upwards
        rounded = np.where(rounded < exact, np.nextafter(rounded, np.float32(np.inf)), rounded)
    bound = np.broadcast_to(rounded, shape).copy()
    bound.setflags(write=False)
    return bound


def at_least_zero(name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """What a function returned as a bound, inside jit, where nothing can be raised about numbers.

    A negative number counts as 0, and NaN as infinite: what is unknown leaves no action safe.

    Raises:
        SetDimensionError: At trace time, on another shape.
    """
    array = jnp.asarray(as_numbers(name, value), dtype)
    if array.shape not in ((), shape):
        raise SetDimensionError(
            f"`{name}` returned shape {array.shape}, but it must return shape {shape}."
        )
    return jnp.broadcast_to(
        jnp.where(jnp.isnan(array), jnp.inf, jnp.maximum(array, 0.0)).astype(dtype), shape
    )


def as_number(
    name: str,
    value: Any,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """One finite number of at least `low`, or greater than `above`, and of at most `high`, or less
    than `below`.

    Raises:
        TypeError: If the value is not one real number; True is none.
        ValueError: If it is not finite, or out of this range.
    """
    must = range_in_words(low, high, above, below)
    try:
        single = np.ndim(as_numbers(name, value)) == 0 and not is_flag(value)
        number = float(np.asarray(value, np.float64)) if single and not is_traced(value) else None
    except SetDimensionError:
        number = None
    if number is None:
        raise TypeError(f"`{name}` is {shown(value)}, but it must be {must}.")
    bottom = number > above if above is not None else number >= low
    top = number < below if below is not None else number <= high
    if not np.isfinite(number) or not bottom or not top:
        raise ValueError(f"`{name}` is {shown(value)}, but it must be {must}.")
    return number


def as_key(name: str, value: Any) -> jax.Array:
    """A random key of JAX as raw numbers, which is what Brax's wrappers read the shape of.

    Args:
        name: Name of the argument.
        value: `jax.random.PRNGKey(seed)`, `jax.random.key(seed)`, or a tracer of one.

    Raises:
        TypeError: If the value is something else, a batch of keys included.
    """
    key = value
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    if not isinstance(key, jax.Array | np.ndarray) or not _is_raw_key(key):
        raise TypeError(
            f"`{name}` is {shown(value)}, but it must be a random key, such as "
            "`jax.random.PRNGKey(0)`; map over a batch of keys with `jax.vmap`."
        )
    return jnp.asarray(key)


def instance_of(name: str, value: Any, *types: type, hint: str = "") -> None:
    """Checks the type of an argument.

    Args:
        name: Name of the argument.
        value: The value that was given for it.
        *types: The types that it may have.
        hint: What to write instead, as a half sentence.

    Raises:
        TypeError: If it has none of them.
    """
    if not isinstance(value, types):
        must = " or ".join(f"a `{kind.__name__}`" for kind in types)
        raise TypeError(
            f"`{name}` is {shown(value)}, but it must be {must}{f'; {hint}' if hint else ''}."
        )


def function(name: str, value: Any, call: str) -> None:
    """Checks that an argument can be called; `call` says how it will be, as in "x -> (n,)".

    Raises:
        TypeError: If it cannot.
    """
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"`{name}` is {shown(value)}, but it must be a function {call}.")


def one_of(name: str, value: Any, valid: Sequence[str], why: str = "") -> str:
    """Returns `value` if it is one of the valid words.

    Raises:
        ValueError: Otherwise, naming the valid words and the nearest one.
    """
    if isinstance(value, str) and value in valid:
        return value
    nearest = difflib.get_close_matches(value, valid, n=1) if isinstance(value, str) else []
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(
        f"`{name}` is {shown(value)}, but it must be one of {', '.join(map(repr, valid))}."
        f"{why}{hint}"
    )


def _as_vector(
    name: str,
    subject: str,
    value: Any,
    size: int | None,
    of: str,
    labels: Sequence[str],
    single: bool = False,
) -> jax.Array:
    with np.errstate(over="ignore"):
        vector = jnp.asarray(as_numbers(name, value, overflow=True))
    if single and size == 1 and vector.ndim == 0:
        return vector[None]
    if vector.ndim != 1 or size not in (None, len(vector)):
        wanted = "n" if size is None else size
        called = f" ({', '.join(labels)})" if labels else ""
        raise SetDimensionError(
            f"{subject} must have shape ({wanted},), but its shape is {vector.shape}: give one "
            f"value per {of}{called}, and batch with jax.vmap."
        )
    return vector


def _is_raw_key(key: Array) -> bool:
    # Two words of 32 bits, or four for the generator `rbg`.
    return key.dtype == np.uint32 and key.shape in ((2,), (4,))


def _of_jax(name: str, array: jax.Array) -> jax.Array:
    dtype = array.dtype
    if dtype in (jnp.float32, jnp.float64):
        return array
    # Asked of JAX, since bfloat16 and random keys are none of NumPy's kinds.
    if not any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        raise SetDimensionError(_not_numbers(name, f"an array of {dtype}"))
    return array.astype(jnp.float32)


def _as_numpy(name: str, value: Any) -> np.ndarray:
    if np.ma.isMaskedArray(value):
        raise SetDimensionError(
            f"`{name}` is a masked array, but masks are not kept; fill it by `.filled(...)` first."
        )
    if getattr(value, "requires_grad", False):
        raise SetDimensionError(
            f"`{name}` is a tensor that requires a gradient, which would end here; give "
            "`.detach()` of it."
        )
    try:
        array = np.asarray(value)
    except Exception as error:  # conversions are the value's own and may raise anything
        raise SetDimensionError(_not_numbers(name, shown(value))) from error
    if not (array.dtype.kind in _KINDS or jnp.issubdtype(array.dtype, jnp.floating)):
        found = shown(value) if value is None or array.size == 1 else f"an array of {array.dtype}"
        raise SetDimensionError(_not_numbers(name, found))
    return array


def _not_numbers(name: str, found: str) -> str:
    return (
        f"`{name}` is {found}, but it must be made of real numbers: floating-point numbers, "
        "integers of at most 64 bits or booleans, as many in every row."
    )
