"""The last word on an executed action: the model's own step, beside the rows of the accept test."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from .._length import length
from ..safe_actions import SteppingSystem, System
from ._base import SafeguardOutput
from ._once import once


def confirmed(
    system: System,
    x: Float[jax.Array, " n"],
    output: SafeguardOutput,
    anchor: Float[jax.Array, " d"] | Callable[[Float[jax.Array, " n"]], Float[jax.Array, " d"]],
) -> SafeguardOutput:
    """The output if the model's step with its action ends in the safe set for every disturbance,
    else the anchor, with `fallback` and without `feasible`: then rows and step contradict each
    other, and what rows say of any action is not known to be true.

    Of a system that has no step the output is what it was.

    Args:
        system: The plant's model and safe set.
        x: State, shape (n,), perhaps not finite.
        output: What a safeguard made of a request.
        anchor: The anchor, shape (d,), in the box; or a function of the state that gives it, to be
            computed for those alone that need it.
    """
    if not isinstance(system, SteppingSystem):
        return output
    action = jax.lax.stop_gradient(output.action)
    good = system.stays(jax.lax.stop_gradient(x), action)
    refused = ~good & ~output.fallback
    instead = once(refused, anchor, (x,), action) if callable(anchor) else anchor
    moved = output.clipped | jnp.any(instead != output.requested)
    return output._replace(
        action=jnp.where(refused, instead, output.action),
        intervened=output.intervened | refused,
        changed=jnp.where(refused, moved, output.changed),
        distance=jnp.where(refused, length(instead - output.requested), output.distance),
        feasible=output.feasible & good,
        fallback=output.fallback | refused,
    )
