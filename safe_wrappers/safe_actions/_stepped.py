"""A second route to what the rows of a safe action set say: through the model's own step.

Rows take the step apart, at the action 0, and never take it; this test takes it, with the action
that is to be executed. Both share the model, the state and the constants of the claim, and no
number that is computed from them, so one that is wrong on the way to the rows, whoever got it
wrong, does not satisfy both. (The step of an `EnclosedModel` is itself its affine form; then only
the products with the facets are computed a second time.)

What it allows: rows leave eps of the room of a facet unused, which covers the rounding of the rows,
of the accept test and of the step that follows. Here the step is rounded in the same way, and its
product with the facets is as long as one that the rows count. So an action that rows of the right
numbers accept lies in the whole room but for that product, and with eps to spare it is never
refused.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from .._products import dot
from ..certificates import Block
from ..models import Model
from ..sets import Box


class StepTest:
    """Whether a step ends in S = {center + y : H y <= room} whatever the disturbance, as the
    model's step computes it.

    Args:
        model: f, n states, d actions, k disturbances; affine in the disturbance.
        disturbance_set: W, shape (k,).
        center: Shape (n,).
        facets: H, shape (m, n).
        room: Shape (m,).
        eps: What rows leave unused of the room for rounding, shape (m,) or (). Without any, rows
            and step cannot be told apart up to rounding, and nothing is tested.
        blocks: If S is a product, the groups of states whose facets are zero in all others.
        both_sides: Whether S is {center + y : |H y| <= room}.
    """

    def __init__(
        self,
        model: Model,
        disturbance_set: Box,
        center: Float[np.ndarray, " n"],
        facets: Float[np.ndarray, "m n"],
        room: Float[np.ndarray, " m"],
        eps: Float[np.ndarray, " m"] | float,
        blocks: Sequence[Block] = (),
        both_sides: bool = False,
    ):
        self._both_sides = both_sides
        self._model, self._center = model, center
        self._middle, self._radius = disturbance_set.center, disturbance_set.radius
        self._parts = [(list(range(len(center))), facets, room)]
        if not np.all(np.asarray(eps) > 0):
            self._parts = []
        elif blocks:
            own = [(list(block.states), block.facets(facets)) for block in blocks]
            self._parts = [(states, facets[rows][:, states], room[rows]) for states, rows in own]

    def __call__(
        self, x: Float[jax.Array, " n"], action: Float[jax.Array, " d"]
    ) -> Bool[jax.Array, ""]:
        """Whether f(x, a, w) lies in S for all w in W, shape (); not if a number is not finite.

        Args:
            x: State, shape (n,).
            action: In [-1, 1]^d, shape (d,).
        """
        x, action = jax.lax.stop_gradient((x, action))
        middle, radius = (jnp.asarray(part, x.dtype) for part in (self._middle, self._radius))
        next_x, push = jax.linearize(lambda w: self._model.unit_step(x, action, w), middle)
        y = next_x - jnp.asarray(self._center, x.dtype)
        pushes = [push(radius * one) for one in np.eye(len(radius), dtype=x.dtype)]
        inside = jnp.ones((), bool)
        for states, facets, room in self._parts:
            H = jnp.asarray(facets, x.dtype)
            reach = dot(H, _of(y, states))
            if self._both_sides:
                reach = jnp.abs(reach)
            for moved in pushes:
                reach = reach + jnp.abs(dot(H, _of(moved, states)))
            inside &= jnp.all(reach <= jnp.asarray(room, x.dtype))
        return inside


def _of(vector: Float[jax.Array, " n"], states: Sequence[int]) -> Float[jax.Array, " k"]:
    """The components of these states, shape (k,)."""
    return jnp.stack([vector[i] for i in states])
