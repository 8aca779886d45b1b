"""Generator mask: the action box is mapped onto a box inside the safe action set."""

import jax
from jaxtyping import Bool, Float

from .._pytree import frozen_pytree
from ._base import Safeguard
from ._centers import inner_box
from ._rows import Rows


@frozen_pytree
class GeneratorMask(Safeguard):
    """a_s = c + G a, with the zonotope <c, G> inside the safe action set (Stolz et al. 2024,
    Excluding the Irrelevant, NeurIPS).

    Here G = diag(r): the zonotope is a large axis-aligned box, the one of largest volume up to a
    few percent of its sides, found by a barrier method that is deterministic and smooth in the
    rows. For d = 1 it is the whole interval.

    The map is a bijection from the action box onto the inner box, so it moves safe requests too,
    and it never executes the safe actions outside the inner box: the price for being affine in the
    request. The derivative w.r.t. the action is diag(r) everywhere; w.r.t. the state it is that of
    c + diag(r) a, through the optimality conditions of the box, smooth for d > 1. For d = 1 it is
    not differentiable where an end of the interval passes to another row; the mean of both counts
    there. Where no action has more slack than tau there is no inner box: the centre is returned,
    with derivative zero w.r.t. the action.

    Example:
        >>> safe_set = SafeActionSet.from_rows(jnp.array([[1.0], [-1.0]]), jnp.array([0.5, 0.0]))
        >>> GeneratorMask()(safe_set, jnp.array([-0.5])).action.round(3)
        Array([0.125], dtype=float32)
    """

    def project(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> Float[jax.Array, " d"]:
        center, half_widths = inner_box(rows)
        return center + half_widths * request
