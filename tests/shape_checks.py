"""The check of annotated shapes that pyproject.toml turns on for the tests."""

import inspect
import typing
from collections.abc import Callable

import jaxtyping
from beartype import BeartypeConf, beartype

CHECKED = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float here, too


def shapes(function):
    """Checks those annotations of a function that give the shape of an array.

    The others are left to pyright and to the library's own gate, whose errors are tested.
    """
    hints = {name: hint for name, hint in function.__annotations__.items() if has_shape(hint)}
    if not hints:
        return function
    function.__annotations__ = hints
    return CHECKED(function)


def has_shape(hint):
    """Whether an annotation is an array with a shape, or made of such annotations."""
    parts = typing.get_args(hint)
    if not parts:
        return inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)
    return typing.get_origin(hint) is not Callable and any(map(has_shape, parts))
