"""The derivative of a safe action through the rows that decide it, and through no other.

Of the facets of a safe set at most a few decide what a safeguard does to one request: those that
its result touches. The value needs all of them, its derivative only these. So the value is computed
as a constant, and its derivative comes from a second, short computation that starts at the state
again and knows which rows to take: nothing of the long one has to be kept for the backward pass.
A mistake there could change a derivative and never an action.
"""

from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int32

from .._derivative import with_derivative
from .._length import length
from .._own import replacement
from ..safe_actions import FacetedSystem, ModelSystem, SafeActionSet, System
from ..safe_actions._action_set import ends
from ._base import Later, Safeguard, SafeguardOutput, Support, anchor_of, sanitise
from ._confirmed import confirmed
from ._gradient_rules import Inward
from ._rows import Rows

# Of one action and as few rows as these, a derivative through all of them costs less than the
# search for two.
_FEW = 12


def safeguarded(
    system: System,
    safeguard: Safeguard,
    x: Float[jax.Array, " n"],
    action: Float[jax.Array, " d"],
    action_set_at: Callable[[Float[jax.Array, " n"]], SafeActionSet],
) -> SafeguardOutput:
    """`safeguard(action_set_at(x), action)`, by the same operations.

    Its derivative w.r.t. the state goes through the rows that decide the executed action, where the
    system can give single rows and the safeguard knows which they are. Where several decide alike
    and the derivative is not defined, it is that of one of them.

    Args:
        system: The plant's model and safe set.
        safeguard: Of one that has put its own verified call in the place of the library's, or whose
            gradient rule asks for all rows near by (`Inward`), the derivative goes through all.
        x: State, shape (n,), perhaps not finite.
        action: The request, shape (d,).
        action_set_at: The safe action set at a state, which may be not finite, too.
    """
    facets = system.facets if isinstance(system, FacetedSystem) else 0
    single = system.action_size == 1
    decisive = facets > _FEW if single else facets > 0 and safeguard.decisive
    ours = replacement(safeguard) is None
    if not (decisive and ours) or isinstance(safeguard.rule, Inward):
        # With one action the closed form is cheaper to evaluate again in the backward pass than to
        # store for it.
        whole = jax.checkpoint(safeguard, prevent_cse=False) if single else safeguard
        action_set = action_set_at(x)
        output = whole(action_set, action)
        # Another call than the library's answers for its own actions.
        return confirmed(system, x, output, anchor_of(action_set)) if ours else output

    at = jax.lax.stop_gradient(x)
    fixed = jax.lax.stop_gradient(action_set_at(at))
    later = None
    if not single:
        # Of other systems single rows decide derivatives alone, and no action.
        spare = 0
        if isinstance(system, ModelSystem):
            spare = 2 * system.action_size
            fixed = _with_spare_rows(system, at, fixed, spare)
        later = Later(action_set_at, at, spare)
    verdict = safeguard.verdict(fixed, jax.lax.stop_gradient(action), later=later)
    support = Support(ends(fixed.A, fixed.b), None) if single else verdict.support
    assert support is not None
    output, accepted, support = jax.lax.stop_gradient((verdict.output, verdict.accepted, support))
    instead = anchor_of(fixed) if single else lambda x: anchor_of(action_set_at(x))
    output = confirmed(system, at, output, instead)
    of_facets = cast(FacetedSystem, system)
    # Where the anchor itself matters it is what was requested or executed; several actions have it
    # computed for those alone that need it.
    anchor = anchor_of(fixed) if single else output.action

    def retraced(
        x: Float[jax.Array, " n"], action: Float[jax.Array, " d"]
    ) -> tuple[Float[jax.Array, " d"], Float[jax.Array, " d"], Float[jax.Array, ""]]:
        request = sanitise(action.astype(anchor.dtype), output.requested)
        known = jnp.where(jnp.all(jnp.isfinite(x)), x, 0.0)
        rows = _rows(of_facets, known, support.rows, facets, anchor)
        target, asked = safeguard.rule.before(rows, request.action)
        mapped = (
            safeguard.project(target, asked, accepted, anchor)
            if single
            else safeguard.retrace(target.A, target.b, asked, accepted, support)
        )
        safe = with_derivative(output.action, jnp.where(output.fallback, output.action, mapped))
        distance = length(safe - request.action)
        safe = safeguard.rule.after(safe, request.unclipped, rows, ~output.intervened)
        return safe, request.action, distance

    # It is short, so it is cheaper to do again than to store.
    safe, requested, distance = jax.checkpoint(retraced, prevent_cse=False)(x, action)
    return output._replace(action=safe, requested=requested, distance=distance)


def _with_spare_rows(
    system: ModelSystem, x: Float[jax.Array, " n"], action_set: SafeActionSet, spare: int
) -> SafeActionSet:
    """The same set with its last row repeated: what takes their place later costs one selection,
    while rows that are put below others are computed number by number.
    """
    m = system.facets
    known = jnp.all(jnp.isfinite(x))
    A, b = system.facet_rows(jnp.where(known, x, 0.0), np.minimum(np.arange(m + spare), m - 1))
    return SafeActionSet(A, jnp.where(known, b, -jnp.inf), action_set.anchor)


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
