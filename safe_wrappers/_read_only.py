"""Objects whose arrays are read-only, also those of copies and of what was pickled."""

import functools
import inspect
from typing import Any

import numpy as np


class ReadOnly:
    """A base class for frozen objects that hold NumPy arrays.

    Copying and pickling make arrays writable. Here they are read-only again afterwards; what is
    cached is computed anew.
    """

    def __getstate__(self) -> dict[str, Any]:
        kind = type(self)
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(inspect.getattr_static(kind, name, None), functools.cached_property)
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: read_only(value) for name, value in state.items()})


def read_only(value: Any) -> Any:
    """A NumPy array as a copy that is backed by bytes, so that not even `setflags` makes it
    writable again; everything else as it is.
    """
    if not isinstance(value, np.ndarray):
        return value
    return np.frombuffer(value.tobytes(), value.dtype).reshape(value.shape)
