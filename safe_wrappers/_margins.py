"""The margin for rounding that safeguards, solvers and certificates share."""

from typing import Any

import jax.numpy as jnp


def tau(action_size: int, dtype: Any) -> float:
    """How far inside the unit rows of a safe action set a safeguard aims: (4 d + 12) machine eps.

    It covers the rounding of a row of d products and of the map onto it, with a factor to spare, as
    a distance in the action space. A map aims at rows tightened by tau, the accept test asks for
    tau / 4, and certificates leave room for 2 tau.

    Args:
        action_size: Number of actions d.
        dtype: Floating-point type of the rows.
    """
    return (4 * action_size + 12) * float(jnp.finfo(dtype).eps)
