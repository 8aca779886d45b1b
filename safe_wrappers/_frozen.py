"""Objects that cannot be changed once they are constructed.

Environments and wrappers are compiled into programs that hold the values of their attributes, so a
later assignment would silently change nothing. Here it is an error that says so.
"""

import abc
import inspect
from typing import Any, ClassVar


class _FreezesWhenConstructed(abc.ABCMeta):
    """Freezes an object after the constructors of all its classes have run."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        constructed = super().__call__(*args, **kwargs)
        constructed.__dict__["_constructed"] = True
        return constructed

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the constructor, which `__call__` above would hide."""
        signature = inspect.signature(cls.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


class Frozen(metaclass=_FreezesWhenConstructed):
    """A base class whose objects refuse to assign and to delete attributes after construction.

    Constructors, also those of subclasses, assign as usual. Properties keep their own setters.
    `copy.deepcopy` and `pickle` work, and copies are frozen, too.

    Attributes:
        may_change: Names of the attributes that change while the object is used, for example the
            state of an episode.
    """

    may_change: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        self._require_changeable(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._require_changeable(name)
        super().__delattr__(name)

    def _require_changeable(self, name: str) -> None:
        if "_constructed" not in self.__dict__ or name in self.may_change:
            return
        if isinstance(getattr(type(self), name, None), property):
            return
        kind = type(self).__name__
        raise AttributeError(
            f"`{name}` of a `{kind}` cannot be changed after construction, because compiled "
            f"programs hold its value and would not see the change. Construct another `{kind}` "
            "with the value that you want."
        )
