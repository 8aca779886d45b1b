"""Samples of states, actions and disturbances that favour extremes."""

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import SetDimensionError
from .._gate import as_key
from ..sets import Box, Polytope


class Sizes(Protocol):
    """A model, or something else with its numbers of states, actions and disturbances."""

    @property
    def name(self) -> str: ...
    @property
    def state_size(self) -> int: ...
    @property
    def action_size(self) -> int: ...
    @property
    def disturbance_size(self) -> int: ...


def extreme_samples(
    model: Sizes, states: Box | Polytope, disturbance_set: Box | None, key: jax.Array, count: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """States x (count, n), actions a (count, d) and disturbances w (count, k), float32.

    Half of the states are uniform in `states`, half are mixtures of few of its vertices, which
    favour corners and edges. Each component of a and w is at an end of its range with probability
    1/2, else uniform; without a disturbance set w is 0.

    Raises:
        SetDimensionError: If the sets do not fit the model, or are unbounded.
    """
    if states.dim != model.state_size:
        raise SetDimensionError(
            f"`states` must have dimension {model.state_size} for the model "
            f"{model.name!r}, but it has {states.dim}."
        )
    if disturbance_set is not None and disturbance_set.dim != model.disturbance_size:
        raise SetDimensionError(
            f"`disturbance_set` must have dimension {model.disturbance_size} for the model "
            f"{model.name!r}, but it has {disturbance_set.dim}."
        )
    uniform, mixed, action, disturbance = jax.random.split(as_key("key", key), 4)
    vertices = states.vertices()
    weights = jax.random.dirichlet(
        mixed, jnp.full(len(vertices), 2 / len(vertices)), (count - count // 2,)
    )
    x = np.concatenate(
        [states.sample(uniform, (count // 2,)), np.asarray(weights, np.float64) @ vertices]
    ).astype(np.float32)
    a, w = (
        _extremes(action, (count, model.action_size)),
        _extremes(disturbance, (count, model.disturbance_size)),
    )
    w = (
        jnp.zeros_like(w)
        if disturbance_set is None
        else jnp.asarray(disturbance_set.center + disturbance_set.radius * w, jnp.float32)
    )
    return jnp.asarray(x), a, w


def _extremes(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Numbers in [-1, 1], each at an end with probability 1/2."""
    value, extreme = jax.random.split(key)
    number = jax.random.uniform(value, shape, minval=-1.0, maxval=1.0)
    return jnp.where(jax.random.bernoulli(extreme, 0.5, shape), jnp.sign(number), number)


def fit_in_words(largest: np.ndarray, samples: int, safety: float) -> str:
    """What a fitted model is worth: its largest errors at samples, and what is declared of them."""
    found = ", ".join(f"{value:.2g}" for value in largest)
    return (
        f"tested, not proved: off by at most ({found}) at {samples:,} samples; "
        f"{safety:g} times that is declared"
    )
