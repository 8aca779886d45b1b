"""Gauge map: the action box is mapped onto the safe action set, its centre to a safe centre."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from .._gate import one_of
from .._pytree import frozen_pytree, static_field
from ._base import Safeguard
from ._centers import inner_box, safe_center
from ._gauges import gauges
from ._rows import Rows

FixedCenter = Literal["chebyshev", "analytic", "box"]


@frozen_pytree
class GaugeMap(Safeguard):
    """a_s = c + (|a|_inf / g(a)) a, with g the gauge of the safe action set about a safe centre c.

    The gauge map of Tabas and Zhang (2022, Computationally Efficient Safe Reinforcement Learning
    for Power Systems, American Control Conference): |a|_inf is the gauge of the action box about 0,
    g(a) the least t > 0 with c + a / t in the safe action set. Each surface of the box that is
    scaled about 0 goes to the surface of the safe action set that is scaled alike about c. Unlike
    the linear ray mask it measures the request from the middle of the box and not from c: 0 goes to
    c, and the direction of the request becomes the direction from c. For d = 1 it is c + r a, with
    c and r the middle and the half width of the interval.

    The map is a bijection from the box onto the safe action set, so it moves safe requests too. The
    derivative w.r.t. the action has full rank. The map is not differentiable where the ray changes
    facet, where the largest component of the request changes (the diagonals, the box's corners
    among them) and at 0. Where facets or components tie, the mean of the derivatives on the sides
    is given; at 0 the derivative is what central differences along the axes give: the diagonal
    matrix of half the chords of the safe action set through c along the axes. A centre whose slack
    is at most tau is returned itself, with derivative zero w.r.t. the action.

    Args:
        gradient: See `Safeguard`.
        center: "chebyshev" (for d = 1 the interval's midpoint), "analytic" or "box" (the centre of
            a large inscribed box).

    Raises:
        ValueError: If the centre or the gradient rule is unknown.

    Example:
        >>> safe_set = SafeActionSet.from_rows(jnp.array([[1.0], [-1.0]]), jnp.array([0.5, 0.0]))
        >>> GaugeMap()(safe_set, jnp.array([-0.5])).action.round(3)
        Array([0.125], dtype=float32)
    """

    center: FixedCenter = static_field(default="chebyshev")

    def __post_init__(self):
        super().__post_init__()
        why = (
            ' It depends on the request, for which there is `RayMask(center="orthogonal")`.'
            if isinstance(self.center, str) and self.center == "orthogonal"
            else ""
        )
        one_of("center", self.center, get_args(FixedCenter), why)

    def project(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> Float[jax.Array, " d"]:
        if request.shape == (1,):
            center, half_width = inner_box(rows)
            return center + half_width * request
        center = safe_center(self.center, rows, request, accepted)
        slack = rows.b - rows.tau - rows.along(center)
        roomy = jnp.all(slack > 0) & jnp.all(jnp.abs(center) < 1)
        slack, inner = jnp.where(roomy, slack, 1.0), jnp.where(roomy, center, 0.0)

        def reach(direction: Float[jax.Array, " d"]) -> Float[jax.Array, ""]:
            """The largest t with c + t direction in the set, shape ()."""
            return 1.0 / gauges(rows.A, slack, inner, direction)[1]

        # With u = a / |a|_inf the factor |a|_inf / g(a) is 1 / g(u), which neither underflows nor
        # overflows.
        size = jnp.max(jnp.abs(request))
        # of a smaller one the derivative of u would overflow
        moved = size > jnp.finfo(size.dtype).eps ** 2
        along = reach(jnp.where(moved, request / jnp.where(moved, size, 1.0), 1.0))
        axes = jnp.eye(request.shape[0], dtype=request.dtype)
        half_chords = (jax.vmap(reach)(axes) + jax.vmap(reach)(-axes)) / 2
        return center + jnp.where(roomy, jnp.where(moved, along, half_chords), 0.0) * request
