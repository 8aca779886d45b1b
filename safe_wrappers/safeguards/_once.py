"""What few members of a batch need, computed only if one of them does."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Bool


def once(
    needed: Bool[jax.Array, ""], compute: Callable[..., Any], inputs: Any, otherwise: Any
) -> Any:
    """`compute(*inputs)` where it is needed, else `otherwise`; a constant for derivatives.

    Under vmap a condition computes both branches for every member of a batch. A loop of at most one
    trip ends before its first one if no member needs it.

    Args:
        needed: Shape ().
        compute: A function of the inputs, to the shapes and types of `otherwise`.
        inputs: A tuple of pytrees.
        otherwise: What there is without it.
    """
    inputs, otherwise = jax.lax.stop_gradient((inputs, otherwise))

    def trip(state: tuple[Any, Any]) -> tuple[Any, Any]:
        # The barrier ties the inputs to the loop: otherwise XLA moves what depends on them alone
        # out of it, where every call pays for it.
        tied, _ = jax.lax.optimization_barrier((inputs, state))
        return jnp.zeros_like(needed), compute(*tied)

    return jax.lax.while_loop(lambda state: state[0], trip, (needed, otherwise))[1]
