"""Action replacement: the certified anchor instead of an unsafe action."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from .._pytree import frozen_pytree
from ._base import Safeguard
from ._rows import Rows


@frozen_pytree
class Replacement(Safeguard):
    """a_s = a if a is safe, else the certified anchor (Krasowski et al. 2023, Provably Safe
    Reinforcement Learning, TMLR).

    A safe request is returned bit for bit, any other is replaced by the safe action set's anchor:
    the classical baseline, made for learners that do not differentiate. The map jumps across the
    boundary of the safe action set, and the jump is no part of any derivative. With the exact
    gradient the derivative w.r.t. the action is the identity on safe requests and 0 on replaced
    ones; w.r.t. the state it is 0 everywhere, since the anchor is a constant to every safeguard's
    derivative.

    A replacement that passes the accept test is this map's regular answer: `intervened` is set and
    `fallback` is not. `fallback` is set only where the anchor is not safe either, or for a request
    that is not finite.

    Example:
        >>> safe_set = SafeActionSet.from_rows(jnp.array([[1.0], [-1.0]]), jnp.array([0.5, 0.0]))
        >>> Replacement()(safe_set, jnp.array([0.9])).action.round(3)
        Array([0.25], dtype=float32)
    """

    def project(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> Float[jax.Array, " d"]:
        return jnp.where(accepted, request, anchor)
