"""The derivative of a safe action through the rows that decide it, and through no other.

Of the facets of a safe set at most a few decide what a safeguard does to one request: those that
its result touches. The value needs all of them, its derivative only these. So the value is computed
as a constant, and its derivative comes from a second, short computation that starts at the state
again and knows which rows to take: nothing of the long one has to be kept for the backward pass.
A mistake there could change a derivative and never an action.
"""

import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int32

from .._derivative import with_derivative
from .._length import length
from ..safe_actions import FacetedSystem, SafeActionSet
from ..safe_actions._action_set import ends
from ._base import Safeguard, SafeguardOutput, Support, sanitise
from ._gradient_rules import Inward
from ._rows import Rows

CHECK = os.environ.get("CHECK") == "1"


def through_active_rows(
    system: FacetedSystem,
    safeguard: Safeguard,
    x: Float[jax.Array, " n"],
    action: Float[jax.Array, " d"],
    action_set_at: Callable[[Float[jax.Array, " n"]], SafeActionSet],
) -> SafeguardOutput:
    """`safeguard(action_set_at(x), action)`, with the derivative w.r.t. the state through the facets
    that decide the executed action.

    Where several decide it alike and the derivative is not defined, it is that of one of them.

    Args:
        system: Its rows are those of its facets.
        safeguard: One that does not know its rows, or whose gradient rule asks for all rows near by
            (`Inward`), is differentiated through all of them.
        x: State, shape (n,).
        action: The request, shape (d,).
        action_set_at: The safe action set at a state.
    """
    single = system.action_size == 1

    def decided(x: Float[jax.Array, " n"], action: Float[jax.Array, " d"]):
        action_set = action_set_at(x)
        verdict = safeguard.verdict(action_set, action)
        support = Support(ends(action_set.A, action_set.b), None) if single else verdict.support
        anchor = jnp.clip(jnp.nan_to_num(action_set.anchor), -1.0, 1.0)
        return verdict.output, verdict.accepted, support, anchor

    if isinstance(safeguard.rule, Inward) or jax.eval_shape(decided, x, action)[2] is None:
        return safeguard(action_set_at(x), action)
    output, accepted, support, anchor = jax.lax.stop_gradient(
        decided(*jax.lax.stop_gradient((x, action)))
    )
    facets = jax.eval_shape(action_set_at, x).b.shape[0]

    def retraced(
        x: Float[jax.Array, " n"], action: Float[jax.Array, " d"]
    ) -> tuple[Float[jax.Array, " d"], Float[jax.Array, " d"], Float[jax.Array, ""]]:
        request = sanitise(action.astype(anchor.dtype), anchor)
        known = jnp.where(jnp.all(jnp.isfinite(x)), x, 0.0)
        rows = _rows(system, known, support.rows, facets, anchor)
        target, asked = safeguard.rule.before(rows, request.action)
        if single:
            mapped = safeguard.project(target, asked, accepted, anchor)
        else:
            mapped = safeguard.retrace(target.A, target.b, asked, accepted, support)
        mapped = jnp.where(output.fallback, anchor, mapped)
        safe = with_derivative(output.action, mapped)
        distance = length(safe - request.action)
        safe = safeguard.rule.after(safe, request.unclipped, rows, ~output.intervened)
        return safe, request.action, distance

    if CHECK:
        retraced = jax.checkpoint(retraced, prevent_cse=False)
    safe, requested, distance = retraced(x, action)
    return output._replace(action=safe, requested=requested, distance=distance)


def _rows(
    system: FacetedSystem,
    x: Float[jax.Array, " n"],
    rows: Int32[jax.Array, " r"],
    facets: int,
    anchor: Float[jax.Array, " d"],
) -> Rows:
    """Unit rows of a support; with several actions those of facets are tightened by tau already."""
    A, b = system.facet_rows(x, jnp.minimum(rows, facets - 1))
    chosen = Rows.of(SafeActionSet(A, b, anchor))
    d = A.shape[1]
    if d == 1:
        return chosen
    of_box = rows >= facets
    side = jnp.clip(rows - facets, 0, 2 * d - 1)
    normals = jnp.asarray(np.concatenate([np.eye(d), -np.eye(d)]), A.dtype)[side]
    return Rows(
        jnp.where(of_box[:, None], normals, chosen.A),
        jnp.where(of_box, 1.0, chosen.b - chosen.tau),
        tau=chosen.tau,
    )
