"""A model with its disturbances, recounted in float64."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..models import Model
from ..sets import Box

# More vertices of W than this are drawn at random from all of them.
_VERTICES = 256


class Worst(NamedTuple):
    """What the worst vertex of W does in each of N cases: shapes (N,), (N, n), (N, k)."""

    margin: np.ndarray
    next_state: np.ndarray
    disturbance: np.ndarray


class Plant:
    """The next states of a model for all vertices of W.

    Args:
        model: f.
        disturbance_set: W.
        margin: The margin of a state, at least 0 in the safe set.
    """

    def __init__(
        self, model: Model, disturbance_set: Box, margin: Callable[[jax.Array], jax.Array]
    ):
        self.model = model
        lower, upper = (
            np.asarray(value, np.float32)
            for value in (disturbance_set.lower, disturbance_set.upper)
        )
        k = len(lower)
        if 2**k <= _VERTICES:
            upper_side = (np.arange(2**k)[:, None] >> np.arange(k)) % 2
        else:
            upper_side = np.random.default_rng(0).integers(2, size=(_VERTICES, k))
        self.vertices = np.where(upper_side, upper, lower)
        steps = jax.vmap(jax.vmap(model.unit_step, (None, None, 0)), (0, 0, None))
        self._steps = jax.jit(steps)
        self._margins = jax.jit(jax.vmap(jax.vmap(margin)))

    def next_states(self, x: np.ndarray, action: np.ndarray) -> np.ndarray:
        """f(x, a, w) in float64, shape (N, V, n), for x (N, n) and a (N, d) and the V vertices of
        W.
        """
        with jax.enable_x64():
            return np.asarray(
                self._steps(
                    *(jnp.asarray(value, jnp.float64) for value in (x, action, self.vertices))
                )
            )

    def worst(self, x: np.ndarray, action: np.ndarray) -> Worst:
        """The least margin over the vertices, of the next states in float32 and in float64, itself
        computed in float64; -inf for one that is not finite.
        """
        cases = np.arange(len(x))
        results = []
        for after in (
            np.asarray(self._steps(x, action, self.vertices), np.float64),
            self.next_states(x, action),
        ):
            with jax.enable_x64():
                margin = np.asarray(self._margins(jnp.asarray(after)), np.float64)
            margin = np.where(np.isfinite(margin), margin, -np.inf)
            at = margin.argmin(axis=1)
            results.append(Worst(margin[cases, at], after[cases, at], self.vertices[at]))
        single, double = results
        pick = single.margin <= double.margin
        return Worst(
            *(
                np.where(pick.reshape(-1, *[1] * (one.ndim - 1)), one, other)
                for one, other in zip(single, double, strict=True)
            )
        )
