"""Systems whose actions are rounded on their way to the plant."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float

from .._action_box import ActionBox
from .._errors import CertificateError
from .._products import dot
from .._read_only import ReadOnly
from ..models import ActionUnits
from ._action_set import SafeActionSet
from ._common import BoxSystem, units_of
from ._protocol import SteppingSystem, System


@dataclasses.dataclass(frozen=True, eq=False)
class RoundedActions(ReadOnly, BoxSystem):
    """A system whose safe action sets hold the actions around which all are safe.

    Each row A_i a <= b_i becomes A_i a <= b_i - sum_j |A_ij| r_j, so that it holds for every action
    that differs from a by at most r_j in component j. Everything else is the system's own.

    Args:
        system: The system, d actions.
        rounding: r, shape (d,), in units of [-1, 1]^d.
    """

    system: System
    rounding: Float[np.ndarray, " d"]

    @property
    def action_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of actions d."""
        return self.system.action_size

    @property
    def action_units(self) -> ActionUnits:
        """The system's own, if it has any."""
        return units_of(self.system)

    def state(self, env_state: Any) -> Any:
        """The state x of the system."""
        return self.system.state(env_state)

    def safe_action_set(self, x: Float[jax.Array, " n"]) -> SafeActionSet:
        """The tightened rows at x, shape (n,), and the system's own anchor."""
        rows = self.system.safe_action_set(x)
        reach = dot(jnp.abs(rows.A), jnp.asarray(self.rounding, rows.A.dtype))
        return dataclasses.replace(rows, b=rows.b - reach)

    def stays(
        self, x: Float[jax.Array, " n"], action: Float[jax.Array, " d"]
    ) -> Bool[jax.Array, ""]:
        """What the system says of the verified action, if it can step; shape ()."""
        if isinstance(self.system, SteppingSystem):
            return self.system.stays(x, action)
        return jnp.ones((), bool)

    def margin(self, x: Float[jax.Array, " n"]) -> Float[jax.Array, ""]:
        """The system's margin, shape ()."""
        return self.system.margin(x)

    def violation(self, x: Float[jax.Array, " n"]) -> Float[jax.Array, ""]:
        """The system's violation, shape ()."""
        return self.system.violation(x)

    def sample_initial(self, key: jax.Array) -> Float[jax.Array, " n"]:
        """A safe state of the system, shape (n,)."""
        return self.system.sample_initial(key)


def onto_space(system: System, space: spaces.Space[Any]) -> tuple[ActionBox, System]:
    """The map from [-1, 1]^d onto an action space, and the system whose verified actions stay safe
    when the map has rounded them: the given one, or one with tighter rows for a coarse space.

    Raises:
        CertificateError: If the space is no box of the system's actions, has other bounds than the
            natural units of the system's model, or is too coarse.
    """
    _require_same_units(system, space)
    room = system.action_room if isinstance(system, BoxSystem) else 0.0
    units = units_of(system)
    proved_map = None if units.plain else (units.center, units.half_width)
    box = ActionBox(space, system.action_size, room, proved_map)
    return box, RoundedActions(system, box.rounding) if box.coarse else system


def _require_same_units(system: System, space: spaces.Space[Any]) -> None:
    """A model with natural units says which action is which; a space with other bounds would be
    mapped onto other actions.
    """
    units = units_of(system)
    if units.plain or not isinstance(space, spaces.Box) or space.shape != (system.action_size,):
        return
    box = units.box
    with np.errstate(over="ignore"):
        low, high = (np.asarray(end).astype(np.float32) for end in (space.low, space.high))
    if not (np.array_equal(low, box.lower) and np.array_equal(high, box.upper)):
        raise CertificateError(
            "The action space must have the bounds of the model's `action_box`, which is from "
            f"{box.lower} to {box.upper}, but it is {space}, from {space.low} to {space.high}. "
            "Give the model the environment's bounds, in the environment's units."
        )
