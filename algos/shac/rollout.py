"""SHAC's differentiable rollout: short windows through the environment, with gradients that end
where an episode ends.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from brax.envs.base import Env, State, Wrapper
from brax.envs.wrappers.training import EpisodeWrapper, VmapWrapper
from brax.training import types

# Metrics of a safeguarded environment, or of a raw one that reports its own margin, that are
# counted over training.
COUNTED_METRICS = {
    "violations": ("safeguard/left_set_per_step", "left_set_per_step"),
    "interventions": ("safeguard/intervention_per_step",),
    "fallbacks": ("safeguard/fallback_per_step",),
}


class Rollout(NamedTuple):
    """`horizon` steps of `num_envs` environments; every array starts with (horizon, num_envs).

    `next_obs` is the observation that the step led to, before any reset: the one to bootstrap from.
    `termination` is 1 where the episode ended by itself, and 0 where it was only cut by the time
    limit.
    `correction` is |a_s - a|^2 between executed and requested action (0 without a safeguard).
    `margin` is the environment's distance to the boundary of its safe set (infinite if it reports
    none).
    """

    obs: Any
    next_obs: Any
    reward: jax.Array
    done: jax.Array
    termination: jax.Array
    correction: jax.Array
    margin: jax.Array
    counted: dict[str, Any]


class _WithoutUnread(Wrapper):
    """An environment whose `pipeline_state` is 0 wherever `step` does not read it, so that
    compilers leave out its computation: the positions of bodies, which closed forms compute for
    pictures alone. Shapes stay what they are.
    """

    def __init__(self, env: Env, read: list[bool]):
        super().__init__(env)
        self._read = read

    def reset(self, rng: jax.Array) -> State:
        return self._without_unread(self.env.reset(rng))

    def step(self, state: State, action: jax.Array) -> State:
        return self._without_unread(self.env.step(state, action))

    def _without_unread(self, state: State) -> State:
        leaves, structure = jax.tree.flatten(state.pipeline_state)
        kept = [
            leaf if read else jnp.zeros_like(leaf)
            for leaf, read in zip(leaves, self._read, strict=True)
        ]
        return dataclasses.replace(state, pipeline_state=jax.tree.unflatten(structure, kept))


def without_unread(env: Env) -> Env:
    """`env` without what its states hold for pictures alone, if it is stepped in closed form.

    What the program of `step` does not read is found in the program itself.
    """
    if getattr(env, "backend", None) != "closed_form":
        return env  # tracing a simulator's step once more takes seconds, and it reads its state
    state = jax.eval_shape(env.reset, jax.random.PRNGKey(0))
    action = jax.ShapeDtypeStruct((env.action_size,), jnp.float32)

    def step(pipeline_state: Any, rest: State, action: jax.Array) -> State:
        return env.step(dataclasses.replace(rest, pipeline_state=pipeline_state), action)

    rest = dataclasses.replace(state, pipeline_state=None)
    program = jax.make_jaxpr(step)(state.pipeline_state, rest, action).jaxpr
    read = {id(variable) for equation in program.eqns for variable in equation.invars}
    read |= {id(variable) for variable in program.outvars}
    parts = program.invars[: len(jax.tree.leaves(state.pipeline_state))]
    flags = [id(variable) in read for variable in parts]
    return env if all(flags) else _WithoutUnread(env, flags)


def wrap(env: Env, episode_length: int) -> Env:
    """Batches `env` and ends its episodes; unlike `brax.envs.training.wrap`, without automatic
    resets, and without what is computed for pictures alone.

    AutoResetWrapper restarts every environment from one cached state for ever and loses the
    observation before the reset, from which a truncated episode must be bootstrapped. The rollout
    resets instead.
    """
    return EpisodeWrapper(VmapWrapper(without_unread(env)), episode_length, action_repeat=1)


def random_keys(
    key: types.PRNGKey, env_ids: jax.Array, horizon: int
) -> tuple[jax.Array, jax.Array]:
    """Keys of a window for resets, shape (num_envs, 2), and for actions, shape (horizon, num_envs,
    2).

    They derive from the global index of the environment, so no trajectory depends on how
    environments are sharded.
    """
    keys = jax.vmap(
        lambda i: jax.random.split(jax.random.fold_in(key, i), horizon + 1), out_axes=1
    )(env_ids)
    return keys[0], keys[1:]


def awaiting_reset(env: Env, num_envs: int) -> State:
    """States that hold nothing but `done`: the next rollout starts them afresh.

    No reset is computed here.
    """
    shapes = jax.eval_shape(env.reset, jnp.zeros((num_envs, 2), jnp.uint32))
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return dataclasses.replace(state, done=jnp.ones_like(state.done))


def stagger(fresh: State, episode_length: int, indices: jax.Array, num_envs: int) -> State:
    """Spreads the first truncations evenly over an episode, so that every later window sees some
    fresh starts.

    Args:
        fresh: States after a reset.
        episode_length: Steps of an episode.
        indices: Which of all environments these are.
        num_envs: How many there are in all.
    """
    if "steps" not in fresh.info:
        return fresh
    steps = fresh.info["steps"]
    spread = jnp.floor(indices * (episode_length / num_envs)).astype(steps.dtype)
    return dataclasses.replace(fresh, info={**fresh.info, "steps": spread})


def reset_where_done(state: State, fresh: State) -> State:
    """`fresh` where `state` is done; `fresh` is a constant of the window, hence no gradient passes
    a reset.
    """

    def choose(new, old):
        return jnp.where(state.done.reshape(state.done.shape + (1,) * (old.ndim - 1)) > 0, new, old)

    return jax.tree.map(choose, fresh, state)


def counted_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `COUNTED_METRICS` that an environment reports, by their short names."""
    found = {
        name: [metrics[key] for key in keys if key in metrics]
        for name, keys in COUNTED_METRICS.items()
    }
    return {name: values[0] for name, values in found.items() if values}


def rollout(
    env: Env, policy: types.Policy, state: State, fresh: State, action_keys: jax.Array
) -> tuple[State, Rollout]:
    """Runs `policy` for a window of steps; differentiable with respect to the policy's parameters.

    Args:
        env: Batched, with `info["truncation"]` and without automatic resets, for example
            `wrap(env, episode_length)`.
        policy: Brax policy; called on single observations.
        state: The environments' states; those that are done start from `fresh`.
        fresh: The states in which environments start again in this window, computed once for it.
        action_keys: Shape (horizon, num_envs, 2).

    Returns:
        The states after the last step, not yet reset where done, and the transitions.
    """

    def step(state: State, keys: jax.Array) -> tuple[State, Rollout]:
        state = reset_where_done(state, fresh)
        actions, _ = jax.vmap(policy)(state.obs, keys)
        next_state = env.step(state, actions)
        truncation = next_state.info.get("truncation", jnp.zeros_like(next_state.done))
        safeguard = next_state.info.get("safeguard", {})
        reward = next_state.reward
        zeros = jnp.zeros_like(reward)
        # Flags may be float64 where rewards are not, if 64-bit types are switched on.
        transition = Rollout(
            obs=state.obs,
            next_obs=next_state.obs,
            reward=reward,
            done=next_state.done.astype(reward.dtype),
            termination=(next_state.done * (1 - truncation)).astype(reward.dtype),
            correction=jnp.square(safeguard["distance"]) if safeguard else zeros,
            margin=next_state.info.get("margin", safeguard.get("margin", zeros + jnp.inf)),
            counted=counted_metrics(next_state.metrics),
        )
        return next_state, transition

    return jax.lax.scan(step, state, action_keys)
