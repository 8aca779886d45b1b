"""A system, a safeguard, a state and any action give a safe action: the core of all wrappers."""

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import SetDimensionError
from ..safe_actions import SafeActionSet, System
from ._base import Safeguard, SafeguardOutput


def safe_action(
    system: System, safeguard: Safeguard, x: jax.Array, action: jax.Array
) -> SafeguardOutput:
    """Replaces an action by a safe one at the state x: deployment needs no environment.

    For every x in S and every action (NaN, infinite and oversized ones included) the result lies in
    the action box and keeps the next state in S for every disturbance in W, under the assumptions
    of the system's certificate. Computes in the dtype of x, float32 unless told otherwise; the
    action is cast to it before anything else.

    Args:
        system: The plant's model and safe set.
        safeguard: How unsafe actions are mapped to safe ones.
        x: State, shape (n,). If a component is not finite, `system.neutral_action` is executed and
            flagged.
        action: Any action, shape (d,), in units of the action box [-1, 1]^d.

    Returns:
        The safeguard's output; unbatched, so batch it with jax.vmap.

    Raises:
        SetDimensionError: At trace time, if the action's shape is not (d,).
    """
    if np.shape(action) != (system.action_size,):
        hint = (
            "batch with jax.vmap or brax.envs.training.wrap"
            if np.ndim(action) > 1
            else "give one value per actuator"
        )
        raise SetDimensionError(
            f"The action must have shape ({system.action_size},), but its "
            f"shape is {np.shape(action)}; {hint}."
        )
    x = jnp.asarray(x)
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    known = jnp.all(jnp.isfinite(x))
    action_set = system.safe_action_set(jnp.where(known, x, 0.0))
    # At an unknown state no action is known to be safe: unsatisfiable rows, and the neutral action
    # as the anchor.
    b = jnp.where(known, action_set.b, -jnp.inf)
    anchor = jnp.where(
        known, action_set.anchor, system.neutral_action.astype(action_set.anchor.dtype)
    )
    # With one action the closed form is cheaper to evaluate again in the backward pass than to
    # store for it.
    guard = jax.checkpoint(safeguard, prevent_cse=False) if system.action_size == 1 else safeguard
    return guard(SafeActionSet(action_set.A, b, anchor), jnp.asarray(action))
