"""What must hold of the options of a command: one declaration for its checks and its help text."""

import dataclasses
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_type_hints

from tyro.conf import arg

from .._arguments import Argument
from ._usage import UsageError

C = TypeVar("C", bound=type)


class Option(NamedTuple):
    """How an option is checked and described, as part of its annotation.

    Attributes:
        argument: What must hold of the value; None if the command itself finds out.
        default: What is taken if the option is left out, in words; None to show the value.
        metavar: What stands for the value in the help text; None for its type.
    """

    argument: Argument | None = None
    default: str | None = None
    metavar: str | None = None

    def hint(self, value: Any) -> str:
        """What the help text says after the option's own docstring."""
        parts = [] if self.argument is None else [self.argument.must]
        if value is not dataclasses.MISSING:
            parts.append(f"default: {value if self.default is None else self.default}")
        return f"({'; '.join(parts)})" if parts else ""


def with_ranges(command: C) -> C:
    """Decorates a dataclass of options: their `Option`s become help texts."""
    for name, hint in get_type_hints(command, include_extras=True).items():
        option = _option(hint)
        if option is not None:
            value = command.__dataclass_fields__[name].default
            metavar = option.metavar or _kind(hint.__origin__)
            shown = arg(metavar=metavar, help_behavior_hint=option.hint(value))
            command.__annotations__[name] = Annotated[hint, shown]
    return command


def check(options: Any) -> None:
    """Checks the options of a command before anything is computed or written.

    Raises:
        UsageError: If one is out of its range.
    """
    for name, hint in get_type_hints(type(options), include_extras=True).items():
        option, value = _option(hint), getattr(options, name)
        if option is not None and option.argument is not None and value is not None:
            try:
                option.argument(f"--{name.replace('_', '-')}", value)
            except (TypeError, ValueError) as error:
                raise UsageError(str(error).replace("`", "")) from error


def _kind(hint: Any) -> str:
    """The type of a value in a help text, without None."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not type(None)]
    return "|".join(kind.__name__.upper() for kind in kinds)


def _option(hint: Any) -> Option | None:
    found = (extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Option))
    return next(found, None)
