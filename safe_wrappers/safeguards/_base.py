"""The verified call: what every safeguard does around its map, and the only accept test
anywhere.
"""

import abc
import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._errors import SetDimensionError
from .._length import length
from .._pytree import frozen_pytree, static_field
from ..safe_actions import SafeActionSet
from ._gradients import Gradient, damped, with_identity, with_inward


class SafeguardOutput(NamedTuple):
    """What a safeguard did to one action.

    Attributes:
        action: The safe action, shape (d,): the only one that may be executed.
        requested: The request after sanitising, shape (d,): clipped to the box, or the anchor if it
            was not finite.
        intervened: Whether the request as it came was outside the safe action set. Shape (), bool.
        changed: Whether action differs from the request as it came; a ray mask changes safe actions
            too.
        distance: |action - requested|, Euclidean, in units of the action box. Shape (). Its
            derivative is not that of `action`: a rule that adds the identity there leaves the safe
            action fixed here, so that a penalty pulls the request towards it.
        feasible: Whether the anchor passed the accept test. True for every state of a certified
            set.
        fallback: Whether the anchor was executed because neither the map's result nor its pull-back
            was acceptable, or the request was not finite.
    """

    action: jax.Array
    requested: jax.Array
    intervened: jax.Array
    changed: jax.Array
    distance: jax.Array
    feasible: jax.Array
    fallback: jax.Array


@frozen_pytree
class Rows:
    """Unit rows A a <= b of a safe action set, shapes (m, d) and (m,), and the tightening tau of
    the map's target.
    """

    A: jax.Array
    b: jax.Array
    tau: float = static_field()

    def tightened_with_box(self) -> tuple[jax.Array, jax.Array]:
        """The rows tightened by tau and, below them, the rows of the box, which are never
        tightened. Shapes (m + 2 d, d), (m + 2 d,).
        """
        eye, ones = np.eye(self.A.shape[1]), np.ones(2 * self.A.shape[1])
        box = np.concatenate([eye, -eye]).astype(self.A.dtype)
        return jnp.concatenate([self.A, box]), jnp.concatenate(
            [self.b - self.tau, ones.astype(self.b.dtype)]
        )

    def accept(self, action: jax.Array) -> jax.Array:
        """The accept test: all rows hold with tau / 4 to spare and the box holds exactly.

        False for NaN. Shape ().
        """
        rows = jnp.all(jnp.sum(self.A * action, axis=-1) <= self.b - self.tau / 4)
        return rows & jnp.all(jnp.abs(action) <= 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Safeguard(abc.ABC):
    """A map from any action to a safe one, verified in floating point.

    Subclasses give `project`; the call around it guarantees, for every request (NaN, infinite and
    oversized ones included), that the executed action passed the accept test on the tightened rows,
    or is the anchor.

    Args:
        gradient: What the derivative of the safe action is. "exact": the true derivative w.r.t.
            action and state.
            "passthrough": the identity w.r.t. the action, the true one w.r.t. the state.
            "straight_through": the identity w.r.t. the action, zero w.r.t. the state (the
            passthrough of Walter et al. 2025). "blend": with J the true derivative w.r.t. the
            action, alpha I + (1 - alpha) J; the true one w.r.t. the state. "inward": for
            `BoundaryProjection` alone, see there.
        blend: alpha in [0, 1] of gradient="blend"; without effect otherwise.

    Raises:
        ValueError: If the gradient is unknown or not for this safeguard, or the blend outside [0,
            1].
    """

    gradients: ClassVar[tuple[Gradient, ...]] = (
        "exact",
        "passthrough",
        "straight_through",
        "blend",
    )

    gradient: Gradient = static_field(default="exact")
    blend: jax.Array | float = 0.5

    def __post_init__(self):
        if self.gradient not in self.gradients:
            raise ValueError(
                f"`gradient` of {type(self).__name__} must be one of "
                f"{', '.join(self.gradients)}, but it is {self.gradient!r}."
            )
        if not isinstance(self.blend, Tracer) and not 0 <= self.blend <= 1:
            raise ValueError(f"`blend` must lie in [0, 1], but it is {self.blend}.")

    @abc.abstractmethod
    def project(
        self, rows: Rows, request: jax.Array, accepted: jax.Array, anchor: jax.Array
    ) -> jax.Array:
        """The safeguard's map, shape (d,), aimed at the rows tightened by tau.

        Args:
            rows: Unit rows of the safe action set.
            request: The sanitised request, shape (d,), in the box.
            accepted: Whether the request passes the accept test. Shape ().
            anchor: The certified safe action, shape (d,).
        """

    def __call__(self, action_set: SafeActionSet, action: jax.Array) -> SafeguardOutput:
        """Replaces `action` by a safe one. Pure and unbatched: batch it with jax.vmap.

        Args:
            action_set: The safe action set of the current state, d actions.
            action: Any action, shape (d,).

        Raises:
            SetDimensionError: At trace time, if the action's shape is not (d,).
        """
        d = action_set.A.shape[-1]
        if np.shape(action) != (d,):
            raise SetDimensionError(
                f"The action must have shape ({d},), but its shape is "
                f"{np.shape(action)}; batch with jax.vmap."
            )
        A, b = action_set.unit_rows()
        action = jnp.asarray(action, b.dtype)
        rows = Rows(A, b, tau=(4 * d + 12) * float(jnp.finfo(b.dtype).eps))
        # The executed action never leaves the box, whatever a system gives as its anchor.
        anchor = jnp.clip(jnp.nan_to_num(jax.lax.stop_gradient(action_set.anchor)), -1.0, 1.0)

        finite = jnp.all(jnp.isfinite(action))
        # NaN must not reach an untaken branch: its derivative would be NaN too
        tame = jnp.where(finite, action, anchor)
        # A request inside the box is selected, not computed: arithmetic flushes denormal numbers,
        # and a safe request stays bit for bit.
        request = jnp.where(jnp.abs(tame) <= 1.0, tame, jnp.clip(tame, -1.0, 1.0))
        accepted = rows.accept(request)

        mapped = request
        if self.gradient == "blend":
            mapped = damped(request, self.blend)
        elif self.gradient != "exact":
            mapped = jax.lax.stop_gradient(request)
        target = (
            jax.tree.map(jax.lax.stop_gradient, rows)
            if self.gradient == "straight_through"
            else rows
        )
        safe, fallback = self._verified(target, mapped, accepted, anchor)
        # Before the request's own derivative is added below: the distance would not change with a
        # request that takes its safe action along.
        distance = length(safe - request)
        as_it_came = finite & jnp.all(tame == request)
        if self.gradient == "inward":
            # Rows count as active from a slack that the accept test allows beyond the map's target.
            slack = jnp.asarray(rows.tau, b.dtype)
            safe = with_inward(
                safe,
                tame,
                *jax.lax.stop_gradient(rows.tightened_with_box()),
                slack,
                accepted & as_it_came,
            )
        elif self.gradient != "exact":
            safe = with_identity(safe, tame, self.blend if self.gradient == "blend" else 1.0)
        return SafeguardOutput(
            action=safe,
            requested=request,
            intervened=~(accepted & as_it_came),
            changed=~(as_it_came & jnp.all(safe == request)),
            distance=distance,
            feasible=rows.accept(anchor),
            fallback=fallback | ~finite,
        )

    def _verified(
        self, rows: Rows, request: jax.Array, accepted: jax.Array, anchor: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The map's result if it passes the accept test, else its pull-back towards the anchor,
        else the anchor.
        """
        mapped = self.project(rows, request, accepted, anchor)
        good = rows.accept(mapped)
        # The repair is rounding-size and treated as a constant (straight-through); it must be
        # finite even if mapped is not.
        start = jax.lax.stop_gradient(
            jnp.clip(jnp.where(jnp.isfinite(mapped), mapped, anchor), -1.0, 1.0)
        )
        pulled = _pull_back(jax.tree.map(jax.lax.stop_gradient, rows), start, anchor)
        finite = jnp.all(jnp.isfinite(mapped))
        repaired = finite & rows.accept(pulled)
        traced = jnp.where(finite, mapped, anchor)
        # Adds exactly 0. The sum mapped + (pulled - mapped) would round away what the accept test
        # has just verified.
        pulled = jax.lax.stop_gradient(pulled) + (traced - jax.lax.stop_gradient(traced))
        return jnp.where(good, mapped, jnp.where(repaired, pulled, anchor)), ~(good | repaired)


def _pull_back(rows: Rows, start: jax.Array, anchor: jax.Array) -> jax.Array:
    """The point of [anchor, start] nearest to start that satisfies the rows tightened by tau / 2,
    by the ratio test.
    """
    move = jnp.sum(rows.A * (start - anchor), axis=-1)
    slack = rows.b - rows.tau / 2 - jnp.sum(rows.A * anchor, axis=-1)
    blocking = move > slack
    ratio = jnp.where(blocking, slack / jnp.where(blocking, move, 1.0), 1.0)
    return anchor + jnp.clip(jnp.min(ratio, initial=1.0), 0.0, 1.0) * (start - anchor)
