"""Derivative rules of the safe action other than its true one. None of them changes a value."""

from typing import Literal

import jax
import jax.numpy as jnp

from ..solvers import project

Gradient = Literal["exact", "passthrough", "straight_through", "blend", "inward"]


@jax.custom_jvp
def with_identity(safe: jax.Array, action: jax.Array, weight: jax.Array | float = 1.0) -> jax.Array:
    """Returns `safe` bit for bit; its derivative gains `weight` times the identity w.r.t.

    `action`.
    """
    del action, weight
    return safe


@with_identity.defjvp
def _with_identity_jvp(primals, tangents):
    safe_dot, action_dot, _ = tangents
    return with_identity(*primals), safe_dot + primals[2] * action_dot


@jax.custom_jvp
def damped(action: jax.Array, weight: jax.Array | float) -> jax.Array:
    """Returns `action` bit for bit; its derivative is multiplied by 1 - `weight`."""
    del weight
    return action


@damped.defjvp
def _damped_jvp(primals, tangents):
    return damped(*primals), (1 - primals[1]) * tangents[0]


@jax.custom_vjp
def with_inward(
    safe: jax.Array,
    action: jax.Array,
    A: jax.Array,
    b: jax.Array,
    slack: jax.Array,
    kept: jax.Array,
) -> jax.Array:
    """Returns `safe` bit for bit; in reverse mode the cotangent g of `safe` reaches `action` as the
    projected gradient.

    The descent step -g is projected onto the tangent cone of {A a <= b} at `safe`: its tangential
    part stays, as with the exact derivative of the boundary projection, and of the part along the
    outward normals what points back into the set. Since this is not linear in g, there is no
    forward mode.

    Args:
        safe: The safe action, shape (d,).
        action: What receives the gradient, shape (d,).
        A: Unit rows, the box's included, shape (m, d).
        b: Offsets, shape (m,).
        slack: Rows with no more slack than this at `safe` are active. Shape ().
        kept: Whether the gradient passes unchanged, for a request that was not moved. Shape ().
    """
    del action, A, b, slack, kept
    return safe


def _with_inward_fwd(safe, action, A, b, slack, kept):
    del action
    return safe, (A, jnp.sum(A * safe, axis=-1) >= b - slack, kept)


def _with_inward_bwd(residuals: tuple[jax.Array, ...], g: jax.Array):
    A, active, kept = residuals
    descent = -g
    if g.shape == (1,):
        slope = A[:, 0]
        blocked = jnp.any(active & (slope * descent[0] > 0))
        allowed = jnp.where(blocked, 0.0, descent)
    else:
        # The cone is homogeneous, the solver's tolerances are not: the step gets length 1 first.
        # The double where as ever.
        length = jnp.max(jnp.abs(descent))
        usable = (length > 0) & jnp.isfinite(length)
        unit = jnp.where(usable, descent / jnp.where(usable, length, 1.0), 0.0)
        cone = jnp.where(active[:, None], A, 0.0)
        allowed = project(cone, jnp.where(active, 0.0, 1.0).astype(A.dtype), unit) * length
    return g, jnp.where(kept, g, -allowed), None, None, None, None


with_inward.defvjp(_with_inward_fwd, _with_inward_bwd)
