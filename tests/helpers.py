"""What the tests recompute for themselves: the pendulum in float64, all vertices of W, and recorded
rollouts.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum

PENDULUM_SETS = ("full", "narrow", "upright", "walter2025")
ENVS, STEPS = 256, 200  # of one recorded rollout: 51,200 environment steps


def pendulum_step(x, action, w):
    """The next state in float64, from the equations of the task: a uniform rod of 1 kg and 1 m, 30
    N m, 0.05 s; shapes (..., 2), (...), (...).
    """
    x, action = np.asarray(x, np.float64), np.asarray(action, np.float64)
    acceleration = 14.715 * np.sin(x[..., 0]) + 90.0 * action + w
    speed = x[..., 1] + 0.05 * acceleration
    return np.stack([x[..., 0] + 0.05 * speed, speed], axis=-1)


def facets(env):
    """H of S = {H x <= 1} as stored, float32, in float64."""
    H, h = env.system.safe_state_set.halfspaces()
    assert np.asarray(H).dtype == np.float32
    assert np.all(np.asarray(h) == 1)
    return np.asarray(H, np.float64)


def margins(H, x):
    """min_i (1 - H_i x) in float64, for states of shape (..., n); -inf for a state that is not
    finite.
    """
    values = (1 - np.asarray(x, np.float64) @ H.T).min(axis=-1)
    return np.where(np.isfinite(values), values, -np.inf)


def worst_margins(H, x, action):
    """The least margin of the pendulum's next state over all vertices of W, in float64; shapes
    (..., 2), (...) -> (...).
    """
    bound = float(np.float32(0.1))
    return np.minimum(*(margins(H, pendulum_step(x, action, w)) for w in (-bound, bound)))


class RecordingPendulum(SafePendulum):
    """Reports the action that the environment really received."""

    def reset_to(self, x, rng):
        state = super().reset_to(x, rng)
        return state.replace(info={**state.info, "executed": jnp.zeros(1, x.dtype)})

    def step(self, state, action):
        state = super().step(state, action)
        return state.replace(info={**state.info, "executed": jnp.asarray(action, state.obs.dtype)})


def record(env):
    """A compiled rollout (keys (N,), requests (T, N, 1)) -> states x (T + 1, N, 2), actions (T, N),
    infos and metrics (T, N), as NumPy arrays.
    """
    x_of = jax.vmap(env.system.state)

    def step(state, request):
        after = jax.vmap(env.step)(state, request)
        return after, (x_of(state), after.info["executed"][..., 0], after.info, after.metrics)

    @jax.jit
    def rollout(keys, requests):
        last, (x, action, info, metrics) = jax.lax.scan(step, jax.vmap(env.reset)(keys), requests)
        return jnp.concatenate([x, x_of(last)[None]]), action, info, metrics

    return lambda keys, requests: jax.tree.map(np.asarray, rollout(keys, requests))


@functools.cache
def recorded(safe_set, backend="closed_form", safeguarded=True):
    """`record` of the pendulum under worst-case disturbances, compiled once per test session."""
    env = RecordingPendulum(safe_set=safe_set, backend=backend, disturbance="worst_case")
    return record(sw.SafeguardWrapper(env, sw.BoundaryProjection()) if safeguarded else env)


def keys(seed, count=ENVS):
    return jax.random.split(jax.random.PRNGKey(seed), count)


def requests(kind, seed, shape=(STEPS, ENVS, 1)):
    """Uniformly random actions, or bang-bang ones that hold each sign for a random while."""
    rng = np.random.default_rng(seed)
    if kind == "random":
        return rng.uniform(-1, 1, shape).astype(np.float32)
    # from switching once in 50 steps to every step
    hold = rng.uniform(size=shape) < rng.uniform(0.02, 1, shape[1:])
    return (np.where(np.cumsum(hold, axis=0) % 2, 1, -1) * rng.choice([-1, 1], shape[1:])).astype(
        np.float32
    )


def states_in(env, count, seed=0):
    """States of S: uniform ones, and as many pushed to within 1e-6 of the boundary.

    Shape (count, n), float32.
    """
    sample = jax.jit(jax.vmap(env.system.sample_initial))
    inner = np.asarray(sample(keys(seed, count)), np.float64)
    outer = inner[: count // 2]
    outer = outer / (1 - margins(facets(env), outer))[:, None] * (1 - 1e-6)
    return np.concatenate([inner[count // 2 :], outer]).astype(np.float32)
