"""Evaluation: the same episodes, by start and disturbances, for every policy that is compared."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs

# Keeps the keys of evaluation episodes apart from those that trainers derive from small seeds.
_STREAM = 240_128

Policy = Callable[[Any, envs.State, jax.Array], jax.Array]


class Episodes(NamedTuple):
    """Episodes side by side; arrays start with (steps, episodes), `x` with (steps + 1, episodes).

    Args:
        x: States of the model, last axis n.
        action: Executed actions, last axis d.
        reward: Task rewards, without regularisation.
        margin: Distance of the next state to the boundary of the safe set, in the scale where its
            centre has 1.
        violation: 1 where the next state lies outside the safe set.
        intervention: 1 where the request was not safe.
        fallback: 1 where the anchor was executed.
        goal: What the task of the episode gives as `info["goal"]`, if anything.
    """

    x: jax.Array
    action: jax.Array
    reward: jax.Array
    margin: jax.Array
    violation: jax.Array
    intervention: jax.Array
    fallback: jax.Array
    goal: jax.Array | None = None

    @property
    def returns(self) -> np.ndarray:
        """Undiscounted sum of rewards, shape (episodes,)."""
        return np.asarray(self.reward).sum(axis=0)

    def metrics(self) -> dict[str, float]:
        """What the training records of an evaluation."""
        return {
            "eval/return": float(self.returns.mean()),
            "eval/return_std": float(self.returns.std()),
            "eval/interventions_per_step": float(np.mean(self.intervention)),
            "eval/violations": int(np.sum(self.violation)),
            "eval/fallbacks": int(np.sum(self.fallback)),
            "eval/smallest_margin": float(np.min(self.margin)),
        }


def episode_keys(num_episodes: int, seed: int) -> jax.Array:
    """Random keys of starts and disturbances, one per episode."""
    return jax.random.split(jax.random.fold_in(jax.random.PRNGKey(seed), _STREAM), num_episodes)


class Evaluation:
    """A fixed set of episodes for several policies, which are compiled together, once for all of
    their parameters.

    Args:
        env: A bundled environment, safeguarded or not.
        policies: By name, (parameters, state, key) -> action, shape (d,); unbatched.
        keys: From `episode_keys`. The same keys give the same starts and disturbances in every
            wrapping of a system.
        episode_length: Steps of each episode.
    """

    def __init__(
        self, env: envs.Env, policies: dict[str, Policy], keys: jax.Array, episode_length: int
    ):
        self._env, self._policies, self.keys, self.episode_length = (
            env,
            policies,
            keys,
            episode_length,
        )
        self._run = jax.jit(jax.vmap(self._episode, in_axes=(None, None, 0), out_axes=1))

    def __call__(self, policy: str, parameters: dict[str, Any]) -> Episodes:
        """Runs the episodes with the named policy; `parameters` holds those of all policies, by
        name.
        """
        needed = {name: parameters[name] for name in self._policies}
        return self._run(list(self._policies).index(policy), needed, self.keys)

    def _episode(self, chosen: jax.Array, parameters: dict[str, Any], key: jax.Array) -> Episodes:
        def act(state: envs.State, key: jax.Array) -> jax.Array:
            branches = [
                lambda name=name, policy=policy: policy(parameters[name], state, key)
                for name, policy in self._policies.items()
            ]
            return jax.lax.switch(chosen, branches)

        def step(state: envs.State, key: jax.Array):
            action = act(state, key)
            state = self._env.step(state, action)
            return state, (
                state.reward,
                state.metrics,
                state.info["margin"],
                self._x(state),
                self._executed(state, action),
                state.info.get("goal"),
            )

        start = self._env.reset(key)
        _, (reward, metrics, margin, x, action, goal) = jax.lax.scan(
            step, start, jax.random.split(key, self.episode_length)
        )
        zeros = jnp.zeros_like(reward)
        return Episodes(
            x=jnp.concatenate([self._x(start)[None], x]),
            action=action,
            reward=metrics.get("safeguard/task_reward", reward),
            margin=margin,
            violation=metrics["left_set_per_step"],
            intervention=metrics.get("safeguard/intervention_per_step", zeros),
            fallback=metrics.get("safeguard/fallback_per_step", zeros),
            goal=goal,
        )

    def _x(self, state: envs.State) -> jax.Array:
        return self._env.system.state(state)  # pyright: ignore[reportAttributeAccessIssue]

    def _executed(self, state: envs.State, requested: jax.Array) -> jax.Array:
        return state.info["safeguard"]["action"] if "safeguard" in state.info else requested
