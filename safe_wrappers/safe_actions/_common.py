"""What systems have in common: the action box and its natural units, and for those with a model its
sizes and its state constraints.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from .._errors import SetDimensionError
from .._gate import function, instance_of
from ..models import ActionUnits, Model
from ..sets import Box, Polytope, Zonotope
from ._protocol import System


class BoxSystem:
    """A system whose safe action sets live in [-1, 1]^d: it rests in the middle of the box.

    Attributes:
        action_size: Number of actions d.
    """

    action_size: int

    @property
    def neutral_action(self) -> Float[jax.Array, " {self.action_size}"]:
        """What is executed, flagged, when the state itself is not finite: 0 of [-1, 1]^d, shape
        (d,); in natural units the middle of the action box.
        """
        return jnp.zeros(self.action_size, jnp.float32)

    @property
    def action_units(self) -> ActionUnits:
        """The map of [-1, 1]^d onto the action box. Default: there are no other units."""
        one = np.ones(self.action_size, np.float32)
        return ActionUnits(Box(-one, one))

    @property
    def action_box(self) -> Box:
        """The actions that the plant takes, in its natural units, dimension d."""
        return self.action_units.box

    @property
    def action_room(self) -> float:
        """How far an executed action may be from the verified one, a Euclidean distance in the
        action box, beyond what the accept test leaves, if the system's rows are tightened by as
        much: 0 where nothing is known about the room in its safe action sets.
        """
        return 0.0


def units_of(system: System) -> ActionUnits:
    """The natural units of a system's actions: [-1, 1]^d for a system that knows no others."""
    if isinstance(system, BoxSystem):
        return system.action_units
    one = np.ones(system.action_size, np.float32)
    return ActionUnits(Box(-one, one))


class SystemOfModel(BoxSystem):
    """A system with a model x' = f(x, a, w) and state constraints X.

    Attributes:
        model: The one-step model f.
        constraint_set: X.
    """

    model: Model
    constraint_set: Box | Polytope

    @property
    def action_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of actions d."""
        return self.model.action_size

    @property
    def action_units(self) -> ActionUnits:
        """The map of [-1, 1]^d onto the model's action box."""
        return self.model.action_units

    def violation(self, x: ArrayLike) -> Float[jax.Array, ""]:
        """1 if x lies outside X, else 0, float32, shape ()."""
        return 1.0 - self.constraint_set.contains(x).astype(jnp.float32)


def require_sets(
    model: Model,
    state: Callable[[Any], Float[Any, " n"]],
    *,
    safe_state_set: Polytope | Zonotope,
    kind: type,
    constraint_set: Box | Polytope,
    disturbance_set: Box,
) -> None:
    """Checks the types and dimensions of what a system over a model is made of.

    Args:
        model: n states, k disturbances.
        state: Reads x from an environment's state.
        safe_state_set: S, n dimensions.
        kind: The class that S must have.
        constraint_set: X, n dimensions.
        disturbance_set: W, k dimensions.

    Raises:
        TypeError: If one of them is something else.
        SetDimensionError: If a dimension does not fit the model.
    """
    instance_of("model", model, Model)
    instance_of("safe_state_set", safe_state_set, kind)
    instance_of("constraint_set", constraint_set, Box, Polytope)
    instance_of("disturbance_set", disturbance_set, Box)
    function("state", state, "(environment's state) -> x, shape (n,)")
    n, k = model.state_size, model.disturbance_size
    for name, found, needed in (
        ("safe_state_set", safe_state_set.dim, n),
        ("constraint_set", constraint_set.dim, n),
        ("disturbance_set", disturbance_set.dim, k),
    ):
        if found != needed:
            raise SetDimensionError(
                f"`{name}` must have dimension {needed} for the model "
                f"{model.name!r}, but it has {found}. Give it one coordinate for each "
                f"{'disturbance' if name == 'disturbance_set' else 'state'} of the model."
            )
