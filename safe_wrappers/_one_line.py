"""What `print` shows of the library's objects: one line each, never an array."""

from typing import Any

_LONGEST = 100  # characters


def one_line(text: str) -> str:
    """The text, cut to 100 characters."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]}...)"


def count(number: int, what: str) -> str:
    """A number of things: "1 state", "2 states"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def rows_by_columns(array: Any, row: str, column: str) -> str:
    """The size of an array of two dimensions in words; its shape where it has others, as inside
    `jax.vmap`.
    """
    shape = tuple(getattr(array, "shape", ()))
    if len(shape) != 2:
        return f"of shape {shape}"
    return f"{count(shape[0], row)} in {count(shape[1], column)}"
