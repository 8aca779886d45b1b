"""Ray mask: the action box is scaled onto the safe action set along rays from a safe centre."""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from .._gate import one_of
from .._margins import first_largest
from .._products import dot
from .._pytree import frozen_pytree, static_field
from ._base import Safeguard, Support
from ._centers import Center, deciding, retraced_center, safe_center
from ._gauges import gauges, gauges_of_rows
from ._rows import Rows

Mapping = Literal["linear", "hyperbolic"]


class _Notes(NamedTuple):
    """What the map remembers of its search: what its centre does, whether the anchor lies in the
    tightened set, and whether the centre does. Shapes ().
    """

    center: Any
    room: Bool[jax.Array, ""]
    roomy: Bool[jax.Array, ""]


@frozen_pytree
class RayMask(Safeguard):
    """Moves each action along the ray from a safe centre c (Walter et al. 2025, arXiv 2506.01665,
    ray mask).

    With u the direction of a - c and lam_a, lam_s, lam_A the distances from c to the action, to the
    boundary of the safe action set and to the boundary of the box along u:

        linear:      a_s = c + u lam_s lam_a / lam_A
        hyperbolic:  a_s = c + u lam_s tanh(lam_a / lam_s) / tanh(lam_A / lam_s)

    evaluated in gauge form, which needs neither u nor a division by |a - c|: with g_S and g_A the
    gauges of a about c, lam_a / lam_s = g_S and lam_a / lam_A = g_A.

    The map is a bijection from the box onto the safe action set (for a centre that does not depend
    on the action), so it moves safe actions too; the hyperbolic one is nearly the identity close to
    the centre. The derivative w.r.t. the action has full rank. It is not differentiable where the
    ray changes facet and at a = c, where the identity is given. A centre whose slack is at most tau
    is returned itself: where no action has more, with derivative zero w.r.t. the action. An
    orthogonal centre may also be such a point of a set with room, at the sharp end of a wedge; its
    derivative is then that of the projection, zero at a vertex and along the edge otherwise.

    Args:
        gradient: See `Safeguard`.
        mapping: "hyperbolic" or "linear".
        center: "chebyshev" (for d = 1 the interval's midpoint, of a box its middle), "analytic",
            "box" (the centre of a large inscribed box, a deterministic zonotopic centre) or
            "orthogonal" (the midpoint of the chord through the boundary projection: safe actions
            are not changed; discontinuous across the boundary).

    Raises:
        ValueError: If the mapping, the centre or the gradient rule is unknown.
    """

    mapping: Mapping = static_field(default="hyperbolic")
    center: Center = static_field(default="chebyshev")

    def __post_init__(self):
        super().__post_init__()
        one_of("mapping", self.mapping, get_args(Mapping))
        one_of("center", self.center, get_args(Center))

    def project(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> Float[jax.Array, " d"]:
        A, b = rows.A, rows.b - rows.tau
        asked = _asked(jnp.all(rows.along(anchor) < b), request)
        center = safe_center(self.center, rows, asked, accepted)
        return self._masked(A, b - rows.along(center), center, request, accepted)

    @property
    def decisive(self) -> bool:
        # A subclass may have another map.
        own = type(self).project is RayMask.project
        return own and self.center in ("chebyshev", "orthogonal")

    def search(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> tuple[Float[jax.Array, " d"], Support]:
        A, b = rows.A, rows.b - rows.tau
        found = deciding(self.center, rows, request, accepted)
        slack = b - dot(A, found.center)
        values = gauges_of_rows(A, slack, request - found.center)
        row = first_largest(values, 8 * float(jnp.finfo(b.dtype).eps) * jnp.max(values))
        row = jnp.minimum(row, len(b) - rows.spare - 1)  # and not the repetition of a row
        notes = _Notes(found.notes, jnp.all(dot(A, anchor) < b), jnp.all(slack > 0))
        masked = self._masked(A, slack, found.center, request, accepted)
        return masked, Support(jnp.append(found.rows, row), notes)

    def retrace(
        self,
        A: Float[jax.Array, "r d"],
        b: Float[jax.Array, " r"],
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        support: Support,
    ) -> Float[jax.Array, " d"]:
        notes = support.notes
        asked = _asked(notes.room, request)
        center = retraced_center(self.center, A[:-1], b[:-1], asked, accepted, notes.center)
        slack = jnp.where(notes.roomy, b[-1:] - dot(A[-1:], center), 0.0)
        return self._masked(A[-1:], slack, center, request, accepted)

    def _masked(
        self,
        A: Float[jax.Array, "m d"],
        slack: Float[jax.Array, " m"],
        center: Float[jax.Array, " d"],
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
    ) -> Float[jax.Array, " d"]:
        """The map about a centre with this slack, shape (d,)."""
        roomy = jnp.all(slack > 0)
        offset = request - center
        box, gauge = gauges(A, jnp.where(roomy, slack, 1.0), center, offset)
        # Of an offset below eps^2 the derivatives of the gauges' quotient would overflow.
        moved = jnp.any(jnp.abs(offset) > jnp.finfo(offset.dtype).eps ** 2) & roomy
        box, gauge = jnp.where(moved, box, 1.0), jnp.where(moved, gauge, 1.0)
        scale = (
            box / gauge
            if self.mapping == "linear"
            else jnp.tanh(gauge) / (gauge * jnp.tanh(gauge / box))
        )
        masked = center + jnp.where(moved, scale, 1.0) * offset
        masked = jnp.where(roomy, masked, center)
        return jnp.where(accepted, request, masked) if self.center == "orthogonal" else masked


def _asked(room: Bool[jax.Array, ""], request: Float[jax.Array, " d"]) -> Float[jax.Array, " d"]:
    """The request as a centre sees it: where there is no room it is a constant."""
    return jnp.where(room, request, jax.lax.stop_gradient(request))
