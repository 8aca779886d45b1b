"""Requests and disturbances of a few steps, improved along the gradient of the margin through the
simulator and the safeguard.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .._programs import compiled_by_content
from ._window import GIVEN, Plan, Windows

LENGTH, COUNT = 8, 64
_ITERATIONS = 12
_RATE = 0.5  # of the first move, relative to the widths of the boxes


def descended(
    windows: Windows, x: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Requests, shape (LENGTH, COUNT, d), and disturbances, shape (LENGTH, COUNT, k), that lead
    from the states x, shape (COUNT, n), to small margins.
    """
    judge = windows.judge
    lower, upper = judge.lower, judge.upper
    requests = rng.uniform(-1, 1, (LENGTH, COUNT, judge.model.action_size)).astype(np.float32)
    shape = (LENGTH, COUNT, judge.model.disturbance_size)
    disturbances = (lower + rng.random(shape) * (upper - lower)).astype(np.float32)
    for rate in _RATE * 0.8 ** np.arange(_ITERATIONS):
        by_request, by_disturbance = (
            np.sign(np.nan_to_num(np.asarray(gradient)))
            for gradient in _gradients(windows, x, requests, disturbances)
        )
        requests = np.clip(requests - np.float32(2 * rate) * by_request, -1, 1)
        moved = disturbances - np.float32(rate) * (upper - lower) * by_disturbance
        disturbances = np.clip(moved, lower, upper)
    return requests, disturbances


@compiled_by_content
def _gradients(
    windows: Windows, x: jax.Array, requests: jax.Array, disturbances: jax.Array
) -> tuple[jax.Array, jax.Array]:
    given = jnp.asarray(GIVEN, jnp.int32)

    def least(requests: jax.Array, disturbances: jax.Array) -> jax.Array:
        def one(x: jax.Array, requests: jax.Array, disturbances: jax.Array) -> jax.Array:
            plan = Plan(requests, disturbances, given, given, jnp.zeros_like(x))
            return jnp.min(windows.one(x, plan).least)

        return jnp.sum(jax.vmap(one, in_axes=(0, 1, 1))(x, requests, disturbances))

    return jax.grad(least, argnums=(0, 1))(requests, disturbances)
