"""What a person at the terminal did wrong, said in one line."""

import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .._errors import SafeWrappersError


class UsageError(SafeWrappersError):
    """A wrong name, option or file on the command line. Printed as one line; the exit code is 2."""


def require_known(kind: str, value: str, valid: Iterable[str], *, also: str = "") -> None:
    """Checks that `value` is one of `valid`.

    Args:
        kind: The kind of thing that the value names.
        value: The name that was given.
        valid: The known names.
        also: A sentence about what else could be written.

    Raises:
        UsageError: Otherwise, with the nearest valid name, or all of them if none is near.
    """
    valid = list(valid)
    if value not in valid:
        nearest = difflib.get_close_matches(value, valid, n=1) or [
            name for name in valid if name.startswith(value)
        ]
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"valid: {', '.join(valid)}."
        raise UsageError(" ".join(filter(None, [f"unknown {kind} {value!r}; {hint}", also])))


def require_new_file(option: str, path: Path, suffix: str) -> None:
    """Checks, before anything is computed, that a file can be written where it is to go.

    Raises:
        UsageError: If it has another suffix, or its folder does not exist or cannot be written to.
    """
    if path.suffix != suffix:
        raise UsageError(f"{option} must end in {suffix}, but it is {path}.")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{option} {path} must lie in a folder that can be written to.")


def flag(name: str) -> str:
    """The option of a parameter: safe_set is --safe-set."""
    return f"--{name.replace('_', '-')}"


@contextlib.contextmanager
def usage_errors(parameters: Iterable[str] = ()) -> Iterator[None]:
    """What the library says of a wrong option, said in one line, with the options in the place of
    the parameters that they are given to.
    """
    try:
        yield
    except (TypeError, ValueError, ImportError, SafeWrappersError) as error:
        text = " ".join(str(error).split())
        for name in parameters:
            text = text.replace(f"`{name}`", flag(name)).replace(f"{name}=", f"{flag(name)} ")
        raise UsageError(text) from error
