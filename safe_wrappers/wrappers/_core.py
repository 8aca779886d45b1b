"""What all wrappers share: checks of their parts, and what stands behind the result."""

from typing import Any

from .._errors import CertificateError
from .._gate import as_number
from .._own import replacement
from ..certificates import Guarantee, Guaranteed, guarantee_by_the_library
from ..safe_actions import System
from ..safeguards import Safeguard, is_known


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


def require_plant_actions(system: Any) -> None:
    """What a wrapper asks that hands actions on as they are.

    Raises:
        CertificateError: If the system's actions are virtual inputs, which the environment would
            take for its own actions.
    """
    if getattr(system, "commands", "actions") != "actions":
        raise CertificateError(
            "The system's actions must be those of the environment, but it is a `ModelSystem` with "
            "commands='virtual', whose actions are virtual inputs. Write "
            "`ModelSystem(certificate, state=...)`, or use `SafeguardWrapper`, which turns virtual "
            "inputs into actions."
        )


def tested(env: Any, system: System) -> Guarantee:
    """What stands behind the safety of an environment that the library does not step itself."""
    by = (
        f"whether `{type(env).__name__}` steps the model of its system, sampling can test "
        "(`sw.conform`)"
    )
    if not isinstance(system, Guaranteed):
        return Guarantee("tested", by)
    promised = guarantee_by_the_library(system)
    by = f"{by}; its system is {promised.status}: {promised.by}"
    return Guarantee("tested", by, promised.assumptions)


def unverified(wrapper: Any, safeguard: Safeguard) -> str | None:
    """Why the executed action may be another than the library's own verified one: the wrapper, the
    safeguard or its gradient rule has put code of its own in the place of the library's. None if
    they have not.
    """
    changed = replacement(wrapper) or replacement(safeguard)
    if changed is None and not is_known(safeguard.rule):
        changed = f"the gradient rule `{type(safeguard.rule).__name__}` is not one of the library"
    return changed
