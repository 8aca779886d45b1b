"""Names and units of states and actions."""

from collections.abc import Mapping
from typing import Any

from .._errors import ModelError
from .._gate import as_integer, shown


def as_names(name: str, value: Any) -> tuple[str, ...]:
    """The names of states or actions.

    Raises:
        TypeError: If they are no sequence of texts.
        ModelError: If a name is empty or comes twice.
    """
    if isinstance(value, str) or not all(isinstance(part, str) for part in _parts(value)):
        raise TypeError(
            f"`{name}` is {shown(value)}, but it must be a tuple of texts, such as "
            "('gap', 'speed')."
        )
    names = tuple(value)
    if not all(names) or len(set(names)) != len(names):
        raise ModelError(
            f"`{name}` must be different names, none of them empty, but it is {names}."
        )
    return names


def size_of(name: str, given: Any, others: Mapping[str, int]) -> int:
    """A size, given itself or by the lengths of other arguments, which must agree; 0 for those that
    were not given.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is less than 1.
        ModelError: If nothing gives it, or two contradict each other.
    """
    found = {other: length for other, length in others.items() if length}
    if given is not None:
        found = {name: as_integer(name, given, 1), **found}
    if not found:
        ways = " or ".join(f"`{way}`" for way in (name, *others))
        raise ModelError(f"The model must say how many there are: give {ways}.")
    if len(set(found.values())) > 1:
        said = " and ".join(f"`{way}` says {size}" for way, size in found.items())
        raise ModelError(f"The arguments of the model must fit together, but {said}.")
    return next(iter(found.values()))


def as_units(value: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Units by name.

    Raises:
        TypeError: If they are no texts by name.
        ModelError: If a name is none of a state or an action.
    """
    if not isinstance(value, Mapping) or not all(
        isinstance(part, str) for pair in value.items() for part in pair
    ):
        raise TypeError(
            f"`units` is {shown(value)}, but it must be a dictionary of texts, such as "
            "{'gap': 'm'}."
        )
    for name in value:
        if name not in names:
            raise ModelError(
                f"`units` names {name!r}, which is no state and no action of the model: its "
                f"names are {', '.join(map(repr, names)) or 'not given'}."
            )
    return dict(value)


def labelled(
    names: tuple[str, ...], units: Mapping[str, str], kind: str, size: int
) -> tuple[str, ...]:
    """Names with units in brackets, or numbers where there are no names."""
    if not names:
        return tuple(f"{kind} {i + 1}" for i in range(size))
    return tuple(f"{name} ({units[name]})" if name in units else name for name in names)


def _parts(value: Any) -> tuple[Any, ...]:
    try:
        return tuple(value)
    except TypeError:
        return (None,)
