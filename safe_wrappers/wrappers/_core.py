"""What all wrappers share: checks of their parts, and what stands behind the result."""

from typing import Any

from .._gate import as_number
from ..certificates import Guarantee, Guaranteed
from ..safe_actions import System
from ..safeguards import Safeguard


def require_parts(system: Any, safeguard: Any, regularisation: Any) -> None:
    """What every wrapper asks of its parts.

    Raises:
        TypeError: If the system or the safeguard is something else, or `regularisation` no number.
        ValueError: If `regularisation` is negative or not finite.
    """
    if not isinstance(system, System):
        raise TypeError(
            "`system` must be a `System` such as `ModelSystem(certificate, "
            f"state=...)`, but it is a `{type(system).__name__}`."
        )
    if not isinstance(safeguard, Safeguard):
        raise TypeError(
            "`safeguard` must be a safeguard such as `BoundaryProjection()`, but it "
            f"is {safeguard!r}."
        )
    as_number("regularisation", regularisation, 0.0)


def tested(env: Any, system: System) -> Guarantee:
    """What stands behind the safety of an environment that the library does not step itself."""
    by = (
        f"whether `{type(env).__name__}` steps the model of its system, sampling can test "
        "(`sw.conform`)"
    )
    if not isinstance(system, Guaranteed):
        return Guarantee("tested", by)
    promised = system.guarantee
    by = f"{by}; its system is {promised.status}: {promised.by}"
    return Guarantee("tested", by, promised.assumptions)


def verified(wrapper: Any, original: type, safeguard: Safeguard) -> bool:
    """Whether the executed action is the library's own verified one: neither the wrapper nor the
    safeguard puts a step or a call of its own in its place.
    """
    return type(wrapper).step is original.step and type(safeguard).__call__ is Safeguard.__call__
