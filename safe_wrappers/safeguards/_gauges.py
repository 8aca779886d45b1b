"""Gauges: lengths measured by the distance from a centre to the boundary."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from .._products import dot


def gauges(
    A: Float[jax.Array, "m d"],
    slack: Float[jax.Array, " m"],
    center: Float[jax.Array, " d"],
    direction: Float[jax.Array, " d"],
) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]:
    """How many times the distance from a centre to the boundary a direction is long: of the action
    box, and of the safe action set.

    Args:
        A: Rows of the safe action set without those of the box, shape (m, d).
        slack: Their slack at the centre, all of it positive, shape (m,).
        center: A point of the box, shape (d,), not on a face that the direction points to.
        direction: Shape (d,). Both gauges of the zero direction are 0.

    Returns:
        The gauge of the box, and that of the box and the rows, which is the larger one. Shapes ().
    """
    # The double wheres keep divisions by zero, and with them NaN derivatives, out of the branches
    # not taken.
    room = jnp.where(direction > 0, 1.0 - center, 1.0 + center)
    box = jnp.max(
        jnp.where(direction != 0, jnp.abs(direction) / jnp.where(direction != 0, room, 1.0), 0.0)
    )
    return box, jnp.maximum(box, jnp.max(gauges_of_rows(A, slack, direction), initial=0.0))


def gauges_of_rows(
    A: Float[jax.Array, "m d"], slack: Float[jax.Array, " m"], direction: Float[jax.Array, " d"]
) -> Float[jax.Array, " m"]:
    """How many times the distance to each row a direction is long, shape (m,); 0 if it leads
    away.
    """
    along = dot(A, direction)
    return jnp.where(along > 0, along / slack, 0.0)
