"""Arguments as data: one table says what must hold of each, checks it, and describes it.

`algos.shac.train` and the command line read such tables for their checks, their help texts and
their tests.
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ._scalars import as_flag, as_integer, as_seed, range_in_words, shown

Function = TypeVar("Function", bound=Callable[..., Any])


class Argument(NamedTuple):
    """What must hold of one argument.

    Attributes:
        must: What the argument must be, to follow "must be".
        check: (name, value) -> the value, converted. It raises a TypeError or a ValueError that
            names the argument, says what must hold, and shows what was given.
        optional: Whether None stands for a default.
    """

    must: str
    check: Callable[[str, Any], Any]
    optional: bool = False

    def or_none(self) -> "Argument":
        """The same argument with None for its default."""
        return self._replace(optional=True)

    def __call__(self, name: str, value: Any) -> Any:
        """The value, checked and converted."""
        return None if value is None and self.optional else self.check(name, value)


def integer(low: int, below: int | None = None) -> Argument:
    """An integer of at least `low`, and less than `below` if that is given."""
    must = f"an integer from {low:,} to {below - 1:,}" if below else f"an integer from {low:,} on"
    return Argument(must, lambda name, value: as_integer(name, value, low, below))


def number(low: float = -1e30, high: float = 1e30, *, above: float | None = None) -> Argument:
    """A number in [low, high], or in (above, high]."""

    def check(name: str, value: Any) -> float:
        from ._gate import as_number  # brings JAX, which a help text does not need

        return as_number(name, value, low, high, above=above)

    return Argument(range_in_words(low, high, above), check)


def pair(each: Argument) -> Argument:
    """Two values, of each of which the same must hold."""

    def check(name: str, value: Any) -> tuple[Any, Any]:
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise TypeError(f"`{name}` is {shown(value)}, but it must be two values (a, b).")
        first, second = (each(f"{name}[{i}]", item) for i, item in enumerate(value))
        return first, second

    return Argument(f"two values, each {each.must}", check)


def function() -> Argument:
    """Something that can be called."""

    def check(name: str, value: Any) -> Any:
        if not callable(value):
            raise TypeError(f"`{name}` is {shown(value)}, but it must be a function.")
        return value

    return Argument("a function", check)


def instance(kinds: type | tuple[type, ...], must: str) -> Argument:
    """An object of one of these classes, which `must` describes."""

    def check(name: str, value: Any) -> Any:
        if isinstance(value, type) or not isinstance(value, kinds):
            raise TypeError(f"`{name}` is {shown(value)}, but it must be {must}.")
        return value

    return Argument(must, check)


def new_folder() -> Argument:
    """A folder that exists and can be written to, or can be made."""

    def check(name: str, value: Any) -> str:
        path = _as_path(name, value)
        existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            raise ValueError(
                f"`{name}` is {shown(value)}, but it must be a folder that can be written to, and "
                f"{existing} is none."
            )
        return str(path)

    return Argument("a folder that can be written to", check)


def old_folder() -> Argument:
    """A folder that exists."""

    def check(name: str, value: Any) -> str:
        path = _as_path(name, value)
        if not path.exists():
            raise FileNotFoundError(f"`{name}` is {shown(value)}, but there is no such folder.")
        if not path.is_dir():
            raise ValueError(f"`{name}` is {shown(value)}, but it must be a folder.")
        return str(path)

    return Argument("a folder that exists", check)


def checked(table: Mapping[str, Argument]) -> Callable[[Function], Function]:
    """Decorates a function whose arguments are checked before it runs, in the table's order."""

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for name, argument in table.items():
                bound.arguments[name] = argument(name, bound.arguments[name])
            return function(*bound.args, **bound.kwargs)

        return call  # pyright: ignore[reportReturnType]

    return decorate


def _as_path(name: str, value: Any) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"`{name}` is {shown(value)}, but it must be the path of a folder.")
    return Path(value)


SEED = Argument("an integer from 0 to 2^32 - 1", lambda name, value: as_seed(value, name))
FLAG = Argument("True or False", as_flag)
