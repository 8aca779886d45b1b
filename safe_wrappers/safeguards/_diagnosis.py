"""What a safeguard does to the policy gradient: the Jacobian of the executed action, and what is
lost in it.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int32
from numpy.typing import ArrayLike

from .._gate import as_action, as_state
from ..safe_actions import System
from ._base import Safeguard
from ._safe_action import safe_unit_action

# Both actions are in units of the action box, so that a singular value of 1 means unchanged. About
# 80 roundings of float32.
RANK_THRESHOLD = 1e-5


class GradientDiagnosis(NamedTuple):
    """What happens to a loss's gradient g w.r.t. the executed action on its way to the request,
    which receives J' g.

    Attributes:
        jacobian: J, the derivative of the executed action w.r.t. the requested one, shape (d, d).
        singular_values: Singular values of J, in descending order, shape (d,).
        rank: The number of singular values above 1e-5 (`RANK_THRESHOLD`), an absolute bound: a
            direction whose gradient shrinks to less than that counts as lost. Shape (), int32.
        lost_gradient: The share of the squared length of g that is lost. For a given g 1 - |J' g|^2
            / |g|^2; otherwise the expected one over all directions alike, 1 - E|J' g|^2 / E|g|^2 =
            1 - |J|_F^2 / d, which for a projector is 1 - rank / d. At most 1, and negative where
            the safeguard amplifies. Shape ().
    """

    jacobian: Float[jax.Array, "d d"]
    singular_values: Float[jax.Array, " d"]
    rank: Int32[jax.Array, ""]
    lost_gradient: Float[jax.Array, ""]


def diagnose_gradient(
    system: System,
    safeguard: Safeguard,
    x: ArrayLike,
    action: ArrayLike,
    loss_gradient: ArrayLike | None = None,
) -> GradientDiagnosis:
    """The Jacobian of the executed action under the safeguard's own gradient rule, its rank, and
    the share of lost gradient.

    A request outside the box is clipped first, and a component that is clipped has no derivative
    under the exact rule. A request that is not finite has no derivative under any rule. The
    result is finite for all of them, and a constant for derivatives.

    The rule `Inward` is not linear in g and has no Jacobian: J, its singular values, its rank and
    the expected share are those of `Exact`, which loses at least as much. The share of a given
    `loss_gradient` goes through the rule itself.

    Args:
        system: The plant's model and safe set.
        safeguard: The safeguard whose gradient rule is examined.
        x: State, shape (n,).
        action: Any action, shape (d,), in [-1, 1]^d: derivatives are those of the safeguard,
            without the scale of natural units.
        loss_gradient: g, the gradient w.r.t. the executed action of a loss that is minimised, shape
            (d,). Default: the expectation over all directions. For a g that is zero or not finite
            the share is 0.

    Returns:
        Unbatched, so batch it with jax.vmap.

    Raises:
        SetDimensionError: At trace time, if x, the action or the loss's gradient is not made of
            real numbers, as many as there should be.

    Example:
        >>> system, x = envs.SafePendulum().system, jnp.array([0.0, 7.5])
        >>> diagnose_gradient(system, BoundaryProjection(), x, jnp.array([0.9])).rank
        Array(0, dtype=int32)
    """
    x, action = as_state("x", x, None), as_action(action, system.action_size)
    x, action = jax.lax.stop_gradient((x, action))

    def executed(guard: Safeguard, request: Float[jax.Array, " d"]) -> Float[jax.Array, " d"]:
        return safe_unit_action(system, guard, x, request).action

    linear = dataclasses.replace(safeguard, gradient=safeguard.rule.linearised)
    jacobian = jax.jacrev(lambda request: executed(linear, request))(action)
    singular_values = jnp.linalg.svd(jacobian, compute_uv=False)
    if loss_gradient is None:
        lost = 1 - jnp.mean(singular_values**2)
    else:
        g = as_action(loss_gradient, system.action_size)
        # Scaled by the largest component, so that no square overflows.
        size = jnp.max(jnp.abs(g))
        usable = (size > 0) & jnp.isfinite(size)
        unit = jnp.where(usable, g / jnp.where(usable, size, 1.0), 1.0).astype(jacobian.dtype)
        (received,) = jax.vjp(lambda request: executed(safeguard, request), action)[1](unit)
        lost = jnp.where(usable, 1 - jnp.sum(received**2) / jnp.sum(unit**2), 0.0)
    rank = jnp.sum(singular_values > RANK_THRESHOLD, dtype=jnp.int32)
    return jax.lax.stop_gradient(GradientDiagnosis(jacobian, singular_values, rank, lost))
