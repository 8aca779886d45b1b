"""A system, a safeguard, a state and any action give a safe action: the core of all wrappers."""

from typing import Any

import jax
import jax.numpy as jnp

from .._gate import as_action, as_state
from ..safe_actions import SafeActionSet, System, SystemOfModel
from ._base import Safeguard, SafeguardOutput


def safe_action(system: System, safeguard: Safeguard, x: Any, action: Any) -> SafeguardOutput:
    """Replaces an action by a safe one at the state x: deployment needs no environment.

    For every x in S and every action (NaN, infinite and oversized ones included) the result lies in
    the action box and keeps the next state in S for every disturbance in W, under the assumptions
    of the system's certificate. Whether x is in S is the output's `inside`.

    Rounding allowances speak about float32: a state of less precision is promoted to it before
    anything is computed, float64 stays (with `jax_enable_x64`), and all matrix products run at
    JAX's highest precision. The action is cast to the state's dtype before anything else.

    Args:
        system: The plant's model and safe set.
        safeguard: How unsafe actions are mapped to safe ones.
        x: State, shape (n,). If a component is not finite, `system.neutral_action` is executed and
            flagged.
        action: Any action, shape (d,), in units of the action box [-1, 1]^d.

    Returns:
        The safeguard's output; unbatched, so batch it with jax.vmap.

    Raises:
        SetDimensionError: At trace time, if x or the action has another shape, or is not made of
            real numbers (complex numbers, text, dates, objects, masked arrays).
    """
    request = as_action(action, system.action_size)
    size = system.model.state_size if isinstance(system, SystemOfModel) else None
    state = as_state("x", x, size)
    with jax.default_matmul_precision("highest"):
        # 1. The state, as far as it is known.
        known = jnp.all(jnp.isfinite(state))
        # 2. Its safe action set. At an unknown state no action is known to be safe: unsatisfiable
        # rows, and the neutral action as the anchor.
        action_set = system.safe_action_set(jnp.where(known, state, 0.0))
        b = jnp.where(known, action_set.b, -jnp.inf)
        neutral = system.neutral_action.astype(action_set.anchor.dtype)
        anchor = jnp.where(known, action_set.anchor, neutral)
        # With one action the closed form is cheaper to evaluate again in the backward pass than to
        # store for it.
        guard = (
            jax.checkpoint(safeguard, prevent_cse=False) if system.action_size == 1 else safeguard
        )
        output = guard(SafeActionSet(action_set.A, b, anchor), request)
        return output._replace(inside=known & (system.margin(state) >= 0))
