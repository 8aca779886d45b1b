"""The verified call: what every safeguard does around its map."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int32
from numpy.typing import ArrayLike

from .._derivative import with_derivative
from .._gate import as_action
from .._length import length
from .._own import own
from ..safe_actions import SafeActionSet
from ._gradient_rules import (
    Blend,
    Exact,
    Gradient,
    GradientRule,
    Passthrough,
    StraightThrough,
    as_rule,
)
from ._once import once
from ._rows import Rows


class SafeguardOutput(NamedTuple):
    """What a safeguard did to one action.

    Actions are in [-1, 1]^d, as safeguards, safe action sets and agents of Brax speak; in the
    output of `safe_action` they are in the natural units of the system's action box.

    Attributes:
        action: The safe action, shape (d,): the only one that may be executed.
        requested: The request after sanitising, shape (d,): clipped to the box, or the anchor if it
            was not finite.
        intervened: Whether the request as it came was outside the safe action set. Shape (), bool.
        changed: Whether action differs from the request as it came; a ray mask changes safe actions
            too.
        distance: |action - requested|, Euclidean, in [-1, 1]^d whatever the natural units: 2 is
            the whole range of one action. Shape (). Its
            derivative is not that of `action`: a rule that adds the identity there leaves the safe
            action fixed here, so that a penalty pulls the request towards it.
        feasible: Whether the anchor passed the accept test, and the model's own step does not
            contradict the rows (`safe_action` tests this, see `ModelSystem.stays`). True for every
            state of a certified set.
        fallback: Whether the anchor was executed because neither the map's result nor its pull-back
            was acceptable, or the model's step contradicts the rows, or the request was not finite.
        clipped: Whether the request was finite, but outside the action box: it was clipped to the
            box first, and perhaps given in other units by mistake. Shape (), bool.
        inside: Whether the state lies in the safe set; outside nothing is guaranteed, whatever the
            other flags say. `safe_action` knows the state and sets it; a safeguard that is called
            with a safe action set itself takes the state to be inside. Shape (), bool.
    """

    action: Float[jax.Array, " d"]
    requested: Float[jax.Array, " d"]
    intervened: Bool[jax.Array, ""]
    changed: Bool[jax.Array, ""]
    distance: Float[jax.Array, ""]
    feasible: Bool[jax.Array, ""]
    fallback: Bool[jax.Array, ""]
    clipped: Bool[jax.Array, ""]
    inside: Bool[jax.Array, ""]


class Support(NamedTuple):
    """The rows that decide what a map gives at a request: near it, the map of these alone has the
    same values and derivatives.

    Attributes:
        rows: Their indices among the rows and below them those of the box, shape (r,).
        notes: What else the map remembers of its search, for its own `retrace`.
    """

    rows: Int32[jax.Array, " r"]
    notes: Any


class Later(NamedTuple):
    """The safe action set of a state, to be computed once more for the few requests that need its
    anchor: so that it is not computed for all of them.

    Attributes:
        at: The safe action set at a state.
        x: The state, a constant for derivatives, shape (n,).
        spare: How many rows of the set that is given with it repeat others, see `Rows`.
    """

    at: Callable[[Float[jax.Array, " n"]], SafeActionSet]
    x: Float[jax.Array, " n"]
    spare: int


class Verdict(NamedTuple):
    """What the verified call did.

    Attributes:
        rows: Unit rows of the safe action set.
        request: The request after sanitising.
        accepted: Whether it passed the accept test. Shape ().
        output: The output, before the derivative is added that does not pass through the map.
        support: The rows that decided, if the map knows them.
    """

    rows: Rows
    request: "Request"
    accepted: Bool[jax.Array, ""]
    output: "SafeguardOutput"
    support: Support | None


class Request(NamedTuple):
    """A request after sanitising.

    Attributes:
        action: In the box, shape (d,): what the map gets.
        unclipped: The request as it came, or the anchor if it was not finite, shape (d,).
        finite: Whether all components were finite. Shape ().
        as_it_came: Whether nothing had to be changed. Shape ().
    """

    action: Float[jax.Array, " d"]
    unclipped: Float[jax.Array, " d"]
    finite: Bool[jax.Array, ""]
    as_it_came: Bool[jax.Array, ""]


@dataclasses.dataclass(frozen=True, eq=False)
class Safeguard(abc.ABC):
    """A map from any action to a safe one, verified in floating point.

    Subclasses give `project`; the call around it guarantees, for every request (NaN, infinite and
    oversized ones included), that the executed action passed the accept test on the tightened rows,
    or is the anchor.

    Args:
        gradient: What the derivative of the executed action is: a gradient rule, or its name.
            `Exact()` or "exact": the true derivative w.r.t. action and state. `Passthrough()`: the
            identity w.r.t. the action, the true one w.r.t. the state. `StraightThrough()`: the
            identity w.r.t. the action, zero w.r.t. the state (the passthrough of Walter et al.
            2025). `Blend(alpha)`, with alpha = 0.5 by its name: with J the true derivative w.r.t.
            the action, alpha I + (1 - alpha) J; the true one w.r.t. the state. `Inward()`: for
            `BoundaryProjection` alone, see there. After construction it is the rule, an object.

    Raises:
        ValueError: If the gradient is no rule of this safeguard.
    """

    gradients: ClassVar[tuple[type[GradientRule], ...]] = (
        Exact,
        Passthrough,
        StraightThrough,
        Blend,
    )

    gradient: GradientRule | Gradient = "exact"

    def __post_init__(self):
        rule = as_rule(type(self).__name__, self.gradient, self.gradients)
        object.__setattr__(self, "gradient", rule)

    @own
    @property
    def rule(self) -> GradientRule:
        """The gradient rule: `gradient`, which is an object once the safeguard is constructed."""
        return cast(GradientRule, self.gradient)

    @abc.abstractmethod
    def project(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> Float[jax.Array, " d"]:
        """The safeguard's map, shape (d,), aimed at the rows tightened by tau.

        Args:
            rows: Unit rows of the safe action set.
            request: The sanitised request, shape (d,), in the box.
            accepted: Whether the request passes the accept test. Shape ().
            anchor: The certified safe action, shape (d,).
        """

    @property
    def decisive(self) -> bool:
        """Whether the map for several actions knows the rows that decide its result: whether there
        are `search` and `retrace`.
        """
        return False

    def search(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> tuple[Float[jax.Array, " d"], Support]:
        """The result of `project`, and the rows that decide it; of a `decisive` map."""
        raise NotImplementedError(f"`{type(self).__name__}` does not know the rows that decide.")

    def retrace(
        self,
        A: Float[jax.Array, "r d"],
        b: Float[jax.Array, " r"],
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        support: Support,
    ) -> Float[jax.Array, " d"]:
        """The result of `project` up to rounding, shape (d,), without a search and from the rows of
        the support alone, for its derivative; of a `decisive` map.

        Args:
            A: Unit rows of the support, shape (r, d).
            b: Their offsets, those of the set tightened by tau, those of the box not, shape (r,).
            request: The sanitised request, shape (d,), in the box.
            accepted: Whether the request passes the accept test. Shape ().
            support: What `mapped` gave.
        """
        raise NotImplementedError(f"`{type(self).__name__}` does not know the rows that decide.")

    @own
    def __call__(self, action_set: SafeActionSet, action: ArrayLike) -> SafeguardOutput:
        """Replaces `action` by a safe one. Pure and unbatched: batch it with jax.vmap.

        These are the steps 3 to 6 of a safeguarded step. `safe_action` takes the first two, from
        the state to its safe action set; an environment takes the last.

        Args:
            action_set: The safe action set of the current state, d actions.
            action: Any action, shape (d,).

        Raises:
            SetDimensionError: At trace time, if the action is not made of d real numbers.
        """
        rows, request, _, output, _ = self.verdict(action_set, action)
        safe = self.rule.after(output.action, request.unclipped, rows, ~output.intervened)
        return output._replace(action=safe)

    @own
    def verdict(
        self, action_set: SafeActionSet, action: ArrayLike, *, later: Later | None = None
    ) -> Verdict:
        """The verified call without the derivative that does not pass through the map.

        Args:
            action_set: The safe action set of the current state, d actions.
            action: Any action, shape (d,).
            later: Where that set comes from, to say which rows decided, of a `decisive` map.
        """
        rows = Rows.of(action_set, 0 if later is None else later.spare)
        anchor = anchor_of(action_set)
        # 3. Sanitise the request.
        asked = as_action(action, rows.A.shape[1]).astype(rows.b.dtype)
        request = sanitise(asked, anchor if later is None else _instead(asked, later))
        # 4. The accept test.
        accepted = rows.accept(request.action)
        # 5. The map, differentiated as the gradient rule says, 6. the accept test on its result.
        target, asked = self.rule.before(rows, request.action)
        support = None
        if later is not None:
            mapped, support = self.search(target, asked, accepted, anchor)
            safe, fallback = _checked(target, mapped, later)
        else:
            safe, fallback = self._verified(target, asked, accepted, anchor)
        output = SafeguardOutput(
            action=safe,
            requested=request.action,
            intervened=~(accepted & request.as_it_came),
            changed=~(request.as_it_came & jnp.all(safe == request.action)),
            # Before the request's own derivative is added: the distance would not change with a
            # request that takes its safe action along.
            distance=length(safe - request.action),
            feasible=rows.accept(anchor),
            fallback=fallback | ~request.finite,
            clipped=request.finite & ~request.as_it_came,
            inside=jnp.ones((), bool),
        )
        return Verdict(rows, request, accepted, output, support)

    @own
    def _verified(
        self,
        rows: Rows,
        request: Float[jax.Array, " d"],
        accepted: Bool[jax.Array, ""],
        anchor: Float[jax.Array, " d"],
    ) -> tuple[Float[jax.Array, " d"], Bool[jax.Array, ""]]:
        """The map's result if it passes the accept test, else its pull-back towards the anchor,
        else the anchor; and whether it is the anchor for this reason.
        """
        return _checked(rows, self.project(rows, request, accepted, anchor), anchor)


def _checked(
    rows: Rows, mapped: Float[jax.Array, " d"], anchor: Float[jax.Array, " d"] | Later
) -> tuple[Float[jax.Array, " d"], Bool[jax.Array, ""]]:
    """The map's result if it passes the accept test, else its pull-back towards the anchor, else
    the anchor; and whether it is the anchor for this reason.
    """
    good = rows.accept(mapped)
    # The repair is rounding-size and treated as a constant (straight-through).
    compute: Callable[..., Any]
    inputs: tuple[Any, ...]
    if isinstance(anchor, Later):

        def repaired(
            x: Float[jax.Array, " n"], mapped: Float[jax.Array, " d"]
        ) -> tuple[Float[jax.Array, " d"], Bool[jax.Array, ""]]:
            action_set = anchor.at(x)
            return _repaired(Rows.of(action_set), mapped, anchor_of(action_set))

        compute, inputs = repaired, (anchor.x, mapped)
    else:
        compute, inputs = _repaired, (rows, mapped, anchor)
    if mapped.shape == (1,):  # cheaper than to ask whether it is needed
        repair, fallback = compute(*jax.lax.stop_gradient(inputs))
        safe, fallback = jnp.where(good, mapped, repair), ~good & fallback
    else:
        safe, fallback = once(~good, compute, inputs, (mapped, jnp.zeros((), bool)))
    # The derivative must be finite even if mapped is not.
    safe = jax.lax.stop_gradient(safe)
    traced = jnp.where(jnp.all(jnp.isfinite(mapped)), mapped, safe)
    return jnp.where(fallback, safe, with_derivative(safe, traced)), fallback


def _repaired(
    rows: Rows, mapped: Float[jax.Array, " d"], anchor: Float[jax.Array, " d"]
) -> tuple[Float[jax.Array, " d"], Bool[jax.Array, ""]]:
    """The pull-back of a map's result towards the anchor if it passes the accept test, else the
    anchor; and whether it is the anchor.
    """
    start = _in_box(jnp.where(jnp.isfinite(mapped), mapped, anchor))
    pulled = rows.pull_back(start, anchor)
    good = jnp.all(jnp.isfinite(mapped)) & rows.accept(pulled)
    return jnp.where(good, pulled, anchor), ~good


def anchor_of(action_set: SafeActionSet) -> Float[jax.Array, " d"]:
    """The anchor, a constant: the executed action never leaves the box, whatever a system gives."""
    return _in_box(jnp.nan_to_num(jax.lax.stop_gradient(action_set.anchor)))


def _instead(action: Float[jax.Array, " d"], later: Later) -> Float[jax.Array, " d"]:
    """What a request that is not finite becomes: the anchor. Of others it is 0 and not read."""
    lost = ~jnp.all(jnp.isfinite(action))
    return once(lost, lambda x: anchor_of(later.at(x)), (later.x,), jnp.zeros_like(action))


def sanitise(action: Float[jax.Array, " d"], anchor: Float[jax.Array, " d"]) -> Request:
    """The request clipped to the box, or the anchor if it is not finite."""
    finite = jnp.all(jnp.isfinite(action))
    # NaN must not reach an untaken branch: its derivative would be NaN too.
    unclipped = jnp.where(finite, action, anchor)
    # A request inside the box is selected, not computed: arithmetic flushes denormal numbers, and a
    # safe request stays bit for bit.
    boxed = jnp.where(jnp.abs(unclipped) <= 1.0, unclipped, _in_box(unclipped))
    return Request(boxed, unclipped, finite, finite & jnp.all(unclipped == boxed))


def _in_box(action: Float[jax.Array, " d"]) -> Float[jax.Array, " d"]:
    return jnp.clip(action, -1.0, 1.0)
