"""Learning algorithms: SHAC in the style of Brax's agents."""

if __name__ != "safe_wrappers.algos":
    raise ImportError(
        f"Import this package as `safe_wrappers.algos`, not as `{__name__}`: a "
        "second copy of its classes would not be equal to the first."
    )

from . import shac as shac
