"""The part of the gate that needs no JAX, so that a help text is printed at once."""

import math
import operator
from typing import Any

import numpy as np

_SEEDS = 2**32  # what `jax.random.PRNGKey` tells apart
_SHOWN = 80  # characters of a value in an error


def shown(value: Any) -> str:
    """A value as an error shows it: on one line, at most 80 characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # the value is not ours, and an error must still name it
        text = f"a `{type(value).__name__}` without a `repr`"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def as_integer(name: str, value: Any, low: int, below: int | None = None) -> int:
    """An integer of at least `low`, and less than `below` if that is given.

    Raises:
        TypeError: If the value is no integer; 2.0 and True are none.
        ValueError: If it is out of this range.
    """
    must = f"an integer of at least {low}" + (f" and less than {below}" if below else "")
    try:
        number = None if is_flag(value) else operator.index(value)
    except Exception:  # the conversion is the value's own and may raise anything
        number = None
    if number is None:
        raise TypeError(f"`{name}` is {shown(value)}, but it must be {must}.")
    if number < low or (below is not None and number >= below):
        raise ValueError(f"`{name}` is {shown(value)}, but it must be {must}.")
    return number


def as_seed(value: Any, name: str = "seed") -> int:
    """The seed of a random key: an integer from 0 to 2^32 - 1, so that no two are the same key.

    Raises:
        TypeError: If the value is no integer.
        ValueError: If it is out of this range.
    """
    return as_integer(name, value, 0, _SEEDS)


def as_flag(name: str, value: Any) -> bool:
    """True or False.

    Raises:
        TypeError: If the value is something else, for example 1 or "no".
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"`{name}` is {shown(value)}, but it must be True or False.")
    return bool(value)


def range_in_words(
    low: float, high: float, above: float | None = None, below: float | None = None
) -> str:
    """The range of `as_number`, to follow "must be"."""
    bottom = f"greater than {above:g}" if above is not None else f"at least {low:g}"
    parts = [bottom] if above is not None or math.isfinite(low) else []
    top = f"less than {below:g}" if below is not None else f"at most {high:g}"
    parts += [top] if below is not None or math.isfinite(high) else []
    return "a finite number" + (f", {' and '.join(parts)}" if parts else "")


def is_flag(value: Any) -> bool:
    """Whether a value is True or False, also as NumPy, JAX or torch have it."""
    return isinstance(value, bool) or getattr(value, "dtype", None) == np.bool_
