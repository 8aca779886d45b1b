"""What a model leaves over that is not affine in action and disturbance."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ._model import Model

Remainder = np.ndarray | Callable[[jax.Array], jax.Array]
"""Half-widths r >= |f(x, a, w) - (c(x) + B(x) a + E(x) w)| for all actions and disturbances, shape
(n,), or a function x -> (n,).
"""


def enclosed(model: Model, remainder: Remainder) -> Model:
    """An affine model that contains one that is not: x' = c(x) + B(x) a + E(x) w + diag(r(x)) v,
    its last n disturbances v in [-1, 1]^n.

    A set that is robust control invariant for it, found and proved as for any affine model, is so
    for `model`, if the remainder is valid on it; and its rows are those of
    `ModelSystem(model, ..., remainder=remainder)`.

    Args:
        model: x' = f(x, a, w).
        remainder: r, for the affine form of `model.affine`.
    """
    k = model.disturbance_size

    def step(x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        c, B, E = model.affine(x)
        spread = jnp.asarray(remainder(x) if callable(remainder) else remainder, x.dtype)
        return (
            c
            + jnp.sum(B * action, axis=1)
            + jnp.sum(E * disturbance[:k], axis=1)
            + spread * disturbance[k:]
        )

    return Model(
        f"{model.name}, enclosed",
        step,
        model.state_size,
        model.action_size,
        k + model.state_size,
        model.parameters,
    )
