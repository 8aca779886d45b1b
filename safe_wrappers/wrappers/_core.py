"""What all wrappers share: checks of their parts, and what stands behind the result."""

from typing import Any

from ..safe_actions import System
from ..safeguards import Safeguard


def require_parts(system: Any, safeguard: Any, regularisation: float) -> None:
    """What every wrapper asks of its parts.

    Raises:
        TypeError: If the system or the safeguard is something else.
        ValueError: If `regularisation` is negative or not finite.
    """
    if not isinstance(system, System):
        raise TypeError(
            "`system` must be a `System` such as `ModelSystem(model, safe_state_set, "
            f"...)`, but it is a `{type(system).__name__}`."
        )
    if not isinstance(safeguard, Safeguard):
        raise TypeError(
            "`safeguard` must be a safeguard such as `BoundaryProjection()`, but it "
            f"is {safeguard!r}."
        )
    if not 0 <= regularisation < float("inf"):
        raise ValueError(
            f"`regularisation` must be finite and at least 0, but it is {regularisation}."
        )


def tested(env: Any, system: System) -> str:
    """What stands behind the safety of an environment that comes with no claim of its own, in one
    line.
    """
    claim = getattr(system, "guarantee", "")
    beside = f"; its system: {claim}" if claim else ""
    return (
        f"tested, not proved: whether `{type(env).__name__}` steps the model of its system, "
        f"sampling can test (`safe_wrappers.conform`){beside}"
    )
