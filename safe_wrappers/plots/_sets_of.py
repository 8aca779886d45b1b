"""The sets that a picture shows: from an environment, a system, a claim or a certificate."""

from typing import Any, NamedTuple

from ..certificates import Certificate, Claim
from ..models import Model
from ..sets import Box, Polytope, Zonotope


class Sets(NamedTuple):
    """What is known of a plant.

    Attributes:
        safe: S, or None where the safe states are not given as a set.
        constraints: X, or None.
        model: The model, or None.
    """

    safe: Polytope | Zonotope | None
    constraints: Box | Polytope | None
    model: Model | None


def sets_of(value: Any) -> Sets:
    """The sets of an environment, a system, a certificate, a claim or a bare set.

    Raises:
        TypeError: If it is none of these.
    """
    if isinstance(value, Polytope | Zonotope):
        return Sets(value, None, None)
    found = value.claim if isinstance(value, Certificate) else value
    if not isinstance(found, Claim):
        found = getattr(value, "system", value)
    if not (isinstance(found, Claim) or hasattr(found, "safe_action_set")):
        raise TypeError(
            "What is drawn must be a certificate, a claim, a system, an environment with a system, "
            f"a `Polytope` or a `Zonotope`, but it is a `{type(value).__name__}`."
        )
    safe = getattr(found, "safe_state_set", None)
    constraints = getattr(found, "constraint_set", None)
    model = getattr(found, "model", None)
    return Sets(
        safe if isinstance(safe, Polytope | Zonotope) else None,
        constraints if isinstance(constraints, Box | Polytope) else None,
        model if isinstance(model, Model) else None,
    )
