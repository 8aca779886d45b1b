"""What the derivative of the executed action is: rules that change derivatives and no value."""

import abc
import functools
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from .._gate import Array, is_traced, one_of, shown
from .._products import dot
from .._pytree import frozen_pytree
from ..solvers import project
from ._rows import Rows

Gradient = Literal["exact", "passthrough", "straight_through", "blend", "inward"]


class GradientRule(abc.ABC):
    """What the derivative of the executed action w.r.t. the request and the state is.

    Reverse mode receives g, a loss's gradient w.r.t. the executed action, and returns J' g. With J
    the true derivative w.r.t. the request, a rule replaces J by another matrix, keeps or drops the
    derivative w.r.t. the state, or is not linear in g at all. Values are those of `Exact` bit for
    bit. Rules are pytrees, and two rules of the same kind and numbers are equal.

    Attributes:
        name: The shorthand, as in `BoundaryProjection(gradient="passthrough")`.
        keeps_state: Whether the derivative w.r.t. the state is the true one; otherwise it is 0.
    """

    name: ClassVar[Gradient]
    keeps_state: ClassVar[bool] = True

    @abc.abstractmethod
    def before(
        self, rows: Rows, request: Float[jax.Array, " d"]
    ) -> tuple[Rows, Float[jax.Array, " d"]]:
        """The rows and the sanitised request as the map sees them: of the same values, with those
        derivatives that are to pass through the map.
        """

    def after(
        self,
        safe: Float[jax.Array, " d"],
        request: Float[jax.Array, " d"],
        rows: Rows,
        kept: Bool[jax.Array, ""],
    ) -> Float[jax.Array, " d"]:
        """`safe` bit for bit, with the derivative that does not pass through the map.

        Args:
            safe: The map's verified result, shape (d,).
            request: The request before it was clipped, shape (d,), finite.
            rows: Unit rows of the safe action set.
            kept: Whether the request was safe as it came. Shape ().
        """
        del request, rows, kept
        return safe

    @abc.abstractmethod
    def jacobian(self, exact: Float[Array, "... d d"]) -> Float[Array, "... d d"]:
        """J under this rule, where the true one is `exact`, shape (..., d, d).

        Of a rule that is not linear in g it is that of `linearised`.
        """

    @property
    def linearised(self) -> "GradientRule":
        """The rule that a Jacobian describes: this one, if it is linear in g."""
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))


@frozen_pytree
class Exact(GradientRule):
    """The true derivative w.r.t. the request and the state."""

    name = "exact"

    def before(
        self, rows: Rows, request: Float[jax.Array, " d"]
    ) -> tuple[Rows, Float[jax.Array, " d"]]:
        return rows, request

    def jacobian(self, exact: Float[Array, "... d d"]) -> Float[Array, "... d d"]:
        return exact


class _Identity(GradientRule):
    """The identity w.r.t. the request, which passes by the map."""

    def after(
        self,
        safe: Float[jax.Array, " d"],
        request: Float[jax.Array, " d"],
        rows: Rows,
        kept: Bool[jax.Array, ""],
    ) -> Float[jax.Array, " d"]:
        return _with_identity(safe, request, 1.0)

    def jacobian(self, exact: Float[Array, "... d d"]) -> Float[Array, "... d d"]:
        return np.broadcast_to(np.eye(exact.shape[-1], dtype=exact.dtype), exact.shape)


@frozen_pytree
class Passthrough(_Identity):
    """The identity w.r.t. the request, the true derivative w.r.t. the state."""

    name = "passthrough"

    def before(
        self, rows: Rows, request: Float[jax.Array, " d"]
    ) -> tuple[Rows, Float[jax.Array, " d"]]:
        return rows, jax.lax.stop_gradient(request)


@frozen_pytree
class StraightThrough(_Identity):
    """The identity w.r.t. the request, zero w.r.t. the state (the passthrough of Walter et al.
    2025, arXiv 2506.01665).
    """

    name = "straight_through"
    keeps_state = False

    def before(
        self, rows: Rows, request: Float[jax.Array, " d"]
    ) -> tuple[Rows, Float[jax.Array, " d"]]:
        return jax.lax.stop_gradient((rows, request))


@frozen_pytree
class Blend(GradientRule):
    """alpha I + (1 - alpha) J w.r.t. the request, the true derivative w.r.t. the state.

    Args:
        alpha: Weight of the identity, in [0, 1]: 0 is `Exact`, 1 is `Passthrough`. It is data: one
            compiled program serves all weights.

    Raises:
        ValueError: If alpha is not a number in [0, 1].
    """

    name = "blend"

    alpha: jax.Array | float = 0.5

    def __post_init__(self):
        if is_traced(self.alpha):
            return
        number = np.ndim(self.alpha) == 0 and np.asarray(self.alpha).dtype.kind in "fiu"
        if not number or not 0 <= self.alpha <= 1:
            raise ValueError(
                f"`alpha` is {shown(self.alpha)}, but the weight of the identity must be a number "
                "in [0, 1], as in `Blend(0.3)`."
            )

    def before(
        self, rows: Rows, request: Float[jax.Array, " d"]
    ) -> tuple[Rows, Float[jax.Array, " d"]]:
        return rows, _damped(request, self.alpha)

    def after(
        self,
        safe: Float[jax.Array, " d"],
        request: Float[jax.Array, " d"],
        rows: Rows,
        kept: Bool[jax.Array, ""],
    ) -> Float[jax.Array, " d"]:
        return _with_identity(safe, request, self.alpha)

    def jacobian(self, exact: Float[Array, "... d d"]) -> Float[Array, "... d d"]:
        return self.alpha * np.eye(exact.shape[-1], dtype=exact.dtype) + (1 - self.alpha) * exact


@frozen_pytree
class Inward(GradientRule):
    """The projected gradient, for `BoundaryProjection` alone: see there."""

    name = "inward"

    def before(
        self, rows: Rows, request: Float[jax.Array, " d"]
    ) -> tuple[Rows, Float[jax.Array, " d"]]:
        return rows, jax.lax.stop_gradient(request)

    def after(
        self,
        safe: Float[jax.Array, " d"],
        request: Float[jax.Array, " d"],
        rows: Rows,
        kept: Bool[jax.Array, ""],
    ) -> Float[jax.Array, " d"]:
        # Rows count as active from a slack that the accept test allows beyond the map's target.
        slack = jnp.asarray(rows.tau, rows.b.dtype)
        A, b = jax.lax.stop_gradient(rows.tightened_with_box())
        return _with_inward(safe, request, A, b, slack, kept, rows.separable)

    def jacobian(self, exact: Float[Array, "... d d"]) -> Float[Array, "... d d"]:
        return exact

    @property
    def linearised(self) -> GradientRule:
        return Exact()


_BY_NAME: dict[str, type[GradientRule]] = {
    rule.name: rule for rule in (Exact, Passthrough, StraightThrough, Blend, Inward)
}


def is_known(rule: GradientRule) -> bool:
    """Whether a rule is one of the library, which change derivatives and no value."""
    return type(rule) in _BY_NAME.values()


def as_rule(
    owner: str, gradient: GradientRule | str, valid: tuple[type[GradientRule], ...]
) -> GradientRule:
    """The gradient rule that was asked for: an object as it is, a shorthand as its object.

    Args:
        owner: Name of the safeguard.
        gradient: What its user gave.
        valid: The rules that it has.

    Raises:
        ValueError: If it has no such rule.
    """
    # By the very class: a subclass could return another action from `after`.
    if isinstance(gradient, GradientRule) and type(gradient) in valid:
        return gradient
    why = f" These are the gradient rules of {owner}."
    return _BY_NAME[one_of("gradient", gradient, [rule.name for rule in valid], why)]()


@jax.custom_jvp
def _with_identity(
    safe: Float[jax.Array, " d"], action: Float[jax.Array, " d"], weight: jax.Array | float
) -> Float[jax.Array, " d"]:
    """Returns `safe` bit for bit; its derivative gains weight I w.r.t. `action`."""
    del action, weight
    return safe


@_with_identity.defjvp
def _with_identity_jvp(primals, tangents):
    safe_dot, action_dot, _ = tangents
    return _with_identity(*primals), safe_dot + primals[2] * action_dot


@jax.custom_jvp
def _damped(action: Float[jax.Array, " d"], weight: jax.Array | float) -> Float[jax.Array, " d"]:
    """Returns `action` bit for bit; its derivative is multiplied by 1 - `weight`."""
    del weight
    return action


@_damped.defjvp
def _damped_jvp(primals, tangents):
    return _damped(*primals), (1 - primals[1]) * tangents[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(6,))
def _with_inward(
    safe: Float[jax.Array, " d"],
    action: Float[jax.Array, " d"],
    A: Float[jax.Array, "m d"],
    b: Float[jax.Array, " m"],
    slack: Float[jax.Array, ""],
    kept: Bool[jax.Array, ""],
    separable: bool,
) -> Float[jax.Array, " d"]:
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
        separable: Whether each row bounds a single action; then so does the cone.
    """
    del action, A, b, slack, kept, separable
    return safe


def _with_inward_fwd(safe, action, A, b, slack, kept, separable):
    del action, separable
    return safe, (A, dot(A, safe) >= b - slack, kept)


def _with_inward_bwd(
    separable: bool,
    residuals: tuple[Float[jax.Array, "m d"], Bool[jax.Array, " m"], Bool[jax.Array, ""]],
    g: Float[jax.Array, " d"],
):
    A, active, kept = residuals
    descent = -g
    if separable:
        blocked = jnp.any(active[:, None] & (A * descent > 0), axis=0)
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


_with_inward.defvjp(_with_inward_fwd, _with_inward_bwd)
