"""Room for rounding that safeguards, solvers and certificates share."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


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


def first_largest(values: jax.Array, room: jax.Array | float) -> jax.Array:
    """The index of the first entry along the first axis that is within `room` of the largest one.

    Compilers for accelerators may compute an entry twice, rounded differently: once for the maximum
    and once to be compared with it. So no entry need equal the maximum, and the comparison has to
    leave room for rounding. It is cheaper than argmax on a CPU, and NaN gives the last index.

    Args:
        values: Shape (m, ...), m >= 1.
        room: At least what the rounding of an entry may be; finite.

    Returns:
        Shape (...), int32.
    """
    m = len(values)
    ranks = np.arange(m, dtype=np.int32).reshape((m,) + (1,) * (values.ndim - 1))
    large = values >= jnp.max(values, axis=0, keepdims=True) - room
    return jnp.min(jnp.where(large, ranks, m - 1), axis=0)
