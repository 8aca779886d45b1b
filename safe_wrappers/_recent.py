"""Values that are kept as long as somebody uses them, and the newest ones for a while longer."""

import collections
import weakref
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by keys: those that are alive elsewhere, and the last ones that were asked for.

    Args:
        kept: How many values stay although nobody else holds them.
    """

    def __init__(self, kept: int):
        self._alive: weakref.WeakValueDictionary[Hashable, Value] = weakref.WeakValueDictionary()
        self._newest: collections.deque[Value] = collections.deque(maxlen=kept)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of the key, made now if there is none."""
        value = self._alive.get(key)
        if value is None:
            value = make()
            # If another thread was faster, both take its value.
            value = self._alive.setdefault(key, value)
        others = [other for other in self._newest if other is not value]
        self._newest = collections.deque([*others, value], self._newest.maxlen)
        return value
