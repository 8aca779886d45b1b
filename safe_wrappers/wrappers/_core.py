"""What all wrappers share: checks of their parts, and sentences about where the guarantee ends."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._errors import CertificateError
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


def no_safe_start(tried: str, x: ArrayLike, instead: str) -> CertificateError:
    """The error of an episode that starts outside the safe set, where nothing is guaranteed;
    `tried` is the subject of "gave".
    """
    return CertificateError(
        f"An episode must start in the safe set, but {tried} gave states like "
        f"{np.asarray(x).tolist()}. {instead}"
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
