"""Boundary projection: the nearest safe action."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from .._pytree import frozen_pytree
from ..solvers import onto_flat, projection
from ._base import Safeguard, Support
from ._centers import nearest_of
from ._gradient_rules import GradientRule, Inward
from ._rows import Rows


@frozen_pytree
class BoundaryProjection(Safeguard):
    """a_s = argmin over the safe action set of |a_s - a|^2 (Walter et al. 2025, arXiv 2506.01665,
    boundary projection).

    A safe request is returned bit for bit. With the exact gradient the derivative w.r.t. the action
    is the orthogonal projector onto the null space of the active rows (Theorem 1 of the paper in
    half-space form), so the component along the outward normal is lost; `regularisation` in the
    loss or the reward brings it back. One action is projected in closed form, and so is a box of
    several; other sets of several by a dual active set method.

    `gradient=Inward()` brings back what matters of it without a coefficient: for a request that is
    moved, the descent step of the loss with respect to the executed action is projected onto the
    tangent cone of the safe action set there (the projected gradient), so that its outward part is
    lost only where a step along it would leave the set. It is not linear in the loss's gradient:
    reverse mode only, and only for a loss that is minimised. The derivative w.r.t. the state stays
    the true one.

    Example:
        >>> safe_set = SafeActionSet.from_rows(jnp.array([[1.0]]), jnp.array([0.5]))
        >>> BoundaryProjection()(safe_set, jnp.array([0.9])).action.round(3)
        Array([0.5], dtype=float32)
    """

    gradients: ClassVar[tuple[type[GradientRule], ...]] = (*Safeguard.gradients, Inward)

    def project(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> Float[jax.Array, " d"]:
        return jnp.where(accepted, request, nearest_of(rows, request))

    @property
    def decisive(self) -> bool:
        # A subclass may have another map.
        return type(self).project is BoundaryProjection.project

    def search(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> tuple[Float[jax.Array, " d"], Support]:
        found = projection(*rows.tightened_with_box(), request)
        return jnp.where(accepted, request, found.point), Support(found.rows, found.active)

    def retrace(
        self,
        A: Float[jax.Array, "r d"],
        b: Float[jax.Array, " r"],
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        support: Support,
    ) -> Float[jax.Array, " d"]:
        active = support.notes
        nearest = onto_flat(jnp.where(active[:, None], A, 0.0), jnp.where(active, b, 0.0), request)
        return jnp.where(accepted, request, nearest)
