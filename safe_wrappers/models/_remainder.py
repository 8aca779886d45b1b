"""What a model leaves over that is not affine in action and disturbance."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from .._gate import as_bound, at_least_zero
from .._read_only import ReadOnly
from ..sets import Box
from ._model import Model

Remainder = np.ndarray | Callable[[jax.Array], jax.Array]
"""Half-widths r >= |f - (c(x) + B(x) u + E(x) w)| for all actions and disturbances, shape
(n,), or a function x -> (n,).
"""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class EnclosedModel(ReadOnly, Model):
    """An affine model that contains another one, up to a remainder; `enclosed` makes it.

    Args:
        inner: The model that is contained.
        remainder: The half-widths r.
    """

    inner: Model = dataclasses.field(kw_only=True)
    remainder: Remainder = dataclasses.field(kw_only=True)

    @property
    def affine_by_construction(self) -> bool:
        """Whether `step` is the library's own c + B u + E w + diag(r) v."""
        step = self.step
        return isinstance(step, functools.partial) and step.func is _enclosed_step

    def half_widths(self, x: jax.Array) -> jax.Array:
        """r at the state x, shape (n,): not negative, and infinite where the remainder is NaN, so
        that no action counts as safe there.
        """
        return _half_widths(self.remainder, x)

    def disturbances(self, disturbance_set: Box) -> Box:
        """W x [-1, 1]^n, shape (k + n,), for W the disturbance set of the inner model."""
        lower, upper = (
            np.concatenate([np.asarray(bound, np.float32), np.full(self.state_size, end)])
            for bound, end in ((disturbance_set.lower, -1.0), (disturbance_set.upper, 1.0))
        )
        return Box(lower.astype(np.float32), upper.astype(np.float32))

    def inner_disturbances(self, disturbance_set: Box) -> Box:
        """W of the inner model, given W x [-1, 1]^n."""
        k = self.inner.disturbance_size
        return Box(disturbance_set.lower[:k], disturbance_set.upper[:k])


def enclosed(model: Model, remainder: Remainder) -> EnclosedModel:
    """An affine model that contains one that is not: x' = c(x) + B(x) u + E(x) w + diag(r(x)) v,
    with its last n disturbances v in [-1, 1]^n and u in [-1, 1]^d the action as a part of the
    action box, which is the given model's.

    A set that is robust control invariant for it, found and proved as for any affine model, is so
    for `model`, as long as the remainder is valid on it: |f - (c + B u + E w)| <= r for all x in S,
    actions and disturbances. The row of the facet H_i is then tighter by |H_i| r.

    Args:
        model: x' = f(x, a, w) with n states.
        remainder: r for the affine form of `model.affine`, shape (n,), or a function x -> (n,).
            What a function returns is taken as at least 0.

    Returns:
        The model; its `disturbances(W)` is the disturbance set W x [-1, 1]^n.

    Raises:
        SetDimensionError: If the half-widths are not n finite numbers >= 0.
    """
    n = model.state_size
    if not callable(remainder):
        remainder = as_bound("remainder", remainder, (n,))
    return EnclosedModel(
        f"{model.name}, enclosed",
        functools.partial(_enclosed_step, model, remainder),
        n,
        model.action_size,
        model.disturbance_size + n,
        model.parameters,
        action_box=model.action_box,
        state_names=model.state_names,
        action_names=model.action_names,
        units=model.units,
        inner=model,
        remainder=remainder,
    )


def _enclosed_step(
    model: Model,
    remainder: Remainder,
    x: jax.Array,
    action: jax.Array,
    disturbance: jax.Array,
) -> jax.Array:
    k = model.disturbance_size
    c, B, E = model.affine(x)
    spread = _half_widths(remainder, x)
    pushed = jnp.sum(B * model.unit_action(action), axis=1) + jnp.sum(E * disturbance[:k], axis=1)
    return c + pushed + spread * disturbance[k:]


def _half_widths(remainder: Remainder, x: jax.Array) -> jax.Array:
    if callable(remainder):
        return at_least_zero("remainder", remainder(x), x.shape, x.dtype)
    return jnp.asarray(remainder, x.dtype)
