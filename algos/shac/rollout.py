"""SHAC's differentiable rollout: short windows through the environment, with gradients that end where an episode ends."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from brax.envs.base import Env, State
from brax.envs.wrappers.training import EpisodeWrapper, VmapWrapper
from brax.training import types

# Metrics of a safeguarded environment, or of a raw one that reports its own margin, that are counted over training.
COUNTED_METRICS = {
    "violations": ("safeguard/left_set_per_step", "left_set_per_step"),
    "interventions": ("safeguard/intervention_per_step",),
    "fallbacks": ("safeguard/fallback_per_step",),
}


class Rollout(NamedTuple):
    """`horizon` steps of `num_envs` environments; every array starts with (horizon, num_envs).

    `next_obs` is the observation that the step led to, before any reset: the one to bootstrap from.
    `termination` is 1 where the episode ended by itself, and 0 where it was only cut by the time limit.
    `correction` is |a_s - a|^2 between executed and requested action (0 without a safeguard).
    `margin` is the environment's distance to the boundary of its safe set (infinite if it reports none).
    """

    obs: jax.Array
    next_obs: jax.Array
    reward: jax.Array
    done: jax.Array
    termination: jax.Array
    correction: jax.Array
    margin: jax.Array
    counted: dict[str, jax.Array]


def wrap(env: Env, episode_length: int) -> Env:
    """Batches `env` and ends its episodes; unlike `brax.envs.training.wrap`, without automatic resets.

    AutoResetWrapper restarts every environment from one cached state for ever and loses the observation before
    the reset, from which a truncated episode must be bootstrapped. The rollout resets instead.
    """
    return EpisodeWrapper(VmapWrapper(env), episode_length, action_repeat=1)


def env_keys(key: types.PRNGKey, env_ids: jax.Array) -> jax.Array:
    """One key per environment by its global index, so that no trajectory depends on how environments are sharded."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, env_ids)


def stagger(state: State, env_ids: jax.Array, num_envs: int, episode_length: int) -> State:
    """Spreads the environments' first truncations evenly over an episode, so that each update sees fresh starts."""
    if "steps" not in state.info:
        return state
    steps = jnp.floor(env_ids * (episode_length / num_envs)).astype(state.info["steps"].dtype)
    return state.replace(info={**state.info, "steps": steps})


def reset_where(done: jax.Array, fresh: State, state: State) -> State:
    """`fresh` where done, else `state`; `fresh` is a constant of the rollout, hence no gradient passes a reset."""
    return jax.tree.map(lambda new, old: jnp.where(done.reshape(done.shape + (1,) * (old.ndim - 1)).astype(bool), new, old), fresh, state)


def counted_metrics(state: State) -> dict[str, jax.Array]:
    """Those of `COUNTED_METRICS` that the environment reports, by their short names."""
    found = {name: [state.metrics[key] for key in keys if key in state.metrics] for name, keys in COUNTED_METRICS.items()}
    return {name: values[0] for name, values in found.items() if values}


def rollout(env: Env, policy: types.Policy, state: State, key: types.PRNGKey, env_ids: jax.Array, horizon: int) -> tuple[State, Rollout]:
    """Runs `policy` for `horizon` steps; differentiable with respect to the policy's parameters.

    Args:
        env: Batched, with `info["truncation"]` and without automatic resets, for example `wrap(env, episode_length)`.
        policy: Brax policy; called on single observations.
        state: The environments' states at the start.
        key: One key per update.
        env_ids: Global indices of the environments, shape (num_envs,).
        horizon: Number of steps.

    Returns:
        The states after the last step (reset where done) and the transitions.
    """
    action_key, reset_key = jax.random.split(key)
    keys, fresh = env_keys(action_key, env_ids), env.reset(env_keys(reset_key, env_ids))

    def step(state: State, t: jax.Array) -> tuple[State, Rollout]:
        actions, _ = jax.vmap(policy)(state.obs, jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, t))
        next_state = env.step(state, actions)
        truncation = next_state.info.get("truncation", jnp.zeros_like(next_state.done))
        safeguard = next_state.info.get("safeguard", {})
        zeros = jnp.zeros_like(next_state.reward)
        correction = jnp.sum(jnp.square(safeguard["action"] - safeguard["requested"]), axis=-1) if safeguard else zeros
        margin = next_state.info.get("margin", safeguard.get("margin", jnp.full_like(zeros, jnp.inf)))
        transition = Rollout(
            obs=state.obs,
            next_obs=next_state.obs,
            reward=next_state.reward,
            done=next_state.done,
            termination=next_state.done * (1 - truncation),
            correction=correction,
            margin=margin,
            counted=counted_metrics(next_state),
        )
        return reset_where(next_state.done, fresh, next_state), transition

    return jax.lax.scan(step, state, jnp.arange(horizon))
