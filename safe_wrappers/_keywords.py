"""Keyword arguments that are passed on: unknown ones are refused here, before anything is made."""

import difflib
from collections.abc import Iterable

from ._errors import UnknownOptionError


def require_known_keywords(of: str, given: Iterable[str], valid: Iterable[str]) -> None:
    """Checks the names of keyword arguments.

    Args:
        of: Whose options they are, for the error.
        given: Names that were given.
        valid: Names that there are.

    Raises:
        UnknownOptionError: On a name that there is not. The text begins as Python's own for
            such a name, since clients that try a keyword read it.
    """
    valid = list(valid)
    for name in given:
        if name not in valid:
            nearest = difflib.get_close_matches(name, valid, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            there_are = (
                f"its options are {', '.join(map(repr, valid))}" if valid else "it has no options"
            )
            raise UnknownOptionError(
                f"{of} got an unexpected keyword argument {name!r}; {there_are}.{hint}"
            )
