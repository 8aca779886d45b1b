"""Members of the library's classes that decide what is executed, and who has replaced them.

A guarantee speaks of the library's own code. A subclass may put its own in the place of any member,
and then nothing that was proved says what it does.
"""

from typing import Any, TypeVar

Member = TypeVar("Member")

# By identity, since an attribute of a class need not be hashable; the members are kept alive here.
_OWN: dict[int, Any] = {}


def own(member: Member) -> Member:
    """Marks a method or a property that a guarantee speaks of; of decorators the outermost one."""
    _OWN[id(member)] = member
    return member


def replacement(value: Any) -> str | None:
    """A sentence about the marked members of an object's classes in whose place a subclass, or the
    object itself, has put something that is not marked; None if there are none.
    """
    kinds = type(value).__mro__
    marked = {name for kind in kinds for name, member in vars(kind).items() if id(member) in _OWN}
    names = sorted(
        f"`{name}`"
        for name in marked
        if name in getattr(value, "__dict__", ()) or id(_member(kinds, name)) not in _OWN
    )
    return f"`{type(value).__name__}` replaces {', '.join(names)} of the library" if names else None


def _member(kinds: tuple[type, ...], name: str) -> Any:
    """What the attribute `name` of the first of the classes that has it is, undisturbed by
    descriptors.
    """
    return next(vars(kind)[name] for kind in kinds if name in vars(kind))
