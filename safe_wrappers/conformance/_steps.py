"""Steps of a simulator, and the safe actions that it is driven with."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..safe_actions import System


class Steps(NamedTuple):
    """Recorded steps, NumPy or JAX arrays over N of them.

    Attributes:
        x: States before, shape (N, n).
        action: Executed actions, shape (N, d).
        next_x: States after, shape (N, n).
        drawn: Disturbances that the simulator reports to have drawn, shape (N, k), or None.
    """

    x: Any
    action: Any
    next_x: Any
    drawn: Any


def executed(system: System, x: jax.Array, request: jax.Array) -> jax.Array:
    """A request pulled back towards the anchor until it is safe, shape (d,): only safe actions are
    ever executed, so only they are compared.
    """
    safe = system.safe_action_set(x)
    way = request - safe.anchor
    slack, slope = safe.b - safe.A @ safe.anchor, safe.A @ way
    reach = jnp.where(slope > 0, jnp.maximum(slack, 0.0) / jnp.where(slope > 0, slope, 1.0), 1.0)
    return safe.anchor + jnp.min(reach, initial=1.0) * way
