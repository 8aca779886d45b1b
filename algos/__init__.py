"""Learning algorithms: SHAC in the style of Brax's agents."""

import typing as _typing

if __name__ != "safe_wrappers.algos":
    raise ImportError(
        f"Import this package as `safe_wrappers.algos`, not as `{__name__}`: a "
        "second copy of its classes would not be equal to the first."
    )

from safe_wrappers._lazy import lazy as _lazy

if _typing.TYPE_CHECKING:
    from . import shac as shac

# So that the command line reads the table of arguments without importing Brax.
__getattr__, __dir__ = _lazy(__name__, ("shac",))
